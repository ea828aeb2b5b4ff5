"""The tree of nodes as the interior point sees it: only the limits that could ever bind.

A node's power lies between what everything under it could do together. Where that range is inside the
limits in every step, the node can be left out and what hangs under it belongs to the node above: a
street's sixty feeders often shrink to the few with too many chargers. Roots stay, they carry the price.

If idling breaks a limit somewhere (fixed load alone is over it), limits become *soft*: hinges that
price the excess, at every node, since relief at one may be bought by excess at another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from controller.dispatch.inputs import DispatchInputs
from controller.dispatch.structured.layout import Chains
from controller.domain.units import BoolArray, FloatArray, IntArray

TIGHT = 1e-7
"""Room made beyond a limit that leaves none, relative: a tenth of what counts as keeping it (1e-6)."""


@dataclass(frozen=True, kw_only=True)
class Tree:
    """The kept nodes, K of them, children before parents."""

    kept: IntArray
    """Their places in the inputs, shape (K,)."""
    kept_of: IntArray
    """For each node of the inputs the kept node that stands for it, shape (N,)."""
    parent: IntArray
    """The kept parent, -1 for a root, shape (K,)."""
    base_kw: FloatArray
    """What flows at the node itself and nobody steers, shape (K, T)."""
    low_kw: FloatArray
    """Least power through the node where that could bind, else -infinity, shape (K, T)."""
    high_kw: FloatArray
    """Most power through the node where that could bind, else infinity, shape (K, T)."""
    least_kw: FloatArray
    """What everything under the node could do at least, within limits, shape (K, T)."""
    most_kw: FloatArray
    """What everything under the node could do at most, within limits, shape (K, T)."""
    soft: bool
    """Whether limits may be exceeded at a price."""


@dataclass(frozen=True, kw_only=True)
class Roofs:
    """Steps of roofs that can be turned down, R of them."""

    roof: IntArray
    """Index into the inputs' `pv`, shape (R,)."""
    step: IntArray
    """Shape (R,)."""
    node: IntArray
    """The kept node, shape (R,)."""
    available_kw: FloatArray
    """Shape (R,)."""


def own_fixed_kw(inputs: DispatchInputs) -> FloatArray:
    """What flows at each node itself whatever is planned, standby included, shape (N, T)."""
    fixed = np.zeros((len(inputs.nodes), inputs.steps))
    for load in inputs.fixed:
        fixed[inputs.node_index[load.node]] += load.power_kw
    for roof in inputs.pv:
        if not roof.curtailable:
            fixed[inputs.node_index[roof.node]] -= roof.available_kw
    for store in inputs.stores:
        if store.standby_kw:
            row = fixed[inputs.node_index[store.node]]
            for stay in store.stays:
                row[stay.from_step : stay.to_step] += store.standby_kw
    return fixed


def limits_kw(inputs: DispatchInputs) -> tuple[FloatArray, FloatArray]:
    """The least and the most power of each node that its limits allow, shapes (N, T)."""
    low = -np.stack([node.export_limit_kw for node in inputs.nodes])
    high = np.stack([node.import_limit_kw for node in inputs.nodes])
    return low, high


def up_the_tree(inputs: DispatchInputs, own_kw: FloatArray) -> FloatArray:
    """The sum of what hangs under each node, shape (N, T)."""
    total = own_kw.copy()
    parents = inputs.parent_index
    for place in reversed(inputs.parents_first):
        if parents[place] >= 0:
            total[parents[place]] += total[place]
    return total


