"""One quarter-hour: minimum fills, hashes, money and what is refused."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest

from market.clearing import clear
from market.orders import Order
from tests.support.market import QUARTER_AT_NOON, an_envelope, an_order


def fills_of(*orders: Order) -> dict[str, int]:
    """Fills by order id, at one place."""
    return {fill.order_id: fill.filled_wh for fill in clear(orders).fills}


def test_every_order_has_a_fill_by_id_with_price_and_amount() -> None:
    """Price (50 + 100) / 2 = 75; the buyer pays 10 x 75 = 750 nano-euro, the seller gets it."""
    result = clear([an_order("z", "sell", 10, 50), an_order("a", "buy", 10, 100), an_order("m", "buy", 1, 2)])
    assert [(f.order_id, f.filled_wh, f.price_microeur_per_kwh, f.amount_nanoeur) for f in result.fills] == [
        ("a", 10, 75, 750),
        ("m", 0, 75, 0),
        ("z", 10, 75, -750),
    ]
    assert result.price_microeur_per_kwh == {"": 75}
    assert (result.congestion_rent_nanoeur, result.welfare_nanoeur) == (0, 500)


def test_without_a_network_every_node_is_one_place() -> None:
    """Orders at two nodes meet; both nodes have the one price, and so has the grid outside."""
    result = clear([an_order("s", "sell", 4, 10, "left"), an_order("b", "buy", 4, 20, "right")])
    assert result.price_microeur_per_kwh == {"": 15, "left": 15, "right": 15}


def test_equal_remainders_go_by_the_hash_of_the_id() -> None:
    """1 Wh for two equal buyers: the id with the smaller SHA-256 gets it."""
    first = min(("p", "q"), key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    fills = fills_of(an_order("p", "buy", 1, 9), an_order("q", "buy", 1, 9), an_order("s", "sell", 1, 5))
    assert fills[first] == 1
    assert sum(fills.values()) == 2


def test_order_below_its_minimum_leaves_and_the_rest_clears_again() -> None:
    """8 Wh for buyers of 6 at 90 and 6 at 80 that wants at least 4: it would get 2, so it leaves.

    Then the buyer at 70, who had nothing, gets the 2.
    """
    fills = fills_of(
        an_order("first", "buy", 6, 90),
        an_order("picky", "buy", 6, 80, min_fill_wh=4),
        an_order("next", "buy", 6, 70),
        an_order("s", "sell", 8, 10),
    )
    assert fills == {"first": 6, "picky": 0, "next": 2, "s": 8}


def test_worst_limit_price_leaves_first() -> None:
    """Two buyers tie at 80 for 4 Wh, a third at 70 gets none and wants all: it leaves, they stay.

    Of the tied ones (2 each) both want 3. The larger minimum leaves first; equal ones by hash. When one
    has left, the other gets all 4.
    """
    names = sorted(("p", "q"), key=lambda name: hashlib.sha256(name.encode()).digest())
    fills = fills_of(
        an_order("p", "buy", 4, 80, min_fill_wh=3),
        an_order("q", "buy", 4, 80, min_fill_wh=3),
        an_order("low", "buy", 4, 70, min_fill_wh=4),
        an_order("s", "sell", 4, 10),
    )
    assert fills == {names[0]: 0, names[1]: 4, "low": 0, "s": 4}


def test_larger_minimum_leaves_before_the_hash_is_asked() -> None:
    """Both get 2 of 4 and want 3 and 4: the one that wants 4 leaves, the other gets all."""
    for picky in ("p", "q"):
        minimum = {"p": 3, "q": 3, picky: 4}
        fills = fills_of(
            an_order("p", "buy", 4, 80, min_fill_wh=minimum["p"]),
            an_order("q", "buy", 4, 80, min_fill_wh=minimum["q"]),
            an_order("s", "sell", 4, 10),
        )
        assert fills[picky] == 0
        assert fills["s"] == 4


def test_unfilled_order_with_a_minimum_no_longer_bounds_the_price() -> None:
    """A buyer at 70 who got nothing bounds the price from below at 70; with a minimum it has left.

    Buyer 90, seller 10, equal quantities: with the bound (70 + 90) / 2 = 80, without (10 + 90) / 2 = 50.
    """
    pair = [an_order("b", "buy", 5, 90), an_order("s", "sell", 5, 10)]
    assert clear([*pair, an_order("x", "buy", 5, 70)]).price_microeur_per_kwh[pair[0].node] == 80
    picky = an_order("x", "buy", 5, 70, min_fill_wh=1)
    assert clear([*pair, picky]).price_microeur_per_kwh[pair[0].node] == 50


def test_all_leave_and_there_is_no_price() -> None:
    """A seller that must sell more than is asked for leaves; nothing is left, with or without a network."""
    orders = [an_order("b", "buy", 5, 90), an_order("s", "sell", 9, 10, min_fill_wh=9)]
    for envelope in (None, an_envelope()):
        result = clear(orders, envelope)
        assert [fill.filled_wh for fill in result.fills] == [0, 0]
        assert set(result.price_microeur_per_kwh.values()) == {None}
    alone = [an_order("s", "sell", 9, 10, min_fill_wh=9)]
    assert clear(alone, an_envelope()).steering_price_microeur_per_kwh == {}


def test_many_with_a_minimum_leave_in_few_rounds() -> None:
    """A hundred buyers out of the money with a minimum leave at once; the fills are as without them."""
    pair = [an_order("b", "buy", 5, 90), an_order("s", "sell", 5, 50)]
    crowd = [an_order(f"c{i}", "buy", 5, i % 40, min_fill_wh=5) for i in range(100)]
    assert sum(fills_of(*pair, *crowd).values()) == 10


@pytest.mark.parametrize(
    ("orders", "words"),
    [
        ([], "no orders"),
        ([an_order("a", "buy", 1, 1), an_order("a", "sell", 1, 1)], "same id"),
        ([an_order("a", "buy", 1, 1, "nowhere")], "nowhere"),
        (
            [
                an_order("a", "buy", 1, 1),
                an_order("b", "buy", 1, 1, interval_start=QUARTER_AT_NOON + timedelta(minutes=15)),
            ],
            "several quarter-hours",
        ),
        ([an_order("a", "buy", 2**62, 1)], "add up"),
    ],
)
def test_what_cannot_be_cleared_is_refused(orders: list[Order], words: str) -> None:
    """A caller's mistake is told at once."""
    with pytest.raises(ValueError, match=words):
        clear(orders, an_envelope(node=(None, 1, 1)))
