"""The linear program of one stage: chains, tree and hinges with their costs, in one vector.

Sections of the vector, in order (M chain steps, R roof steps, K kept nodes, T steps, J hinges):

    symbol     meaning                                    unit   length   bounds
    charge     charging power, at 3 k                     kW     M        0 .. maximum
    discharge  discharging power, at 3 k + 1              kW     M        0 .. maximum
    E          energy with trips added back, at 3 k + 2   kWh    M        floor .. capacity
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
from controller.dispatch.structured.chains import survey as survey_chains
from controller.dispatch.structured.layout import Chains, Wishes, flatten
from controller.dispatch.structured.network import TIGHT, Roofs, Tree, build_tree
from controller.dispatch.structured.team import ALONE, Part, Team, parts_of
from controller.domain.units import BoolArray, FloatArray, IntArray

KINK = 4
"""The kind of a hinge that is a root's kink between import and export price."""
EXCESS = 0
"""The kind of a hinge that is a soft limit; the kinds of wishes are in `layout`."""
STILL = 1e-9
"""An unknown with less room than this (kW, kWh) is fixed."""


@dataclass(kw_only=True)
class Point:
    """An iterate; its arrays are changed in place."""

    x: FloatArray
    """The unknowns, shape (n,)."""
    zl: FloatArray
    """Duals of the lower bounds, shape (n,)."""
    zu: FloatArray
    """Duals of the upper bounds, shape (n,)."""
    lam: FloatArray
    """Water values [EUR/kWh], shape (M,)."""
    price: FloatArray
    """Node prices times step length [EUR/kW], shape (K, T)."""
    omega: FloatArray
    """Slopes of the hinges, shape (J,)."""


