"""Who dealt with whom: matches made after the clearing, by label and distance.

A uniform price needs no partners: all that is bought equals all that is sold. Members like to know all the
same whose sun they used, and some prefer a school or the neighbours. So filled orders are paired afterwards.
That moves no price and no watt-hour; it only says where energy came from.

In turn, and in each turn the nearest first: buyers who prefer the sun with sellers of it; sellers who prefer
public buildings with those; whoever prefers neighbours; then everybody with whom is left. Nearest: a member
with itself at its own place, then within the same connection, pole or feeder, transformer, ring, and beyond.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from controller.domain.ids import MemberId, NodeId
from controller.domain.network import Network, NodeKind
from market.orders import OUTSIDE, Label, Order, Side, sign_of


class Distance(StrEnum):
    """How far apart two partners are."""

    HOUSE = "house"
    STREET = "street"
    NEIGHBOURHOOD = "neighbourhood"
    REGION = "region"
    BEYOND = "beyond"
    """With the grid outside, or from one root to another."""


_OF_KIND = {
    NodeKind.CONNECTION: Distance.HOUSE,
    NodeKind.POLE: Distance.STREET,
    NodeKind.FEEDER: Distance.STREET,
    NodeKind.TRANSFORMER: Distance.NEIGHBOURHOOD,
    NodeKind.MV_RING: Distance.REGION,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Energy of one seller that went to one buyer."""

    buy_order_id: str
    sell_order_id: str
    energy_wh: int
    distance: Distance


type _Wants = Callable[[Order, Order], bool]


def match_fills(
    orders: Sequence[Order],
    filled_wh: Mapping[str, int],
    network: Network,
    *,
    sun: Collection[str] = (),
    social: Collection[MemberId] = (),
) -> tuple[Match, ...]:
    """Pairs filled orders.

    Args:
        orders: The orders of the quarter-hour.
        filled_wh: What was filled of each [Wh], by order id; bought equals sold.
        network: The tree that says what is near.
        sun: Ids of the orders that sell what roofs make.
        social: Members that are public buildings.

    Returns:
        Matches by distance within each turn; for each order they sum to its fill.

    Raises:
        ValueError: If more was bought than sold or the other way round.
    """
    left = {order.order_id: filled_wh.get(order.order_id, 0) for order in orders}
    ranked = sorted(
        (order for order in orders if left[order.order_id]),
        key=lambda order: hashlib.sha256(order.order_id.encode()).digest(),
    )
    balance = sum(sign_of(order) * left[order.order_id] for order in ranked)
    if balance:
        raise ValueError(f"{balance} Wh more were bought than sold: that cannot be matched")
    turns: list[_Wants] = [
        lambda buyer, seller: buyer.label is Label.SUN and seller.order_id in sun,
        lambda buyer, seller: seller.label is Label.SOCIAL and buyer.member in social,
        lambda buyer, seller: Label.NEIGHBOUR in {buyer.label, seller.label},
        lambda _buyer, _seller: True,
    ]
    made: list[Match] = []
    for wants in turns:
        made += _turn(ranked, left, network, wants)
    return tuple(made)


def _turn(ranked: Sequence[Order], left: dict[str, int], network: Network, wants: _Wants) -> list[Match]:
    """One turn: at home first, then up the tree, each place with whom the places below it left over."""
    made: list[Match] = []
    homes: defaultdict[tuple[MemberId, NodeId], list[Order]] = defaultdict(list)
    places: defaultdict[NodeId, list[Order]] = defaultdict(list)
    for order in ranked:
        if left[order.order_id]:
            homes[order.member, order.node].append(order)
            places[order.node].append(order)
    for (_, place), at_home in homes.items():
        if place != OUTSIDE:
            made += _paired(at_home, left, Distance.HOUSE, wants)
    for node_id in (*reversed(network.parents_first), OUTSIDE):
        here = [order for order in places.pop(node_id, []) if left[order.order_id]]
        node = network.by_id.get(node_id)
        made += _paired(here, left, Distance.BEYOND if node is None else _OF_KIND[node.kind], wants)
        if node is not None:
            places[OUTSIDE if node.parent is None else node.parent] += [
                order for order in here if left[order.order_id]
            ]
    return made


def _paired(orders: Sequence[Order], left: dict[str, int], distance: Distance, wants: _Wants) -> list[Match]:
    """Pairs buyers and sellers of one place, in their given order."""
    sellers = [order for order in orders if order.side is Side.SELL]
    made: list[Match] = []
    for buyer in (order for order in orders if order.side is Side.BUY) if sellers else ():
        for seller in sellers:
            energy_wh = min(left[buyer.order_id], left[seller.order_id])
            if energy_wh and wants(buyer, seller):
                left[buyer.order_id] -= energy_wh
                left[seller.order_id] -= energy_wh
                made.append(
                    Match(
                        buy_order_id=buyer.order_id,
                        sell_order_id=seller.order_id,
                        energy_wh=energy_wh,
                        distance=distance,
                    )
                )
            if not left[buyer.order_id]:
                break
    return made
