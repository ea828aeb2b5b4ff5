"""Whatever the tree, the prices and the wishes: limits, the recursion, one direction, bound <= cost."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from controller.dispatch.check import check
from controller.dispatch.fallback import fallback
from controller.dispatch.inputs import problems
from controller.dispatch.result import NODE_PRICE_LIMIT_EUR_PER_KWH
from controller.dispatch.solve import solve
from controller.dispatch.structured.solve import solve_structured
from tests.support.dispatch import random_problem
from tests.support.dispatch_comparison import difference
from tests.support.dispatch_random import AnyProblem
from tests.support.dispatch_reference import audit, reference

SEEDS = st.integers(min_value=10_000, max_value=10_000_000)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=SEEDS, stores=st.integers(1, 5), steps=st.integers(1, 10))
def test_every_plan_keeps_what_is_hard(seed: int, stores: int, steps: int) -> None:
    """Both ways and the rules break nothing; what is solved is as small as an exact solver has it."""
    inputs = AnyProblem(seed, most_stores=stores, most_steps=steps).inputs()
    assert problems(inputs) == []
    exact, plan, rules = reference(inputs), solve(inputs), fallback(inputs, "x")
    fast = solve_structured(inputs)
    for some in (plan, rules, *([] if fast is None else [fast])):
        # Limits, the recursion and one direction at a time, once as production sees it and once by the text.
        assert check(inputs, some) == []
        assert audit(inputs, some).broken == []
        assert some.lower_bound_eur <= some.cost_eur
        for store in inputs.stores:
            assert np.minimum(some.charge_kw[store.id], some.discharge_kw[store.id]).max() == 0.0
        for price in some.node_price_eur_per_kwh.values():
            assert np.abs(price).max() <= NODE_PRICE_LIMIT_EUR_PER_KWH
        if some is not rules:
            assert difference(inputs, some, exact).faults == []
    assert plan.status == "optimal"
    for least, other in zip(exact.totals_kwh, audit(inputs, rules).totals_kwh, strict=True):
        # In lexicographic order: the first total that differs decides.
        if abs(least - other) > 1e-5:
            assert least < other
            break


@settings(max_examples=100, deadline=None)
@given(seed=SEEDS, cars=st.integers(0, 12), steps=st.integers(1, 16))
@example(
    seed=10_000, cars=4, steps=11
)  # Sun beyond an export limit, and cars elsewhere that would charge by it.
def test_every_plan_by_rules_keeps_what_is_hard(seed: int, cars: int, steps: int) -> None:
    """Rules alone: no breach, and a bound that is one."""
    inputs = random_problem(seed, cars=cars, steps=steps)
    plan = fallback(inputs, "x")
    assert check(inputs, plan) == []
    assert plan.lower_bound_eur <= plan.cost_eur
