"""Compiled loops over the stores' chains: each store's part of the Newton step, in closed form.

Eliminating powers and energies leaves, for the multipliers `lam` of one store's energy recursion, a
symmetric positive tridiagonal system

    M lam = G y + beta,    M = (differences)' thetaE (differences) + diag(gain^2 thetaC + loss^2 thetaD),

with `theta` the inverse barrier curvatures, `G = gain thetaC + loss thetaD` and `y` the change of the
node's price. The store's power then answers the price by `-(D - G inv(M) G) y`, `D = thetaC + thetaD`.
The inverse of a tridiagonal matrix is semiseparable: entry (i, j) is the diagonal entry (j, j) times the
ratios between neighbours from i to j, each in [0, 1). Prefix products turn a row of it into one number
times a vector, so a store adds its matrix to its node's in (steps of its stays)^2 / 2 multiply-adds.

Pivots are built from sums of positive terms only (the off-diagonal part of a pivot is added, never
subtracted), so they keep full relative precision however far apart the curvatures are.

The unknowns of a chain step lie together: place `3 k` is charge, `3 k + 1` discharge, `3 k + 2` energy.
One store's arrays fit the processor's nearest cache, hence few long loops per store rather than many
short ones over everything. Loops run over views from 0 on: there the compiler need not look for negative
indices, which makes them twice as fast. Every loop takes any run of stores, so two threads can share them
out (`team`); each adds to nodes of its own. The formulas of the box part are those of `boxes`.
"""

from __future__ import annotations

import numpy as np

from controller.dispatch.structured.boxes import least_over_boxes
from controller.dispatch.structured.compiled import compiled
from controller.domain.units import BoolArray, FloatArray, IntArray

NEGLIGIBLE = 1e-17
"""A product of ratios this small cannot change the sum that it would be added to."""
SMALLEST_PREFIX = 1e-120
"""Where a prefix product begins anew, far from the smallest double."""
LEAST_CURVATURE = 1e-12
"""Added to every free unknown's curvature, so that its inverse stays finite; the step hardly changes."""


@compiled
def survey(
    first: IntArray,
    step: IntArray,
    node: IntArray,
    initial: FloatArray,
    gain: FloatArray,
    loss: FloatArray,
    cost: FloatArray,
    least: FloatArray,
    most: FloatArray,
    x: FloatArray,
    lam: FloatArray,
    price: FloatArray,
    omega: FloatArray,
    recursion: FloatArray,
    power: FloatArray,
    slope: FloatArray,
) -> float:
    """Residuals, slopes and the chains' part of the bound at a point.

    Arrays beside those of `Program`, `Point` and earlier loops:
        omega: What hinges add to the slope of each E, shape (M,).
        recursion: Written: by how much each energy recursion is off [kWh], shape (M,).
        power: Added to: the stores' powers at their nodes [kW], shape (K, T).
        slope: Written: the Lagrangian's slope in each unknown, without the bounds' duals, shape (3 M,).

    Returns:
        The least of slope times unknown over the boxes [EUR].
    """
    bound = 0.0
    for s in range(first.size - 1):
        begin, end = first[s], first[s + 1]
        part, wide = slice(begin, end), slice(3 * begin, 3 * end)
        y, row, at, g, u = price[node[s]], power[node[s]], step[part], gain[part], loss[part]
        v, value, pull, off, out, eur = (
            x[wide],
            lam[part],
            omega[part],
            recursion[part],
            slope[wide],
            cost[wide],
        )
        before, after = initial[s], 0.0
        for k in range(at.size):
            charge, discharge, energy = v[3 * k], v[3 * k + 1], v[3 * k + 2]
            off[k] = energy - before - g[k] * charge + u[k] * discharge
            before = energy
            row[at[k]] += charge - discharge
        for j in range(at.size):
            k = at.size - 1 - j
            out[3 * k] = eur[3 * k] - g[k] * value[k] + y[at[k]]
            out[3 * k + 1] = eur[3 * k + 1] + u[k] * value[k] - y[at[k]]
            out[3 * k + 2] = value[k] - after + pull[k]
            after = value[k]
        bound += least_over_boxes(least[wide], most[wide], out)
    return bound


