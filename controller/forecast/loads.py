"""What the loads under a node will draw: the standard profile, corrected by what was measured.

Each node keeps, per quarter-hour of the day, what was measured the last days. A quarter-hour without
history uses the standard profile of the connections below it, scaled by the ratio of measured to
profile so far. What is measured now shifts the next hours, fading out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from controller.domain.time import AMSTERDAM
from controller.domain.units import FloatArray

HOURS_PER_YEAR = 8760.0
NOW_MEMORY_H = 2.0
"""How long a difference of now lasts."""
HISTORY_WEIGHT = 0.5
"""Weight of the newest day in a quarter-hour's history."""
RATIO_WEIGHT = 0.05
"""Weight of one quarter-hour in the long-run ratio of measured to profile."""
HIGH_MARGIN = 0.3
"""A load without a live meter counts with this on top of its forecast: about the 90% quantile of a feeder."""

_WINTER_WEEKDAY = (
    1.01, 0.81, 0.70, 0.64, 0.62, 0.63, 0.74, 0.94, 1.07, 1.10, 1.09, 1.04,
    1.04, 1.00, 0.99, 1.02, 1.14, 1.58, 1.84, 1.76, 1.68, 1.55, 1.43, 1.25,
)  # fmt: skip
"""Mean power over the year's mean, per local hour: standard profile E1A, January 2021."""
_WINTER_WEEKEND = (
    1.02, 0.81, 0.69, 0.63, 0.61, 0.62, 0.69, 0.84, 1.03, 1.17, 1.23, 1.20,
    1.19, 1.15, 1.12, 1.14, 1.22, 1.60, 1.86, 1.82, 1.74, 1.58, 1.43, 1.23,
)  # fmt: skip
SUMMER_FACTOR = 0.72
"""A household in July against January, without sun on its own roof."""


def profile_factor(at: datetime) -> float:
    """Power of a household at an instant over its yearly mean."""
    local = at.astimezone(AMSTERDAM)
    table = _WINTER_WEEKEND if local.weekday() >= 5 else _WINTER_WEEKDAY
    here, after = table[local.hour], table[(local.hour + 1) % 24]
    shape = here + (after - here) * local.minute / 60.0
    summer = 0.5 - 0.5 * np.cos(2.0 * np.pi * (local.timetuple().tm_yday - 15) / 365.0)
    return float(shape * (1.0 - (1.0 - SUMMER_FACTOR) * summer))


def _slot(at: datetime) -> int:
    local = at.astimezone(AMSTERDAM)
    return local.hour * 4 + local.minute // 15


@dataclass
class NodeLoadHistory:
    """What one node's unsteered load did; fed once a quarter-hour."""

    yearly_kwh: float
    """Of all connections under the node."""
    by_slot_kw: dict[int, float] = field(default_factory=dict)
    ratio: float = 1.0
    learned: bool = False
    """Whether a quarter-hour has been measured yet."""
    latest_kw: float | None = None
    latest_at: datetime | None = None

    def profile_kw(self, at: datetime) -> float:
        """The standard profile [kW]."""
        return self.yearly_kwh / HOURS_PER_YEAR * profile_factor(at)

    def learn(self, at: datetime, measured_kw: float) -> None:
        """Takes in the mean load [kW] of the quarter-hour that holds `at`."""
        slot = _slot(at)
        before = self.by_slot_kw.get(slot)
        self.by_slot_kw[slot] = (
            measured_kw if before is None else HISTORY_WEIGHT * measured_kw + (1.0 - HISTORY_WEIGHT) * before
        )
        profile = self.profile_kw(at)
        if profile > 0.0:
            weight = RATIO_WEIGHT if self.learned else 1.0
            self.ratio += weight * (measured_kw / profile - self.ratio)
            self.learned = True

    def see(self, measured_kw: float, at: datetime) -> None:
        """Takes in the load [kW] at an instant."""
        self.latest_kw, self.latest_at = measured_kw, at

    def forecast_kw(self, starts: Sequence[datetime]) -> FloatArray:
        """The expected load [kW] in steps that begin at `starts`, shape (T,)."""
        expected = np.array([self._expected_kw(at) for at in starts])
        if self.latest_kw is None or self.latest_at is None:
            return expected
        # The difference fades from when it was seen: what was measured hours ago says little of now.
        off = self.latest_kw - self._expected_kw(self.latest_at)
        hours = np.array([(at - self.latest_at).total_seconds() / 3600.0 for at in starts])
        result: FloatArray = expected + off * np.exp(-np.maximum(hours, 0.0) / NOW_MEMORY_H)
        return result

    def _expected_kw(self, at: datetime) -> float:
        known = self.by_slot_kw.get(_slot(at))
        return self.profile_kw(at) * self.ratio if known is None else known
