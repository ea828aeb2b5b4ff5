"""Decides which slots run where there are too many to decide exactly: by grouping and rotating, then repair.

The relaxed plan lets ten cars charge with 1 kW each in the cheapest step; a three-phase car can only do
4.1 kW or nothing. So in each step the cars below their minimum are a group: as many of them as their power
together allows run at their minimum, those with most first, the others wait. The linear problem is
solved again, which moves what the waiting cars lost to other steps, where they form new groups. After
some rounds everything is decided: what runs stays on, all else is off.

Rounding may force a node over its limit or cost a car its departure. Both are repaired: what runs where a
node is over is turned off, least power first; a car that is short gets one more step, where there is most
room. A slot that was turned off for a node is not turned on again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from controller.dispatch.evaluate import Figures, shortfalls_kwh
from controller.dispatch.inputs import DispatchInputs
from controller.dispatch.layout import Layout
from controller.domain.units import BoolArray, FloatArray

NEAREST = 0.5
"""A group's power is rounded to the nearest whole number of cars."""
REPAIR_KWH = 1e-6
"""Totals that rose by less than this are a solver's rounding [kWh]."""


@dataclass(kw_only=True)
class Decisions:
    """The state of every slot while deciding; shapes (K,)."""

    on: BoolArray
    """Charges, at least with its minimum power."""
    off: BoolArray
    """Does not charge."""
    off_out: BoolArray
    """Does not discharge."""
    on_out: BoolArray
    """Discharges, at least with its minimum power."""
    banned: BoolArray
    """Was turned off for a node; is not turned on again."""

    @classmethod
    def open(cls, slots: int) -> Decisions:
        """Nothing is decided yet."""
        fresh = [np.zeros(slots, dtype=np.bool_) for _ in range(5)]
        return cls(on=fresh[0], off=fresh[1], off_out=fresh[2], on_out=fresh[3], banned=fresh[4])

    def turn_on(self, where: BoolArray) -> None:
        """These charge."""
        self.on |= where
        self.off &= ~where
        self.off_out |= where
        self.on_out &= ~where

    def turn_off(self, where: BoolArray) -> None:
        """These do not charge."""
        self.off |= where
        self.on &= ~where


def group(
    step: np.ndarray[tuple[int], np.dtype[np.int64]], power_kw: FloatArray, low_kw: FloatArray
) -> BoolArray:
    """Which of the slots below their minimum run.

    Args:
        step: The step of each slot, shape (G,).
        power_kw: What the relaxed plan gave it [kW], shape (G,).
        low_kw: Its minimum power [kW], more than 0, shape (G,).

    Returns:
        Shape (G,): in each step as many as their power fills minimum powers, most power first.
    """
    order = np.lexsort((np.arange(step.size), -power_kw, step))
    runs = np.zeros(step.size, dtype=np.bool_)
    bounds = np.flatnonzero(np.diff(step[order], prepend=-1, append=-1))
    for first, last in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        members = order[first:last]
        budget = float((power_kw[members] / low_kw[members]).sum()) + NEAREST
        runs[members[: int(budget)]] = True
    return runs


def repair(
    inputs: DispatchInputs,
    layout: Layout,
    decisions: Decisions,
    figures: Figures,
    charge_kw: FloatArray,
    *,
    least_excess_kwh: float,
) -> bool:
    """Changes some decisions so that less is over a limit or missing; says whether there was any to change.

    Args:
        inputs: The problem.
        layout: Its slots.
        decisions: What was decided; changed in place.
        figures: What the plan with these decisions amounts to.
        charge_kw: Its charging power per slot [kW], shape (K,).
        least_excess_kwh: What is over the limits in any case [kWh].
    """
    if figures.totals.excess > least_excess_kwh + REPAIR_KWH:
        return _less_load(inputs, layout, decisions, figures, charge_kw)
    return _more_energy(inputs, layout, decisions, figures)


def _below(inputs: DispatchInputs) -> BoolArray:
    """Which stores hang under which nodes, shape (N, S)."""
    under = np.zeros((len(inputs.nodes), len(inputs.stores)), dtype=np.bool_)
    for i, store in enumerate(inputs.stores):
        place = inputs.node_index[store.node]
        while place >= 0:
            under[place, i] = True
            place = int(inputs.parent_index[place])
    return under


def _less_load(
    inputs: DispatchInputs, layout: Layout, decisions: Decisions, figures: Figures, charge_kw: FloatArray
) -> bool:
    under, changed = _below(inputs), False
    for place, step in np.argwhere(figures.over_import_kw > REPAIR_KWH).tolist():
        running = np.flatnonzero(decisions.on & (layout.step == step) & under[place, layout.store])
        running = running[np.argsort(charge_kw[running], kind="stable")]
        freed = np.concatenate([[0.0], np.cumsum(charge_kw[running])])[:-1]
        stop = running[freed < figures.over_import_kw[place, step]]
        where = np.zeros(decisions.on.size, dtype=np.bool_)
        where[stop] = True
        decisions.turn_off(where)
        decisions.banned |= where
        changed |= bool(stop.size)
    return changed


def _more_energy(inputs: DispatchInputs, layout: Layout, decisions: Decisions, figures: Figures) -> bool:
    departure, final, _ = shortfalls_kwh(inputs, figures.energy_kwh)
    departure[:, -1] = np.maximum(departure[:, -1], final)
    limits = np.array([node.import_limit_kw for node in inputs.nodes])
    room = limits - figures.node_power_kw
    under, changed = _below(inputs), False
    for place, due in np.argwhere(departure > REPAIR_KWH).tolist():
        mine = np.flatnonzero(
            (layout.store == place) & (layout.step < due) & decisions.off & ~decisions.banned
        )
        low = inputs.stores[place].charge_kw_min
        mine = mine[inputs.stores[place].charge_kw_max[layout.step[mine]] >= low]
        if not mine.size or low <= 0.0:
            continue
        space = room[under[:, place]].min(axis=0)[layout.step[mine]]
        best = mine[int(np.argmax(space))]
        where = np.zeros(decisions.on.size, dtype=np.bool_)
        where[best] = True
        decisions.turn_on(where)
        room[under[:, place], layout.step[best]] -= low
        changed = True
    return changed
