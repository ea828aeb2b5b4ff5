"""Cars on chargers: taper, least power, bounds and the closed form that judges departures."""

from __future__ import annotations

import numpy as np
import pytest

from controller.domain.units import FloatArray
from sim.physics.car import (
    DISCHARGE_RESERVE,
    CarArrays,
    charge_limit_kw,
    energy_when_alone,
    flow_kw,
    stored_after,
)

STEP_H = 10.0 / 3600.0


def cars(count: int = 1) -> CarArrays:
    """Cars of 50 kWh at 11 kW both ways."""
    return CarArrays(
        capacity_kwh=np.full(count, 50.0),
        charge_kw_max=np.full(count, 11.0),
        discharge_kw_max=np.full(count, 11.0),
        charge_kw_min=np.full(count, 4.14),
        efficiency_charge=np.full(count, 0.93),
        efficiency_discharge=np.full(count, 0.93),
    )


def one(stored_kwh: float, request_kw: float, dt_h: float = STEP_H) -> float:
    """What flows for one car."""
    return float(flow_kw(cars(), np.array([stored_kwh]), np.array([request_kw]), dt_h)[0])


@pytest.mark.parametrize(
    ("stored_kwh", "request_kw", "expected_kw"),
    [
        (25.0, 11.0, 11.0),
        (25.0, 22.0, 11.0),
        (25.0, 4.14, 4.14),
        (25.0, 4.13, 0.0),
        (25.0, 0.5, 0.0),
        (25.0, 0.0, 0.0),
        (25.0, -0.5, -0.5),
        (25.0, -30.0, -11.0),
        (50.0, 11.0, 0.0),
        (DISCHARGE_RESERVE * 50.0, -11.0, 0.0),
        (0.0, -11.0, 0.0),
    ],
)
def test_request_becomes_what_physics_allows(
    stored_kwh: float, request_kw: float, expected_kw: float
) -> None:
    """Power is clipped to car and charger, and nothing flows between 0 and the least charging power."""
    assert one(stored_kwh, request_kw) == pytest.approx(expected_kw)


def test_taper_is_linear_from_85_percent_to_the_least_power() -> None:
    """Full up to 42.5 of 50 kWh, halfway at 46.25, the least power when full."""
    stored = np.array([20.0, 42.5, 46.25, 50.0])
    assert charge_limit_kw(cars(4), stored) == pytest.approx([11.0, 11.0, (11.0 + 4.14) / 2, 4.14])


def test_charging_and_discharging_lose_seven_percent_each_way() -> None:
    """One hour at 10 kW stores 9.3 kWh; one hour of giving 10 kW takes 10.75 kWh."""
    stored = np.array([20.0])
    assert stored_after(cars(), stored, np.array([10.0]), 1.0)[0] == pytest.approx(29.3)
    assert stored_after(cars(), stored, np.array([-10.0]), 1.0)[0] == pytest.approx(20.0 - 10.0 / 0.93)


def test_a_car_fills_to_the_brim_and_never_above() -> None:
    """Charged for hours it ends within one step's least energy of its capacity."""
    stored: FloatArray = np.array([40.0])
    for _ in range(3 * 360):
        power = flow_kw(cars(), stored, np.array([11.0]), STEP_H)
        assert power[0] == 0.0 or power[0] >= 4.14 - 1e-9
        stored = stored_after(cars(), stored, power, STEP_H)
    assert 50.0 - 4.14 * STEP_H <= stored[0] <= 50.0


def test_a_discharging_car_stops_at_its_own_reserve() -> None:
    """Asked to give for hours it keeps its reserve."""
    stored: FloatArray = np.array([10.0])
    for _ in range(2 * 360):
        power = flow_kw(cars(), stored, np.array([-11.0]), STEP_H)
        stored = stored_after(cars(), stored, power, STEP_H)
    assert stored[0] == pytest.approx(DISCHARGE_RESERVE * 50.0, abs=1e-9)


@pytest.mark.parametrize("hours", [0.0, 0.5, 2.0, 3.0, 6.0])
def test_closed_form_agrees_with_the_steps(hours: float) -> None:
    """What a departure is judged by is what the stepped physics would have given."""
    stored: FloatArray = np.array([20.0])
    for _ in range(round(hours * 360)):
        power = flow_kw(cars(), stored, np.array([11.0]), STEP_H)
        stored = stored_after(cars(), stored, power, STEP_H)
    alone = energy_when_alone(
        stored_kwh=20.0,
        hours=hours,
        capacity_kwh=50.0,
        charge_kw_max=11.0,
        charge_kw_min=4.14,
        efficiency=0.93,
    )
    assert alone == pytest.approx(stored[0], abs=0.02)


def test_a_slow_charger_has_no_taper() -> None:
    """Where full power is the least power, the car charges evenly until it is full."""
    energy = energy_when_alone(
        stored_kwh=45.0, hours=1.0, capacity_kwh=50.0, charge_kw_max=4.14, charge_kw_min=4.14, efficiency=0.9
    )
    assert energy == pytest.approx(45.0 + 0.9 * 4.14)
