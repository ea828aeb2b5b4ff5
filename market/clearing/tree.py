"""Clearing inside the network's limits: exact, in integers, by merging curves up the tree.

The problem is a linear programme in node-balance form: choose fills within the quantities and a net
import per node within its limits, so that at every node purchases less sales equal what comes in from
the parent less what goes on to the children; make the welfare as large as possible, then the volume. Its
matrix is a network's, so some optimum is whole-numbered. On a tree no solver is needed to find it:

1. *Steps.* Orders at the same node, side and price are one step: within it any split is as good.
2. *A node's curve.* What a subtree wants to import falls as the price rises. At a very high price all its
   sellers sell: minus all they offer. Going down, each step adds its quantity: a buyer begins to buy, or
   a seller stops selling. So the curve is a start and a list of steps by falling price.
3. *Up the tree.* A node's curve is its own steps merged with its children's curves. Then its limits cut
   the curve at both ends: `-export` from the front, `import` from the back. This is exact because
   welfare is concave: cutting and merging are what the limits do to the welfare function's slopes.
4. *Down again.* The grid outside must balance: its net import is 0. A node's net import says how far down
   its list of steps one goes; what lies on the way is taken, and a child's share of it is the child's own
   net import.

Volume: a cycle of changes touches at most two orders, so it moves welfare by the difference of two whole
prices and volume by at most its size. Adding half a micro-euro to every buyer's price (prices are doubled
here, and buyers' made odd) therefore prefers volume among equals and never trades welfare for it.

Prices come from the optimum by complementary slackness. A price vector supports it if at every node it is
no lower than any filled seller or unfilled buyer and no higher than any filled buyer or unfilled seller;
and if a child is no dearer than its parent unless import is at its limit, no cheaper unless export is.
Such constraints compare two prices at most, so there is a lowest and a highest vector, found by
passing bounds up the tree and down again, and the floor of their midpoint supports too (the set is
closed under it: L-natural convexity, Murota, Discrete Convex Analysis, 2003, ch. 5). Finding the lowest
not above the highest proves the fills optimal, which is asserted every time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from controller.domain.units import BoolArray, IntArray
from market.clearing.auction import auction
from market.clearing.envelope import TreeArrays
from market.clearing.ties import TieOrder, by_position, in_group, pro_rata


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """Orders of one node, side and price taken together."""

    node: IntArray
    """Position in the tree, shape (S,)."""
    is_buy: BoolArray
    """Shape (S,)."""
    price: IntArray
    """Limit price [micro-euro/kWh], shape (S,)."""
    quantity_wh: IntArray
    """Shape (S,)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeClearing:
    """What clearing inside the network came to."""

    filled_wh: IntArray
    """Per order [Wh], shape (N,)."""
    lowest: IntArray
    """The lowest supporting price of each place [micro-euro/kWh], shape (K,), kept within the interval's
    lowest and highest limit price."""
    highest: IntArray
    """The highest, shape (K,)."""
    traded: BoolArray
    """Whether anything was filled at a place, shape (K,)."""
    net_import_wh: IntArray
    """What crosses from the parent into each node, shape (K,); 0 for the grid outside."""
    bound: bool
    """Whether limits changed the outcome: the auction at one place would have broken one."""

    @property
    def price(self) -> IntArray:
        """The price of each place: the floor of the midpoint, shape (K,)."""
        return (self.lowest + self.highest) >> 1


