"""No store charges and discharges at once, and the bound stays.

The linear program allows both at once, burning energy in the losses; only clearly negative prices make
that worth while. Elsewhere the interior point still carries a trace of both. Two ways out:

* *Net*: one power that moves the stored energy alike. Losses fall, so a node draws a trace less;
  where that puts it over an export limit, stores discharge a trace less. That is a plan unless burning was
  meant.
* *Fix*: every chain step keeps the direction that moves more energy, and the run goes on without the other.

What is reported as proven is the bound of the program with both, so what either costs shows in the gap.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from controller.dispatch.structured.chains import keep_energies
from controller.dispatch.structured.program import Point, Program
from controller.domain.units import FloatArray

LIMIT_TOLERANCE = 2e-7
"""By how much netting may break a limit, relative: a fifth of what counts."""


def netted(program: Program, x: FloatArray) -> FloatArray | None:
    """The plan with one power per chain step that moves the stored energy alike.

    Returns:
        The unknowns, node powers and hinges following from the powers; None where that breaks a limit.
    """
    c, tree = program.chains, program.tree
    m, p, h, count = 3 * c.step.size, program.node_from, program.hinge_from, program.target.size
    if tree.soft:
        return None
    x = x.copy()
    charge, discharge = x[0:m:3], x[1:m:3]
    moved = c.gain * charge - c.loss * discharge
    charge[:] = np.clip(moved / c.gain, 0.0, c.charge_kw_max)
    discharge[:] = np.clip(-moved / c.loss, 0.0, c.discharge_kw_max)
    _spare_exports(program, x)
    keep_energies(c.first, c.initial_kwh, c.gain, c.loss, program.true_least, program.true_most, x)
    power = _node_power_kw(program, x)
    x[p:h] = power.ravel()
    room = LIMIT_TOLERANCE * np.maximum(1.0, np.abs(x[p:h]))
    if np.any(x[p:h] > program.high[p:h] + room) or np.any(x[p:h] < program.low[p:h] - room):
        return None
    miss = x[program.target] - program.level
    x[h : h + count], x[h + count :] = np.maximum(miss, 0.0), np.maximum(-miss, 0.0)
    return x


def _node_power_kw(program: Program, x: FloatArray) -> FloatArray:
    """What flows through the kept nodes with the powers of a vector, shape (K, T)."""
    c, tree, m = program.chains, program.tree, 3 * program.chain_steps
    power = tree.base_kw.copy()
    np.add.at(power, (program.chain_node[c.store], c.step), x[0:m:3] - x[1:m:3])
    np.subtract.at(power, (program.roofs.node, program.roofs.step), x[m : program.node_from])
    for n, above in enumerate(tree.parent.tolist()):
        if above >= 0:
            power[above] += power[n]
    return power


def _spare_exports(program: Program, x: FloatArray) -> None:
    """Discharges a trace less under nodes that netting put over their export limit."""
    c, tree, m = program.chains, program.tree, 3 * program.chain_steps
    node, discharge = program.chain_node[c.store], x[1:m:3]
    under = np.eye(tree.kept.size, dtype=np.bool_)
    for n, above in enumerate(tree.parent.tolist()):
        if above >= 0:
            under[above] |= under[n]
    power = _node_power_kw(program, x)
    for n in range(tree.kept.size):
        over = np.maximum(tree.low_kw[n] - power[n], 0.0)
        if not over.any():
            continue
        mine = np.flatnonzero(under[n][node])
        total = np.bincount(c.step[mine], weights=discharge[mine], minlength=program.steps)
        share = np.clip(over / np.maximum(total, 1e-12), 0.0, 1.0)
        discharge[mine] *= 1.0 - share[c.step[mine]]
        power = _node_power_kw(program, x)


def fix_directions(program: Program, point: Point) -> Program:
    """The program with one direction per chain step; the point is moved onto it.

    The power that stays makes up for the one that goes, as far as it stays well inside its bounds.
    """
    c, m = program.chains, 3 * program.chain_steps
    charge, discharge = point.x[0:m:3], point.x[1:m:3]
    both = program.free[0:m:3] & program.free[1:m:3]
    charges = c.gain * charge >= c.loss * discharge
    less_charge, less_discharge = both & ~charges, both & charges
    charge[:] = np.where(
        less_discharge, np.maximum(charge - c.loss / c.gain * discharge, 0.5 * charge), charge
    )
    discharge[:] = np.where(
        less_charge, np.maximum(discharge - c.gain / c.loss * charge, 0.5 * discharge), discharge
    )
    free, least, most = program.free.copy(), program.least.copy(), program.most.copy()
    for gone, at in ((less_charge, 0), (less_discharge, 1)):
        for values in (least, most, point.x, point.zl, point.zu):
            values[at:m:3][gone] = 0.0
        free[at:m:3][gone] = False
    return replace(program, free=free, least=least, most=most)
