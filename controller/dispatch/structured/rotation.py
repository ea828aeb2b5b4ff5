"""Minimum powers in large problems: the relaxed plan's node totals, made by cars that take turns.

The relaxed plan lets ten cars charge with 1 kW each where a three-phase car can only do 4.1 kW or nothing. At
the relaxed node prices most cars do not care in which of some steps they charge, so a node's total can be
made by two or three cars at a time that take turns. Who runs when is found car by car:

* Each car's own problem is solved exactly on a grid of energies (dynamic programming): its energy bounds, its
  wishes, 0 or at least the minimum power, the node's prices, and a small quadratic price on how far the
  node's total is from the relaxed one. The first round goes through the cars as error diffusion does
  through pixels: each one makes up for what those before it left over. In the rounds after it each car
  answers to all others.
  No car runs where the minimum powers of those that run already fill a node.
* Then who runs when is fixed, the powers between minimum and maximum are free again, and the interior point
  solves what is left. So energies and limits are exact, not on a grid.

The relaxed plan's bound stays the proven bound.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from controller.dispatch.inputs import DispatchInputs
from controller.dispatch.structured.compiled import compiled
from controller.dispatch.structured.program import STILL, Point, Program
from controller.domain.units import BoolArray, FloatArray, IntArray

GRID_KWH = 0.25
"""Width of the grid of energies; a quarter-hour at 4.1 kW stores four of them."""
PULL_EUR_PER_KW2_H = 1e-3
"""Price of the node's deviation: with 10 kW too much, charging counts as 0.01 EUR/kWh dearer."""
ROUNDS = 3
EDGE = 1e-9
"""Rounding of energies [kWh] and of whole numbers of grid widths."""


@dataclass(frozen=True, kw_only=True)
class Turns:
    """Who runs when."""

    charges: BoolArray
    """Shape (M,)."""
    discharges: BoolArray
    """Shape (M,)."""


def minimum_powers(inputs: DispatchInputs, program: Program) -> tuple[FloatArray, FloatArray]:
    """The minimum powers of each chain step, charging and discharging [kW], shapes (M,)."""
    store = program.chains.store
    low = np.array([s.charge_kw_min for s in inputs.stores], dtype=np.float64)
    low_out = np.array([s.discharge_kw_min for s in inputs.stores], dtype=np.float64)
    return low[store], low_out[store]


def without_dead_powers(program: Program, least: tuple[FloatArray, FloatArray]) -> Program:
    """The program without powers whose maximum is below their minimum: those can only be 0."""
    c, m = program.chains, 3 * program.chain_steps
    free, high = program.free.copy(), program.high.copy()
    most, true = program.most.copy(), program.true_most.copy()
    for dead, at in ((c.charge_kw_max < least[0], 0), (c.discharge_kw_max < least[1], 1)):
        free[at:m:3][dead] = False
        for values in (high, most, true):
            values[at:m:3][dead] = 0.0
    return replace(program, free=free, high=high, most=most, true_most=true)


def take_turns(
    program: Program, x: FloatArray, point: Point, hours: FloatArray, least: tuple[FloatArray, FloatArray]
) -> Turns:
    """Decides who runs when.

    Args:
        program: The cost stage, with prices on its wishes.
        x: The relaxed plan.
        point: Its prices.
        hours: Length of each step [h], shape (T,).
        least: Minimum charging and discharging powers [kW], shapes (M,).
    """
    c, m, count = program.chains, 3 * program.chain_steps, program.target.size
    on_energy = np.flatnonzero(program.target < m)
    entry = (program.target[on_energy] - 2) // 3
    order = np.argsort(entry, kind="stable")
    rates = np.stack([c.gain, c.loss])
    most = np.stack([program.true_most[0:m:3], program.true_most[1:m:3]])
    tiny = EDGE / rates
    moves = np.stack(
        [np.ceil(np.stack(least) * rates / GRID_KWH - EDGE), np.floor((most + tiny) * rates / GRID_KWH)]
    )
    power = np.zeros(c.step.size)
    _rounds(
        c.first,
        c.step,
        program.chain_node,
        rates,
        np.maximum(moves, [[[1.0]], [[0.0]]]).astype(np.int64),
        np.stack([program.cost[0:m:3], program.cost[1:m:3]]),
        PULL_EUR_PER_KW2_H * hours,
        np.stack([c.low_kwh, c.high_kwh]),
        c.initial_kwh,
        np.searchsorted(entry[order], np.arange(c.step.size + 1)).astype(np.int64),
        np.stack(
            [
                program.true_level[on_energy[order]],
                program.cost[program.hinge_from + count :][on_energy[order]],
            ]
        ),
        point.price,
        x[0:m:3] - x[1:m:3],
        np.stack(least),
        program.tree.parent,
        _room_kw(program),
        power,
    )
    return Turns(charges=power > 0.0, discharges=power < 0.0)


