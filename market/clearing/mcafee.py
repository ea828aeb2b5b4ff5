"""McAfee's double auction, in which nobody gains by misstating a price, as long as each has one unit.

Orders count in equal units; what is left of an order below a unit stays out. Buyers by falling, sellers by
rising price: k pairs could deal. The midpoint p of the next pair is their price if both of the k-th pair
accept it. Otherwise, or where there is no next pair, the k-th pair gives way: the other buyers pay the k-th
buyer's price, their sellers get the k-th seller's, and the difference goes to the community's account. With
more units a member could gain by the second on the first.

Source: R. P. McAfee, A dominant strategy double auction, Journal of Economic Theory 56 (1992) 434-450.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from market.clearing.result import Fill, IntervalResult
from market.clearing.ties import by_hash
from market.orders import Order, Side, sign_of
from market.prices import amount_nanoeur, midpoint


def mcafee(
    orders: Sequence[Order], result: IntervalResult, unit_wh: int, caps_wh: Mapping[str, int] | None = None
) -> IntervalResult:
    """McAfee's double auction at one place.

    Args:
        orders: The orders; minimum fills are not looked at beyond keeping out who could never reach them.
        result: The quarter-hour's clearing, of which quarter-hour, places and steering prices are kept.
        unit_wh: The size of a unit [Wh].
        caps_wh: The most that may be filled of an order, where less than its quantity.

    Returns:
        Fills in whole units; of those at the margin the smaller SHA-256 of the id is first.
    """
    caps = caps_wh or {}
    units = {
        order.order_id: min(order.quantity_wh, caps.get(order.order_id, order.quantity_wh)) // unit_wh
        for order in orders
    }
    for order in orders:
        if units[order.order_id] * unit_wh < order.min_fill_wh:
            units[order.order_id] = 0
    buyers, sellers = _Line.of(orders, units, Side.BUY), _Line.of(orders, units, Side.SELL)
    dealing = buyers.overlap(sellers)
    last_bid, last_ask = buyers.price_at(dealing), sellers.price_at(dealing)
    paid = got = None
    if last_bid is not None and last_ask is not None:
        next_bid, next_ask = buyers.price_at(dealing + 1), sellers.price_at(dealing + 1)
        middle = None if next_bid is None or next_ask is None else midpoint(next_ask, next_bid)
        if middle is not None and last_ask <= middle <= last_bid:
            paid = got = middle
        else:
            paid, got, dealing = last_bid, last_ask, dealing - 1
    filled = {**buyers.first(dealing), **sellers.first(dealing)}
    by_id = {order.order_id: order for order in orders}
    fills, welfare = [], 0
    for order_id in sorted(by_id):
        order, wh = by_id[order_id], filled.get(order_id, 0) * unit_wh
        price = paid if order.side is Side.BUY else got
        amount = 0 if price is None else sign_of(order) * amount_nanoeur(price, wh)
        welfare += sign_of(order) * amount_nanoeur(order.limit_price_microeur_per_kwh, wh)
        fills.append(
            Fill(order_id=order_id, filled_wh=wh, price_microeur_per_kwh=price, amount_nanoeur=amount)
        )
    shown = None if paid is None or got is None or dealing == 0 else midpoint(got, paid)
    return replace(
        result,
        price_microeur_per_kwh=dict.fromkeys(result.price_microeur_per_kwh, shown),
        fills=tuple(fills),
        congestion_rent_nanoeur=sum(fill.amount_nanoeur for fill in fills),
        welfare_nanoeur=welfare,
    )


@dataclass(frozen=True, slots=True)
class _Line:
    """One side's units, the best price first."""

    ids: tuple[str, ...]
    prices: tuple[int, ...]
    units: tuple[int, ...]
    sign: int
    """1 for buyers, -1 for sellers."""

    @classmethod
    def of(cls, orders: Sequence[Order], units: Mapping[str, int], side: Side) -> _Line:
        there = [order for order in orders if order.side is side and units[order.order_id]]
        hashed: Sequence[int] = (
            by_hash([order.order_id for order in there])(np.arange(len(there))).tolist() if there else []
        )
        sign = 1 if side is Side.BUY else -1
        line = sorted(
            (there[place] for place in hashed), key=lambda order: -sign * order.limit_price_microeur_per_kwh
        )
        return cls(
            tuple(order.order_id for order in line),
            tuple(order.limit_price_microeur_per_kwh for order in line),
            tuple(units[order.order_id] for order in line),
            sign,
        )

    def price_at(self, number: int) -> int | None:
        """The price of the unit with a number, from 1; None where there is no such unit."""
        if number < 1:
            return None
        for price, units in zip(self.prices, self.units, strict=True):
            number -= units
            if number <= 0:
                return price
        return None

    def first(self, count: int) -> dict[str, int]:
        """The first units, by order id."""
        taken = {}
        for order_id, units in zip(self.ids, self.units, strict=True):
            taken[order_id] = min(units, count)
            count -= taken[order_id]
        return taken

    def overlap(self, sellers: _Line) -> int:
        """How many pairs of a buyer and a seller unit could deal."""
        pairs = here = there = 0
        mine, theirs = list(self.units), list(sellers.units)
        while here < len(mine) and there < len(theirs) and self.prices[here] >= sellers.prices[there]:
            step = min(mine[here], theirs[there])
            pairs += step
            mine[here] -= step
            theirs[there] -= step
            here += mine[here] == 0
            there += theirs[there] == 0
        return pairs