@dataclass(frozen=True, kw_only=True)
class Residuals:
    """By how much the rows are off."""

    recursion: FloatArray
    """Energy recursions [kWh], shape (M,)."""
    balance: FloatArray
    """Node balances [kW], shape (K, T)."""
    hinge: FloatArray
    """Shape (J,)."""

    @property
    def worst(self) -> float:
        """The largest, kW or kWh."""
        return max(
            float(np.abs(self.recursion).max(initial=0.0)),
            float(np.abs(self.balance).max(initial=0.0)),
            float(np.abs(self.hinge).max(initial=0.0)),
        )


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What there is to know of a point before a step."""

    off: Residuals
    slope: FloatArray
    """The Lagrangian's slope in each unknown, without the bounds' duals, shape (n,)."""
    bound_eur: float
    """A lower bound of the program's cost."""
    cost_eur: float
    """The program's cost at the point."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """One stage's linear program."""

    steps: int
    chains: Chains
    tree: Tree
    roofs: Roofs
    chain_node: IntArray
    """The kept node of each store, shape (S,)."""
    order: IntArray
    """The stores, those of one part and one kept node together, shape (S,)."""
    low: FloatArray
    """Shape (n,)."""
    high: FloatArray
    """Shape (n,)."""
    least: FloatArray
    """Like `low`, but finite for node powers: for the run's own bound, shape (n,)."""
    most: FloatArray
    """Like `high`, the same."""
    true_least: FloatArray
    """Like `least`, without added room and fixed directions: for the proven bound, (n,)."""
    true_most: FloatArray
    """Like `most`, the same."""
    free: BoolArray
    """What may move, shape (n,)."""
    cost: FloatArray
    """EUR per unit, shape (n,)."""
    target: IntArray
    """The unknown each hinge is on, shape (J,)."""
    level: FloatArray
    """Shape (J,)."""
    true_level: FloatArray
    """Like `level`, without the margin that a stage may add: for the proven bound, shape (J,)."""
    kind: IntArray
    """KINK, EXCESS or a kind of wish, shape (J,)."""
    upward: BoolArray
    """Whether the hinge prices what is above its level; else what is below, shape (J,)."""
    weight: FloatArray
    """EUR per unit for a kink; kWh per unit for the others, shape (J,)."""
    margin: FloatArray
    """By how much a wish may be raised so that an interior point's last trace of a shortfall is none."""
    parts: tuple[Part, ...]
    """How loops over stores or unknowns are shared out."""
    team: Team
    """Who does them."""

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

    def survey(self, point: Point, slope: FloatArray | None = None, pull: FloatArray | None = None) -> Survey:
        """How far a point is from holding the rows, its slopes and its bound.

        Args:
            point: The point.
            slope: Room for the slopes, shape (n,), where the caller has some.
            pull: Room for what hinges add, up to the section of hinges.
        """
        return self._survey(point, point.omega, (self.least, self.most, self.level), slope, pull)

    def proven_bound(self, point: Point) -> float:
        """A lower bound of the stage's cost [EUR] without margins, added room or fixed directions.

        For fixed multipliers the Lagrangian's least value over the boxes is below the cost of every
        feasible plan (weak duality), whatever the multipliers are; over boxes it is a plain sum.
        """
        count, h = self.target.size, self.hinge_from
        omega = np.clip(point.omega, -self.cost[h + count :], self.cost[h : h + count])
        return self._survey(point, omega, (self.true_least, self.true_most, self.true_level)).bound_eur

    def _survey(
        self,
        point: Point,
        omega: FloatArray,
        boxes: tuple[FloatArray, FloatArray, FloatArray],
        slope: FloatArray | None = None,
        pull: FloatArray | None = None,
    ) -> Survey:
        c, tree, roofs = self.chains, self.tree, self.roofs
        m, p, h, count = 3 * c.step.size, self.node_from, self.hinge_from, self.target.size
        least, most, level = boxes
        x, price = point.x, point.price
        pull = np.empty(h) if pull is None else pull
        pull.fill(0.0)
        np.add.at(pull, self.target, omega)
        slope = np.empty_like(x) if slope is None else slope
        np.copyto(slope, self.cost)
        recursion, balance = np.empty(c.step.size), tree.base_kw.copy()
        energy_pull = pull[2:m:3].copy()

        def part_of(part: Part) -> tuple[float, FloatArray]:
            power = np.zeros_like(balance)
            stores = (c.first[part.edges], c.step, self.chain_node[part.stores], c.initial_kwh[part.stores])
            values = (c.gain, c.loss, self.cost, least, most, x, point.lam, price, energy_pull)
            return survey_chains(*stores, *values, recursion, power, slope), power

        bound = 0.0
        for least_eur, power in self.team.each(part_of, self.parts):
            bound += least_eur
            balance += power
        slope[m:p] -= price[roofs.node, roofs.step]
        passed = -price
        inner = tree.parent >= 0
        passed[inner] += price[tree.parent[inner]]
        slope[p:h] += passed.ravel() + pull[p:]
        slope[h : h + count] -= omega
        slope[h + count :] += omega
        bound += least_over_boxes(least[m:], most[m:], slope[m:h])
        bound += float((price * tree.base_kw).sum() - omega @ level)
        plugged = np.diff(c.first) > 0
        bound -= float(point.lam[c.first[:-1][plugged]] @ c.initial_kwh[plugged])
        return Survey(
            off=Residuals(recursion=recursion, balance=self._balance(x, balance), hinge=self._hinge(x)),
            slope=slope,
            bound_eur=bound,
            cost_eur=float(self.cost @ x),
        )

    def _balance(self, x: FloatArray, balance: FloatArray) -> FloatArray:
        """Adds roofs and node powers to a balance that has the stores."""
        np.subtract.at(balance, (self.roofs.node, self.roofs.step), x[3 * self.chain_steps : self.node_from])
        power = x[self.node_from : self.hinge_from].reshape(balance.shape)
        inner = self.tree.parent >= 0
        np.add.at(balance, self.tree.parent[inner], power[inner])
        balance -= power
        return balance

    def _hinge(self, x: FloatArray) -> FloatArray:
        """By how much the hinges' rows are off."""
        h, count = self.hinge_from, self.target.size
        return np.asarray(x[self.target] - self.level - x[h : h + count] + x[h + count :])

    def left_after(
        self, off: Residuals, dx: FloatArray, recursion: FloatArray, power: FloatArray
    ) -> Residuals:
        """What a full step leaves of the residuals: rounding, or more where rounding is large.

        Args:
            off: The residuals before.
            dx: The step.
            recursion: The chains' part, from `expand_chains`.
            power: The stores' power steps at their nodes, shape (K, T); used up.
        """
        count, h = self.target.size, self.hinge_from
        hinge = off.hinge + dx[self.target] - dx[h : h + count] + dx[h + count :]
        return Residuals(recursion=recursion, balance=off.balance + self._balance(dx, power), hinge=hinge)


