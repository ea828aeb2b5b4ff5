"""Where the powers of a dispatch problem hang: on which bus, on which phase.

A problem knows nodes; a cable knows buses. A car hangs where its charge point does: the one where it
stands, or its own while it is away. What a problem lumps per node (the loads, the roofs) is spread over that
node's own loads by their yearly use, over its roofs by their rating. Whatever is left unsaid is spread
evenly over the buses of its node.

A load of unknown phase hangs on one phase, but nobody knows which. So each phase in turn carries all of
them, three cases, and the worst of the three counts: no phase is ever loaded more than that.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from controller.dispatch.evaluate import Powers, standby_kw
from controller.dispatch.inputs import DispatchInputs
from controller.domain.assets import Phases
from controller.domain.ids import AssetId, NodeId
from controller.domain.site import Site
from controller.domain.units import BoolArray, FloatArray
from controller.powerflow.grid import Flows, Grid

PHASES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """A part of an asset's power at one bus."""

    bus: int
    phases: Phases
    share: float
    """Of the asset's power; an asset's shares sum to 1."""


@dataclass(frozen=True, kw_only=True)
class FlowModel:
    """A described network and where everything hangs on it. It can be pickled."""

    grid: Grid
    hooks: Mapping[AssetId, tuple[Hook, ...]]
    """Of charge points, roofs, batteries, loads, and of cars at their own charge point."""
    loads_at: Mapping[NodeId, tuple[Hook, ...]]
    """What a lump of a node's loads is made of."""
    roofs_at: Mapping[NodeId, tuple[Hook, ...]]
    """What a lump of a node's roofs is made of."""
    tan_phi: float
    """Reactive over active power of fixed loads."""

    @cached_property
    def buses_at(self) -> Mapping[NodeId, tuple[Hook, ...]]:
        """The buses of each node, evenly; a node without any has those of the nearest node above that has.

        A node above all described ones (a ring) has the busbars of the transformers.
        """
        own: dict[NodeId, list[int]] = defaultdict(list)
        for bus, node in enumerate(self.grid.bus_node):
            own[node].append(bus)
        busbars = [self.grid.bus_index[item.bus] for item in self.grid.electrical.transformers]
        found: dict[NodeId, tuple[Hook, ...]] = {}
        for node, path in self.grid.network.paths.items():
            buses = next((own[above] for above in path if own.get(above)), busbars)
            found[node] = tuple(Hook(bus=bus, phases=Phases.THREE, share=1.0 / len(buses)) for bus in buses)
        return found

    def wiring(self, inputs: DispatchInputs) -> Wiring:
        """How the assets of a problem hang on the buses. Assets: fixed, roofs, stores, in their order."""
        hooks, spare = self.hooks, self.buses_at
        rows = [hooks.get(a.id) or self.loads_at.get(a.node) or spare[a.node] for a in inputs.fixed]
        rows += [hooks.get(a.id) or self.roofs_at.get(a.node) or spare[a.node] for a in inputs.pv]
        rows += [hooks.get(a.place or a.id) or spare[a.node] for a in inputs.stores]
        tan_phi = np.zeros(len(rows))
        tan_phi[: len(inputs.fixed)] = self.tan_phi
        return Wiring(grid=self.grid, rows=tuple(rows), tan_phi=tan_phi)


@dataclass(frozen=True, kw_only=True)
class Extremes:
    """The worst of the phases and cases of each scenario."""

    low_v: FloatArray
    """Lowest phase voltage [V], shape (K, B)."""
    high_v: FloatArray
    """Highest phase voltage [V], shape (K, B)."""
    current_a: FloatArray
    """Highest phase current [A], shape (K, L)."""
    transformer_kva: FloatArray
    """Shape (K, Q)."""
    converged: BoolArray
    """Shape (K,)."""


