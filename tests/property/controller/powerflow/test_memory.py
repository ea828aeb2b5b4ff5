"""What is called unavoidable is: no plan leaves less unmet."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.dispatch.fallback import fallback
from controller.dispatch.result import DispatchResult
from controller.dispatch.solve import solve_quick
from controller.powerflow.memory import least_totals
from tests.support.dispatch import random_problem

KWH = 1e-6


def no_less(plan: DispatchResult, least: tuple[float, ...]) -> bool:
    """Whether each of a plan's totals is at least the given one."""
    return all(total >= low - KWH for total, low in zip(plan.totals_kwh.as_tuple(), least, strict=True))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_no_plan_has_smaller_totals(seed: int) -> None:
    """Neither the planner's nor one by rules, on any tree and with any wishes."""
    inputs = random_problem(seed, minimum_powers=False)
    least = least_totals(inputs).as_tuple()
    assert no_less(solve_quick(inputs), least)
    assert no_less(fallback(inputs, "to compare"), least)
