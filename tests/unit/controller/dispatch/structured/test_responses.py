"""The exact storage problem of one store against a linear program."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linprog

from controller.dispatch.structured.program import Point, Program, build_program, with_weights
from controller.dispatch.structured.responses import water_values
from controller.domain.units import FloatArray
from tests.support.dispatch_problems import street

WISH_EUR = 12.0


def _bound(stage: Program, price: FloatArray, s: int, lam: FloatArray) -> float:
    """The bound that water values give for one store at given prices; hinges at their best."""
    c = stage.chains
    begin, end = int(c.first[s]), int(c.first[s + 1])
    mine = (stage.target - 2) // 3
    wishes = np.flatnonzero((stage.target < 3 * stage.chain_steps) & (mine >= begin) & (mine < end))
    point = Point(
        x=np.zeros(stage.low.size),
        zl=np.zeros(0),
        zu=np.zeros(0),
        lam=lam,
        price=price,
        omega=np.zeros(stage.target.size),
    )
    slope = stage.survey(point).slope
    omega = np.clip(-slope[stage.target[wishes]], -WISH_EUR, 0.0)
    np.add.at(slope, stage.target[wishes], omega)
    part = slice(3 * begin, 3 * end)
    least = np.where(
        slope[part] > 0.0, slope[part] * stage.true_least[part], slope[part] * stage.true_most[part]
    )
    fixed = lam[begin] * c.initial_kwh[s] + float(omega @ stage.true_level[wishes])
    return float(least.sum() - fixed)


def _by_linear_program(stage: Program, price: FloatArray, s: int) -> float:
    c = stage.chains
    begin, end = int(c.first[s]), int(c.first[s + 1])
    size = end - begin
    mine = (stage.target - 2) // 3
    wishes = np.flatnonzero((stage.target < 3 * stage.chain_steps) & (mine >= begin) & (mine < end))
    y = price[stage.chain_node[s], c.step[begin:end]]
    cost = np.concatenate(
        [
            c.charge_eur[begin:end] + y,
            c.discharge_eur[begin:end] - y,
            np.zeros(size),
            np.full(wishes.size, WISH_EUR),
        ]
    )
    eye = np.eye(size)
    recursion = np.hstack(
        [
            -np.diag(c.gain[begin:end]),
            np.diag(c.loss[begin:end]),
            eye - np.eye(size, k=-1),
            np.zeros((size, wishes.size)),
        ]
    )
    first = np.zeros(size)
    first[0] = c.initial_kwh[s]
    kept = np.zeros((wishes.size, cost.size))
    for i, j in enumerate(wishes.tolist()):
        kept[i, 2 * size + int(mine[j]) - begin] = -1.0
        kept[i, 3 * size + i] = -1.0
    highs = [c.charge_kw_max[begin:end], c.discharge_kw_max[begin:end], c.high_kwh[begin:end]]
    lows = [np.zeros(2 * size), c.low_kwh[begin:end], np.zeros(wishes.size)]
    high = np.concatenate([*highs, np.full(wishes.size, np.inf)])
    solved = linprog(
        cost,
        A_ub=kept,
        b_ub=-stage.true_level[wishes],
        A_eq=recursion,
        b_eq=first,
        bounds=list(zip(np.concatenate(lows).tolist(), high.tolist(), strict=True)),
    )
    assert solved.fun is not None
    return float(solved.fun)


def test_every_stores_best_answer_costs_what_the_linear_program_says() -> None:
    """At noisy prices, some clearly negative, the water values prove the exact least cost of each store."""
    inputs = street(cars=24, feeders=2, steps=48)
    rng = np.random.default_rng(5)
    stage = with_weights(build_program(inputs), (WISH_EUR, WISH_EUR, WISH_EUR, WISH_EUR), cost=True)
    nodes = stage.tree.kept.size
    price = inputs.import_price_eur_per_kwh * inputs.step_h + 0.06 * rng.standard_normal((nodes, 48))
    lam = water_values(stage, price)
    for s in range(len(inputs.stores)):
        assert abs(_bound(stage, price, s, lam) - _by_linear_program(stage, price, s)) < 1e-6
