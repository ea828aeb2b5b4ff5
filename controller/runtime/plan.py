"""The plan in force: a dispatch result with the times it was made for."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from controller.dispatch.result import DispatchResult
from controller.domain.ids import AssetId, NodeId
from controller.runtime.horizon import Horizon
from controller.setpoints.candidate import PlanTarget


@dataclass(frozen=True)
class ActivePlan:
    """What is followed until a newer one comes."""

    horizon: Horizon
    result: DispatchResult

    def step_at(self, at: datetime) -> int | None:
        """The step that holds `at`; None outside the plan."""
        bounds = self.horizon.boundaries
        step = bisect_right(bounds, at) - 1
        return step if 0 <= step < len(bounds) - 1 else None

    def target(self, store: AssetId, now: datetime) -> PlanTarget | None:
        """What the plan wants of a store now; None where it says nothing of it."""
        energy = self.result.energy_kwh.get(store)
        step = self.step_at(now)
        if energy is None or step is None:
            return None
        return PlanTarget(
            energy_end_kwh=float(energy[step + 1]),
            power_kw=float(self.result.power_kw[store][step]),
            ends=self.horizon.boundaries[step + 1],
            fallback=self.result.status == "fallback",
        )

    def sun_fraction(self, node: NodeId, now: datetime) -> float:
        """Which part of a node's sun the plan uses now; 1 where it is not turned down."""
        step = self.step_at(now)
        power = self.result.power_kw.get(AssetId(f"sun:{node}"))
        if step is None or power is None:
            return 1.0
        available = float(self.horizon.sun_kw[node][step])
        return 1.0 if available <= 1e-3 else min(1.0, -float(power[step]) / available + 1e-3)

    @cached_property
    def at_risk_kwh(self) -> dict[AssetId, float]:
        """What will be missing at a departure [kWh], by car."""
        return {s.asset: s.missing_kwh for s in self.result.shortfalls if s.kind == "departure"}

    def node_price_eur_per_kwh(self, node: NodeId, at: datetime) -> float | None:
        """The node's price in the step that holds `at`."""
        step = self.step_at(at)
        series = self.result.node_price_eur_per_kwh.get(node)
        return None if step is None or series is None else float(series[step])
