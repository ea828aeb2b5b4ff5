"""No store charges and discharges at once: directions are fixed on the way, the bound stays.

The linear program allows both at once, burning energy in the losses; only clearly negative prices make
that worth while. Elsewhere the interior point still carries a trace of both until the very end. So once
the gap is small every chain step keeps the direction that moves more energy, and the run goes on without
the other. What is reported as proven is the bound of the program with both, so what fixing costs shows in
the gap.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from controller.dispatch.structured.program import Point, Program


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
