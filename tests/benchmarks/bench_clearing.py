"""The market's clearing against what it cannot do without: a sort of the prices, a solver's bare solve.

*Auction*: 100,000 orders at one place, arrays in and arrays out, against `np.argsort` of the same prices.
The number of different prices goes from 400,000 down to one: the fewer, the more orders tie at the margin,
and the less a sort has to do.

*Inside the network*: 40,000 orders on 500 nodes (a transformer, feeders, poles), against the time that HiGHS
takes for the linear programme in node-balance form once the model has been handed over: one row a node, a
column an order and a column an edge. Limits are drawn so that many bind; both must come to the same welfare.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable

import highspy
import numpy as np
from scipy.sparse import csc_array

from controller.domain.units import BoolArray, IntArray
from market.clearing import TreeClearing, auction, clear_on_tree
from market.clearing.envelope import TreeArrays
from market.clearing.ties import by_hash

ORDERS, REPEATS = 100_000, 25
TREE_ORDERS, NODES, FEEDERS, TREE_REPEATS = 40_000, 500, 24, 3
LEVELS = (400_000, 4_000, 400, 40, 4, 1)


def _seconds(repeats: int, *works: Callable[[], object]) -> list[float]:
    """The shortest time [s] of each, taken in turns: what else the machine does then hits all alike."""
    shortest = [math.inf] * len(works)
    for _ in range(repeats):
        for place, work in enumerate(works):
            begun = time.perf_counter()
            work()
            shortest[place] = min(shortest[place], time.perf_counter() - begun)
    return shortest


def _auctions() -> str:
    lines = [f"{'prices':>8}{'argsort ms':>12}{'auction ms':>12}{'ratio':>8}\n"]
    tie_order = by_hash([f"order-{number}" for number in range(ORDERS)])
    for levels in LEVELS:
        chance = np.random.default_rng(levels)
        price = chance.integers(-levels // 10, levels - levels // 10, ORDERS)
        is_buy, quantity = chance.random(ORDERS) < 0.5, chance.integers(1, 5_000, ORDERS)
        sort_s, auction_s = _seconds(
            REPEATS,
            lambda price=price: np.argsort(price),  # type: ignore[misc]
            lambda b=is_buy, p=price, q=quantity: auction(b, p, q, tie_order),  # type: ignore[misc]
        )
        lines.append(f"{levels:>8}{sort_s * 1e3:>12.2f}{auction_s * 1e3:>12.2f}{auction_s / sort_s:>8.2f}\n")
    return "".join(lines)


def _network(chance: np.random.Generator) -> TreeArrays:
    """A transformer, feeders below it, poles below those; limits [Wh] of which many bind."""
    parent = [-1, 0, *[1] * FEEDERS]
    parent += [2 + int(chance.integers(FEEDERS)) for _ in range(NODES - 1 - FEEDERS)]
    limits = np.concatenate(
        [[0, 4_000_000], chance.integers(100_000, 600_000, FEEDERS), chance.integers(2_000, 60_000, NODES)]
    )[: NODES + 1]
    return TreeArrays(parent=np.array(parent), import_wh=limits, export_wh=limits // 2)


def _linear_programme(
    tree: TreeArrays, node: IntArray, is_buy: BoolArray, price: IntArray, quantity: IntArray
) -> highspy.HighsLp:
    """Most welfare over fills and edge flows, with a balance at every place."""
    edges = np.arange(1, len(tree.parent))
    columns = np.concatenate([np.arange(len(node)), len(node) + np.repeat(edges - 1, 2)])
    rows = np.concatenate([node, np.column_stack([edges, tree.parent[1:]]).ravel()])
    sign = np.where(is_buy, 1.0, -1.0)
    values = np.concatenate([sign, np.tile([-1.0, 1.0], len(edges))])
    matrix = csc_array((values, (rows, columns)), shape=(len(tree.parent), len(node) + len(edges)))
    programme = highspy.HighsLp()
    programme.num_row_, programme.num_col_ = matrix.shape
    programme.sense_ = highspy.ObjSense.kMaximize
    programme.col_cost_ = np.concatenate([sign * price, np.zeros(len(edges))])
    programme.col_lower_ = np.concatenate([np.zeros(len(node)), -tree.export_wh[1:].astype(float)])
    programme.col_upper_ = np.concatenate([quantity.astype(float), tree.import_wh[1:].astype(float)])
    programme.row_lower_ = programme.row_upper_ = np.zeros(len(tree.parent))
    programme.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    programme.a_matrix_.start_, programme.a_matrix_.index_ = matrix.indptr, matrix.indices
    programme.a_matrix_.value_ = matrix.data
    return programme


def _inside() -> str:
    chance = np.random.default_rng(500)
    tree = _network(chance)
    node = chance.integers(1, NODES + 1, TREE_ORDERS)
    is_buy = chance.random(TREE_ORDERS) < 0.55
    price = chance.integers(-2_000, 40_000, TREE_ORDERS) * 10
    quantity = chance.integers(1, 3_000, TREE_ORDERS)
    tie_order = by_hash([f"order-{number}" for number in range(TREE_ORDERS)])
    cleared: list[TreeClearing] = []
    solver = highspy.Highs()  # type: ignore[no-untyped-call]
    programme = _linear_programme(tree, node, is_buy, price, quantity)
    highs_s = math.inf
    (ours_s,) = _seconds(
        TREE_REPEATS,
        lambda: cleared.append(clear_on_tree(tree, node, is_buy, price, quantity, tie_order)),
    )
    for _ in range(TREE_REPEATS):
        solver.clear()
        solver.setOptionValue("output_flag", False)
        solver.passModel(programme)
        (solve_s,) = _seconds(1, solver.run)
        highs_s = min(highs_s, solve_s)
    best, found = solver.getInfo().objective_function_value, cleared[-1]
    welfare = int((np.where(is_buy, 1, -1) * price * found.filled_wh).sum())
    full = (found.net_import_wh == tree.import_wh) | (found.net_import_wh == -tree.export_wh)
    return (
        f"{TREE_ORDERS} orders on {NODES} nodes, {int(full[1:].sum())} of them full: "
        f"clearing {ours_s * 1e3:.0f} ms, HiGHS {highs_s * 1e3:.0f} ms, "
        f"ratio {ours_s / highs_s:.2f}; welfare less the linear programme's, relative: "
        f"{(welfare - best) / best:.1e}\n"
    )


def main() -> None:
    """Prints both comparisons."""
    sys.stdout.write(_auctions() + _inside())


if __name__ == "__main__":
    main()
