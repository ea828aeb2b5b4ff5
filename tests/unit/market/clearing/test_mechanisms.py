"""Pay-as-bid, McAfee's auction and the community price, worked by hand."""

from __future__ import annotations

import pytest

from market.clearing import MarketRules, Mechanism, Pricing, clear, clear_by, rent_shares
from market.clearing.mcafee import mcafee
from market.clearing.pricing import at_community_price, pay_as_bid
from market.clearing.result import IntervalResult
from market.orders import SUPPLIER, Order
from tests.support.market import an_envelope, an_order


def amounts(result: IntervalResult) -> dict[str, int]:
    """What each order pays."""
    return {fill.order_id: fill.amount_nanoeur for fill in result.fills}


def unit_orders(bids: list[int], asks: list[int]) -> list[Order]:
    """One unit of 10 Wh each."""
    orders = [an_order(f"b{place}", "buy", 10, price) for place, price in enumerate(bids)]
    return orders + [an_order(f"s{place}", "sell", 10, price) for place, price in enumerate(asks)]


def test_pay_as_bid_takes_everybody_at_their_word() -> None:
    """10 Wh bought at 100 and sold at 60: 1000 paid, 600 received, the welfare of 400 to the community."""
    orders = [an_order("b", "buy", 10, 100), an_order("s", "sell", 10, 60), an_order("out", "sell", 5, 200)]
    result = pay_as_bid(clear(orders), orders)
    assert amounts(result) == {"b": 1000, "out": 0, "s": -600}
    assert result.congestion_rent_nanoeur == result.welfare_nanoeur == 400


def test_next_pair_sets_the_price_where_all_accept_it() -> None:
    """Bids 90, 80, 50, asks 30, 40, 60: two pairs could deal, the third's middle is 55, which both accept."""
    orders = unit_orders([90, 80, 50], [30, 40, 60])
    result = mcafee(orders, clear(orders), 10)
    assert amounts(result) == {"b0": 550, "b1": 550, "b2": 0, "s0": -550, "s1": -550, "s2": 0}
    assert result.congestion_rent_nanoeur == 0


def test_last_pair_gives_way_where_the_price_does_not_suit_it() -> None:
    """Bids 90, 60, 10, asks 30, 50, 55: the middle of 10 and 55 is 32, below the ask of 50. One pair deals.

    Its buyer pays 60, its seller gets 50: 600 - 500 = 100 to the community.
    """
    orders = unit_orders([90, 60, 10], [30, 50, 55])
    result = mcafee(orders, clear(orders), 10)
    assert amounts(result) == {"b0": 600, "b1": 0, "b2": 0, "s0": -500, "s1": 0, "s2": 0}
    assert result.congestion_rent_nanoeur == 100
    assert set(result.price_microeur_per_kwh.values()) == {55}


def test_only_whole_units_deal() -> None:
    """25 Wh are two units of 10; a single pair without a next one gives way."""
    orders = [an_order("b", "buy", 25, 90), an_order("s", "sell", 25, 10)]
    assert [fill.filled_wh for fill in mcafee(orders, clear(orders), 10).fills] == [10, 10]
    assert [fill.filled_wh for fill in mcafee(orders, clear(orders), 20).fills] == [0, 0]


def test_mcafee_gives_way_to_limits() -> None:
    """Its two pairs would push 20 Wh through a cable for 15: then the uniform price decides."""
    orders = [an_order(f"b{i}", "buy", 10, 90, "n") for i in range(3)]
    orders += [an_order(f"s{i}", "sell", 10, 10) for i in range(3)]
    rules = MarketRules(mechanism=Mechanism.MCAFEE, unit_wh=10)
    tight, roomy = an_envelope(n=(None, 15, 15)), an_envelope(n=(None, 50, 50))
    assert sum(fill.filled_wh for fill in clear_by(rules, orders, tight).fills) == 30
    assert sum(fill.filled_wh for fill in clear_by(rules, orders, roomy).fills) == 40
    assert clear_by(rules, orders, tight) == clear(orders, tight)


def full_cable() -> tuple[list[Order], IntervalResult]:
    """A street whose cable lets 6 Wh in: its buyer pays 300; roof at the transformer and supplier get 100.

    In the street: buyer 10 Wh at 300. At the transformer: home sells 2 Wh at 50. Supplier: 100 Wh at 100.
    """
    orders = [
        an_order("b", "buy", 10, 300, "street"),
        an_order("sun", "sell", 2, 50, "trafo"),
        an_order("supply", "sell", 100, 100, member=SUPPLIER),
    ]
    return orders, clear(orders, an_envelope(trafo=(None, 50, 50), street=("trafo", 6, 6)))


def test_community_price_is_the_mean_and_the_rest_is_returned() -> None:
    """Members trade 6 Wh at 300 and 2 Wh at 100: the mean is floor(2000 / 8) = 250.

    The buyer pays 6 x 250 = 1500, the roof gets 2 x 250 = 500, the supplier 4 x 100 = 400; 600 are left of
    the 1200 that nodal prices would leave.
    """
    orders, nodal = full_cable()
    assert nodal.congestion_rent_nanoeur == 1200
    result = at_community_price(nodal, orders)
    assert amounts(result) == {"b": 1500, "sun": -500, "supply": -400}
    assert result.congestion_rent_nanoeur == 600
    assert result.price_microeur_per_kwh == {"": 100, "trafo": 250, "street": 250}
    assert dict(result.steering_price_microeur_per_kwh) == {"": 100, "trafo": 100, "street": 300}


def test_prices_are_declared() -> None:
    """One community price unless a site asks for nodal ones."""
    orders, nodal = full_cable()
    network = an_envelope(trafo=(None, 50, 50), street=("trafo", 6, 6))
    assert clear_by(MarketRules(), orders, network) == at_community_price(nodal, orders)
    assert clear_by(MarketRules(pricing=Pricing.NODAL), orders, network) == nodal


def test_community_never_pays_in() -> None:
    """Two islands at 20 and 80, 100 Wh each, limits equal to prices: no single price breaks even.

    At any P from 20 to 80 the first island's seller would get P and its buyer pay 20, the second's get 80
    and pay P: 6000 short. So nodal prices stand.
    """
    orders = [
        an_order("b1", "buy", 100, 20, "one"),
        an_order("s1", "sell", 100, 20, "one"),
        an_order("b2", "buy", 100, 80, "two"),
        an_order("s2", "sell", 100, 80, "two"),
    ]
    nodal = clear(orders, an_envelope(one=(None, 0, 0), two=(None, 0, 0)))
    assert at_community_price(nodal, orders) == nodal


@pytest.mark.parametrize(("rent", "parts"), [(10, [4, 3, 3]), (0, [0, 0, 0]), (2, [1, 1, 0])])
def test_rent_is_returned_in_equal_parts(rent: int, parts: list[int]) -> None:
    """To the nano-euro."""
    assert list(rent_shares(rent, ["c", "a", "b"]).values()) == parts
