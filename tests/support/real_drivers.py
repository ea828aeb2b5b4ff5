"""Real charging sessions and real prices, where their files are there: ../shared/data, see its README."""

from __future__ import annotations

import csv
import gzip
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from controller.domain.units import BoolArray, FloatArray

DATA = Path(__file__).parents[2].parent / "shared" / "data"
SESSIONS = DATA / "acn_caltech_2019_05_to_08_sessions.csv.gz"
PRICES = DATA / "nl_day_ahead_price_hourly_2023_2025.csv"
FIRST_DAY = datetime(2019, 5, 1)  # noqa: DTZ001  # a wall clock's time
YEARS = timedelta(weeks=261)
"""From 2019 to the same days of the week in 2024, of which there are prices."""
AMSTERDAM = ZoneInfo("Europe/Amsterdam")


@dataclass(frozen=True, kw_only=True)
class Sessions:
    """Sessions in order of arrival; times in hours of the drivers' wall clock since `FIRST_DAY`."""

    arrival_h: FloatArray
    departure_h: FloatArray
    stated_h: FloatArray
    """The stay that the driver stated [h]; NaN where they said nothing."""
    energy_kwh: FloatArray
    """What was asked for, at the charge point; of a driver who said nothing, what the car took."""

    @property
    def guest(self) -> BoolArray:
        """Whether the driver said nothing."""
        return np.isnan(self.stated_h)


def there() -> bool:
    """Whether both files are there."""
    return SESSIONS.exists() and PRICES.exists()


def read_sessions() -> Sessions:
    """All sessions.

    An unclaimed session's estimated departure is the real one, written in afterwards: it is not read.
    """
    with gzip.open(SESSIONS, "rt", encoding="utf-8") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: _wall_h(row["arrival"]))
    arrival = np.array([_wall_h(row["arrival"]) for row in rows])
    stated = np.array([_wall_h(row["estimated_departure"]) for row in rows]) - arrival
    claimed = np.array([row["claimed"] == "True" for row in rows])
    return Sessions(
        arrival_h=arrival,
        departure_h=np.array([_wall_h(row["departure"]) for row in rows]),
        stated_h=np.where(claimed, stated, np.nan),
        energy_kwh=np.array([float(row["requested_energy (kWh)"]) for row in rows]),
    )


def read_prices(hours: int) -> FloatArray:
    """Dutch prices for each hour since `FIRST_DAY`, Amsterdam's clock for theirs [EUR/kWh], (hours,)."""
    known: dict[datetime, float] = {}
    with PRICES.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            known[datetime.fromisoformat(row["start_utc"])] = float(row["price_eur_per_mwh"]) / 1000.0
    starts = [(FIRST_DAY + YEARS + timedelta(hours=h)).replace(tzinfo=AMSTERDAM) for h in range(hours)]
    return np.array([known[start.astimezone(UTC)] for start in starts])


def _wall_h(text: str) -> float:
    """Hours of the wall clock since `FIRST_DAY`; the offset, summer time throughout, is left out."""
    return (datetime.fromisoformat(text).replace(tzinfo=None) - FIRST_DAY).total_seconds() / 3600.0
