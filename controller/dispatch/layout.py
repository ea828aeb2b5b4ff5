"""Where every number of a problem has its place in flat vectors: only the steps where a store is connected.

A store that is away exchanges nothing, so its energy between two stays follows from where the earlier
one left it less the trips. The model therefore knows one energy per connected step ("slot"), the energy
at its end, and what would be asked of the steps away is moved back to the slot before them: if a trip of
12 kWh may not take a car below 6 kWh, the car leaves with 18.

What a store could not reach even alone, at full power from the start, is missing for certain: its wish asks
for the rest, so a car that came too late costs no search for the least shortfall.

Symbols: S stores, T steps, N nodes, K slots in order of store and time, D the slots that can discharge.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from controller.dispatch.inputs import DispatchInputs, StoreInput
from controller.domain.units import FloatArray, IntArray


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """Energies that are wanted, as rows `energy[slot] + shortfall >= level`."""

    slot: IntArray
    """The slot whose end energy counts; -1 where the energy is a constant (no slot before), shape (Q,)."""
    level_kwh: FloatArray
    """What that energy must reach [kWh], no more than the store can have; where the slot is -1 what is
    missing for certain, shape (Q,)."""
    store: IntArray
    """Whose wish it is, shape (Q,)."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The slots of a problem and what bounds them."""

    store: IntArray
    """Store of each slot, shape (K,)."""
    step: IntArray
    """Step of each slot, shape (K,)."""
    previous: IntArray
    """The slot before it of the same store, -1 at a store's first, shape (K,)."""
    gain_kwh: FloatArray
    """Constant of the recursion [kWh]: minus the trips since the slot before; at the first plus the initial
    energy, shape (K,)."""
    floor_kwh: FloatArray
    """Least end energy [kWh], steps away after it included, shape (K,)."""
    capacity_kwh: FloatArray
    """Most end energy [kWh], shape (K,)."""
    discharge_slot: IntArray
    """The slots that can discharge, shape (D,)."""
    departure: Wishes
    final: Wishes
    minimum: Wishes


def layout_of(inputs: DispatchInputs) -> Layout:
    """The slots of a problem (shapes and ranges as `inputs.problems` demands)."""
    parts = [_StorePart(store, inputs.step_h) for store in inputs.stores]
    offsets = np.concatenate([[0], np.cumsum([part.steps.size for part in parts])]).astype(np.int64)

    def joined(name: str) -> FloatArray:
        return np.concatenate([np.zeros(0), *(getattr(part, name) for part in parts)])

    def wishes(name: str) -> Wishes:
        rows = [getattr(part, name) for part in parts]
        slots = [np.where(r[0] < 0, -1, r[0] + offsets[i]) for i, r in enumerate(rows)]
        empty = np.zeros(0, dtype=np.int64)
        return Wishes(
            slot=np.concatenate([empty, *slots]).astype(np.int64),
            level_kwh=np.concatenate([np.zeros(0), *(r[1] for r in rows)]),
            store=np.concatenate([empty, *(np.full(r[0].size, i) for i, r in enumerate(rows))]).astype(
                np.int64
            ),
        )

    total = int(offsets[-1])
    previous = np.arange(-1, total - 1, dtype=np.int64)
    previous[[int(o) for o, part in zip(offsets[:-1], parts, strict=True) if part.steps.size]] = -1
    store = np.repeat(np.arange(len(parts)), np.diff(offsets)).astype(np.int64)
    step = np.concatenate([np.zeros(0, dtype=np.int64), *(part.steps for part in parts)]).astype(np.int64)
    can = np.concatenate([np.zeros(0, dtype=bool), *(part.can_discharge for part in parts)])
    return Layout(
        store=store,
        step=step,
        previous=previous,
        gain_kwh=joined("gain_kwh"),
        floor_kwh=joined("floor_kwh"),
        capacity_kwh=joined("capacity_kwh"),
        discharge_slot=np.flatnonzero(can).astype(np.int64),
        departure=wishes("departure"),
        final=wishes("final"),
        minimum=wishes("minimum"),
    )


class _StorePart:
    """The slots of one store, counted from 0."""

    def __init__(self, store: StoreInput, step_h: FloatArray) -> None:
        steps, count = np.flatnonzero(store.plugged), store.steps
        self.steps = steps
        driven = np.concatenate([[0.0], np.cumsum(store.trips_kwh)])
        # slot_before[t]: the last slot that ends at or before t, for the energy index t in 0..T.
        slot_before = np.concatenate([[-1], np.cumsum(store.plugged) - 1]).astype(np.int64)
        ends = np.concatenate([[0], steps + 1])
        # since[t]: the trips between the end of that slot and t; energy[t] = end energy - since[t].
        since = driven - driven[ends[slot_before + 1]]
        self.gain_kwh = -since[steps]
        if steps.size:
            self.gain_kwh[0] += store.initial_kwh
        self.capacity_kwh = np.full(steps.size, store.capacity_kwh)
        self.floor_kwh = np.full(steps.size, -np.inf)
        inside = slot_before >= 0
        np.maximum.at(self.floor_kwh, slot_before[inside], (store.floor_kwh + since)[inside])
        self.can_discharge = (store.discharge_kw_max > 0.0)[steps]
        reach = _reach_kwh(store, step_h[steps], self.gain_kwh, steps)
        wanted = [stay for stay in store.ordered_stays if stay.departure_min_kwh is not None]
        at = np.array([stay.to_step for stay in wanted], dtype=np.int64)
        levels = np.array([stay.departure_min_kwh for stay in wanted], dtype=np.float64)
        self.departure = _rows(store, at, levels, slot_before, since, reach)
        final = np.array([store.final_min_kwh])
        self.final = _rows(store, np.array([count]), final, slot_before, since, reach)
        below = np.flatnonzero(store.floor_kwh < store.min_kwh)
        below = below[below >= 1]
        self.minimum = _rows(store, below, np.full(below.size, store.min_kwh), slot_before, since, reach)


def _reach_kwh(store: StoreInput, hours: FloatArray, gain_kwh: FloatArray, steps: IntArray) -> FloatArray:
    """The most end energy of each slot [kWh], charging at full power from the start, shape (slots,)."""
    change = gain_kwh + hours * store.efficiency_charge * store.charge_kw_max[steps]
    energy, reach = 0.0, []
    for step_kwh in change.tolist():
        energy = min(energy + step_kwh, store.capacity_kwh)
        reach.append(energy)
    return np.array(reach)


def _rows(
    store: StoreInput,
    at: IntArray,
    levels: FloatArray,
    slot_before: IntArray,
    since: FloatArray,
    reach_kwh: FloatArray,
) -> tuple[IntArray, FloatArray]:
    """Wishes for the energies at the indices `at` as slots and levels; those met in any case are left out."""
    slots = slot_before[at]
    constant = slots < 0
    rows = np.where(constant, np.maximum(0.0, levels - store.idle_kwh[at]), levels + since[at])
    keep = np.where(constant, rows > 0.0, levels > store.floor_kwh[at])
    slots, rows, constant = slots[keep], rows[keep], constant[keep]
    can = rows.copy()
    can[~constant] = np.minimum(rows[~constant], reach_kwh[slots[~constant]])
    missing = (rows - can)[rows > can]
    return np.concatenate([slots, np.full(missing.size, -1)]), np.concatenate([can, missing])
