"""Homes and public buildings of a scenario: who lives where, on which phase, with which heat pump."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from controller.domain.assets import Load, LoadKind, Member, Phases
from controller.domain.ids import AssetId, Ean, MemberId
from controller.domain.units import FloatArray, IntArray, split_by_largest_remainder
from sim.scenarios.build_network import Tree
from sim.scenarios.scenario import LoadTruth
from sim.scenarios.spec import ScenarioSpec

_HEAT_PUMP_YEARLY_KWH = 2900.0
"""What a heat pump adds to a year's use; for the standard profile only."""
_EVENING_KW_PER_YEARLY_KWH = 53.2e-6 * 4.0 * 1.3
"""E1A's highest quarter-hour in January, and a third more for a busy evening."""
_EVENING_HEAT_PUMP_DUTY = 0.85
_BUILDING_PEAK_PER_MEAN = 2.9
_SINGLE = (Phases.L1, Phases.L2, Phases.L3)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadsBuilt:
    """The loads of a scenario in the order of `site.loads`: homes, then buildings."""

    loads: tuple[Load, ...]
    members: tuple[Member, ...]
    truth: LoadTruth
    node: IntArray
    """(L,) index of the node."""
    point: IntArray
    """(L,) index of the point."""
    high_load_kw: FloatArray
    """(L,) on a cold winter evening."""

    def is_building(self, load: int) -> bool:
        """Whether a load is a public building."""
        return self.loads[load].kind is LoadKind.PUBLIC_BUILDING

    def roof_hosts(self, count: int) -> list[int]:
        """The loads whose roofs carry panels: all buildings first, then homes at even distances."""
        buildings = [i for i in range(len(self.loads)) if self.is_building(i)][:count]
        homes = len(self.loads) - sum(load.kind is LoadKind.PUBLIC_BUILDING for load in self.loads)
        left = count - len(buildings)
        everywhere = [int((i + 0.5) * homes / left) for i in range(left)] if homes else []
        return buildings + everywhere


def build_loads(
    spec: ScenarioSpec, tree: Tree, rng: np.random.Generator, ean: Callable[[int], Ean]
) -> LoadsBuilt:
    """Draws homes and places buildings. Ids: home-001, and the buildings' own; a member each, same name."""
    homes, buildings = spec.homes.count, len(spec.buildings)
    feeder = np.repeat(
        np.arange(len(tree.feeders)), split_by_largest_remainder(homes, list(tree.load_weights))
    )
    # Buildings at even distances from the last feeder backwards: batteries stand from the first on.
    on = [len(tree.feeders) - 1 - i * len(tree.feeders) // max(buildings, 1) for i in range(buildings)]
    feeder = np.concatenate((feeder, np.array(on, dtype=np.int64))).astype(np.int64)
    points = np.array([cable.points for cable in tree.feeders])
    first = np.concatenate(([0], np.cumsum(points)[:-1]))
    point = (first[feeder] + np.arange(homes + buildings) % points[feeder]).astype(np.int64)
    node = np.array([cable.node for cable in tree.feeders], dtype=np.int64)[feeder]
    truth, phases = _draw_truth(spec, rng)
    heat_pump = truth.heat_pump_kw > 0
    yearly = truth.household_kwh + truth.building_kwh + heat_pump * _HEAT_PUMP_YEARLY_KWH
    width = max(3, len(str(homes)))
    names = [(f"home-{i + 1:0{width}d}", f"Home {i + 1}") for i in range(homes)]
    names += [(item.id, item.name or item.id) for item in spec.buildings]
    loads = tuple(
        Load(
            id=AssetId(name),
            node=tree.nodes[int(node[i])].id,
            ean=ean(i + 1),
            member=MemberId(name),
            kind=LoadKind.HOME if i < homes else LoadKind.PUBLIC_BUILDING,
            phases=phases[i],
            fuse_a=_fuse_a(phases[i], building=i >= homes),
            yearly_kwh=round(float(yearly[i]), 1),
        )
        for i, (name, _) in enumerate(names)
    )
    members = tuple(
        Member(id=MemberId(name), name=title, kind="household" if i < homes else "public_building")
        for i, (name, title) in enumerate(names)
    )
    evening = truth.household_kwh * _EVENING_KW_PER_YEARLY_KWH
    evening = evening + truth.heat_pump_kw * _EVENING_HEAT_PUMP_DUTY
    evening = evening + truth.building_kwh / 8760.0 * _BUILDING_PEAK_PER_MEAN
    return LoadsBuilt(loads=loads, members=members, truth=truth, node=node, point=point, high_load_kw=evening)


def _fuse_a(phases: Phases, *, building: bool) -> float:
    """Dutch connections: 3x25 A or 1x35 A for a home, 3x80 A for a building."""
    if building:
        return 80.0
    return 25.0 if phases is Phases.THREE else 35.0


def _draw_truth(spec: ScenarioSpec, rng: np.random.Generator) -> tuple[LoadTruth, list[Phases]]:
    """What each load really is, and what the site's file knows of its phases."""
    homes, buildings = spec.homes.count, len(spec.buildings)
    total = homes + buildings
    spread = rng.lognormal(0.0, 0.45, homes)
    household = spec.homes.yearly_kwh * spread / max(float(spread.mean()), 1e-9) if homes else spread
    single = np.concatenate((rng.random(homes) < spec.homes.single_phase_fraction, np.zeros(buildings, bool)))
    unknown = np.concatenate(
        (rng.random(homes) < spec.homes.unknown_phase_fraction, np.zeros(buildings, bool))
    )
    phase = rng.integers(0, 3, total)
    three = rng.dirichlet((6.0, 6.0, 6.0), total)
    three[homes:] = 1.0 / 3.0
    one = np.eye(3)[phase]
    # The number of heat pumps is exact, who has one is drawn.
    pumps = np.zeros(total, bool)
    pumps[rng.permutation(homes)[: round(spec.homes.heat_pump_fraction * homes)]] = True
    truth = LoadTruth(
        phase_share=np.where(single[:, None], one, three),
        household_kwh=np.concatenate((household, np.zeros(buildings))),
        building_kwh=np.concatenate((np.zeros(homes), [item.yearly_kwh for item in spec.buildings])),
        heat_pump_kw=np.where(pumps, rng.uniform(1.6, 2.4, total), 0.0),
        heat_loss_kw_per_k=np.where(pumps, rng.uniform(0.14, 0.22, total), 0.0),
        heat_pump_share=np.where(single[:, None], one, np.full((total, 3), 1.0 / 3.0)),
    )
    phases = [
        Phases.THREE if not single[i] else (Phases.UNKNOWN if unknown[i] else _SINGLE[int(phase[i])])
        for i in range(total)
    ]
    return truth, phases
