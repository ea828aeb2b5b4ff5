"""Both ways to plan equal an exact mixed-integer reference on problems of every kind.

`python -m tests.support.dispatch_comparison` does the same on 200 of up to 8 stores and 24 steps; those take
minutes, so here they are smaller where there are whole numbers.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from controller.dispatch.solve import solve_exact
from controller.dispatch.structured.solve import solve_structured
from tests.support.dispatch import node, problem, store
from tests.support.dispatch_comparison import difference
from tests.support.dispatch_random import AnyProblem
from tests.support.dispatch_reference import audit, reference


@pytest.mark.parametrize("seed", range(3000, 3015))
def test_with_taxes_by_the_step_both_ways_equal_the_reference(seed: int) -> None:
    """Taxes and fees that are others in each step, below 0 too."""
    rng, any_problem = np.random.default_rng(seed), AnyProblem(seed, most_stores=5, most_steps=10).inputs()
    stores = tuple(
        replace(
            one,
            charge_adder_eur_per_kwh=rng.uniform(-0.05, 0.15, any_problem.steps),
            discharge_adder_eur_per_kwh=rng.uniform(-0.05, 0.05, any_problem.steps),
        )
        for one in any_problem.stores
    )
    inputs = replace(any_problem, stores=stores)
    exact = reference(inputs)
    plan, fast = solve_exact(inputs), solve_structured(inputs)
    assert difference(inputs, plan, exact).faults == []
    assert fast is None or difference(inputs, fast, exact).faults == []


@pytest.mark.parametrize("seed", range(1000, 1040))
def test_both_ways_equal_the_reference(seed: int) -> None:
    """Totals to 1e-6 kWh, cost to 1e-4, a bound below the exact cost, every hard rule kept."""
    inputs = AnyProblem(seed, most_stores=5, most_steps=10).inputs()
    exact = reference(inputs)
    plan, fast = solve_exact(inputs), solve_structured(inputs)
    assert plan.status == "optimal"
    assert difference(inputs, plan, exact).faults == []
    assert fast is None or difference(inputs, fast, exact).faults == []


@pytest.mark.parametrize("seed", range(2000, 2025))
def test_the_structured_way_equals_the_reference_without_minimum_powers(seed: int) -> None:
    """As exact as the exact way, or no plan: then the caller has the exact way."""
    inputs = AnyProblem(seed, minimum_powers=False).inputs()
    fast = solve_structured(inputs)
    assert fast is None or difference(inputs, fast, reference(inputs)).faults == []


def test_the_reference_knows_an_answer_by_hand() -> None:
    """2 kWh wanted of a car that starts at 4.1 kW, prices 0.3 0.1: one hour at 4.1 kW in the second."""
    car = store("car", "root", 2, final_min_kwh=32.0, charge_kw_min=4.1, discharge_kw_max=0.0)
    exact = reference(problem(2, [node("root", None, 20, 2)], stores=[car], buy=[0.3, 0.1], sell=0.0))
    assert exact.totals_kwh == pytest.approx((0.0, 0.0, 0.0, 0.0))
    assert exact.cost_eur == pytest.approx(0.41)


def test_the_audit_sees_what_is_wrong() -> None:
    """A plan whose powers were tampered with no longer adds up."""
    car = store("car", "root", 2, final_min_kwh=35.0)
    inputs = problem(2, [node("root", None, 20, 2)], stores=[car], buy=[0.3, 0.1], sell=0.0)
    plan = solve_exact(inputs)
    assert audit(inputs, plan).broken == []
    name = inputs.stores[0].id
    both = replace(plan, discharge_kw={name: plan.charge_kw[name]})
    assert any("does both" in rule for rule in audit(inputs, both).broken)
    more = replace(plan, charge_kw={name: plan.charge_kw[name] + 11.0})
    assert any("charges: " in rule for rule in audit(inputs, more).broken)
