"""The seam between the endpoint and a version of OCPP.

The endpoint negotiates a subprotocol and asks its codec for a session per charger. A session is a pure
state machine: it takes a message and the time and gives back what to send and what was learned; it never
waits, never sends. Everything that differs between versions is behind these Protocols.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Protocol

from controller.domain.assets import ChargePoint
from controller.domain.charger_tools import StationFacts
from controller.domain.chargers import PLAIN_TEMPLATE, ChargerTemplate
from controller.domain.charging_tokens import Verdict
from controller.domain.errors import WijkstroomError
from controller.domain.floor import NOTHING, FloorHours
from controller.domain.setpoints import Outcome, Setpoint
from controller.domain.telemetry import Reading
from drivers.ocpp.frames import Payload

NOTICE_LENGTH_MAX = 500
"""Characters: what a charger wrote may stand in a notice, and a frame of it has up to a hundred thousand."""


class NoticeCode(StrEnum):
    """What a charger did that an operator may want to know; none of it stops the loop."""

    MALFORMED = "malformed"
    """A frame or payload that broke the protocol."""
    CLOCK_UNSET = "clock_unset"
    """A timestamp from before any charger was built (1970)."""
    CLOCK_AHEAD = "clock_ahead"
    """A timestamp in the future."""
    CLOCK_LOCAL = "clock_local"
    """Local time labelled as UTC."""
    CLOCK_UNREADABLE = "clock_unreadable"
    """A timestamp that no calendar has."""
    CLOCK_BEHIND = "clock_behind"
    """Older than any queue of a charger would keep."""
    DUPLICATE = "duplicate"
    """The same transaction event twice."""
    UNKNOWN_TRANSACTION = "unknown_transaction"
    """An end for a transaction whose start was never seen."""
    REGISTER_BACKWARDS = "register_backwards"
    """An energy register fell: the value is quarantined."""
    REGISTER_LEAPS = "register_leaps"
    """An energy register rose by more than the charger can move: quarantined as well."""
    FAULTED = "faulted"
    """The connector is out of order, so whether a car is there is unknown."""
    IMPLAUSIBLE = "implausible"
    """A measured value that cannot be."""
    UNKNOWN_TOKEN = "unknown_token"  # noqa: S105  # a code's name, not a secret
    """Somebody identified themselves with a token that is not ours, or that is blocked."""
    UNEXPECTED_ANSWER = "unexpected_answer"
    """An answer to nothing that is open: late, or made up."""
    IGNORES_PROFILE = "ignores_profile"
    """It draws or gives more than the setpoint that it took."""
    ASLEEP = "asleep"
    """The car takes nothing although its pause is over."""
    DOWNGRADE = "downgrade"
    """It offered only versions older than one that it has spoken: not let in."""
    CERTIFICATE = "certificate"
    """A certificate was asked for that is not signed, or refused once signed."""
    FEW_PROFILES = "few_profiles"
    """It keeps one profile of each purpose: no setpoint can wait for a transaction that is yet to begin."""
    PROFILE_REFUSED = "profile_refused"
    """A default profile was refused: what the charger does on its own is its maker's choice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One thing that went not by the book."""

    charge_point: str
    at: datetime
    code: NoticeCode
    text: str
    """A sentence with the figures; what is longer than a notice may be is cut off."""

    def __post_init__(self) -> None:
        """Cuts what is too long."""
        if len(self.text) > NOTICE_LENGTH_MAX:
            object.__setattr__(self, "text", f"{self.text[: NOTICE_LENGTH_MAX - 1]}…")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A message that we want to send to a charger."""

    action: str
    payload: Payload


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a charger said to a request."""

    action: str
    payload: Payload
    """Empty after an error."""
    error: str = ""
    """The code of a CALLERROR, or of our own complaint about the answer's form; empty: it answered."""
    description: str = ""


class CertificateRequest(NamedTuple):
    """What is to be signed and sent back."""

    pem: str
    """The signing request."""
    echo: Payload
    """What the answer has to repeat."""


class Received(NamedTuple):
    """What one message brought; a tuple, because one is made for every message of every charger."""

    reply: str | None = None
    """The text to send back."""
    readings: tuple[Reading, ...] = ()
    notices: tuple[Notice, ...] = ()
    answer: Answer | None = None
    """The answer to our open request."""
    booted: bool = False
    """The charger started anew: its profiles are to be laid again."""
    requests: tuple[Request, ...] = ()
    """What is to be asked of the charger because of it."""
    certificate_request: CertificateRequest | None = None
    malformed: bool = False


class CallInFlightError(WijkstroomError):
    """A second request while one is open: OCPP allows one per direction (Part 4, section 4.1.1)."""


class Session(Protocol):
    """What is known of one charger, and the rules of its protocol version."""

    @property
    def charge_point(self) -> ChargePoint:
        """The charger."""
        ...

    @property
    def schemas(self) -> str:
        """The folder of the version's schemas (`v21`)."""
        ...

    @property
    def told(self) -> StationFacts:
        """What the charger told of itself."""
        ...

    @property
    def open_transaction(self) -> str | None:
        """The transaction that goes on."""
        ...

    @property
    def ended_transactions(self) -> tuple[str, ...]:
        """The latest that ended, the newest last."""
        ...

    def link_up(self) -> None:
        """A new connection: an open request of the old one will never be answered."""
        ...

    def receive(self, message: str | bytes, now: datetime) -> Received:
        """Takes one message. One that breaks the protocol is answered and leaves the state unchanged."""
        ...

    def call(self, request: Request) -> str:
        """The text of a request, which is open from now on.

        Raises:
            CallInFlightError: If one is open already.
            PayloadError: If the request breaks its own schema.
        """
        ...

    def abandon(self) -> None:
        """Gives up the open request; its late answer will be dropped."""
        ...

    def power_request(self, setpoint: Setpoint, now: datetime) -> Request | Outcome:
        """How a setpoint is said in this version, or why it is not said at all."""
        ...

    def power_outcome(self, setpoint: Setpoint, answer: Answer, now: datetime) -> Outcome:
        """What the charger's answer means for the setpoint."""
        ...

    def room_request(self) -> Request:
        """Asks how many profiles it takes beside each other; the session reads the answer."""
        ...

    def floor_requests(self, now: datetime) -> tuple[Request, ...]:
        """The profiles that hold when nobody is heard: the most it may ever do, and its hours."""
        ...

    def state_requests(self) -> tuple[Request, ...]:
        """What makes a charger that came back without booting tell its state."""
        ...

    def password_request(self, password: str) -> Request:
        """Gives the charger a new password for its next connection."""
        ...

    def password_taken(self, answer: Answer) -> bool:
        """Whether it took it."""
        ...


class Codec(Protocol):
    """A version of the protocol."""

    @property
    def subprotocol(self) -> str:
        """The name in the WebSocket handshake: `ocpp2.1`."""
        ...

    def session(
        self,
        charge_point: ChargePoint,
        *,
        verdict: Callable[[str], Verdict],
        template: ChargerTemplate = PLAIN_TEMPLATE,
        floor: FloorHours = NOTHING,
        signs: bool = False,
    ) -> Session:
        """A fresh session with one charger, which may charge by itself in the hours of its floor."""
        ...

    def prepare(self) -> None:
        """Does the slow work (compiling schemas) before the first connection."""
        ...
