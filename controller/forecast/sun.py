"""What a roof would make under a clear sky, and how the real sky compares.

The clear sky is certain; clouds are not. A forecast is the clear sky of each quarter-hour times a
clearness: the ratio of measured to clear-sky output in the last hour, which fades within hours towards
the season's usual value. Source of the clear-sky model: Haurwitz (1945), as in pvlib.

What a limit may count on is less (`low_share`): the forecast's 10% quantile. Measured with this forecast on
radiation at De Bilt's latitude, a quarter-hour a value, August to October 2021 and October 2020 to January
2021: 0.38 of the forecast half an hour ahead, 0.27 an hour, 0.16 three hours and more, in both seasons.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

import numpy as np

from controller.domain.time import QUARTER
from controller.domain.units import FloatArray

SYSTEM_LOSS_FRACTION = 0.14
"""Dobos, PVWatts Version 5 Manual, NREL/TP-6A20-62641 (2014), table 6."""
CLEARNESS_MEMORY_H = 3.0
"""How long the sky of the last hour says something about the next ones."""
SURE_MEMORY_H = 0.5
"""How fast the sky of the last hour stops being a thing to count on."""
DAYS_CACHED = 64


def usual_clearness(month: int) -> float:
    """Mean output over clear-sky output in the Netherlands: about 0.35 in December, 0.65 in June."""
    return 0.50 - 0.15 * float(np.cos(2.0 * np.pi * (month - 0.5) / 12.0))


@lru_cache(maxsize=DAYS_CACHED)
def _clear_day(
    latitude_deg: float, longitude_deg: float, tilt_deg: float, azimuth_deg: float, day_start: datetime
) -> FloatArray:
    """Fraction of the rating for the 96 quarter-hours of a UTC day, shape (96,)."""
    import pandas as pd
    from pvlib import clearsky, irradiance, solarposition

    times = pd.DatetimeIndex([day_start + QUARTER * i + QUARTER / 2 for i in range(96)])
    sun = solarposition.get_solarposition(times, latitude_deg, longitude_deg)
    ghi = clearsky.haurwitz(sun["apparent_zenith"])["ghi"]
    split = irradiance.erbs(ghi, sun["zenith"], times)
    plane = irradiance.get_total_irradiance(
        tilt_deg, azimuth_deg, sun["apparent_zenith"], sun["azimuth"], split["dni"], ghi, split["dhi"]
    )
    fraction = np.nan_to_num(plane["poa_global"].to_numpy(dtype=np.float64)) / 1000.0
    result: FloatArray = np.clip(fraction * (1.0 - SYSTEM_LOSS_FRACTION), 0.0, 1.0)
    return result


def clear_sky_fraction(
    latitude_deg: float, longitude_deg: float, tilt_deg: float, azimuth_deg: float, starts: Sequence[datetime]
) -> FloatArray:
    """Output under a clear sky as a fraction of the rating, for the quarter-hours that hold `starts` (UTC).

    Returns:
        Fraction, shape (T,), 0 to 1.
    """
    values = []
    for start in starts:
        midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
        day = _clear_day(latitude_deg, longitude_deg, tilt_deg, azimuth_deg, midnight)
        values.append(day[(start - midnight) // QUARTER])
    return np.array(values)


def clearness_ahead(measured_ratio: float | None, hours_ahead: FloatArray, month: int) -> FloatArray:
    """The clearness to expect.

    Args:
        measured_ratio: Measured over clear-sky output of the last hour; None: unknown (night, no meter).
        hours_ahead: Time from now to each step [h], shape (T,).
        month: 1 to 12.

    Returns:
        Clearness, shape (T,).
    """
    usual = usual_clearness(month)
    if measured_ratio is None:
        return np.full(hours_ahead.shape, usual)
    weight = np.exp(-np.maximum(hours_ahead, 0.0) / CLEARNESS_MEMORY_H)
    result: FloatArray = usual + (measured_ratio - usual) * weight
    return result


def low_share(measured_ratio: float | None, hours_ahead: FloatArray, low_fraction: float) -> FloatArray:
    """Which part of the forecast is there in nine quarter-hours out of ten.

    Args:
        measured_ratio: As for `clearness_ahead`; None: nothing is known of the sky of now.
        hours_ahead: Time from now to each step [h], shape (T,).
        low_fraction: The part for a sky of which nothing is known.

    Returns:
        Fraction of the forecast, shape (T,), from `low_fraction` to 1.
    """
    if measured_ratio is None:
        return np.full(hours_ahead.shape, low_fraction)
    sure = np.exp(-np.maximum(hours_ahead, 0.0) / SURE_MEMORY_H)
    result: FloatArray = low_fraction + (1.0 - low_fraction) * sure
    return result
