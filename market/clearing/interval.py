"""Clearing one quarter-hour: from orders to fills, prices and the congestion rent.

Without a network every order is at one place and the auction decides. With one, the network's limits
do. An order that got less than its minimum leaves and the interval clears again: the worst limit price
first (what it is worth to the whole, per watt-hour: a buyer's limit, a seller's limit with the sign
turned), then the larger minimum, then the smaller SHA-256 of its id.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from controller.domain.ids import NodeId
from controller.domain.units import BoolArray, IntArray
from market.clearing.auction import auction
from market.clearing.envelope import Envelope
from market.clearing.result import Fill, IntervalResult
from market.clearing.ties import TieOrder, by_hash, in_group
from market.clearing.tree import clear_on_tree
from market.orders import OUTSIDE, Order, Side, sign_of
from market.prices import INTERVAL_QUANTITY_WH_MAX, amount_nanoeur


def clear(
    orders: Sequence[Order], envelope: Envelope | None = None, caps_wh: Mapping[str, int] | None = None
) -> IntervalResult:
    """Clears one quarter-hour.

    Args:
        orders: All orders of that quarter-hour, at least one, valid, with ids of their own, in any
            order: the result does not depend on it.
        envelope: The network's limits; None puts every order at one place.
        caps_wh: By order id, the most that may be filled of an order where that is less than its quantity
            (`market.links`, `market.caps`). It counts as its quantity; one with a cap of 0 is not in.

    Returns:
        A fill for every order, a price for every place, the congestion rent and the welfare.

    Raises:
        ValueError: If there are no orders, or they are of several quarter-hours, share an id, stand at
            a node that the envelope does not have, or add up to more than 64 bits carry.
    """
    ranked = sorted(orders, key=lambda order: order.order_id)
    _check(ranked, envelope)
    book = _Book.of(ranked, envelope, caps_wh or {})
    active = book.quantity_wh > 0
    while True:
        cleared = book.clear(active)
        leaving = book.leaving(active, cleared.filled_wh)
        if len(leaving) == 0:
            return _result(ranked, cleared)
        active[leaving] = False


def _check(orders: Sequence[Order], envelope: Envelope | None) -> None:
    if not orders:
        raise ValueError("there is nothing to clear: no orders")
    if len({order.interval_start for order in orders}) > 1:
        raise ValueError("orders of several quarter-hours cannot be cleared together")
    if len({order.order_id for order in orders}) < len(orders):
        raise ValueError("two orders have the same id")
    if sum(order.quantity_wh for order in orders) > INTERVAL_QUANTITY_WH_MAX:
        raise ValueError(f"the quantities add up to more than {INTERVAL_QUANTITY_WH_MAX} Wh")
    unknown = {order.node for order in orders} - set(envelope.position) if envelope else set()
    if unknown:
        raise ValueError(f"nodes that the envelope does not have: {', '.join(sorted(unknown))}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cleared:
    """Fills and prices, before they become a result."""

    filled_wh: IntArray
    price: dict[NodeId, int | None]
    steering: dict[NodeId, int]


@dataclass(frozen=True, kw_only=True)
class _Book:
    """The orders of the interval as arrays, in the order of their ids."""

    orders: Sequence[Order]
    envelope: Envelope | None
    node: IntArray
    is_buy: BoolArray
    price: IntArray
    quantity_wh: IntArray
    min_fill_wh: IntArray

    @classmethod
    def of(cls, orders: Sequence[Order], envelope: Envelope | None, caps_wh: Mapping[str, int]) -> _Book:
        places = [0 if envelope is None else envelope.position[order.node] for order in orders]
        return cls(
            orders=orders,
            envelope=envelope,
            node=np.array(places, dtype=np.int64),
            is_buy=np.array([order.side is Side.BUY for order in orders], dtype=np.bool_),
            price=np.array([order.limit_price_microeur_per_kwh for order in orders], dtype=np.int64),
            quantity_wh=np.array(
                [min(order.quantity_wh, caps_wh.get(order.order_id, order.quantity_wh)) for order in orders],
                dtype=np.int64,
            ),
            min_fill_wh=np.array([order.min_fill_wh for order in orders], dtype=np.int64),
        )

    def clear(self, active: BoolArray) -> _Cleared:
        """Clears those orders that are still in."""
        chosen = np.flatnonzero(active)
        filled = np.zeros(len(active), dtype=np.int64)
        columns = (self.is_buy[chosen], self.price[chosen], self.quantity_wh[chosen])
        tie_order = in_group(chosen, self.tie_order)
        price: dict[NodeId, int | None]
        if self.envelope is None:
            at_one_place = auction(*columns, tie_order)
            filled[chosen] = at_one_place.filled_wh
            uniform = at_one_place.price_microeur_per_kwh
            price = dict.fromkeys(sorted({OUTSIDE, *(order.node for order in self.orders)}), uniform)
            steering = {} if uniform is None else dict.fromkeys(price, uniform)
        elif len(chosen) == 0:
            price, steering = dict.fromkeys(self.envelope.order), {}
        else:
            inside = clear_on_tree(self.envelope.arrays, self.node[chosen], *columns, tie_order)
            filled[chosen] = inside.filled_wh
            steering = dict(zip(self.envelope.order, inside.price.tolist(), strict=True))
            traded = dict(zip(self.envelope.order, inside.traded.tolist(), strict=True))
            price = {place: value if traded[place] else None for place, value in steering.items()}
        return _Cleared(filled_wh=filled, price=price, steering=steering)

    def leaving(self, active: BoolArray, filled_wh: IntArray) -> IntArray:
        """The orders that leave now: those below their minimum, up to the first that had a share.

        One order leaves at a time. But where the whole group of its place, side and price got nothing,
        its leaving changes no fill, so the next can leave with it without clearing in between.
        """
        below = np.flatnonzero(active & (filled_wh < self.min_fill_wh))
        if len(below) == 0:
            return below
        worst_first = below[np.argsort(self.leave_rank[below])]
        got_some = np.zeros(len(active), dtype=np.bool_)
        got_some[self.group[filled_wh > 0]] = True
        shared = np.flatnonzero(got_some[self.group[worst_first]])
        return worst_first if len(shared) == 0 else worst_first[: shared[0] + 1]

    @cached_property
    def tie_order(self) -> TieOrder:
        """Who is first among equals in the whole book."""
        return by_hash([order.order_id for order in self.orders])

    @cached_property
    def group(self) -> IntArray:
        """A number for each place, side and price, from 0, shape (N,)."""
        numbers: dict[tuple[int, bool, int], int] = {}
        keys = zip(self.node.tolist(), self.is_buy.tolist(), self.price.tolist(), strict=True)
        return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)

    @cached_property
    def leave_rank(self) -> IntArray:
        """Who leaves before whom, 0 first, shape (N,)."""
        worth = np.where(self.is_buy, self.price, -self.price).tolist()
        keys = [
            (worth[i], -order.min_fill_wh, hashlib.sha256(order.order_id.encode()).digest())
            for i, order in enumerate(self.orders)
        ]
        rank = np.empty(len(keys), dtype=np.int64)
        rank[sorted(range(len(keys)), key=keys.__getitem__)] = np.arange(len(keys))
        return rank


def _result(orders: Sequence[Order], cleared: _Cleared) -> IntervalResult:
    """Money from fills: whole nano-euro, in Python's integers, which do not overflow."""
    fills, welfare, rent = [], 0, 0
    for order, filled_wh in zip(orders, cleared.filled_wh.tolist(), strict=True):
        sign = sign_of(order)
        price = cleared.price[order.node]
        amount = 0 if price is None else sign * amount_nanoeur(price, filled_wh)
        welfare += sign * amount_nanoeur(order.limit_price_microeur_per_kwh, filled_wh)
        rent += amount
        fills.append(
            Fill(
                order_id=order.order_id,
                filled_wh=filled_wh,
                price_microeur_per_kwh=price,
                amount_nanoeur=amount,
            )
        )
    if rent < 0:
        raise AssertionError(f"the members would be paid {-rent} nano-euro out of nothing")
    return IntervalResult(
        interval_start=orders[0].interval_start,
        price_microeur_per_kwh=cleared.price,
        fills=tuple(fills),
        congestion_rent_nanoeur=rent,
        welfare_nanoeur=welfare,
        steering_price_microeur_per_kwh=cleared.steering,
    )
