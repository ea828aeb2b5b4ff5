"""Helpers of the market's tests: short ways to write orders, and a reference that shares no code.

The reference states the clearing as the linear programme of `formats.md` and hands it to HiGHS. It is
solved four times: for the largest welfare, for the largest volume at that welfare, and twice for the
dual, to find the lowest and the highest supporting price of every node.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from controller.domain.ids import MemberId, NodeId
from market.clearing import Envelope, EnvelopeNode
from market.orders import Order, Side

QUARTER_AT_NOON = datetime(2024, 6, 3, 12, 0, tzinfo=UTC)


def an_order(
    order_id: str,
    side: str,
    quantity_wh: int,
    price: int,
    node: str = "",
    *,
    min_fill_wh: int = 0,
    member: str = "",
    interval_start: datetime = QUARTER_AT_NOON,
) -> Order:
    """An order in few words; the member is named after the order where not given."""
    return Order(
        order_id=order_id,
        member=MemberId(member or f"member-{order_id}"),
        node=NodeId(node),
        side=Side(side),
        quantity_wh=quantity_wh,
        limit_price_microeur_per_kwh=price,
        interval_start=interval_start,
        min_fill_wh=min_fill_wh,
    )


def an_envelope(**nodes: tuple[str | None, int | None, int | None]) -> Envelope:
    """An envelope from `name=(parent, import_wh, export_wh)`."""
    return Envelope(
        tuple(
            EnvelopeNode(
                id=NodeId(name),
                parent=None if parent is None else NodeId(parent),
                import_wh=import_wh,
                export_wh=export_wh,
            )
            for name, (parent, import_wh, export_wh) in nodes.items()
        )
    )


@dataclass(frozen=True, kw_only=True)
class Reference:
    """What the linear programme says of an interval."""

    welfare_nanoeur: int
    volume_wh: int
    lowest: Mapping[str, int]
    """The lowest supporting price of each place."""
    highest: Mapping[str, int]


type _Matrix = NDArray[np.float64]


def reference_clearing(orders: Sequence[Order], envelope: Envelope) -> Reference:
    """Solves the clearing as a linear programme; minimum fills are not looked at."""
    places = ["", *(node.id for node in envelope.nodes)]
    row = {place: i for i, place in enumerate(places)}
    count = len(orders)
    balance = np.zeros((len(places), count + len(envelope.nodes)))
    sign = np.array([1.0 if order.side is Side.BUY else -1.0 for order in orders])
    limit = np.array([float(order.limit_price_microeur_per_kwh) for order in orders])
    for column, order in enumerate(orders):
        balance[row[order.node], column] = sign[column]
    bounds: list[tuple[float, float | None]] = [(0.0, float(order.quantity_wh)) for order in orders]
    for offset, node in enumerate(envelope.nodes):
        balance[row[node.id], count + offset] = -1.0
        balance[row[node.parent or ""], count + offset] = 1.0
        assert node.import_wh is not None
        assert node.export_wh is not None
        bounds.append((-float(node.export_wh), float(node.import_wh)))
    worth = np.concatenate([sign * limit, np.zeros(len(envelope.nodes))])
    best = -_minimum(-worth, None, (balance, np.zeros(len(places))), bounds)
    bought = np.concatenate([(sign > 0).astype(float), np.zeros(len(envelope.nodes))])
    # The clearing itself raises buyers' prices by half a micro-euro; here the welfare is held instead.
    volume = -_minimum(-bought, (-worth, -(best - 1e-6)), (balance, np.zeros(len(places))), bounds)
    lowest, highest = _supporting(orders, limit, worth, balance, bounds, best)
    return Reference(
        welfare_nanoeur=round(best),
        volume_wh=round(volume),
        lowest=dict(zip(places, lowest, strict=True)),
        highest=dict(zip(places, highest, strict=True)),
    )


def _minimum(
    cost: _Matrix,
    at_most: tuple[_Matrix, float] | None,
    equal: tuple[_Matrix, _Matrix],
    bounds: list[tuple[float, float | None]],
) -> float:
    """The least `cost @ x` with one inequality row, equality rows and bounds."""
    found = linprog(
        cost,
        A_ub=None if at_most is None else at_most[0][np.newaxis, :],
        b_ub=None if at_most is None else [at_most[1]],
        A_eq=equal[0],
        b_eq=equal[1],
        bounds=bounds,
        method="highs",
    )
    assert found.status == 0
    assert found.fun is not None
    return float(found.fun)


def _supporting(
    orders: Sequence[Order],
    limit: _Matrix,
    worth: _Matrix,
    balance: _Matrix,
    bounds: list[tuple[float, float | None]],
    best: float,
) -> tuple[list[int], list[int]]:
    """The extreme prices of each place over the dual's optimal face, within the limit prices.

    Dual: prices p free, per variable surplus u, l >= 0 with `worth - balance'p = u - l`; its value
    `sum(u * upper - l * lower)` equals the optimum.
    """
    places, columns = balance.shape
    upper = np.array([float(high or 0.0) for _, high in bounds])
    lower = np.array([low for low, _ in bounds])
    equal = np.hstack([balance.T, np.eye(columns), -np.eye(columns)])
    value = np.concatenate([np.zeros(places), upper, -lower])
    price_bounds: list[tuple[float, float | None]] = [(float(limit.min()), float(limit.max()))] * places
    free: list[tuple[float, float | None]] = [(0.0, None)] * (2 * columns)
    assert orders
    extremes: list[list[int]] = [[], []]
    for place in range(places):
        for end, direction in ((0, 1.0), (1, -1.0)):
            aim = np.zeros(places + 2 * columns)
            aim[place] = direction
            found = _minimum(aim, (value, best + 1e-6), (equal, worth), price_bounds + free)
            extremes[end].append(round(direction * found))
    return extremes[0], extremes[1]
