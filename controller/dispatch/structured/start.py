"""Where the interior point begins.

A cold start is a centred point: every box and hinge answers given prices as it would with a strong
barrier. Conditions on the slopes hold from the start and all products are equal; only the rows are off.
"""

from __future__ import annotations

import numpy as np

from controller.dispatch.structured.program import Point, Program
from controller.domain.units import FloatArray

SPREAD = 50.0
"""How far above a typical power times price the first products lie."""
PENALTY_SHARE = 0.02
"""The part of the highest penalty that counts as a price for that."""


def cold_start(program: Program, price: FloatArray) -> Point:
    """A centred point.

    Args:
        program: What is to be solved.
        price: A first guess of the price times step length [EUR/kW], shape (T,).
    """
    c, tree = program.chains, program.tree
    m, p, h, count = c.step.size, program.node_from, program.hinge_from, program.target.size
    typical = typical_power_kw(program)
    dear = PENALTY_SHARE * float(program.cost[h:].max(initial=0.0))
    aim = SPREAD * typical * max(float(np.abs(price).max(initial=0.0)), dear, 1e-3)
    prices = np.repeat(price[None, :], tree.kept.size, axis=0)
    worth = float(price.sum()) / max(float(c.gain.sum()) / max(m, 1) * price.size, 1e-9)
    point = Point(
        x=np.zeros(program.low.size),
        zl=np.zeros(program.low.size),
        zu=np.zeros(program.low.size),
        lam=np.full(m, worth),
        price=prices,
        omega=np.zeros(count),
    )
    x, slope = point.x, program.survey(point).slope
    x[:p] = np.where(
        program.free[:p], _centred(program.low[:p], program.high[:p], slope[:p], aim), program.low[:p]
    )
    power = program.survey(point).off.balance
    for n, above in enumerate(tree.parent.tolist()):
        if above >= 0:
            power[above] += power[n]
    low, high = program.low[p:h], program.high[p:h]
    with np.errstate(invalid="ignore"):
        margin = np.where(np.isfinite(high - low), 0.1 * (high - low), 1.0)
    x[p:h] = np.clip(power.ravel(), low + margin, high - margin)
    centre_hinges(program, point, aim)
    with np.errstate(divide="ignore", invalid="ignore"):
        point.zl[:h] = np.where(program.free[:h], aim / (x[:h] - program.low[:h]), 0.0)
        point.zu[:h] = np.where(program.free[:h], aim / (program.high[:h] - x[:h]), 0.0)
    return point


def typical_power_kw(program: Program) -> float:
    """The mean of what stores can charge or discharge with [kW]."""
    powers = program.high[: 3 * program.chain_steps].reshape(-1, 3)[:, :2]
    free = program.free[: 3 * program.chain_steps].reshape(-1, 3)[:, :2]
    return max(float(powers[free].mean()) if free.any() else 0.0, 1e-3)


def centre_hinges(program: Program, point: Point, aim: float) -> None:
    """Puts both parts of every hinge where their row and slopes hold and their products are `aim`."""
    h, count = program.hinge_from, program.target.size
    miss = point.x[program.target] - program.level
    below = program.cost[h + count :]
    width = program.cost[h : h + count] + below
    up = 2.0 * aim * width / (np.hypot(miss * width, 2.0 * aim) + 2.0 * aim - miss * width)
    point.x[h : h + count], point.x[h + count :] = aim / (width - up), aim / up
    point.zl[h : h + count], point.zl[h + count :] = width - up, up
    point.omega[:] = up - below


def _centred(low: FloatArray, high: FloatArray, slope: FloatArray, aim: float) -> FloatArray:
    """Where `aim / (x - low) - aim / (high - x) = slope`."""
    width = high - low
    return low + 2.0 * aim * width / (slope * width + 2.0 * aim + np.hypot(slope * width, 2.0 * aim))
