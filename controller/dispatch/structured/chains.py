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
short ones over everything. The formulas of the box part are those of `boxes`.
"""

from __future__ import annotations

import numpy as np

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
        before = initial[s]
        n = node[s]
        for k in range(first[s], first[s + 1]):
            c, d, e = 3 * k, 3 * k + 1, 3 * k + 2
            y = price[n, step[k]]
            recursion[k] = x[e] - before - gain[k] * x[c] + loss[k] * x[d]
            before = x[e]
            power[n, step[k]] += x[c] - x[d]
            slope[c] = cost[c] - gain[k] * lam[k] + y
            slope[d] = cost[d] + loss[k] * lam[k] - y
            slope[e] = lam[k] + omega[k]
            if k + 1 < first[s + 1]:
                slope[e] -= lam[k + 1]
            for i in range(c, e + 1):
                bound += slope[i] * (least[i] if slope[i] > 0.0 else most[i])
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

    Arrays beside those of `Program`, `Point` and earlier loops:
        order: The stores, those of one node together, so that its matrix stays near; shape (S,).
        run: The first chain step of the unbroken run of steps that each one is in, shape (M,).
        stiffness: Curvature that hinges add to each E, shape (M,).
        theta: Written: inverse curvatures, 0 where not free, shape (3 M,).
        inverse_l: Written: one over the distance to the lower bound, shape (3 M,).
        inverse_u: Written: the same for the upper bound.
        pivot: Written: one over the pivots; with `ratio` for the solves, shape (M,).
        answer: Added to, lower triangles only, shape (K, T, T).
    """
    longest = 0
    for s in range(first.size - 1):
        longest = max(longest, first[s + 1] - first[s])
    ahead, coupling, scaled = np.empty(longest), np.empty(longest), np.empty(longest)
    for s in order:
        begin, end = first[s], first[s + 1]
        carried = 0.0
        for k in range(begin, end):
            for i in range(3 * k, 3 * k + 3):
                theta[i] = 0.0
                if free[i]:
                    inverse_l[i] = 1.0 / (x[i] - low[i])
                    inverse_u[i] = 1.0 / (high[i] - x[i])
                    curvature = zl[i] * inverse_l[i] + zu[i] * inverse_u[i] + LEAST_CURVATURE
                    if i == 3 * k + 2:
                        curvature += stiffness[k]
                    theta[i] = 1.0 / curvature
            charge, discharge, energy = theta[3 * k], theta[3 * k + 1], theta[3 * k + 2]
            own = gain[k] * gain[k] * charge + loss[k] * loss[k] * discharge
            coupling[k - begin] = gain[k] * charge + loss[k] * discharge
            ahead[k - begin] = carried
            pivot[k] = 1.0 / (own + carried + energy)
            ratio[k] = energy * pivot[k]
            carried = ratio[k] * (own + carried)
        _add_answer(begin, end, run, step, gain, loss, theta, ratio, ahead, coupling, scaled, answer[node[s]])


@compiled
def _add_answer(
    begin: int,
    end: int,
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
    """Adds `D - G inv(M) G` of one store to its node's matrix, row by row.

    `ahead` turns, from the back, into the diagonal of `inv(M)`. Then row k is `-inverse[k] G[k]` times
    `prefix[k] / prefix[i] G[i]`; `scaled` holds `G[i] / prefix[i]` from the step `since` on where the
    product of ratios is not yet negligible.
    """
    if end == begin:
        return
    behind = theta[3 * end - 1]
    for k in range(end - 1, begin - 1, -1):
        charge, discharge = theta[3 * k], theta[3 * k + 1]
        own = gain[k] * gain[k] * charge + loss[k] * loss[k] * discharge
        around = ahead[k - begin] + behind
        inverse = 1.0 / (own + around)
        spread = gain[k] - loss[k]
        rows[step[k], step[k]] += inverse * (
            charge * discharge * spread * spread + (charge + discharge) * around
        )
        ahead[k - begin] = inverse
        if k > begin:
            before = theta[3 * k - 1]
            behind = before * (own + behind) / (own + behind + before)
    since, prefix = begin, 1.0
    scaled[0] = coupling[0]
    for k in range(begin + 1, end):
        prefix *= ratio[k - 1]
        while since < k and prefix * abs(scaled[since - begin]) <= NEGLIGIBLE * coupling[since - begin]:
            since += 1
        if prefix < SMALLEST_PREFIX:
            # Begin anew at `since`: everything before it is negligible from here on.
            prefix = 1.0
            for i in range(since, k):
                scaled[i - begin] = coupling[i - begin] / prefix
                prefix *= ratio[i]
        scaled[k - begin] = coupling[k - begin] / prefix
        factor = -prefix * coupling[k - begin] * ahead[k - begin]
        if factor != 0.0:
            row = rows[step[k]]
            stop = k
            while stop > since:
                start = max(run[stop - 1], since)
                part = scaled[start - begin : stop - begin]
                into = row[step[start] : step[start] + part.size]
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
    aim: float,
    second_l: FloatArray,
    second_u: FloatArray,
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
    longest = 0
    for s in range(first.size - 1):
        longest = max(longest, first[s + 1] - first[s])
    forward = np.empty(longest)
    for s in range(first.size - 1):
        begin, end = first[s], first[s + 1]
        before, carried = 0.0, 0.0
        for k in range(begin, end):
            for i in range(3 * k, 3 * k + 3):
                rho[i] = 0.0
                if theta[i] > 0.0:
                    up, down = (aim - second_l[i]) * inverse_l[i], (aim - second_u[i]) * inverse_u[i]
                    rho[i] = up - down - slope[i]
            rho[3 * k + 2] -= hinges[k]
            energy = theta[3 * k + 2] * rho[3 * k + 2]
            charge, discharge = theta[3 * k] * rho[3 * k], theta[3 * k + 1] * rho[3 * k + 1]
            beta[k] = recursion[k] + energy - before - gain[k] * charge + loss[k] * discharge
            before = energy
            carried = beta[k] + (ratio[k - 1] * carried if k > begin else 0.0)
            forward[k - begin] = carried
        after = 0.0
        for k in range(end - 1, begin - 1, -1):
            after = forward[k - begin] * pivot[k] + ratio[k] * after
            charge, discharge = theta[3 * k], theta[3 * k + 1]
            power[node[s], step[k]] += (
                charge * rho[3 * k]
                - discharge * rho[3 * k + 1]
                + (gain[k] * charge + loss[k] * discharge) * after
            )


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
        carried = 0.0
        for k in range(begin, end):
            coupling = gain[k] * theta[3 * k] + loss[k] * theta[3 * k + 1]
            carried = (
                beta[k] + coupling * price[node[s], step[k]] + (ratio[k - 1] * carried if k > begin else 0.0)
            )
            lam[k] = carried
        after = 0.0
        for k in range(end - 1, begin - 1, -1):
            c, d, e = 3 * k, 3 * k + 1, 3 * k + 2
            now = lam[k] * pivot[k] + ratio[k] * after
            y = price[node[s], step[k]]
            dx[c] = theta[c] * (rho[c] + gain[k] * now - y)
            dx[d] = theta[d] * (rho[d] - loss[k] * now + y)
            dx[e] = theta[e] * (rho[e] - now + after)
            left[k] = recursion[k] + dx[e] - gain[k] * dx[c] + loss[k] * dx[d]
            if k + 1 < end:
                left[k + 1] -= dx[e]
            power[node[s], step[k]] += dx[c] - dx[d]
            lam[k] = now
            after = now


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
