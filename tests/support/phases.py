"""Phases for dispatch problems: random ones, and what a plan puts on each phase, summed by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from controller.dispatch.by_phase import PhaseInput, PhaseShare
from controller.dispatch.inputs import DispatchInputs, FixedInput, PvInput, StoreInput
from controller.dispatch.result import DispatchResult
from controller.domain.ids import NodeId
from controller.domain.units import FloatArray

ON_L1 = PhaseShare(known=(1.0, 0.0, 0.0))
ON_L2 = PhaseShare(known=(0.0, 1.0, 0.0))
ON_L3 = PhaseShare(known=(0.0, 0.0, 1.0))
ON_ONE = PhaseShare(known=(0.0, 0.0, 0.0), unknown=1.0)
ON_THREE = PhaseShare(known=(1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0))
EVERY_WAY = (ON_L1, ON_L2, ON_L3, ON_ONE, ON_THREE)


def with_phases(
    inputs: DispatchInputs, share: dict[str, PhaseShare], rating_kw: dict[str, float]
) -> DispatchInputs:
    """A problem with shares of assets and a rating of each phase of nodes [kW], the same both ways."""
    rating = {NodeId(name): np.full((3, inputs.steps), kw) for name, kw in rating_kw.items()}
    known = {asset.id: share[asset.id] for asset in assets(inputs) if asset.id in share}
    return replace(
        inputs, phases=PhaseInput(share=known, import_limit_kw=rating, export_limit_kw=dict(rating))
    )


def with_random_phases(inputs: DispatchInputs, seed: int, *, tightness: float = 0.8) -> DispatchInputs:
    """Every asset hangs by lot; every node's phase bears a third of its limit, by lot somewhat less."""
    rng = np.random.default_rng(seed)
    share = {str(asset.id): EVERY_WAY[int(rng.integers(len(EVERY_WAY)))] for asset in assets(inputs)}
    rating = {
        str(node.id): float(node.import_limit_kw[0]) / 3.0 * float(rng.uniform(tightness, 1.1))
        for node in inputs.nodes
        if rng.random() < 0.8
    }
    return with_phases(inputs, share, rating)


def assets(inputs: DispatchInputs) -> list[FixedInput | PvInput | StoreInput]:
    """Loads, roofs and stores."""
    return [*inputs.fixed, *inputs.pv, *inputs.stores]


def phase_kw(inputs: DispatchInputs, plan: DispatchResult, node: str, *, side: int) -> FloatArray:
    """What hangs under a node puts on each phase [kW], one asset and step after the other, shape (3, T).

    Args:
        inputs: The problem.
        plan: A plan for it.
        node: The node.
        side: 1 for import, -1 for export (then what flows up counts positive).
    """
    assert inputs.phases is not None
    parent = {one.id: one.parent for one in inputs.nodes}
    series = {load.id: load.power_kw for load in inputs.fixed}
    series |= dict(plan.power_kw)
    total = np.zeros((3, inputs.steps))
    for asset in assets(inputs):
        above: NodeId | None = asset.node
        while above is not None and above != node:
            above = parent[above]
        if above is None:
            continue
        share = inputs.phases.share.get(asset.id, ON_THREE)
        for step in range(inputs.steps):
            power = side * float(series[asset.id][step])
            for phase in range(3):
                # Of unknown phase: on this one where it loads, on another where it relieves.
                total[phase, step] += power * share.known[phase] + max(power, 0.0) * share.unknown
    return total
