"""The guests' sessions that are open: what devices tell of them, and how they are kept.

Every event changes a session in memory and marks it; whoever does the next thing for it keeps it first. So
the store is never behind what was done outside.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pydantic import TypeAdapter

from controller.domain.guests import (
    ADMITTED,
    Asked,
    Began,
    Event,
    GuestSession,
    Metered,
    Over,
    Stage,
    after,
)
from controller.domain.ids import AssetId
from controller.domain.telemetry import (
    ConnectorReading,
    MeterReading,
    Reading,
    RegisterReading,
    TransactionPhase,
    TransactionReading,
)
from controller.runtime.charging import lets_charge
from controller.runtime.charging_ports import GuestRecord
from controller.runtime.charging_tokens import ChargingTokens
from controller.runtime.core import Controller
from controller.runtime.on_loop import OnLoop

UNNAMED_MAX = timedelta(minutes=10)
"""A charger that does not name the transaction for so long has ended it."""
LAST_WORD = timedelta(minutes=2)
"""So long a charger whose car has left may take to tell the end with its last register."""
SESSION: TypeAdapter[GuestSession] = TypeAdapter(GuestSession)
"""How a session is written down."""


@dataclass
class Step:
    """What is remembered of a session beside itself."""

    failures: int = 0
    refusals: int = 0
    """How often in this stage the provider refused the call."""
    unsure: bool = False
    """Whether a call of this stage may have been carried out without an answer."""
    not_before_s: float = 0.0
    unnamed_since: datetime | None = None
    """Since when a charger with a car on it names no transaction, though one should run."""
    left_at: datetime | None = None
    """When the car left, while the charger's last word is waited for."""
    unsaved: bool = False


class GuestSessions(OnLoop):
    """The open sessions of a running controller."""

    def __init__(
        self, controller: Controller, loop: asyncio.AbstractEventLoop, tokens: ChargingTokens
    ) -> None:
        super().__init__(controller, loop)
        self._tokens = tokens
        self._open: dict[str, GuestSession] = {}
        """Sessions of which something is still to be done, by id."""
        self._secret_hashes: dict[str, str] = {}
        """Of the open ones, by id."""
        self._steps: dict[str, Step] = {}
        self._registers: dict[AssetId, RegisterReading] = {}
        """The newest of each socket."""
        self._wake = asyncio.Event()

    async def load(self) -> None:
        """Reads the sessions that were open when we stopped."""
        async with self.controller.store.unit() as unit:
            records = await unit.open_guests()
        for record in records:
            session = SESSION.validate_json(record.content)
            self._open[session.id], self._steps[session.id] = session, Step()
            self._secret_hashes[session.id] = record.secret_hash
        self._admit()

    def hear(self, reading: Reading) -> None:
        """Learns from a reading what became of sessions; on the control loop."""
        match reading:
            case TransactionReading():
                for session in self._at(reading.charge_point):
                    self._hear_transaction(session, reading)
            case MeterReading(import_wh=int(import_wh)):
                point = AssetId(reading.meter)
                if point not in self.controller.site.charge_point_by_id:
                    return
                register = RegisterReading(at=reading.at, import_wh=import_wh, export_wh=reading.export_wh)
                newest = self._registers.get(point)
                if newest is None or register.at >= newest.at:
                    self._registers[point] = register
                for session in self._at(point):
                    self._apply(session.id, Metered(reading=register))
            case ConnectorReading():
                for session in self._at(reading.charge_point):
                    self._hear_connector(session, reading)
            case _:
                pass

    def _hear_transaction(self, session: GuestSession, reading: TransactionReading) -> None:
        """What a charger tells of a transaction, now or of the time while it was off line."""
        own = reading.token is not None and reading.token.upper() == session.token
        if session.stage is Stage.STARTING and own:
            self._began(session, reading.transaction, reading.at)
            session = self._open[session.id]
        if reading.transaction != session.transaction:
            return
        for register in reading.registers:
            self._apply(session.id, Metered(reading=register))
        if reading.asks_power is not None:
            asks = reading.asks_power or not lets_charge(self.controller, session.charge_point)
            self._apply(session.id, Asked(at=reading.at, asks=asks))
        if reading.phase is TransactionPhase.ENDED:
            self._apply(session.id, Over(at=reading.at))

    def _hear_connector(self, session: GuestSession, reading: ConnectorReading) -> None:
        """Who is plugged in. That no transaction is named says little: after a restart nobody told yet."""
        step, transaction = self._steps[session.id], reading.transaction
        if session.stage is Stage.STARTING:
            # After a restart a charger of OCPP 1.6 names the transaction and not who began it.
            if transaction is not None and (reading.token or session.token).upper() == session.token:
                self._began(session, transaction, reading.at)
        elif transaction == session.transaction:
            step.unnamed_since = step.left_at = None
        elif transaction is not None:
            self._apply(session.id, Over(at=step.left_at or reading.at))
        elif not reading.plugged:
            # Some chargers tell that the socket is free before they tell the end with its register.
            step.left_at = step.left_at or reading.at
        else:
            step.unnamed_since = step.unnamed_since or self.controller.clock.now()

    def _began(self, session: GuestSession, transaction: str, at: datetime) -> None:
        self._apply(session.id, Began(transaction=transaction, at=at))
        newest = self._registers.get(session.charge_point)
        if newest is not None:
            # Nothing flows between two transactions: the register is where it was.
            self._apply(session.id, Metered(reading=replace(newest, at=max(newest.at, at))))

    def _apply(self, key: str, event: Event) -> None:
        """Takes an event in; it is kept before anything else is done."""
        self._change(key, after(self._open[key], event, self.controller.clock.now()))

    def _change(self, key: str, session: GuestSession) -> None:
        before = self._open[key]
        if session == before:
            return
        self._open[key] = session
        self._steps[key].unsaved = True
        if session.stage is not before.stage:
            step = self._steps[key]
            step.failures, step.refusals, step.unsure, step.not_before_s = 0, 0, False, 0.0
            self.controller.counters.payments_waiting.pop(key, None)
            self._admit()
            self._wake.set()

    def _admit(self) -> None:
        """Tells who may charge: those who have paid, until it is over."""
        self._tokens.let_in_guests([one.token for one in self._open.values() if one.stage in ADMITTED])

    def _forget(self, key: str) -> None:
        del self._open[key], self._steps[key], self._secret_hashes[key]

    def _at(self, point: AssetId) -> list[GuestSession]:
        return [one for one in self._open.values() if one.charge_point == point and one.stage in ADMITTED]

    def _held_by_another(self, session: GuestSession) -> bool:
        """Whether the socket of a session that has not started is somebody else's by now."""
        point = session.charge_point
        return self._runs_at(point) or any(one.id != session.id for one in self._at(point))

    def _runs_at(self, point: AssetId) -> bool:
        connector = self.controller.state.connectors.get(point)
        return connector is not None and connector.plugged and connector.transaction is not None

    def _record(self, session: GuestSession) -> GuestRecord:
        return record_of(session, self._secret_hashes[session.id])

    async def _save(self, key: str) -> None:
        session = self._open[key]
        async with self.controller.store.unit() as unit:
            await unit.put_guest(self._record(session))
        # What came in between is kept the next time.
        self._steps[key].unsaved = self._open[key] is not session


def record_of(session: GuestSession, secret_hash: str) -> GuestRecord:
    """A session as it is kept."""
    return GuestRecord(
        session_id=session.id,
        secret_hash=secret_hash,
        charge_point=session.charge_point,
        ended_at=session.ended_at,
        content=SESSION.dump_json(session).decode(),
    )
