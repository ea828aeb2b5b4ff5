"""A new plan from the last one: most stores keep what they were to do, the others are planned around them.

A re-plan comes a few minutes after the last one and most of it is the same. An interior point cannot begin
at a plan (it wants to be far from all bounds), so the last plan is used in another way:

1. The last plan's powers are read at the same moments of time. A store *fits* if it can still do them within
   its bounds and wishes.
2. At the last plan's prices every store has a gap of its own: what its part of the plan costs at those
   prices, less the least it could cost (`responses`). Stores that do not fit, those with the
   largest gaps and a few more are planned anew; the rest are held and count as fixed load.
3. The small problem is solved; every store's best answer to prices gives a bound that is proven for the
   *whole* problem. Few stores set the small problem's prices, so those are noisy: the best bound is looked
   for between the prices so far and the new ones. If the plan is within the wanted gap of it, that is that.
4. Otherwise once more from 2, with this plan and these prices; then the caller solves the whole problem.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from controller.dispatch.evaluate import Powers
from controller.dispatch.inputs import DispatchInputs, FixedInput
from controller.dispatch.structured.program import Point, Program, with_weights
from controller.dispatch.structured.responses import answer
from controller.dispatch.warm import WarmStart
from controller.domain.ids import AssetId
from controller.domain.units import BoolArray, FloatArray, IntArray

FITS_KWH = 1e-7
"""How far outside its bounds a store's energy may come out and still fit: rounding."""
MIDDLE, LESS, MORE = 0.4, 0.15, (0.7, 1.0)
"""Weights of the small problem's prices against those so far. The bound is concave in the prices, so where
`MIDDLE` is not enough and more is no better, less is tried. On streets of 1000 cars 0.15 to 0.4 were best
where the last plan's prices were still good, 1 where they had moved."""
LEAST_SHARE = 0.2
"""The share of stores planned anew at least: someone must be able to make room for those that changed."""
MOST_SHARE = 0.5
"""With more than this the whole problem is solved at once."""
HELD_GAP = 3e-4
"""The gap that stores which are held may have together, relative to the cost's scale: with a third less,
streets of 1000 cars had half as many more to plan anew and came no closer."""


@dataclass(frozen=True, kw_only=True)
class Carried:
    """The last plan carried over to a new problem, before anything is solved."""

    stage: Program
    """The whole problem."""
    point: Point
    """Powers and energies of the plan so far, the best prices so far and their water values."""
    anew: BoolArray
    """Which stores are planned anew, shape (S,)."""


def carry_over(
    program: Program, inputs: DispatchInputs, warm: WarmStart, weight_eur: float
) -> Carried | None:
    """The last plan on the new problem's steps; None where too little of it can be kept."""
    if program.tree.soft or any(warm.result.totals_kwh.as_tuple()):
        return None
    stage = with_weights(program, (weight_eur, weight_eur, weight_eur, weight_eur), cost=True)
    point = _last_point(stage, inputs, warm)
    fits = _fits(stage, point.x) & np.array([s.id in warm.result.charge_kw for s in inputs.stores], np.bool_)
    return _with_chosen(inputs, stage, point, fits)


def carry_on(inputs: DispatchInputs, carried: Carried, powers: Powers) -> Carried | None:
    """The plan so far, for another round around it; None where too little of it can be kept."""
    stage, point = carried.stage, carried.point
    _set_powers(stage, point.x, powers.charge_kw, powers.discharge_kw)
    return _with_chosen(inputs, stage, point, _fits(stage, point.x))


def _with_chosen(inputs: DispatchInputs, stage: Program, point: Point, fits: BoolArray) -> Carried | None:
    gaps = np.where(fits, _gaps(stage, point), np.inf)
    anew = _chosen(gaps, HELD_GAP * inputs.cost_scale_eur)
    if anew.mean() > MOST_SHARE:
        return None
    return Carried(stage=stage, point=point, anew=anew)


def held_problem(inputs: DispatchInputs, carried: Carried) -> DispatchInputs:
    """The problem of the stores that are planned anew; the others are fixed load at their nodes."""
    c = carried.stage.chains
    held = ~carried.anew[c.store]
    m = 3 * carried.stage.chain_steps
    power = carried.point.x[0:m:3] - carried.point.x[1:m:3]
    load = np.zeros((len(inputs.nodes), inputs.steps))
    np.add.at(load, (c.node[c.store[held]], c.step[held]), power[held])
    for store, is_anew in zip(inputs.stores, carried.anew.tolist(), strict=True):
        if store.standby_kw and not is_anew:
            load[inputs.node_index[store.node]] += store.standby_kw * store.plugged
    loads = [
        FixedInput(id=AssetId(f"held at {node.id}"), node=node.id, power_kw=load[place])
        for place, node in enumerate(inputs.nodes)
    ]
    stores = tuple(s for s, is_anew in zip(inputs.stores, carried.anew.tolist(), strict=True) if is_anew)
    return replace(inputs, fixed=(*inputs.fixed, *loads), stores=stores)


