"""Setpoints: what we tell a device, until when, who bound the value, and how the device took it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from controller.domain.ids import AssetId
from controller.domain.reasons import Reason

SAFE_TAIL = timedelta(minutes=15)
"""How long a charger holds the safe value before the setpoint's profile ends and its own hours count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setpoint:
    """One command for one device. Every command has an end, after which the device takes `safe_kw`."""

    asset: AssetId
    power_kw: float
    """Wanted AC power, positive = charging. For PV the lowest allowed (most production), not positive."""
    valid_until: datetime
    safe_kw: float
    """What the device does once the command has run out."""
    reason: Reason
    """Who bound the value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """The device confirmed it."""

    setpoint: Setpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class PartlyApplied:
    """The device confirmed another value than asked."""

    setpoint: Setpoint
    power_kw: float
    """What it will do [kW]."""
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """The device refused; nothing has changed in it."""

    setpoint: Setpoint
    code: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotSent:
    """It never left us: the device was not asked, and goes on with what it does."""

    setpoint: Setpoint
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedOut:
    """No answer that tells: it may or may not have taken it, or only a part of it."""

    setpoint: Setpoint
    why: str


type Outcome = Applied | PartlyApplied | Rejected | NotSent | TimedOut
