"""Storage that trades: orders of several quarter-hours that belong together.

Whoever charges a battery at night to sell in the evening cannot know at night whether the purchase will be
filled. So its orders are linked: a sale offers at most what the purchases of the same link in earlier
quarter-hours have really brought, times the efficiency there and back, less what was sold of it before.
The watt-hours that come out are rounded down once, over all purchases together: nothing is sold that was
not stored.

What such a round trip must earn follows from the same figures (`least_sale_price_microeur_per_kwh`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from controller.domain.ids import MemberId, NodeId
from market.caps import handed_out
from market.orders import PPM, Order, Side

type LinkKey = tuple[MemberId, NodeId, str]
"""Whose storage, where, and the member's name for it."""


def link_key(order: Order) -> LinkKey | None:
    """Which storage an order charges or empties; None where it is not linked."""
    return None if order.link is None else (order.member, order.node, order.link.name)


def stored_wh(filled: Iterable[tuple[Order, int]]) -> dict[LinkKey, int]:
    """What each storage can still give.

    Args:
        filled: Linked orders of earlier quarter-hours with what was filled of each [Wh]; others are left out.

    Returns:
        By storage [Wh], never negative.
    """
    brought: defaultdict[LinkKey, int] = defaultdict(int)
    given: defaultdict[LinkKey, int] = defaultdict(int)
    for order, filled_wh in filled:
        key = link_key(order)
        if key is None or order.link is None:
            continue
        if order.side is Side.BUY:
            brought[key] += filled_wh * order.link.efficiency_ppm
        else:
            given[key] += filled_wh
    return {key: max(0, brought[key] // PPM - given[key]) for key in brought.keys() | given.keys()}


def link_caps_wh(orders: Sequence[Order], stored: Mapping[LinkKey, int]) -> dict[str, int]:
    """How much of each linked sale of one quarter-hour can be filled.

    Of several sales of one storage the cheapest is served first, as the auction would: what it is given the
    others cannot offer too.

    Args:
        orders: The orders of the quarter-hour.
        stored: What each storage holds for it [Wh] (`stored_wh`).

    Returns:
        By order id [Wh], for sales with a link only.
    """
    sales: defaultdict[LinkKey, list[Order]] = defaultdict(list)
    for order in orders:
        key = link_key(order)
        if key is not None and order.side is Side.SELL:
            sales[key].append(order)
    caps: dict[str, int] = {}
    for key, group in sales.items():
        caps |= handed_out(group, stored.get(key, 0))
    return caps


def least_sale_price_microeur_per_kwh(
    bought_at: int, *, efficiency_ppm: int, charge_adder: int = 0, sale_adder: int = 0
) -> int:
    """The lowest price at which a round trip loses nothing [micro-euro/kWh].

    Args:
        bought_at: The most that is paid for a kWh.
        efficiency_ppm: What comes out of a purchase again, in millionths.
        charge_adder: Taxes and fees on a kWh bought.
        sale_adder: Fees and wear on a kWh sold.

    Returns:
        `(bought_at + charge_adder) / efficiency + sale_adder`, rounded up.
    """
    return -(-(bought_at + charge_adder) * PPM // efficiency_ppm) + sale_adder
