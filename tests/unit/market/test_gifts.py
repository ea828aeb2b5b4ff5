"""What given surplus earned goes to the public building that used it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.domain.ids import MemberId
from controller.domain.network import Network
from market.clearing import clear
from market.gifts import Gift, gifts_of
from market.matching import match_fills
from market.orders import Label, Order, OrderSource
from tests.support.market import an_order

SCHOOL = MemberId("school")


def given(price: int) -> Order:
    """Home 1 gives 10 Wh."""
    order = an_order("roof", "sell", 10, price, member="home-1")
    return replace(order, source=OrderSource.INSTRUCTION, label=Label.SOCIAL)


def gifts(*orders: Order) -> tuple[Gift, ...]:
    """Of a clearing of the orders."""
    fills = {fill.order_id: fill for fill in clear(orders).fills}
    filled_wh = {name: fill.filled_wh for name, fill in fills.items()}
    matches = match_fills(orders, filled_wh, Network(()), social={SCHOOL})
    return gifts_of(matches, {order.order_id: order for order in orders}, fills, {SCHOOL})


def test_the_school_has_back_what_it_paid_for_given_energy() -> None:
    """Price (40 + 60) / 2 = 50. It bought 15 Wh, 10 of them given: 500 nano-euro are handed on."""
    school = an_order("school", "buy", 15, 60, member=SCHOOL)
    other = an_order("other", "sell", 5, 40)
    (gift,) = gifts(school, given(40), other)
    assert gift == Gift(giver=MemberId("home-1"), receiver=SCHOOL, amount_nanoeur=500, ref="roof>school")


def test_what_neighbours_used_is_sold() -> None:
    """The school needs 4 of the 10 Wh: the other 6 are a neighbour's, who pays for them."""
    orders = (
        an_order("school", "buy", 4, 60, member=SCHOOL),
        an_order("near", "buy", 6, 60),
        given(40),
    )
    assert [gift.amount_nanoeur for gift in gifts(*orders)] == [4 * 50]


@pytest.mark.parametrize(
    "orders",
    [
        pytest.param((an_order("b", "buy", 9, 60), given(40)), id="no-public-building"),
        pytest.param((an_order("b", "buy", 9, -10, member=SCHOOL), given(-30)), id="negative-price"),
        pytest.param(
            (an_order("b", "buy", 9, 60, member=SCHOOL), an_order("s", "sell", 9, 40)), id="not-given"
        ),
        pytest.param(
            (an_order("b", "buy", 9, 60, member=SCHOOL), replace(given(40), member=SCHOOL)), id="own-roof"
        ),
        pytest.param(
            (an_order("b", "buy", 9, 60, member=SCHOOL), replace(given(40), source=OrderSource.RESIDENT)),
            id="only-a-label",
        ),
    ],
)
def test_nothing_else_is_handed_on(orders: tuple[Order, ...]) -> None:
    """A label alone is a wish for a partner, no gift."""
    assert gifts(*orders) == ()
