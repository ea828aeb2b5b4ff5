"""Storage that trades: orders of several quarter-hours that belong together.

Whoever charges a battery at night to sell in the evening cannot know at night whether the purchase will be
filled. So its orders are linked: a sale offers at most what the purchases of the same link in earlier
quarter-hours have really brought, times the efficiency there and back, less what was sold of it before.
The watt-hours that come out are rounded down once, over all purchases together: nothing is sold that was
not stored.

What such a round trip must earn follows from the same figures, so that its orders can be made from what the
storage costs (`round_trip_orders`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from controller.domain.errors import Problem
from controller.domain.ids import MemberId, NodeId
from controller.domain.time import utc_text
from market.caps import handed_out
from market.orders import PPM, Link, Order, Side

type LinkKey = tuple[MemberId, NodeId, str]
"""Whose storage, where, and the member's name for it."""


def link_key(order: Order) -> LinkKey | None:
    """Which storage an order charges or empties; None where it is not linked."""
    return None if order.link is None else (order.member, order.node, order.link.name)


def stored_wh(filled: Iterable[tuple[Order, int]], at: datetime) -> dict[LinkKey, int]:
    """What each storage can still give in a quarter-hour.

    A quarter-hour whose clearing failed is cleared after later ones: what these have sold of the same
    purchases is gone.

    Args:
        filled: Linked orders of all other quarter-hours with what was filled of each [Wh]; orders without a
            link are left out.
        at: The quarter-hour.

    Returns:
        By storage [Wh], never negative: the least that it holds then or after a later sale.
    """
    moved: defaultdict[LinkKey, list[tuple[datetime, bool, int]]] = defaultdict(list)
    for order, filled_wh in filled:
        key = link_key(order)
        if key is not None and order.link is not None:
            buys = order.side is Side.BUY
            # Sales of a quarter-hour come before its purchases, which only later ones can sell.
            moved[key].append(
                (order.interval_start, buys, filled_wh * (order.link.efficiency_ppm if buys else -PPM))
            )
    found = {}
    for key, moves in moved.items():
        held = sum(wh for start, _, wh in moves if start < at)
        least = held
        for _, buys, wh in sorted(move for move in moves if move[0] >= at):
            held += wh
            least = least if buys else min(least, held)
        found[key] = max(0, least // PPM)
    return found


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


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundTrip:
    """A storage's trade over several quarter-hours: charge in some, give in others, lose nothing."""

    id: str
    """The ids of its orders begin so."""
    member: MemberId
    node: NodeId
    link: Link
    charge_in: Sequence[datetime]
    charge_wh: int
    """In each of them, at most."""
    buy_at_most_microeur_per_kwh: int
    sell_in: Sequence[datetime]
    sell_wh: int
    """In each of them, at most."""
    charge_adder_microeur_per_kwh: int = 0
    """Taxes and fees on a kWh bought."""
    sale_adder_microeur_per_kwh: int = 0
    """Fees and wear on a kWh sold."""
    least_gain_microeur_per_kwh: int = 0
    """On a kWh sold, beyond all costs."""


def round_trip_problems(trip: RoundTrip) -> list[Problem]:
    """What keeps its sales from ever having anything to give."""
    if not trip.charge_in or not trip.sell_in:
        return [Problem(place="charge_in", rule="a round trip needs quarter-hours to charge and to sell in")]
    first = min(trip.charge_in)
    return [
        Problem(place=f"sell_in[{place}]", rule=f"must be after the first charging, {utc_text(first)}")
        for place, start in enumerate(trip.sell_in)
        if start <= first
    ]


def round_trip_orders(trip: RoundTrip) -> list[Order]:
    """The linked orders of a round trip that loses nothing, whatever is filled of it.

    Args:
        trip: Which quarter-hours, how much, and what it costs; without problems.

    Returns:
        Purchases at the most that is paid, sales at the least that covers losses, taxes, wear and gain.
    """
    least = least_sale_price_microeur_per_kwh(
        trip.buy_at_most_microeur_per_kwh,
        efficiency_ppm=trip.link.efficiency_ppm,
        charge_adder=trip.charge_adder_microeur_per_kwh,
        sale_adder=trip.sale_adder_microeur_per_kwh + trip.least_gain_microeur_per_kwh,
    )
    sides = (
        (Side.BUY, trip.charge_in, trip.charge_wh, trip.buy_at_most_microeur_per_kwh),
        (Side.SELL, trip.sell_in, trip.sell_wh, least),
    )
    return [
        Order(
            order_id=f"{trip.id}-{side.value}-{place}",
            member=trip.member,
            node=trip.node,
            side=side,
            quantity_wh=quantity_wh,
            limit_price_microeur_per_kwh=limit,
            interval_start=start,
            link=trip.link,
        )
        for side, starts, quantity_wh, limit in sides
        for place, start in enumerate(starts)
    ]


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
