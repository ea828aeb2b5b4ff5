"""The loops on a fast clock, with drivers, a solver and a store that misbehave."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import NoReturn

import pytest

from controller.config import Settings
from controller.dispatch.inputs import DispatchInputs
from controller.dispatch.result import DispatchResult
from controller.domain.errors import WijkstroomError
from controller.domain.ids import AssetId
from controller.domain.setpoints import Outcome, Setpoint
from controller.domain.telemetry import ConnectorReading
from controller.domain.time import QUARTER, DomainClock, ScaledDomainClock, SystemMachineClock
from controller.runtime.core import Controller
from controller.runtime.loops import Loops
from controller.runtime.offload import run_inline
from controller.runtime.safety_process import SafetyProcess
from controller.runtime.trading import Trading
from tests.support.guards import FailingGuard, SlowGuard, give_guard
from tests.support.neighbourhood import START
from tests.support.running import FakeDriver, make_controller
from tests.support.storage import opened

CHARGERS = ("cp-1", "cp-2", "cp-3", "cp-4")
WAIT_S = 5.0


def fast_clock(speed: float = 600.0) -> ScaledDomainClock:
    """Ten minutes a second."""
    return ScaledDomainClock(anchor_domain=START, anchor_unix_s=time.time(), speed=speed)


async def until(there: Callable[[], bool]) -> None:
    """Waits for something that has to happen."""
    async with asyncio.timeout(WAIT_S):
        while not there():  # noqa: ASYNC110  # what is waited for happens on other threads
            await asyncio.sleep(0.01)


@asynccontextmanager
async def looping(
    controller: Controller, trading: Trading, clock: Callable[[], DomainClock] | None = None
) -> AsyncIterator[asyncio.Task[None]]:
    """All loops, with the safety loop in its own process."""
    async with SafetyProcess(controller, clock=clock) as safety:
        task = asyncio.create_task(Loops(controller, trading, SystemMachineClock(), safety).run())
        try:
            yield task
        finally:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task


async def run_while(
    controller: Controller, there: Callable[[], bool], clock: Callable[[], DomainClock] | None = None
) -> None:
    """Runs all loops until something has happened; none of them may have ended before."""
    trading = Trading(controller, offload=run_inline)
    await trading.load()
    async with looping(controller, trading, clock) as task:
        await until(lambda: there() or task.done())
        assert not task.done(), task


def plug_all(controller: Controller) -> None:
    """A guest on every charger."""
    for name in CHARGERS:
        controller.receive(
            ConnectorReading(charge_point=AssetId(name), at=controller.clock.now(), plugged=True)
        )


def boom(*_args: object) -> NoReturn:
    """A bug."""
    raise ZeroDivisionError("a bug")


class BrokenSolver:
    """Fails in a way that nobody foresaw."""

    async def solve(self, inputs: DispatchInputs, deadline_s: float) -> DispatchResult:  # noqa: ARG002  # a port
        """Raises."""
        raise OSError("cannot fork")


@dataclass
class SetClock:
    """A fast clock that is ahead until somebody sets it right."""

    right: ScaledDomainClock
    ahead: timedelta

    def now(self) -> datetime:
        """What it shows."""
        return self.right.now() + self.ahead

    def machine_s(self, span: timedelta) -> float:
        """How long a span takes."""
        return self.right.machine_s(span)


async def test_plans_go_on_when_the_clock_is_set_back(tmp_path: Path) -> None:
    """By five hours, which are half a minute here: the next plan comes in its usual time."""
    clock = SetClock(fast_clock(), timedelta(hours=5))
    planned_at: list[datetime] = []

    def planned_again() -> bool:
        if controller.plan is not None:
            planned_at.append(controller.plan.horizon.made_at)
            clock.ahead = timedelta(0)
        return len(planned_at) > 0 and planned_at[-1] < planned_at[0]

    async with opened(tmp_path / "s.sqlite3") as store:
        controller = make_controller(store, clock)
        await run_while(controller, planned_again)


async def test_the_loops_plan_clear_and_steer(tmp_path: Path) -> None:
    """Within seconds at 600 times real time; nothing failed on the way."""
    async with opened(tmp_path / "s.sqlite3") as store:
        controller = make_controller(store, fast_clock())
        driver = FakeDriver(*CHARGERS)
        controller.drivers = (driver,)
        plug_all(controller)

        def all_done() -> bool:
            return bool(driver.sent) and controller.plan is not None and controller.counters.safety_cycles > 5

        await run_while(controller, all_done)
        assert {setpoint.asset for setpoint in driver.sent} == set(CHARGERS)
        assert controller.counters.failures == {}


async def test_a_store_in_trouble_does_not_end_the_safety_loop(tmp_path: Path) -> None:
    """Market, settlement and registers fail and are counted; cycles and setpoints go on (failure 29)."""
    async with opened(tmp_path / "s.sqlite3") as store:
        controller = make_controller(store, fast_clock(3000.0))
        driver = FakeDriver(*CHARGERS)
        controller.drivers = (driver,)
        plug_all(controller)
        trading = Trading(controller, offload=run_inline)
        await trading.load()

        def no_unit() -> NoReturn:
            raise WijkstroomError("the database is held by another process")

        store.unit = no_unit  # type: ignore[method-assign]  # a store in trouble
        async with looping(controller, trading) as task:
            await until(lambda: {"market", "settlement"} <= controller.counters.failures.keys())
            cycles = controller.counters.safety_cycles
            await until(lambda: controller.counters.safety_cycles > cycles + 2)
            assert driver.sent
            assert not task.done()


async def test_no_quarter_hour_is_left_out_where_clearing_takes_long_or_fails(tmp_path: Path) -> None:
    """The first clearing outlasts the next gate, the third one never works: all others are cleared."""
    async with opened(tmp_path / "s.sqlite3") as store:
        controller = make_controller(store, fast_clock(3000.0))
        trading = Trading(controller, offload=run_inline)
        await trading.load()
        clear, tried = trading.clear_interval, list[datetime]()

        async def slow(interval: datetime) -> None:
            if not tried:
                await asyncio.sleep(controller.clock.machine_s(1.5 * QUARTER))
            if interval not in tried:
                tried.append(interval)
            if [interval] == tried[2:3]:
                boom()
            await clear(interval)

        trading.clear_interval = slow  # type: ignore[method-assign]  # as a slow machine would
        async with looping(controller, trading):
            await until(lambda: len(tried) >= 6)
        async with store.unit() as unit:
            cleared = [start for start in tried[:5] if await unit.result(start) is not None]
        assert tried == [tried[0] + number * QUARTER for number in range(len(tried))]
        assert cleared == [*tried[:2], *tried[3:5]]


async def test_a_solver_that_throws_does_not_end_the_loops(tmp_path: Path) -> None:
    """No plan, and everything else goes on without one."""
    async with opened(tmp_path / "s.sqlite3") as store:
        controller = make_controller(store, fast_clock())
        controller.solver = BrokenSolver()
        driver = FakeDriver(*CHARGERS)
        controller.drivers = (driver,)
        plug_all(controller)
        await run_while(
            controller, lambda: controller.counters.failures.get("planning", 0) > 0 and bool(driver.sent)
        )
        assert controller.plan is None


async def test_a_driver_that_throws_counts_as_no_answer(tmp_path: Path) -> None:
    """Nobody knows what the device took: it is tried again, and the other devices are served."""

    def answer(setpoint: Setpoint) -> Outcome:
        return boom(setpoint)

    async with opened(tmp_path / "s.sqlite3") as store:
        controller = make_controller(store, fast_clock())
        broken, fine = FakeDriver("cp-1", answer=answer), FakeDriver("cp-2")
        controller.drivers = (broken, fine)
        plug_all(controller)
        await run_while(controller, lambda: len(broken.sent) > 1 and bool(fine.sent))
        assert controller.counters.timed_out > 0
        assert AssetId("cp-1") in controller.steering.doubts
        assert AssetId("cp-1") not in controller.steering.confirmed


async def test_a_cycle_that_fails_is_counted_and_the_next_one_runs(tmp_path: Path) -> None:
    """A bug in three cycles sends nothing; the loop goes on and the fourth steers."""
    async with opened(tmp_path / "s.sqlite3") as store:
        controller = make_controller(store, fast_clock())
        give_guard(controller, FailingGuard)
        driver = FakeDriver(*CHARGERS)
        controller.drivers = (driver,)
        plug_all(controller)
        await run_while(controller, lambda: bool(driver.sent))
        assert controller.counters.failures == {"safety": 3}


class SlowDriver(FakeDriver):
    """Never answers."""

    async def set_power(self, setpoint: Setpoint) -> Outcome:
        """Notes it and waits for ever."""
        self.sent.append(setpoint)
        await asyncio.Event().wait()
        raise AssertionError


async def test_one_setpoint_is_in_flight_per_device(tmp_path: Path) -> None:
    """A charger that does not answer gets no second command meanwhile, and holds nobody up."""
    async with opened(tmp_path / "s.sqlite3") as store:
        controller = make_controller(store, fast_clock())
        slow, fine = SlowDriver("cp-1"), FakeDriver("cp-2")
        controller.drivers = (slow, fine)
        plug_all(controller)
        await run_while(controller, lambda: controller.counters.safety_cycles > 40 and len(fine.sent) > 1)
        assert len(slow.sent) == 1


async def test_a_late_cycle_is_counted_and_not_made_up_for(tmp_path: Path) -> None:
    """One cycle takes 0.2 s, twelve periods of this clock: the next is late, the ones after are not."""
    async with opened(tmp_path / "s.sqlite3") as store:
        controller = make_controller(store, fast_clock())
        give_guard(controller, SlowGuard)
        begun = time.monotonic()
        await run_while(controller, lambda: controller.counters.safety_cycles > 8)
        periods = (time.monotonic() - begun) * 600.0 / 10.0
        assert controller.counters.safety_cycles < periods
        assert controller.counters.late_cycles >= 1
        assert controller.counters.delay_ms_max > 100.0


async def test_a_clock_that_is_set_back_does_not_stop_the_cycles(tmp_path: Path) -> None:
    """An hour back: cycles go on at once, not in an hour."""
    async with opened(tmp_path / "s.sqlite3") as store:
        settings = Settings()
        settings = replace(settings, market=replace(settings.market, enabled=False))
        controller = make_controller(store, fast_clock(), settings=settings)
        clocks: list[DomainClock] = [controller.clock]
        at_jump: list[int] = []

        def jumped() -> bool:
            cycles = controller.counters.safety_cycles
            if cycles > 2 and not at_jump:
                back = replace(fast_clock(), anchor_domain=START - timedelta(hours=1))
                clocks.append(back)
                at_jump.append(cycles)
            return bool(at_jump) and cycles > at_jump[0] + 5

        await run_while(controller, jumped, lambda: clocks[-1])
