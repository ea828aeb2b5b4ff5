"""Why something is as it is: a code with its figures, which `controller.texts` turns into a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ReasonCode(StrEnum):
    """What bound a value, in the order in which they win (`setpoints.arbitrate`)."""

    PERSON_STOP = "person_stop"
    """A resident paused it or an operator stopped all discharge."""
    DEVICE_LIMIT = "device_limit"
    """The device's or the car's own limits, battery full or empty among them."""
    NETWORK_LIMIT = "network_limit"
    """A cable, fuse or transformer."""
    GRID_OPERATOR_LIMIT = "grid_operator_limit"
    """A limit set by the grid operator."""
    DISCHARGE_LOCKOUT = "discharge_lockout"
    """The grid operator locked discharge out below a node."""
    NO_OPT_IN = "no_opt_in"
    """The owner has not agreed to discharge, or withdrew it."""
    DEPARTURE = "departure"
    """The departure promise: the car must charge to leave in time."""
    CHARGE_NOW = "charge_now"
    """The driver pressed 'charge now'."""
    PLAN = "plan"
    """The cheapest plan for all."""
    FALLBACK = "fallback"
    """The rule-based plan, for want of a better one."""
    NO_DATA = "no_data"
    """Something needed is unknown or stale: the safe value."""
    NOT_CONNECTED = "not_connected"
    """No car is plugged in, or the device is silent."""
    IGNORES_PROFILE = "ignores_profile"
    """The charger draws more than it was told and took."""
    RAMP = "ramp"
    """It was away: power comes back step by step."""
    FULL = "full"
    """The battery has what was asked for, or is full."""
    MIN_POWER = "min_power"
    """The share that is left is below what the car can charge with; its turn comes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """A code and the figures that belong in its sentence."""

    code: ReasonCode
    subject: str = ""
    """The id of the node, member or device that bound it."""
    value: float | None = None
    """The binding figure, in `unit`."""
    unit: str = ""
    until: str = ""
    """Until when it holds, local time as people read it; empty where open."""
