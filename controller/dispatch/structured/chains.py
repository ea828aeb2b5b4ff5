"""Compiled loops over the stores' chains: each store's part of the Newton step, in closed form.

Eliminating powers and energies leaves, for the multipliers `lam` of one store's energy recursion, a
symmetric positive tridiagonal system

    M lam = G y + beta,    M = (differences)' thetaE (differences) + diag(gain^2 thetaC + loss^2 thetaD),

with `theta` the inverse barrier curvatures, `G = gain thetaC + loss thetaD` and `y` the change of the
node's price. The store's power then answers the price by `-(D - G inv(M) G) y`, `D = thetaC + thetaD`.
The inverse of a tridiagonal matrix is semiseparable: entry (i, j) is the diagonal entry (j, j) times the
ratios between neighbours from i to j, each in [0, 1). So a store adds its matrix to its node's by one
running product, in (steps of its stays)^2 / 2, without ever solving for it.

Pivots are built from sums of positive terms only (the off-diagonal part of a pivot is added, never
subtracted), so they keep full relative precision however far apart the curvatures are.
"""

from __future__ import annotations

from controller.dispatch.structured.compiled import compiled
from controller.domain.units import FloatArray, IntArray

NEGLIGIBLE = 1e-17
"""A running product this far below its start cannot change the sum it would be added to."""


@compiled
def chain_gradients(
    first: IntArray,
    step: IntArray,
    node: IntArray,
    gain: FloatArray,
    loss: FloatArray,
    cost: FloatArray,
    lam: FloatArray,
    price: FloatArray,
    out: FloatArray,
) -> None:
    """Writes cost plus what the multipliers charge, for charge, discharge and E of every chain step."""
    total = step.size
    for s in range(first.size - 1):
        for k in range(first[s], first[s + 1]):
            y = price[node[s], step[k]]
            out[k] = cost[k] - gain[k] * lam[k] + y
            out[total + k] = cost[total + k] + loss[k] * lam[k] - y
            after = lam[k + 1] if k + 1 < first[s + 1] else 0.0
            out[2 * total + k] = lam[k] - after


@compiled
def chain_residuals(
    first: IntArray,
    initial: FloatArray,
    step: IntArray,
    node: IntArray,
    gain: FloatArray,
    loss: FloatArray,
    x: FloatArray,
    recursion: FloatArray,
    power: FloatArray,
) -> None:
    """Writes by how much each energy recursion is off, and adds the stores' powers to `power` (K, T)."""
    total = step.size
    for s in range(first.size - 1):
        before = initial[s]
        for k in range(first[s], first[s + 1]):
            charge, discharge, energy = x[k], x[total + k], x[2 * total + k]
            recursion[k] = energy - before - gain[k] * charge + loss[k] * discharge
            before = energy
            power[node[s], step[k]] += charge - discharge


@compiled
def factor_chains(
    first: IntArray,
    step: IntArray,
    node: IntArray,
    gain: FloatArray,
    loss: FloatArray,
    theta: FloatArray,
    pivot: FloatArray,
    ratio: FloatArray,
    ahead: FloatArray,
    answer: FloatArray,
) -> None:
    """Factors every store's tridiagonal system and adds its price answer to its node.

    `pivot` and `ratio` (M,) are for `condense_chains` and `expand_chains`; `ahead` (M,) is working
    room; the lower triangle of `answer` (K, T, T) is added to.
    """
    total = step.size
    for s in range(first.size - 1):
        begin, end = first[s], first[s + 1]
        rows = answer[node[s]]
        carried = 0.0
        for k in range(begin, end):
            own = gain[k] * gain[k] * theta[k] + loss[k] * loss[k] * theta[total + k]
            ahead[k] = carried
            pivot[k] = own + carried + theta[2 * total + k]
            ratio[k] = theta[2 * total + k] / pivot[k]
            carried = ratio[k] * (own + carried)
        behind = theta[2 * total + end - 1] if end > begin else 0.0
        for k in range(end - 1, begin - 1, -1):
            charge, discharge = theta[k], theta[total + k]
            own = gain[k] * gain[k] * charge + loss[k] * loss[k] * discharge
            around = ahead[k] + behind
            inverse = 1.0 / (own + around)
            coupling = gain[k] * charge + loss[k] * discharge
            if coupling > 0.0:
                spread = gain[k] - loss[k]
                row = rows[step[k]]
                row[step[k]] += inverse * (
                    charge * discharge * spread * spread + (charge + discharge) * around
                )
                running = -coupling * inverse
                stop = running * NEGLIGIBLE
                for i in range(k - 1, begin - 1, -1):
                    running *= ratio[i]
                    if running > stop:
                        break
                    row[step[i]] += running * (gain[i] * theta[i] + loss[i] * theta[total + i])
            if k > begin:
                before = theta[2 * total + k - 1]
                behind = before * (own + behind) / (own + behind + before)


@compiled
def condense_chains(
    first: IntArray,
    step: IntArray,
    node: IntArray,
    gain: FloatArray,
    loss: FloatArray,
    theta: FloatArray,
    pivot: FloatArray,
    ratio: FloatArray,
    rho: FloatArray,
    recursion: FloatArray,
    beta: FloatArray,
    lam: FloatArray,
    power: FloatArray,
) -> None:
    """Writes `beta` and its answer `lam`, and adds to `power` (K, T) what stores do at unchanged prices."""
    total = step.size
    for s in range(first.size - 1):
        begin, end = first[s], first[s + 1]
        before, carried = 0.0, 0.0
        for k in range(begin, end):
            energy = theta[2 * total + k] * rho[2 * total + k]
            charge, discharge = theta[k] * rho[k], theta[total + k] * rho[total + k]
            beta[k] = recursion[k] + energy - before - gain[k] * charge + loss[k] * discharge
            before = energy
            carried = beta[k] + (ratio[k - 1] * carried if k > begin else 0.0)
            lam[k] = carried
        after = 0.0
        for k in range(end - 1, begin - 1, -1):
            after = (lam[k] + theta[2 * total + k] * after) / pivot[k]
            lam[k] = after
            charge, discharge = theta[k], theta[total + k]
            power[node[s], step[k]] += (
                charge * rho[k]
                - discharge * rho[total + k]
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
) -> None:
    """Writes the steps of the multipliers and of charge, discharge and E, given the nodes' price steps."""
    total = step.size
    for s in range(first.size - 1):
        begin, end = first[s], first[s + 1]
        carried = 0.0
        for k in range(begin, end):
            coupling = gain[k] * theta[k] + loss[k] * theta[total + k]
            carried = (
                beta[k] + coupling * price[node[s], step[k]] + (ratio[k - 1] * carried if k > begin else 0.0)
            )
            lam[k] = carried
        after = 0.0
        for k in range(end - 1, begin - 1, -1):
            now = (lam[k] + theta[2 * total + k] * after) / pivot[k]
            y = price[node[s], step[k]]
            dx[k] = theta[k] * (rho[k] + gain[k] * now - y)
            dx[total + k] = theta[total + k] * (rho[total + k] - loss[k] * now + y)
            dx[2 * total + k] = theta[2 * total + k] * (rho[2 * total + k] - now + after)
            lam[k] = now
            after = now
