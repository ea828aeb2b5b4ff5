"""Plans that keep the tree's kW and break voltages, currents or kVA are made again until they hold."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from controller.dispatch.check import check
from controller.dispatch.fallback import fallback
from controller.dispatch.inputs import DispatchInputs, Stay
from controller.dispatch.result import DispatchResult
from controller.dispatch.solve import solve
from controller.powerflow.check import check_flow, plan_extremes
from controller.powerflow.placement import flow_model
from controller.powerflow.replan import plan_that_holds
from controller.powerflow.result import FindingKind
from controller.powerflow.tighten import tightened
from sim.scenarios import build, load_scenario
from tests.support.cable import cable_model, cable_site
from tests.support.dispatch import load, node, problem, roof, store
from tests.support.ieee_feeder import FEEDER, SUBSTATION, ieee_site
from tests.support.sim import START
from tests.support.winter_day import winter_day

STEPS = 8
CHEAP = [0.30, 0.30, 0.05, 0.05, 0.30, 0.30, 0.05, 0.30]


def plan(inputs: DispatchInputs, left_s: float | None) -> DispatchResult:
    """The real planner."""
    return solve(inputs, deadline_s=left_s)


def long_cable(feeder_kw: float = 138.0, **cars: Any) -> DispatchInputs:
    """Two cars of 50 kW at the end of the long cable and two at the short one; cheap hours in between."""
    values: dict[str, Any] = {
        "charge_kw_max": 50.0,
        "discharge_kw_max": 50.0,
        "capacity_kwh": 200.0,
        "initial_kwh": 40.0,
        "final_min_kwh": 150.0,
        **cars,
    }
    return problem(
        STEPS,
        [
            node("t", None, 380.0, STEPS),
            node("f1", "t", feeder_kw, STEPS),
            node("f2", "t", feeder_kw, STEPS),
        ],
        stores=[store(f"car-{i}", "f1" if i <= 2 else "f2", STEPS, **values) for i in (1, 2, 3, 4)],
        fixed=[load("home", "f1", 3.0, STEPS)],
        buy=CHEAP,
        sell=[price - 0.02 for price in CHEAP],
    )


def test_a_plan_that_holds_is_left_alone() -> None:
    """On a short cable nothing is tightened; the plan is the planner's."""
    inputs = long_cable(60.0)
    made = plan_that_holds(inputs, cable_model(100.0), plan)
    assert (made.findings, made.tightenings, made.rounds) == ((), (), 0)
    assert made.cost_eur == pytest.approx(solve(inputs).cost_eur)


def test_a_long_cable_tightens_the_tree_and_then_the_plan_holds() -> None:
    """100 kW keeps the tree's 138 kW and sinks the far end below 207 V; spread over more hours it holds."""
    inputs, model = long_cable(), cable_model(900.0)
    naive = solve(inputs)
    assert check(inputs, naive) == []
    assert FindingKind.LOW_VOLTAGE in {finding.kind for finding in check_flow(inputs, naive, model)}
    made = plan_that_holds(inputs, model, plan)
    assert made.findings == ()
    assert check_flow(inputs, made, model) == ()
    assert check(inputs, made) == []
    assert 1 <= made.rounds <= 3
    assert {item.node for item in made.tightenings} == {"f1"}
    assert made.totals_kwh.as_tuple() == pytest.approx(naive.totals_kwh.as_tuple(), abs=1e-6)
    assert naive.lower_bound_eur == made.lower_bound_eur <= naive.cost_eur < made.cost_eur
    assert naive.inside_bound_eur is None


def test_a_bound_of_the_plans_inside_the_same_limits_is_given() -> None:
    """It proves the plan to be the best of those, which the tree's own bound cannot."""
    inputs, model = long_cable(), cable_model(900.0)
    made = plan_that_holds(inputs, model, plan)
    assert made.status == "feasible"
    assert made.inside_bound_eur is not None
    assert made.lower_bound_eur < made.inside_bound_eur <= made.cost_eur
    assert made.cost_eur - made.inside_bound_eur <= 1e-3 * inputs.cost_scale_eur
    held = [
        replace(one, import_limit_kw=made.inside_kw[one.id][0], export_limit_kw=made.inside_kw[one.id][1])
        if one.id in made.inside_kw
        else one
        for one in inputs.nodes
    ]
    assert list(made.inside_kw) == ["f1"]
    assert solve(replace(inputs, nodes=tuple(held))).cost_eur >= made.inside_bound_eur - 1e-6


