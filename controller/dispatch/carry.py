"""What is followed when no new plan came in time: the last one, clipped to what holds now, else rules.

The last plan knew the prices and was best for nearly the same problem; rules know neither. So its energies
stay the goal: step by step every store makes for the energy that it was to have by then, discharging before
charging so that room is there, and the least patient first, as far as bounds and every node above allow. What
is cut off is made up for later. A store of which the last plan knows nothing, or whose wishes it would not
meet now, is charged by the rules, and so is everything beyond the last plan's end. Roofs are turned down
only where a node would be over its export limit.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from controller.dispatch.assemble import Certificate, assemble
from controller.dispatch.check import check
from controller.dispatch.evaluate import trivial_bound_eur
from controller.dispatch.fallback import TINY_KW, Rules, fallback
from controller.dispatch.inputs import DispatchInputs, StoreInput
from controller.dispatch.result import DispatchResult
from controller.dispatch.warm import WarmStart
from controller.domain.units import FloatArray

METHOD = "the last plan, clipped"
OLDEST_H = 4.0
"""A plan older than this [h] is followed no more: by then other cars are there and the sun is another."""
SHORT_KWH = 0.1
"""A wish missed by less [kWh] is no reason to leave the last plan."""


def second_best(inputs: DispatchInputs, last: WarmStart | None, reason: str) -> DispatchResult:
    """A plan where the solver gave none: the last one clipped to the live limits, else one by rules.

    Args:
        inputs: The problem.
        last: The last plan that a solver made; None where there is none.
        reason: Why there is no new one, in words.

    Returns:
        A plan with its `reason`, status `feasible` (the last one) or `fallback` (rules).
    """
    if last is not None and 0.0 <= last.shift_h(inputs) <= OLDEST_H:
        plan = _carried(inputs, last, reason)
        if not check(inputs, plan):
            return plan
    return fallback(inputs, reason)


def _carried(inputs: DispatchInputs, last: WarmStart, reason: str) -> DispatchResult:
    powers = _Following(inputs, last).plan()
    at, inside = last.steps_at(inputs)
    result = last.result
    price = [
        np.where(inside > 0.0, result.node_price_eur_per_kwh[node.id][at], inputs.import_price_eur_per_kwh)
        if node.id in result.node_price_eur_per_kwh
        else inputs.import_price_eur_per_kwh
        for node in inputs.nodes
    ]
    water = [
        result.water_value_eur_per_kwh[store.id][at] * inside
        if store.id in result.water_value_eur_per_kwh
        else np.zeros(inputs.steps)
        for store in inputs.stores
    ]
    plan = assemble(
        inputs,
        powers,
        Certificate(
            method=METHOD,
            lower_bound_eur=trivial_bound_eur(inputs),
            node_price_eur_per_kwh=np.array(price).reshape(len(inputs.nodes), inputs.steps),
            water_value_eur_per_kwh=np.array(water).reshape(len(inputs.stores), inputs.steps),
            build_s=0.0,
            solve_s=0.0,
            totals_are_least=False,
        ),
    )
    return replace(plan, reason=reason)


class _Following(Rules):
    """Rules that have a goal for every store that the last plan knows."""

    def __init__(self, inputs: DispatchInputs, last: WarmStart) -> None:
        super().__init__(inputs)
        self.goal = np.full((len(inputs.stores), inputs.steps), np.nan)
        bounds_h = np.cumsum(inputs.step_h) + last.shift_h(inputs)
        known_h = np.concatenate([[0.0], np.cumsum(last.inputs.step_h)])
        for i, store in enumerate(inputs.stores):
            energy = last.result.energy_kwh.get(store.id)
            if energy is None:
                continue
            goal = np.interp(bounds_h, known_h, energy, right=np.nan)
            if _meets(store, goal):
                self.goal[i] = goal

    def steer(self, t: int, power: FloatArray) -> None:
        """Makes for the energies of the last plan; the others charge by urgency."""
        followed = np.flatnonzero(np.isfinite(self.goal[:, t]))
        missing = self.goal[followed, t] + self.trips[followed, t] - self.energy[followed]
        missing = np.minimum(missing, self.capacity[followed] - self.energy[followed])
        for i, kwh in zip(followed.tolist(), missing.tolist(), strict=True):
            if kwh < 0.0:
                self._give_back(i, t, -kwh, power)
        wish = self.urgent_kwh(t)
        wish[followed] = np.maximum(missing, 0.0)
        self.charge_in_order(t, wish, power)

    def _give_back(self, i: int, t: int, kwh: float, power: FloatArray) -> None:
        """Discharges up to `kwh` [kWh, stored] as far as the floor and the nodes above allow."""
        h, out = float(self.inputs.step_h[t]), float(self.out[i])
        path = self.store_path[i]
        spare = float(self.energy[i]) - float(self.floor[i, t])
        room = min(float(power[n] + self.export_kw[n, t]) for n in path)
        kw = min(min(kwh, spare) * out / h, float(self.most_out[i, t]), room)
        if kw > TINY_KW and kw >= self.inputs.stores[i].discharge_kw_min:
            self.discharge[i, t] = kw
            power[path] -= kw


def _meets(store: StoreInput, goal_kwh: FloatArray) -> bool:
    """Whether a path of energies [kWh], at each step's end, meets a store's wishes as far as it goes."""
    return all(
        not goal_kwh[stay.to_step - 1] < stay.departure_min_kwh - SHORT_KWH
        for stay in store.stays
        if stay.departure_min_kwh is not None
    )
