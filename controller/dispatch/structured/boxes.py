"""Compiled loops over unknowns between bounds: right-hand sides, step lengths, centring.

For an unknown `low <= x <= high` with bound duals `zl, zu >= 0` the interior point keeps
`(x - low) * zl` and `(high - x) * zu` near a common, shrinking number. A linearised step is

    curvature * dx + (what the multipliers change) = rho,
    curvature = zl / (x - low) + zu / (high - x),
    rho = -slope + aim_l / (x - low) - aim_u / (high - x),

with `aim` the product to reach: the centring target less the second-order term that the first,
uncentred step has found (Mehrotra 1992). The steps of the bound duals follow:

    dzl = aim_l / (x - low) - zl - zl / (x - low) * dx,    dzu likewise with -dx.

All of it is linear in the aims, so a step may be mixed of two: any part of the way from one to the other is a
step for the aims in between, and the part may be another one for the unknowns than for the duals.

All loops take one over the distances, `inverse_l` and `inverse_u`; an infinite bound has inverse 0 and
dual 0 and drops out of each formula by itself. Unknowns that are not free are skipped.
"""

from __future__ import annotations

import numpy as np

from controller.dispatch.structured.compiled import compiled
from controller.domain.units import BoolArray, FloatArray

type Promise = tuple[float, float, float, float, float, float]
"""What `first_step` tells of a part."""
type Lengths = tuple[float, float, float, float, float, float]
"""What `mixed_lengths` tells of a part."""
NEAR, FAR = 0.3, 3.0
"""Products between these multiples of the aim are left alone by the centring. On streets of 1000 cars that
took a tenth fewer iterations than 0.1 and 10."""
LITTLE, SOME = 0.1, 0.4
"""Parts of a change that are tried beside the whole of it; five more saved hardly an iteration."""
PARTS = np.array([LITTLE, SOME, 1.0])
"""All of them, in the order of `mixed_lengths`."""


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
) -> Promise:
    """What the uncentred step promises; writes its second-order terms.

    Returns:
        For `promised`: one over the longest primal and dual lengths, at least 1; then the sums of
        the products now, of their changes with the unknowns, of second-order terms; how many there are.
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
    return primal, dual, now, by_dx, by_both, float(count)


def promised(told: list[Promise]) -> tuple[float, float]:
    """The mean product now and after the longest uncentred steps, from what `first_step` told."""
    primal, dual = (max(part[place] for part in told) for place in (0, 1))
    now, by_dx, by_both, count = (sum(part[place] for part in told) for place in (2, 3, 4, 5))
    # Uncentred, distance times dz is minus the product now less zl times dx.
    then = now + by_dx / primal - (now + by_dx) / dual + by_both / (primal * dual)
    return now / count, then / count


def aimed(aim: float, second: float, second_l: FloatArray, second_u: FloatArray) -> None:
    """Makes aims of second-order terms: a common product, less the terms times `second`."""
    second_l *= -second
    second_l += aim
    second_u *= -second
    second_u += aim


def begin(first: FloatArray, dx: FloatArray, own: FloatArray, aim_l: FloatArray, aim_u: FloatArray) -> None:
    """Writes the uncentred step: the same for unknowns and duals, with aims 0."""
    dx[:], own[:] = first, first
    aim_l[:], aim_u[:] = 0.0, 0.0


def less(first: FloatArray, second: FloatArray) -> None:
    """Makes a step what leads to it from the first."""
    second -= first


@compiled
def take_part(
    change: FloatArray,
    more_l: FloatArray,
    more_u: FloatArray,
    primal_part: float,
    dual_part: float,
    dx: FloatArray,
    own: FloatArray,
    aim_l: FloatArray,
    aim_u: FloatArray,
) -> None:
    """Adds a part of a change to the step of the unknowns and one to that of the duals; 0 for none."""
    if primal_part > 0.0:
        for i in range(dx.size):
            dx[i] += primal_part * change[i]
    if dual_part > 0.0:
        for i in range(dx.size):
            own[i] += dual_part * change[i]
            aim_l[i] += dual_part * more_l[i]
            aim_u[i] += dual_part * more_u[i]


@compiled
def mixed_lengths(
    inverse_l: FloatArray,
    inverse_u: FloatArray,
    zl: FloatArray,
    zu: FloatArray,
    free: BoolArray,
    dx: FloatArray,
    own: FloatArray,
    aim_l: FloatArray,
    aim_u: FloatArray,
    more: FloatArray,
    more_l: FloatArray,
    more_u: FloatArray,
) -> Lengths:
    """How far steps go that are mixed of one and a part of a change to it.

    `dx` is the step of the unknowns; `own` the one that belongs to the duals' step with the aims `aim_l` and
    `aim_u`; `more` the whole change of both, `more_l` and `more_u` that of the aims.

    Returns:
        One over the longest primal and then dual lengths for each of `PARTS`, at least 1.
    """
    p_little, p_some, p_all = 1.0, 1.0, 1.0
    d_little, d_some, d_all = 1.0, 1.0, 1.0
    for i in range(dx.size):
        if not free[i]:
            continue
        for side in range(2):
            inverse = -inverse_l[i] if side == 0 else inverse_u[i]
            if inverse == 0.0:
                continue
            pull = abs(inverse) / (zl[i] if side == 0 else zu[i])
            aim, further = (aim_l[i], more_l[i]) if side == 0 else (aim_u[i], more_u[i])
            base, change = dx[i] * inverse, more[i] * inverse
            p_little = max(p_little, base + LITTLE * change)
            p_some = max(p_some, base + SOME * change)
            p_all = max(p_all, base + change)
            base, change = 1.0 - own[i] * inverse - aim * pull, -change - further * pull
            d_little = max(d_little, base + LITTLE * change)
            d_some = max(d_some, base + SOME * change)
            d_all = max(d_all, base + change)
    return p_little, p_some, p_all, d_little, d_some, d_all


@compiled
def centring(
    inverse_l: FloatArray,
    inverse_u: FloatArray,
    zl: FloatArray,
    zu: FloatArray,
    free: BoolArray,
    dx: FloatArray,
    own: FloatArray,
    aim_l: FloatArray,
    aim_u: FloatArray,
    primal: float,
    dual: float,
    aim: float,
    more_l: FloatArray,
    more_u: FloatArray,
) -> None:
    """Writes by how much aims must change so that products which would stray come back near the aim.

    `primal` and `dual` are the lengths at which products are looked at; other arrays as in `mixed_lengths`.

    Source: Gondzio, "Multiple centrality corrections in a primal-dual method for linear programming",
    Computational Optimization and Applications 6 (1996); that parts of a correction are tried: Colombo and
    Gondzio, "Further development of multiple centrality correctors for interior point methods", 41 (2008).
    """
    least, most = NEAR * aim, FAR * aim
    for i in range(dx.size):
        more_l[i], more_u[i] = 0.0, 0.0
        if not free[i]:
            continue
        if inverse_l[i] > 0.0:
            dz = (aim_l[i] - zl[i] * own[i]) * inverse_l[i] - zl[i]
            product = (1.0 / inverse_l[i] + primal * dx[i]) * (zl[i] + dual * dz)
            if product < least:
                more_l[i] = least - product
            elif product > most:
                more_l[i] = -min(product - most, most)
        if inverse_u[i] > 0.0:
            dz = (aim_u[i] + zu[i] * own[i]) * inverse_u[i] - zu[i]
            product = (1.0 / inverse_u[i] - primal * dx[i]) * (zu[i] + dual * dz)
            if product < least:
                more_u[i] = least - product
            elif product > most:
                more_u[i] = -min(product - most, most)


@compiled
def move(
    inverse_l: FloatArray,
    inverse_u: FloatArray,
    free: BoolArray,
    dx: FloatArray,
    own: FloatArray,
    aim_l: FloatArray,
    aim_u: FloatArray,
    primal: float,
    dual: float,
    low: FloatArray,
    high: FloatArray,
    x: FloatArray,
    zl: FloatArray,
    zu: FloatArray,
) -> None:
    """Takes a step: changes the unknowns and their bounds' duals; arrays as in `mixed_lengths`.

    Where a bound is dear its distance ends below what `x` can be told apart by: there `x` stops a digit short
    of it, for one over a distance of 0 is no number, and the step after it would be none either.
    """
    for i in range(dx.size):
        if not free[i]:
            continue
        if inverse_l[i] > 0.0:
            zl[i] += dual * ((aim_l[i] - zl[i] * own[i]) * inverse_l[i] - zl[i])
        if inverse_u[i] > 0.0:
            zu[i] += dual * ((aim_u[i] + zu[i] * own[i]) * inverse_u[i] - zu[i])
        x[i] += primal * dx[i]
        if x[i] >= high[i]:
            x[i] = np.nextafter(high[i], low[i])
        elif x[i] <= low[i]:
            x[i] = np.nextafter(low[i], high[i])


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
