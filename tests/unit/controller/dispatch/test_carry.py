"""Without a new plan the last one is followed as far as the limits of now allow, and rules come last."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from controller.dispatch.carry import METHOD, OLDEST_H, second_best
from controller.dispatch.check import check
from controller.dispatch.fallback import fallback
from controller.dispatch.inputs import DispatchInputs, Stay
from controller.dispatch.solve import solve_quick
from controller.dispatch.warm import WarmStart
from controller.domain.ids import AssetId
from tests.support.dispatch import START, load, node, problem, store

STEPS = 8
PRICES = [0.40, 0.05, 0.05, 0.40, 0.40, 0.05, 0.40, 0.40]
CAR, OTHER = AssetId("car"), AssetId("other")


def evening(start_h: int = 0, *, extra: bool = False, **changes: Any) -> DispatchInputs:
    """A two-way car behind a node, `start_h` hours later; prices are those of the clock."""
    values = {"final_min_kwh": 30.0, "initial_kwh": 30.0, **changes}
    prices = np.roll(np.array(PRICES), -start_h)
    cars = [store("car", "root", STEPS, **values)]
    if extra:
        cars.append(store("other", "root", STEPS, initial_kwh=10.0, final_min_kwh=50.0))
    made = problem(
        STEPS,
        [node("root", None, 30.0, STEPS)],
        stores=cars,
        fixed=[load("home", "root", 4.0, STEPS)],
        buy=prices,
        sell=prices - 0.02,
    )
    return replace(made, start_utc=START + timedelta(hours=start_h))


def last_plan() -> WarmStart:
    """A plan that trades the car's energy over the hours."""
    inputs = evening()
    result = solve_quick(inputs)
    assert result.discharge_kw[CAR].max() > 5.0
    return WarmStart(inputs=inputs, result=result)


def test_the_last_plan_goes_on_where_nothing_has_changed() -> None:
    """One hour later its powers are followed as they were, with the reason why it is no new plan."""
    last = last_plan()
    now = evening(1, initial_kwh=float(last.result.energy_kwh[CAR][1]))
    plan = second_best(now, last, "the solver hangs")
    assert (plan.status, plan.method, plan.reason) == ("feasible", METHOD, "the solver hangs")
    expected = last.result.charge_kw[CAR][1:] - last.result.discharge_kw[CAR][1:]
    assert (plan.charge_kw[CAR] - plan.discharge_kw[CAR])[:-1] == pytest.approx(expected, abs=1e-6)
    assert plan.cost_eur < fallback(now, "rules").cost_eur + 1.0
    assert check(now, plan) == []


def test_a_new_limit_clips_it_and_what_was_cut_is_made_up_for() -> None:
    """Of 10 kW the node leaves 2 in one hour; two hours later the car is where it was to be."""
    last = last_plan()
    now = evening(1, initial_kwh=float(last.result.energy_kwh[CAR][1]))
    limit = np.full(STEPS, 30.0)
    limit[0] = 6.0
    now = replace(now, nodes=(replace(now.nodes[0], import_limit_kw=limit, export_limit_kw=limit),))
    plan = second_best(now, last, "late")
    assert plan.charge_kw[CAR][0] == pytest.approx(2.0)
    assert plan.node_power_kw[now.nodes[0].id][0] <= 6.0 + 1e-9
    wanted = last.result.energy_kwh[CAR]
    assert plan.energy_kwh[CAR][1] == pytest.approx(wanted[2] - 8.0)
    assert plan.energy_kwh[CAR][3:8] == pytest.approx(wanted[4:9], abs=1e-6)
    assert check(now, plan) == []


def test_it_is_clipped_to_the_lower_limits_that_it_was_made_for() -> None:
    """What a power flow had lowered an hour ago stays lowered, step for step."""
    last = last_plan()
    node = last.inputs.nodes[0].id
    lower = np.array([30.0, 6.0, *[30.0] * (last.inputs.steps - 2)])
    last = replace(last, result=replace(last.result, inside_kw={node: (lower, np.full(lower.size, 30.0))}))
    now = evening(1, initial_kwh=float(last.result.energy_kwh[CAR][1]))
    plan = second_best(now, last, "late")
    assert plan.node_power_kw[node][0] == pytest.approx(6.0)
    assert plan.node_power_kw[node][1:].max() > 6.0
    assert check(now, plan) == []
    assert second_best(now, None, "late").node_power_kw[node][0] <= 30.0


def test_a_new_car_and_a_new_wish_are_served_by_rules() -> None:
    """The last plan says nothing of a car that came, and not enough of one that leaves earlier."""
    last = last_plan()
    wish = (Stay(from_step=0, to_step=2, departure_min_kwh=48.0), Stay(from_step=2, to_step=STEPS))
    now = evening(1, extra=True, stays=wish)
    plan = second_best(now, last, "late")
    assert plan.energy_kwh[CAR][2] == pytest.approx(48.0)
    assert plan.energy_kwh[OTHER][-1] == pytest.approx(50.0)
    assert check(now, plan) == []


@pytest.mark.parametrize("hours", [-1, int(OLDEST_H) + 1])
def test_a_plan_of_another_time_is_not_followed(hours: int) -> None:
    """Hours old, or from a clock that was set back: rules."""
    last = last_plan()
    plan = second_best(evening(hours), last, "late")
    assert (plan.status, plan.reason) == ("fallback", "late")


def test_without_a_last_plan_rules_make_one() -> None:
    """At the start there is nothing to carry over."""
    assert second_best(evening(), None, "starting").status == "fallback"
