"""The plan that needs no solver: charge by urgency within what the cables can carry.

Step by step: what cannot be steered is summed up the tree; then the cars, the least patient first, charge
towards what is wanted of them as far as every node above them has room. Patience (laxity) is the time
left until the departure less the time that charging still takes. Nothing discharges, except where a node
would be over its import limit; a roof is turned down only where a node would be over its export limit with
what charges below it, and cars soak up what then is still too much. A store never goes below its hard floor.

It keeps every limit that can be kept with what it sees in that step, at no claim to be cheap.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from controller.dispatch.assemble import Certificate, assemble
from controller.dispatch.evaluate import Powers, base_power_kw, sum_up_tree, trivial_bound_eur
from controller.dispatch.inputs import DispatchInputs, StoreInput
from controller.dispatch.result import DispatchResult
from controller.domain.units import FloatArray, IntArray

TINY_KW = 1e-9
"""Room smaller than this is rounding [kW]."""


def fallback(inputs: DispatchInputs, reason: str) -> DispatchResult:
    """A plan by rules, with status `fallback`.

    Args:
        inputs: The problem.
        reason: Why there is no better one, in words.
    """
    start = time.perf_counter()
    powers = Rules(inputs).plan()
    steps = inputs.steps
    price = np.broadcast_to(inputs.import_price_eur_per_kwh, (len(inputs.nodes), steps))
    return assemble(
        inputs,
        powers,
        Certificate(
            method="rules",
            lower_bound_eur=trivial_bound_eur(inputs),
            node_price_eur_per_kwh=price,
            water_value_eur_per_kwh=np.zeros((len(inputs.stores), steps)),
            build_s=0.0,
            solve_s=time.perf_counter() - start,
            totals_are_least=False,
            fallback_reason=reason or "no plan",
        ),
    )


@dataclass(frozen=True, slots=True)
class _Lever:
    """What a kW of one decision does to the limits, as plain lists: they are short, and asked very often."""

    loads: tuple[tuple[int, float], ...]
    """The limits that it loads, and by how much."""
    relieves: tuple[tuple[int, float], ...]
    """The limits that it relieves, and by how much."""

    def room_kw(self, free_kw: FloatArray) -> float:
        """How much of it the limits allow, from what each leaves free [kW], shape (L,)."""
        return min((float(free_kw[at]) / weight for at, weight in self.loads), default=np.inf)

    def wanted_kw(self, free_kw: FloatArray) -> float:
        """How much of it would bring every limit that it relieves back inside."""
        return max((-float(free_kw[at]) / weight for at, weight in self.relieves), default=-np.inf)

    def move(self, free_kw: FloatArray, kw: float) -> None:
        """Takes up what `kw` of it needs, and gives what it relieves."""
        for at, weight in self.loads:
            free_kw[at] -= weight * kw
        for at, weight in self.relieves:
            free_kw[at] += weight * kw


class Rules:
    """The state while walking through the steps; `steer` says what is done in each.

    Limits are one list, L of them: each node's import, each node's export, then single phases (`phase_rows`).
    """

    def __init__(self, inputs: DispatchInputs) -> None:
        self.inputs = inputs
        stores, shape = inputs.stores, (len(inputs.stores), inputs.steps)
        self.charge, self.discharge = np.zeros(shape), np.zeros(shape)
        self.pv = np.array([roof.available_kw for roof in inputs.pv]).reshape(-1, inputs.steps)
        self.free = self._free_kw()
        self.charging, self.discharging, self.producing = self._levers()
        self.energy = np.array([store.initial_kwh for store in stores], dtype=np.float64)
        self.trips = np.array([store.trips_kwh for store in stores]).reshape(shape)
        self.most = np.array([store.charge_kw_max * store.plugged for store in stores]).reshape(shape)
        self.most_out = np.array([store.discharge_kw_max * store.plugged for store in stores]).reshape(shape)
        self.into = np.array([store.efficiency_charge for store in stores])
        self.out = np.array([store.efficiency_discharge for store in stores])
        self.capacity = np.array([store.capacity_kwh for store in stores])
        self.floor = np.array([_floor_ahead_kwh(store) for store in stores]).reshape(shape)
        self.target, self.due = _targets(inputs)
        self.hours = np.concatenate([[0.0], np.cumsum(inputs.step_h)])

    def _free_kw(self) -> FloatArray:
        """What each limit leaves with idle stores and the whole sun [kW], shape (L, T)."""
        inputs = self.inputs
        own = base_power_kw(inputs)
        for i, roof in enumerate(inputs.pv):
            own[inputs.node_index[roof.node]] -= self.pv[i]
        base = sum_up_tree(inputs, own)
        down = np.array([node.import_limit_kw for node in inputs.nodes])
        up = np.array([node.export_limit_kw for node in inputs.nodes])
        free = [down - base, up + base]
        self.rows = inputs.phase_rows
        if self.rows is not None:
            # Sun that may have to be turned down makes no room on a phase.
            loads = np.maximum(self.rows.sun @ self.pv, self.rows.sun @ (self.pv * self._forced()))
            left = self.rows.limit_kw - self.rows.fixed_kw - loads
            free.append(np.where(self.rows.sign[:, None] > 0.0, np.maximum(left, 0.0), left))
        return np.concatenate(free)

    def _forced(self) -> FloatArray:
        """1 for roofs that cannot be turned down, else 0, shape (P, 1)."""
        return np.array([0.0 if roof.curtailable else 1.0 for roof in self.inputs.pv]).reshape(-1, 1)

    def _levers(self) -> tuple[list[_Lever], list[_Lever], list[_Lever]]:
        """Of each store's charging and discharging, and of each roof's production."""
        inputs, count = self.inputs, len(self.inputs.nodes)
        paths = self._paths()

        def levers(places: list[int], import_weight: float, by_phase: Any) -> list[_Lever]:
            found = []
            for i, place in enumerate(places):
                weights = [(n, import_weight) for n in paths[place]]
                weights += [(count + n, -import_weight) for n in paths[place]]
                if by_phase is not None:
                    part = slice(by_phase.indptr[i], by_phase.indptr[i + 1])
                    at, value = by_phase.indices[part].tolist(), by_phase.data[part].tolist()
                    weights += [(2 * count + n, w) for n, w in zip(at, value, strict=True)]
                found.append(
                    _Lever(
                        loads=tuple((n, w) for n, w in weights if w > 0.0),
                        relieves=tuple((n, -w) for n, w in weights if w < 0.0),
                    )
                )
            return found

        rows = self.rows
        stores = [inputs.node_index[store.node] for store in inputs.stores]
        roofs = [inputs.node_index[roof.node] for roof in inputs.pv]
        return (
            levers(stores, 1.0, None if rows is None else rows.charge.T.tocsr()),
            levers(stores, -1.0, None if rows is None else rows.discharge.T.tocsr()),
            levers(roofs, -1.0, None if rows is None else rows.sun.maximum(0.0).T.tocsr()),
        )

    def _paths(self) -> list[list[int]]:
        """For each node itself and all above it."""
        parents = self.inputs.parent_index.tolist()
        paths: list[list[int]] = [[] for _ in parents]
        for place in self.inputs.parents_first:
            paths[place] = [place, *(paths[parents[place]] if parents[place] >= 0 else [])]
        return paths

    def plan(self) -> Powers:
        """Walks through the steps."""
        imports = slice(0, len(self.inputs.nodes))
        for t in range(self.inputs.steps):
            free = self.free[:, t].copy()
            # Before anybody charges: sun that cannot get out makes no room further up.
            too_sunny = bool((free[imports.stop :] < -TINY_KW).any())
            if too_sunny:
                self._turn_down(t, free)
            self.steer(t, free)
            if too_sunny:
                self._turn_up(t, free)
                self._soak_up(t, free)
            if (free[imports] < -TINY_KW).any():
                self._relieve(t, free)
            h = float(self.inputs.step_h[t])
            moved = self.into * self.charge[:, t] - self.discharge[:, t] / self.out
            self.energy += h * moved - self.trips[:, t]
        return Powers(charge_kw=self.charge, discharge_kw=self.discharge, pv_kw=self.pv)

    def steer(self, t: int, free: FloatArray) -> None:
        """Charges by urgency; what each limit leaves `free` is kept up to date [kW], shape (L,)."""
        self.charge_in_order(t, self.urgent_kwh(t), free)

    def urgent_kwh(self, t: int) -> FloatArray:
        """What each store lacks of what is wanted of it next [kWh], shape (S,)."""
        need: FloatArray = np.minimum(self.target[:, t], self.capacity) - self.energy
        return need

    def charge_in_order(self, t: int, wish_kwh: FloatArray, free: FloatArray) -> None:
        """Charges towards wishes [kWh, stored], shape (S,), the least patient first, where there is room."""
        h = float(self.inputs.step_h[t])
        rate = self.into * self.most[:, t]
        wants = np.flatnonzero((wish_kwh > TINY_KW) & (rate > 0.0))
        left_h = self.hours[self.due[wants, t]] - self.hours[t]
        laxity = left_h - self.urgent_kwh(t)[wants] / rate[wants]
        for i in wants[np.argsort(laxity, kind="stable")].tolist():
            room = self.charging[i].room_kw(free)
            wish = min(float(self.most[i, t]), float(wish_kwh[i]) / (h * float(self.into[i])))
            self._set_charge(i, t, min(room, wish), room, free)

    def _set_charge(self, i: int, t: int, kw: float, room: float, free: FloatArray) -> None:
        """Charges with `kw`, with the minimum power where that is more and fits, or not at all."""
        store = self.inputs.stores[i]
        if kw < store.charge_kw_min:
            fits = (float(self.capacity[i]) - float(self.energy[i])) / (
                float(self.inputs.step_h[t]) * float(self.into[i])
            )
            kw = (
                store.charge_kw_min if store.charge_kw_min <= min(room, fits, float(self.most[i, t])) else 0.0
            )
        if kw <= TINY_KW:
            return
        self.charge[i, t] = kw
        self.charging[i].move(free, kw)

    def _turn_down(self, t: int, free: FloatArray) -> None:
        for i, roof in enumerate(self.inputs.pv):
            lever = self.producing[i]
            # Turning down takes from every node above; one at its import limit must not be pushed over it.
            over = max((-float(free[at]) / weight for at, weight in lever.loads), default=0.0)
            room = min((float(free[at]) / weight for at, weight in lever.relieves), default=0.0)
            cut = min(over, room, float(self.pv[i, t])) if roof.curtailable else 0.0
            if cut > TINY_KW:
                self.pv[i, t] -= cut
                lever.move(free, -cut)

    def _turn_up(self, t: int, free: FloatArray) -> None:
        """Gives back what was turned down, as far as there is room for it now."""
        for i, roof in enumerate(self.inputs.pv):
            more = min(float(roof.available_kw[t] - self.pv[i, t]), self.producing[i].room_kw(free))
            if more > TINY_KW:
                self.pv[i, t] += more
                self.producing[i].move(free, more)

    def _soak_up(self, t: int, free: FloatArray) -> None:
        h = float(self.inputs.step_h[t])
        for i in np.flatnonzero(self.most[:, t] > 0.0).tolist():
            lever = self.charging[i]
            over = lever.wanted_kw(free)
            if over <= TINY_KW:
                continue
            had = float(self.charge[i, t])
            fits = (float(self.capacity[i]) - float(self.energy[i])) / (h * float(self.into[i]))
            room = lever.room_kw(free) + had
            lever.move(free, -had)
            self.charge[i, t] = 0.0
            self._set_charge(i, t, min(over + had, room, fits, float(self.most[i, t])), room, free)

    def _relieve(self, t: int, free: FloatArray) -> None:
        h = float(self.inputs.step_h[t])
        for i in np.flatnonzero(self.most_out[:, t] > 0.0).tolist():
            lever, store = self.discharging[i], self.inputs.stores[i]
            over = lever.wanted_kw(free)
            if over <= TINY_KW or self.charge[i, t] > 0.0:
                continue
            had = float(self.discharge[i, t])
            spare = (float(self.energy[i]) - float(self.floor[i, t])) * float(self.out[i]) / h
            room = lever.room_kw(free) + had
            most = min(float(self.most_out[i, t]), spare, room)
            kw = min(max(over + had, store.discharge_kw_min), most)
            if kw > had + TINY_KW and kw >= store.discharge_kw_min:
                self.discharge[i, t] = kw
                lever.move(free, kw - had)


def _floor_ahead_kwh(store: StoreInput) -> FloatArray:
    """What a store must keep at the end of each step for that and all later floors, trips between included.

    Returns:
        Energy [kWh], shape (T,); infinite where the store is away and cannot discharge.
    """
    driven = np.concatenate([[0.0], np.cumsum(store.trips_kwh)])
    ahead = np.maximum.accumulate((store.floor_kwh + driven)[::-1])[::-1] - driven
    floor: FloatArray = np.where(store.plugged, ahead[1:], np.inf)
    return floor


def _targets(inputs: DispatchInputs) -> tuple[FloatArray, IntArray]:
    """What each store should hold and by when, seen from each step: the next wish first.

    Returns:
        Energy wanted [kWh], shape (S, T), trips until then included, and the index of the step by which,
        shape (S, T). Never less than the minimum.
    """
    steps = inputs.steps
    target = np.zeros((len(inputs.stores), steps))
    due = np.full((len(inputs.stores), steps), steps, dtype=np.int64)
    for i, store in enumerate(inputs.stores):
        driven = np.concatenate([[0.0], np.cumsum(store.trips_kwh)])
        wishes = [(steps, store.final_min_kwh)]
        wishes += [(s.to_step, s.departure_min_kwh) for s in store.stays if s.departure_min_kwh is not None]
        # A car should leave with its minimum and the trip, so that it comes back with the minimum.
        wishes += [(trip.step + 1, store.min_kwh) for trip in store.trips]
        for step, level in sorted(wishes, reverse=True):
            before = slice(0, step)
            asked = level + driven[step] - driven[:step]
            more = asked > target[i, before]
            due[i, before] = np.where(more | (due[i, before] > step), step, due[i, before])
            target[i, before] = np.maximum(asked, target[i, before])
        target[i] = np.maximum(target[i], store.min_kwh)
    return target, due
