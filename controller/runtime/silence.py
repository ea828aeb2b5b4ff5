"""What devices that cannot be reached may do, so that room is kept for it.

A charger: the larger of its own hours' power and what it was last told, while that holds and a margin
longer; a car may have come since we last heard of it. One that was never heard since our own start may still
follow what it was told before that, and one that ever ignored a profile may do anything. A battery stands
still once its command has run out, and a roof is free.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np

from controller.config import SafetySettings
from controller.domain.assets import Phases
from controller.domain.floor import NOTHING, Floor
from controller.domain.ids import AssetId, NodeId
from controller.domain.site import Site
from controller.setpoints.base_load import Reserved, shares
from controller.state import NeighbourhoodState

FLOOR_CLOCK_MARGIN = timedelta(minutes=15)
"""A charger's own hours count this much longer at both ends: clocks differ, and changes are put off."""
RESERVE_MARGIN_S = 30.0
"""A silent charger's last setpoint counts this much longer than it is valid [s]."""

type ToldKw = Callable[[AssetId, datetime], Iterable[float]]
"""The powers [kW] of what a device was told and may follow, as far as it ends after an instant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Silent:
    """One device that is not heard, with what it may do by itself [kW]."""

    asset: AssetId
    node: NodeId
    phases: Phases
    low_kw: float
    high_kw: float


@dataclass
class Heard:
    """Who was heard since the start."""

    assets: set[AssetId] = field(default_factory=set)
    since: datetime | None = None
    """The first cycle; None before it."""


@dataclass
class Silence:
    """What those may do who are not heard now."""

    site: Site
    settings: SafetySettings

    def __post_init__(self) -> None:
        self._place = {node.id: i for i, node in enumerate(self.site.network.nodes)}

    def reserved(
        self,
        state: NeighbourhoodState,
        steerable: frozenset[AssetId],
        now: datetime,
        *,
        heard: Heard,
        floor: Floor,
        told_kw: ToldKw,
    ) -> Reserved:
        """What everything but the `steerable` may draw and feed in under each node.

        Args:
            state: With the newest readings of roofs, and who ever ignored a profile.
            steerable: The devices that can be reached.
            now: The moment.
            heard: Who was heard before; those that can be reached now are added.
            floor: What the chargers do by themselves.
            told_kw: What each device was told.
        """
        if heard.since is None:
            heard.since = now
        heard.assets |= steerable
        count = len(self.site.network.nodes)
        high_kw, low_kw = np.zeros((count, 4)), np.zeros((count, 4))
        for one in self._silent(state, steerable, heard, floor, now):
            may = [
                0.0,
                one.low_kw,
                one.high_kw,
                *told_kw(one.asset, now - timedelta(seconds=RESERVE_MARGIN_S)),
            ]
            share = shares([one.phases])[0]
            high_kw[self._place[one.node]] += max(may) * share
            low_kw[self._place[one.node]] += min(may) * share
        return Reserved(high_kw=high_kw, low_kw=low_kw)

    def _silent(
        self,
        state: NeighbourhoodState,
        steerable: frozenset[AssetId],
        heard: Heard,
        floor: Floor,
        now: datetime,
    ) -> Iterator[_Silent]:
        life = timedelta(seconds=self.settings.setpoint_life_s + RESERVE_MARGIN_S)
        starting = heard.since is None or now < heard.since + life
        for point in self.site.charge_points:
            if point.id in steerable:
                continue
            unknown = starting and point.id not in heard.assets
            hours = floor.get(point.id, NOTHING)
            by_itself_kw = hours.most_kw(now - FLOOR_CLOCK_MARGIN, now + FLOOR_CLOCK_MARGIN)
            anything = unknown or point.id in state.obedience
            yield _Silent(
                asset=point.id,
                node=point.node,
                phases=point.phases,
                low_kw=-point.discharge_kw_max if anything else 0.0,
                high_kw=max(by_itself_kw, point.charge_kw_max if anything else 0.0),
            )
        for each in self.site.batteries:
            if each.id not in steerable:
                yield _Silent(asset=each.id, node=each.node, phases=each.phases, low_kw=0.0, high_kw=0.0)
        for roof in self.site.pv:
            if roof.id not in steerable:
                measured_kw = state.power_kw(roof.id, now, self.settings.meter_stale_s)
                low_kw = -roof.rated_kw if measured_kw is None else measured_kw
                yield _Silent(asset=roof.id, node=roof.node, phases=roof.phases, low_kw=low_kw, high_kw=0.0)
