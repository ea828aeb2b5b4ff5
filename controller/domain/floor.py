"""What a charger does on its own when it hears nothing: each day the same hours at a low power, else nothing.

The hours are counted in UTC, because that is how a charger repeats a schedule: by local time it comes an hour
earlier in winter than in summer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from controller.domain.ids import AssetId

DAY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class FloorHours:
    """One charger's hours."""

    start_s: int
    """Of the UTC day, in [0, 86 400) [s]."""
    length_s: int
    """0: it does nothing on its own; 86 400: its hours never end [s]."""
    power_kw: float
    """Charging, within its hours."""

    def kw_at(self, at: datetime) -> float:
        """The power [kW] at an instant."""
        return self.power_kw if self._since_s(at) < self.length_s else 0.0

    def most_kw(self, from_utc: datetime, to_utc: datetime) -> float:
        """The highest power [kW] within a span that is shorter than a day; for an empty one at its start."""
        if self.length_s <= 0:
            return 0.0
        since_s, span_s = self._since_s(from_utc), (to_utc - from_utc).total_seconds()
        return self.power_kw if since_s < self.length_s or since_s + span_s > DAY_S else 0.0

    def least_kw(self, from_utc: datetime, to_utc: datetime) -> float:
        """The lowest power [kW] within a span that is shorter than a day; for an empty one at its start."""
        since_s, span_s = self._since_s(from_utc), (to_utc - from_utc).total_seconds()
        inside = self.length_s >= DAY_S or (since_s < self.length_s and since_s + span_s <= self.length_s)
        return self.power_kw if inside else 0.0

    def begin_before(self, at: datetime) -> datetime:
        """The latest begin of the hours that is not after `at`: from there a schedule repeats."""
        return at - timedelta(seconds=self._since_s(at))

    def _since_s(self, at: datetime) -> float:
        """How long ago the hours began last, in [0, 86 400) [s]."""
        # UTC days begin at whole multiples of a day since 1970.
        return (at.timestamp() - self.start_s) % DAY_S


NOTHING = FloorHours(start_s=0, length_s=0, power_kw=0.0)
"""A charger that stands still without us."""

type Floor = Mapping[AssetId, FloorHours]
"""By charger; one that is not in it stands still."""