@dataclass(frozen=True, kw_only=True)
class Wiring:
    """The hooks of A assets as matrices."""

    grid: Grid
    rows: tuple[tuple[Hook, ...], ...]
    tan_phi: FloatArray
    """Reactive over active power of each asset, shape (A,)."""

    def extremes(self, power_kw: FloatArray) -> Extremes:
        """Solves scenarios.

        Args:
            power_kw: Power of each asset in each scenario [kW], shape (K, A), positive for consumption.
        """
        reactive_kvar = power_kw * self.tan_phi
        active, reactive = self._by_phase(power_kw), self._by_phase(reactive_kvar)
        unknown, unknown_reactive = power_kw @ self._unknown, reactive_kvar @ self._unknown
        if self._balanced:
            active, reactive = (each.sum(axis=2, keepdims=True) for each in (active, reactive))
        elif self._unknown.nnz:
            # One case after the other in one batch: the network is made and factorised once.
            active = np.concatenate([_on_phase(active, unknown, phase) for phase in range(PHASES)])
            reactive = np.concatenate(
                [_on_phase(reactive, unknown_reactive, phase) for phase in range(PHASES)]
            )
        return _worst(self.grid.solve(active, reactive), len(power_kw))

    @cached_property
    def _balanced(self) -> bool:
        return all(hook.phases is Phases.THREE for row in self.rows for hook in row)

    @cached_property
    def _known(self) -> Any:
        """Shares by bus and phase, shape (A, B * 3)."""
        return self._matrix(
            (
                (asset, hook.bus * PHASES + phase, hook.share * hook.phases.share(phase))
                for asset, row in enumerate(self.rows)
                for hook in row
                if hook.phases is not Phases.UNKNOWN
                for phase in range(PHASES)
            ),
            PHASES,
        )

    @cached_property
    def _unknown(self) -> Any:
        """Shares by bus of what hangs on an unknown phase, shape (A, B)."""
        return self._matrix(
            (
                (asset, hook.bus, hook.share)
                for asset, row in enumerate(self.rows)
                for hook in row
                if hook.phases is Phases.UNKNOWN
            ),
            1,
        )

    def _matrix(self, entries: Iterable[tuple[int, int, float]], phases: int) -> Any:
        listed = [entry for entry in entries if entry[2] > 0.0]
        rows, columns, values = zip(*listed, strict=True) if listed else ((), (), ())
        shape = (len(self.rows), len(self.grid.bus_index) * phases)
        return sparse.csr_array((np.array(values, dtype=np.float64), (rows, columns)), shape=shape)

    def _by_phase(self, power_kw: FloatArray) -> FloatArray:
        spread = power_kw @ self._known
        return np.asarray(spread).reshape(len(power_kw), len(self.grid.bus_index), PHASES)


def _on_phase(known: FloatArray, unknown: FloatArray, phase: int) -> FloatArray:
    """What is known by phase, (K, B, 3), with all that is unknown, (K, B), on one of them."""
    case = known.copy()
    case[:, :, phase] += unknown
    return case


def _worst(flows: Flows, scenarios: int) -> Extremes:
    """The worst of the phases and, where scenarios come case after case, of the cases."""

    def most(series: FloatArray) -> FloatArray:
        return np.asarray(series.reshape(-1, scenarios, series.shape[1]).max(axis=0), dtype=np.float64)

    return Extremes(
        low_v=-most(-flows.voltage_v.min(axis=2)),
        high_v=most(flows.voltage_v.max(axis=2)),
        current_a=most(flows.current_a.max(axis=2)),
        transformer_kva=most(flows.transformer_kva),
        converged=flows.converged.reshape(-1, scenarios).all(axis=0),
    )


def asset_power_kw(inputs: DispatchInputs, powers: Powers) -> FloatArray:
    """The power of every asset of a plan [kW], shape (T, A): fixed, roofs, stores, in their order."""
    fixed = np.array([load.power_kw for load in inputs.fixed]).reshape(-1, inputs.steps)
    stores = powers.charge_kw - powers.discharge_kw + standby_kw(inputs)
    return np.concatenate([fixed, -powers.pv_kw, stores]).T


def flow_model(site: Site) -> FlowModel | None:
    """The network of a site with everything on it; None where the site does not describe its cables.

    Args:
        site: A site without problems.
    """
    data = site.electrical
    if data is None:
        return None
    grid = Grid(electrical=data, network=site.network)
    hooks: dict[AssetId, tuple[Hook, ...]] = {}
    groups = (site.charge_points, site.pv, site.batteries, site.loads)
    for asset in (asset for group in groups for asset in group):
        bus = data.bus_of(asset.id, asset.node)
        if bus is not None:
            hooks[asset.id] = (Hook(bus=grid.bus_index[bus], phases=asset.phases, share=1.0),)
    for vehicle in site.vehicles:
        if vehicle.home_charge_point in hooks:
            hooks[vehicle.id] = hooks[vehicle.home_charge_point]
    factor = data.load_power_factor
    return FlowModel(
        grid=grid,
        hooks=hooks,
        loads_at=_lumps(hooks, [(load.id, load.node, load.yearly_kwh) for load in site.loads]),
        roofs_at=_lumps(hooks, [(roof.id, roof.node, roof.rated_kw) for roof in site.pv]),
        tan_phi=float(np.sqrt(1.0 - factor**2) / factor),
    )


def _lumps(
    hooks: Mapping[AssetId, tuple[Hook, ...]], members: Iterable[tuple[AssetId, NodeId, float]]
) -> dict[NodeId, tuple[Hook, ...]]:
    """What the lump of each node is made of: its members by weight, joined per bus and phase."""
    weights: dict[NodeId, dict[tuple[int, Phases], float]] = defaultdict(lambda: defaultdict(float))
    for asset, node, weight in members:
        for hook in hooks.get(asset, ()):
            weights[node][hook.bus, hook.phases] += weight * hook.share
    lumps = {}
    for node, parts in weights.items():
        total = sum(parts.values())
        if total > 0.0:
            lumps[node] = tuple(
                Hook(bus=bus, phases=phases, share=weight / total) for (bus, phases), weight in parts.items()
            )
    return lumps
