"""The linear program of one stage: chains, tree and hinges with their costs, in one vector.

Sections of the vector, in order (M chain steps, R roof steps, K kept nodes, T steps, J hinges):

    symbol     meaning                                    unit   length   bounds
    charge     charging power                             kW     M        0 .. maximum
    discharge  discharging power                          kW     M        0 .. maximum
    E          energy with trips added back               kWh    M        floor .. capacity
    roof       production kept                            kW     R        0 .. available
    P          power through a node                       kW     K * T    limits, where they could bind
    above      part of a hinge's target above its level   *      J        0 .. infinity
    below      part of a hinge's target below its level   *      J        0 .. infinity

Rows and their multipliers:

    lam    E[k] - E[k-1] - gain charge + loss discharge = 0          (M)     EUR/kWh: the water value
    price  sum of what hangs at a node + children - P = 0            (K, T)  EUR/kW: node price times h
    omega  target - level - above + below = 0                        (J)

A hinge prices `above` and `below` differently. Three things are hinges: the root's kink between the
import and the export price, a wish for a level of energy, a soft limit of a node.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from controller.dispatch.inputs import DispatchInputs
from controller.dispatch.structured.boxes import least_over_boxes
from controller.dispatch.structured.chains import chain_gradients
from controller.dispatch.structured.layout import Chains, Wishes, flatten
from controller.dispatch.structured.network import TIGHT, Roofs, Tree, build_tree
from controller.domain.units import BoolArray, FloatArray, IntArray

KINK = 4
"""The kind of a hinge that is a root's kink between import and export price."""
EXCESS = 0
"""The kind of a hinge that is a soft limit; the kinds of wishes are in `layout`."""
STILL = 1e-9
"""An unknown with less room than this (kW, kWh) is fixed."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """One stage's linear program."""

    steps: int
    chains: Chains
    tree: Tree
    roofs: Roofs
    chain_node: IntArray
    """The kept node of each store, shape (S,)."""
    low: FloatArray
    """Shape (n,)."""
    high: FloatArray
    """Shape (n,)."""
    least: FloatArray
    """Like `low`, but finite for node powers and without added room: for the proven bound, shape (n,)."""
    most: FloatArray
    """Like `high`, the same."""
    free: BoolArray
    """What may move, shape (n,)."""
    cost: FloatArray
    """EUR per unit, shape (n,)."""
    target: IntArray
    """The unknown each hinge is on, shape (J,)."""
    level: FloatArray
    """Shape (J,)."""
    kind: IntArray
    """KINK, EXCESS or a kind of wish, shape (J,)."""
    upward: BoolArray
    """Whether the hinge prices what is above its level; else what is below, shape (J,)."""
    weight: FloatArray
    """EUR per unit for a kink; kWh per unit for the others, shape (J,)."""

    @property
    def chain_steps(self) -> int:
        """M."""
        return int(self.chains.step.size)

    @property
    def node_from(self) -> int:
        """Where the section P begins."""
        return 3 * self.chain_steps + int(self.roofs.step.size)

    @property
    def hinge_from(self) -> int:
        """Where the section `above` begins."""
        return self.node_from + self.tree.base_kw.size

    def gradient(self, lam: FloatArray, price: FloatArray, omega: FloatArray) -> FloatArray:
        """The slope of the Lagrangian in each unknown, without the bounds' duals, shape (n,)."""
        out = self.cost.copy()
        c = self.chains
        chain_gradients(c.first, c.step, self.chain_node, c.gain, c.loss, self.cost, lam, price, out)
        m, p, h = 3 * c.step.size, self.node_from, self.hinge_from
        out[m:p] -= price[self.roofs.node, self.roofs.step]
        slope = -price
        inner = self.tree.parent >= 0
        slope[inner] += price[self.tree.parent[inner]]
        out[p:h] += slope.ravel()
        np.add.at(out, self.target, omega)
        count = self.target.size
        out[h : h + count] -= omega
        out[h + count :] += omega
        return out

    def bound(self, lam: FloatArray, price: FloatArray, omega: FloatArray) -> float:
        """A proven lower bound of the stage's cost [EUR], whatever the multipliers are.

        For fixed multipliers the Lagrangian's least value over the boxes is below the cost of every
        feasible plan (weak duality), and over boxes it is a plain sum.
        """
        count, h = self.target.size, self.hinge_from
        omega = np.clip(omega, -self.cost[h + count :], self.cost[h : h + count])
        slope = self.gradient(lam, price, omega)
        constant = float((price * self.tree.base_kw).sum() - omega @ self.level)
        begins = self.chains.first[:-1][np.diff(self.chains.first) > 0]
        constant -= float(lam[begins] @ self.chains.initial_kwh[np.diff(self.chains.first) > 0])
        return constant + least_over_boxes(self.least[:h], self.most[:h], slope[:h])


