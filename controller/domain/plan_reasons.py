"""Why a plan lets a car or battery do what it does in a step: a code and the figures of its sentence."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from controller.domain.ids import NodeId


class PlanReasonCode(StrEnum):
    """What binds a store in one step of a plan."""

    AWAY = "away"
    """It is not plugged in."""
    NOT_ALLOWED = "not_allowed"
    """It is paused, or may neither charge nor discharge."""
    FULL = "full"
    """It holds what it can."""
    EMPTY = "empty"
    """It is at its minimum and would otherwise discharge."""
    BELOW_MINIMUM = "below_minimum"
    """It charges because it is below its minimum."""
    DEPARTURE = "departure"
    """It charges in every step that is left because the departure needs it."""
    OFTEN_EARLY = "often_early"
    """It charges for an earlier departure than its driver said: by its own past they often leave earlier."""
    CHEAP = "cheap"
    """It charges because a kWh in it is worth what it costs now, and other hours of the stay cost more."""
    DEAR = "dear"
    """It discharges because the price is above charging back with losses and wear."""
    NODE_LIMIT = "node_limit"
    """It would charge (more), and a node has no room."""
    RELIEF = "relief"
    """It discharges to keep a node within its limit."""
    MIN_POWER = "min_power"
    """It would charge, and its share is below what it can charge with."""
    WAITS_CHEAPER = "waits_cheaper"
    """It waits for a later step at which it charges for less."""
    WAITS_DEARER = "waits_dearer"
    """It keeps its energy for a later step at which it discharges for more."""
    NO_GAIN = "no_gain"
    """It has what it needs, and no trade pays."""
    RULES = "rules"
    """The plan was made by rules, by urgency."""
    WHOLE = "whole"
    """No price of its own explains it: a wish of others, or a choice between equals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanReason:
    """What binds one store in one step."""

    code: PlanReasonCode
    price_eur_per_kwh: float | None = None
    """What a kWh costs at its node now, taxes and fees included [EUR/kWh, AC side]."""
    compare_eur_per_kwh: float | None = None
    """What that is held against [EUR/kWh]: the later or other price, or what charging back costs."""
    compare_step: int | None = None
    """The step of the other price."""
    node: NodeId | None = None
    """The node that binds."""
    limit_kw: float | None = None
    """Its limit in that step, as the plan keeps it [kW]."""
    energy_kwh: float | None = None
    """What is wanted at departure, the capacity or the minimum [kWh]."""
