"""The safety loop's own process: what it is told arrives, and it is replaced when it dies or hangs."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from controller.config import Settings
from controller.domain.assets import Booking, Wishes, WishKind
from controller.domain.ids import AssetId
from controller.domain.network import ImposedLimit
from controller.domain.reasons import Reason, ReasonCode
from controller.domain.setpoints import Setpoint
from controller.domain.telemetry import ConnectorReading, MeterReading
from controller.domain.time import ScaledDomainClock
from controller.runtime import safety_process
from controller.runtime.core import Controller
from controller.runtime.people import People
from controller.runtime.ports import Lockout
from controller.runtime.report import child_pids
from controller.runtime.safety_child import MEMORY_S
from controller.runtime.safety_messages import PackedDecisions, PeopleLog, apply_change
from controller.runtime.safety_process import SafetyProcess
from controller.setpoints.safety import Decision
from tests.support.guards import HangingGuard, give_guard
from tests.support.neighbourhood import START
from tests.support.running import FakeDriver, make_controller
from tests.support.storage import opened

CP = AssetId("cp-1")
PERIOD_MACHINE_S = 10.0 / 600.0


@asynccontextmanager
async def safe(
    folder: Path, prepare: Callable[[Controller], None] = lambda _: None
) -> AsyncIterator[tuple[Controller, SafetyProcess, list[Setpoint]]]:
    """A controller at 600 times real time with nothing but its safety loop; what that sends is taken."""
    clock = ScaledDomainClock(anchor_domain=START, anchor_unix_s=time.time(), speed=600.0)
    sent: list[Setpoint] = []
    async with opened(folder / "s.sqlite3") as store:
        controller = make_controller(store, clock, settings=Settings())
        prepare(controller)
        controller.drivers = (FakeDriver(CP),)

        def deliver(setpoints: Sequence[Setpoint]) -> None:
            sent.extend(setpoints)

        async with SafetyProcess(controller) as safety:
            task = asyncio.create_task(safety.run(deliver))
            yield controller, safety, sent
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task


async def until(there: Callable[[], bool]) -> None:
    """Waits for something that has to happen."""
    async with asyncio.timeout(30.0):
        while not there():  # noqa: ASYNC110  # what is waited for happens in another process
            await asyncio.sleep(0.005)


def safety_child() -> int:
    """The child's process id."""
    commands = {pid: Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8") for pid in child_pids()}
    (found,) = [pid for pid, command in commands.items() if "safety_child" in command]
    return found


def an_hour_between_cycles(controller: Controller) -> None:
    """At 600 times real time that is six seconds."""
    settings = controller.settings
    controller.settings = replace(settings, safety=replace(settings.safety, period_s=3600.0))


def a_car_comes(controller: Controller) -> None:
    """A guest plugs in."""
    controller.receive(ConnectorReading(charge_point=CP, at=controller.clock.now(), plugged=True))


async def test_a_reading_a_limit_and_a_stop_reach_the_cycle(tmp_path: Path) -> None:
    """A guest charges at full power; a limit of nothing above takes it away; both within some periods."""
    async with safe(tmp_path) as (controller, _, sent):
        a_car_comes(controller)
        await until(lambda: any(s.asset == CP and s.power_kw > 4.0 for s in sent))
        root = next(node.id for node in controller.site.network.nodes if node.parent is None)
        now = controller.clock.now()
        limit = ImposedLimit(
            id="limit-1",
            node=root,
            from_utc=now - timedelta(minutes=1),
            to_utc=now + timedelta(days=1),
            import_kw=0.0,
            export_kw=None,
            set_by="dso",
        )
        controller.people.limits = {limit.id: limit}
        sent.clear()
        await until(lambda: any(s.asset == CP and s.power_kw == 0.0 for s in sent))
        assert controller.counters.failures == {}


async def test_what_a_person_sets_does_not_wait_for_the_next_cycle(tmp_path: Path) -> None:
    """The next one would be due in a simulated hour: a stop is obeyed at once, a booking is not urgent."""
    async with safe(tmp_path, an_hour_between_cycles) as (controller, _, sent):
        a_car_comes(controller)
        controller.people.put_bookings([a_booking("b-1", hours=3)])
        await asyncio.sleep(0.3)
        assert sent == []
        root = next(node.id for node in controller.site.network.nodes if node.parent is None)
        controller.people.lockouts = {root: Lockout(node=root, since=START, set_by="dso")}
        await until(lambda: any(s.asset == CP for s in sent))
        cycles = controller.counters.safety_cycles
        sent.clear()
        controller.people.wishes = {CP: Wishes(asset=CP, mode=WishKind.PAUSE)}
        await until(lambda: any(s.asset == CP and s.power_kw == 0.0 for s in sent))
        # Those in between are not counted as due ones, and make none late.
        assert (controller.counters.safety_cycles, controller.counters.late_cycles) == (cycles, 0)


async def test_a_process_that_is_killed_is_replaced_and_knows_what_was_known(tmp_path: Path) -> None:
    """Killed in the middle: another one goes on with the car that nobody mentions again."""
    async with safe(tmp_path) as (controller, safety, sent):
        a_car_comes(controller)
        await until(lambda: any(s.asset == CP for s in sent))
        os.kill(safety_child(), signal.SIGKILL)
        await until(lambda: safety.restarts == 1)
        cycles = controller.counters.safety_cycles
        sent.clear()
        await until(lambda: any(s.asset == CP for s in sent))
        assert controller.counters.safety_cycles > cycles
        assert controller.counters.failures == {"safety": 1}
        # The seconds without a cycle are not hidden.
        assert controller.counters.late_cycles >= 1


async def test_the_next_process_remembers_what_a_dead_meter_showed_last(tmp_path: Path) -> None:
    """24 of 30 kW, then silence: who takes over reckons with the 24 as the one before it did."""
    async with safe(tmp_path) as (controller, safety, sent):
        feeder = controller.site.charge_point_by_id[CP].node
        limit = ImposedLimit(
            id="limit-1",
            node=feeder,
            from_utc=START,
            to_utc=None,
            import_kw=30.0,
            export_kw=None,
            set_by="dso",
        )
        controller.people.limits = {limit.id: limit}
        controller.receive(MeterReading(meter=feeder, at=controller.clock.now(), power_kw=24.0))
        a_car_comes(controller)
        await until(lambda: any(s.asset == CP and s.power_kw > 0.0 for s in sent))
        await asyncio.sleep(4.0 * MEMORY_S)
        os.kill(safety_child(), signal.SIGKILL)
        await until(lambda: safety.restarts == 1)
        sent.clear()
        await until(lambda: sum(s.asset == CP for s in sent) > 20)
        assert max(s.power_kw for s in sent if s.asset == CP) <= 30.0 - 24.0


async def test_a_process_is_replaced_while_a_thousand_connections_are_open(tmp_path: Path) -> None:
    """The new one's socket then has a number that `select` does not take."""
    async with safe(tmp_path) as (controller, safety, _):
        await until(lambda: controller.counters.safety_cycles > 0)
        connections = [os.dup(0) for _ in range(1100)]
        try:
            os.kill(safety_child(), signal.SIGKILL)
            await until(lambda: safety.restarts == 1)
            cycles = controller.counters.safety_cycles
            await until(lambda: controller.counters.safety_cycles > cycles)
        finally:
            for number in connections:
                os.close(number)
        assert safety.restarts == 1


async def test_a_process_that_cannot_be_started_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine has no memory left for it twice: the controller goes on, and so do the cycles after it."""
    monkeypatch.setattr(safety_process, "RETRY_S", 0.01)
    start, problems = asyncio.create_subprocess_exec, [OSError(12, "no memory"), EOFError()]

    async def troubled(*arguments: str, **options: Any) -> asyncio.subprocess.Process:
        if problems:
            raise problems.pop()
        process: asyncio.subprocess.Process = await start(*arguments, **options)
        return process

    async with safe(tmp_path) as (controller, safety, _):
        await until(lambda: controller.counters.safety_cycles > 0)
        monkeypatch.setattr(asyncio, "create_subprocess_exec", troubled)
        os.kill(safety_child(), signal.SIGKILL)
        await until(lambda: safety.restarts == 1)
        cycles = controller.counters.safety_cycles
        await until(lambda: controller.counters.safety_cycles > cycles)
        assert controller.counters.failures == {"safety": 3}


async def test_a_process_that_hangs_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its fourth cycle never ends; the other process counts from there (and hangs in its fourth again)."""
    monkeypatch.setattr(safety_process, "SILENT_S", 0.3)
    async with safe(tmp_path, lambda controller: give_guard(controller, HangingGuard)) as (
        controller,
        safety,
        _,
    ):
        await until(lambda: safety.restarts == 1)
        await until(lambda: controller.counters.safety_cycles >= 6)
        assert controller.counters.failures["safety"] >= 1


def a_booking(name: str, hours: int) -> Booking:
    """An hour's trip of car 1."""
    start = START + timedelta(hours=2 * hours)
    end = start + timedelta(hours=1)
    return Booking(id=name, vehicle=AssetId("car-1"), from_utc=start, to_utc=end, energy_kwh=5.0)


def test_changed_settings_of_people_cross_as_differences() -> None:
    """Of a book that was replaced by an equal one nothing crosses; of a changed one the change."""
    people, copy = People(), People()
    log = PeopleLog(people)
    assert log.change() is None
    for number in range(30):
        people.put_bookings([a_booking(f"b-{number}", hours=number)])
    first = log.change()
    assert first is not None
    assert len(first.bookings) == 30
    apply_change(copy, first)
    assert copy.bookings == people.bookings
    people.bookings = dict(people.bookings)
    people.limits = {}
    assert log.change() is None
    people.put_bookings([replace(people.bookings["b-1"], energy_kwh=7.0)])
    people.bookings = {key: one for key, one in people.bookings.items() if key != "b-2"}
    people.discharge_stopped = True
    second = log.change()
    assert second is not None
    assert (len(second.bookings), second.dropped) == (1, frozenset({"b-2"}))
    apply_change(copy, second)
    assert (copy.bookings, copy.discharge_stopped) == (people.bookings, True)
    vehicle = people.bookings["b-1"].vehicle
    assert copy.bookings_of(vehicle) == people.bookings_of(vehicle)


def test_packed_decisions_are_the_same_decisions() -> None:
    """Also after they crossed to another process."""
    reason = Reason(code=ReasonCode.PLAN, subject="cp-1", value=30.0, unit="kWh")
    decisions = {CP: Decision(asset=CP, power_kw=4.2, reason=reason)}
    crossed = pickle.loads(pickle.dumps(PackedDecisions(decisions)))  # noqa: S301  # packed in the line itself
    assert dict(crossed) == decisions
    assert (len(crossed), crossed.get(AssetId("cp-9"))) == (1, None)
