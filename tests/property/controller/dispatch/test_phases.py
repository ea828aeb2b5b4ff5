"""Whatever hangs on whatever phase, no plan loads a phase beyond its rating."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from controller.dispatch.check import check
from controller.dispatch.evaluate import standby_kw
from controller.dispatch.fallback import fallback
from controller.dispatch.inputs import DispatchInputs
from controller.dispatch.result import DispatchResult
from controller.dispatch.solve import solve, solve_quick
from tests.support.dispatch import random_problem
from tests.support.phases import phase_kw, with_random_phases

SLACK_KW = 1e-4
"""What solver and check leave open, of ratings up to 20 kW."""


def worst_kw(inputs: DispatchInputs, plan: DispatchResult, side: int) -> float:
    """By how much a phase is over its rating, where stores make it so [kW]; negative inside."""
    assert inputs.phases is not None
    drawn = dict(zip([store.id for store in inputs.stores], standby_kw(inputs), strict=True))
    without = replace(plan, power_kw={**plan.power_kw, **drawn})
    ratings = inputs.phases.import_limit_kw if side > 0 else inputs.phases.export_limit_kw
    return max(
        (
            float(
                (
                    phase_kw(inputs, plan, node, side=side)
                    - np.maximum(rating, phase_kw(inputs, without, node, side=side))
                ).max()
            )
            for node, rating in ratings.items()
        ),
        default=0.0,
    )


@given(seed=st.integers(0, 10_000), tightness=st.sampled_from([0.3, 0.8]))
@example(seed=6, tightness=0.8)
@example(seed=956, tightness=0.3)
@example(seed=82, tightness=0.8)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_plan_passes_a_phase(seed: int, tightness: float) -> None:
    """The exact plan, the quick one and the one by rules, by a sum of their own, import and export."""
    inputs = with_random_phases(
        random_problem(seed, cars=4, steps=5, minimum_powers=False), seed, tightness=tightness
    )
    exact = solve(inputs)
    for plan in (exact, solve_quick(inputs)):
        assert plan.status != "fallback"
        assert check(inputs, plan) == []
        assert worst_kw(inputs, plan, 1) <= SLACK_KW
        assert worst_kw(inputs, plan, -1) <= SLACK_KW
        assert plan.lower_bound_eur <= plan.cost_eur + 1e-9
    assert worst_kw(inputs, fallback(inputs, "tried"), 1) <= SLACK_KW


@given(seed=st.integers(0, 10_000))
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_phases_only_take_room(seed: int) -> None:
    """With phases nothing gets better: totals in their order, then the cost."""
    free = random_problem(seed, cars=4, steps=5, minimum_powers=False)
    bound = solve(with_random_phases(free, seed))
    blind = solve(free)
    for mine, theirs in zip(bound.totals_kwh.as_tuple(), blind.totals_kwh.as_tuple(), strict=True):
        if abs(mine - theirs) > 1e-5:
            assert mine > theirs
            return
    assert bound.cost_eur >= blind.cost_eur - 1e-4 * free.cost_scale_eur
