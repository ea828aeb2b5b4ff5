"""Plans, checks the plan by power flow, tightens the tree where it was too optimistic, and plans again.

The tree's limits only ever fall and each has a least value that can be reached, so the rounds come to an end;
each round lowers a little more than the last one's gain says, so that few are needed. What is handed back is
the plan that breaks least, with what it still breaks: most often nothing.

A plan made for a tightened tree is a plan for the tree as it was: its totals, violations and bound are taken
of the problem that was asked. Its node prices and water values are those of the tightened one, so they
contain what a voltage or a current costs; its shortfalls name the limits that really held the cars back.

A planner that goes on remembers (`memory`): its next problem starts from what the network was found to
bear. Where that plan leaves more unmet than can be shown to be unavoidable (or there is none), what is
remembered is forgotten and the tree is planned as it was asked.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np

from controller.dispatch.assemble import powers_of
from controller.dispatch.check import check
from controller.dispatch.evaluate import evaluate
from controller.dispatch.inputs import DispatchInputs
from controller.dispatch.restate import no_larger, restated
from controller.dispatch.result import DispatchResult
from controller.domain.ids import NodeId
from controller.domain.units import FloatArray
from controller.powerflow.check import findings_of, gauges, plan_extremes
from controller.powerflow.memory import Remembered, least_totals, measured_anew, remembered_tree
from controller.powerflow.placement import Extremes, FlowModel
from controller.powerflow.result import CheckedPlan
from controller.powerflow.tighten import Tightening, tightened

MOST_ROUNDS = 6
"""How often a plan is made again at most; measured: 1 to 3 are needed (decision record)."""
STRETCH_PER_ROUND = 0.15
"""By how much more than the last round's a limit is lowered, of what the gain says."""
FIRST_SHARE = 0.5
"""Of a deadline, what the first plan may use; the rest is for the check and for planning again."""
AGAIN_SHARE = 0.4
"""Of what is left of a deadline, what a plan made again may use: there may be one more to make."""
HAIR = 1e-5
"""Of every limit, what a tightened problem leaves free: a solver's rounding (1e-6 of a limit) is excess
in the problem that was asked."""

type Solve = Callable[[DispatchInputs, float | None], DispatchResult]
"""A planner: the problem and its deadline [s], None for as long as it takes."""


@dataclass(frozen=True, kw_only=True)
class FlowCheckedPlan(CheckedPlan):
    """A checked plan with what was learned on the way to it."""

    tightenings: tuple[Tightening, ...]
    """The limits that were lowered."""
    remembered: tuple[Remembered, ...] = ()
    """What the next plan is to start from."""


def plan_that_holds(
    inputs: DispatchInputs,
    model: FlowModel,
    solve: Solve,
    *,
    deadline_s: float | None = None,
    rounds: int = MOST_ROUNDS,
    remembered: Sequence[Remembered] = (),
) -> FlowCheckedPlan:
    """A plan that keeps voltages, currents and transformer ratings, or the one that breaks them least.

    Args:
        inputs: A problem without `inputs.problems`.
        model: The network, with every asset of the problem on it.
        solve: The planner.
        deadline_s: Time for all of it [s], machine clock; None for as long as it takes.
        rounds: How often the plan is made again at most; planning without what was remembered counts too.
        remembered: The last plan's `remembered`.

    Returns:
        The plan; its `solve_s` is the time of all rounds and checks but for its own `build_s`.
    """
    desk = _Desk(inputs=inputs, model=model, solve=solve, deadline_s=deadline_s)
    start = remembered_tree(inputs, remembered)
    tree = inputs if start is None else _by_a_hair(start)
    first = solve(tree, desk.share_s(FIRST_SHARE))
    number = 0
    if start is not None and not desk.is_harmless(first):
        again = solve(inputs, desk.share_s(FIRST_SHARE))
        number = 1
        if again.status != "fallback" or not desk.is_sound(first):
            tree, first, remembered = inputs, again, ()
    certified = first if tree is inputs else None
    current = desk.drafted(tree, first, (), number)
    best = current if tree is inputs else replace(current, plan=_restated(inputs, certified, current.plan))
    tight = _by_a_hair(inputs) if tree is inputs else tree
    lowered: list[Tightening] = []
    support = True
    while number < rounds and current.plan.findings:
        number += 1
        stretch = 1.0 + STRETCH_PER_ROUND * number
        tighter, told = tightened(tight, current.plan, model, current.found, stretch=stretch, support=support)
        if not told or desk.is_late(first.build_s + first.solve_s):
            break
        again = solve(tighter, desk.share_s(AGAIN_SHARE))
        if again.status == "fallback" and first.status != "fallback":
            if not support:
                break
            support = False
            continue
        tight, lowered = tighter, [*lowered, *told]
        current = desk.drafted(tight, again, tuple(lowered), number)
        asked = _restated(inputs, certified, current.plan)
        if not check(inputs, asked) and severity(inputs, asked) < severity(inputs, best.plan):
            best = replace(current, plan=asked)
    return desk.answer(best, remembered, lowered)