@compiled
def factor_chains(
    order: IntArray,
    first: IntArray,
    run: IntArray,
    step: IntArray,
    node: IntArray,
    gain: FloatArray,
    loss: FloatArray,
    x: FloatArray,
    low: FloatArray,
    high: FloatArray,
    zl: FloatArray,
    zu: FloatArray,
    free: BoolArray,
    stiffness: FloatArray,
    theta: FloatArray,
    inverse_l: FloatArray,
    inverse_u: FloatArray,
    pivot: FloatArray,
    ratio: FloatArray,
    answer: FloatArray,
) -> None:
    """Curvatures and factors of every store's system; adds the stores' price answers to their nodes.

    `order` has the stores of one node together, so that its matrix stays near (S,); `stiffness` is what
    hinges add to each E's curvature (M,). Written are: `theta`, inverse curvatures, 0 where not free (3 M,);
    `inverse_l` and `inverse_u`, one over the distances to the bounds (3 M,); `pivot`, one over the pivots,
    and `ratio` for the solves (M,). `answer` (K, T, T) is added to, lower triangles only.
    """
    longest = _longest(first)
    ahead, coupling, scaled = np.empty(longest), np.empty(longest), np.empty(longest)
    for s in order:
        begin, end = first[s], first[s + 1]
        part, wide = slice(begin, end), slice(3 * begin, 3 * end)
        t, stiff, g, u = theta[wide], stiffness[part], gain[part], loss[part]
        _thetas(
            x[wide],
            low[wide],
            high[wide],
            zl[wide],
            zu[wide],
            free[wide],
            stiff,
            t,
            inverse_l[wide],
            inverse_u[wide],
        )
        inverse, next_to, carried = pivot[part], ratio[part], 0.0
        for k in range(stiff.size):
            charge, discharge, energy = t[3 * k], t[3 * k + 1], t[3 * k + 2]
            own = g[k] * g[k] * charge + u[k] * u[k] * discharge
            coupling[k] = g[k] * charge + u[k] * discharge
            ahead[k] = carried
            inverse[k] = 1.0 / (own + carried + energy)
            next_to[k] = energy * inverse[k]
            carried = next_to[k] * (own + carried)
        if end > begin:
            _add_answer(
                begin, run[part], step[part], g, u, t, next_to, ahead, coupling, scaled, answer[node[s]]
            )


@compiled
def _thetas(
    x: FloatArray,
    low: FloatArray,
    high: FloatArray,
    zl: FloatArray,
    zu: FloatArray,
    free: BoolArray,
    stiffness: FloatArray,
    theta: FloatArray,
    inverse_l: FloatArray,
    inverse_u: FloatArray,
) -> None:
    """Writes the inverse curvatures and distances of one store."""
    for k in range(stiffness.size):
        for j in range(3):
            i = 3 * k + j
            theta[i] = 0.0
            if free[i]:
                inverse_l[i] = 1.0 / (x[i] - low[i])
                inverse_u[i] = 1.0 / (high[i] - x[i])
                curvature = zl[i] * inverse_l[i] + zu[i] * inverse_u[i] + LEAST_CURVATURE
                theta[i] = 1.0 / (curvature + (stiffness[k] if j == 2 else 0.0))


