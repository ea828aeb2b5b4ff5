"""What holds for every clearing, whatever the orders and the network."""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.clearing import Envelope, IntervalResult, auction, clear
from market.clearing.ties import by_position
from market.orders import Order, Side
from tests.support.market import an_envelope, an_order, reference_clearing

LIMITS = st.sampled_from([0, 1, 2, 5, 9, 20, 50])
MANY = settings(max_examples=100, deadline=None)


@st.composite
def networks(draw: st.DrawFn) -> Envelope:
    """A forest of one to six nodes with small limits."""
    nodes: dict[str, tuple[str | None, int | None, int | None]] = {}
    for number in range(draw(st.integers(1, 6))):
        parent = draw(st.sampled_from([None, *nodes]))
        nodes[f"n{number}"] = (parent, draw(LIMITS), draw(LIMITS))
    return an_envelope(**nodes)


@st.composite
def books(draw: st.DrawFn, places: tuple[str, ...] = ("",), *, minimums: bool = False) -> list[Order]:
    """One to fourteen orders at the places, with few prices, so that there are ties."""
    orders = []
    for number in range(draw(st.integers(1, 14))):
        quantity = draw(st.integers(1, 20))
        orders.append(
            an_order(
                f"o{number}",
                draw(st.sampled_from(["buy", "sell"])),
                quantity,
                draw(st.integers(-4, 8)),
                draw(st.sampled_from(places)),
                min_fill_wh=draw(st.integers(0, quantity)) if minimums else 0,
            )
        )
    return orders


@st.composite
def problems(draw: st.DrawFn, *, minimums: bool = False) -> tuple[list[Order], Envelope]:
    """A network and orders in it."""
    network = draw(networks())
    return draw(books(network.order, minimums=minimums)), network


def volume_wh(orders: list[Order], result: IntervalResult) -> int:
    """What was bought, which is what was sold."""
    side = {order.order_id: order.side for order in orders}
    bought = sum(fill.filled_wh for fill in result.fills if side[fill.order_id] is Side.BUY)
    assert bought == sum(fill.filled_wh for fill in result.fills if side[fill.order_id] is Side.SELL)
    return bought


def assert_sound(orders: list[Order], result: IntervalResult) -> None:
    """Fills within quantities and minimums, nobody beyond a limit price, money adds up."""
    by_id = {order.order_id: order for order in orders}
    volume_wh(orders, result)
    assert [fill.order_id for fill in result.fills] == sorted(by_id)
    for fill in result.fills:
        order = by_id[fill.order_id]
        assert 0 <= fill.filled_wh <= order.quantity_wh
        assert fill.filled_wh == 0 or fill.filled_wh >= order.min_fill_wh
        assert fill.price_microeur_per_kwh == result.price_microeur_per_kwh[order.node]
        if fill.filled_wh:
            assert fill.price_microeur_per_kwh is not None
            over = fill.price_microeur_per_kwh - order.limit_price_microeur_per_kwh
            assert over <= 0 if order.side is Side.BUY else over >= 0
    assert sum(fill.amount_nanoeur for fill in result.fills) == result.congestion_rent_nanoeur >= 0


def assert_within_limits(orders: list[Order], result: IntervalResult, network: Envelope) -> None:
    """Each node's subtree imports and exports no more than the node lets through."""
    by_id = {order.order_id: order for order in orders}
    parent = {node.id: node.parent for node in network.nodes}
    net: defaultdict[str, int] = defaultdict(int)
    for fill in result.fills:
        order = by_id[fill.order_id]
        place = order.node or None
        while place is not None:
            net[place] += fill.filled_wh if order.side is Side.BUY else -fill.filled_wh
            place = parent[place]
    for node in network.nodes:
        assert node.import_wh is not None
        assert node.export_wh is not None
        assert -node.export_wh <= net[node.id] <= node.import_wh


@MANY
@given(problems(minimums=True))
def test_every_network_clearing_is_sound(problem: tuple[list[Order], Envelope]) -> None:
    """Quantities, minimums, limit prices, network limits, and money that adds up to the rent."""
    orders, network = problem
    result = clear(orders, network)
    assert_sound(orders, result)
    assert_within_limits(orders, result, network)


