"""Who dealt with whom: matches made after the clearing, by label and distance.

A uniform price needs no partners: all that is bought equals all that is sold. Members like to know all the
same whose sun they used, and some prefer a school or the neighbours. So filled orders are paired afterwards.
That moves no price and no watt-hour; it only says where energy came from.

In turn, and in each turn the nearest first: buyers who prefer the sun with sellers of it; sellers who prefer
public buildings with those; buyers, then sellers, who prefer neighbours; then everybody with whom is left.
Nearest: a member with itself at its own place, then within the same connection, pole or feeder, transformer,
ring, and beyond.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
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
    buys = [order for order in ranked if order.side is Side.BUY]
    sells = [order for order in ranked if order.side is Side.SELL]
    turns = [
        (_labelled(buys, Label.SUN), [order for order in sells if order.order_id in sun]),
        ([order for order in buys if order.member in social], _labelled(sells, Label.SOCIAL)),
        (_labelled(buys, Label.NEIGHBOUR), sells),
        (buys, _labelled(sells, Label.NEIGHBOUR)),
        (buys, sells),
    ]
    made: list[Match] = []
    for buyers, sellers in turns:
        if buyers and sellers:
            made += _turn([*buyers, *sellers], left, network)
    return tuple(made)


def _labelled(orders: Sequence[Order], label: Label) -> list[Order]:
    return [order for order in orders if order.label is label]


def _turn(taking_part: Sequence[Order], left: dict[str, int], network: Network) -> list[Match]:
    """One turn: at home first, then up the tree, each place with whom the places below it left over."""
    made: list[Match] = []
    homes: defaultdict[tuple[MemberId, NodeId], list[Order]] = defaultdict(list)
    places: defaultdict[NodeId, list[Order]] = defaultdict(list)
    for order in taking_part:
        if left[order.order_id]:
            homes[order.member, order.node].append(order)
            places[order.node].append(order)
    for (_, place), at_home in homes.items():
        if place != OUTSIDE:
            made += _paired(at_home, left, Distance.HOUSE)
    for node_id in (*reversed(network.parents_first), OUTSIDE):
        here = [order for order in places.pop(node_id, []) if left[order.order_id]]
        node = network.by_id.get(node_id)
        made += _paired(here, left, Distance.BEYOND if node is None else _OF_KIND[node.kind])
        if node is not None:
            places[OUTSIDE if node.parent is None else node.parent] += [
                order for order in here if left[order.order_id]
            ]
    return made


def _paired(orders: Sequence[Order], left: dict[str, int], distance: Distance) -> list[Match]:
    """Pairs buyers and sellers of one place, in their given order."""
    buyers = (order.order_id for order in orders if order.side is Side.BUY)
    sellers = (order.order_id for order in orders if order.side is Side.SELL)
    made: list[Match] = []
    buyer, seller = next(buyers, None), next(sellers, None)
    while buyer is not None and seller is not None:
        energy_wh = min(left[buyer], left[seller])
        left[buyer] -= energy_wh
        left[seller] -= energy_wh
        if energy_wh:
            made.append(
                Match(buy_order_id=buyer, sell_order_id=seller, energy_wh=energy_wh, distance=distance)
            )
        if not left[buyer]:
            buyer = next(buyers, None)
        if not left[seller]:
            seller = next(sellers, None)
    return made