@compiled
def _add_answer(
    begin: int,
    run: IntArray,
    step: IntArray,
    gain: FloatArray,
    loss: FloatArray,
    theta: FloatArray,
    ratio: FloatArray,
    ahead: FloatArray,
    coupling: FloatArray,
    scaled: FloatArray,
    rows: FloatArray,
) -> None:
    """Adds `D - G inv(M) G` of one store, whose chain begins at `begin`, to its node's matrix, row by row.

    `ahead` turns, from the back, into the diagonal of `inv(M)`. Then row k is `-inverse[k] G[k]` times
    `prefix[k] / prefix[i] G[i]`; `scaled` holds `G[i] / prefix[i]` from the step `since` on where the
    product of ratios is not yet negligible.
    """
    size = step.size
    behind = theta[3 * size - 1]
    for j in range(size):
        k = size - 1 - j
        charge, discharge = theta[3 * k], theta[3 * k + 1]
        own = gain[k] * gain[k] * charge + loss[k] * loss[k] * discharge
        around = ahead[k] + behind
        inverse = 1.0 / (own + around)
        spread = gain[k] - loss[k]
        rows[step[k], step[k]] += inverse * (
            charge * discharge * spread * spread + (charge + discharge) * around
        )
        ahead[k] = inverse
        if k > 0:
            before = theta[3 * k - 1]
            behind = before * (own + behind) / (own + behind + before)
    since, prefix = 0, 1.0
    scaled[0] = coupling[0]
    for k in range(1, size):
        prefix *= ratio[k - 1]
        while since < k and prefix * scaled[since] <= NEGLIGIBLE * coupling[since]:
            since += 1
        if prefix < SMALLEST_PREFIX:
            # Begin anew at `since`: everything before it is negligible from here on.
            prefix = 1.0
            for i in range(since, k):
                scaled[i] = coupling[i] / prefix
                prefix *= ratio[i]
        scaled[k] = coupling[k] / prefix
        factor = -prefix * coupling[k] * ahead[k]
        stop = k if factor != 0.0 else since
        while stop > since:
            start = max(run[stop - 1] - begin, since)
            part = scaled[start:stop]
            into = rows[step[k], step[start] : step[start] + part.size]
            for i in range(part.size):
                into[i] += factor * part[i]
            stop = start


@compiled
def condense_chains(
    first: IntArray,
    step: IntArray,
    node: IntArray,
    gain: FloatArray,
    loss: FloatArray,
    theta: FloatArray,
    inverse_l: FloatArray,
    inverse_u: FloatArray,
    pivot: FloatArray,
    ratio: FloatArray,
    slope: FloatArray,
    hinges: FloatArray,
    aim_l: FloatArray,
    aim_u: FloatArray,
    recursion: FloatArray,
    rho: FloatArray,
    beta: FloatArray,
    power: FloatArray,
) -> None:
    """The stores' right sides, and what they do at unchanged prices.

    Arrays beside those of `Program`, `Point` and earlier loops:
        hinges: What hinges take off the right side of each E, shape (M,).
        rho: Written: right sides of the unknowns, shape (3 M,).
        beta: Written: right sides of the tridiagonal systems, shape (M,).
        power: Added to, shape (K, T).
    """
    forward = np.empty(_longest(first))
    for s in range(first.size - 1):
        begin, end = first[s], first[s + 1]
        part, wide = slice(begin, end), slice(3 * begin, 3 * end)
        t, r, row = theta[wide], rho[wide], power[node[s]]
        _box_sides(t, inverse_l[wide], inverse_u[wide], slope[wide], aim_l[wide], aim_u[wide], r)
        g, u, pull, off, out = gain[part], loss[part], hinges[part], recursion[part], beta[part]
        at, inverse, next_to = step[part], pivot[part], ratio[part]
        before, carried, passed = 0.0, 0.0, 0.0
        for k in range(out.size):
            r[3 * k + 2] -= pull[k]
            energy = t[3 * k + 2] * r[3 * k + 2]
            charge, discharge = t[3 * k] * r[3 * k], t[3 * k + 1] * r[3 * k + 1]
            out[k] = off[k] + energy - before - g[k] * charge + u[k] * discharge
            before = energy
            carried = out[k] + passed * carried
            passed = next_to[k]
            forward[k] = carried
        after = 0.0
        for j in range(out.size):
            k = out.size - 1 - j
            after = forward[k] * inverse[k] + next_to[k] * after
            charge, discharge = t[3 * k], t[3 * k + 1]
            row[at[k]] += (
                charge * r[3 * k] - discharge * r[3 * k + 1] + (g[k] * charge + u[k] * discharge) * after
            )


