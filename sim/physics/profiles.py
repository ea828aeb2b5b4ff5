"""Figures from the field that the simulated neighbourhood follows, as small tables.

Homes: the Dutch standard household profile E1A, winter as published for January 2021 (weekday and
weekend), summer with its lower and later evening. Cars: ElaadNL's distributions of arrival and of energy
per charging session, private and public in equal parts, because a shared car comes home like a private
one and stands in the street like a public one. All hours are local.
"""

from __future__ import annotations

import math
from datetime import date

import numpy as np

from controller.domain.units import FloatArray

QUARTERS_PER_YEAR = 35040

_E1A_WINTER_WEEKDAY = (
    28.9, 23.2, 19.9, 18.2, 17.6, 18.1, 21.2, 26.9, 30.5, 31.5, 31.1, 29.6,
    29.6, 28.6, 28.3, 29.2, 32.7, 45.0, 52.6, 50.3, 47.8, 44.3, 40.9, 35.8,
)  # fmt: skip
_E1A_WINTER_WEEKEND = (
    27.8, 23.1, 19.6, 18.0, 17.4, 17.6, 19.6, 24.1, 29.3, 33.5, 35.2, 34.2,
    34.1, 32.9, 32.1, 32.4, 34.7, 45.6, 53.2, 51.8, 49.5, 45.2, 40.9, 35.2,
)  # fmt: skip
_E1A_SUMMER = (
    19.0, 16.5, 15.5, 15.0, 15.0, 15.5, 18.0, 22.0, 25.0, 26.0, 26.0, 26.5,
    27.0, 26.0, 25.5, 26.0, 28.5, 33.0, 34.0, 32.5, 32.0, 33.0, 30.0, 24.5,
)  # fmt: skip
"""Millionths of a year's use per quarter-hour, by local hour."""

_ARRIVAL_WEEKDAY_PRIVATE = (
    2.13, 0.53, 0.21, 0.12, 0.11, 0.08, 0.17, 0.57, 1.38, 1.13, 1.13, 1.54,
    2.18, 2.23, 2.68, 3.65, 5.68, 12.15, 17.02, 11.54, 9.10, 8.93, 9.12, 6.62,
)  # fmt: skip
_ARRIVAL_WEEKDAY_PUBLIC = (
    0.98, 0.45, 0.24, 0.16, 0.16, 0.22, 0.73, 3.23, 7.86, 7.72, 5.11, 4.66,
    5.35, 5.35, 5.02, 5.12, 5.66, 8.34, 10.91, 8.06, 5.05, 3.96, 3.37, 2.28,
)  # fmt: skip
_ARRIVAL_WEEKEND_PRIVATE = (
    4.08, 2.03, 0.77, 0.32, 0.21, 0.13, 0.13, 0.37, 0.91, 1.69, 3.04, 4.80,
    6.03, 6.17, 6.16, 6.90, 8.76, 10.21, 7.87, 6.51, 6.76, 6.22, 5.78, 4.14,
)  # fmt: skip
_ARRIVAL_WEEKEND_PUBLIC = (
    2.04, 1.24, 0.64, 0.37, 0.28, 0.25, 0.29, 0.65, 1.73, 3.73, 5.66, 7.00,
    7.88, 8.20, 8.46, 8.29, 7.98, 8.02, 7.33, 5.76, 4.87, 3.93, 3.14, 2.25,
)  # fmt: skip
"""Percent of the sessions of a day that begin in each local hour."""

_ENERGY_PRIVATE_KWH = (
    99.9, 59.6, 51.4, 45.6, 40.4, 35.8, 31.9, 28.2, 24.9, 22.1, 19.4, 17.1, 14.6, 12.3, 10.1, 8.2, 6.6, 5.0,
    3.3, 1.8, 0.0,
)  # fmt: skip
_ENERGY_PUBLIC_KWH = (
    99.8, 41.6, 29.0, 22.2, 17.2, 13.8, 11.3, 9.5, 8.6, 7.9, 7.2, 6.7, 6.2, 5.6, 4.9, 4.2, 3.4, 2.5,
    1.6, 0.6, 0.0,
)  # fmt: skip
"""Energy [kWh] that 0, 5, 10, .. 100% of the sessions exceed."""

