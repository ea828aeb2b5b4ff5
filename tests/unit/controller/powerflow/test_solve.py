"""The running controller's planner: it checks, remembers, and hands on the last plan where there is none."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from controller.dispatch.carry import METHOD, second_best
from controller.dispatch.check import check
from controller.dispatch.fallback import fallback
from controller.dispatch.inputs import DispatchInputs, Stay
from controller.dispatch.result import DispatchResult
from controller.dispatch.warm import WarmStart
from controller.domain.ids import AssetId
from controller.powerflow.check import check_flow
from controller.powerflow.placement import FlowModel
from controller.powerflow.result import CheckedPlan, Finding
from controller.powerflow.solve import live_planner
from tests.support.cable import cable_model, cable_site
from tests.support.dispatch import START, node, problem, store
from tests.support.dispatch_problems import one_step_later, street
from tests.support.neighbourhood import site

STEPS = 6


def cars(start_h: float = 0.0) -> DispatchInputs:
    """Two cars at the end of the long cable that together want more than its voltage bears."""
    made = problem(
        STEPS,
        [node("t", None, 380.0, STEPS), node("f1", "t", 138.0, STEPS), node("f2", "t", 138.0, STEPS)],
        stores=[
            store(f"car-{i}", "f1", STEPS, charge_kw_max=60.0, capacity_kwh=150.0, final_min_kwh=120.0)
            for i in (1, 2)
        ],
        buy=[0.3, 0.1, 0.1, 0.3, 0.3, 0.3],
    )
    return replace(made, start_utc=START + timedelta(hours=start_h))


def test_the_second_plan_needs_no_second_round() -> None:
    """What the first plan taught is used by the next."""
    planner = live_planner(cable_site(900.0))
    first, second = planner(cars()), planner(cars(0.25))
    assert isinstance(first, CheckedPlan)
    assert isinstance(second, CheckedPlan)
    assert (first.rounds >= 1, second.rounds) == (True, 0)
    assert first.findings == second.findings == ()
    assert check(cars(0.25), second) == []


def test_a_site_without_cables_is_planned_unchecked() -> None:
    """Nobody can say what voltages there are."""
    assert not isinstance(live_planner(None)(cars()), CheckedPlan)
    assert not isinstance(live_planner(site())(cars()), CheckedPlan)


def test_no_time_for_a_plan_follows_the_last_one() -> None:
    """At a deadline that cannot be kept the last plan goes on, then the solver takes over again."""
    planner = live_planner(None)
    first, second, third = planner(cars()), planner(cars(1.0), deadline_s=0.0), planner(cars(1.0))
    assert (second.method, second.status) == (METHOD, "feasible")
    assert second.reason
    assert second.energy_kwh[AssetId("car-1")][4] <= first.energy_kwh[AssetId("car-1")][5] + 1e-6
    assert third.reason == ""


def test_the_last_plan_goes_on_inside_what_the_network_was_found_to_bear() -> None:
    """Late, with one more car at the cable's end: clipped to the tree alone they sink its voltage."""
    site, model = cable_site(900.0), cable_model(900.0)
    planner = live_planner(site)
    first = planner(cars())
    assert first.inside_kw
    more = replace(cars(1.0), stores=(*cars().stores, replace(cars().stores[0], id=AssetId("car-3"))))
    plan = planner(more, deadline_s=0.0)
    assert isinstance(plan, CheckedPlan)
    assert (plan.method, plan.findings) == (METHOD, ())
    assert check(more, plan) == []
    forgetful = WarmStart(inputs=cars(), result=replace(first, inside_kw={}))
    assert check_flow(more, second_best(more, forgetful, "late"), model)
    # The other process, which has no power flow, has the limits with the plan.
    assert check_flow(more, second_best(more, WarmStart(inputs=cars(), result=first), "late"), model) == ()


@pytest.mark.parametrize(("deadline_s", "looked_at"), [(0.0, 1), (None, 2)])
def test_of_what_can_be_followed_the_least_strained_is(
    monkeypatch: pytest.MonkeyPatch, deadline_s: float | None, looked_at: int
) -> None:
    """A cable so long that nothing which charges holds: what is told is the plan that breaks it least.

    Of all of them where there is time, and late only the first is looked at.
    """
    model = cable_model(900.0)
    looked: list[tuple[Finding, ...]] = []
    planner = live_planner(cable_site(900.0))
    calm = replace(cars(), stores=tuple(replace(car, final_min_kwh=0.0) for car in cars().stores))
    assert not planner(calm).inside_kw
    wish = (Stay(from_step=0, to_step=2, departure_min_kwh=140.0),)
    hurried = replace(cars(), stores=tuple(replace(car, stays=wish) for car in cars().stores))

    def noted(inputs: DispatchInputs, plan: DispatchResult, grid: FlowModel) -> tuple[Finding, ...]:
        looked.append(check_flow(inputs, plan, grid))
        return looked[-1]

    monkeypatch.setattr("controller.powerflow.solve.check_flow", noted)
    monkeypatch.setattr(
        "controller.powerflow.solve.solve_quick", lambda inputs, **_: fallback(inputs, "the solver gave up")
    )
    plan = planner(hurried, deadline_s=deadline_s)
    assert isinstance(plan, CheckedPlan)
    assert plan.findings == check_flow(hurried, plan, model)
    assert len(looked) == looked_at
    strain = [sum(finding.severity for finding in findings) for findings in looked]
    assert sum(finding.severity for finding in plan.findings) == min(strain) > 0.0


def test_no_time_for_the_first_plan_gives_rules() -> None:
    """There is no last plan yet."""
    assert live_planner(None)(cars(), deadline_s=0.0).status == "fallback"


def test_a_car_hangs_where_it_stands() -> None:
    """A visitor of the long cable's end at a charge point of the short one loads the short one."""
    at_home = live_planner(cable_site(900.0))(cars())
    assert isinstance(at_home, CheckedPlan)
    inputs = cars()
    away = replace(inputs, stores=tuple(replace(car, place=AssetId("cp-3")) for car in inputs.stores))
    elsewhere = live_planner(cable_site(900.0))(away)
    assert isinstance(elsewhere, CheckedPlan)
    assert (at_home.rounds >= 1, elsewhere.rounds) == (True, 0)


def test_of_many_cars_most_keep_their_last_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    """One step later with a twentieth of the cars changed: a plan around the last one, near the best."""
    monkeypatch.setattr("controller.dispatch.structured.solve.SMALL", 0)
    planner = live_planner(None)
    inputs = street(cars=60, feeders=3, seed=1)
    first = planner(inputs)
    later = one_step_later(inputs, first)
    second = planner(later)
    assert (first.method, second.method) == ("structured", "structured, around the last plan")
    assert second.status == "optimal"
    assert check(later, second) == []