def test_what_was_remembered_gives_no_bound_of_the_tree() -> None:
    """The second plan starts from lower limits: it is proven inside these, and claims nothing beyond."""
    inputs, model = long_cable(), cable_model(900.0)
    first = plan_that_holds(inputs, model, plan)
    second = plan_that_holds(inputs, model, plan, remembered=first.remembered)
    assert second.inside_bound_eur is not None
    assert second.cost_eur - second.inside_bound_eur <= 1e-3 * inputs.cost_scale_eur
    assert second.lower_bound_eur <= first.lower_bound_eur + 1e-6


def test_no_more_is_given_up_than_needed() -> None:
    """In the cheapest hour the far end comes to within a volt of its limit, not to the middle of its band."""
    inputs, model = long_cable(final_min_kwh=199.0), cable_model(900.0)
    made = plan_that_holds(inputs, model, plan)
    assert made.findings == ()
    power = np.array([made.node_power_kw[inputs.nodes[1].id]])
    step = int(power.argmax())
    flow = model.wiring(inputs).extremes(
        np.array([[3.0, *(made.power_kw[car.id][step] for car in inputs.stores)]])
    )
    assert 207.0 <= flow.low_v[0, 1] < 208.5


def test_sun_that_lifts_the_voltage_is_stored_or_curtailed() -> None:
    """110 kW of sun at the end of the cable is within the tree and above 253 V."""
    model = cable_model(900.0)
    inputs = problem(
        STEPS,
        [node("t", None, 380.0, STEPS), node("f1", "t", 138.0, STEPS)],
        pv=[roof("roof", "f1", 110.0, STEPS)],
        stores=[store("car-1", "f1", STEPS)],
    )
    assert {finding.kind for finding in check_flow(inputs, solve(inputs), model)} == {
        FindingKind.HIGH_VOLTAGE
    }
    made = plan_that_holds(inputs, model, plan)
    assert made.findings == ()
    assert {item.side for item in made.tightenings} == {"export"}


def test_what_nothing_steered_can_help_is_reported() -> None:
    """A home of 90 kW at the end of 900 m with no car there: the plan stays and the findings are told."""
    inputs = problem(
        STEPS,
        [node("t", None, 380.0, STEPS), node("f1", "t", 138.0, STEPS), node("f2", "t", 138.0, STEPS)],
        fixed=[load("load", "f1", 90.0, STEPS)],
    )
    made = plan_that_holds(inputs, cable_model(900.0), plan)
    assert made.rounds == 0
    assert len([finding for finding in made.findings if finding.kind is FindingKind.LOW_VOLTAGE]) == STEPS
    assert "below" not in str(made.findings[0])
    assert "end-1" in str(made.findings[0])


def test_a_transformer_that_binds_in_kva_tightens_the_root() -> None:
    """Losses and reactive power are no kW in the tree, but they load the transformer."""
    site = cable_site(100.0, kva=150.0)
    model = flow_model(site)
    assert model is not None
    inputs = problem(
        STEPS,
        [node("t", None, 150.0, STEPS), node("f1", "t", 138.0, STEPS), node("f2", "t", 138.0, STEPS)],
        stores=[
            store(
                f"car-{i}",
                "f1" if i <= 2 else "f2",
                STEPS,
                charge_kw_max=45.0,
                initial_kwh=6.0,
                final_min_kwh=50.0,
            )
            for i in (1, 2, 3, 4)
        ],
        buy=CHEAP,
        sell=[price - 0.02 for price in CHEAP],
    )
    naive = check_flow(inputs, solve(inputs), model)
    assert FindingKind.TRANSFORMER in {finding.kind for finding in naive}
    made = plan_that_holds(inputs, model, plan)
    assert made.findings == ()
    assert "t" in {item.node for item in made.tightenings}


