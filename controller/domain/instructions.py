"""Standing instructions: what a member said once, so that nobody has to trade or press buttons by hand.

Each becomes orders or wishes of its own every quarter-hour, until its member ends it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from controller.domain.ids import AssetId, MemberId
from controller.domain.time import AMSTERDAM

EVERY_DAY = (0, 1, 2, 3, 4, 5, 6)
"""The days of the week, Monday first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SellSurplus:
    """Sell what my roofs make beyond what I use, at or above a price."""

    min_price_microeur_per_kwh: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveSurplus:
    """Let public buildings (a school) have what my roofs make beyond what I use, at any price."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveAt:
    """Leave at a time of day with so much in the battery."""

    vehicle: AssetId
    at_local: time
    """In Amsterdam."""
    soc_fraction: float
    weekdays: tuple[int, ...] = EVERY_DAY
    """0 is Monday."""

    def next_departure(self, now: datetime) -> datetime:
        """The next such moment after `now`, UTC."""
        today = now.astimezone(AMSTERDAM).date()
        for days in range(8):
            day = today + timedelta(days=days)
            at = datetime.combine(day, self.at_local, tzinfo=AMSTERDAM).astimezone(UTC)
            if day.weekday() in self.weekdays and at > now:
                return at
        raise AssertionError("a week has every weekday")


type Wanted = SellSurplus | GiveSurplus | LeaveAt
"""What an instruction says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """One standing instruction of a member."""

    id: str
    """Made and kept by its submitter: the idempotency key."""
    member: MemberId
    wanted: Wanted
    created_at: datetime