def clear_on_tree(
    tree: TreeArrays,
    node: IntArray,
    is_buy: BoolArray,
    price_microeur_per_kwh: IntArray,
    quantity_wh: IntArray,
    tie_order: TieOrder,
) -> TreeClearing:
    """Clears one interval inside the network's limits.

    First as if there were none; only where that breaks a limit, over the tree.

    Args:
        tree: The network, shape (K,) arrays.
        node: Each order's place, a position in the tree, shape (N,), N >= 1.
        is_buy: True for buyers, shape (N,).
        price_microeur_per_kwh: Limit prices, shape (N,).
        quantity_wh: Positive quantities [Wh], shape (N,).
        tie_order: Who is first among equal remainders.

    Returns:
        Fills, supporting prices and flows.
    """
    steps, step_of = _group(node, is_buy, price_microeur_per_kwh, quantity_wh)
    taken = auction(steps.is_buy, steps.price, steps.quantity_wh, by_position).filled_wh
    flow = _net_imports(tree, steps, taken)
    bound = bool(np.any(flow[1:] > tree.import_wh[1:]) or np.any(flow[1:] < -tree.export_wh[1:]))
    if bound:
        taken = _fill_steps(tree, steps)
        flow = _net_imports(tree, steps, taken)
    lowest, highest = _supporting_prices(tree, steps, taken, flow)
    return TreeClearing(
        filled_wh=_split_steps(step_of, steps, taken, quantity_wh, tie_order),
        lowest=lowest,
        highest=highest,
        traded=np.bincount(steps.node[taken > 0], minlength=len(tree.parent)) > 0,
        net_import_wh=flow,
        bound=bound,
    )


def _group(
    node: IntArray, is_buy: BoolArray, price: IntArray, quantity_wh: IntArray
) -> tuple[Steps, IntArray]:
    """Puts orders of equal node, side and price together; gives the steps and each order's step."""
    order = np.lexsort((price, is_buy, node))
    columns = (node[order], is_buy[order], price[order])
    fresh = np.ones(len(order), dtype=np.bool_)
    fresh[1:] = np.any([column[1:] != column[:-1] for column in columns], axis=0)
    first = np.flatnonzero(fresh)
    step_of = np.empty(len(order), dtype=np.int64)
    step_of[order] = np.cumsum(fresh) - 1
    steps = Steps(
        node=columns[0][first],
        is_buy=columns[1][first],
        price=columns[2][first],
        quantity_wh=np.add.reduceat(quantity_wh[order], first),
    )
    return steps, step_of


def _net_imports(tree: TreeArrays, steps: Steps, taken_wh: IntArray) -> IntArray:
    """What crosses into each node when the steps are filled so: its subtree's purchases less its sales."""
    net = np.zeros(len(tree.parent), dtype=np.int64)
    np.add.at(net, steps.node, np.where(steps.is_buy, taken_wh, -taken_wh))
    parents = tree.parent.tolist()
    for child in range(len(parents) - 1, 0, -1):
        net[parents[child]] += net[child]
    return net


@dataclass(frozen=True, slots=True)
class _Curve:
    """What a place wants to import, by falling price."""

    start_wh: int
    """At a price above all: minus all that may be exported."""
    rank: IntArray
    """Doubled prices (buyers' odd), falling."""
    quantity_wh: IntArray
    """What each step adds."""
    source: IntArray
    """Where a step came from: its own number, or -1 - child for a child's."""

    def cut(self, export_wh: int, import_wh: int) -> _Curve:
        """The curve with what lies beyond the limits taken off at both ends."""
        reached = self.start_wh + np.cumsum(self.quantity_wh)
        before = reached - self.quantity_wh
        left = np.minimum(reached, import_wh) - np.maximum(before, -export_wh)
        stays = left > 0
        return _Curve(max(self.start_wh, -export_wh), self.rank[stays], left[stays], self.source[stays])

    def take(self, net_import_wh: int) -> IntArray:
        """How much of each step is taken to arrive at a net import."""
        before = self.start_wh + np.cumsum(self.quantity_wh) - self.quantity_wh
        taken: IntArray = np.clip(net_import_wh - before, 0, self.quantity_wh)
        return taken


def _merge(curves: Iterable[_Curve]) -> _Curve:
    """One curve of several; equal prices keep the order in which the curves are given."""
    parts = list(curves)
    rank = np.concatenate([curve.rank for curve in parts])
    # The stable sort finds the runs that are sorted already and merges them.
    order = np.argsort(-rank, kind="stable")
    return _Curve(
        sum(curve.start_wh for curve in parts),
        rank[order],
        np.concatenate([curve.quantity_wh for curve in parts])[order],
        np.concatenate([curve.source for curve in parts])[order],
    )


