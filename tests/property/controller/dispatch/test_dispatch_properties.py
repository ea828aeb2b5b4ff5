"""Whatever the tree, the prices and the wishes: limits, the recursion, one direction, bound <= cost."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.dispatch.check import check
from controller.dispatch.fallback import fallback
from controller.dispatch.inputs import problems
from controller.dispatch.result import NODE_PRICE_LIMIT_EUR_PER_KWH
from controller.dispatch.solve import solve
from tests.support.dispatch import random_problem

SEEDS = st.integers(min_value=10_000, max_value=10_000_000)


@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(seed=SEEDS, cars=st.integers(0, 4), steps=st.integers(1, 8), minimum=st.booleans())
def test_every_plan_keeps_what_is_hard(seed: int, cars: int, steps: int, minimum: bool) -> None:  # noqa: FBT001  # drawn
    """The solver's plan and the one by rules break nothing, and the solver's is never the worse."""
    inputs = random_problem(seed, cars=cars, steps=steps, minimum_powers=minimum)
    assert problems(inputs) == []
    plan, rules = solve(inputs), fallback(inputs, "x")
    assert check(inputs, plan) == []
    assert check(inputs, rules) == []
    assert plan.status == "optimal"
    assert plan.lower_bound_eur <= plan.cost_eur
    for store in inputs.stores:
        charge, discharge = plan.charge_kw[store.id], plan.discharge_kw[store.id]
        assert np.minimum(charge, discharge).max() == 0.0
        away = ~store.plugged
        assert charge[away].sum() == 0.0
        assert discharge[away].sum() == 0.0
        if not store.two_way:
            assert discharge.max() == 0.0
        moved = inputs.step_h * (store.efficiency_charge * charge - discharge / store.efficiency_discharge)
        change = np.diff(plan.energy_kwh[store.id])
        np.testing.assert_allclose(change, moved - store.trips_kwh, atol=1e-9)
    for price in plan.node_price_eur_per_kwh.values():
        assert np.abs(price).max() <= NODE_PRICE_LIMIT_EUR_PER_KWH
    for better, worse in zip(plan.totals_kwh.as_tuple(), rules.totals_kwh.as_tuple(), strict=True):
        # In lexicographic order: the first total that differs decides.
        if abs(better - worse) > 1e-5:
            assert better < worse
            break


@settings(max_examples=100, deadline=None, derandomize=True)
@given(seed=SEEDS, cars=st.integers(0, 12), steps=st.integers(1, 16))
def test_every_plan_by_rules_keeps_what_is_hard(seed: int, cars: int, steps: int) -> None:
    """Rules alone: no breach, and a bound that is one."""
    inputs = random_problem(seed, cars=cars, steps=steps)
    plan = fallback(inputs, "x")
    assert check(inputs, plan) == []
    assert plan.lower_bound_eur <= plan.cost_eur
