"""Day-ahead prices as they are known at a moment: the next day's come out at 13:00 local time.

Beyond what is out, and in a gap, the last known price of the same local hour stands in.
"""

from __future__ import annotations

import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

import numpy as np

from controller.domain.time import AMSTERDAM
from controller.domain.units import FloatArray

PUBLISHED_AT_H = 13
"""Local hour at which tomorrow's prices are out (EPEX day-ahead auction, 12:57 at the latest)."""
STAND_IN_DAYS = 9
"""How many days back a price is looked for: a week, and the horizon."""


@dataclass(frozen=True)
class PriceBook:
    """Prices from their start on, until the next one starts."""

    eur_per_kwh: Mapping[datetime, float]
    """By start, UTC."""
    fallback_eur_per_kwh: float = 0.10
    """Where no price is known at all."""

    @cached_property
    def _starts(self) -> Sequence[datetime]:
        return sorted(self.eur_per_kwh)

    def at(self, start: datetime) -> float | None:
        """The price [EUR/kWh] at an instant, at most an hour after its start; None where there is none."""
        place = bisect.bisect_right(self._starts, start) - 1
        if place < 0 or start - self._starts[place] >= timedelta(hours=1):
            return None
        return self.eur_per_kwh[self._starts[place]]

    def known(self, now: datetime, starts: Sequence[datetime]) -> FloatArray:
        """The price [EUR/kWh] to plan with at `now`, shape (T,)."""
        local = now.astimezone(AMSTERDAM)
        days = 2 if local.hour >= PUBLISHED_AT_H else 1
        end = (local.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=days)).astimezone(
            UTC
        )
        return np.array([self._planned(start, end) for start in starts])

    def _planned(self, start: datetime, published_until: datetime) -> float:
        for _ in range(STAND_IN_DAYS):
            price = self.at(start) if start < published_until else None
            if price is not None:
                return price
            # A day earlier on the clock on the wall: on two days a year that is 23 or 25 hours.
            start = (start.astimezone(AMSTERDAM) - timedelta(days=1)).astimezone(UTC)
        return self.fallback_eur_per_kwh
