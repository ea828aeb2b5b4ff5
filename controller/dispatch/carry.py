"""What is followed when no new plan came in time: the last one, clipped to what holds now, else rules.

The last plan knew the prices and was best for nearly the same problem; rules know neither. So its energies
stay the goal: step by step every store makes for the energy that it was to have by then, discharging before
charging so that room is there, and the least patient first, as far as bounds and every node above allow. What
is cut off is made up for later. A store of which the last plan knows nothing, or whose wishes it would not
meet now, is charged by the rules, and so is everything beyond the last plan's end. Roofs are turned down
only where a node would be over its export limit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from controller.dispatch.assemble import Certificate, assemble
from controller.dispatch.check import check
from controller.dispatch.evaluate import base_power_kw, sum_up_tree, trivial_bound_eur
from controller.dispatch.fallback import TINY_KW, Rules, fallback
from controller.dispatch.inputs import DispatchInputs, StoreInput
from controller.dispatch.restate import restated
from controller.dispatch.result import DispatchResult
from controller.dispatch.warm import SECONDS_PER_HOUR, WarmStart, lowest_over
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
    return next(second_choices(inputs, last, reason))


def second_choices(inputs: DispatchInputs, last: WarmStart | None, reason: str) -> Iterator[DispatchResult]:
    """What can be followed where the solver gave no plan, the best first; at least one.

    The last plan was perhaps made inside lower limits than those asked (a voltage, a current): first come
    plans inside these, for they were found to hold.
    """
    recent = last is not None and 0.0 <= last.shift_h(inputs) <= OLDEST_H
    trees = [inputs]
    if last is not None and recent and last.result.inside_kw:
        trees.insert(0, _inside(inputs, last))
    for tree in trees:
        if last is not None and recent:
            plan = restated(inputs, _carried(tree, last, reason), None)
            if not check(inputs, plan):
                yield plan
    for tree in trees:
        plan = restated(inputs, fallback(tree, reason), None)
        if tree is inputs or not check(inputs, plan):
            yield plan


def _inside(inputs: DispatchInputs, last: WarmStart) -> DispatchInputs:
    """The problem with the limits that the last plan was made for, where they are lower.

    None falls below what is there with idle stores: nothing is discharged for a limit of an hour ago.
    """
    bounds_s = SECONDS_PER_HOUR * np.concatenate([[0.0], np.cumsum(last.inputs.step_h)])
    hours = np.concatenate([[0.0], np.cumsum(inputs.step_h)]) + last.shift_h(inputs)
    own = base_power_kw(inputs)
    for roof in inputs.pv:
        own[inputs.node_index[roof.node]] -= roof.available_kw
    idle = sum_up_tree(inputs, own)
    nodes = []
    for node, idle_kw in zip(inputs.nodes, idle, strict=True):
        lower = last.result.inside_kw.get(node.id)
        if lower is None:
            nodes.append(node)
            continue
        down, up = (lowest_over(series, bounds_s, SECONDS_PER_HOUR * hours) for series in lower)
        nodes.append(
            replace(
                node,
                import_limit_kw=np.minimum(node.import_limit_kw, np.maximum(down, np.maximum(idle_kw, 0.0))),
                export_limit_kw=np.minimum(node.export_limit_kw, np.maximum(up, np.maximum(-idle_kw, 0.0))),
            )
        )
    return replace(inputs, nodes=tuple(nodes))


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

    def steer(self, t: int, free: FloatArray) -> None:
        """Makes for the energies of the last plan; the others charge by urgency."""
        followed = np.flatnonzero(np.isfinite(self.goal[:, t]))
        missing = self.goal[followed, t] + self.trips[followed, t] - self.energy[followed]
        missing = np.minimum(missing, self.capacity[followed] - self.energy[followed])
        for i, kwh in zip(followed.tolist(), missing.tolist(), strict=True):
            if kwh < 0.0:
                self._give_back(i, t, -kwh, free)
        wish = self.urgent_kwh(t)
        wish[followed] = np.maximum(missing, 0.0)
        self.charge_in_order(t, wish, free)

    def _give_back(self, i: int, t: int, kwh: float, free: FloatArray) -> None:
        """Discharges up to `kwh` [kWh, stored] as far as the floor and the limits allow."""
        h, out = float(self.inputs.step_h[t]), float(self.out[i])
        spare = float(self.energy[i]) - float(self.floor[i, t])
        room = self.discharging[i].room_kw(free)
        kw = min(min(kwh, spare) * out / h, float(self.most_out[i, t]), room)
        if kw > TINY_KW and kw >= self.inputs.stores[i].discharge_kw_min:
            self.discharge[i, t] = kw
            self.discharging[i].move(free, kw)


def _meets(store: StoreInput, goal_kwh: FloatArray) -> bool:
    """Whether a path of energies [kWh], at each step's end, meets a store's wishes as far as it goes."""
    return all(
        not goal_kwh[stay.to_step - 1] < stay.departure_min_kwh - SHORT_KWH
        for stay in store.stays
        if stay.departure_min_kwh is not None
    )
