"""What each store does by itself at given node prices: the storage problem of one chain, solved exactly.

Let V[k](E) be the least cost up to a chain step with energy E behind it. It is convex and piecewise
linear, so it is kept as a sorted list of slopes with their lengths, from the least E on. One step on:

* charging and discharging add one segment each, merged in by slope (an infimal convolution), and move the
  least E down by what can be discharged;
* bounds cut the list at both ends;
* a wish lowers the slopes below its level by its price.

Backwards from the least cost at the end, the slope at the best energy is the water value. Both together take
(steps of its stays)^2 simple operations. Charging and discharging at once, which only clearly negative
prices make worth while, is allowed here: the values are for a lower bound.
"""

from __future__ import annotations

import numpy as np

from controller.dispatch.structured.compiled import compiled
from controller.dispatch.structured.program import KINK, Point, Program
from controller.dispatch.structured.team import Part
from controller.domain.units import FloatArray, IntArray

DUST_KWH = 1e-9
"""Energies this close are the same; shorter segments are the rounding of sums."""


def answer(stage: Program, point: Point) -> None:
    """Gives a point the water values and the slopes of hinges that are best at its node prices."""
    point.lam[:] = water_values(stage, point.price)
    _fit_hinges(stage, point)


def water_values(program: Program, price: FloatArray) -> FloatArray:
    """The water values of every store's best answer to node prices [EUR/kWh], shape (M,).

    Args:
        program: A stage with prices on its wishes.
        price: Node prices times step length at the kept nodes [EUR/kW], shape (K, T).
    """
    c, m = program.chains, program.chain_steps
    on_energy = np.flatnonzero(program.target < 3 * m)
    entry = (program.target[on_energy] - 2) // 3
    order = np.lexsort((program.true_level[on_energy], entry))
    count = program.target.size
    weight = program.cost[program.hinge_from + count :][on_energy[order]]
    lam = np.zeros(m)
    charge_kw = np.minimum(c.charge_kw_max, program.true_most[0 : 3 * m : 3])
    discharge_kw = np.minimum(c.discharge_kw_max, program.true_most[1 : 3 * m : 3])
    wish_first = np.searchsorted(entry[order], np.arange(m + 1)).astype(np.int64)
    wishes = (wish_first, program.true_level[on_energy[order]], weight)

    def part_of(part: Part) -> None:
        stores = (c.first[part.edges], c.step, program.chain_node[part.stores])
        powers = (c.gain, c.loss, charge_kw, discharge_kw, c.charge_eur, c.discharge_eur)
        energies = (c.low_kwh, c.high_kwh, c.initial_kwh[part.stores])
        _water_values(*stores, *powers, *energies, *wishes, price, lam)

    program.team.each(part_of, program.parts)
    return lam


def _fit_hinges(stage: Program, point: Point) -> None:
    """The slopes of the hinges that give the best bound at given prices and water values."""
    h, count = stage.hinge_from, stage.target.size
    point.omega[:] = 0.0
    slope = stage.survey(point).slope[stage.target]
    best = -slope
    point.omega[:] = np.clip(best, -stage.cost[h + count :], stage.cost[h : h + count])
    # Several wishes on one energy: the first takes what it can, the rest is left to the others.
    order = np.argsort(stage.target, kind="stable")
    again = order[1:][np.diff(stage.target[order]) == 0]
    point.omega[again[stage.kind[again] != KINK]] = 0.0


@compiled
def _water_values(
    first: IntArray,
    step: IntArray,
    node: IntArray,
    gain: FloatArray,
    loss: FloatArray,
    charge_kw_max: FloatArray,
    discharge_kw_max: FloatArray,
    charge_eur: FloatArray,
    discharge_eur: FloatArray,
    low: FloatArray,
    high: FloatArray,
    initial: FloatArray,
    wish_first: IntArray,
    wish_level: FloatArray,
    wish_eur: FloatArray,
    price: FloatArray,
    lam: FloatArray,
) -> None:
    longest = 0
    for s in range(first.size - 1):
        longest = max(longest, first[s + 1] - first[s])
    room = 2 * longest + wish_level.size + 4
    room = min(room, 2 * longest + 4 * longest + 64)
    slopes, lengths = np.empty((longest + 1, room)), np.empty((longest + 1, room))
    sizes, starts = np.zeros(longest + 1, dtype=np.int64), np.empty(longest + 1)
    own = np.empty((longest + 1, 4))
    for s in range(first.size - 1):
        begin, end = first[s], first[s + 1]
        sizes[0], starts[0] = 0, initial[s]
        for k in range(begin, end):
            j = k - begin
            y = price[node[s], step[k]]
            own[j, 0], own[j, 1] = (y + charge_eur[k]) / gain[k], gain[k] * charge_kw_max[k]
            own[j, 2], own[j, 3] = (y - discharge_eur[k]) / loss[k], loss[k] * discharge_kw_max[k]
            size = _merge(slopes[j], lengths[j], sizes[j], own[j], slopes[j + 1], lengths[j + 1])
            start = starts[j] - own[j, 3]
            start, size = _cut(slopes[j + 1], lengths[j + 1], size, start, low[k], high[k])
            for w in range(wish_first[k], wish_first[k + 1]):
                size = _wish(slopes[j + 1], lengths[j + 1], size, start, wish_level[w], wish_eur[w])
            sizes[j + 1], starts[j + 1] = size, start
        energy = starts[end - begin]
        for i in range(sizes[end - begin]):
            if slopes[end - begin, i] < 0.0:
                energy += lengths[end - begin, i]
        after = 0.0
        for k in range(end - 1, begin - 1, -1):
            j = k - begin
            after = _slope_at(slopes[j], lengths[j], sizes[j], starts[j], own[j], energy, after)
            lam[k] = after
            energy = _before(slopes[j], lengths[j], sizes[j], starts[j], own[j], energy, after)


