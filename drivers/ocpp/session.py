"""A session with one charger: frames in, replies and readings out, no I/O. The same in every version.

Each message is read, validated and handled before anything is kept: one that breaks the protocol gets its
CALLERROR (or, a wrong answer in 2.1, its CALLRESULTERROR) and leaves the state as it was. What differs
between versions is a `Dialect` (schemas, handlers, message types, spelling of the error codes) and how a
setpoint is said, which each version's own class adds.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from controller.domain.assets import ChargePoint
from controller.domain.chargers import PLAIN_TEMPLATE, ChargerTemplate, WakeStep
from controller.domain.charging_tokens import Verdict
from controller.domain.floor import NOTHING, FloorHours
from controller.domain.setpoints import Applied, Outcome, PartlyApplied, Setpoint
from controller.domain.telemetry import MeterReading, ObedienceReading
from drivers.ocpp import frames, schemas
from drivers.ocpp.codec import Answer, CallInFlightError, Notice, NoticeCode, Received, Request
from drivers.ocpp.frames import Call, CallError, CallResult, CallResultError, RpcErrorCode, Send
from drivers.ocpp.room import AMPLE, SCARCE_TEXT, Room
from drivers.ocpp.schemas import PayloadError
from drivers.ocpp.state import ChargerState, Context, Handled, Handler
from drivers.ocpp.told import NOTHING_TOLD, TELLING
from drivers.ocpp.watch import IGNORED_INTERVALS, Finding, Watch


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """What differs between versions below the messages' meaning."""

    subprotocol: str
    """The name in the WebSocket handshake."""
    schemas: str
    """The folder of the schemas."""
    handlers: Mapping[str, Handler]
    """Every request of a charger that we answer; the rest of the standard is `NotSupported`."""
    usual: tuple[str, ...]
    """The messages of a usual day, whose schemas are compiled before the first charger connects."""
    newest_kind: int
    """The highest message type: 6 with SEND, 4 before."""
    stream: str = ""
    """The one action that is sent without an answer."""
    error_names: Mapping[RpcErrorCode, str] = field(default_factory=dict)
    """Error codes that this version spells, or knows, otherwise."""
    ignores_unreadable: bool = False
    """1.6 wants a message of an unknown type to be ignored, and has no id to answer one without an id."""


