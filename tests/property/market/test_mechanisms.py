"""What holds for every mechanism, price, cap and match, thousands of random books at a time.

Books are drawn by a seed, a block of them for one example: drawing each order through Hypothesis costs far
more than clearing it.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.domain.ids import MemberId, NodeId
from controller.domain.network import Network, Node, NodeKind
from controller.domain.time import QUARTER
from market.clearing import (
    Envelope,
    IntervalResult,
    MarketRules,
    Mechanism,
    Pricing,
    clear,
    clear_by,
    rent_shares,
)
from market.clearing.mcafee import mcafee
from market.links import link_caps_wh, stored_wh
from market.matching import match_fills
from market.orders import SUPPLIER, Label, Link, Order, Side
from tests.support.market import QUARTER_AT_NOON, an_envelope, an_order

SEEDS = st.integers(0, 2**32)
BLOCK = 25
BLOCKS = settings(max_examples=40, deadline=None)
RULES = [
    MarketRules(mechanism=Mechanism.UNIFORM, pricing=Pricing.NODAL),
    MarketRules(mechanism=Mechanism.UNIFORM, pricing=Pricing.COMMUNITY),
    MarketRules(mechanism=Mechanism.PAY_AS_BID),
    MarketRules(mechanism=Mechanism.MCAFEE, unit_wh=3),
]


def a_network(chance: random.Random) -> Envelope:
    """One to five nodes with small limits."""
    sizes = [0, 1, 2, 5, 9, 20, 50]
    nodes: dict[str, tuple[str | None, int | None, int | None]] = {}
    for number in range(chance.randint(1, 5)):
        parent = chance.choice([None, *nodes, *nodes])
        nodes[f"n{number}"] = (parent, chance.choice(sizes), chance.choice(sizes))
    return an_envelope(**nodes)


def a_book(chance: random.Random, places: tuple[NodeId, ...]) -> list[Order]:
    """Orders of few members with labels, and often a supplier at the grid outside."""
    orders = [
        replace(
            an_order(
                f"o{number}",
                chance.choice(["buy", "sell"]),
                chance.randint(1, 20),
                chance.randint(-4, 8),
                chance.choice(places),
                member=f"m{chance.randint(0, 5)}",
            ),
            label=chance.choice(list(Label)),
        )
        for number in range(chance.randint(1, 14))
    ]
    if chance.random() < 0.7:
        orders.append(an_order("supply", "sell", 300, chance.randint(2, 6), member=SUPPLIER))
        orders.append(an_order("take", "buy", 300, chance.randint(-2, 2), member=SUPPLIER))
    return orders


def assert_fair(orders: list[Order], result: IntervalResult) -> None:
    """Bought equals sold, nobody beyond quantity or limit price, the money adds up."""
    by_id = {order.order_id: order for order in orders}
    assert {fill.order_id for fill in result.fills} == by_id.keys()
    net = 0
    for fill in result.fills:
        order = by_id[fill.order_id]
        sign = 1 if order.side is Side.BUY else -1
        assert 0 <= fill.filled_wh <= order.quantity_wh
        net += sign * fill.filled_wh
        if fill.filled_wh:
            assert fill.price_microeur_per_kwh is not None
            assert sign * (order.limit_price_microeur_per_kwh - fill.price_microeur_per_kwh) >= 0
            assert fill.amount_nanoeur == sign * fill.filled_wh * fill.price_microeur_per_kwh
        else:
            assert fill.amount_nanoeur == 0
    assert net == 0
    assert sum(fill.amount_nanoeur for fill in result.fills) == result.congestion_rent_nanoeur >= 0


@BLOCKS
@given(SEEDS, st.sampled_from(RULES))
def test_every_mechanism_is_fair_inside_every_network(seed: int, rules: MarketRules) -> None:
    """A thousand books: fills, limit prices and money by every mechanism; each also within every limit."""
    chance = random.Random(seed)
    for _ in range(BLOCK):
        network = a_network(chance)
        orders = a_book(chance, network.order)
        result = clear_by(rules, orders, network)
        assert_fair(orders, result)
        filled = fills_of(result)
        net: Counter[NodeId] = Counter()
        for order in orders:
            net[order.node] += filled[order.order_id] * (1 if order.side is Side.BUY else -1)
        assert network.holds(net)
        shuffled = chance.sample(orders, len(orders))
        assert clear_by(rules, shuffled, network) == result


def fills_of(result: IntervalResult) -> dict[str, int]:
    """What was filled, by order id."""
    return {fill.order_id: fill.filled_wh for fill in result.fills}


@BLOCKS
@given(SEEDS)
def test_the_auctions_promises_at_one_place(seed: int) -> None:
    """A thousand books at one place: one price; who is better than it has all, who is worse has nothing.

    A buyer more never lowers it, a seller more never raises it; two halves get what the whole got, to a
    watt-hour each.
    """
    chance = random.Random(seed)
    for _ in range(BLOCK):
        # The widest limits stand in both books, so that the range that prices are kept in is the same.
        frame = [an_order("x-high", "sell", 1, 9), an_order("x-low", "buy", 1, -5)]
        orders = [*a_book(chance, (NodeId(""),)), *frame]
        result = clear(orders)
        (price,) = set(result.price_microeur_per_kwh.values())
        filled = fills_of(result)
        for order in orders:
            sign = 1 if order.side is Side.BUY else -1
            gain = 0 if price is None else sign * (order.limit_price_microeur_per_kwh - price)
            if gain > 0:
                assert filled[order.order_id] == order.quantity_wh
            # The price is the floor of a half: one step below it is still at the midpoint.
            elif price is None or gain < -1:
                assert filled[order.order_id] == 0
        side = chance.choice(list(Side))
        more = clear([*orders, an_order("more", side, chance.randint(1, 20), chance.randint(-4, 8))])
        (moved,) = set(more.price_microeur_per_kwh.values())
        if price is not None and moved is not None:
            assert moved >= price if side is Side.BUY else moved <= price
        whole = chance.choice(orders)
        if whole.quantity_wh > 1:
            first = chance.randint(1, whole.quantity_wh - 1)
            halves = [
                replace(whole, order_id="half-1", quantity_wh=first),
                replace(whole, order_id="half-2", quantity_wh=whole.quantity_wh - first),
            ]
            split = clear([*(order for order in orders if order is not whole), *halves])
            assert split.price_microeur_per_kwh == result.price_microeur_per_kwh
            parts = fills_of(split)
            assert abs(parts["half-1"] + parts["half-2"] - filled[whole.order_id]) <= 2


@BLOCKS
@given(SEEDS)
def test_one_price_for_all_changes_no_energy(seed: int) -> None:
    """Members' fills stand; who pays more than the community price pays it nowhere, its own limit at most."""
    chance = random.Random(seed)
    for _ in range(BLOCK):
        network = a_network(chance)
        orders = a_book(chance, network.order)
        nodal, community = clear(orders, network), clear_by(MarketRules(), orders, network)
        assert [fill.filled_wh for fill in community.fills] == [fill.filled_wh for fill in nodal.fills]
        assert community.welfare_nanoeur == nodal.welfare_nanoeur
        if community == nodal:
            continue
        by_id = {order.order_id: order for order in orders}
        inside = {price for place, price in community.price_microeur_per_kwh.items() if place and price}
        for fill, before in zip(community.fills, nodal.fills, strict=True):
            order = by_id[fill.order_id]
            if not fill.filled_wh or order.member == SUPPLIER:
                assert fill == before
            elif len(inside) == 1:
                assert fill.price_microeur_per_kwh in {*inside, order.limit_price_microeur_per_kwh}


