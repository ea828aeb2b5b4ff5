"""What a charger does, read from its meter and not from "Accepted".

Two things are noticed. A charger that draws more than its confirmed setpoint allows, in three meter
intervals on end, ignores its profiles (evcc 31597, steve 1192). A car that takes nothing although its
charger may give something again after a pause is asleep (evcc 14348); its charger gets the wake-up sequence
of its template, once after each pause.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum, auto

IGNORED_INTERVALS = 3
_TOLERANCE_KW = 0.3
"""Standby of the electronics and the meter's class; far less than the smallest step of a charging car."""
_TOLERANCE_FRACTION = 0.05
_SETTLING_S = 30.0
"""How long electronics and car take to follow; samples before that say nothing."""
_STANDING_KW = 0.1


class Finding(Enum):
    """What the meter showed."""

    IGNORES = auto()
    """More than allowed, three times on end."""
    FOLLOWS = auto()
    """It ignored its setpoints and keeps to them again, as often on end."""
    ASLEEP = auto()
    """Nothing, long after the pause ended."""


class Watch:
    """Compares what was confirmed with what is measured."""

    def __init__(self, wake_after_s: float) -> None:
        """Nothing is expected yet.

        Args:
            wake_after_s: How long a car may take to wake up by itself [s].
        """
        self._wake_after_s = wake_after_s
        self._expected_kw: float | None = None
        self._said_at: datetime | None = None
        self._until: datetime | None = None
        self._over = self._within = 0
        self._ignoring = False
        self._paused = False
        self._resumed_at: datetime | None = None

    def confirmed(self, power_kw: float, at: datetime, until: datetime) -> None:
        """The charger took a setpoint at `at` that holds until `until`."""
        if power_kw != self._expected_kw:
            self._said_at = at
        self._expected_kw, self._until = power_kw, until
        if abs(power_kw) <= _STANDING_KW:
            self._paused, self._resumed_at = True, None
        elif self._paused:
            self._paused, self._resumed_at = False, at

    def forget(self) -> bool:
        """The car left or the charger started anew: nothing is expected of it; whether it was ignoring us."""
        self._expected_kw = self._resumed_at = None
        self._paused, self._over = False, 0
        ignored, self._ignoring = self._ignoring, False
        return ignored

    def measured(self, power_kw: float, at: datetime) -> Finding | None:
        """Takes a measured power; says what it showed, each finding once."""
        expected_kw, said_at, until = self._expected_kw, self._said_at, self._until
        if expected_kw is None or said_at is None or until is None or not said_at <= at < until:
            return None
        if abs(power_kw) > _STANDING_KW:
            self._resumed_at = None
        elif self._resumed_at is not None and (at - self._resumed_at).total_seconds() >= self._wake_after_s:
            self._resumed_at = None
            return Finding.ASLEEP
        if (at - said_at).total_seconds() < _SETTLING_S:
            return None
        if not _is_over(power_kw, expected_kw):
            self._over = 0
            self._within += 1
            if self._ignoring and self._within == IGNORED_INTERVALS:
                self._ignoring = False
                return Finding.FOLLOWS
            return None
        self._within = 0
        self._over += 1
        if self._ignoring or self._over < IGNORED_INTERVALS:
            return None
        self._ignoring = True
        return Finding.IGNORES


def _is_over(power_kw: float, expected_kw: float) -> bool:
    """Whether it takes, or gives, more than it was told; a car may always do less."""
    slack_kw = _TOLERANCE_KW + _TOLERANCE_FRACTION * abs(expected_kw)
    return power_kw > max(expected_kw, 0.0) + slack_kw or power_kw < min(expected_kw, 0.0) - slack_kw