def build_program(inputs: DispatchInputs) -> Program:
    """A problem without prices on its hinges; `with_weights` makes a stage of it."""
    chains, wishes = flatten(inputs)
    tree, roofs = build_tree(inputs, chains)
    m, steps = chains.step.size, inputs.steps
    node_from = 3 * m + roofs.step.size
    hinges = _hinges(inputs, tree, wishes, energy_from=2 * m, node_from=node_from)
    zero_m, zero_r = np.zeros(m), np.zeros(roofs.step.size)
    # A store that is held in one place leaves an interior point nothing to stand in.
    energy_high = np.maximum(chains.high_kwh, chains.low_kwh + TIGHT * np.maximum(1.0, chains.high_kwh))
    powers = [chains.charge_kw_max, chains.discharge_kw_max]
    free = np.ones(node_from + tree.base_kw.size, dtype=np.bool_)
    free[: 2 * m] = np.concatenate(powers) > STILL
    node_low = np.full_like(tree.low_kw, -np.inf) if tree.soft else tree.low_kw
    node_high = np.full_like(tree.high_kw, np.inf) if tree.soft else tree.high_kw
    return Program(
        steps=inputs.steps,
        chains=chains,
        tree=tree,
        roofs=roofs,
        chain_node=tree.kept_of[chains.node],
        low=np.concatenate([zero_m, zero_m, chains.low_kwh, zero_r, node_low.ravel()]),
        high=np.concatenate([*powers, energy_high, roofs.available_kw, node_high.ravel()]),
        least=np.concatenate([zero_m, zero_m, chains.low_kwh, zero_r, tree.least_kw.ravel()]),
        most=np.concatenate([*powers, chains.high_kwh, roofs.available_kw, tree.most_kw.ravel()]),
        free=free,
        cost=np.concatenate(
            [chains.charge_eur, chains.discharge_eur, zero_m, zero_r, _node_costs(inputs, tree)]
        ),
        target=hinges.target,
        level=hinges.level,
        kind=hinges.kind,
        upward=hinges.upward,
        weight=hinges.weight,
    )


def with_weights(program: Program, weights: tuple[float, float, float, float], *, cost: bool) -> Program:
    """One stage: a price per kWh on each kind of shortfall (excess, departure, final, minimum).

    Hinges without a price are left out.

    Args:
        program: From `build_program`.
        weights: EUR per kWh; 0 leaves a kind unpriced.
        cost: Whether the plan's own cost counts, or the shortfalls alone.
    """
    # The kink is stored with its own price, the kinds of shortfall by their index.
    per_kind = np.array([*weights, 1.0 if cost else 0.0])
    price = program.weight * per_kind[program.kind]
    priced = np.flatnonzero(price > 0.0)
    price, upward, h = price[priced], program.upward[priced], program.hinge_from
    zero, infinite = np.zeros(2 * priced.size), np.full(2 * priced.size, np.inf)
    plain = program.cost[:h] if cost else np.zeros(h)
    slopes = [np.where(upward, price, 0.0), np.where(upward, 0.0, price)]
    return replace(
        program,
        low=np.concatenate([program.low[:h], zero]),
        high=np.concatenate([program.high[:h], infinite]),
        least=np.concatenate([program.least[:h], zero]),
        most=np.concatenate([program.most[:h], infinite]),
        free=np.concatenate([program.free[:h], np.ones(2 * priced.size, dtype=np.bool_)]),
        cost=np.concatenate([plain, *slopes]),
        target=program.target[priced],
        level=program.level[priced],
        kind=program.kind[priced],
        upward=upward,
        weight=program.weight[priced],
    )


def totals(program: Program, x: FloatArray) -> tuple[float, float, float, float]:
    """The shortfalls of each kind [kWh] by a vector's energies and node powers, beyond the unavoidable ones."""
    miss = np.where(program.upward, 1.0, -1.0) * (x[program.target] - program.level)
    kwh = np.maximum(miss, 0.0) * program.weight
    by_kind = np.bincount(program.kind, weights=kwh, minlength=KINK + 1)
    return (float(by_kind[0]), float(by_kind[1]), float(by_kind[2]), float(by_kind[3]))


@dataclass(frozen=True, kw_only=True)
class _Hinges:
    """As in `Program`."""

    target: IntArray
    level: FloatArray
    kind: IntArray
    upward: BoolArray
    weight: FloatArray


def _node_costs(inputs: DispatchInputs, tree: Tree) -> FloatArray:
    """EUR per kW through each kept node, flat (K * T,): roots buy or sell, the others pass on."""
    buys = tree.least_kw >= 0.0
    price = np.where(buys, inputs.import_price_eur_per_kwh, inputs.export_price_eur_per_kwh)
    root = (tree.parent < 0)[:, None]
    return np.where(root, price * inputs.step_h, 0.0).ravel()


def _hinges(
    inputs: DispatchInputs, tree: Tree, wishes: Wishes, *, energy_from: int, node_from: int
) -> _Hinges:
    spread = (inputs.import_price_eur_per_kwh - inputs.export_price_eur_per_kwh) * inputs.step_h
    both_ways = (tree.parent < 0)[:, None] & (tree.least_kw < 0.0) & (tree.most_kw > 0.0)
    node, step = np.nonzero(both_ways & (spread > 1e-12))
    targets = [node_from + node * inputs.steps + step]
    levels, weights = [np.zeros(node.size)], [spread[step]]
    kinds, upward = [np.full(node.size, KINK)], [np.ones(node.size, dtype=np.bool_)]
    if tree.soft:
        for limit, is_import in ((tree.high_kw, True), (tree.low_kw, False)):
            node, step = np.nonzero(np.isfinite(limit))
            targets.append(node_from + node * inputs.steps + step)
            levels.append(limit[node, step])
            weights.append(inputs.step_h[step])
            kinds.append(np.full(node.size, EXCESS))
            upward.append(np.full(node.size, is_import))
    targets.append(energy_from + wishes.entry)
    levels.append(wishes.level_kwh)
    weights.append(np.ones(wishes.entry.size))
    kinds.append(wishes.kind)
    upward.append(np.zeros(wishes.entry.size, dtype=np.bool_))
    return _Hinges(
        target=np.concatenate(targets).astype(np.int64),
        level=np.concatenate(levels),
        kind=np.concatenate(kinds).astype(np.int64),
        upward=np.concatenate(upward),
        weight=np.concatenate(weights),
    )
