"""A stationary battery: what is asked for, as far as power and stored energy allow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from controller.domain.units import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class BatteryArrays:
    """The constants of the batteries, each of shape (B,)."""

    capacity_kwh: FloatArray
    charge_kw_max: FloatArray
    discharge_kw_max: FloatArray
    efficiency_charge: FloatArray
    efficiency_discharge: FloatArray


def flow_kw(
    batteries: BatteryArrays, stored_kwh: FloatArray, request_kw: FloatArray, dt_h: float
) -> FloatArray:
    """The AC power that flows for one step [kW], shape (B,), positive = charging."""
    most = np.minimum(
        batteries.charge_kw_max,
        (batteries.capacity_kwh - stored_kwh) / (batteries.efficiency_charge * dt_h),
    )
    least = -np.minimum(batteries.discharge_kw_max, stored_kwh * batteries.efficiency_discharge / dt_h)
    return np.minimum(np.maximum(request_kw, least), most)


def stored_after(
    batteries: BatteryArrays, stored_kwh: FloatArray, power_kw: FloatArray, dt_h: float
) -> FloatArray:
    """The stored energy [kWh] after a step at `power_kw` (AC), shape (B,)."""
    into = np.maximum(power_kw, 0.0) * batteries.efficiency_charge
    out = np.maximum(-power_kw, 0.0) / batteries.efficiency_discharge
    return np.minimum(np.maximum(stored_kwh + (into - out) * dt_h, 0.0), batteries.capacity_kwh)
