"""A session with one OCPP 2.1 charger: frames in, replies and readings out, no I/O.

Each message is read, validated and handled before anything is kept: one that breaks the protocol gets its
CALLERROR (or, a wrong answer, its CALLRESULTERROR) and leaves the state as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from controller.domain.assets import ChargePoint
from controller.domain.setpoints import Outcome, Setpoint
from drivers.ocpp import frames, schemas
from drivers.ocpp.codec import Answer, CallInFlightError, NoticeCode, Received, Request
from drivers.ocpp.frames import Call, CallError, CallResult, CallResultError, RpcErrorCode, Send
from drivers.ocpp.schemas import PayloadError
from drivers.ocpp.v21 import requests
from drivers.ocpp.v21.handlers import HANDLERS
from drivers.ocpp.v21.state import ChargerState, Context

VERSION = "v21"
_STREAM = "NotifyPeriodicEventStream"
"""The one action of 2.1 that is sent without an answer."""

_USUAL = (
    "Authorize",
    "BootNotification",
    "Heartbeat",
    "MeterValues",
    "NotifyEVChargingNeeds",
    "SetChargingProfile",
    "StatusNotification",
    "TransactionEvent",
    "TriggerMessage",
)


class Ocpp21:
    """The codec of OCPP 2.1."""

    @property
    def subprotocol(self) -> str:
        """Its name in the WebSocket handshake."""
        return "ocpp2.1"

    def session(self, charge_point: ChargePoint, *, knows_token: Callable[[str], bool]) -> Session21:
        """A fresh session with one charger."""
        return Session21(charge_point, knows_token=knows_token)

    def prepare(self) -> None:
        """Compiles the schemas of every message that a usual day brings."""
        for action in _USUAL:
            schemas.compile_schema(VERSION, f"{action}Request")
            schemas.compile_schema(VERSION, f"{action}Response")


class Session21:
    """One charger's session; it outlives connections, as transactions do."""

    def __init__(self, charge_point: ChargePoint, *, knows_token: Callable[[str], bool]) -> None:
        self.charge_point = charge_point
        self.state = ChargerState()
        """Read-only for others."""
        self._knows_token = knows_token
        self._open: tuple[str, str] | None = None
        """Message id and action of our open request."""
        self._requests_sent = 0

    def link_up(self) -> None:
        """A new connection: an open request of the old one will never be answered."""
        self._open = None

    def receive(self, message: str | bytes, now: datetime) -> Received:
        """Takes one message; see `drivers.ocpp.codec.Session.receive`."""
        context = Context(point=self.charge_point, now=now, knows_token=self._knows_token)
        try:
            frame = frames.parse(message)
        except frames.FrameError as error:
            reply = frames.error_text(error.message_id, error.code, error.description)
            return self._malformed(context, str(error), reply if error.answer else None)
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
        schemas.validate(VERSION, f"{request.action}Request", request.payload)
        self._requests_sent += 1
        message_id = f"w{self._requests_sent}"
        text = frames.call_text(message_id, request.action, request.payload)
        self._open = (message_id, request.action)
        return text

    def abandon(self) -> None:
        """Gives up the open request; its late answer will be dropped."""
        self._open = None

    def power_request(self, setpoint: Setpoint, now: datetime) -> Request | Outcome:
        """A setpoint as a charging profile, or why it is not said at all."""
        return requests.power_request(setpoint, self.charge_point, self.state.transaction, now)

    def power_outcome(self, setpoint: Setpoint, answer: Answer) -> Outcome:
        """What the charger's answer means for the setpoint."""
        return requests.power_outcome(setpoint, self.charge_point, answer)

    def floor_requests(self, now: datetime) -> tuple[Request, ...]:
        """The profiles that hold when nobody is heard."""
        return requests.floor_requests(self.charge_point, now)

    def state_requests(self) -> tuple[Request, ...]:
        """What makes a charger that came back without booting tell its state."""
        return requests.state_requests()

    def _on_call(self, call: Call, context: Context) -> Received:
        handler = HANDLERS.get(call.action)
        if handler is None:
            known = schemas.knows(VERSION, call.action)
            code = RpcErrorCode.NOT_SUPPORTED if known else RpcErrorCode.NOT_IMPLEMENTED
            text = f"{call.action[:50]} is not offered here"
            return self._malformed(context, text, frames.error_text(call.message_id, code, text))
        try:
            schemas.validate(VERSION, f"{call.action}Request", call.payload)
        except PayloadError as error:
            reply = frames.error_text(call.message_id, error.code, error.description)
            return self._malformed(context, f"{call.action}: {error.description}", reply)
        handled = handler(self.state, call.payload, context)
        schemas.validate(VERSION, f"{call.action}Response", handled.response)
        self.state = handled.state
        return Received(
            reply=frames.result_text(call.message_id, handled.response),
            readings=handled.readings,
            notices=handled.notices,
            booted=handled.booted,
        )

    def _on_send(self, send: Send, context: Context) -> Received:
        if send.action != _STREAM:
            return self._malformed(context, f"{send.action[:50]} is not sent without an answer", None)
        try:
            schemas.validate(VERSION, _STREAM, send.payload)
        except PayloadError as error:
            return self._malformed(context, f"{send.action}: {error.description}", None)
        return Received()

    def _on_result(self, result: CallResult, context: Context) -> Received:
        if self._open is None or self._open[0] != result.message_id:
            return self._unexpected(context, result.message_id)
        action = self._open[1]
        try:
            schemas.validate(VERSION, f"{action}Response", result.payload)
        except PayloadError as error:
            self._open = None
            answer = Answer(action=action, payload={}, error=error.code.value, description=error.description)
            return Received(
                reply=frames.result_error_text(result.message_id, error.code, error.description),
                notices=(context.notice(NoticeCode.MALFORMED, f"answer to {action}: {error.description}"),),
                answer=answer,
                malformed=True,
            )
        self._open = None
        return Received(answer=Answer(action=action, payload=result.payload))

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

    def _unexpected(self, context: Context, message_id: str) -> Received:
        text = f"an answer to {message_id}, which is not open"
        return Received(notices=(context.notice(NoticeCode.UNEXPECTED_ANSWER, text),))

    def _malformed(self, context: Context, text: str, reply: str | None) -> Received:
        notice = context.notice(NoticeCode.MALFORMED, text)
        return Received(reply=reply, notices=(notice,), malformed=True)
