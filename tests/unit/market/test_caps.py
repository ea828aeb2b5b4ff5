"""Nobody is the market: the cap on one member's share of a quarter-hour."""

from __future__ import annotations

from dataclasses import replace

from market.caps import share_caps_wh
from market.clearing import clear
from market.orders import SUPPLIER, OrderSource
from tests.support.market import an_order


def test_own_orders_beyond_the_share_are_left_out_from_the_worst_price() -> None:
    """100 Wh are offered, 80 of them by A; half of 100 are 50: the dear 30 of A go."""
    orders = [
        an_order("a-cheap", "sell", 30, 10, member="a"),
        an_order("a-dear", "sell", 50, 20, member="a"),
        an_order("b", "sell", 20, 15, member="b"),
    ]
    assert share_caps_wh(orders, 500_000) == {"a-cheap": 30, "a-dear": 20}
    assert share_caps_wh(orders, 1_000_000) == {}


def test_supplier_and_made_orders_are_not_capped() -> None:
    """The backstop counts for nothing; what the plan ordered counts but stays whole."""
    orders = [
        an_order("backstop", "buy", 1000, 5, member=SUPPLIER),
        replace(an_order("plan", "buy", 60, 50, member="a"), source=OrderSource.PLAN),
        an_order("hand", "buy", 20, 50, member="a"),
        an_order("b", "buy", 20, 50, member="b"),
    ]
    assert share_caps_wh(orders, 500_000) == {"hand": 0}
    sale = an_order("sun", "sell", 120, 0)
    result = clear([*orders, sale], caps_wh=share_caps_wh(orders, 500_000))
    assert {fill.order_id: fill.filled_wh for fill in result.fills}["hand"] == 0
