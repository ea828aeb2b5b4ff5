"""Compares a plan's voltages and currents with what the network bears, step by step.

A *gauge* is one kind of figure at all its places: the lowest voltage of each bus, the highest, the current
of each line, the load of each transformer. Each place belongs to a node of the tree. What is outside its
bound is a finding; of one node, kind and step the worst place is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from controller.dispatch.assemble import powers_of
from controller.dispatch.inputs import DispatchInputs
from controller.dispatch.result import DispatchResult
from controller.domain.ids import NodeId
from controller.domain.units import FloatArray, IntArray
from controller.powerflow.grid import Grid
from controller.powerflow.placement import Extremes, FlowModel, asset_power_kw
from controller.powerflow.result import Finding, FindingKind

TOLERANCE = 1e-4
"""Of a bound, what is no finding: 0.02 V, 0.02 A of 200 A. A hundred times the solver's error, a hundredth
of what any meter tells."""


@dataclass(frozen=True, kw_only=True)
class Gauge:
    """One kind of figure at all its places."""

    kind: FindingKind
    places: Sequence[str]
    nodes: Sequence[NodeId]
    """The tree's node of each place."""
    bound: FloatArray
    """Shape (places,)."""
    value: FloatArray
    """Shape (K, places)."""

    @property
    def excess(self) -> FloatArray:
        """By how much each place is outside its bound, negative inside, shape (K, places)."""
        over = self.value - self.bound
        return -over if self.kind is FindingKind.LOW_VOLTAGE else over


def gauges(grid: Grid, found: Extremes) -> tuple[Gauge, ...]:
    """All figures with their bounds."""
    data = grid.electrical
    buses = [bus.id for bus in data.buses]
    band = grid.voltage_band_v
    return (
        Gauge(
            kind=FindingKind.LOW_VOLTAGE,
            places=buses,
            nodes=grid.bus_node,
            bound=band[:, 0],
            value=found.low_v,
        ),
        Gauge(
            kind=FindingKind.HIGH_VOLTAGE,
            places=buses,
            nodes=grid.bus_node,
            bound=band[:, 1],
            value=found.high_v,
        ),
        Gauge(
            kind=FindingKind.CABLE,
            places=[f"{line.from_bus}-{line.to_bus}" for line in data.lines],
            nodes=grid.line_node,
            bound=grid.ampacity_a,
            value=found.current_a,
        ),
        Gauge(
            kind=FindingKind.TRANSFORMER,
            places=[item.bus for item in data.transformers],
            nodes=grid.transformer_node,
            bound=grid.rating_kva,
            value=found.transformer_kva,
        ),
    )


def check_flow(inputs: DispatchInputs, result: DispatchResult, model: FlowModel) -> tuple[Finding, ...]:
    """Everything that the plan does to the network and it does not bear, by step.

    Args:
        inputs: The problem; its nodes are nodes of the model's tree.
        result: A complete plan for it.
        model: The network.
    """
    return findings_of(model.grid, plan_extremes(inputs, result, model))


def plan_extremes(inputs: DispatchInputs, result: DispatchResult, model: FlowModel) -> Extremes:
    """The worst figures of every step of a plan; scenarios are the steps."""
    power = asset_power_kw(inputs, powers_of(inputs, result))
    return model.wiring(inputs).extremes(power)


def findings_of(grid: Grid, found: Extremes) -> tuple[Finding, ...]:
    """What is outside its bounds; scenarios are the steps."""
    listed = [finding for gauge in gauges(grid, found) for finding in _worst_of_each_node(gauge)]
    roots = [node.id for node in grid.network.nodes if node.parent is None]
    for step in np.flatnonzero(~found.converged).tolist():
        listed += [
            Finding(kind=FindingKind.NO_SOLUTION, node=root, place=root, step=step, value=np.inf, bound=0.0)
            for root in roots
        ]
    return tuple(sorted(listed, key=lambda finding: finding.step))


def _worst_of_each_node(gauge: Gauge) -> Iterator[Finding]:
    excess = gauge.excess
    worst: dict[tuple[int, NodeId], int] = {}
    outside: IntArray = np.argwhere(excess > TOLERANCE * gauge.bound)
    for step, place in outside.tolist():
        key = (step, gauge.nodes[place])
        if key not in worst or excess[step, place] > excess[step, worst[key]]:
            worst[key] = place
    for (step, node), place in worst.items():
        yield Finding(
            kind=gauge.kind,
            node=node,
            place=gauge.places[place],
            step=step,
            value=float(gauge.value[step, place]),
            bound=float(gauge.bound[place]),
        )
