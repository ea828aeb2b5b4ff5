"""Gifts: what a member's surplus earned goes to the public building that used it.

In a uniform-price auction nobody chooses a partner, so energy cannot be given away in it: it is sold, and
matched with public buildings first (`market.matching`). What the giver was paid for the matched energy is
then handed on to whose building used it. The building pays the market like everybody and has it back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from controller.domain.ids import MemberId
from market.clearing.result import Fill
from market.matching import Match
from market.orders import Label, Order, OrderSource
from market.prices import amount_nanoeur


@dataclass(frozen=True, slots=True, kw_only=True)
class Gift:
    """Money that is handed on."""

    giver: MemberId
    receiver: MemberId
    amount_nanoeur: int
    """More than 0."""
    ref: str
    """The two orders that were matched."""


def is_given(order: Order) -> bool:
    """Whether an order gives its energy away: that of a standing instruction for public buildings."""
    return order.source is OrderSource.INSTRUCTION and order.label is Label.SOCIAL


def gifts_of(
    matches: Iterable[Match],
    orders: Mapping[str, Order],
    fills: Mapping[str, Fill],
    social: Collection[MemberId],
) -> tuple[Gift, ...]:
    """What is handed on in a quarter-hour.

    Args:
        matches: Who dealt with whom.
        orders: The orders by id.
        fills: Their fills by id.
        social: Members that are public buildings.

    Returns:
        One gift for each match of given energy with a building of somebody else; at a price of 0 or below
        there is nothing to hand on.
    """
    gifts = []
    for match in matches:
        seller, buyer = orders[match.sell_order_id], orders[match.buy_order_id]
        price = fills[match.sell_order_id].price_microeur_per_kwh
        if not is_given(seller) or buyer.member not in social or buyer.member == seller.member:
            continue
        if price is not None and price > 0:
            gifts.append(
                Gift(
                    giver=seller.member,
                    receiver=buyer.member,
                    amount_nanoeur=amount_nanoeur(price, match.energy_wh),
                    ref=f"{seller.order_id}>{buyer.order_id}",
                )
            )
    return tuple(gifts)
