"""The seam between a simulated charger and the version of OCPP that it speaks.

The charger's core knows what happened; a dialect knows how it is said. A message of a transaction is
addressed only when it is sent, because in 1.6 it is the CSMS that numbers transactions, and a charger that
was off line hears the number after it has queued the rest.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from drivers.ocpp import frames, schemas
from drivers.ocpp.frames import Call, Payload, RpcErrorCode
from drivers.ocpp.schemas import PayloadError

if TYPE_CHECKING:
    from sim.chargers.core import ChargerCore

VENDOR, MODEL, FIRMWARE = "Wijkstroom simulator", "Two-way 11", "1.0"

type Sample = tuple[Registers, str]
"""The meter at a moment, and in which context it is told."""
type Handler = Callable[[ChargerCore, Payload], Payload]
"""Answers a validated request of the CSMS."""


class ChargerPhysics(Protocol):
    """The socket and the car on it, as the simulated world has them."""

    def plugged_token(self) -> str | None:
        """The identification of the car that is plugged in; empty: it tells none; None: no car."""
        ...

    def soc_fraction(self) -> float:
        """The car's state of charge, 0 to 1."""
        ...

    def capacity_kwh(self) -> float:
        """The car's battery [kWh]."""
        ...

    def car_charge_kw_max(self) -> float:
        """The most that the car takes [kW]."""
        ...

    def car_discharge_kw_max(self) -> float:
        """The most that the car gives, a magnitude [kW]; 0: it does not."""
        ...

    def power_kw(self) -> float:
        """AC power now, positive = charging [kW]."""
        ...

    def import_wh(self) -> float:
        """The charger's register of energy drawn [Wh]."""
        ...

    def export_wh(self) -> float:
        """The charger's register of energy fed in [Wh]."""
        ...

    def request_kw(self, power_kw: float) -> None:
        """Tells the electronics what to do from now on [kW]."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Registers:
    """The meter at a moment."""

    at: datetime
    import_wh: float
    export_wh: float
    power_kw: float
    soc_fraction: float | None
    """None: no car."""
    capacity_kwh: float | None = None
    """Told at the start and when asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What every message of a transaction repeats."""

    transaction: str
    """The charger's own name for it."""
    token: str
    at: datetime
    moving: bool
    """Whether energy flows."""
    sequence: int
    offline: bool


@dataclass(slots=True)
class Message:
    """A message that waits to be sent."""

    action: str
    payload: Payload
    kept: bool = False
    """Whether it is kept while the link is away, and sent again until it is answered."""
    transaction: str = ""
    """1.6: whose number is to be filled in when it is sent."""
    attempts: int = 0
    repeated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the answer to a message says of its transaction."""

    transaction: str
    token: str
    status: str | None = None
    """Of the token; None: nothing was said."""
    number: int | None = None
    """1.6: by which the CSMS knows the transaction."""


class Dialect(ABC):
    """How one version says things."""

    subprotocol: str
    schemas: str
    """The version's schemas: `v16`."""

    def __init__(self, text: Callable[[datetime], str]) -> None:
        """A dialect.

        Args:
            text: How this charger writes a moment; see `faults.clock_text`.
        """
        self.text = text

    @property
    @abstractmethod
    def handlers(self) -> Mapping[str, Handler]:
        """The requests of the CSMS that it answers, by action."""

    @abstractmethod
    def boot(self) -> Message:
        """The station introduces itself."""

    @abstractmethod
    def status(self, at: datetime, *, occupied: bool, transaction: bool, moving: bool) -> Message:
        """The one connector's status."""

    @abstractmethod
    def started(self, facts: Facts, sample: Sample, *, known: bool) -> list[Message]:
        """A transaction began; `known`: the charger itself knows the token."""

    @abstractmethod
    def updated(self, trigger: str, facts: Facts, samples: list[Sample], *, named: bool) -> list[Message]:
        """A transaction goes on; `named`: its token is told once more."""

    @abstractmethod
    def ended(self, trigger: str, reason: str, facts: Facts, samples: list[Sample]) -> list[Message]:
        """A transaction ended."""

    @abstractmethod
    def metered(self, samples: list[Sample]) -> Message:
        """The meter outside a transaction."""

    @abstractmethod
    def needs(self, at: datetime, physics: ChargerPhysics, *, two_way: bool) -> list[Message]:
        """What the car says of itself by ISO 15118; empty in a version that has no words for it."""

    def addressed(self, message: Message, numbers: Mapping[str, int]) -> Payload:
        """The payload as it is sent, its transaction named as the CSMS knows it."""
        del numbers
        return message.payload

    @abstractmethod
    def verdict(self, message: Message, answer: Payload) -> Verdict | None:
        """What an answer says of a transaction and its token; None: nothing."""

    def reply_to(self, charger: ChargerCore, call: Call) -> str:
        """The text of the answer to a call of the CSMS."""
        handler = self.handlers.get(call.action)
        if handler is None:
            known = schemas.knows(self.schemas, call.action)
            code = RpcErrorCode.NOT_SUPPORTED if known else RpcErrorCode.NOT_IMPLEMENTED
            return frames.error_text(call.message_id, code, f"{call.action[:50]} is not offered here")
        try:
            schemas.validate(self.schemas, f"{call.action}Request", call.payload)
        except PayloadError as error:
            return frames.error_text(call.message_id, error.code, error.description)
        return frames.result_text(call.message_id, handler(charger, call.payload))
