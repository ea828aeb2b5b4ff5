"""The loops on the clock: safety, planning, market and settlement, each a task of its own.

They share one event loop, and what could hold it up happens elsewhere: the solver in a process, the web
server on a thread, the database on a thread. The safety loop never awaits anything but its own timer:
setpoints are sent by tasks of their own, one in flight per device.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import structlog

from controller.domain.ids import AssetId
from controller.domain.setpoints import Setpoint
from controller.domain.time import QUARTER, MachineClock, quarter_start, sleep_until
from controller.runtime.core import Controller
from controller.runtime.trading import Trading

REPLAN_MIN_MACHINE_S = 0.2
"""Shortest machine time between two plans: a fast clock must not keep the solver at it all the time."""
SETTLE_AFTER = timedelta(minutes=2)
"""Meters get this long after a quarter-hour before it is settled."""

_LOG = structlog.get_logger(__name__)


class Loops:
    """Runs a controller in time."""

    def __init__(self, controller: Controller, trading: Trading, machine_clock: MachineClock) -> None:
        self.controller = controller
        self.trading = trading
        self.machine_clock = machine_clock
        self._in_flight: set[AssetId] = set()

    async def run(self) -> None:
        """Runs all loops until cancelled; a bug in one ends them all."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._safety(group), name="safety")
            group.create_task(self._planning(), name="planning")
            group.create_task(self._registers(), name="registers")
            if self.controller.settings.market.enabled:
                group.create_task(self._market(), name="market")
                group.create_task(self._settlement(), name="settlement")

    async def _safety(self, group: asyncio.TaskGroup) -> None:
        clock, counters = self.controller.clock, self.controller.counters
        period = timedelta(seconds=self.controller.settings.safety.period_s)
        due = next_multiple(clock.now(), period)
        while True:
            await sleep_until(clock, due)
            delay = clock.now() - due
            counters.delay_ms_max = max(counters.delay_ms_max, clock.machine_s(delay) * 1000.0)
            if delay > period:
                counters.late_cycles += 1
            cycle = self.controller.safety_cycle(clock.now())
            self._dispatch(cycle.setpoints, group)
            due += period
            if clock.now() - due > period:
                # What was missed is not made up for: the next cycle sees the newest state anyway.
                due = next_multiple(clock.now(), period)

    def _dispatch(self, setpoints: Sequence[Setpoint], group: asyncio.TaskGroup) -> None:
        for setpoint in setpoints:
            if setpoint.asset not in self._in_flight:
                self._in_flight.add(setpoint.asset)
                group.create_task(self._send(setpoint))

    async def _send(self, setpoint: Setpoint) -> None:
        try:
            await self.controller.send(setpoint)
        finally:
            self._in_flight.discard(setpoint.asset)

    async def _planning(self) -> None:
        clock = self.controller.clock
        every = timedelta(seconds=self.controller.settings.planning.every_s)
        rest = timedelta(seconds=self.controller.settings.planning.replan_min_s)
        while True:
            started = clock.now()
            self.controller.replan_because = ""
            # Forecasts take pandas and some milliseconds: not on the loop that keeps the cables safe.
            begin_s = self.machine_clock.monotonic_s()
            horizon = await asyncio.to_thread(self.controller.horizon, started)
            await self.controller.make_plan(horizon)
            _LOG.debug("planned", seconds=round(self.machine_clock.monotonic_s() - begin_s, 3))
            await asyncio.sleep(REPLAN_MIN_MACHINE_S)
            await sleep_until(clock, started + rest)
            while clock.now() < started + every and not self.controller.replan_because:
                await sleep_until(clock, min(clock.now() + rest / 3, started + every))

    async def _registers(self) -> None:
        clock = self.controller.clock
        while True:
            await sleep_until(clock, clock.now() + timedelta(seconds=30))
            await self.trading.keep_registers()

    async def _market(self) -> None:
        clock = self.controller.clock
        lead = timedelta(seconds=self.controller.settings.market.gate_lead_s)
        interval = quarter_start(clock.now() + lead) + QUARTER
        while True:
            await sleep_until(clock, interval - lead)
            if clock.now() < interval - lead:
                continue
            await self.trading.clear_interval(interval)
            interval = max(interval + QUARTER, quarter_start(clock.now() + lead) + QUARTER)

    async def _settlement(self) -> None:
        clock = self.controller.clock
        while True:
            at = quarter_start(clock.now()) + QUARTER + SETTLE_AFTER
            await sleep_until(clock, at)
            await self.trading.settle_due()


def next_multiple(now: datetime, period: timedelta) -> datetime:
    """The first multiple of `period` since 1970 that is after `now`."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return epoch + ((now - epoch) // period + 1) * period
