"""Solar roofs: from the weather to what an inverter could feed in.

Global horizontal irradiance is split into its beam and its diffuse part (Erbs), brought into the plane
of the roof (Hay and Davies), turned into power by PVWatts with the cell's temperature (Faiman's form with
PVWatts' constants is close enough here), and clipped at the inverter. pvlib does the sun; it is asked
once per UTC day and orientation on a grid of five minutes, never per step.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pvlib

from controller.domain.site import Location
from controller.domain.units import FloatArray

GRID_MINUTES = 5
GRID_POINTS = 1440 // GRID_MINUTES
TEMPERATURE_COEFFICIENT_PER_K = -0.0037
"""Crystalline silicon, PVWatts "premium" is -0.0035, "standard" -0.0047."""
SYSTEM_LOSS_FRACTION = 0.14
"""Soiling, wiring, mismatch and the rest: PVWatts' default."""
INVERTER_EFFICIENCY = 0.96
NOCT_RISE_K_PER_W_M2 = 0.03
"""A ventilated roof's cells are about 30 K above the air at 1000 W/m2."""
_LOWEST_SUN_COSINE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Orientation:
    """How a roof lies."""

    tilt_deg: float
    azimuth_deg: float


def plane_of_array_w_m2(
    orientations: tuple[Orientation, ...], ghi_w_m2: FloatArray, day: date, where: Location
) -> FloatArray:
    """The irradiance in the plane of each orientation over a UTC day.

    Args:
        orientations: The distinct ones, O of them.
        ghi_w_m2: Global horizontal irradiance on the grid of five minutes [W/m2], shape (288,).
        day: The UTC day.
        where: The place.

    Returns:
        Irradiance [W/m2], shape (O, 288), not negative.
    """
    times = pd.date_range(
        datetime(day.year, day.month, day.day, tzinfo=UTC), periods=GRID_POINTS, freq=f"{GRID_MINUTES}min"
    )
    sun = pvlib.solarposition.get_solarposition(times, where.latitude_deg, where.longitude_deg)
    zenith, azimuth = sun["apparent_zenith"].to_numpy(), sun["azimuth"].to_numpy()
    day_of_year = times.day_of_year.to_numpy()
    split = pvlib.irradiance.erbs(ghi_w_m2, zenith, day_of_year, min_cos_zenith=_LOWEST_SUN_COSINE)
    extra = pvlib.irradiance.get_extra_radiation(day_of_year)
    planes = [
        pvlib.irradiance.get_total_irradiance(
            orientation.tilt_deg,
            orientation.azimuth_deg,
            zenith,
            azimuth,
            np.asarray(split["dni"]),
            ghi_w_m2,
            np.asarray(split["dhi"]),
            dni_extra=extra,
            model="haydavies",
        )["poa_global"]
        for orientation in orientations
    ]
    stacked = np.asarray(planes, dtype=np.float64).reshape(len(orientations), GRID_POINTS)
    return np.clip(np.nan_to_num(stacked), 0.0, None)


def output_kw_per_kw(plane_w_m2: FloatArray, outdoor_c: FloatArray) -> FloatArray:
    """AC output per kW of peak power, before the inverter's rating clips it.

    Args:
        plane_w_m2: Irradiance in the plane [W/m2], shape (O, T).
        outdoor_c: Air temperature [C], shape (T,).

    Returns:
        Magnitude [kW/kWp], shape (O, T).

    Source: Dobos, PVWatts Version 5 Manual, NREL/TP-6A20-62641 (2014), eq. 8 and section 10.
    """
    cell_c = outdoor_c[None, :] + NOCT_RISE_K_PER_W_M2 * plane_w_m2
    dc = plane_w_m2 / 1000.0 * (1.0 + TEMPERATURE_COEFFICIENT_PER_K * (cell_c - 25.0))
    return np.clip(dc * (1.0 - SYSTEM_LOSS_FRACTION) * INVERTER_EFFICIENCY, 0.0, None)


def cloud_flicker(ghi_w_m2: FloatArray, day: date, seed: int) -> FloatArray:
    """How clouds move the power around the weather's mean, minute by minute, shape (1440,), mean about 1.

    Broken clouds move it most: the swing is largest at middling irradiance and none in the dark.
    """
    rng = np.random.default_rng((seed, 21, day.toordinal()))
    knots = rng.normal(0.0, 1.0, size=1440 // GRID_MINUTES + 1)
    walk = np.interp(np.arange(1440), np.arange(0, 1441, GRID_MINUTES), knots)
    share = np.repeat(np.clip(ghi_w_m2 / 900.0, 0.0, 1.0), GRID_MINUTES)
    swing = 0.25 * 4.0 * share * (1.0 - share)
    return np.clip(1.0 + swing * walk, 0.3, 1.5)
