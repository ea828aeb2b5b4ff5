"""What the plan has in store for a car, as its owner and the operator see it."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from controller.dispatch.solve import solve_quick
from controller.domain.assets import Departure, Wishes
from controller.domain.errors import NotFoundError
from controller.domain.ids import AssetId, MemberId
from controller.domain.plan_reasons import PlanReasonCode
from controller.domain.telemetry import CarReading, ConnectorReading
from controller.forecast.prices import PriceBook
from controller.runtime import views
from controller.runtime.coming import soon
from controller.runtime.core import Controller
from controller.runtime.plan import ActivePlan
from controller.runtime.service import Service
from controller.runtime.views import COMING
from tests.support.neighbourhood import START, site
from tests.support.running import running

CAR, POINT = AssetId("car-1"), AssetId("cp-1")


def plan_with_a_cheap_night(controller: Controller) -> ActivePlan:
    """Car 1 is plugged in half full and wants 50 kWh in 14 hours; power costs a third from the fifth on."""
    token = site().vehicles[0].token
    controller.receive(
        ConnectorReading(charge_point=POINT, at=START, plugged=True, token=token, transaction="tx")
    )
    controller.receive(
        CarReading(charge_point=POINT, at=START, soc_fraction=0.5, charge_kw_max=11.0, discharge_kw_max=0.0)
    )
    controller.safety_cycle(START)
    departure = Departure(vehicle=CAR, at_utc=START + timedelta(hours=14), energy_kwh=50.0)
    controller.people.wishes = {CAR: Wishes(asset=CAR, departure=departure, never_discharge=True)}
    book: dict[datetime, float] = {}
    for quarter in range(4 * 40):
        book[START + quarter * timedelta(minutes=15)] = 0.3 if quarter < 20 else 0.1
    controller.forecasts.prices = PriceBook(book)
    horizon = controller.horizon(START)
    plan = ActivePlan(horizon=horizon, result=solve_quick(horizon.inputs))
    controller.plan = plan
    controller.safety_cycle(START + timedelta(seconds=10))
    return plan


async def test_owner_and_operator_see_when_it_charges_and_why_it_waits(tmp_path: Path) -> None:
    """Spans without a gap from now on; it waits for the fifth hour and names the price of then."""
    async with running(tmp_path) as (controller, trading, _):
        plan = plan_with_a_cheap_night(controller)
        service = Service(controller, trading, loop=asyncio.get_running_loop(), speed=1.0, messages=dict)
        spans = await service.plan_reasons(CAR)
        assert spans[0].start == START
        assert spans[-1].end == plan.horizon.boundaries[-1]
        assert all(one.end == other.start for one, other in zip(spans, spans[1:], strict=False))  # noqa: RUF007
        first = spans[0]
        assert first.reason.code is PlanReasonCode.WAITS_CHEAPER
        assert first.power_kw == pytest.approx(0.0, abs=1e-6)
        assert first.compare_at is not None
        assert first.compare_at >= START + timedelta(hours=5)
        cheap = [span for span in spans if span.reason.code is PlanReasonCode.CHEAP]
        assert max(span.power_kw for span in cheap) > 1.0
        (mine,) = [view for view in await service.assets(MemberId("fleet")) if view.id == CAR]
        assert list(mine.coming) == list(soon(spans, controller.snapshot.at, controller.snapshot.at + COMING))
        with pytest.raises(NotFoundError):
            await service.plan_reasons(AssetId("home"))


async def test_without_a_plan_there_is_nothing_to_come(tmp_path: Path) -> None:
    """Nothing is made up."""
    async with running(tmp_path) as (controller, trading, _):
        service = Service(controller, trading, loop=asyncio.get_running_loop(), speed=1.0, messages=dict)
        assert list(await service.plan_reasons(CAR)) == []


async def test_a_fleet_is_not_told_of_every_car_at_every_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its thousand cars would hold up the page; each can be asked for by itself."""
    monkeypatch.setattr(views, "COMING_CARS_MAX", 3)
    async with running(tmp_path) as (controller, trading, _):
        plan_with_a_cheap_night(controller)
        service = Service(controller, trading, loop=asyncio.get_running_loop(), speed=1.0, messages=dict)
        assert all(not view.coming for view in await service.assets(MemberId("fleet")))
        assert len(await service.plan_reasons(CAR)) > 1