@compiled
def _merge(
    slopes: FloatArray,
    lengths: FloatArray,
    size: int,
    own: FloatArray,
    into_slopes: FloatArray,
    into_lengths: FloatArray,
) -> int:
    """Merges the segments of charging (own 0, 1) and discharging (own 2, 3) into a sorted list."""
    a, b = (0, 2) if own[0] <= own[2] else (2, 0)
    count = 0
    for i in range(size + 1):
        slope = slopes[i] if i < size else np.inf
        for part in (a, b):
            if own[part + 1] > 0.0 and own[part] < slope:
                seen = i > 0 and slopes[i - 1] > own[part]
                if not seen:
                    into_slopes[count], into_lengths[count] = own[part], own[part + 1]
                    count += 1
        if i < size:
            into_slopes[count], into_lengths[count] = slope, lengths[i]
            count += 1
    return count


@compiled
def _cut(
    slopes: FloatArray, lengths: FloatArray, size: int, start: float, low: float, high: float
) -> tuple[float, int]:
    """Cuts a list to [low, high]; returns its new start and size."""
    begin, at = 0, start
    while begin < size and at + lengths[begin] <= low + DUST_KWH:
        at += lengths[begin]
        begin += 1
    if begin < size and at < low:
        lengths[begin] -= low - at
        at = low
    start = at
    count = 0
    for i in range(begin, size):
        left = high - at
        if left <= DUST_KWH:
            break
        slopes[count], lengths[count] = slopes[i], min(lengths[i], left)
        at += lengths[count]
        count += 1
    return start, count


@compiled
def _wish(
    slopes: FloatArray, lengths: FloatArray, size: int, start: float, level: float, price: float
) -> int:
    """Lowers the slopes below a level by a price, splitting the segment that the level is in."""
    at = start
    for i in range(size):
        if at >= level:
            break
        if at + lengths[i] > level:
            if size < slopes.size:
                for j in range(size, i, -1):
                    slopes[j], lengths[j] = slopes[j - 1], lengths[j - 1]
                size += 1
                lengths[i], lengths[i + 1] = level - at, at + lengths[i] - level
            slopes[i] -= price
            break
        at += lengths[i]
        slopes[i] -= price
    return size


@compiled
def _slope_at(
    slopes: FloatArray,
    lengths: FloatArray,
    size: int,
    start: float,
    own: FloatArray,
    energy: float,
    wanted: float,
) -> float:
    """The value nearest to `wanted` between the left and the right slope at `energy`, one step on."""
    left, right = -np.inf, np.inf
    at = start - own[3]
    a, b = (0, 2) if own[0] <= own[2] else (2, 0)
    i, used_a, used_b = 0, own[a + 1] <= 0.0, own[b + 1] <= 0.0
    while True:
        slope = slopes[i] if i < size else np.inf
        if not used_a and own[a] <= slope:
            slope, length, used_a = own[a], own[a + 1], True
        elif not used_b and own[b] <= slope:
            slope, length, used_b = own[b], own[b + 1], True
        elif i < size:
            length = lengths[i]
            i += 1
        else:
            break
        if at + length <= energy + DUST_KWH:
            left = slope
        if at >= energy - DUST_KWH:
            right = slope
            break
        if at + length > energy + DUST_KWH:
            left, right = slope, slope
            break
        at += length
    return min(max(wanted, left), right)


@compiled
def _before(
    slopes: FloatArray,
    lengths: FloatArray,
    size: int,
    start: float,
    own: FloatArray,
    energy: float,
    value: float,
) -> float:
    """The energy one step earlier, given the energy behind the step and its water value."""
    least, most = start, start
    for i in range(size):
        if slopes[i] < value:
            least += lengths[i]
        if slopes[i] <= value:
            most += lengths[i]
    change_most = -own[3]
    if own[0] <= value:
        change_most += own[1]
    if own[2] <= value:
        change_most += own[3]
    kwh: float = min(max(energy - change_most, least), most)
    return kwh