class BaseSession(ABC):
    """One charger's session; it outlives connections, as transactions do."""

    dialect: Dialect

    def __init__(
        self,
        charge_point: ChargePoint,
        *,
        verdict: Callable[[str], Verdict],
        template: ChargerTemplate = PLAIN_TEMPLATE,
        floor: FloorHours = NOTHING,
        signs: bool = False,
    ) -> None:
        self.charge_point = charge_point
        self.template = template
        self.floor = floor
        self.signs = signs
        self.state = ChargerState()
        """Read-only for others."""
        self.told = NOTHING_TOLD
        """What the charger told of itself; read-only for others."""
        self.room = AMPLE
        """How many profiles it takes beside each other; read-only for others."""
        self._verdict = verdict
        self._watch = Watch(template.wake_after_s)
        self._open: tuple[str, str] | None = None
        """Message id and action of our open request."""
        self._requests_sent = 0

    @property
    def schemas(self) -> str:
        """The folder of the version's schemas."""
        return self.dialect.schemas

    @property
    def open_transaction(self) -> str | None:
        """The transaction that goes on."""
        return self.state.transaction

    @property
    def ended_transactions(self) -> tuple[str, ...]:
        """The latest that ended, the newest last."""
        return self.state.ended

    def link_up(self) -> None:
        """A new connection: an open request of the old one will never be answered."""
        self._open = None

    def receive(self, message: str | bytes, now: datetime) -> Received:
        """Takes one message; see `drivers.ocpp.codec.Session.receive`."""
        context = Context(self.charge_point, now, self._verdict, self.template, self.signs)
        try:
            frame = frames.parse(message, newest_kind=self.dialect.newest_kind)
        except frames.FrameError as error:
            unreadable = (
                error.message_id == frames.UNREADABLE_ID
                or isinstance(error.message_id, int)
                or error.code is RpcErrorCode.MESSAGE_TYPE_NOT_SUPPORTED
            )
            ignored = unreadable and self.dialect.ignores_unreadable
            reply = self._refusal(error.message_id, error.code, error.description)
            return self._malformed(context, str(error), reply if error.answer and not ignored else None)
        match frame:
            case Call():
                return self._on_call(frame, context)
            case CallResult():
                return self._on_result(frame, context)
            case CallError():
                return self._on_error(frame, context)
            case CallResultError():
                text = f"it did not like our answer {frame.message_id}: {frame.code} {frame.description}"
                return self._malformed(context, text, None)
            case Send():
                return self._on_send(frame, context)

    def call(self, request: Request) -> str:
        """The text of a request, which is open from now on; see `drivers.ocpp.codec.Session.call`."""
        if self._open is not None:
            raise CallInFlightError(f"{self._open[1]} is still open at {self.charge_point.id}")
        schemas.validate(self.dialect.schemas, f"{request.action}Request", request.payload)
        self._requests_sent += 1
        message_id = f"w{self._requests_sent}"
        text = frames.call_text(message_id, request.action, request.payload)
        self._open = (message_id, request.action)
        return text

    def abandon(self) -> None:
        """Gives up the open request; its late answer will be dropped."""
        self._open = None

    @abstractmethod
    def power_request(self, setpoint: Setpoint, now: datetime) -> Request | Outcome:
        """How a setpoint is said in this version, or why it is not said at all."""

    def power_outcome(self, setpoint: Setpoint, answer: Answer, now: datetime) -> Outcome:
        """What the charger's answer means for the setpoint; what was taken is held against the meter."""
        outcome = self._outcome(setpoint, answer)
        match outcome:
            case Applied():
                self._watch.confirmed(setpoint.power_kw, now, setpoint.valid_until)
            case PartlyApplied():
                self._watch.confirmed(outcome.power_kw, now, setpoint.valid_until)
        return outcome

    @abstractmethod
    def _outcome(self, setpoint: Setpoint, answer: Answer) -> Outcome:
        """What the charger's answer means for the setpoint."""

    @abstractmethod
    def room_request(self) -> Request:
        """Asks how many profiles it takes beside each other."""

    @abstractmethod
    def _room_told(self, answer: Answer) -> Room | None:
        """What an answer says of that; None: nothing."""

    @abstractmethod
    def floor_requests(self, now: datetime) -> tuple[Request, ...]:
        """The profiles that hold when nobody is heard."""

    @abstractmethod
    def state_requests(self) -> tuple[Request, ...]:
        """What makes a charger that came back without booting tell its state."""

    @abstractmethod
    def password_request(self, password: str) -> Request:
        """Gives the charger a new password for its next connection."""

    @abstractmethod
    def password_taken(self, answer: Answer) -> bool:
        """Whether it took it."""

    @abstractmethod
    def wake_request(self, step: WakeStep) -> Request:
        """One step of a wake-up sequence."""

    def _on_call(self, call: Call, context: Context) -> Received:
        dialect = self.dialect
        handler = dialect.handlers.get(call.action)
        if handler is None:
            known = schemas.knows(dialect.schemas, call.action)
            code = RpcErrorCode.NOT_SUPPORTED if known else RpcErrorCode.NOT_IMPLEMENTED
            text = f"{call.action[:50]} is not offered here"
            return self._malformed(context, text, self._refusal(call.message_id, code, text))
        try:
            schemas.validate(dialect.schemas, f"{call.action}Request", call.payload)
        except PayloadError as error:
            reply = self._refusal(call.message_id, error.code, error.description)
            return self._malformed(context, f"{call.action}: {error.description}", reply)
        handled = handler(self.state, call.payload, context)
        schemas.validate(dialect.schemas, f"{call.action}Response", handled.response)
        self.state = handled.state
        if call.action in TELLING:
            self.told = TELLING[call.action](self.told, call.payload, context.now)
        return self._watched(handled, frames.result_text(call.message_id, handled.response), context)

    def _watched(self, handled: Handled, reply: str, context: Context) -> Received:
        """What a message brought, with what its meter values show of the charger's obedience."""
        readings, notices, requests = handled.readings, handled.notices, tuple[Request, ...]()
        point = self.charge_point.id
        if (handled.booted or handled.state.plugged is False) and self._watch.forget():
            readings = (*readings, ObedienceReading(charge_point=point, at=context.now, ignores=False))
        for reading in handled.readings:
            if not isinstance(reading, MeterReading) or reading.power_kw is None:
                continue
            found = self._watch.measured(reading.power_kw, reading.at)
            if found is None:
                continue
            match found:
                case Finding.IGNORES:
                    text = (
                        f"{IGNORED_INTERVALS} samples beyond its setpoint, the last {reading.power_kw:g} kW"
                    )
                    notices = (*notices, context.notice(NoticeCode.IGNORES_PROFILE, text))
                    readings = (
                        *readings,
                        ObedienceReading(charge_point=point, at=context.now, ignores=True),
                    )
                case Finding.FOLLOWS:
                    readings = (
                        *readings,
                        ObedienceReading(charge_point=point, at=context.now, ignores=False),
                    )
                case Finding.ASLEEP:
                    requests = tuple(self.wake_request(step) for step in self.template.wake_up)
                    text = "the car takes nothing although its pause is over"
                    notices = (*notices, context.notice(NoticeCode.ASLEEP, text))
        return Received(reply, readings, notices, None, handled.booted, requests, handled.certificate_request)

    def _on_send(self, send: Send, context: Context) -> Received:
        if send.action != self.dialect.stream:
            return self._malformed(context, f"{send.action[:50]} is not sent without an answer", None)
        try:
            schemas.validate(self.dialect.schemas, self.dialect.stream, send.payload)
        except PayloadError as error:
            return self._malformed(context, f"{send.action}: {error.description}", None)
        return Received()

    def _on_result(self, result: CallResult, context: Context) -> Received:
        if self._open is None or self._open[0] != result.message_id:
            return self._unexpected(context, result.message_id)
        action = self._open[1]
        self._open = None
        try:
            schemas.validate(self.dialect.schemas, f"{action}Response", result.payload)
        except PayloadError as error:
            answer = Answer(action=action, payload={}, error=error.code.value, description=error.description)
            complains = self.dialect.newest_kind > frames.CALLERROR
            return Received(
                reply=frames.result_error_text(result.message_id, error.code, error.description)
                if complains
                else None,
                notices=(context.notice(NoticeCode.MALFORMED, f"answer to {action}: {error.description}"),),
                answer=answer,
                malformed=True,
            )
        answer = Answer(action=action, payload=result.payload)
        return Received(answer=answer, notices=self._room_notices(answer, context))

    def _room_notices(self, answer: Answer, context: Context) -> tuple[Notice, ...]:
        """Learns from an answer how many profiles the charger keeps; a notice where they are few."""
        room = self._room_told(answer)
        if room is None or room == self.room:
            return ()
        self.room = room
        return (context.notice(NoticeCode.FEW_PROFILES, SCARCE_TEXT),) if room.is_scarce else ()

    def _on_error(self, error: CallError, context: Context) -> Received:
        if self._open is None or self._open[0] != error.message_id:
            return self._unexpected(context, error.message_id)
        action = self._open[1]
        self._open = None
        return Received(
            answer=Answer(
                action=action, payload={}, error=error.code or "GenericError", description=error.description
            )
        )

    def _refusal(self, message_id: str | int, code: RpcErrorCode, description: str) -> str:
        """A CALLERROR in this version's spelling."""
        name = self.dialect.error_names.get(code, code.value)
        return frames.error_text(message_id, name, description)

    def _unexpected(self, context: Context, message_id: str) -> Received:
        text = f"an answer to {message_id}, which is not open"
        return Received(notices=(context.notice(NoticeCode.UNEXPECTED_ANSWER, text),))

    def _malformed(self, context: Context, text: str, reply: str | None) -> Received:
        notice = context.notice(NoticeCode.MALFORMED, text)
        return Received(reply=reply, notices=(notice,), malformed=True)


class Version:
    """A version of the protocol, made from its session class; implements `drivers.ocpp.codec.Codec`."""

    session_class: type[BaseSession]

    @property
    def subprotocol(self) -> str:
        """The name in the WebSocket handshake."""
        return self.session_class.dialect.subprotocol

    def session(
        self,
        charge_point: ChargePoint,
        *,
        verdict: Callable[[str], Verdict],
        template: ChargerTemplate = PLAIN_TEMPLATE,
        floor: FloorHours = NOTHING,
        signs: bool = False,
    ) -> BaseSession:
        """A fresh session with one charger."""
        return self.session_class(charge_point, verdict=verdict, template=template, floor=floor, signs=signs)

    def prepare(self) -> None:
        """Compiles the schemas of every message that a usual day brings."""
        dialect = self.session_class.dialect
        for action in dialect.usual:
            schemas.compile_schema(dialect.schemas, f"{action}Request")
            schemas.compile_schema(dialect.schemas, f"{action}Response")
