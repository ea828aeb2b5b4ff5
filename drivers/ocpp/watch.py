"""What a charger does, read from its meter and not from "Accepted".

Two things are noticed. A charger that draws more than its confirmed setpoint allows, in three meter
intervals on end, ignores its profiles (evcc 31597, steve 1192). A car that takes nothing although its
charger may give something again after a pause is asleep (evcc 14348); its charger gets the wake-up sequence
of its template, once after each pause.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import Enum, auto

IGNORED_INTERVALS = 3
_TOLERANCE_KW = 0.3
"""Standby of the electronics and the meter's class; far less than the smallest step of a charging car."""
_TOLERANCE_FRACTION = 0.05
_SETTLING_S = 30.0
"""How long electronics and car take to follow: so long what was told before still counts."""
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
        self._told: list[tuple[datetime, float]] = []
        """What it confirmed and since when, from the one that held a settling time ago on."""
        self._until: datetime | None = None
        self._over = self._within = 0
        self._ignoring = False
        self._paused = False
        self._resumed_at: datetime | None = None

    def confirmed(self, power_kw: float, at: datetime, until: datetime) -> None:
        """The charger took a setpoint at `at` that holds until `until`."""
        if self._until is not None and at >= self._until:
            self._told.clear()
        if not self._told or power_kw != self._told[-1][1]:
            self._told.append((at, power_kw))
            self._settle(at)
        self._until = until
        if abs(power_kw) <= _STANDING_KW:
            self._paused, self._resumed_at = True, None
        elif self._paused:
            self._paused, self._resumed_at = False, at

    def forget(self) -> bool:
        """The car left or the charger started anew: nothing is expected of it; whether it was ignoring us."""
        self._told.clear()
        self._resumed_at = None
        self._paused, self._over = False, 0
        ignored, self._ignoring = self._ignoring, False
        return ignored

    def measured(self, power_kw: float, at: datetime) -> Finding | None:
        """Takes a measured power; says what it showed, each finding once."""
        if not self._told or self._until is None or not self._told[0][0] <= at < self._until:
            return None
        if abs(power_kw) > _STANDING_KW:
            self._resumed_at = None
        elif self._resumed_at is not None and (at - self._resumed_at).total_seconds() >= self._wake_after_s:
            self._resumed_at = None
            return Finding.ASLEEP
        if not self._settle(at):
            return None
        # On its way from one setpoint to the next it may be at each of them, and in between.
        if not _is_over(power_kw, [told_kw for _, told_kw in self._told]):
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

    def _settle(self, at: datetime) -> bool:
        """Lets go of what no longer counts; whether what it was told is known for a settling time."""
        settled = at - timedelta(seconds=_SETTLING_S)
        while len(self._told) > 1 and self._told[1][0] <= settled:
            del self._told[0]
        return self._told[0][0] <= settled


def _is_over(power_kw: float, told_kw: Sequence[float]) -> bool:
    """Whether it takes, or gives, more than it was told at any time; a car may always do less."""
    most_kw, least_kw = max(0.0, *told_kw), min(0.0, *told_kw)
    slack_kw = _TOLERANCE_KW + _TOLERANCE_FRACTION * max(map(abs, told_kw))
    return power_kw > most_kw + slack_kw or power_kw < least_kw - slack_kw