def joined_powers(carried: Carried, powers: Powers) -> Powers:
    """The held stores' powers with the newly planned ones between them."""
    c, m = carried.stage.chains, 3 * carried.stage.chain_steps
    shape = (carried.anew.size, powers.charge_kw.shape[1])
    charge, discharge = np.zeros(shape), np.zeros(shape)
    charge[c.store, c.step] = carried.point.x[0:m:3]
    discharge[c.store, c.step] = carried.point.x[1:m:3]
    charge[carried.anew], discharge[carried.anew] = powers.charge_kw, powers.discharge_kw
    return Powers(charge_kw=charge, discharge_kw=discharge, pv_kw=powers.pv_kw)


def whole_bound(carried: Carried, price: FloatArray, enough_eur: float) -> float:
    """The best bound of the whole problem's cost that was found [EUR]; the point gets its prices.

    Args:
        carried: The plan so far.
        price: Node prices times step length of the small problem at every node of the inputs, (N, T).
        enough_eur: A bound from which on no better one is looked for.
    """
    stage, point = carried.stage, carried.point
    before, new = point.price.copy(), price[stage.tree.kept]

    def at(share: float) -> float:
        point.price[:] = before + share * (new - before)
        answer(stage, point)
        return stage.proven_bound(point)

    share, best = MIDDLE, at(MIDDLE)
    last = share
    for last in (*MORE, LESS):
        if best >= enough_eur or (last == LESS and share != MIDDLE):
            break
        found = at(last)
        if found > best:
            share, best = last, found
    if last != share:
        at(share)
    return best


def _last_point(stage: Program, inputs: DispatchInputs, warm: WarmStart) -> Point:
    """The last plan's values at the new problem's steps; nothing happens beyond its end."""
    last = warm.result
    at, inside = warm.steps_at(inputs)
    x = np.zeros(stage.low.size)
    charge, discharge = (
        _matrix([series.get(store.id) for store in inputs.stores], at) * inside
        for series in (last.charge_kw, last.discharge_kw)
    )
    _set_powers(stage, x, charge, discharge)
    kept = [inputs.nodes[n].id for n in stage.tree.kept.tolist()]
    price = _matrix([last.node_price_eur_per_kwh.get(name) for name in kept], at) * inputs.step_h
    zero = np.zeros_like(x)
    count = stage.target.size
    point = Point(x=x, zl=zero, zu=zero, lam=np.zeros(stage.chain_steps), price=price, omega=np.zeros(count))
    answer(stage, point)
    return point


def _set_powers(stage: Program, x: FloatArray, charge_kw: FloatArray, discharge_kw: FloatArray) -> None:
    """Writes the stores' powers (S, T), clipped to their bounds, and the energies that follow."""
    c, m = stage.chains, 3 * stage.chain_steps
    for place, power in ((0, charge_kw), (1, discharge_kw)):
        x[place:m:3] = np.clip(power[c.store, c.step], 0.0, stage.high[place:m:3])
    energy = np.concatenate([[0.0], np.cumsum(c.gain * x[0:m:3] - c.loss * x[1:m:3])])
    x[2:m:3] = c.initial_kwh[c.store] + energy[1:] - energy[c.first[c.store]]


def _fits(stage: Program, x: FloatArray) -> BoolArray:
    """Which stores keep their bounds and wishes, shape (S,)."""
    c, m = stage.chains, 3 * stage.chain_steps
    energy = x[2:m:3]
    off = np.maximum(stage.true_least[2:m:3] - energy, energy - stage.true_most[2:m:3]) > FITS_KWH
    fits = np.ones(c.first.size - 1, dtype=np.bool_)
    fits[c.store[off]] = False
    wish = np.flatnonzero(stage.target < m)
    short = stage.true_level[wish] - x[stage.target[wish]] > FITS_KWH
    fits[c.store[(stage.target[wish][short] - 2) // 3]] = False
    return fits


def _gaps(stage: Program, point: Point) -> FloatArray:
    """What each store's part of the plan costs above its bound at the point's prices [EUR], shape (S,)."""
    c, m = stage.chains, 3 * stage.chain_steps
    slope, x = stage.survey(point).slope[:m], point.x[:m]
    least = np.where(slope > 0.0, slope * stage.true_least[:m], slope * stage.true_most[:m])
    per_step = (slope * x - least).reshape(-1, 3).sum(axis=1)
    gaps = np.bincount(c.store, weights=per_step, minlength=c.first.size - 1)
    wish = np.flatnonzero(stage.target < m)
    above = x[stage.target[wish]] - stage.true_level[wish]
    np.add.at(gaps, c.store[(stage.target[wish] - 2) // 3], -point.omega[wish] * above)
    return gaps


def _chosen(gaps: FloatArray, held_eur: float) -> BoolArray:
    """Which stores are planned anew: the least number that leaves at most `held_eur` with the others."""
    order = np.argsort(gaps, kind="stable")
    running = np.cumsum(np.maximum(gaps[order], 0.0))
    keep = int(np.searchsorted(running, held_eur, side="right"))
    keep = min(keep, int(gaps.size * (1.0 - LEAST_SHARE)))
    anew = np.ones(gaps.size, dtype=np.bool_)
    anew[order[:keep]] = False
    return anew


def _matrix(series: list[FloatArray | None], at: IntArray) -> FloatArray:
    """The series at the steps `at`, zero rows where there is none, shape (rows, T)."""
    size = int(at.max(initial=0)) + 1
    zero = np.zeros(size)
    rows = np.array([zero if row is None else row[:size] for row in series]).reshape(len(series), size)
    return np.asarray(rows[:, at])