@BLOCKS
@given(SEEDS)
def test_no_misstated_price_helps_under_mcafee(seed: int) -> None:
    """One unit each: whatever a member says, what they say truly brings at least as much."""
    chance = random.Random(seed)
    values = [chance.randint(-3, 6) for _ in range(chance.randint(2, 8))]
    orders = [an_order(f"o{i}", chance.choice(["buy", "sell"]), 1, value) for i, value in enumerate(values)]

    def gain(place: int, said: int) -> int:
        told = [*orders[:place], replace(orders[place], limit_price_microeur_per_kwh=said)]
        told += orders[place + 1 :]
        fill = next(f for f in mcafee(told, clear(told), 1).fills if f.order_id == orders[place].order_id)
        sign = 1 if orders[place].side is Side.BUY else -1
        return sign * fill.filled_wh * (values[place] - (fill.price_microeur_per_kwh or 0))

    for place, value in enumerate(values):
        truly = gain(place, value)
        assert truly >= 0
        assert all(gain(place, said) <= truly for said in range(-5, 9))


@BLOCKS
@given(SEEDS)
def test_linked_sales_never_give_more_than_was_stored(seed: int) -> None:
    """Eight quarter-hours of a battery, cleared in any order: what came out went in before, less losses."""
    chance = random.Random(seed)
    link = Link(name="battery", efficiency_ppm=chance.randint(1, 1_000_000))
    history: list[tuple[Order, int]] = []
    for quarter in chance.sample(range(8), 8):
        at = QUARTER_AT_NOON + quarter * QUARTER
        legs = [
            replace(
                an_order(
                    f"q{quarter}-{i}", chance.choice(["buy", "sell"]), chance.randint(1, 30), 0, member="me"
                ),
                limit_price_microeur_per_kwh=chance.randint(-3, 6),
                link=link,
            )
            for i in range(chance.randint(1, 3))
        ]
        others = a_book(chance, (NodeId(""),))
        stored = stored_wh(history, at)
        result = clear([*legs, *others], caps_wh=link_caps_wh([*legs, *others], stored))
        filled = fills_of(result)
        sold = sum(filled[leg.order_id] for leg in legs if leg.side is Side.SELL)
        assert sold <= sum(stored.values())
        history += [(replace(leg, interval_start=at), filled[leg.order_id]) for leg in legs]
        for until in {leg.interval_start for leg, _ in history}:
            brought = sum(wh for leg, wh in history if leg.side is Side.BUY and leg.interval_start < until)
            given_back = sum(
                wh for leg, wh in history if leg.side is Side.SELL and leg.interval_start <= until
            )
            assert given_back * 1_000_000 <= brought * link.efficiency_ppm


