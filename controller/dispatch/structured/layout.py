"""A dispatch problem as flat arrays: the form in which the interior point works on it.

A store is a *chain*: only the steps of its stays count, one after the other. With trips added back
(`E[k] = energy after the chain's k-th step + all trips so far`) a chain has one rule throughout,

    E[k] = E[k-1] + gain[k] * charge[k] - loss[k] * discharge[k],

and every bound that the store has between one step of a stay and the next becomes a plain bound on
one `E[k]`. Wishes are *hinges* on `E[k]`: a price for what is missing below a level. What a chain
can never reach at full power from the start is taken off the wish beforehand, as a constant.

All unknowns lie in one vector, in sections: charge, discharge and `E` (one each per chain step), roofs
that can be turned down (one per roof and step), node powers (one per kept node and step).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from controller.dispatch.inputs import DispatchInputs
from controller.domain.units import FloatArray, IntArray

DEPARTURE, FINAL, MINIMUM = 1, 2, 3
"""Kinds of wish, in their order; 0 is the nodes' excess."""
MARGIN_KWH = 1e-6
"""What a wish is raised by where everything can be had: worth a ten-millionth of a euro."""


@dataclass(frozen=True, kw_only=True)
class Chains:
    """All stores, flattened: M steps of stays over S stores."""

    first: IntArray
    """Where each store's steps begin, shape (S + 1,)."""
    step: IntArray
    """The step of the horizon, shape (M,)."""
    run: IntArray
    """The first chain step of the unbroken run of steps that each one is in, shape (M,)."""
    store: IntArray
    """The store of each chain step, shape (M,)."""
    charge_kw_max: FloatArray
    """Shape (M,)."""
    discharge_kw_max: FloatArray
    """Shape (M,)."""
    gain: FloatArray
    """kWh stored per kW charged over the step, shape (M,)."""
    loss: FloatArray
    """kWh taken from the store per kW discharged over the step, shape (M,)."""
    charge_eur: FloatArray
    """Cost beside the node's price per kW charged [EUR/kW], shape (M,)."""
    discharge_eur: FloatArray
    """Cost beside the node's price per kW discharged, wear and adders [EUR/kW], shape (M,)."""
    low_kwh: FloatArray
    """Least E, shape (M,)."""
    high_kwh: FloatArray
    """Most E, shape (M,)."""
    initial_kwh: FloatArray
    """Shape (S,)."""
    node: IntArray
    """The node of each store, an index into the inputs' nodes, shape (S,)."""


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """Levels that E should not be below, J of them."""

    entry: IntArray
    """The chain step, shape (J,)."""
    level_kwh: FloatArray
    """Shape (J,), never above what the store alone can reach."""
    kind: IntArray
    """DEPARTURE, FINAL or MINIMUM, shape (J,)."""
    margin_kwh: FloatArray
    """By how much a wish could be raised and still be within the store's reach, at most MARGIN_KWH, (J,)."""


def flatten(inputs: DispatchInputs) -> tuple[Chains, Wishes]:
    """The stores of a problem as chains, and their wishes."""
    dense = _Dense.of(inputs)
    chains = _chains(inputs, dense)
    reach = _reach(chains)
    wishes = [
        _departures(inputs, dense),
        _finals(dense, chains),
        _minima(dense),
    ]
    entry = np.concatenate([w.entry for w in wishes])
    level = np.minimum(np.concatenate([w.level_kwh for w in wishes]), reach[entry])
    kind = np.concatenate([w.kind for w in wishes])
    # A level at or below the hard bound asks nothing; the slack is far below what counts (1e-6 kWh).
    asks = level > chains.low_kwh[entry] + 1e-9
    room = np.clip(reach[entry] - level, 0.0, MARGIN_KWH)
    return chains, Wishes(entry=entry[asks], level_kwh=level[asks], kind=kind[asks], margin_kwh=room[asks])


@dataclass(frozen=True, kw_only=True)
class _Dense:
    """Per store and step, before the steps outside stays are left out."""

    place: IntArray
    """Index of the chain step at (store, step), -1 outside stays, shape (S, T)."""
    last: IntArray
    """The latest chain step before the start of step t, -1 before the first, shape (S, T + 1)."""
    driven_kwh: FloatArray
    """Trips before t, shape (S, T + 1)."""
    minimum_kwh: FloatArray
    """Shape (S, 1)."""
    floor_kwh: FloatArray
    """The hard lower bound of the energy, shape (S, T + 1)."""
    capacity_kwh: FloatArray
    """Shape (S, 1)."""
    final_kwh: FloatArray
    """Shape (S,)."""

    @classmethod
    def of(cls, inputs: DispatchInputs) -> _Dense:
        stores, steps = inputs.stores, inputs.steps
        count = len(stores)
        inside = np.zeros((count, steps), dtype=np.bool_)
        taken = np.zeros((count, steps))
        for row, store in enumerate(stores):
            for stay in store.stays:
                inside[row, stay.from_step : stay.to_step] = True
            for trip in store.trips:
                taken[row, trip.step] += trip.energy_kwh
        place = np.where(inside, np.cumsum(inside.ravel()).reshape(count, steps) - 1, -1)
        last = np.full((count, steps + 1), -1, dtype=np.int64)
        if steps:
            last[:, 1:] = np.maximum.accumulate(place, axis=1) if count else place
        driven = np.zeros((count, steps + 1))
        np.cumsum(taken, axis=1, out=driven[:, 1:])
        column = np.array(
            [(s.min_kwh, s.initial_kwh, s.capacity_kwh, s.final_min_kwh) for s in stores], dtype=np.float64
        ).reshape(count, 4)
        return cls(
            place=place,
            last=last,
            driven_kwh=driven,
            minimum_kwh=column[:, 0:1],
            floor_kwh=np.minimum(column[:, 0:1], column[:, 1:2] - driven),
            capacity_kwh=column[:, 2:3],
            final_kwh=column[:, 3],
        )


