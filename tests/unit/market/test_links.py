"""Storage that trades: what later sales of a link may offer, and what a round trip must earn."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from controller.domain.ids import MemberId, NodeId
from controller.domain.time import QUARTER
from market.clearing import clear
from market.links import (
    RoundTrip,
    least_sale_price_microeur_per_kwh,
    link_caps_wh,
    link_key,
    round_trip_orders,
    round_trip_problems,
    stored_wh,
)
from market.orders import Link, Order, validate
from tests.support.market import QUARTER_AT_NOON, an_order

BATTERY = Link(name="battery", efficiency_ppm=900_000)


def leg(order_id: str, side: str, quantity_wh: int, price: int, quarters_later: int = 0) -> Order:
    """One leg of home 1's battery."""
    order = an_order(
        order_id,
        side,
        quantity_wh,
        price,
        member="home-1",
        interval_start=QUARTER_AT_NOON + quarters_later * timedelta(minutes=15),
    )
    return replace(order, link=BATTERY)


def test_later_leg_gets_what_the_earlier_ones_brought() -> None:
    """Of 100 and 50 Wh only 33 and 50 are filled: floor(83 x 0.9) = 74; 20 of it are sold, 54 are left."""
    first, second, sale = leg("b1", "buy", 100, 90), leg("b2", "buy", 50, 90, 1), leg("s1", "sell", 20, 0, 2)
    key = link_key(sale)
    assert key is not None
    later = sale.interval_start + QUARTER
    assert stored_wh([(first, 33), (second, 50)], sale.interval_start) == {key: 74}
    assert stored_wh([(first, 33), (second, 50), (sale, 20)], later) == {key: 54}
    assert link_caps_wh([leg("s2", "sell", 100, 0, 3)], {key: 54}) == {"s2": 54}


def test_unfilled_purchase_leaves_nothing_to_sell() -> None:
    """The sale is in the book with a cap of 0 and is reported as unfilled."""
    sale, buyer = leg("s", "sell", 100, 0, 1), an_order("b", "buy", 100, 10)
    caps = link_caps_wh([sale], stored_wh([(leg("b1", "buy", 100, 90), 0)], sale.interval_start))
    result = clear([replace(sale, interval_start=QUARTER_AT_NOON), buyer], caps_wh=caps)
    assert [fill.filled_wh for fill in result.fills] == [0, 0]


def test_what_a_later_quarter_hour_has_sold_is_gone() -> None:
    """90 Wh come of 100 bought first; 60 were sold in the fourth quarter-hour, 80 bought in the third.

    The second was cleared after them: of the 90 it may sell all, since 72 came in before the 60 went out. Had
    the 60 been sold in the third, only 30 would be left.
    """
    key = link_key(leg("b", "buy", 1, 0))
    assert key is not None
    bought, again = (leg("b1", "buy", 100, 90), 100), (leg("b3", "buy", 80, 90, 2), 80)
    second = QUARTER_AT_NOON + QUARTER
    assert stored_wh([bought, again, (leg("s4", "sell", 60, 0, 3), 60)], second) == {key: 90}
    assert stored_wh([bought, again, (leg("s3", "sell", 60, 0, 2), 60)], second) == {key: 30}
    assert stored_wh([bought, (leg("s4", "sell", 90, 0, 3), 90)], second) == {key: 0}


def test_of_two_sales_the_cheaper_has_the_energy() -> None:
    """Together they are offered no more than there is."""
    sales = [leg("dear", "sell", 40, 70), leg("cheap", "sell", 40, 60)]
    key = link_key(sales[0])
    assert key is not None
    assert link_caps_wh(sales, {key: 50}) == {"cheap": 40, "dear": 10}


def test_storage_of_another_member_or_place_is_another_one() -> None:
    """The name alone does not open somebody else's battery."""
    bought, sale = leg("b", "buy", 100, 90), leg("s", "sell", 50, 0, 1)
    for stranger in (replace(sale, member=MemberId("home-2")), replace(sale, node=NodeId("pole"))):
        assert link_caps_wh([stranger], stored_wh([(bought, 100)], sale.interval_start)) == {"s": 0}


def test_orders_without_a_link_have_no_cap() -> None:
    """They offer what they say."""
    assert link_caps_wh([an_order("s", "sell", 50, 0)], {}) == {}
    assert stored_wh([(an_order("b", "buy", 50, 0), 50)], QUARTER_AT_NOON + QUARTER) == {}


@pytest.mark.parametrize(
    ("bought_at", "charge_adder", "sale_adder", "least"),
    [
        (90_000, 0, 0, 100_000),  # 90 000 / 0.9
        (90_001, 0, 0, 100_002),  # 100 001.1, upwards
        (80_000, 10_000, 30_000, 130_000),
        (-90_000, 0, 0, -100_000),
    ],
)
def test_least_sale_price_covers_losses_tax_and_wear(
    bought_at: int, charge_adder: int, sale_adder: int, least: int
) -> None:
    """A kWh sold needs 1 / 0.9 kWh bought, with the taxes on that, and its own fees and wear."""
    assert least == least_sale_price_microeur_per_kwh(
        bought_at, efficiency_ppm=900_000, charge_adder=charge_adder, sale_adder=sale_adder
    )


TRIP = RoundTrip(
    id="night",
    member=MemberId("home-1"),
    node=NodeId("pole"),
    link=BATTERY,
    charge_in=[QUARTER_AT_NOON, QUARTER_AT_NOON + timedelta(minutes=15)],
    charge_wh=1000,
    buy_at_most_microeur_per_kwh=80_000,
    sell_in=[QUARTER_AT_NOON + timedelta(hours=6)],
    sell_wh=1500,
    charge_adder_microeur_per_kwh=10_000,
    sale_adder_microeur_per_kwh=30_000,
    least_gain_microeur_per_kwh=5_000,
)


def test_round_trip_sells_at_what_it_costs_and_gains() -> None:
    """(80 000 + 10 000) / 0.9 + 30 000 + 5 000 = 135 000; every leg is linked, valid and has its own id."""
    orders = round_trip_orders(TRIP)
    assert round_trip_problems(TRIP) == []
    assert [(o.order_id, o.quantity_wh, o.limit_price_microeur_per_kwh) for o in orders] == [
        ("night-buy-0", 1000, 80_000),
        ("night-buy-1", 1000, 80_000),
        ("night-sell-0", 1500, 135_000),
    ]
    assert all(order.link == BATTERY and validate(order) == [] for order in orders)


def test_round_trip_charges_before_it_sells() -> None:
    """A sale at or before the first charging could never give anything; nor could none at all."""
    early = replace(TRIP, sell_in=[QUARTER_AT_NOON, QUARTER_AT_NOON + timedelta(minutes=15)])
    assert [problem.place for problem in round_trip_problems(early)] == ["sell_in[0]"]
    assert round_trip_problems(replace(TRIP, sell_in=[]))