def test_limits_never_rise() -> None:
    """Whatever the stretch, no limit of a tightened problem is above the old one."""
    inputs, model = long_cable(), cable_model(900.0)
    result = solve(inputs)
    found = plan_extremes(inputs, result, model)
    for stretch in (1.0, 2.0):
        tighter, told = tightened(inputs, result, model, found, stretch=stretch)
        assert told
        for before, after in zip(inputs.nodes, tighter.nodes, strict=True):
            assert (after.import_limit_kw <= before.import_limit_kw).all()
            assert (after.export_limit_kw <= before.export_limit_kw).all()
            assert (after.import_limit_kw >= 0.0).all()


def test_a_planner_that_fails_the_second_time_keeps_the_first_plan() -> None:
    """Rules do not replace an optimised plan; its findings are told."""
    inputs, model = long_cable(), cable_model(900.0)
    asked: list[DispatchInputs] = []

    def once(problem_: DispatchInputs, left_s: float | None) -> DispatchResult:
        asked.append(problem_)
        return plan(problem_, left_s) if len(asked) == 1 else fallback(problem_, "out of luck")

    made = plan_that_holds(inputs, model, once)
    assert made.rounds == 0
    assert made.status != "fallback"
    assert made.findings
    assert len(asked) == 3


def test_no_time_for_another_round_gives_the_first_plan() -> None:
    """The deadline is kept by not beginning what would not be done in time."""
    made = plan_that_holds(long_cable(), cable_model(900.0), plan, deadline_s=1e-3)
    assert made.rounds == 0


def test_cars_on_the_simulated_street() -> None:
    """24 cars and a winter's homes: the tree's 138 kW are more than 200 A on the cable's fullest phase."""
    site = build(load_scenario("street"), seed=1, start=START).site
    model = flow_model(site)
    assert model is not None
    inputs = winter_day(site)
    naive = solve(inputs)
    assert check(inputs, naive) == []
    assert {finding.kind for finding in check_flow(inputs, naive, model)} == {FindingKind.CABLE}
    made = plan_that_holds(inputs, model, plan)
    assert made.findings == ()
    assert check(inputs, made) == []
    assert made.totals_kwh.as_tuple() == pytest.approx(naive.totals_kwh.as_tuple(), abs=1e-6)


def test_cars_on_the_published_feeder() -> None:
    """55 two-way cars behind the IEEE European feeder: the tree's 421 A allows what phases do not bear.

    The feeder's limit counts three phases together. A plan within it takes 483 A on the fullest phase while
    charging and lifts the far end to 276 V while discharging. Tightened, it holds.
    """
    site, steps = ieee_site(), 24
    model = flow_model(site)
    assert model is not None
    price = 0.2 + 0.1 * np.cos(np.arange(steps) / steps * 2.0 * np.pi) + 0.01 * np.arange(steps)
    wishes = (Stay(from_step=0, to_step=14, departure_min_kwh=40.0), Stay(from_step=14, to_step=steps))
    inputs = problem(
        steps,
        [node(n.id, n.parent, n.import_limit_kw(), steps) for n in site.network.nodes],
        fixed=[load(home.id, FEEDER, 0.6, steps) for home in site.loads],
        stores=[
            store(
                car.id,
                FEEDER,
                steps,
                initial_kwh=20.0,
                charge_kw_max=car.charge_kw_max,
                discharge_kw_max=car.discharge_kw_max,
                stays=wishes,
                final_min_kwh=30.0,
                efficiency_charge=0.93,
                efficiency_discharge=0.93,
            )
            for car in site.vehicles
        ],
        buy=price + 0.02,
        sell=price - 0.01,
    )
    naive = solve(inputs)
    assert check(inputs, naive) == []
    kinds = {finding.kind for finding in check_flow(inputs, naive, model)}
    assert kinds == {FindingKind.CABLE, FindingKind.HIGH_VOLTAGE}
    made = plan_that_holds(inputs, model, plan)
    assert made.findings == ()
    assert check_flow(inputs, made, model) == ()
    assert check(inputs, made) == []
    assert made.totals_kwh.departure == pytest.approx(0.0, abs=1e-6)
    assert SUBSTATION not in {item.node for item in made.tightenings}