def _room_kw(program: Program) -> FloatArray:
    """What minimum powers of charging and of discharging may sum to under each kept node, shape (2, K, T)."""
    tree, roofs = program.tree, program.roofs
    idle, sun = tree.base_kw.copy(), np.zeros_like(tree.base_kw)
    np.add.at(sun, (roofs.node, roofs.step), roofs.available_kw)
    for n, above in enumerate(tree.parent.tolist()):
        if above >= 0:
            idle[above] += idle[n]
            sun[above] += sun[n]
    return np.stack([tree.high_kw - idle + sun, idle - tree.low_kw])


def with_turns(program: Program, turns: Turns, least: tuple[FloatArray, FloatArray]) -> Program:
    """The program in which who runs when is fixed; what has no minimum power may run where it waits."""
    c, m = program.chains, 3 * program.chain_steps
    values = {name: getattr(program, name).copy() for name in ("free", "low", "high", "least", "most")}
    sides = ((turns.charges, turns.discharges), (turns.discharges, turns.charges))
    for at, (runs, other) in enumerate(sides):
        may = runs | ((least[at] <= 0.0) & ~other)
        bottom = np.where(runs, least[at], 0.0)
        top = np.where(may, c.charge_kw_max if at == 0 else c.discharge_kw_max, 0.0)
        values["low"][at:m:3] = values["least"][at:m:3] = bottom
        values["high"][at:m:3] = values["most"][at:m:3] = top
        values["free"][at:m:3] = top - bottom > STILL
    return replace(program, **values)


@compiled
def _rounds(
    first: IntArray,
    step: IntArray,
    node: IntArray,
    rates: FloatArray,
    moves: IntArray,
    eur: FloatArray,
    pull: FloatArray,
    bounds: FloatArray,
    initial: FloatArray,
    wish_first: IntArray,
    wish: FloatArray,
    price: FloatArray,
    relaxed: FloatArray,
    least: FloatArray,
    parent: IntArray,
    room: FloatArray,
    power: FloatArray,
) -> None:
    """Car after car, round after round; writes `power`, charging positive, and uses up `room`.

    What is not known from `Chains` and `Program`, side 0 charging, 1 discharging: `rates` kWh per kW (2, M);
    `moves` least (at least 1) and most grid widths (2, side, M); `eur` cost per kW beside the node's price
    (2, M); `pull` price of a node's deviation [EUR/kW2] (T,); `bounds` least and most E (2, M);
    `wish_first` where each chain step's wishes begin (M + 1,), `wish` their levels and prices (2, W);
    `relaxed` the relaxed plan's powers (M,); `least` minimum powers (2, M); `room` what those may still sum
    to (2, K, T).
    """
    lacks = np.zeros(price.shape)
    for turn in range(ROUNDS):
        for s in range(first.size - 1):
            begin, end = first[s], first[s + 1]
            row = lacks[node[s]]
            down, up = 0, 0
            for k in range(begin, end):
                # In the first round a node lacks what the cars up to this one should have drawn.
                row[step[k]] += relaxed[k] if turn == 0 else power[k]
                _claim(power[k], least[:, k], node[s], step[k], parent, room, 1.0)
                down = max(down, int(np.floor((initial[s] - bounds[0, k]) / GRID_KWH + EDGE)))
                up = max(up, int(np.floor((bounds[1, k] - initial[s]) / GRID_KWH + EDGE)))
            if begin < end:
                levels = initial[s] + GRID_KWH * np.arange(-down, up + 1)
                best = np.zeros((end - begin, levels.size), dtype=np.int16)
                value, now = np.zeros(levels.size), np.empty(levels.size)
                for back in range(end - begin):
                    k = end - 1 - back
                    at, t, n = slice(wish_first[k], wish_first[k + 1]), step[k], node[s]
                    _arrive(levels, bounds[0, k], bounds[1, k], wish[0, at], wish[1, at], value)
                    allowed = _allowed(moves[:, :, k], least[:, k], n, t, parent, room)
                    into = best[k - begin]
                    _choose(rates[:, k], allowed, eur[:, k], price[n, t], pull[t], row[t], value, now, into)
                    value, now = now, value
                _follow(best, down, rates[:, begin:end], power[begin:end])
            for k in range(begin, end):
                row[step[k]] -= power[k]
                _claim(power[k], least[:, k], node[s], step[k], parent, room, -1.0)


