"""Whatever the last plan was for, following it breaks nothing now."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.dispatch.carry import second_best
from controller.dispatch.check import check
from controller.dispatch.fallback import fallback
from controller.dispatch.warm import WarmStart
from controller.domain.ids import NodeId
from tests.support.dispatch import random_problem

NOTHING_KW = 1e-6


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 100_000), other=st.integers(0, 100_000), steps=st.integers(2, 8))
def test_a_plan_for_another_problem_is_clipped_to_this_one(seed: int, other: int, steps: int) -> None:
    """Another tree, other bounds, minimum powers and wishes, under the same names: every hard limit holds.

    Where a node is over its import limit all the same, nothing under it charges.
    """
    inputs, before = random_problem(seed, steps=steps), random_problem(other, steps=8)
    goal = replace(fallback(before, "any plan"), status="feasible")
    plan = second_best(inputs, WarmStart(inputs=before, result=goal), "why not")
    assert plan.reason == "why not"
    assert check(inputs, plan) == []
    paths = {node.id: node.parent for node in inputs.nodes}
    for violation in plan.violations:
        if violation.side == "export":
            continue
        for car in inputs.stores:
            at: NodeId | None = car.node
            while at is not None and at != violation.node:
                at = paths[at]
            assert at is None or plan.charge_kw[car.id][violation.step] <= NOTHING_KW
