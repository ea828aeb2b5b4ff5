"""Nobody is the market: the cap on one member's share of a quarter-hour."""

from __future__ import annotations

from dataclasses import replace

from market.caps import share_caps_wh
from market.clearing import clear
from market.orders import SUPPLIER, OrderSource
from tests.support.market import an_order


def test_own_orders_beyond_the_share_are_left_out_from_the_worst_price() -> None:
    """B offers 20 Wh; half of the market are 20 more: of A's 30 the cheap 10 and 10 of the dear are in."""
    orders = [
        an_order("a-cheap", "sell", 10, 10, member="a"),
        an_order("a-dear", "sell", 20, 20, member="a"),
        an_order("b", "sell", 20, 15, member="b"),
    ]
    assert share_caps_wh(orders, 500_000) == {"a-cheap": 10, "a-dear": 10}
    # A fifth of the market beside 20 Wh are 5 Wh.
    assert share_caps_wh(orders, 200_000) == {"a-cheap": 5, "a-dear": 0, "b": 7}
    assert share_caps_wh(orders, 1_000_000) == {}


def test_nobody_makes_the_market_larger_by_asking_for_more() -> None:
    """A bids for a gigawatt-hour too, at a price at which nothing is sold: no more of the rest is in."""
    orders = [an_order("a", "buy", 80, 50, member="a"), an_order("b", "buy", 20, 50, member="b")]
    assert share_caps_wh(orders, 500_000) == {"a": 20}
    inflated = [*orders, an_order("a-vain", "buy", 10**9, -300, member="a")]
    assert share_caps_wh(inflated, 500_000) == {"a": 20, "a-vain": 0}


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
