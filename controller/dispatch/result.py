"""The answer to a dispatch problem: powers, energies, prices, and what could not be had and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from controller.domain.ids import AssetId, NodeId
from controller.domain.units import FloatArray

type Status = Literal["optimal", "feasible", "fallback"]
type ShortfallKind = Literal["departure", "final", "minimum"]
type Side = Literal["import", "export"]

OPTIMAL_GAP = 1e-3
"""A plan whose cost is within this of its lower bound counts as optimal (formats.md)."""
SAME_KWH = 5e-7
"""Totals this close count as equal: half of what formats.md allows."""
NODE_PRICE_LIMIT_EUR_PER_KWH = 10.0
"""Node prices are kept within plus and minus this (formats.md)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What is made small before the cost, in this order [kWh]."""

    excess: float = 0.0
    """By which nodes are over their limits."""
    departure: float = 0.0
    """Missing at departures."""
    final: float = 0.0
    """Missing at the end of the horizon."""
    minimum: float = 0.0
    """Below `min_kwh`, summed over the steps."""

    def as_tuple(self) -> tuple[float, float, float, float]:
        """The four, in their order."""
        return (self.excess, self.departure, self.final, self.minimum)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """A wish that could not be met."""

    asset: AssetId
    kind: ShortfallKind
    step: int
    """Index into `energy_kwh`; the asset's worst step of this kind."""
    missing_kwh: float
    because: str
    """The cause in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A node over its limit in a step."""

    node: NodeId
    step: int
    side: Side
    excess_kw: float
    because: str
    """The cause in words."""


@dataclass(frozen=True, kw_only=True)
class DispatchResult:
    """A plan for every store, roof and node."""

    status: Status
    """`optimal` (gap at most 0.1%), `feasible`, or `fallback` (made by rules)."""
    method: str
    """Which method made it, for logs and the bench."""
    reason: str = ""
    """Why no solver made it anew: rules did, or it is the last plan; empty otherwise."""
    cost_eur: float
    lower_bound_eur: float
    """No plan whose totals are no larger than these costs less [EUR]; minus infinity where unknown."""
    inside_bound_eur: float | None = None
    """Where the plan was made for lower limits than asked, because a voltage or a current needs them: no plan
    inside these limits whose totals are no larger costs less [EUR]. None: the limits are those asked."""
    inside_kw: Mapping[NodeId, tuple[FloatArray, FloatArray]] = field(default_factory=dict)
    """These lower limits, import and export of nodes where one is lower [kW], shapes (T,)."""
    build_s: float
    """Time taken by the modelling [s], machine clock."""
    solve_s: float
    """Time taken by the solver [s], machine clock."""
    power_kw: Mapping[AssetId, FloatArray]
    """AC power that each store and roof exchanges with its node [kW], shape (T,): for a store
    `charge - discharge + standby` (standby in the steps of its stays), for a roof never positive."""
    charge_kw: Mapping[AssetId, FloatArray]
    """Charging power of each store [kW], AC side, without standby, shape (T,)."""
    discharge_kw: Mapping[AssetId, FloatArray]
    """Discharging power of each store [kW], AC side, a magnitude, shape (T,)."""
    energy_kwh: Mapping[AssetId, FloatArray]
    """Stored energy at the start of each step and at the end [kWh], shape (T + 1,)."""
    node_power_kw: Mapping[NodeId, FloatArray]
    """Power through each node [kW], shape (T,): all that hangs under it."""
    node_price_eur_per_kwh: Mapping[NodeId, FloatArray]
    """What one more kWh at the node costs [EUR/kWh], shape (T,), within +-10."""
    water_value_eur_per_kwh: Mapping[AssetId, FloatArray]
    """What one more kWh in the store at the start of step t + 1 is worth [EUR/kWh], shape (T,)."""
    totals_kwh: Totals = field(default_factory=Totals)
    shortfalls: tuple[Shortfall, ...] = ()
    violations: tuple[Violation, ...] = ()
