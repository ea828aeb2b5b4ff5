"""The check finds every kind of broken plan and lets sound ones pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from controller.dispatch.assemble import Certificate, assemble
from controller.dispatch.check import check
from controller.dispatch.evaluate import Powers
from controller.dispatch.inputs import DispatchInputs, Stay
from controller.dispatch.result import DispatchResult
from controller.domain.ids import AssetId
from tests.support.dispatch import load, node, problem, roof, store

CAR, ROOF = AssetId("car"), AssetId("roof")


def _inputs() -> DispatchInputs:
    car = store("car", "root", 3, charge_kw_min=4.1, stays=(Stay(from_step=0, to_step=2),))
    return problem(
        3,
        [node("root", None, 12.0, 3)],
        stores=[car],
        fixed=[load("home", "root", 3.0, 3)],
        pv=[roof("roof", "root", 2.0, 3, curtailable=False)],
    )


def _plan(
    inputs: DispatchInputs, charge: list[float], discharge: list[float], sun: list[float]
) -> DispatchResult:
    """A consistent result for any powers, sound or not."""
    return assemble(
        inputs,
        Powers(charge_kw=np.array([charge]), discharge_kw=np.array([discharge]), pv_kw=np.array([sun])),
        Certificate(
            method="test",
            lower_bound_eur=-np.inf,
            node_price_eur_per_kwh=np.zeros((1, 3)),
            water_value_eur_per_kwh=np.zeros((1, 3)),
            build_s=0.0,
            solve_s=0.0,
        ),
    )


def _with(plan: DispatchResult, **changes: object) -> DispatchResult:
    return replace(plan, **changes)  # type: ignore[arg-type]  # wrong values are the point


def test_a_sound_plan_passes() -> None:
    """Charging within every bound breaks nothing."""
    inputs = _inputs()
    assert check(inputs, _plan(inputs, [5, 0, 0], [0, 3, 0], [2, 2, 2])) == []


@pytest.mark.parametrize(
    ("charge", "discharge", "sun", "constraint"),
    [
        ([10.5, 0, 0], [0, 0, 0], [2, 2, 2], "charge_limit"),
        ([0, 0, 5], [0, 0, 0], [2, 2, 2], "charge_limit"),
        ([0, 0, 0], [11, 0, 0], [2, 2, 2], "discharge_limit"),
        ([-1, 0, 0], [0, 0, 0], [2, 2, 2], "charge_sign"),
        ([2, 0, 0], [0, 0, 0], [2, 2, 2], "charge_minimum"),
        ([5, 0, 0], [5, 0, 0], [2, 2, 2], "one_direction"),
        ([0, 0, 0], [0, 0, 0], [2, 2.5, 2], "pv_available"),
        ([0, 0, 0], [0, 0, 0], [2, 1, 2], "pv_not_curtailable"),
        ([0, 0, 0], [10, 10, 0], [2, 2, 2], "export_limit"),
    ],
)
def test_each_broken_bound_is_named(
    charge: list[float], discharge: list[float], sun: list[float], constraint: str
) -> None:
    """One thing wrong, and its constraint is in the list."""
    inputs = _inputs()
    limited = replace(inputs, nodes=(node("root", None, 12.0, 3, 8.0),))
    plan = _plan(limited, charge, discharge, sun)
    found = check(limited, _with(plan, violations=()))
    assert constraint in {breach.constraint for breach in found}


def test_energy_outside_the_store_is_found() -> None:
    """Below the floor and above the capacity."""
    low = problem(2, [node("root", None, 50, 2)], stores=[store("car", "root", 2, initial_kwh=8.0)])
    high = problem(2, [node("root", None, 50, 2)], stores=[store("car", "root", 2, initial_kwh=55.0)])
    down = Powers(charge_kw=np.zeros((1, 2)), discharge_kw=np.full((1, 2), 5.0), pv_kw=np.zeros((0, 2)))
    up = Powers(charge_kw=np.full((1, 2), 5.0), discharge_kw=np.zeros((1, 2)), pv_kw=np.zeros((0, 2)))
    certificate = Certificate(
        method="test",
        lower_bound_eur=-np.inf,
        node_price_eur_per_kwh=np.zeros((1, 2)),
        water_value_eur_per_kwh=np.zeros((1, 2)),
        build_s=0.0,
        solve_s=0.0,
    )
    assert check(low, assemble(low, down, certificate))[0].constraint == "never_below_minimum"
    assert check(high, assemble(high, up, certificate))[0].constraint == "capacity"


def test_a_plan_that_declares_its_own_overload_does_not_pass() -> None:
    """Ten cars at full power over the limit, declared as violations: an idle plan would not be over."""
    inputs = _inputs()
    tight = replace(inputs, nodes=(node("root", None, 4.0, 3),))
    found = check(tight, _plan(tight, [10, 10, 0], [0, 0, 0], [2, 2, 2]))
    assert "excess" in {breach.constraint for breach in found}


def test_traces_within_the_tolerance_of_each_limit_do_not_add_up_to_a_breach() -> None:
    """Two steps over a limit of 10 kW by 9e-6 kW each: no limit is broken, so nothing is."""
    inputs = replace(_inputs(), nodes=(node("root", None, 10.0, 3),))
    plan = _plan(inputs, [9.0 + 9e-6, 9.0 + 9e-6, 0], [0, 0, 0], [2, 2, 2])
    assert plan.totals_kwh.excess > 2e-6
    assert check(inputs, _with(plan, violations=())) == []


@pytest.mark.parametrize(
    ("spoil", "constraint"),
    [
        (lambda plan: _with(plan, charge_kw={}), "complete"),
        (lambda plan: _with(plan, charge_kw={CAR: np.zeros(7)}), "complete"),
        (lambda plan: _with(plan, charge_kw={CAR: np.full(3, np.nan)}), "finite"),
        (lambda plan: _with(plan, cost_eur=float("nan")), "finite"),
        (lambda plan: _with(plan, cost_eur=plan.cost_eur + 1), "cost"),
        (lambda plan: _with(plan, energy_kwh={CAR: plan.energy_kwh[CAR] + 1}), "energy_recursion"),
        (lambda plan: _with(plan, energy_kwh={}), "energy_recursion"),
        (lambda plan: _with(plan, node_power_kw={}), "node_balance"),
        (lambda plan: _with(plan, power_kw={**plan.power_kw, CAR: np.zeros(3)}), "power_balance"),
    ],
)
def test_reports_that_do_not_fit_their_powers_are_found(
    spoil: Callable[[DispatchResult], DispatchResult], constraint: str
) -> None:
    """A plan whose figures are not what its powers amount to, or are missing, is not used."""
    inputs = _inputs()
    plan = spoil(_plan(inputs, [5, 0, 0], [0, 3, 0], [2, 2, 2]))
    assert constraint in {breach.constraint for breach in check(inputs, plan)}
