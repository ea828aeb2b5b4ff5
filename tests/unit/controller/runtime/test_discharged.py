"""What cars gave back of their budgets, by the chargers' registers."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from controller.domain.ids import AssetId
from controller.domain.site import Site
from controller.domain.telemetry import ConnectorReading, MeterReading
from controller.domain.time import VirtualDomainClock
from controller.domain.v2g import V2gBudget, V2gUse
from controller.runtime.discharged import Tally, keep_tally, load_tally
from controller.runtime.offload import run_inline
from controller.runtime.ports import RegisterRecord
from controller.runtime.trading import Trading
from tests.support.neighbourhood import START, site
from tests.support.running import QUARTER, make_controller
from tests.support.storage import opened

CAR, OTHER, POINT = AssetId("car-1"), AssetId("car-2"), AssetId("cp-1")


def budgeted(*cars: AssetId) -> Site:
    """The test street, in which these cars have a budget from the start's day on."""
    budget = V2gBudget(energy_kwh=1000.0, since=START.date(), life_years=10.0)
    street = site()
    return replace(
        street,
        vehicles=tuple(replace(car, v2g_budget=budget) if car.id in cars else car for car in street.vehicles),
    )


def register(quarters: int, export_wh: int, meter: AssetId = POINT) -> RegisterRecord:
    """What the first charger's meter stood at, so many quarter-hours after the start."""
    return RegisterRecord(meter=meter, at=START + quarters * QUARTER, import_wh=0, export_wh=export_wh)


def test_the_rise_of_the_register_is_the_cars() -> None:
    """2 and 1.5 kWh in two of three quarter-hours: 3.5 kWh and half an hour."""
    rows = [register(0, 100), register(1, 2100), register(2, 2100), register(3, 3600)]
    tally = Tally().counted(rows, {POINT: CAR}, budgeted(CAR))
    assert tally.use == {CAR: V2gUse(energy_kwh=3.5, hours=0.5)}


def test_registers_that_are_known_count_once() -> None:
    """Sent again, in any order, they change nothing."""
    rows = [register(1, 2100), register(0, 100)]
    once = Tally().counted(rows, {POINT: CAR}, budgeted(CAR))
    assert once.counted(rows, {}, budgeted(CAR)) == once


def test_a_car_that_has_just_left_is_still_the_one() -> None:
    """The register of a quarter-hour comes after it: the car that stood there last gave it back."""
    street = budgeted(CAR)
    seen = Tally().counted([register(0, 0)], {POINT: CAR}, street)
    assert seen.counted([register(1, 1000)], {}, street).use[CAR].energy_kwh == 1.0


@pytest.mark.parametrize(
    "rows",
    [
        [register(0, 0), register(1, 0)],
        [register(0, 5000), register(1, 20)],
        [register(0, 0), replace(register(1, 900), estimated=True)],
        [register(-96, 0), register(-95, 900)],
        [register(0, 0, AssetId("home")), register(1, 900, AssetId("home"))],
    ],
    ids=["no rise", "a new meter", "an estimate", "before the budget began", "not a charger"],
)
def test_what_does_not_count(rows: list[RegisterRecord]) -> None:
    """Nothing is made up, and nothing is negative."""
    assert Tally().counted(rows, {POINT: CAR}, budgeted(CAR)).use == {}


def test_cars_without_a_budget_are_not_counted() -> None:
    """Nobody asked for it."""
    assert Tally().counted([register(0, 0), register(1, 900)], {POINT: OTHER}, budgeted(CAR)).use == {}


def test_a_gap_in_the_registers_counts_the_hours_at_full_power() -> None:
    """11 kWh over six quarter-hours at 11 kW: an hour at least."""
    tally = Tally().counted([register(0, 0), register(6, 11_000)], {POINT: CAR}, budgeted(CAR))
    assert tally.use[CAR].hours == pytest.approx(1.0)


async def test_the_running_controller_counts_keeps_and_reads_again(tmp_path: Path) -> None:
    """From a meter's reading to the plan's problem, and over a restart."""
    clock = VirtualDomainClock(START)
    async with opened(tmp_path / "test.sqlite3") as store:
        controller = make_controller(store, clock, of=budgeted(CAR))
        trading = Trading(controller, offload=run_inline)
        plugged = ConnectorReading(
            charge_point=POINT, at=START, plugged=True, token=site().vehicles[0].token, transaction="tx"
        )
        controller.receive(plugged)
        for quarters, export_wh in ((0, 0), (1, 600_000)):
            at = START + quarters * QUARTER
            clock.advance_to(max(at, START + timedelta(seconds=1)))
            controller.receive(
                MeterReading(meter=POINT, at=at, power_kw=0.0, import_wh=0, export_wh=export_wh)
            )
            controller.safety_cycle(clock.now())
            await trading.keep_registers()
        used = controller.planner.discharged.use[CAR]
        assert used.energy_kwh == 600.0
        # As long as that takes at the charger's 11 kW.
        assert used.hours == pytest.approx(54.5, abs=0.1)
        async with store.unit() as unit:
            assert await load_tally(unit) == controller.planner.discharged
            await keep_tally(unit, Tally())
        await trading.load()
        assert controller.planner.discharged == Tally()
