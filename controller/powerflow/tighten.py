"""Lowers those limits of the tree that were too optimistic, by how the network answers to less power.

The tree says kW; what broke is a voltage, a current or a transformer's kVA. For each node with findings:

1. The *side*: too low a voltage asks for less import, too high a one for less export; a current or kVA for
   less of what flows.
2. The *gain* of a node: take back what the plan steers under it in that direction (charging; discharge and
   sun), or where it steers nothing use the other way (discharging; charging), solve again, and see by how
   much the figure gets better per kW. It is a secant: loops of wires, phases and the neutral are all in it.
3. The node to tighten: the finding's own one if what the plan does under it is enough to be taken back, else
   the nearest above of which that is true, else the nearest that could do it by going the other way, else
   the one with the largest effect.
4. The limit: in every step the power at which the figure is just inside its bound, by that gain. Steps
   without a finding are treated alike, because what is taken from one step goes to another. Nothing is
   loosened.

A limit is not put below what can be reached with everything steered the other way: an unreachable one would
only add to the excess that the plan is charged for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from controller.dispatch.assemble import powers_of
from controller.dispatch.evaluate import Powers, evaluate
from controller.dispatch.inputs import DispatchInputs
from controller.dispatch.result import DispatchResult, Side
from controller.domain.ids import NodeId
from controller.domain.units import BoolArray, FloatArray
from controller.powerflow.check import Gauge, findings_of, gauges
from controller.powerflow.placement import Extremes, FlowModel, asset_power_kw
from controller.powerflow.result import Finding, FindingKind

AIM = 1e-3
"""How far inside its bound a figure is to come, of the bound: 0.2 V, 0.2 A of 200 A."""
LEAST_LEVER_KW = 0.1
"""Less steered power than this under a node tells nothing of its gain."""
LEAST_CHANGE_KW = 1e-3
"""A limit lowered by less than this is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """How a figure answers to a node's power: what a limit follows from."""

    node: NodeId
    """The node that is held back."""
    side: Side
    kind: FindingKind
    at: NodeId
    """The node of the places where the figure is taken."""
    gain: float
    """By how much the figure gets better per kW less on that side [V, A or kVA per kW]."""

    def limit_kw(self, through_kw: FloatArray, measured: Sequence[Gauge], aim: float) -> FloatArray:
        """Up to which power the figure stays inside its bound [kW], shape (K,); may be negative.

        Args:
            through_kw: Power through the node in each scenario [kW], shape (K,), positive for consumption.
            measured: The figures of these scenarios.
            aim: How far inside its bound the figure is to be, of the bound.
        """
        through = through_kw if self.side == "import" else -through_kw
        limit = through - self.excess(measured, aim) / self.gain
        if self.kind in {FindingKind.CABLE, FindingKind.TRANSFORMER}:
            # The other way the same figure belongs to the other side's limit.
            limit = np.where(through >= 0.0, limit, np.inf)
        return np.asarray(limit, dtype=np.float64)

    def excess(self, measured: Sequence[Gauge], aim: float) -> FloatArray:
        """By how much the worst place is outside what is aimed at, negative inside, shape (K,)."""
        gauge = next(gauge for gauge in measured if gauge.kind is self.kind)
        own = [i for i, node in enumerate(gauge.nodes) if node == self.at]
        return np.asarray((gauge.excess[:, own] + aim * gauge.bound[own]).max(axis=1), dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tightening:
    """A limit that was lowered in the steps with findings."""

    response: Response
    """What was lowered for what."""
    steps: tuple[int, ...]
    to_kw: float
    """The lowest of these steps."""
    because: str
    """The worst finding in words."""

    @property
    def node(self) -> NodeId:
        """The node whose limit it is."""
        return self.response.node

    @property
    def side(self) -> Side:
        """Which limit it is."""
        return self.response.side


@dataclass(frozen=True, kw_only=True)
class _Group:
    """The findings of one kind at one node that ask for the same side."""

    node: NodeId
    side: Side
    findings: tuple[Finding, ...]

    @property
    def worst(self) -> Finding:
        return max(self.findings, key=lambda finding: finding.severity)


@dataclass(frozen=True, kw_only=True)
class _Trial:
    """One node on the way up from a finding, and how well it answers."""

    node: NodeId
    gain: float
    """By how much the worst figure gets better per kW."""
    need_kw: float
    give_kw: float
    """What the plan steers in the wrong direction under the node."""
    reach_kw: float
    """That and what could be steered the other way."""


def tightened(
    inputs: DispatchInputs,
    result: DispatchResult,
    model: FlowModel,
    found: Extremes,
    *,
    stretch: float = 1.0,
    support: bool = True,
) -> tuple[DispatchInputs, tuple[Tightening, ...]]:
    """The same problem with lower limits, so that a plan like this one would hold.

    Args:
        inputs: The problem.
        result: A plan for it.
        model: The network.
        found: Its figures (`plan_extremes`).
        stretch: By how much more than the gain says a limit is lowered in steps with findings.
        support: Whether limits may ask for more than taking back: discharge against a low voltage, say. Such
            limits may be out of reach, and a plan for them is harder to find.

    Returns:
        The problem, no limit of which is higher than before, and what was lowered in steps with findings;
        empty where nothing that is steered can help.
    """
    bench = _Bench(inputs=inputs, powers=powers_of(inputs, result), model=model, support=support)
    measured = gauges(model.grid, found)
    told = []
    for group in bench.groups(findings_of(model.grid, found)):
        trial = bench.best_trial(group)
        if trial is not None:
            told.append(bench.lower(group, measured, trial, stretch))
    nodes = tuple(
        replace(node, import_limit_kw=bench.limits["import"][i], export_limit_kw=bench.limits["export"][i])
        for i, node in enumerate(inputs.nodes)
    )
    return replace(inputs, nodes=nodes), tuple(item for item in told if item is not None)


@dataclass(frozen=True, kw_only=True)
class _Bench:
    """A plan with everything that trials and new limits are made of. Assets: fixed, roofs, stores."""

    inputs: DispatchInputs
    powers: Powers
    model: FlowModel
    support: bool

    @cached_property
    def limits(self) -> dict[Side, FloatArray]:
        """The limits as they are lowered, shape (N, T) each."""
        return {
            "import": np.array([node.import_limit_kw for node in self.inputs.nodes]),
            "export": np.array([node.export_limit_kw for node in self.inputs.nodes]),
        }

    @cached_property
    def power_kw(self) -> FloatArray:
        """Of every asset, shape (T, A)."""
        return asset_power_kw(self.inputs, self.powers)

    @cached_property
    def node_power_kw(self) -> FloatArray:
        """Through every node, shape (N, T)."""
        return evaluate(self.inputs, self.powers).node_power_kw

    @cached_property
    def give_kw(self) -> Mapping[Side, FloatArray]:
        """What the plan steers towards each side, magnitudes, shape (T, A) each."""
        sun = [[roof.curtailable] for roof in self.inputs.pv]
        curtailable = np.array(sun, dtype=np.float64).reshape(-1, 1) * self.powers.pv_kw
        return {
            "import": self._assets(np.zeros_like(curtailable), self.powers.charge_kw),
            "export": self._assets(curtailable, self.powers.discharge_kw),
        }

    @cached_property
    def room_kw(self) -> Mapping[Side, FloatArray]:
        """What could be steered away from each side beyond taking back, shape (T, A) each."""
        if not self.support:
            return {side: np.zeros_like(give) for side, give in self.give_kw.items()}
        stores, shape = self.inputs.stores, (-1, self.inputs.steps)
        charge = np.array([s.charge_kw_max * s.plugged for s in stores]).reshape(shape)
        discharge = np.array([s.discharge_kw_max * s.plugged for s in stores]).reshape(shape)
        sun = np.array([roof.available_kw for roof in self.inputs.pv]).reshape(shape) - self.powers.pv_kw
        return {
            "import": self._assets(sun, discharge - self.powers.discharge_kw),
            "export": self._assets(np.zeros_like(sun), charge - self.powers.charge_kw),
        }

    def _assets(self, sun_kw: FloatArray, store_kw: FloatArray) -> FloatArray:
        fixed = np.zeros((len(self.inputs.fixed), self.inputs.steps))
        return np.asarray(np.maximum(0.0, np.concatenate([fixed, sun_kw, store_kw]).T))

    @cached_property
    def under(self) -> Mapping[NodeId, BoolArray]:
        """Which assets hang at or below each node, shape (A,) each."""
        paths = self.model.grid.network.paths
        places = [load.node for load in self.inputs.fixed]
        places += [roof.node for roof in self.inputs.pv] + [store.node for store in self.inputs.stores]
        return {
            node.id: np.array([node.id in paths[place] for place in places], dtype=np.bool_)
            for node in self.inputs.nodes
        }

    def groups(self, findings: Sequence[Finding]) -> list[_Group]:
        """The findings by node, kind and side."""
        found: dict[tuple[FindingKind, NodeId, Side], list[Finding]] = {}
        for finding in findings:
            if finding.kind is FindingKind.NO_SOLUTION:
                continue  # the linear method's voltages of that step are findings of their own
            found.setdefault((finding.kind, finding.node, self._side(finding)), []).append(finding)
        return [
            _Group(node=node, side=side, findings=tuple(listed)) for (_, node, side), listed in found.items()
        ]

    def _side(self, finding: Finding) -> Side:
        match finding.kind:
            case FindingKind.LOW_VOLTAGE:
                return "import"
            case FindingKind.HIGH_VOLTAGE:
                return "export"
            case _:
                through = self.node_power_kw[self.inputs.node_index[finding.node], finding.step]
                return "import" if through >= 0.0 else "export"

    def best_trial(self, group: _Group) -> _Trial | None:
        """The node to tighten; None where nothing steered answers."""
        trials = self._trials(group)
        for enough in (
            [trial for trial in trials if trial.need_kw <= trial.give_kw],
            [trial for trial in trials if trial.need_kw <= trial.reach_kw],
        ):
            if enough:
                return enough[0]
        return max(trials, key=lambda trial: trial.gain * trial.reach_kw, default=None)

    def _trials(self, group: _Group) -> list[_Trial]:
        """The nodes from the finding's own up to the root that have a lever, each with its gain."""
        worst, side = group.worst, group.side
        path = [node for node in self.model.grid.network.paths[group.node] if node in self.under]
        levers = []
        for node in path:
            give = self.give_kw[side][worst.step] * self.under[node]
            room = self.room_kw[side][worst.step] * self.under[node]
            lever = give if give.sum() >= LEAST_LEVER_KW else room
            if lever.sum() >= LEAST_LEVER_KW:
                levers.append((node, lever, float(give.sum()), float(room.sum())))
        if not levers:
            return []
        sign = 1.0 if side == "import" else -1.0
        scenarios = self.power_kw[worst.step] - sign * np.array([lever for _, lever, _, _ in levers])
        solved = gauges(self.model.grid, self.model.wiring(self.inputs).extremes(scenarios))
        gauge = next(gauge for gauge in solved if gauge.kind is worst.kind)
        after = gauge.excess[:, gauge.places.index(worst.place)]
        aim = worst.excess + AIM * worst.bound
        trials = []
        for (node, lever, give_kw, room_kw), left in zip(levers, after.tolist(), strict=True):
            gain = (worst.excess - left) / float(lever.sum())
            # A figure that answers with less than its aim over all that can be steered does not answer.
            if gain * (give_kw + room_kw) > AIM * worst.bound:
                trials.append(
                    _Trial(
                        node=node,
                        gain=gain,
                        need_kw=aim / gain,
                        give_kw=give_kw,
                        reach_kw=give_kw + room_kw,
                    )
                )
        return trials

    def lower(
        self, group: _Group, measured: Sequence[Gauge], trial: _Trial, stretch: float
    ) -> Tightening | None:
        """Lowers one node's limits; None where that changes nothing in the steps with findings."""
        place = self.inputs.node_index[trial.node]
        response = Response(
            node=trial.node, side=group.side, kind=group.worst.kind, at=group.node, gain=trial.gain
        )
        through = self.node_power_kw[place] if group.side == "import" else -self.node_power_kw[place]
        wanted = response.limit_kw(self.node_power_kw[place], measured, AIM)
        if stretch > 1.0:
            wanted = np.where(wanted < through, through - stretch * (through - wanted), wanted)
        levers = self.give_kw[group.side] + self.room_kw[group.side]
        reachable = through - levers @ self.under[trial.node]
        wanted = np.maximum(wanted, np.maximum(reachable, 0.0))
        before = self.limits[group.side][place]
        steps = [finding.step for finding in group.findings]
        fell = np.minimum(before, through)[steps] - wanted[steps] > LEAST_CHANGE_KW
        self.limits[group.side][place] = np.minimum(before, wanted)
        if not fell.any():
            return None
        return Tightening(
            response=response,
            steps=tuple(step for step, changed in zip(steps, fell.tolist(), strict=True) if changed),
            to_kw=float(wanted[steps].min()),
            because=str(group.worst),
        )
