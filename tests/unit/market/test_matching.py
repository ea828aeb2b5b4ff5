"""Who dealt with whom, after the clearing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.domain.ids import NodeId
from controller.domain.network import Network, Node, NodeKind
from market.matching import Distance, Match, match_fills
from market.orders import Label, Order
from tests.support.market import an_order

NETWORK = Network(
    tuple(
        Node(id=NodeId(name), parent=None if parent is None else NodeId(parent), kind=kind)
        for name, parent, kind in (
            ("trafo", None, NodeKind.TRANSFORMER),
            ("street-1", "trafo", NodeKind.FEEDER),
            ("street-2", "trafo", NodeKind.FEEDER),
            ("pole", "street-1", NodeKind.POLE),
        )
    )
)


def partners(orders: list[Order], **names: object) -> list[tuple[str, str, int, Distance]]:
    """The matches of wholly filled orders, in few words."""
    filled = {order.order_id: order.quantity_wh for order in orders}
    found = match_fills(orders, filled, NETWORK, **names)  # type: ignore[arg-type]  # names of keywords
    return sorted((m.buy_order_id, m.sell_order_id, m.energy_wh, m.distance) for m in found)


def test_nearest_first() -> None:
    """Own roof, then the street, then the other street, then the grid outside."""
    orders = [
        an_order("b", "buy", 10, 0, "pole", member="me"),
        an_order("own", "sell", 1, 0, "pole", member="me"),
        an_order("near", "sell", 2, 0, "street-1"),
        an_order("far", "sell", 3, 0, "street-2"),
        an_order("out", "sell", 4, 0, ""),
    ]
    assert partners(orders) == [
        ("b", "far", 3, Distance.NEIGHBOURHOOD),
        ("b", "near", 2, Distance.STREET),
        ("b", "out", 4, Distance.BEYOND),
        ("b", "own", 1, Distance.HOUSE),
    ]


def test_who_prefers_the_sun_has_it_before_those_next_door() -> None:
    """The roof's 5 Wh go to the far buyer who asked for them, not to the near one."""
    orders = [
        replace(an_order("sunny", "buy", 5, 0, "street-2"), label=Label.SUN),
        an_order("near", "buy", 5, 0, "street-1"),
        an_order("roof", "sell", 5, 0, "street-1"),
        an_order("battery", "sell", 5, 0, "street-1"),
    ]
    assert partners(orders, sun={"roof"}) == [
        ("near", "battery", 5, Distance.STREET),
        ("sunny", "roof", 5, Distance.NEIGHBOURHOOD),
    ]


def test_surplus_for_the_school() -> None:
    """A seller who prefers public buildings is matched with one before the neighbours."""
    orders = [
        an_order("school", "buy", 5, 0, "street-2", member="school"),
        an_order("next-door", "buy", 5, 0, "street-1"),
        replace(an_order("gift", "sell", 5, 0, "street-1"), label=Label.SOCIAL),
        an_order("other", "sell", 5, 0, "street-2"),
    ]
    assert partners(orders, social={"school"})[1] == ("school", "gift", 5, Distance.NEIGHBOURHOOD)


def test_who_prefers_neighbours_has_them_first() -> None:
    """Of two buyers in one street the one who asked has the street's only seller."""
    orders = [
        replace(an_order("asked", "buy", 5, 0, "street-1"), label=Label.NEIGHBOUR),
        an_order("did-not", "buy", 5, 0, "street-1"),
        an_order("near", "sell", 5, 0, "street-1"),
        an_order("out", "sell", 5, 0, ""),
    ]
    assert ("asked", "near", 5, Distance.STREET) in partners(orders)


def test_only_what_was_filled_is_matched() -> None:
    """In parts, and nothing of who got nothing."""
    orders = [an_order("b", "buy", 9, 0), an_order("s", "sell", 9, 0), an_order("idle", "sell", 9, 0)]
    found = match_fills(orders, {"b": 4, "s": 4, "idle": 0}, NETWORK)
    assert found == (Match(buy_order_id="b", sell_order_id="s", energy_wh=4, distance=Distance.BEYOND),)


def test_unbalanced_fills_are_a_mistake() -> None:
    """What was bought of nobody cannot be matched."""
    with pytest.raises(ValueError, match="4 Wh more were bought"):
        match_fills([an_order("b", "buy", 9, 0)], {"b": 4}, NETWORK)
