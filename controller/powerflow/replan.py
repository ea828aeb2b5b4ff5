"""Plans, checks the plan by power flow, tightens the tree where it was too optimistic, and plans again.

The tree's limits only ever fall and each has a least value that can be reached, so the rounds come to an end;
each round lowers a little more than the last one's gain says, so that few are needed. What is handed back is
the plan that breaks least, with what it still breaks: most often nothing.

A plan made for a tightened tree is a plan for the tree as it was: its totals, violations and bound are taken
of the problem that was asked. Its node prices and water values are those of the tightened one, so they
contain what a voltage or a current costs; its shortfalls name the limits that really held the cars back.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace

from controller.dispatch.assemble import powers_of
from controller.dispatch.check import check
from controller.dispatch.evaluate import evaluate, trivial_bound_eur
from controller.dispatch.explain import violations
from controller.dispatch.inputs import DispatchInputs
from controller.dispatch.result import OPTIMAL_GAP, DispatchResult, Totals
from controller.powerflow.check import Finding, check_flow
from controller.powerflow.placement import FlowModel
from controller.powerflow.tighten import Tightening, tightened

MOST_ROUNDS = 6
"""How often a plan is made again at most; measured: 1 to 3 are needed (decision record)."""
STRETCH_PER_ROUND = 0.15
"""By how much more than the last round's a limit is lowered, of what the gain says."""
FIRST_SHARE = 0.5
"""Of a deadline, what the first plan may use; the rest is for the check and for planning again."""
AGAIN_SHARE = 0.4
"""Of what is left of a deadline, what a plan made again may use: there may be one more to make."""
TOTALS_EQUAL_KWH = 1e-6
"""Totals are equal within this [kWh] (formats.md)."""

HAIR = 1e-5
"""Of every limit, what a tightened problem leaves free: a solver's rounding (1e-6 of a limit) is excess
in the problem that was asked."""

type Solve = Callable[[DispatchInputs, float | None], DispatchResult]
"""A planner: the problem and its deadline [s], None for as long as it takes."""


@dataclass(frozen=True, kw_only=True)
class FlowCheckedPlan(DispatchResult):
    """A plan and what the power flow says of it."""

    findings: tuple[Finding, ...]
    """What it still breaks; empty: the plan holds."""
    tightenings: tuple[Tightening, ...]
    """The limits that were lowered on the way to it."""
    rounds: int
    """How often it was made again."""


def plan_that_holds(
    inputs: DispatchInputs,
    model: FlowModel,
    solve: Solve,
    *,
    deadline_s: float | None = None,
    rounds: int = MOST_ROUNDS,
) -> FlowCheckedPlan:
    """A plan that keeps voltages, currents and transformer ratings, or the one that breaks them least.

    Args:
        inputs: A problem without `inputs.problems`.
        model: The network, with every asset of the problem on it.
        solve: The planner.
        deadline_s: Time for all of it [s], machine clock; None for as long as it takes.
        rounds: How often the plan is made again at most.
    """
    begun = time.perf_counter()
    first = solve(inputs, None if deadline_s is None else FIRST_SHARE * deadline_s)
    best = _checked(first, check_flow(inputs, first, model), (), 0)
    current, tight = best, _by_a_hair(inputs)
    lowered: list[Tightening] = []
    support = True
    for number in range(1, rounds + 1):
        if not current.findings:
            break
        stretch = 1.0 + STRETCH_PER_ROUND * number
        tighter, told = tightened(tight, current, model, current.findings, stretch=stretch, support=support)
        left_s = None if deadline_s is None else deadline_s - (time.perf_counter() - begun)
        if not told or (left_s is not None and AGAIN_SHARE * left_s < first.build_s + first.solve_s):
            break
        again = solve(tighter, None if left_s is None else AGAIN_SHARE * left_s)
        if again.status == "fallback" and first.status != "fallback":
            if not support:
                break
            support = False
            continue
        tight, lowered = tighter, [*lowered, *told]
        current = _checked(again, check_flow(tight, again, model), tuple(lowered), number)
        asked = _restated(inputs, first, current)
        if not check(inputs, asked) and _severity(inputs, asked) < _severity(inputs, best):
            best = asked
    return best


def _by_a_hair(inputs: DispatchInputs) -> DispatchInputs:
    keep = 1.0 - HAIR
    nodes = tuple(
        replace(
            node, import_limit_kw=keep * node.import_limit_kw, export_limit_kw=keep * node.export_limit_kw
        )
        for node in inputs.nodes
    )
    return replace(inputs, nodes=nodes)


def _severity(inputs: DispatchInputs, plan: FlowCheckedPlan) -> float:
    """How much a plan breaks: the excesses of their bounds, over the hours they last."""
    return float(sum(finding.severity * inputs.step_h[finding.step] for finding in plan.findings))


def _checked(
    result: DispatchResult, findings: tuple[Finding, ...], told: tuple[Tightening, ...], rounds: int
) -> FlowCheckedPlan:
    own = {field.name: getattr(result, field.name) for field in fields(DispatchResult)}
    return FlowCheckedPlan(**own, findings=findings, tightenings=told, rounds=rounds)


def _restated(inputs: DispatchInputs, first: DispatchResult, plan: FlowCheckedPlan) -> FlowCheckedPlan:
    """A tightened problem's plan as a plan for the problem that was asked.

    The first plan's bound holds for plans whose totals are no larger than its own; for others only the
    trivial one is known.
    """
    figures = evaluate(inputs, powers_of(inputs, plan))
    bound = trivial_bound_eur(inputs)
    no_larger = _no_larger(figures.totals, first.totals_kwh)
    if no_larger:
        bound = max(bound, first.lower_bound_eur)
    bound = min(bound, figures.cost_eur)
    optimal = no_larger and (figures.cost_eur - bound) / inputs.cost_scale_eur <= OPTIMAL_GAP
    status = plan.status
    if status != "fallback":
        status = "optimal" if optimal and first.status == "optimal" else "feasible"
    return replace(
        plan,
        status=status,
        lower_bound_eur=bound,
        totals_kwh=figures.totals,
        violations=violations(inputs, figures),
    )


def _no_larger(totals: Totals, of: Totals) -> bool:
    return all(
        mine <= theirs + TOTALS_EQUAL_KWH
        for mine, theirs in zip(totals.as_tuple(), of.as_tuple(), strict=True)
    )