@MANY
@given(books(minimums=True))
def test_every_auction_is_sound(orders: list[Order]) -> None:
    """The same at one place, where there is no rent."""
    result = clear(orders)
    assert_sound(orders, result)
    assert result.congestion_rent_nanoeur == 0


@MANY
@given(problems(minimums=True), st.randoms(use_true_random=False))
def test_order_of_arrival_changes_nothing(
    problem: tuple[list[Order], Envelope], chance: random.Random
) -> None:
    """Permuted orders give the identical result, with and without a network."""
    orders, network = problem
    shuffled = list(orders)
    chance.shuffle(shuffled)
    for envelope in (network, None):
        one, other = clear(orders, envelope), clear(shuffled, envelope)
        assert one == other
        assert one.steering_price_microeur_per_kwh == other.steering_price_microeur_per_kwh


@MANY
@given(books(("", "a", "b")))
def test_roomy_network_equals_the_auction(orders: list[Order]) -> None:
    """Where no limit can bind, the network's clearing and the auction agree on price, volume, welfare."""
    network = an_envelope(a=(None, 10**6, 10**6), b=("a", 10**6, 10**6))
    inside, outside = clear(orders, network), clear(orders)
    assert volume_wh(orders, inside) == volume_wh(orders, outside)
    assert inside.welfare_nanoeur == outside.welfare_nanoeur
    traded = {price for price in inside.price_microeur_per_kwh.values() if price is not None}
    assert traded == ({outside.price_microeur_per_kwh[orders[0].node]} - {None})


@MANY
@given(problems(), st.sampled_from(Side), st.integers(1, 20), st.integers(-4, 8))
def test_new_buyer_never_lowers_a_price(
    problem: tuple[list[Order], Envelope], side: Side, quantity_wh: int, limit: int
) -> None:
    """Nor does a new seller raise one; at every place of the network, and at one place."""
    orders, network = problem
    # The widest limits stand in both books, so that the range that prices are kept in is the same.
    frame = [an_order("x-high", "sell", 1, 9), an_order("x-low", "buy", 1, -5)]
    new = an_order("new", side, quantity_wh, limit)
    for envelope in (network, None):
        before = clear([*orders, *frame], envelope).steering_price_microeur_per_kwh
        after = clear([*orders, *frame, new], envelope).steering_price_microeur_per_kwh
        for place in before.keys() & after.keys():
            change = after[place] - before[place]
            assert change >= 0 if side is Side.BUY else change <= 0


def one_leaves_at_a_time(orders: list[Order]) -> IntervalResult:
    """The rule of minimum fills to the letter: clear, the worst below its minimum leaves, clear again."""
    staying = list(orders)
    while True:
        result = clear([replace(order, min_fill_wh=0) for order in staying])
        filled = {fill.order_id: fill.filled_wh for fill in result.fills}
        below = [order for order in staying if filled[order.order_id] < order.min_fill_wh]
        if not below:
            return result
        staying.remove(
            min(
                below,
                key=lambda order: (
                    order.limit_price_microeur_per_kwh * (1 if order.side is Side.BUY else -1),
                    -order.min_fill_wh,
                    hashlib.sha256(order.order_id.encode()).hexdigest(),
                ),
            )
        )


@MANY
@given(books(minimums=True))
def test_leaving_together_equals_leaving_one_by_one(orders: list[Order]) -> None:
    """Clearing again only when it can matter gives the same fills and the same price."""
    always = an_order("always", "buy", 1, 0)
    result, letter = clear([always, *orders]), one_leaves_at_a_time([always, *orders])
    filled = {fill.order_id: fill.filled_wh for fill in letter.fills}
    assert all(fill.filled_wh == filled.get(fill.order_id, 0) for fill in result.fills)
    assert result.price_microeur_per_kwh == letter.price_microeur_per_kwh


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["buy", "sell"]), st.integers(1, 3), st.integers(-2, 4)),
        min_size=1,
        max_size=5,
    )
)
def test_auction_equals_trying_every_fill(rows: list[tuple[str, int, int]]) -> None:
    """No whole-numbered fills are worth more, and none of equal worth trade more."""
    orders = [an_order(f"o{i}", side, quantity, price) for i, (side, quantity, price) in enumerate(rows)]
    best = max(
        (
            sum(sign * price * fill for sign, (_, _, price), fill in zip(signs, rows, fills, strict=True)),
            sum(fills) // 2,
        )
        for signs in [[1 if side == "buy" else -1 for side, _, _ in rows]]
        for fills in product(*(range(quantity + 1) for _, quantity, _ in rows))
        if sum(sign * fill for sign, fill in zip(signs, fills, strict=True)) == 0
    )
    result = clear(orders)
    assert (result.welfare_nanoeur, volume_wh(orders, result)) == best