@compiled
def _box_sides(
    theta: FloatArray,
    inverse_l: FloatArray,
    inverse_u: FloatArray,
    slope: FloatArray,
    aim_l: FloatArray,
    aim_u: FloatArray,
    rho: FloatArray,
) -> None:
    """Writes the box part of the right sides of one store, 0 where nothing may move."""
    for i in range(theta.size):
        up, down = aim_l[i] * inverse_l[i], aim_u[i] * inverse_u[i]
        rho[i] = up - down - slope[i] if theta[i] > 0.0 else 0.0


@compiled
def _longest(first: IntArray) -> int:
    """The most chain steps of a store."""
    most = 0
    for s in range(first.size - 1):
        most = max(most, first[s + 1] - first[s])
    return most


@compiled
def expand_chains(
    first: IntArray,
    step: IntArray,
    node: IntArray,
    gain: FloatArray,
    loss: FloatArray,
    theta: FloatArray,
    pivot: FloatArray,
    ratio: FloatArray,
    rho: FloatArray,
    beta: FloatArray,
    price: FloatArray,
    lam: FloatArray,
    dx: FloatArray,
    recursion: FloatArray,
    left: FloatArray,
    power: FloatArray,
) -> None:
    """The steps of the multipliers and of the unknowns, given the steps of the nodes' prices.

    Arrays beside those of `Program`, `Point` and earlier loops:
        price: The steps of the prices, shape (K, T).
        lam: Written: the steps of the water values, shape (M,).
        dx: Written: the steps of the unknowns, shape (3 M,).
        recursion: The residual that the step should remove, shape (M,).
        left: Written: what a full step would leave of it, rounding only, shape (M,).
        power: Added to: the stores' power steps, shape (K, T).
    """
    for s in range(first.size - 1):
        begin, end = first[s], first[s + 1]
        part, wide = slice(begin, end), slice(3 * begin, 3 * end)
        t, r, d, y, row = theta[wide], rho[wide], dx[wide], price[node[s]], power[node[s]]
        g, u, at, value, rest = gain[part], loss[part], step[part], lam[part], left[part]
        right, off, inverse, next_to = beta[part], recursion[part], pivot[part], ratio[part]
        carried, passed = 0.0, 0.0
        for k in range(value.size):
            coupling = g[k] * t[3 * k] + u[k] * t[3 * k + 1]
            carried = right[k] + coupling * y[at[k]] + passed * carried
            passed = next_to[k]
            value[k] = carried
        after, later = 0.0, 0.0
        for j in range(value.size):
            k = value.size - 1 - j
            now = value[k] * inverse[k] + next_to[k] * after
            charge = t[3 * k] * (r[3 * k] + g[k] * now - y[at[k]])
            discharge = t[3 * k + 1] * (r[3 * k + 1] - u[k] * now + y[at[k]])
            energy = t[3 * k + 2] * (r[3 * k + 2] - now + after)
            if j > 0:
                rest[k + 1] = later - energy
            later = off[k] + energy - g[k] * charge + u[k] * discharge
            d[3 * k], d[3 * k + 1], d[3 * k + 2] = charge, discharge, energy
            row[at[k]] += charge - discharge
            value[k] = now
            after = now
        if value.size > 0:
            rest[0] = later


@compiled
def keep_energies(
    first: IntArray,
    initial: FloatArray,
    gain: FloatArray,
    loss: FloatArray,
    least: FloatArray,
    most: FloatArray,
    x: FloatArray,
) -> None:
    """Makes each E follow from its powers, and powers give way where E would leave its bounds."""
    for s in range(first.size - 1):
        before = initial[s]
        for k in range(first[s], first[s + 1]):
            c, d, e = 3 * k, 3 * k + 1, 3 * k + 2
            x[e] = before + gain[k] * x[c] - loss[k] * x[d]
            if x[e] > most[e]:
                x[c] = max(x[c] - (x[e] - most[e]) / gain[k], 0.0)
            elif x[e] < least[e]:
                x[d] = max(x[d] - (least[e] - x[e]) / loss[k], 0.0)
            x[e] = before + gain[k] * x[c] - loss[k] * x[d]
            before = x[e]