def _chains(inputs: DispatchInputs, dense: _Dense) -> Chains:
    stores, steps = inputs.stores, inputs.steps
    inside = dense.place >= 0
    store, step = np.nonzero(inside)
    hours = inputs.step_h[step]
    efficiency = np.array(
        [(s.efficiency_charge, s.efficiency_discharge) for s in stores], dtype=np.float64
    ).reshape(len(stores), 2)
    low = np.full(store.shape, -np.inf)
    high = np.full(store.shape, np.inf)
    # Every start of a step t >= 1 is bounded through the chain step before it.
    row, at = np.nonzero(dense.last[:, 1:] >= 0)
    at = at + 1
    entry = dense.last[row, at]
    np.maximum.at(low, entry, (dense.floor_kwh + dense.driven_kwh)[row, at])
    np.minimum.at(high, entry, (dense.capacity_kwh + dense.driven_kwh)[row, at])
    empty = np.zeros((0, steps))
    rate_in = np.stack([s.charge_rate_eur_per_kwh for s in stores]) if stores else empty
    rate_out = np.stack([s.discharge_rate_eur_per_kwh for s in stores]) if stores else empty
    return Chains(
        first=np.concatenate([[0], np.cumsum(inside.sum(axis=1))]).astype(np.int64),
        step=step.astype(np.int64),
        run=_runs(store, step),
        store=store.astype(np.int64),
        charge_kw_max=(np.stack([s.charge_kw_max for s in stores]) if stores else empty)[store, step],
        discharge_kw_max=(np.stack([s.discharge_kw_max for s in stores]) if stores else empty)[store, step],
        gain=hours * efficiency[store, 0],
        loss=hours / efficiency[store, 1],
        charge_eur=hours * rate_in[store, step],
        discharge_eur=hours * rate_out[store, step],
        low_kwh=low,
        high_kwh=high,
        initial_kwh=np.array([s.initial_kwh for s in stores], dtype=np.float64),
        node=np.array([inputs.node_index[s.node] for s in stores], dtype=np.int64),
    )


def _runs(store: IntArray, step: IntArray) -> IntArray:
    """Where the unbroken run of steps begins that each chain step is in, shape (M,)."""
    new = np.ones(step.size, dtype=np.bool_)
    new[1:] = (np.diff(store) != 0) | (np.diff(step) != 1)
    return np.maximum.accumulate(np.where(new, np.arange(step.size), 0)).astype(np.int64)


def _reach(chains: Chains) -> FloatArray:
    """The most E that each store can have, charging at full power from the start, shape (M,)."""
    reach = np.empty(chains.step.shape)
    gains = chains.gain * chains.charge_kw_max
    lengths = np.diff(chains.first)
    level = chains.initial_kwh.copy()
    for k in range(int(lengths.max(initial=0))):
        rows = np.flatnonzero(lengths > k)
        entry = chains.first[rows] + k
        level[rows] = np.minimum(level[rows] + gains[entry], chains.high_kwh[entry])
        reach[entry] = level[rows]
    return reach


def _departures(inputs: DispatchInputs, dense: _Dense) -> Wishes:
    asked = [
        (row, stay.to_step, stay.departure_min_kwh)
        for row, store in enumerate(inputs.stores)
        for stay in store.stays
        if stay.departure_min_kwh is not None
    ]
    row = np.array([a[0] for a in asked], dtype=np.int64)
    at = np.array([a[1] for a in asked], dtype=np.int64)
    level = np.array([a[2] for a in asked], dtype=np.float64) + dense.driven_kwh[row, at]
    return _wishes(dense.last[row, at], level, DEPARTURE)


def _finals(dense: _Dense, chains: Chains) -> Wishes:
    plugged = np.diff(chains.first) > 0
    return _wishes(dense.last[plugged, -1], dense.final_kwh[plugged] + dense.driven_kwh[plugged, -1], FINAL)


def _minima(dense: _Dense) -> Wishes:
    """One for each start of a step whose hard bound lies below `min_kwh`: there idling would be short."""
    below = dense.floor_kwh[:, 1:] < dense.minimum_kwh
    row, at = np.nonzero(below & (dense.last[:, 1:] >= 0))
    at = at + 1
    level = dense.minimum_kwh[row, 0] + dense.driven_kwh[row, at]
    return _wishes(dense.last[row, at], level, MINIMUM)


def _wishes(entry: IntArray, level_kwh: FloatArray, kind: int) -> Wishes:
    return Wishes(
        entry=entry.astype(np.int64),
        level_kwh=level_kwh,
        kind=np.full(entry.shape, kind, dtype=np.int64),
        margin_kwh=np.zeros(entry.shape),
    )
