"""What members pay for the same fills: their own limit prices, or one price for a community.

*Pay as bid*: each fill at its own limit price. What buyers pay above what sellers take, which is the whole
welfare, goes to the community's account.

*Community price*: nodal prices steer devices, but residents need not pay more because their cable is full.
Each pays and gets one price P, a buyer at most and a seller at least the own limit price; the supplier
trades as cleared. P is the volume-weighted mean of what members paid and got by nodal prices, moved no
further than it takes that the community does not pay in. The sum is concave in P (a buyer's payment grows
until the limit, a seller's from it on), so that the nearest such P is found by halving; where there is none,
nodal prices stand. What is left is the congestion rent, which is handed back by connection.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum

from market.clearing.result import IntervalResult
from market.orders import OUTSIDE, SUPPLIER, Order, Side, sign_of
from market.prices import amount_nanoeur


class Pricing(StrEnum):
    """What residents pay where limits make prices differ from place to place."""

    COMMUNITY = "community"
    """One price for all; the congestion rent is returned per connection."""
    NODAL = "nodal"


type _PriceOf = Callable[[Order], int]


def _repriced(result: IntervalResult, orders: Sequence[Order], price_of: _PriceOf) -> IntervalResult:
    """The same fills at other prices; the rent is what is left over."""
    by_id = {order.order_id: order for order in orders}
    fills = []
    for fill in result.fills:
        order = by_id[fill.order_id]
        price = price_of(order) if fill.filled_wh else fill.price_microeur_per_kwh
        amount = amount_nanoeur(price, sign_of(order) * fill.filled_wh) if price is not None else 0
        fills.append(replace(fill, price_microeur_per_kwh=price, amount_nanoeur=amount))
    rent = sum(fill.amount_nanoeur for fill in fills)
    if rent < 0:
        raise AssertionError(f"the members would be paid {-rent} nano-euro out of nothing")
    return replace(result, fills=tuple(fills), congestion_rent_nanoeur=rent)


def pay_as_bid(result: IntervalResult, orders: Sequence[Order]) -> IntervalResult:
    """The same fills, each at its own limit price."""
    return _repriced(result, orders, lambda order: order.limit_price_microeur_per_kwh)


def at_community_price(result: IntervalResult, orders: Sequence[Order]) -> IntervalResult:
    """The same fills at one price for all members; the supplier's as they were.

    Args:
        result: A clearing at nodal prices.
        orders: Its orders.

    Returns:
        The result with one price inside the network, each member's clamped to the own limit price; the
        unchanged result where prices do not differ, or where one price would have the community pay in.
    """
    nodal = {fill.order_id: fill for fill in result.fills if fill.filled_wh}
    traded = [order for order in orders if order.order_id in nodal]
    members = [order for order in traded if order.member != SUPPLIER]
    if len({nodal[order.order_id].price_microeur_per_kwh for order in traded}) <= 1 or not members:
        return result
    filled = {order.order_id: nodal[order.order_id].filled_wh for order in members}
    money = sum(sign_of(order) * nodal[order.order_id].amount_nanoeur for order in members)
    price = _affordable(
        members,
        filled,
        sum(nodal[order.order_id].amount_nanoeur for order in traded if order.member == SUPPLIER),
        near=money // sum(filled.values()),
    )
    if price is None:
        return result

    def price_of(order: Order) -> int:
        own = nodal[order.order_id].price_microeur_per_kwh
        return _clamped(order, price) if order.member != SUPPLIER or own is None else own

    places = {
        place: before if place == OUTSIDE or before is None else price
        for place, before in result.price_microeur_per_kwh.items()
    }
    return replace(_repriced(result, orders, price_of), price_microeur_per_kwh=places)


def _clamped(order: Order, price: int) -> int:
    """The community's price, for a buyer at most and for a seller at least the own limit."""
    limit = order.limit_price_microeur_per_kwh
    return min(price, limit) if order.side is Side.BUY else max(price, limit)


def _affordable(members: Sequence[Order], filled: Mapping[str, int], supplier: int, near: int) -> int | None:
    """The price nearest to `near` at which members and supplier together pay no less than they are paid."""

    def left_over(price: int) -> int:
        paid = (
            amount_nanoeur(_clamped(order, price), sign_of(order) * filled[order.order_id])
            for order in members
        )
        return supplier + sum(paid)

    def falls(price: int) -> bool:
        rises = 0
        for order in members:
            limit = order.limit_price_microeur_per_kwh
            if order.side is Side.BUY and limit > price:
                rises += filled[order.order_id]
            elif order.side is Side.SELL and limit <= price:
                rises -= filled[order.order_id]
        return rises <= 0

    if left_over(near) >= 0:
        return near
    limits = sorted({order.limit_price_microeur_per_kwh for order in members})
    # Above every limit no buyer pays more, so the highest limit falls, and the search ends inside.
    enough, short = limits[bisect_left(limits, True, key=falls)], near
    if left_over(enough) < 0:
        return None
    while abs(enough - short) > 1:
        middle = (enough + short) // 2
        if left_over(middle) >= 0:
            enough = middle
        else:
            short = middle
    return enough


def rent_shares(rent_nanoeur: int, connections: Sequence[str]) -> dict[str, int]:
    """The congestion rent by connection, in equal parts that sum to it exactly.

    Args:
        rent_nanoeur: Not negative.
        connections: Their numbers, at least one; who is first by number gets a nano-euro more where it
            does not divide.
    """
    each, more = divmod(rent_nanoeur, len(connections))
    return {name: each + (place < more) for place, name in enumerate(sorted(connections))}
