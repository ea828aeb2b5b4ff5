"""What a session remembers of a charger. Frozen: a message makes a new state or leaves the old one.

What is made anew for every message of every charger is a tuple, which costs half of a frozen dataclass.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from controller.domain.assets import ChargePoint
from controller.domain.chargers import PLAIN_TEMPLATE, ChargerTemplate, TwoWay
from controller.domain.charging_tokens import Verdict
from controller.domain.telemetry import CarReading, ConnectorReading, Reading
from drivers.ocpp.codec import CertificateRequest, Notice, NoticeCode
from drivers.ocpp.frames import Payload

_ENDED_KEPT = 8
"""Ended transactions that are remembered, to know a replayed end again."""
NO_CAR_FACTS = "the car tells nothing of its battery (no ISO 15118-20)"


class CarFacts(NamedTuple):
    """What the car on the charger has told since it was plugged in."""

    soc_fraction: float | None = None
    capacity_kwh: float | None = None
    charge_kw_max: float | None = None
    discharge_kw_max: float | None = None
    soc_at: datetime | None = None
    """When `soc_fraction` was told."""


NO_FACTS = CarFacts()


class Registers(NamedTuple):
    """The newest energy registers."""

    import_wh: int | None = None
    export_wh: int | None = None
    at: datetime | None = None
    """When they were read."""


NO_REGISTERS = Registers()


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenTransaction:
    """The transaction that goes on."""

    id: str
    token: str | None
    """Who started it; None while nobody has said."""
    at: datetime
    """Of its latest event."""
    last_event: tuple[str, int, str] | None = None
    """2.x: kind, number and time of the event that came last, as the charger wrote them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbered:
    """A transaction of OCPP 1.6 and the number that we gave it; the same start again gets the same one."""

    number: int
    token: str
    started: str
    """The timestamp as the charger wrote it."""
    meter_start_wh: int


class ChargerState(NamedTuple):
    """One charger with one connector."""

    plugged: bool | None = None
    """None: not known."""
    open: OpenTransaction | None = None
    ended: tuple[str, ...] = ()
    """The latest transactions that ended."""
    registers: Registers = NO_REGISTERS
    car: CarFacts = NO_FACTS
    numbered: tuple[Numbered, ...] = ()
    """1.6: the latest transactions, to which we give the numbers."""
    left: OpenTransaction | None = None
    """The one that was open when the connector was told to be free: off line, its end may come after that."""

    @property
    def transaction(self) -> str | None:
        """The open transaction's id."""
        return None if self.open is None else self.open.id

    def known(self, transaction: str) -> OpenTransaction | None:
        """What is known of a transaction that is open, or whose car has just left."""
        return next(
            (one for one in (self.open, self.left) if one is not None and one.id == transaction), None
        )

    def with_samples(self, registers: Registers, car: CarFacts) -> ChargerState:
        """The state after meter values; written out, because every message of a charger comes by here."""
        return ChargerState(self.plugged, self.open, self.ended, registers, car, self.numbered, self.left)

    def with_end_of(self, transaction: str) -> ChargerState:
        """The state that remembers a transaction's end; an open one of that name is closed."""
        ended = (*self.ended, transaction)[-_ENDED_KEPT:]
        still_open = None if transaction == self.transaction else self.open
        return self._replace(ended=ended, open=still_open)

    def unplugged(self) -> ChargerState:
        """The state without a car; what it told leaves with it."""
        return self._replace(plugged=False, open=None, car=NO_FACTS, left=self.open or self.left)


class Context(NamedTuple):
    """What a handler needs beside state and payload."""

    point: ChargePoint
    now: datetime
    """Domain time, UTC."""
    verdict: Callable[[str], Verdict]
    template: ChargerTemplate = PLAIN_TEMPLATE
    signs: bool = False
    """Whether we sign certificates."""

    def notice(self, code: NoticeCode, text: str) -> Notice:
        """A notice about this charger, now."""
        return Notice(charge_point=self.point.id, at=self.now, code=code, text=text)

    def connector(self, state: ChargerState, at: datetime) -> ConnectorReading:
        """The connector as it stands."""
        return ConnectorReading(
            charge_point=self.point.id,
            at=at,
            plugged=bool(state.plugged),
            token=None if state.open is None else state.open.token,
            transaction=state.transaction,
        )

    def car(self, facts: CarFacts, at: datetime) -> CarReading:
        """The car as far as it has told."""
        silent = facts.soc_fraction is None and facts.capacity_kwh is None
        return CarReading(
            charge_point=self.point.id,
            at=at,
            soc_fraction=facts.soc_fraction,
            soc_at=facts.soc_at,
            capacity_kwh=facts.capacity_kwh,
            charge_kw_max=facts.charge_kw_max,
            discharge_kw_max=self._offered_kw(facts),
            why_unknown=NO_CAR_FACTS if silent else "",
        )

    def _offered_kw(self, facts: CarFacts) -> float | None:
        """What the car offers to give; versions without such a message have the template's word for it."""
        if facts.discharge_kw_max is None and self.template.two_way is not TwoWay.NONE:
            return self.point.discharge_kw_max
        return facts.discharge_kw_max


class Handled(NamedTuple):
    """A handler's decision."""

    state: ChargerState
    response: Payload
    readings: tuple[Reading, ...] = ()
    notices: tuple[Notice, ...] = ()
    booted: bool = False
    certificate_request: CertificateRequest | None = None


type Handler = Callable[[ChargerState, Payload, Context], Handled]
"""State, payload and context in; the decision out. Pure."""
