"""The plan in force: a dispatch result with the times it was made for."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np

from controller.dispatch.result import DispatchResult
from controller.domain.ids import AssetId, NodeId
from controller.domain.units import FloatArray
from controller.runtime.horizon import Horizon, sun_entry
from controller.setpoints.candidate import PlanTarget

SUN_MIN_KW = 1e-3
"""With less sun than this there is nothing to turn down [kW]."""
SUN_ROUNDING = 1e-3
"""A roof is not turned down for a rounding of the plan."""


@dataclass(frozen=True, kw_only=True)
class PlanNow:
    """What a plan wants in one of its steps."""

    targets: Mapping[AssetId, PlanTarget]
    """By store."""
    sun_share: Mapping[NodeId, float]
    """The part of its rating that each of a node's roofs is to make at most; infinite where they are not
    turned down."""


NO_PLAN = PlanNow(targets={}, sun_share={})
"""Where there is no plan, or it says nothing of the time."""


@dataclass(frozen=True, kw_only=True)
class PlanGuide:
    """What the safety loop needs of a plan, in few arrays: it crosses to another process."""

    boundaries: tuple[datetime, ...]
    """The start of each step and the end of the last, shape (T + 1,)."""
    stores: Mapping[AssetId, int]
    """The row of each store."""
    energy_kwh: FloatArray
    """Shape (S, T + 1)."""
    power_kw: FloatArray
    """Shape (S, T)."""
    nodes: Mapping[NodeId, int]
    """The row of each node that has loads or roofs of its own."""
    sun_share: FloatArray
    """The part of its rating that each of a node's roofs is to make at most; infinite where they are not
    turned down, shape (N, T)."""
    base_kw: FloatArray
    """Forecast of the unsteered load directly under each node; NaN where there is none, shape (N, T)."""
    by_rules: bool

    def step_at(self, at: datetime) -> int | None:
        """The step that holds `at`; None outside the plan."""
        step = bisect_right(self.boundaries, at) - 1
        return step if 0 <= step < len(self.boundaries) - 1 else None

    def at(self, now: datetime) -> PlanNow:
        """What the plan wants now; made once for all cycles of a step."""
        step = self.step_at(now)
        if step is None:
            return NO_PLAN
        if step not in self._steps:
            energy_kwh, power_kw = self.energy_kwh[:, step + 1].tolist(), self.power_kw[:, step].tolist()
            sun = self.sun_share[:, step].tolist()
            self._steps[step] = PlanNow(
                targets={
                    store: PlanTarget(
                        energy_end_kwh=energy_kwh[row],
                        power_kw=power_kw[row],
                        ends=self.boundaries[step + 1],
                        fallback=self.by_rules,
                    )
                    for store, row in self.stores.items()
                },
                sun_share={node: sun[row] for node, row in self.nodes.items()},
            )
        return self._steps[step]

    @cached_property
    def _steps(self) -> dict[int, PlanNow]:
        """What was asked for by step."""
        return {}

    def base_kw_of(self, node: NodeId, now: datetime) -> float | None:
        """The forecast of the unsteered load directly under a node now [kW]; None where there is none."""
        row, step = self.nodes.get(node), self.step_at(now)
        if row is None or step is None or math.isnan(self.base_kw[row, step]):
            return None
        return float(self.base_kw[row, step])


@dataclass(frozen=True)
class ActivePlan:
    """What is followed until a newer one comes."""

    horizon: Horizon
    result: DispatchResult

    def step_at(self, at: datetime) -> int | None:
        """The step that holds `at`; None outside the plan."""
        return self.guide.step_at(at)

    @cached_property
    def guide(self) -> PlanGuide:
        """The part of it that the safety loop follows."""
        horizon, result = self.horizon, self.result
        steps = len(horizon.boundaries) - 1
        stores = {asset: row for row, asset in enumerate(result.energy_kwh)}
        nodes = {node: row for row, node in enumerate(dict.fromkeys([*horizon.base_kw, *horizon.sun_kw]))}
        sun, base = np.full((len(nodes), steps), np.inf), np.full((len(nodes), steps), np.nan)
        for node, load_kw in horizon.base_kw.items():
            base[nodes[node]] = load_kw
        for node, available_kw in horizon.sun_kw.items():
            planned_kw = result.power_kw.get(sun_entry(node, stuck=False))
            if planned_kw is not None:
                left = -planned_kw < (1.0 - SUN_ROUNDING) * available_kw
                turned_down = left & (available_kw > SUN_MIN_KW)
                share = np.maximum(-planned_kw, 0.0) / horizon.turnable_kw[node]
                sun[nodes[node]] = np.where(turned_down, share, np.inf)
        return PlanGuide(
            boundaries=horizon.boundaries,
            stores=stores,
            energy_kwh=np.array([result.energy_kwh[a] for a in stores]).reshape(len(stores), steps + 1),
            power_kw=np.array([result.power_kw[a] for a in stores]).reshape(len(stores), steps),
            nodes=nodes,
            sun_share=sun,
            base_kw=base,
            by_rules=result.status == "fallback",
        )

    def node_price_eur_per_kwh(self, node: NodeId, at: datetime) -> float | None:
        """The node's price in the step that holds `at`."""
        step = self.step_at(at)
        series = self.result.node_price_eur_per_kwh.get(node)
        return None if step is None or series is None else float(series[step])
