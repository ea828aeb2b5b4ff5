"""What the plan is told of phases: how chargers, roofs and homes hang on them, what each phase may carry.

A car loads the phases of the charger where it stands, or of its own place while it is away. What is one entry
per node (loads, sun) is split like what it is made of: loads by their yearly use, roofs by their rating.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from controller.config import Settings
from controller.dispatch.by_phase import EVENLY, PHASES, PhaseInput, PhaseShare, mixed_share
from controller.dispatch.inputs import FixedInput, PvInput
from controller.domain.assets import Phases
from controller.domain.ids import AssetId, NodeId
from controller.domain.site import Site
from controller.domain.units import FloatArray


def asset_shares(
    site: Site,
    loads: tuple[FixedInput, ...],
    sun: tuple[PvInput, ...],
    stuck: frozenset[AssetId],
    places: Mapping[AssetId, AssetId],
) -> dict[AssetId, PhaseShare]:
    """How everything hangs that does not hang evenly on three phases.

    Args:
        site: The site.
        loads: One entry per node, and one per charge point where a stranger charges.
        sun: Per node an entry of the roofs that can be turned down, and one of those that are stuck.
        stuck: The latter.
        places: The charge point of each car.
    """
    use: dict[NodeId, list[tuple[Phases, float]]] = defaultdict(list)
    for load in site.loads:
        use[load.node].append((load.phases, load.yearly_kwh))
    rated: dict[tuple[NodeId, bool], list[tuple[Phases, float]]] = defaultdict(list)
    for roof in site.pv:
        rated[roof.node, roof.id not in stuck].append((roof.phases, roof.rated_kw))
    points = site.charge_point_by_id
    found = {
        entry.id: mixed_share([(points[entry.id].phases, 1.0)] if entry.id in points else use[entry.node])
        for entry in loads
    }
    found |= {entry.id: mixed_share(rated[entry.node, entry.curtailable]) for entry in sun}
    found |= {battery.id: mixed_share([(battery.phases, 1.0)]) for battery in site.batteries}
    for car, place in places.items():
        found[car] = mixed_share([(points[place].phases, 1.0)])
    return {asset: share for asset, share in found.items() if share != EVENLY}


def phase_input(
    site: Site,
    settings: Settings,
    loads: tuple[FixedInput, ...],
    sun: tuple[PvInput, ...],
    stuck: frozenset[AssetId],
    sun_low_share: FloatArray | float,
    places: Mapping[AssetId, AssetId],
    steps: int,
) -> PhaseInput | None:
    """The phases of a problem; None where no node has a rating per phase.

    As with the nodes' limits a margin is kept, and of the sun that may not come nothing is counted on, but
    for what is there without any store at the expected sun.

    Args:
        site: The site.
        settings: For the margin.
        loads: One entry per node, and one per charge point where a stranger charges; T steps.
        sun: Per node an entry of the roofs that can be turned down, and one of those that are stuck.
        stuck: The latter.
        sun_low_share: Which part of the sun import limits may count on, shape (T,).
        places: The charge point of each car.
        steps: T.
    """
    rating = {
        node.id: node.phase_limit_kw() for node in site.network.nodes if np.isfinite(node.phase_limit_kw())
    }
    if not rating:
        return None
    share = asset_shares(site, loads, sun, stuck, places)
    base = {node: np.zeros((PHASES, steps)) for node in rating}
    unsure = {node: np.zeros((PHASES, steps)) for node in rating}
    for load in loads:
        one = share.get(load.id, EVENLY)
        known = np.outer(one.known, load.power_kw) + one.unknown * np.maximum(load.power_kw, 0.0)
        for above in site.network.paths[load.node]:
            if above in base:
                base[above] += known
    for entry in sun:
        known = np.outer(share.get(entry.id, EVENLY).known, entry.available_kw)
        for above in site.network.paths[entry.node]:
            if above in base:
                base[above] -= known
                unsure[above] += (1.0 - sun_low_share) * known
    keep = 1.0 - settings.planning.margin_fraction
    careful, plain = {}, {}
    for node, kw in rating.items():
        plain[node] = np.full((PHASES, steps), kw * keep)
        expected = np.minimum(plain[node], np.maximum(base[node], 0.0))
        careful[node] = np.maximum(plain[node] - unsure[node], expected)
    return PhaseInput(share=share, import_limit_kw=careful, export_limit_kw=plain)
