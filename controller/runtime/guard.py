"""What keeps the cables safe: the newest state, what people have set, the plan in force, and the decision.

It needs nobody: given what was heard since, it decides a cycle in a few milliseconds without I/O, without
the solver, the database or a web request. In a real run a copy of it lives in a process of its own
(`safety_process`) that is told the same; in direct mode the controller's own copy decides.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from controller.config import SafetySettings
from controller.domain.assets import Load
from controller.domain.ids import AssetId, NodeId
from controller.domain.setpoints import Outcome
from controller.domain.site import Site
from controller.domain.telemetry import Reading
from controller.forecast.loads import HIGH_MARGIN, NodeLoadHistory
from controller.runtime.floor import site_floor
from controller.runtime.people import People
from controller.runtime.plan import PlanGuide
from controller.runtime.steering import Cycle, Steering
from controller.state import NeighbourhoodState, apply_all


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """How a device took a setpoint, and when that was known."""

    outcome: Outcome
    at: datetime


class Guard:
    """One neighbourhood's state and the decision on it."""

    def __init__(self, site: Site, settings: SafetySettings, people: People) -> None:
        self.site = site
        self.people = people
        self.state = NeighbourhoodState()
        self.guide: PlanGuide | None = None
        """The plan in force."""
        self.steerable: frozenset[AssetId] = frozenset()
        """The devices whose drivers can reach them now."""
        self.floor = site_floor(site, settings)
        """What the chargers do without us."""
        self.steering = Steering(
            site=site,
            settings=settings,
            load_forecast_kw=self.load_range_kw,
            floor=self.floor.hours,
        )
        yearly: dict[NodeId, float] = defaultdict(float)
        for load in site.loads:
            yearly[load.node] += load.yearly_kwh
        self._profiles = {node: NodeLoadHistory(yearly_kwh=kwh) for node, kwh in yearly.items()}

    def hear(self, readings: Sequence[Reading], outcomes: Sequence[Noted], now: datetime) -> None:
        """Takes in what devices said and how they took their setpoints, each in the order of coming."""
        for noted in outcomes:
            self.steering.note(noted.outcome, noted.at)
        if readings:
            self.state = apply_all(self.state, readings, now)
            self.steering.follow(self.state, readings, now)

    def cycle(self, now: datetime) -> Cycle:
        """Decides; whoever sends the setpoints tells later how they were taken."""
        return self.steering.decide(self.state, self.people, self.guide, self.steerable, now)

    def load_range_kw(self, load: Load, now: datetime) -> tuple[float, float]:
        """The (low, high) end [kW] of a load without a live meter: its share of its node's forecast.

        The plan's forecast, and the standard profile where there is no plan.
        """
        profile = self._profiles[load.node]
        share = load.yearly_kwh / profile.yearly_kwh if profile.yearly_kwh > 0.0 else 0.0
        planned = self.guide.base_kw_of(load.node, now) if self.guide is not None else None
        expected = profile.profile_kw(now) if planned is None else planned
        return 0.0, max(expected, 0.0) * share * (1.0 + HIGH_MARGIN)
