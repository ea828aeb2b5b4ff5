"""A car's battery on a two-way charger.

What a charger asks for becomes what flows in five narrowing steps: no car, no power; what charger and
car can take; the battery's taper near full; the least current with which three phases can charge; and
the energy that is there, or that still fits. The arrays' axis is the plugged pairs of car and charger,
so that a street and a district cost the same number of numpy calls.

The taper: full power up to 85% state of charge, then linearly down to the least charging power at 100%.
A battery management system ends an AC charge at its lowest current instead of creeping to zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from controller.domain.units import FloatArray

TAPER_FROM = 0.85
"""State of charge [fraction] from which the car takes less."""
DISCHARGE_RESERVE = 0.05
"""State of charge [fraction] at which the car itself stops to give."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CarArrays:
    """The constants of pairs of car and charger, each of shape (P,)."""

    capacity_kwh: FloatArray
    charge_kw_max: FloatArray
    """The lesser of car and charger."""
    discharge_kw_max: FloatArray
    """The lesser of car and charger, a magnitude."""
    charge_kw_min: FloatArray
    """Below this it cannot charge."""
    efficiency_charge: FloatArray
    efficiency_discharge: FloatArray


def charge_limit_kw(cars: CarArrays, stored_kwh: FloatArray) -> FloatArray:
    """What the battery takes at most now [kW AC], shape (P,): the taper alone."""
    above = (stored_kwh / cars.capacity_kwh - TAPER_FROM) / (1.0 - TAPER_FROM)
    above = np.minimum(np.maximum(above, 0.0), 1.0)
    floor = np.minimum(cars.charge_kw_min, cars.charge_kw_max)
    return cars.charge_kw_max - (cars.charge_kw_max - floor) * above


def flow_kw(cars: CarArrays, stored_kwh: FloatArray, request_kw: FloatArray, dt_h: float) -> FloatArray:
    """The AC power that flows for one step.

    Args:
        cars: Constants of the pairs.
        stored_kwh: Energy in the battery at the start of the step [kWh], shape (P,).
        request_kw: What the charger's electronics asks for [kW], shape (P,), positive = charging.
        dt_h: Length of the step [h].

    Returns:
        Power [kW], shape (P,): 0, at least the least charging power, or negative while discharging.
    """
    charge = np.minimum(request_kw, charge_limit_kw(cars, stored_kwh))
    fits = (cars.capacity_kwh - stored_kwh) / (cars.efficiency_charge * dt_h)
    charge = np.minimum(charge, fits)
    charge = np.where((charge >= cars.charge_kw_min - 1e-9) & (charge > 0.0), charge, 0.0)
    left = np.maximum(stored_kwh - DISCHARGE_RESERVE * cars.capacity_kwh, 0.0)
    discharge = np.minimum(-request_kw, cars.discharge_kw_max)
    discharge = np.maximum(np.minimum(discharge, left * cars.efficiency_discharge / dt_h), 0.0)
    return charge - discharge


def stored_after(cars: CarArrays, stored_kwh: FloatArray, power_kw: FloatArray, dt_h: float) -> FloatArray:
    """The energy in the battery [kWh] after a step at `power_kw` (AC), shape (P,)."""
    into = np.maximum(power_kw, 0.0) * cars.efficiency_charge
    out = np.maximum(-power_kw, 0.0) / cars.efficiency_discharge
    return np.minimum(np.maximum(stored_kwh + (into - out) * dt_h, 0.0), cars.capacity_kwh)


def energy_when_alone(
    *,
    stored_kwh: float,
    hours: float,
    capacity_kwh: float,
    charge_kw_max: float,
    charge_kw_min: float,
    efficiency: float,
) -> float:
    """What a car would hold [kWh] after charging alone at its full, tapered power for `hours`.

    The taper is linear in the stored energy, so the tail is an exponential: with power p = a - b s and
    ds/dt = efficiency p, p(t) = p0 exp(-efficiency b t).
    """
    if hours <= 0.0:
        return stored_kwh
    knee = TAPER_FROM * capacity_kwh
    if stored_kwh < knee:
        to_knee_h = (knee - stored_kwh) / (efficiency * charge_kw_max)
        if hours <= to_knee_h:
            return stored_kwh + efficiency * charge_kw_max * hours
        stored_kwh, hours = knee, hours - to_knee_h
    floor = min(charge_kw_min, charge_kw_max)
    slope = (charge_kw_max - floor) / (capacity_kwh - knee)
    if slope == 0.0:
        return min(capacity_kwh, stored_kwh + efficiency * charge_kw_max * hours)
    now_kw = charge_kw_max - slope * (stored_kwh - knee)
    gained = now_kw / slope * (1.0 - math.exp(-efficiency * slope * hours))
    return min(capacity_kwh, stored_kwh + gained)