def build_tree(inputs: DispatchInputs, chains: Chains) -> tuple[Tree, Roofs]:
    """The kept nodes and the roofs that can be turned down."""
    fixed = own_fixed_kw(inputs)
    low, high = limits_kw(inputs)
    idle = up_the_tree(inputs, fixed)
    soft = bool(((idle > high + 1e-9) | (idle < low - 1e-9)).any())
    down, up = _flexible_kw(inputs, chains)
    least, most, low_own, high_own = _ranges(inputs, fixed - down, fixed + up, low, high, soft=soft)
    bites_low, bites_high = low_own < low, high_own > high
    if not soft:
        # A limit without any room leaves an interior point nothing to stand in.
        high = np.where(bites_high, np.maximum(high, low_own + TIGHT * np.maximum(1.0, np.abs(high))), high)
        low = np.where(bites_low, np.minimum(low, high_own - TIGHT * np.maximum(1.0, np.abs(low))), low)
    kept, kept_of, parent = _keep(inputs, (bites_low | bites_high).any(axis=1))
    base = np.zeros((kept.size, inputs.steps))
    np.add.at(base, kept_of, fixed)
    tree = Tree(
        kept=kept,
        kept_of=kept_of,
        parent=parent,
        base_kw=base,
        low_kw=np.where(bites_low, low, -np.inf)[kept],
        high_kw=np.where(bites_high, high, np.inf)[kept],
        least_kw=least[kept],
        most_kw=most[kept],
        soft=soft,
    )
    return tree, _roofs(inputs, kept_of)


def _flexible_kw(inputs: DispatchInputs, chains: Chains) -> tuple[FloatArray, FloatArray]:
    """By how much stores and roofs at each node could lower and raise its power, shapes (N, T)."""
    shape = (len(inputs.nodes), inputs.steps)
    cell = chains.node[chains.store] * inputs.steps + chains.step
    size = shape[0] * shape[1]
    # Without stores bincount counts in whole numbers.
    up = np.bincount(cell, weights=chains.charge_kw_max, minlength=size).astype(np.float64).reshape(shape)
    down = (
        np.bincount(cell, weights=chains.discharge_kw_max, minlength=size).astype(np.float64).reshape(shape)
    )
    for roof in inputs.pv:
        if roof.curtailable:
            down[inputs.node_index[roof.node]] += roof.available_kw
    return down, up


def _ranges(
    inputs: DispatchInputs,
    least_own: FloatArray,
    most_own: FloatArray,
    low: FloatArray,
    high: FloatArray,
    *,
    soft: bool,
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Ranges of node power: within the limits of the node itself, and before those."""
    least, most = least_own.copy(), most_own.copy()
    least_free, most_free = np.empty_like(least), np.empty_like(most)
    parents = inputs.parent_index
    for place in reversed(inputs.parents_first):
        least_free[place], most_free[place] = least[place], most[place]
        if not soft:
            least[place] = np.minimum(np.maximum(least[place], low[place]), most[place])
            most[place] = np.maximum(np.minimum(most[place], high[place]), least[place])
        if parents[place] >= 0:
            least[parents[place]] += least[place]
            most[parents[place]] += most[place]
    return least, most, least_free, most_free


def _keep(inputs: DispatchInputs, bites: BoolArray) -> tuple[IntArray, IntArray, IntArray]:
    """Which nodes stay, which one stands for each node, and each kept node's parent."""
    parents = inputs.parent_index
    stands = np.empty(len(inputs.nodes), dtype=np.int64)
    kept: list[int] = []
    for place in inputs.parents_first:
        if parents[place] < 0 or bites[place]:
            stands[place] = place
            kept.append(place)
        else:
            stands[place] = stands[parents[place]]
    kept.reverse()
    rank = np.full(len(inputs.nodes), -1, dtype=np.int64)
    rank[kept] = np.arange(len(kept))
    above = [int(rank[stands[parents[p]]]) if parents[p] >= 0 else -1 for p in kept]
    return np.array(kept, dtype=np.int64), rank[stands], np.array(above, dtype=np.int64)


def _roofs(inputs: DispatchInputs, kept_of: IntArray) -> Roofs:
    roofs = [(i, roof) for i, roof in enumerate(inputs.pv) if roof.curtailable]
    available = np.array([roof.available_kw for _, roof in roofs]).reshape(len(roofs), inputs.steps)
    row, step = np.nonzero(available > 0.0)
    place = np.array([i for i, _ in roofs], dtype=np.int64)
    node = np.array([kept_of[inputs.node_index[roof.node]] for _, roof in roofs], dtype=np.int64)
    return Roofs(
        roof=place[row], step=step.astype(np.int64), node=node[row], available_kw=available[row, step]
    )