@compiled
def _claim(
    power: float, least: FloatArray, node: int, step: int, parent: IntArray, room: FloatArray, sign: float
) -> None:
    """Gives the room of a car's minimum power back to the nodes above it (sign 1), or takes it (-1)."""
    if power == 0.0:
        return
    side = 0 if power > 0.0 else 1
    n = node
    while n >= 0:
        room[side, n, step] += sign * least[side]
        n = parent[n]


@compiled
def _allowed(
    moves: IntArray, least: FloatArray, node: int, step: int, parent: IntArray, room: FloatArray
) -> IntArray:
    """The moves of a step, without those for whose minimum power some node has no room left."""
    allowed = moves.copy()
    for side in range(2):
        n = node
        while n >= 0 and least[side] > 0.0:
            if room[side, n, step] < least[side]:
                allowed[1, side] = 0
            n = parent[n]
    return allowed


@compiled
def _arrive(
    levels: FloatArray, low: float, high: float, wish: FloatArray, eur: FloatArray, value: FloatArray
) -> None:
    """Adds to the value of each energy what it means at this moment: out of bounds, or short of wishes."""
    for i in range(levels.size):
        if levels[i] < low - EDGE or levels[i] > high + EDGE:
            value[i] = np.inf
        for w in range(wish.size):
            value[i] += eur[w] * max(0.0, wish[w] - levels[i])


@compiled
def _choose(
    rates: FloatArray,
    moves: IntArray,
    eur: FloatArray,
    price: float,
    pull: float,
    lacks: float,
    value: FloatArray,
    now: FloatArray,
    best: IntArray,
) -> None:
    """For each energy before a step the best move and its value `now`, given the values after it."""
    for i in range(now.size):
        now[i], best[i] = value[i], 0
    for side in range(2):
        sign = 1 - 2 * side
        for j in range(moves[0, side], moves[1, side] + 1):
            x = sign * j * GRID_KWH / rates[side]
            cost = price * x + eur[side] * abs(x) + pull * x * (0.5 * x - lacks)
            for i in range(max(0, -sign * j), min(now.size, now.size - sign * j)):
                total = cost + value[i + sign * j]
                if total < now[i]:
                    now[i], best[i] = total, sign * j


@compiled
def _follow(best: IntArray, start: int, rates: FloatArray, power: FloatArray) -> None:
    """Writes the powers [kW] of the best moves from the start on."""
    at = start
    for k in range(power.size):
        move = best[k, at]
        at += move
        power[k] = move * GRID_KWH / (rates[0, k] if move > 0 else rates[1, k])