@BLOCKS
@given(SEEDS)
def test_matches_add_up_to_the_fills(seed: int) -> None:
    """Every filled watt-hour has one partner, whatever the labels; neither price nor quantity moves."""
    chance = random.Random(seed)
    for _ in range(BLOCK):
        envelope = a_network(chance)
        network = Network(
            tuple(
                Node(id=node.id, parent=node.parent, kind=chance.choice(list(NodeKind)))
                for node in envelope.nodes
            )
        )
        orders = a_book(chance, envelope.order)
        filled = fills_of(clear(orders, envelope))
        matches = match_fills(
            orders,
            filled,
            network,
            sun={order.order_id for order in orders if chance.random() < 0.5},
            social={MemberId("m0"), MemberId("m1")},
        )
        paired: Counter[str] = Counter()
        for match in matches:
            assert match.energy_wh > 0
            paired[match.buy_order_id] += match.energy_wh
            paired[match.sell_order_id] += match.energy_wh
        assert paired == Counter({order_id: wh for order_id, wh in filled.items() if wh})


@given(st.integers(0, 10**15), st.sets(st.text(max_size=3), min_size=1, max_size=50))
def test_returned_rent_sums_to_the_rent(rent: int, connections: set[str]) -> None:
    """Exactly, in parts that differ by a nano-euro at most."""
    parts = rent_shares(rent, sorted(connections)).values()
    assert sum(parts) == rent
    assert max(parts) - min(parts) <= 1


@pytest.mark.parametrize("rules", RULES)
def test_lonely_books_clear_to_nothing(rules: MarketRules) -> None:
    """One order, or one side only: no fill, no money, no price."""
    for orders in ([an_order("b", "buy", 9, 5)], [an_order("s", "sell", 9, -5), an_order("t", "sell", 3, 0)]):
        result = clear_by(rules, orders)
        assert all(fill.filled_wh == fill.amount_nanoeur == 0 for fill in result.fills)
        assert set(result.price_microeur_per_kwh.values()) == {None}