def _own_curves(size: int, steps: Steps) -> list[_Curve]:
    """Each place's own steps as a curve; `steps` are sorted by node."""
    rank = 2 * steps.price + steps.is_buy
    edges = np.searchsorted(steps.node, np.arange(size + 1)).tolist()
    curves = []
    for first, last in pairwise(edges):
        falling = first + np.argsort(-rank[first:last], kind="stable")
        quantity = steps.quantity_wh[falling]
        sold = int(quantity[~steps.is_buy[falling]].sum())
        curves.append(_Curve(-sold, rank[falling], quantity, falling))
    return curves


def _fill_steps(tree: TreeArrays, steps: Steps) -> IntArray:
    """The fills of an optimal clearing, shape (S,): curves up the tree, net imports down again."""
    size = len(tree.parent)
    parents, imports, exports = tree.parent.tolist(), tree.import_wh.tolist(), tree.export_wh.tolist()
    waiting: list[list[_Curve]] = [[curve] for curve in _own_curves(size, steps)]
    merged: list[_Curve] = [waiting[0][0]] * size
    start_of = [0] * size
    for place in range(size - 1, -1, -1):
        merged[place] = _merge(waiting[place]) if len(waiting[place]) > 1 else waiting[place][0]
        if place:
            seen = merged[place].cut(exports[place], imports[place])
            start_of[place] = seen.start_wh
            child = np.full(len(seen.rank), -1 - place, dtype=np.int64)
            waiting[parents[place]].append(_Curve(seen.start_wh, seen.rank, seen.quantity_wh, child))
        waiting[place] = []
    flow = np.array(start_of, dtype=np.int64)
    passed = np.zeros(len(steps.node), dtype=np.int64)
    for place in range(size):
        curve = merged[place]
        take = curve.take(int(flow[place]))
        own = curve.source >= 0
        passed[curve.source[own]] = take[own]
        np.add.at(flow, -1 - curve.source[~own], take[~own])
    return np.where(steps.is_buy, passed, steps.quantity_wh - passed)


def _supporting_prices(
    tree: TreeArrays, steps: Steps, taken_wh: IntArray, flow_wh: IntArray
) -> tuple[IntArray, IntArray]:
    """The lowest and the highest price vector that support the fills, within the interval's limit prices."""
    size = len(tree.parent)
    low = np.full(size, steps.price.min(), dtype=np.int64)
    high = np.full(size, steps.price.max(), dtype=np.int64)
    some, short = taken_wh > 0, taken_wh < steps.quantity_wh
    at_least = np.where(steps.is_buy, short, some)
    at_most = np.where(steps.is_buy, some, short)
    np.maximum.at(low, steps.node[at_least], steps.price[at_least])
    np.minimum.at(high, steps.node[at_most], steps.price[at_most])
    lows, highs, parents = low.tolist(), high.tolist(), tree.parent.tolist()
    not_dearer = (flow_wh < tree.import_wh).tolist()
    not_cheaper = (flow_wh > -tree.export_wh).tolist()
    for child in range(size - 1, 0, -1):
        parent = parents[child]
        if not_dearer[child]:
            lows[parent] = max(lows[parent], lows[child])
        if not_cheaper[child]:
            highs[parent] = min(highs[parent], highs[child])
    for child in range(1, size):
        parent = parents[child]
        if not_cheaper[child]:
            lows[child] = max(lows[child], lows[parent])
        if not_dearer[child]:
            highs[child] = min(highs[child], highs[parent])
    lowest, highest = np.array(lows, dtype=np.int64), np.array(highs, dtype=np.int64)
    if np.any(lowest > highest):
        raise AssertionError("the fills are not optimal: no price supports them")
    return lowest, highest


def _split_steps(
    step_of: IntArray, steps: Steps, taken_wh: IntArray, quantity_wh: IntArray, tie_order: TieOrder
) -> IntArray:
    """Hands each step's fill out to its orders, pro rata where it is neither nothing nor everything."""
    filled = np.where(taken_wh[step_of] == steps.quantity_wh[step_of], quantity_wh, 0)
    partial = np.flatnonzero((taken_wh > 0) & (taken_wh < steps.quantity_wh))
    by_step = np.argsort(step_of, kind="stable")
    ordered = step_of[by_step]
    for step in partial.tolist():
        first, last = np.searchsorted(ordered, [step, step + 1])
        members = by_step[first:last]
        filled[members] = pro_rata(int(taken_wh[step]), quantity_wh[members], in_group(members, tie_order))
    return filled
