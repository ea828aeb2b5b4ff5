"""Compiled loops over unknowns between bounds: right-hand sides, step lengths, centring.

For an unknown `low <= x <= high` with bound duals `zl, zu >= 0` the interior point keeps
`(x - low) * zl` and `(high - x) * zu` near a common, shrinking number. A linearised step is

    curvature * dx + (what the multipliers change) = rho,
    curvature = zl / (x - low) + zu / (high - x),
    rho = -slope + aim_l / (x - low) - aim_u / (high - x),

with `aim` the product to reach: the centring target less the second-order term that the first,
uncentred step has found (Mehrotra 1992). The steps of the bound duals follow:

    dzl = aim_l / (x - low) - zl - zl / (x - low) * dx,    dzu likewise with -dx.

All loops take one over the distances, `inverse_l` and `inverse_u`; an infinite bound has inverse 0 and
dual 0 and drops out of each formula by itself. Unknowns that are not free are skipped.
"""

from __future__ import annotations

from controller.dispatch.structured.compiled import compiled
from controller.domain.units import BoolArray, FloatArray

NEAR, FAR = 0.1, 10.0
"""Products between these multiples of the aim are left alone by the centring."""


@compiled
def first_step(
    inverse_l: FloatArray,
    inverse_u: FloatArray,
    zl: FloatArray,
    zu: FloatArray,
    free: BoolArray,
    dx: FloatArray,
    second_l: FloatArray,
    second_u: FloatArray,
) -> tuple[float, float, int]:
    """What the uncentred step promises; writes its second-order terms.

    Returns:
        The mean product now, the mean product after the longest steps, and the number of products.
    """
    primal, dual = 1.0, 1.0
    now, by_dx, by_both, count = 0.0, 0.0, 0.0, 0
    for i in range(dx.size):
        if not free[i]:
            continue
        if inverse_l[i] > 0.0:
            dz = -zl[i] - zl[i] * inverse_l[i] * dx[i]
            second_l[i] = dx[i] * dz
            primal = max(primal, -dx[i] * inverse_l[i])
            if -dz > dual * zl[i]:
                dual = -dz / zl[i]
            now += zl[i] / inverse_l[i]
            by_dx += zl[i] * dx[i]
            by_both += second_l[i]
            count += 1
        if inverse_u[i] > 0.0:
            dz = -zu[i] + zu[i] * inverse_u[i] * dx[i]
            second_u[i] = -dx[i] * dz
            primal = max(primal, dx[i] * inverse_u[i])
            if -dz > dual * zu[i]:
                dual = -dz / zu[i]
            now += zu[i] / inverse_u[i]
            by_dx -= zu[i] * dx[i]
            by_both += second_u[i]
            count += 1
    # Uncentred, distance times dz is minus the product now less zl times dx.
    then = now + by_dx / primal - (now + by_dx) / dual + by_both / (primal * dual)
    return now / count, then / count, count


@compiled
def step_lengths(
    inverse_l: FloatArray,
    inverse_u: FloatArray,
    zl: FloatArray,
    zu: FloatArray,
    free: BoolArray,
    dx: FloatArray,
    aim: float,
    second_l: FloatArray,
    second_u: FloatArray,
) -> tuple[float, float]:
    """The longest primal and dual step lengths that keep everything inside, at most 1."""
    primal, dual = 1.0, 1.0
    for i in range(dx.size):
        if not free[i]:
            continue
        if inverse_l[i] > 0.0:
            dz = (aim - second_l[i] - zl[i] * dx[i]) * inverse_l[i] - zl[i]
            primal = max(primal, -dx[i] * inverse_l[i])
            if -dz > dual * zl[i]:
                dual = -dz / zl[i]
        if inverse_u[i] > 0.0:
            dz = (aim - second_u[i] + zu[i] * dx[i]) * inverse_u[i] - zu[i]
            primal = max(primal, dx[i] * inverse_u[i])
            if -dz > dual * zu[i]:
                dual = -dz / zu[i]
    return 1.0 / primal, 1.0 / dual


@compiled
def centre_outliers(
    inverse_l: FloatArray,
    inverse_u: FloatArray,
    zl: FloatArray,
    zu: FloatArray,
    free: BoolArray,
    dx: FloatArray,
    primal: float,
    dual: float,
    aim: float,
    second_l: FloatArray,
    second_u: FloatArray,
) -> None:
    """Changes the second-order terms so that products which would stray come back near the aim.

    Source: Gondzio, "Multiple centrality corrections in a primal-dual method for linear programming",
    Computational Optimization and Applications 6 (1996).
    """
    least, most = NEAR * aim, FAR * aim
    for i in range(dx.size):
        if not free[i]:
            continue
        if inverse_l[i] > 0.0:
            dz = (aim - second_l[i] - zl[i] * dx[i]) * inverse_l[i] - zl[i]
            product = (1.0 / inverse_l[i] + primal * dx[i]) * (zl[i] + dual * dz)
            if product < least:
                second_l[i] -= least - product
            elif product > most:
                second_l[i] += min(product - most, most)
        if inverse_u[i] > 0.0:
            dz = (aim - second_u[i] + zu[i] * dx[i]) * inverse_u[i] - zu[i]
            product = (1.0 / inverse_u[i] - primal * dx[i]) * (zu[i] + dual * dz)
            if product < least:
                second_u[i] -= least - product
            elif product > most:
                second_u[i] += min(product - most, most)


@compiled
def move(
    inverse_l: FloatArray,
    inverse_u: FloatArray,
    free: BoolArray,
    dx: FloatArray,
    primal: float,
    dual: float,
    aim: float,
    second_l: FloatArray,
    second_u: FloatArray,
    x: FloatArray,
    zl: FloatArray,
    zu: FloatArray,
) -> None:
    """Takes a step: changes the unknowns and their bounds' duals."""
    for i in range(dx.size):
        if not free[i]:
            continue
        if inverse_l[i] > 0.0:
            zl[i] += dual * ((aim - second_l[i] - zl[i] * dx[i]) * inverse_l[i] - zl[i])
        if inverse_u[i] > 0.0:
            zu[i] += dual * ((aim - second_u[i] + zu[i] * dx[i]) * inverse_u[i] - zu[i])
        x[i] += primal * dx[i]


@compiled
def least_over_boxes(low: FloatArray, high: FloatArray, slope: FloatArray) -> float:
    """The least of `sum(slope * x)` over the boxes."""
    total = 0.0
    for i in range(low.size):
        if slope[i] > 0.0:
            total += slope[i] * low[i]
        elif slope[i] < 0.0:
            total += slope[i] * high[i]
    return total
