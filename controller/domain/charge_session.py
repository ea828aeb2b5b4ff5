"""A charge session from its start to its record: what happened at a socket, and what it costs.

The energy is the difference of the meter's own registers, never a sum of powers. What the car gave back while
it stood there is taken off, so nobody pays twice for the same kWh. The car idles from the moment that it asks
for no more power; if it asks again, that time is forgotten: a car that only waits for us never idles.

Once over, a session becomes a charge detail record (CDR), or it says why it cannot: without a first and a
last register nobody knows what was charged, and unknown is not 0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID, uuid5

from controller.domain.charge_tariff import ChargeTariff, SessionCost, session_cost
from controller.domain.ids import AssetId
from controller.domain.telemetry import RegisterReading, SignedReading

_IDS = UUID("6f1e1c0e-3c1b-5d7a-9f6e-0c7f3a2b9d41")
"""The name space of session ids."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeSession:
    """One transaction at a socket as far as it is known; values of it are replaced, never changed."""

    id: str
    """The same for the same charge point and transaction; at most 36 characters."""
    charge_point: AssetId
    transaction: str
    """As in OCPP."""
    started_at: datetime
    tariff: ChargeTariff | None
    """What was posted at the start; None: nothing was."""
    token: str | None = None
    """The identification that started it; None while nobody has said."""
    first: RegisterReading | None = None
    last: RegisterReading | None = None
    first_signed: SignedReading | None = None
    last_signed: SignedReading | None = None
    idle_since: datetime | None = None
    """Since when the car asks for no power; None: it does, or waits for us."""
    ended_at: datetime | None = None
    """None while it goes on."""
    end_reason: str = ""

    @property
    def import_wh(self) -> int | None:
        """What was drawn [Wh]; None: not known."""
        if self.first is None or self.last is None:
            return None
        return self.last.import_wh - self.first.import_wh

    @property
    def export_wh(self) -> int | None:
        """What was given back [Wh]; None: not known."""
        if self.first is None or self.last is None:
            return None
        if self.first.export_wh is None or self.last.export_wh is None:
            return None
        return self.last.export_wh - self.first.export_wh

    @property
    def energy_wh(self) -> int | None:
        """What the car took and kept [Wh], at least 0; None: not known."""
        if self.import_wh is None:
            return None
        return max(0, self.import_wh - (self.export_wh or 0))

    def idle(self, now: datetime) -> timedelta:
        """How long the car has stayed since it last asked for power."""
        end = now if self.ended_at is None else self.ended_at
        return timedelta(0) if self.idle_since is None else max(timedelta(0), end - self.idle_since)

    def cost(self, now: datetime) -> SessionCost | None:
        """What it costs as far as it went; None: no tariff was posted, or the energy is not known."""
        if self.tariff is None or self.energy_wh is None:
            return None
        return session_cost(self.tariff, energy_wh=self.energy_wh, idle=self.idle(now))

    def with_token(self, token: str) -> ChargeSession:
        """With who started it, once that is known."""
        return self if self.token is not None else replace(self, token=token)

    def with_registers(self, reading: RegisterReading) -> ChargeSession:
        """With a reading of the meter.

        Readings may come late and in any order: the earliest and the latest of the session count. One from
        outside its time says nothing of it.
        """
        if reading.at < self.started_at or (self.ended_at is not None and reading.at > self.ended_at):
            return self
        first = reading if self.first is None or reading.at < self.first.at else self.first
        last = reading if self.last is None or reading.at >= self.last.at else self.last
        return replace(self, first=first, last=last)

    def with_signed(self, signed: SignedReading) -> ChargeSession:
        """With a signed statement of the meter: the earliest and the latest are kept."""
        first, last = self.first_signed, self.last_signed
        if first is None or signed.at < first.at:
            first = signed
        if last is None or signed.at >= last.at:
            last = signed
        return replace(self, first_signed=first, last_signed=last)

    def with_demand(self, at: datetime, *, asks: bool) -> ChargeSession:
        """With whether the car asks for power: it idles from the first moment that it does not."""
        if asks:
            return self if self.idle_since is None else replace(self, idle_since=None)
        return self if self.idle_since is not None else replace(self, idle_since=max(at, self.started_at))

    def ended(self, at: datetime, reason: str = "") -> ChargeSession:
        """With its end, which comes once; it is never before its start or its latest reading."""
        if self.ended_at is not None:
            return self
        known = [moment for moment in (self.started_at, at, self.last.at if self.last else None) if moment]
        return replace(self, ended_at=max(known), end_reason=reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cdr:
    """A charge detail record: a session that is over, with what it costs. It never changes."""

    session: ChargeSession
    energy_wh: int
    """What is paid for."""
    duration: timedelta
    idle: timedelta
    """From the moment that the car asked for no more power to the end, the grace included."""
    cost: SessionCost
    """Exact; `cost.total.cents` is what is paid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoCdr:
    """Why a session has no record."""

    session: ChargeSession
    why: str


def begin_session(
    *,
    charge_point: AssetId,
    transaction: str,
    at: datetime,
    tariff: ChargeTariff | None,
    token: str | None = None,
) -> ChargeSession:
    """A session that starts; the same transaction always gets the same id."""
    return ChargeSession(
        id=str(uuid5(_IDS, f"{charge_point}/{transaction}")),
        charge_point=charge_point,
        transaction=transaction,
        started_at=at,
        tariff=tariff,
        token=token,
    )


def make_cdr(session: ChargeSession) -> Cdr | NoCdr:
    """The record of a session, or why there is none."""
    if session.ended_at is None:
        return NoCdr(session=session, why="the session goes on")
    if session.first is None or session.last is None or session.energy_wh is None:
        return NoCdr(session=session, why="the meter's registers are not known")
    fell = session.last.import_wh - session.first.import_wh < 0 or (session.export_wh or 0) < 0
    if fell:
        return NoCdr(session=session, why="a register of the meter is lower at the end than at the start")
    if session.tariff is None:
        return NoCdr(session=session, why="no tariff was posted when it started")
    idle = session.idle(session.ended_at)
    return Cdr(
        session=session,
        energy_wh=session.energy_wh,
        duration=session.ended_at - session.started_at,
        idle=idle,
        cost=session_cost(session.tariff, energy_wh=session.energy_wh, idle=idle),
    )
