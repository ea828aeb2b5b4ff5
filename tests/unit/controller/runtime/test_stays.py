"""How long cars stayed is learned from the plans that saw them, kept over a restart, and believed in time."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from controller.dispatch.solve import solve
from controller.domain.assets import Departure, Wishes
from controller.domain.ids import AssetId
from controller.domain.plan_reasons import PlanReasonCode
from controller.domain.telemetry import CarReading, ConnectorReading
from controller.forecast.prices import PriceBook
from controller.runtime.core import Controller
from controller.runtime.plan import ActivePlan
from controller.runtime.service import Service
from controller.runtime.stays import ENOUGH, KEPT, CarStays, StayBook, read_stays
from tests.support.neighbourhood import START, site
from tests.support.running import running

CAR, POINT = AssetId("car-1"), AssetId("cp-1")
HOUR = timedelta(hours=1)


def known(count: int, stayed_h: float = 3.0) -> CarStays:
    """A car that said six hours so often and stayed that long."""
    return CarStays(stated_h=(6.0,) * count, stayed_h=(stayed_h,) * count, clock_h=(9.0,) * count)


def test_a_stay_is_from_the_first_plan_that_sees_a_car_to_the_first_that_does_not() -> None:
    """What was said last counts as said, also after that time has passed."""
    book = StayBook()
    book.look(START, {})
    book.look(START + HOUR, {CAR: None})
    book.look(START + 2 * HOUR, {CAR: START + 9 * HOUR})
    book.look(START + 3 * HOUR, {CAR: None})
    assert book.cars[CAR].since == START + HOUR
    book.look(START + 5 * HOUR, {})
    own = book.cars[CAR]
    assert (own.since, own.stated_h, own.stayed_h) == (None, (8.0,), (4.0,))
    assert book.unsaved == {CAR}


def test_a_driver_who_said_nothing_and_one_who_was_there_already() -> None:
    """Nothing said is NaN; of a car that stood there at the start nobody knows since when."""
    book = StayBook()
    book.look(START, {AssetId("early"): None})
    book.look(START + HOUR, {AssetId("early"): None, CAR: None})
    book.look(START + 2 * HOUR, {})
    assert AssetId("early") not in book.cars
    assert np.isnan(book.cars[CAR].stated_h).all()


def test_a_stay_that_ended_while_nobody_looked_is_not_counted() -> None:
    """After a restart a car is gone: since when nobody knows. One that stands on goes on."""
    book = StayBook(cars={CAR: CarStays(since=START), AssetId("on"): CarStays(since=START)})
    book.look(START + 9 * HOUR, {AssetId("on"): None})
    book.look(START + 10 * HOUR, {})
    assert book.cars[CAR] == CarStays()
    assert book.cars[AssetId("on")].stayed_h == (10.0,)


def test_only_the_newest_stays_are_remembered() -> None:
    """One more than is kept drops the oldest."""
    own = CarStays(
        since=START, stated_h=(1.0, *(6.0,) * (KEPT - 1)), stayed_h=(3.0,) * KEPT, clock_h=(9.0,) * KEPT
    )
    assert len(own.ended(START + HOUR).stayed_h) == KEPT
    assert own.ended(START + HOUR).stated_h[0] == 6.0


def test_stays_are_the_same_after_a_restart() -> None:
    """Also the one under way, and what was never said."""
    own = CarStays(
        since=START, said=START + HOUR, stated_h=(6.0, 2.5), stayed_h=(3.0, 0.1), clock_h=(9.5, 23.0)
    )
    assert read_stays(own.text()) == own
    silent = read_stays(CarStays(stated_h=(np.nan,), stayed_h=(1.0,), clock_h=(0.0,)).text())
    assert np.isnan(silent.stated_h[0])


@pytest.mark.parametrize(("count", "believed"), [(ENOUGH - 1, False), (ENOUGH, True)])
def test_few_stays_are_not_believed(count: int, believed: bool) -> None:  # noqa: FBT001  # a table's column
    """Chances need experience; those that are shorter than this one so far say nothing."""
    past = known(count)
    here = CarStays(since=START, said=START + 6 * HOUR, **_columns(past))
    leaves = here.leaves_h(START + HOUR)
    assert (leaves is not None) is believed
    if leaves is not None:
        assert leaves.tolist() == [2.0] * count
    assert here.leaves_h(START + 4 * HOUR) is None
    assert past.leaves_h(START) is None


def _columns(stays: CarStays) -> dict[str, tuple[float, ...]]:
    return {"stated_h": stays.stated_h, "stayed_h": stays.stayed_h, "clock_h": stays.clock_h}


def plugged_in(controller: Controller, *, plugged: bool) -> None:
    """Car 1 comes, half full and with 50 kWh wanted in six hours, or goes."""
    now, token = controller.clock.now(), site().vehicles[0].token
    controller.receive(
        ConnectorReading(
            charge_point=POINT,
            at=now,
            plugged=plugged,
            token=token if plugged else None,
            transaction="tx" if plugged else None,
        )
    )
    if plugged:
        controller.receive(
            CarReading(charge_point=POINT, at=now, soc_fraction=0.5, charge_kw_max=11.0, discharge_kw_max=0.0)
        )
    departure = Departure(vehicle=CAR, at_utc=now + 6 * HOUR, energy_kwh=50.0)
    controller.people.wishes = {CAR: Wishes(asset=CAR, departure=departure, never_discharge=True)}
    controller.safety_cycle(now)


async def test_stays_are_learned_from_plans_and_read_again_at_the_start(tmp_path: Path) -> None:
    """A car comes and goes; the next controller on the same store knows how long it stayed."""
    async with running(tmp_path) as (controller, _, clock):
        controller.safety_cycle(clock.now())
        await controller.make_plan(controller.horizon(clock.now()))
        clock.advance_to(START + HOUR)
        plugged_in(controller, plugged=True)
        await controller.make_plan(controller.horizon(clock.now()))
        clock.advance_to(START + 3 * HOUR)
        plugged_in(controller, plugged=False)
        await controller.make_plan(controller.horizon(clock.now()))
        assert controller.planner.stays.unsaved == set()
    async with running(tmp_path) as (controller, _, _):
        assert controller.planner.stays.cars[CAR].stayed_h == (2.0,)
        assert controller.planner.stays.cars[CAR].stated_h == (6.0,)


async def test_who_often_leaves_early_charges_in_dear_hours_and_is_told_why(tmp_path: Path) -> None:
    """A driver who goes after three of six hours: ready by then, at a price, and with the reason."""
    async with running(tmp_path) as (controller, trading, clock):
        quarter = HOUR / 4
        controller.forecasts.prices = PriceBook(
            {START + i * quarter: 0.3 if i < 16 else 0.1 for i in range(4 * 40)}
        )
        plugged_in(controller, plugged=True)
        past = known(30)
        controller.planner.stays.cars = {CAR: CarStays(since=START, said=START + 6 * HOUR, **_columns(past))}
        horizon = controller.horizon(clock.now())
        ready_by = horizon.ready_by[CAR]
        assert ready_by <= START + 3 * HOUR
        controller.plan = ActivePlan(horizon=horizon, result=solve(horizon.inputs))
        controller.safety_cycle(START + timedelta(seconds=10))
        service = Service(controller, trading, loop=asyncio.get_running_loop(), speed=1.0, messages=dict)
        spans = await service.plan_reasons(CAR)
        early = [span for span in spans if span.reason.code is PlanReasonCode.OFTEN_EARLY]
        assert early
        assert all(span.end <= ready_by and span.power_kw > 0.0 for span in early)
        assert {span.compare_at for span in early} == {ready_by}
