"""What binds a car in each step, in cases that can be seen through."""

from __future__ import annotations

from typing import Any

import pytest

from controller.dispatch.inputs import Stay
from controller.dispatch.reasons import plan_reasons
from controller.dispatch.solve import solve
from controller.domain.ids import AssetId
from controller.domain.plan_reasons import PlanReason, PlanReasonCode
from tests.support.dispatch import load, node, problem, store

Code = PlanReasonCode
DEAR_THEN_CHEAP = [0.30, 0.10, 0.20, 0.30]


def reasons(
    limit_kw: float, prices: list[float], homes_kw: float = 0.0, **car: Any
) -> tuple[PlanReason, ...]:
    """The reasons of a one-way car under one node, with hours for steps."""
    inputs = problem(
        4,
        [node("root", None, limit_kw, 4)],
        stores=[store("car", "root", 4, **{"discharge_kw_max": 0.0, **car})],
        fixed=[load("homes", "root", homes_kw, 4)],
        buy=prices,
        sell=[price - 0.05 for price in prices],
    )
    return plan_reasons(inputs, solve(inputs), AssetId("car"))


def leaves_with(energy_kwh: float) -> dict[str, Any]:
    """A stay of three of the four steps."""
    return {"stays": (Stay(from_step=0, to_step=3, departure_min_kwh=energy_kwh),)}


def test_it_waits_for_the_cheap_hour_and_says_at_what_price() -> None:
    """10 kWh at 10 kW: the second hour does it."""
    found = reasons(100.0, DEAR_THEN_CHEAP, **leaves_with(40.0))
    assert [reason.code for reason in found[:2]] == [Code.WAITS_CHEAPER, Code.CHEAP]
    assert found[0].price_eur_per_kwh == pytest.approx(0.30)
    assert found[0].compare_eur_per_kwh == pytest.approx(0.10)
    assert found[0].compare_step == 1
    assert found[1].compare_eur_per_kwh == pytest.approx(0.30)
    assert [reason.code for reason in found[2:]] == [Code.NO_GAIN, Code.AWAY]


def test_a_departure_that_takes_every_step_is_the_reason() -> None:
    """30 kWh at 10 kW take all three hours, dear or not."""
    found = reasons(100.0, DEAR_THEN_CHEAP, **leaves_with(60.0))
    assert found[0].code is Code.DEPARTURE
    assert found[0].energy_kwh == 60.0


def test_the_node_that_has_no_room_is_named_with_its_limit() -> None:
    """4 kW are left beside the homes in the cheap hour: the car would take 10."""
    found = reasons(12.0, DEAR_THEN_CHEAP, homes_kw=8.0, **leaves_with(38.0))
    assert found[1].code is Code.NODE_LIMIT
    assert (found[1].node, found[1].limit_kw) == ("root", 12.0)


def test_below_its_minimum_it_charges_whatever_it_costs() -> None:
    """1 kWh in it, 6 are the minimum."""
    found = reasons(100.0, DEAR_THEN_CHEAP, initial_kwh=1.0)
    assert found[0].code is Code.BELOW_MINIMUM
    assert found[0].energy_kwh == 6.0


def test_it_discharges_where_the_price_pays_for_charging_back() -> None:
    """Bought at 0.10, sold at 0.45 of which 0.03 are wear: worth 0.13."""
    found = reasons(
        100.0,
        [0.10, 0.10, 0.50, 0.10],
        discharge_kw_max=10.0,
        wear_eur_per_kwh_discharged=0.03,
        final_min_kwh=30.0,
    )
    assert found[2].code is Code.DEAR
    assert found[2].price_eur_per_kwh is not None
    assert found[2].compare_eur_per_kwh is not None
    assert found[2].price_eur_per_kwh > found[2].compare_eur_per_kwh + 0.1


def test_a_full_or_paused_car_says_so() -> None:
    """No price plays a part."""
    assert {r.code for r in reasons(100.0, DEAR_THEN_CHEAP, initial_kwh=60.0)} == {Code.FULL}
    assert {r.code for r in reasons(100.0, DEAR_THEN_CHEAP, charge_kw_max=0.0)} == {Code.NOT_ALLOWED}


def test_another_asset_has_no_reasons() -> None:
    """Only stores have."""
    inputs = problem(4, [node("root", None, 9.0, 4)])
    with pytest.raises(KeyError):
        plan_reasons(inputs, solve(inputs), AssetId("nobody"))
