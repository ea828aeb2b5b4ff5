"""Solar roofs: dark at night, towards their side of the sky, PVWatts' figures."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from controller.domain.site import Location
from sim.physics.pv import (
    GRID_POINTS,
    INVERTER_EFFICIENCY,
    Orientation,
    cloud_flicker,
    output_kw_per_kw,
    plane_of_array_w_m2,
)

SUMMER = date(2024, 6, 21)


def clear_day() -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """A bell of 850 W/m2 around 11:40 UTC, the sun's noon in Utrecht in June."""
    hours = np.arange(GRID_POINTS) * 24.0 / GRID_POINTS
    return np.where(np.abs(hours - 11.67) < 8.0, 850.0 * np.cos((hours - 11.67) / 8.0 * np.pi / 2.0), 0.0)


def test_east_leads_and_west_follows() -> None:
    """The morning belongs to the east roof, the afternoon to the west roof, the night to none."""
    east, south, west = plane_of_array_w_m2(
        tuple(Orientation(tilt_deg=40.0, azimuth_deg=azimuth) for azimuth in (90.0, 180.0, 270.0)),
        clear_day(),
        SUMMER,
        Location(),
    )
    at = GRID_POINTS // 24
    assert east[7 * at] > south[7 * at] > west[7 * at]
    assert west[17 * at] > south[17 * at] > east[17 * at]
    assert max(plane[0] for plane in (east, south, west)) == 0.0
    assert min(plane.min() for plane in (east, south, west)) >= 0.0


def test_power_at_reference_conditions() -> None:
    """1000 W/m2 on a cell of 25 C gives the peak power less system losses and inverter."""
    air = 25.0 - 30.0
    power = output_kw_per_kw(np.array([[1000.0]]), np.array([air]))
    assert power[0, 0] == pytest.approx(0.86 * INVERTER_EFFICIENCY)


def test_a_hot_roof_gives_less() -> None:
    """10 K more cost 3.7%."""
    cold, hot = (output_kw_per_kw(np.array([[1000.0]]), np.array([air]))[0, 0] for air in (-5.0, 5.0))
    assert hot / cold == pytest.approx(1.0 - 0.037)


def test_clouds_move_power_by_day_only() -> None:
    """The factor swings around 1 at middling light and is exactly 1 in the dark."""
    ghi = np.concatenate((np.zeros(GRID_POINTS // 2), np.full(GRID_POINTS // 2, 450.0)))
    factor = cloud_flicker(ghi, SUMMER, seed=1)
    assert np.all(factor[:720] == 1.0)
    assert factor[720:].std() > 0.05
    assert factor.mean() == pytest.approx(1.0, abs=0.05)
