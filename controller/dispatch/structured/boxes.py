"""Compiled loops over unknowns between bounds: barrier curvature, right-hand sides, steps.

For an unknown `low <= x <= high` with bound duals `zl, zu >= 0` the interior point keeps
`(x - low) * zl` and `(high - x) * zu` near a common, shrinking number. A linearised step is

    curvature * dx + (what the multipliers change) = rho,
    curvature = zl / (x - low) + zu / (high - x),
    rho = -gradient + aim_l / (x - low) - aim_u / (high - x),

with `aim` the product to reach: the centring target less the second-order term that the first,
uncentred step has found (Mehrotra 1992). Unknowns that are not free are fixed and skipped.
Infinite bounds drop out of each formula by themselves, for x / infinity = 0 and their dual stays 0.
"""

from __future__ import annotations

import numpy as np

from controller.dispatch.structured.compiled import compiled
from controller.domain.units import BoolArray, FloatArray


@compiled
def curvatures(
    x: FloatArray,
    low: FloatArray,
    high: FloatArray,
    zl: FloatArray,
    zu: FloatArray,
    free: BoolArray,
    out: FloatArray,
) -> None:
    """Writes each unknown's barrier curvature to `out`; 0 where it is not free."""
    for i in range(x.size):
        out[i] = zl[i] / (x[i] - low[i]) + zu[i] / (high[i] - x[i]) if free[i] else 0.0


@compiled
def right_sides(
    x: FloatArray,
    low: FloatArray,
    high: FloatArray,
    free: BoolArray,
    gradient: FloatArray,
    aim: float,
    second_l: FloatArray,
    second_u: FloatArray,
    out: FloatArray,
) -> None:
    """Writes `rho` to `out`; `second_*` are the second-order terms taken off the aim."""
    for i in range(x.size):
        if free[i]:
            value = -gradient[i]
            if low[i] > -np.inf:
                value += (aim - second_l[i]) / (x[i] - low[i])
            if high[i] < np.inf:
                value -= (aim - second_u[i]) / (high[i] - x[i])
            out[i] = value
        else:
            out[i] = 0.0


@compiled
def dual_steps(
    x: FloatArray,
    low: FloatArray,
    high: FloatArray,
    zl: FloatArray,
    zu: FloatArray,
    free: BoolArray,
    dx: FloatArray,
    aim: float,
    second_l: FloatArray,
    second_u: FloatArray,
    dzl: FloatArray,
    dzu: FloatArray,
) -> tuple[float, float]:
    """Writes the steps of the bound duals; returns the longest primal and dual step lengths, at most 1."""
    primal, dual = 1.0, 1.0
    for i in range(x.size):
        dzl[i] = 0.0
        dzu[i] = 0.0
        if not free[i]:
            continue
        step = dx[i]
        if low[i] > -np.inf:
            gap = x[i] - low[i]
            dzl[i] = (aim - second_l[i] - zl[i] * step) / gap - zl[i]
            if step < 0.0 and -gap > primal * step:
                primal = -gap / step
            if dzl[i] < 0.0 and -zl[i] > dual * dzl[i]:
                dual = -zl[i] / dzl[i]
        if high[i] < np.inf:
            gap = high[i] - x[i]
            dzu[i] = (aim - second_u[i] + zu[i] * step) / gap - zu[i]
            if step > 0.0 and gap < primal * step:
                primal = gap / step
            if dzu[i] < 0.0 and -zu[i] > dual * dzu[i]:
                dual = -zu[i] / dzu[i]
    return primal, dual


@compiled
def products(
    x: FloatArray,
    low: FloatArray,
    high: FloatArray,
    zl: FloatArray,
    zu: FloatArray,
    free: BoolArray,
    dx: FloatArray,
    dzl: FloatArray,
    dzu: FloatArray,
    primal: float,
    dual: float,
) -> tuple[float, int]:
    """The sum of slack times dual after a step of these lengths, and how many there are."""
    total, count = 0.0, 0
    for i in range(x.size):
        if not free[i]:
            continue
        moved = primal * dx[i]
        if low[i] > -np.inf:
            total += (x[i] + moved - low[i]) * (zl[i] + dual * dzl[i])
            count += 1
        if high[i] < np.inf:
            total += (high[i] - x[i] - moved) * (zu[i] + dual * dzu[i])
            count += 1
    return total, count


@compiled
def least_over_boxes(low: FloatArray, high: FloatArray, gradient: FloatArray) -> float:
    """The least of `sum(gradient * x)` over the boxes: the heart of the proven lower bound."""
    total = 0.0
    for i in range(low.size):
        slope = gradient[i]
        if slope > 0.0:
            total += slope * low[i]
        elif slope < 0.0:
            total += slope * high[i]
    return total


@compiled
def centre_outliers(
    x: FloatArray,
    low: FloatArray,
    high: FloatArray,
    zl: FloatArray,
    zu: FloatArray,
    free: BoolArray,
    dx: FloatArray,
    dzl: FloatArray,
    dzu: FloatArray,
    primal: float,
    dual: float,
    aim: float,
    second_l: FloatArray,
    second_u: FloatArray,
) -> None:
    """Changes the second-order terms so that products which would stray come back near the aim.

    Products between a tenth and ten times the aim are left alone (Gondzio, "Multiple centrality
    corrections in a primal-dual method for linear programming", 1996).
    """
    least, most = 0.1 * aim, 10.0 * aim
    for i in range(x.size):
        if not free[i]:
            continue
        moved = primal * dx[i]
        if low[i] > -np.inf:
            product = (x[i] + moved - low[i]) * (zl[i] + dual * dzl[i])
            if product < least:
                second_l[i] -= least - product
            elif product > most:
                second_l[i] += min(product - most, most)
        if high[i] < np.inf:
            product = (high[i] - x[i] - moved) * (zu[i] + dual * dzu[i])
            if product < least:
                second_u[i] -= least - product
            elif product > most:
                second_u[i] += min(product - most, most)