_MEAN_PRIVATE_KWH = (
    31.4, 32.5, 28.0, 24.8, 21.3, 21.5, 21.1, 18.1, 13.3, 14.5, 14.6, 14.8,
    15.5, 16.2, 17.9, 19.5, 21.9, 22.4, 24.7, 27.4, 29.1, 29.1, 30.2, 30.8,
)  # fmt: skip
_MEAN_PUBLIC_KWH = (
    20.9, 21.2, 21.4, 21.3, 20.1, 20.0, 18.9, 15.9, 13.0, 12.5, 12.7, 12.8,
    12.9, 13.2, 14.2, 15.5, 16.5, 16.5, 16.5, 17.7, 19.1, 20.4, 20.4, 20.5,
)  # fmt: skip
"""Mean energy [kWh] of a session by the local hour in which it begins."""


def e1a_fraction_of_year(day: date) -> FloatArray:
    """The part of a year's use that a household takes per quarter-hour, shape (24,), by local hour.

    Between the winter and the summer shape the year swings as a cosine, highest in mid-January; scaled so
    that a year sums to 1.
    """
    winter = _E1A_WINTER_WEEKEND if day.weekday() >= 5 else _E1A_WINTER_WEEKDAY
    weight = 0.5 * (1.0 + math.cos(2.0 * math.pi * (day.timetuple().tm_yday - 15) / 365.0))
    shape = weight * np.asarray(winter) + (1.0 - weight) * np.asarray(_E1A_SUMMER)
    return np.asarray(shape * _E1A_SCALE, dtype=np.float64)


def arrivals_by_hour(day: date) -> FloatArray:
    """The chance that a car that comes home on `day` does so in each local hour, shape (24,), sums to 1."""
    private, public = (
        (_ARRIVAL_WEEKEND_PRIVATE, _ARRIVAL_WEEKEND_PUBLIC)
        if day.weekday() >= 5
        else (_ARRIVAL_WEEKDAY_PRIVATE, _ARRIVAL_WEEKDAY_PUBLIC)
    )
    both = np.asarray(private) + np.asarray(public)
    return np.asarray(both / both.sum(), dtype=np.float64)


def session_energy_kwh(quantile: float, arrival_hour: int, *, public: bool) -> float:
    """The energy [kWh] of a charging session.

    Args:
        quantile: In [0, 1]; 0 is the smallest session.
        arrival_hour: Local; who comes in the evening needs more than who comes at noon.
        public: Public or private charging.
    """
    table = _ENERGY_PUBLIC_KWH if public else _ENERGY_PRIVATE_KWH
    means = np.asarray(_MEAN_PUBLIC_KWH if public else _MEAN_PRIVATE_KWH)
    arrivals = np.asarray(_ARRIVAL_WEEKDAY_PUBLIC if public else _ARRIVAL_WEEKDAY_PRIVATE)
    of_hour = means[arrival_hour] * arrivals.sum() / float(means @ arrivals)
    return float(of_hour * np.interp(quantile, np.linspace(0.0, 1.0, len(table)), np.asarray(table[::-1])))


def _e1a_scale() -> float:
    """What makes the mean over a year 1/35040 per quarter-hour."""
    winter = (5.0 * np.mean(_E1A_WINTER_WEEKDAY) + 2.0 * np.mean(_E1A_WINTER_WEEKEND)) / 7.0
    return float(1.0 / (QUARTERS_PER_YEAR * 0.5 * (winter + np.mean(_E1A_SUMMER))))


_E1A_SCALE = _e1a_scale()