def random_problem(seed: int) -> tuple[list[Order], Envelope]:
    """A tiny book in a tiny forest."""
    chance = random.Random(seed)
    sizes = [0, 1, 2, 5, 9, 20, 50]
    nodes: dict[str, tuple[str | None, int | None, int | None]] = {}
    for number in range(chance.randint(1, 5)):
        parent = chance.choice([None, *nodes, *nodes])
        nodes[f"n{number}"] = (parent, chance.choice(sizes), chance.choice(sizes))
    network = an_envelope(**nodes)
    orders = [
        an_order(
            f"o{number}",
            chance.choice(["buy", "sell"]),
            chance.randint(1, 20),
            chance.randint(-4, 8),
            chance.choice(network.order),
        )
        for number in range(chance.randint(1, 14))
    ]
    return orders, network


@pytest.mark.parametrize("block", range(8))
def test_network_clearing_equals_the_linear_programme(block: int) -> None:
    """25 random problems a block, 200 in all: welfare, volume and all prices equal HiGHS's.

    Prices are compared at every place, also where nothing was filled: both ends of the set of supporting
    prices come from the linear programme's dual.
    """
    for seed in range(25 * block, 25 * (block + 1)):
        orders, network = random_problem(seed)
        result, reference = clear(orders, network), reference_clearing(orders, network)
        assert result.welfare_nanoeur == reference.welfare_nanoeur, seed
        assert volume_wh(orders, result) == reference.volume_wh, seed
        middle = {place: (low + reference.highest[place]) // 2 for place, low in reference.lowest.items()}
        assert result.steering_price_microeur_per_kwh == middle, seed


def sorted_auction(buy: list[bool], price: list[int], quantity: list[int]) -> tuple[int, int, int]:
    """Volume and both ends of the supporting prices, by trying every limit price on sorted sides."""

    def total(side: bool, kept: Callable[[int], bool]) -> int:  # noqa: FBT001
        return sum(q for b, p, q in zip(buy, price, quantity, strict=True) if b is side and kept(p))

    volume = max(min(total(False, limit.__ge__), total(True, limit.__le__)) for limit in set(price))
    supporting = [
        limit
        for limit in sorted(set(price))
        # Whoever is strictly better off must fit into the volume, and whoever is willing must fill it.
        if max(total(False, limit.__gt__), total(True, limit.__lt__)) <= volume
        and min(total(False, limit.__ge__), total(True, limit.__le__)) >= volume
    ]
    return volume, supporting[0], supporting[-1]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 40), st.sampled_from(["mixed", "sorted", "hidden"]))
def test_auction_of_thousands_finds_the_crossing(seed: int, levels: int, shape: str) -> None:
    """Books larger than the sample of prices, also where the sample sees nothing of what lies between."""
    chance = np.random.default_rng(seed)
    count = int(chance.integers(1025, 4000))
    price = chance.integers(-3, levels, count)
    if shape == "sorted":
        price.sort()
    elif shape == "hidden":
        price[:: 1 + count // 1024] = levels
    buy, quantity = chance.random(count) < chance.random(), chance.integers(1, 50, count)
    found = auction(buy, price, quantity, by_position)
    volume, lowest, highest = sorted_auction(buy.tolist(), price.tolist(), quantity.tolist())
    assert found.volume_wh == volume
    assert int(found.filled_wh[buy].sum()) == int(found.filled_wh[~buy].sum()) == volume
    if volume:
        assert (found.lowest_microeur_per_kwh, found.highest_microeur_per_kwh) == (lowest, highest)
