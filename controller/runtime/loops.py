"""The loops on the clock: safety, planning, market and settlement, each a task of its own.

They share one event loop, and what could hold it up happens elsewhere: the solver in a process, the web
server on a thread, the database on a thread. The safety loop is not even on it: it has a process of its
own and hands its setpoints over, which are sent by tasks of their own, one in flight per device.

Nothing that a driver, the solver or the store throws ends a loop. What is expected (the database is
busy) and what is a bug are told apart in the log and counted alike; either way that one step failed and
the next one is tried. A safety cycle that fails sends nothing, and what it sent before runs out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

import structlog

from controller.domain.errors import WijkstroomError
from controller.domain.ids import AssetId
from controller.domain.setpoints import Setpoint, TimedOut
from controller.domain.time import QUARTER, MachineClock, quarter_start, sleep_until
from controller.runtime.core import Controller
from controller.runtime.safety_process import SafetyProcess
from controller.runtime.trading import Trading

REPLAN_MIN_MACHINE_S = 0.5
"""Shortest machine time between two plans: a fast clock must not keep the solver at it all the time."""
TIDY_EVERY = timedelta(seconds=30)
"""How often registers are written down and what is over is forgotten."""
SETTLE_EVERY = timedelta(minutes=1)
"""How often is looked whether the meters of a quarter-hour are in."""
NOMINATE_EVERY = timedelta(minutes=1)
"""How often is looked whether the supplier is to be told something."""
CLOSE_EVERY = timedelta(minutes=5)
"""How often is looked whether a day can be closed, or closed again with readings that came late."""
SEAL_EVERY = timedelta(minutes=5)
"""How often is looked whether a day of the ledger can be sealed."""
RETRY_MACHINE_S = 0.5
"""Machine time before a market step that failed is tried again."""
SEND_TIMEOUT_S = 60.0
"""A driver that has not given an outcome by then hangs [s, machine]; its own timeouts are far shorter."""

_LOG = structlog.get_logger(__name__)


class Loops:
    """Runs a controller in time."""

    def __init__(
        self, controller: Controller, trading: Trading, machine_clock: MachineClock, safety: SafetyProcess
    ) -> None:
        self.controller = controller
        self.trading = trading
        self.machine_clock = machine_clock
        self.safety = safety
        self._in_flight: set[AssetId] = set()

    async def run(self) -> None:
        """Runs all loops until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(
                self.safety.run(lambda setpoints: self._dispatch(setpoints, group)), name="safety"
            )
            group.create_task(self._planning(), name="planning")
            group.create_task(self._registers(), name="registers")
            if self.controller.settings.market.is_auction:
                group.create_task(self._market(), name="market")
                group.create_task(self._settlement(), name="settlement")
            if self.controller.settings.market.enabled:
                group.create_task(self._nominating(), name="nominating")
                group.create_task(self._closing(), name="closing")
                group.create_task(self._closing_again(), name="closing again")
                group.create_task(self._sealing(), name="sealing")

    async def _guarded[*Ts](
        self, loop: str, step: Callable[[*Ts], Awaitable[object]], *arguments: *Ts
    ) -> bool:
        """Takes one step of a loop; whether it went well. What it throws is logged and counted."""
        try:
            await step(*arguments)
        except WijkstroomError as error:
            _LOG.warning("a step failed and is tried again", loop=loop, why=str(error))
        except Exception:  # noqa: BLE001  # a bug in one step must not end the loops that keep the cables safe
            _LOG.exception("a step failed for a reason nobody expected", loop=loop)
        else:
            return True
        self.controller.counters.count_failure(loop, self.controller.clock.now())
        return False

    def _dispatch(self, setpoints: Sequence[Setpoint], group: asyncio.TaskGroup) -> None:
        for setpoint in setpoints:
            if setpoint.asset not in self._in_flight:
                self._in_flight.add(setpoint.asset)
                group.create_task(self._send(setpoint))

    async def _send(self, setpoint: Setpoint) -> None:
        try:
            await self._guarded("send", self._send_in_time, setpoint)
        finally:
            self._in_flight.discard(setpoint.asset)

    async def _send_in_time(self, setpoint: Setpoint) -> None:
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await self.controller.send(setpoint)
        except TimeoutError:
            why = f"the driver gave no outcome within {SEND_TIMEOUT_S:g} s"
            self.controller.note(TimedOut(setpoint=setpoint, why=why))

    async def _planning(self) -> None:
        clock = self.controller.clock
        every = timedelta(seconds=self.controller.settings.planning.every_s)
        rest = timedelta(seconds=self.controller.settings.planning.replan_min_s)
        while True:
            started = clock.now()
            self.controller.replan_because = ""
            await self._guarded("planning", self._plan, started)
            await asyncio.sleep(REPLAN_MIN_MACHINE_S)
            # A clock that is set back before the start is no reason to wait until it has caught up.
            await sleep_until(clock, min(started, clock.now()) + rest)
            while started <= clock.now() < started + every and not self.controller.replan_because:
                await sleep_until(clock, min(clock.now() + rest / 3, started + every))

    async def _plan(self, started: datetime) -> None:
        # Forecasts take pandas and some milliseconds: not on the loop that keeps the cables safe.
        begin_s = self.machine_clock.monotonic_s()
        horizon = await asyncio.to_thread(self.controller.horizon, started)
        await self.controller.make_plan(horizon)
        _LOG.debug("planned", seconds=round(self.machine_clock.monotonic_s() - begin_s, 3))

    async def _registers(self) -> None:
        clock = self.controller.clock
        while True:
            await sleep_until(clock, clock.now() + TIDY_EVERY)
            self.controller.people.drop_past(clock.now())
            await self._guarded("registers", self.trading.keep_registers)
            await self._guarded("departures", self.trading.desk.renew_departures)

    async def _market(self) -> None:
        clock = self.controller.clock
        lead = timedelta(seconds=self.controller.settings.market.gate_lead_s)
        while True:
            due = self.trading.due()
            failed = [
                start
                for start in due
                if not await self._guarded("market", self.trading.clear_interval, start)
            ]
            if set(self.trading.due()) - set(failed):
                continue  # Meanwhile another gate has closed.
            if any(clock.now() < start + QUARTER for start in failed):
                await asyncio.sleep(RETRY_MACHINE_S)
            else:
                await sleep_until(clock, quarter_start(clock.now() + lead) + QUARTER - lead)

    async def _settlement(self) -> None:
        clock = self.controller.clock
        while True:
            await sleep_until(clock, clock.now() + SETTLE_EVERY)
            await self._guarded("settlement", self.trading.settle_due)

    async def _nominating(self) -> None:
        clock = self.controller.clock
        while True:
            await sleep_until(clock, clock.now() + NOMINATE_EVERY)
            await self._guarded("nominating", self.trading.nominating.nominate_due)

    async def _closing(self) -> None:
        clock = self.controller.clock
        while True:
            await sleep_until(clock, clock.now() + CLOSE_EVERY)
            await self._guarded("closing", self.trading.closing.close_due)

    async def _closing_again(self) -> None:
        again = self.trading.closing_again
        while True:
            await self._guarded("closing", again.close_asked)
            await again.wait()

    async def _sealing(self) -> None:
        clock = self.controller.clock
        while True:
            await sleep_until(clock, clock.now() + SEAL_EVERY)
            await self._guarded("sealing", self.trading.sealing.seal_due)