def build_program(inputs: DispatchInputs, team: Team = ALONE) -> Program:
    """A problem without prices on its hinges; `with_weights` makes a stage of it.

    Args:
        inputs: The problem.
        team: Who does the loops.
    """
    chains, wishes = flatten(inputs)
    tree, roofs = build_tree(inputs, chains)
    m = chains.step.size
    node_from = 3 * m + roofs.step.size
    hinges = _hinges(inputs, tree, wishes, node_from=node_from)
    zero, zero_r = np.zeros(m), np.zeros(roofs.step.size)
    # A store that is held in one place leaves an interior point nothing to stand in.
    energy_high = np.maximum(chains.high_kwh, chains.low_kwh + TIGHT * np.maximum(1.0, chains.high_kwh))
    powers = (chains.charge_kw_max, chains.discharge_kw_max)
    lows = _woven(zero, zero, chains.low_kwh)
    free = np.ones(node_from + tree.base_kw.size, dtype=np.bool_)
    free[: 3 * m] = _woven(*powers, np.ones(m)) > STILL
    node_low = np.full_like(tree.low_kw, -np.inf) if tree.soft else tree.low_kw
    node_high = np.full_like(tree.high_kw, np.inf) if tree.soft else tree.high_kw
    low = np.concatenate([lows, zero_r, node_low.ravel()])
    high = np.concatenate([_woven(*powers, energy_high), roofs.available_kw, node_high.ravel()])
    least = np.concatenate([lows, zero_r, tree.least_kw.ravel()])
    most = np.concatenate([_woven(*powers, chains.high_kwh), roofs.available_kw, tree.most_kw.ravel()])
    parts = parts_of(chains.first, low.size)
    return Program(
        steps=inputs.steps,
        chains=chains,
        tree=tree,
        roofs=roofs,
        chain_node=tree.kept_of[chains.node],
        order=_by_node(tree.kept_of[chains.node], parts),
        low=low,
        high=high,
        least=np.where(np.isfinite(low), low, least),
        most=np.where(np.isfinite(high), high, most),
        true_least=least,
        true_most=most,
        free=free,
        cost=np.concatenate(
            [_woven(chains.charge_eur, chains.discharge_eur, zero), zero_r, _node_costs(inputs, tree)]
        ),
        target=hinges.target,
        level=hinges.level,
        true_level=hinges.level,
        kind=hinges.kind,
        upward=hinges.upward,
        weight=hinges.weight,
        margin=hinges.margin,
        parts=parts,
        team=team,
    )


def _by_node(node: IntArray, parts: tuple[Part, ...]) -> IntArray:
    """The stores of each part, those of one node together, shape (S,)."""
    within = [part.stores.start + np.argsort(node[part.stores], kind="stable") for part in parts]
    return np.concatenate(within).astype(np.int64)


def _woven(charge: FloatArray, discharge: FloatArray, energy: FloatArray) -> FloatArray:
    """The three unknowns of each chain step side by side, shape (3 M,)."""
    return np.stack([charge, discharge, energy], axis=1).ravel()


def with_weights(
    program: Program, weights: tuple[float, float, float, float], *, cost: bool, margin: bool = False
) -> Program:
    """One stage: a price per kWh on each kind of shortfall (excess, departure, final, minimum).

    Hinges without a price are left out.

    Args:
        program: From `build_program`.
        weights: EUR per kWh; 0 leaves a kind unpriced.
        cost: Whether the plan's own cost counts, or the shortfalls alone.
        margin: Whether wishes are raised by their margin; for a stage in which all can be had.
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
        free=np.concatenate([program.free[:h], np.ones(2 * priced.size, dtype=np.bool_)]),
        cost=np.concatenate([plain, *slopes]),
        target=program.target[priced],
        level=program.true_level[priced] + (program.margin[priced] if margin else 0.0),
        true_level=program.true_level[priced],
        kind=program.kind[priced],
        upward=upward,
        weight=program.weight[priced],
        margin=program.margin[priced],
        parts=parts_of(program.chains.first, h + 2 * priced.size),
    )


def totals(program: Program, x: FloatArray) -> tuple[float, float, float, float]:
    """The shortfalls of each kind [kWh] by a vector, beyond the unavoidable ones."""
    miss = np.where(program.upward, 1.0, -1.0) * (x[program.target] - program.true_level)
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
    margin: FloatArray


def _node_costs(inputs: DispatchInputs, tree: Tree) -> FloatArray:
    """EUR per kW through each kept node, flat (K * T,): roots buy or sell, the others pass on."""
    buys = tree.least_kw >= 0.0
    price = np.where(buys, inputs.import_price_eur_per_kwh, inputs.export_price_eur_per_kwh)
    root = (tree.parent < 0)[:, None]
    return np.where(root, price * inputs.step_h, 0.0).ravel()


def _hinges(inputs: DispatchInputs, tree: Tree, wishes: Wishes, *, node_from: int) -> _Hinges:
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
    targets.append(3 * wishes.entry + 2)
    levels.append(wishes.level_kwh)
    weights.append(np.ones(wishes.entry.size))
    kinds.append(wishes.kind)
    upward.append(np.zeros(wishes.entry.size, dtype=np.bool_))
    margin = np.zeros(sum(level.size for level in levels))
    margin[margin.size - wishes.entry.size :] = wishes.margin_kwh
    return _Hinges(
        margin=margin,
        target=np.concatenate(targets).astype(np.int64),
        level=np.concatenate(levels),
        kind=np.concatenate(kinds).astype(np.int64),
        upward=np.concatenate(upward),
        weight=np.concatenate(weights),
    )
