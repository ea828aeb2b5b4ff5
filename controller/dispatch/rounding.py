"""Decides by rounding which slots run, for problems with too many to decide exactly.

The relaxed plan lets a car charge with 1 kW for four hours; the car can only do 4.1 kW or nothing. So each
store walks through its slots and saves up what the relaxed plan gave it until that fills a slot at minimum
power: the same energy, a little later, and the cars take turns of their own accord because their savings
differ. Before a departure what was saved is rounded up, so that the promise is not lost by rounding.
"""

from __future__ import annotations

import numpy as np

from controller.dispatch.inputs import DispatchInputs, StoreInput
from controller.dispatch.layout import Layout
from controller.domain.units import BoolArray, FloatArray

ENOUGH = 0.5
"""A slot runs once this share of its minimum energy was saved: rounding to the nearest."""
LEAST_KWH = 1e-4
"""Savings below this are a solver's rounding [kWh]."""


def round_on(
    inputs: DispatchInputs, layout: Layout, charge_kw: FloatArray, discharge_kw: FloatArray
) -> tuple[BoolArray, BoolArray]:
    """Which slots may charge and which may discharge, never both; shapes (K,)."""
    on = np.zeros(charge_kw.size, dtype=np.bool_)
    on_out = np.zeros(charge_kw.size, dtype=np.bool_)
    bounds = np.searchsorted(layout.store, np.arange(len(inputs.stores) + 1))
    for place, store in enumerate(inputs.stores):
        span = slice(int(bounds[place]), int(bounds[place + 1]))
        steps = layout.step[span]
        h = inputs.step_h[steps]
        last = np.isin(steps + 1, [stay.to_step for stay in store.stays])
        net = store.efficiency_charge * charge_kw[span] - discharge_kw[span] / store.efficiency_discharge
        charge = np.where(net > 0.0, charge_kw[span], 0.0)
        discharge = np.where(net < 0.0, discharge_kw[span], 0.0)
        on[span] = _saved_up(charge, h, store.charge_kw_min, store.charge_kw_max[steps], last)
        never = np.zeros(steps.size, dtype=np.bool_)
        out = _saved_up(discharge, h, store.discharge_kw_min, _most_out(store, steps), never)
        on_out[span] = out & ~on[span]
    return on, on_out


def _most_out(store: StoreInput, steps: np.ndarray[tuple[int], np.dtype[np.int64]]) -> FloatArray:
    return np.asarray(store.discharge_kw_max[steps])


def _saved_up(
    power_kw: FloatArray, step_h: FloatArray, minimum_kw: float, most_kw: FloatArray, last: BoolArray
) -> BoolArray:
    """Walks through the slots of one store; `last` marks the last slot of a stay."""
    if minimum_kw <= 0.0:
        return np.asarray(power_kw > LEAST_KWH)
    on = np.zeros(power_kw.size, dtype=np.bool_)
    saved = 0.0
    for k in range(power_kw.size):
        saved += float(power_kw[k] * step_h[k])
        least = minimum_kw * float(step_h[k])
        full = power_kw[k] >= minimum_kw
        runs = full or saved >= ENOUGH * least or (bool(last[k]) and saved > LEAST_KWH)
        if runs and most_kw[k] >= minimum_kw:
            on[k] = True
            saved -= max(least, float(power_kw[k] * step_h[k]))
        if last[k]:
            saved = max(saved, 0.0) if not on[k] else 0.0
    return on
