"""The built-in year: a synthetic Utrecht and a synthetic Dutch day-ahead market.

Where no file is given, or a file lacks a column, the year comes from here. Weather: monthly means as the
Royal Netherlands Meteorological Institute gives them for De Bilt (1991-2020), a daily swing, and days
that follow each other with some memory. Prices: hourly means of four months as the Dutch day-ahead
market had them in 2024, blended over the year, with days that differ; summer noons go below zero. Both
are functions of the calendar alone (the weather of the seed too), so any day can be asked for.
"""

from __future__ import annotations

import math
from datetime import date

import numpy as np

from controller.domain.site import Location
from controller.domain.units import FloatArray

_TEMPERATURE_C = (3.6, 3.9, 6.5, 9.9, 13.4, 16.2, 18.3, 17.9, 14.7, 10.9, 7.0, 4.2)
"""Mean by month, De Bilt."""
_SWING_C = (1.8, 2.5, 3.6, 4.8, 5.2, 5.2, 5.0, 5.0, 4.5, 3.4, 2.2, 1.6)
"""Half the difference between afternoon and early morning."""
_CLEARNESS = (0.33, 0.38, 0.41, 0.47, 0.48, 0.48, 0.48, 0.48, 0.45, 0.40, 0.34, 0.30)
"""Part of the radiation outside the atmosphere that reaches the ground, mean by month."""
_SOLAR_CONSTANT_W_M2 = 1361.0
_MEMORY_DAYS = 12
_MEMORY = 0.75
"""How much a day's deviation keeps of the day's before."""

_PRICE_EUR_PER_MWH = (
    (60, 59, 56, 55, 59, 67, 81, 96, 93, 86, 79, 74, 73, 77, 84, 93, 107, 107, 98, 86, 80, 76, 71, 64),
    (52, 51, 52, 58, 71, 88, 81, 65, 51, 39, 28, 17, 14, 19, 30, 51, 75, 103, 110, 88, 76, 67, 62, 56),
    (71, 67, 67, 70, 84, 88, 80, 60, 41, 27, 18, 9, 5, 10, 25, 50, 76, 103, 138, 122, 102, 87, 87, 75),
    (66, 64, 62, 66, 83, 109, 120, 101, 83, 72, 63, 59, 60, 70, 89, 116, 151, 148, 114, 96, 91, 80, 75, 71),
)
"""By UTC hour: January, April, July, October."""
_SOLAR_HOURS = np.exp(-(((np.arange(24) - 11.5) / 2.8) ** 2))


def temperature_c(day: date, seed: int) -> FloatArray:
    """The air temperature at each UTC hour's start, shape (24,)."""
    mean = _by_month(_TEMPERATURE_C, day) + 2.6 * _deviation(day, seed, 31)
    swing = _by_month(_SWING_C, day)
    return mean - swing * np.cos(2.0 * np.pi * (np.arange(24) - 2.5) / 24.0)


def ghi_w_m2(day: date, seed: int, where: Location) -> FloatArray:
    """Global horizontal irradiance, the mean around each UTC hour's start, shape (24,), not negative."""
    kt = float(np.clip(_by_month(_CLEARNESS, day) * math.exp(0.38 * _deviation(day, seed, 32)), 0.06, 0.74))
    rng = np.random.default_rng((seed, 33, day.toordinal()))
    hourly = np.clip(kt * rng.uniform(0.75, 1.25, 24), 0.03, 0.78)
    return np.asarray(hourly * _outside_atmosphere_w_m2(day, where), dtype=np.float64)


def price_eur_per_mwh(day: date) -> FloatArray:
    """The day-ahead price of each UTC hour, shape (24,)."""
    place = ((day.timetuple().tm_yday - 15) / 91.25) % 4.0
    season, part = int(place), place - int(place)
    shape = np.asarray(_PRICE_EUR_PER_MWH, dtype=np.float64)
    price = (1.0 - part) * shape[season % 4] + part * shape[(season + 1) % 4]
    level = math.exp(0.16 * _deviation(day, 0, 34))
    weekend = 0.82 if day.weekday() >= 5 else 1.0
    mean = float(price.mean())
    price = mean * level * weekend + (price - mean) * (0.8 + 0.4 * level)
    # Sunnier days than the mean push the noon down, in summer below zero.
    noon = 30.0 * max(0.0, math.sin(2.0 * math.pi * (day.timetuple().tm_yday - 80) / 365.0))
    price -= noon * max(0.0, _deviation(day, 0, 35)) * _SOLAR_HOURS
    rng = np.random.default_rng((36, day.toordinal()))
    return np.asarray(np.round(price + rng.normal(0.0, 2.0, 24), 2), dtype=np.float64)


def _by_month(table: tuple[float, ...], day: date) -> float:
    """A monthly table read between the months' middles."""
    place = (day.timetuple().tm_yday - 15.0) / 365.0 * 12.0
    return float(np.interp(place, np.arange(-1, 14), (table[-1], *table, table[0], table[1])))


def _deviation(day: date, seed: int, stream: int) -> float:
    """A normal deviate of the day that remembers the days before it: a moving average of fresh draws."""
    weights = _MEMORY ** np.arange(_MEMORY_DAYS)
    draws = [
        np.random.default_rng((seed, stream, day.toordinal() - lag)).standard_normal()
        for lag in range(_MEMORY_DAYS)
    ]
    return float(np.dot(weights, draws) / math.sqrt(float(np.dot(weights, weights))))


def _outside_atmosphere_w_m2(day: date, where: Location) -> FloatArray:
    """Radiation on a horizontal plane outside the atmosphere, averaged over the hour around each UTC hour.

    Source: Duffie and Beckman, Solar Engineering of Thermal Processes, 4th ed., eq. 1.4.1, 1.6.1, 1.6.5.
    """
    number = day.timetuple().tm_yday
    declination = math.radians(23.45) * math.sin(2.0 * math.pi * (284 + number) / 365.0)
    b = 2.0 * math.pi * (number - 81) / 364.0
    equation_of_time_h = (9.87 * math.sin(2 * b) - 7.53 * math.cos(b) - 1.5 * math.sin(b)) / 60.0
    latitude = math.radians(where.latitude_deg)
    hours = (np.arange(24)[:, None] + (np.arange(12)[None, :] - 5.5) / 12.0) + where.longitude_deg / 15.0
    angle = np.radians(15.0 * (hours + equation_of_time_h - 12.0))
    height = math.sin(latitude) * math.sin(declination) + math.cos(latitude) * math.cos(declination) * np.cos(
        angle
    )
    eccentricity = 1.0 + 0.033 * math.cos(2.0 * math.pi * number / 365.0)
    return np.asarray(_SOLAR_CONSTANT_W_M2 * eccentricity * np.clip(height, 0.0, None).mean(axis=1))
