"""Stationary batteries: power and energy bounds."""

from __future__ import annotations

import numpy as np
import pytest

from sim.physics.battery import BatteryArrays, flow_kw, stored_after

BATTERY = BatteryArrays(
    capacity_kwh=np.array([100.0]),
    charge_kw_max=np.array([50.0]),
    discharge_kw_max=np.array([40.0]),
    efficiency_charge=np.array([0.95]),
    efficiency_discharge=np.array([0.95]),
)


@pytest.mark.parametrize(
    ("stored_kwh", "request_kw", "expected_kw"),
    [
        (50.0, 80.0, 50.0),
        (50.0, -80.0, -40.0),
        (50.0, 0.3, 0.3),
        (100.0, 50.0, 0.0),
        (0.0, -40.0, 0.0),
        (90.5, 50.0, 10.0),
        (9.5, -40.0, -9.025),
    ],
)
def test_flow_keeps_power_and_energy_bounds(stored_kwh: float, request_kw: float, expected_kw: float) -> None:
    """Over an hour no more flows than the rating, the room left or the energy there allow."""
    power = flow_kw(BATTERY, np.array([stored_kwh]), np.array([request_kw]), 1.0)
    assert power[0] == pytest.approx(expected_kw)
    after = stored_after(BATTERY, np.array([stored_kwh]), power, 1.0)
    assert -1e-9 <= after[0] <= 100.0 + 1e-9
