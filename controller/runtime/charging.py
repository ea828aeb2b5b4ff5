"""The book of charge sessions: what goes on at the sockets, what it costs, and what is over.

It listens beside the control loop. Transactions begin, go on and end by what chargers tell; between
their messages the meter's registers bring a session forward. A car that wants no more idles only while our
own setpoint lets it charge: who waits for us pays nothing for it. Sessions that are new or over are written
down at once, the others every minute; a restart goes on with those that were open. Where nothing is posted,
nothing is recorded.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from datetime import timedelta
from types import TracebackType
from typing import Self

import structlog

from controller.charging_settings import ChargingSettings
from controller.domain.charge_session import Cdr, ChargeSession, NoCdr, begin_session, make_cdr
from controller.domain.charge_tariff import ChargeTariff, tariff_at
from controller.domain.errors import WijkstroomError
from controller.domain.ids import AssetId
from controller.domain.telemetry import (
    MeterReading,
    Reading,
    RegisterReading,
    TransactionPhase,
    TransactionReading,
)
from controller.domain.time import DomainClock
from controller.runtime.core import Controller
from controller.runtime.ports import Store
from controller.runtime.session_ports import SessionRecord

WRITE_S = 60.0
"""Between two writings of sessions that go on, machine time [s]."""
FORGET_EVERY = 60
"""So many writings between two times that old sessions are forgotten."""
OVER_KEPT = 20_000
"""So many sessions are known to be over: an end may be told twice."""
LOST_END = "EndNeverTold"
"""Why a session ended of which another transaction at its socket is all that is known."""

_LOG = structlog.get_logger(__name__)


def lets_charge(controller: Controller, charge_point: AssetId) -> bool:
    """Whether a charger may charge now by the setpoint that it confirmed."""
    confirmed = controller.steering.confirmed.get(charge_point)
    if confirmed is None or confirmed.setpoint.valid_until < controller.clock.now():
        return False
    return confirmed.power_kw > 0.0


class Charging:
    """All charge sessions of a site. `async with` writes them down; on the control loop's thread only."""

    def __init__(
        self,
        *,
        settings: ChargingSettings,
        store: Store,
        clock: DomainClock,
        lets_charge: Callable[[AssetId], bool] = lambda _: True,
    ) -> None:
        """Builds it.

        Args:
            settings: What is posted, and how long sessions are kept.
            store: Where they are kept.
            clock: Domain time.
            lets_charge: Whether a charger may charge now by what we told it.
        """
        self._settings = settings
        self._store = store
        self._clock = clock
        self._lets_charge = lets_charge
        self._open: dict[str, ChargeSession] = {}
        self._at: dict[AssetId, str] = {}
        self._over: dict[str, None] = {}
        self._unsaved: dict[str, ChargeSession] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.listeners: list[Callable[[ChargeSession], None]] = []
        """Called with each session that began, went on or ended."""

    @property
    def under_way(self) -> Mapping[str, ChargeSession]:
        """The sessions that go on, by id."""
        return self._open

    def session_at(self, charge_point: AssetId) -> ChargeSession | None:
        """The session that goes on at a socket."""
        return self._open.get(self._at.get(charge_point, ""))

    def tariff_now(self) -> ChargeTariff | None:
        """What a session pays that starts now."""
        return tariff_at(self._settings.tariffs, self._clock.now())

    async def session(self, session_id: str) -> ChargeSession | None:
        """A session, under way or over."""
        found = self._open.get(session_id) or self._unsaved.get(session_id)
        if found is not None:
            return found
        async with self._store.unit() as unit:
            kept = await unit.charge_session(session_id)
        return None if kept is None else kept.session

    async def load(self) -> None:
        """Reads the sessions that were open."""
        async with self._store.unit() as unit:
            for session in await unit.open_charge_sessions():
                self._open[session.id] = session
                self._at[session.charge_point] = session.id

    def hear(self, reading: Reading) -> None:
        """Takes a reading."""
        if not self._settings.tariffs:
            return
        match reading:
            case TransactionReading():
                self._hear_transaction(reading)
            case MeterReading(import_wh=int(import_wh)):
                session = self.session_at(AssetId(reading.meter))
                if session is not None:
                    registers = RegisterReading(
                        at=reading.at, import_wh=import_wh, export_wh=reading.export_wh
                    )
                    self._put(session, session.with_registers(registers))
            case _:
                pass

    def _hear_transaction(self, told: TransactionReading) -> None:
        earliest = min([told.at, *(registers.at for registers in told.registers)])
        fresh = begin_session(
            charge_point=told.charge_point,
            transaction=told.transaction,
            at=earliest,
            tariff=tariff_at(self._settings.tariffs, earliest),
        )
        before = self._open.get(fresh.id)
        if fresh.id in self._over:
            return
        session = before or fresh
        if told.token is not None:
            session = session.with_token(told.token)
        for registers in told.registers:
            session = session.with_registers(registers)
        for signed in told.signed:
            session = session.with_signed(signed)
        if told.asks_power is not None:
            asks = told.asks_power or not self._lets_charge(told.charge_point)
            session = session.with_demand(told.at, asks=asks)
        if told.phase is TransactionPhase.ENDED:
            session = session.ended(told.at, told.reason)
        elif before is None:
            self._end_of_another(session)
        self._put(before, session)

    def _end_of_another(self, session: ChargeSession) -> None:
        """Two transactions cannot go on at one socket: chargers tell in order, so an end was lost."""
        standing = self.session_at(session.charge_point)
        if standing is None or standing.started_at > session.started_at:
            return
        last = standing.started_at if standing.last is None else standing.last.at
        self._put(standing, standing.ended(last, LOST_END))

    def _put(self, before: ChargeSession | None, after: ChargeSession) -> None:
        if after == before:
            return
        if after.ended_at is None:
            self._open[after.id] = after
            standing = self.session_at(after.charge_point)
            if standing is None or standing.started_at <= after.started_at:
                self._at[after.charge_point] = after.id
        else:
            self._open.pop(after.id, None)
            self._over[after.id] = None
            if len(self._over) > OVER_KEPT:
                del self._over[next(iter(self._over))]
            if self._at.get(after.charge_point) == after.id:
                del self._at[after.charge_point]
            self._log_end(after)
        self._unsaved[after.id] = after
        if before is None or after.ended_at is not None:
            self._wake.set()
        for listener in self.listeners:
            listener(after)

    @staticmethod
    def _log_end(session: ChargeSession) -> None:
        match make_cdr(session):
            case Cdr(cost=cost, energy_wh=energy_wh):
                _LOG.debug("charged", session=session.id, energy_wh=energy_wh, cents=cost.total.cents)
            case NoCdr(why=why):
                _LOG.warning("a session cannot be billed", session=session.id, why=why)

    async def keep(self) -> None:
        """Writes down what has changed; what cannot be written waits for the next time."""
        changed, self._unsaved = self._unsaved, {}
        if not changed:
            return
        kept = False
        try:
            async with self._store.unit() as unit:
                # Only now: who asked while we stood in line, and asks next for what is newer, must find it.
                now = self._clock.now()
                await unit.put_charge_sessions(
                    SessionRecord(session=session, changed_at=now) for session in changed.values()
                )
            kept = True
        except WijkstroomError as error:
            _LOG.warning("sessions not kept", why=str(error))
        finally:
            # Also where the writing is broken off because we stop: the last one writes it then.
            if not kept:
                self._unsaved = changed | self._unsaved

    async def forget(self) -> int:
        """Forgets sessions that are older than they are kept; gives how many."""
        before = self._clock.now() - timedelta(days=self._settings.keep_days)
        async with self._store.unit() as unit:
            return await unit.drop_charge_sessions(ended_before=before)

    async def __aenter__(self) -> Self:
        """Begins to write down."""
        await self.load()
        self._task = asyncio.create_task(self._keep_writing())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Writes down what is left."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self.keep()

    async def _keep_writing(self) -> None:
        rounds = 0
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WRITE_S):
                    await self._wake.wait()
            self._wake.clear()
            await self.keep()
            if rounds % FORGET_EVERY == 0:
                with contextlib.suppress(WijkstroomError):
                    await self.forget()
            rounds += 1