@dataclass(frozen=True, kw_only=True)
class _Draft:
    """A plan with its figures."""

    plan: FlowCheckedPlan
    found: Extremes
    tree: DispatchInputs
    """The problem that it was made for."""


@dataclass(frozen=True, kw_only=True)
class _Desk:
    """What a plan is made of, and its clock."""

    inputs: DispatchInputs
    model: FlowModel
    solve: Solve
    deadline_s: float | None
    begun_s: float = field(default_factory=time.perf_counter)

    def share_s(self, share: float) -> float | None:
        """A share of what is left of the deadline [s]."""
        if self.deadline_s is None:
            return None
        return share * max(0.0, self.deadline_s - (time.perf_counter() - self.begun_s))

    def is_late(self, took_s: float) -> bool:
        """Whether a plan that takes as long as the first did would come too late."""
        share_s = self.share_s(AGAIN_SHARE)
        return share_s is not None and share_s < took_s

    def is_sound(self, plan: DispatchResult) -> bool:
        """Whether it is a planner's plan and keeps what was asked."""
        return plan.status != "fallback" and not check(self.inputs, plan)

    def is_harmless(self, plan: DispatchResult) -> bool:
        """Whether a plan for a remembered tree leaves no more unmet than any plan for the asked one must."""
        totals = evaluate(self.inputs, powers_of(self.inputs, plan)).totals
        restated = replace(plan, totals_kwh=totals)
        return self.is_sound(restated) and no_larger(totals, least_totals(self.inputs))

    def drafted(
        self, tree: DispatchInputs, result: DispatchResult, told: tuple[Tightening, ...], rounds: int
    ) -> _Draft:
        """A plan after its check."""
        found = plan_extremes(tree, result, self.model)
        own = {item.name: getattr(result, item.name) for item in fields(DispatchResult)}
        findings = findings_of(self.model.grid, found)
        plan = FlowCheckedPlan(**own, findings=findings, tightenings=told, rounds=rounds)
        return _Draft(plan=plan, found=found, tree=tree)

    def answer(
        self, draft: _Draft, remembered: Sequence[Remembered], lowered: Iterable[Tightening]
    ) -> FlowCheckedPlan:
        """A draft as it is handed back, with what the next plan is to start from."""
        power = np.array([draft.plan.node_power_kw[node.id] for node in self.inputs.nodes])
        learned = (item.response for item in lowered)
        found = gauges(self.model.grid, draft.found)
        return replace(
            draft.plan,
            inside_kw=_lower_limits(self.inputs, draft.tree),
            remembered=measured_anew(self.inputs, power, found, remembered, learned),
            solve_s=time.perf_counter() - self.begun_s - draft.plan.build_s,
        )


def _by_a_hair(inputs: DispatchInputs) -> DispatchInputs:
    keep = 1.0 - HAIR
    nodes = tuple(
        replace(
            node, import_limit_kw=keep * node.import_limit_kw, export_limit_kw=keep * node.export_limit_kw
        )
        for node in inputs.nodes
    )
    return replace(inputs, nodes=nodes)


def _lower_limits(
    inputs: DispatchInputs, tree: DispatchInputs
) -> dict[NodeId, tuple[FloatArray, FloatArray]]:
    """The limits of a tree where they are lower than asked by more than a hair."""
    found = {}
    for asked, node in zip(inputs.nodes, tree.nodes, strict=True):
        pairs = [(node.import_limit_kw, asked.import_limit_kw), (node.export_limit_kw, asked.export_limit_kw)]
        if any((low < (1.0 - 2.0 * HAIR) * high).any() for low, high in pairs):
            found[node.id] = (node.import_limit_kw, node.export_limit_kw)
    return found


def severity(inputs: DispatchInputs, plan: CheckedPlan) -> float:
    """How much a plan breaks: the excesses of their bounds, over the hours they last."""
    return float(sum(finding.severity * inputs.step_h[finding.step] for finding in plan.findings))


def _restated(
    inputs: DispatchInputs, certified: DispatchResult | None, plan: FlowCheckedPlan
) -> FlowCheckedPlan:
    """A tightened problem's plan as a plan for the problem that was asked.

    Its own bound is that of the tightened problem; `certified` is a plan for the one that was asked, if it
    was solved.
    """
    return replace(restated(inputs, plan, certified), inside_bound_eur=plan.lower_bound_eur)
