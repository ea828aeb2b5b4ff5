"""Clearing inside the network's limits, worked by hand."""

from __future__ import annotations

from collections.abc import Sequence

from market.clearing import Envelope, IntervalResult, clear
from market.orders import Order
from tests.support.market import an_envelope, an_order


def fills_of(result: IntervalResult) -> dict[str, int]:
    """Fills by order id."""
    return {fill.order_id: fill.filled_wh for fill in result.fills}


def cleared(orders: Sequence[Order], envelope: Envelope) -> tuple[IntervalResult, dict[str, int]]:
    """The result and its fills."""
    result = clear(orders, envelope)
    return result, fills_of(result)


def test_import_limit_makes_the_node_dearer_and_the_difference_is_rent() -> None:
    """One feeder that lets 6 of the wanted 10 Wh in.

    Inside: a buyer of 10 at 300. Outside: a seller of 100 at 100. Fills 6 and 6. The buyer is short, so
    the price inside is 300; the seller is short, so it is 100 outside. Paid 6 x 300 = 1800, received
    6 x 100 = 600: rent 1200. Welfare 6 x (300 - 100) = 1200.
    """
    orders = [an_order("b", "buy", 10, 300, "feeder"), an_order("s", "sell", 100, 100)]
    result, fills = cleared(orders, an_envelope(feeder=(None, 6, 6)))
    assert fills == {"b": 6, "s": 6}
    assert result.price_microeur_per_kwh == {"": 100, "feeder": 300}
    assert [fill.amount_nanoeur for fill in result.fills] == [1800, -600]
    assert (result.congestion_rent_nanoeur, result.welfare_nanoeur) == (1200, 1200)


def test_export_limit_makes_the_node_cheaper() -> None:
    """PV of 10 Wh at 20 behind an export limit of 4, a buyer of 50 at 80 outside.

    Fills 4 and 4; 20 inside, 80 outside; rent 4 x 80 - 4 x 20 = 240.
    """
    orders = [an_order("pv", "sell", 10, 20, "roof"), an_order("out", "buy", 50, 80)]
    result, fills = cleared(orders, an_envelope(roof=(None, 9, 4)))
    assert fills == {"pv": 4, "out": 4}
    assert result.price_microeur_per_kwh == {"": 80, "roof": 20}
    assert result.congestion_rent_nanoeur == 240


def test_neighbours_trade_behind_a_closed_cable() -> None:
    """Nothing crosses the feeder, so its two neighbours trade at their own midpoint (30 + 90) / 2."""
    orders = [
        an_order("pv", "sell", 5, 30, "feeder"),
        an_order("home", "buy", 5, 90, "feeder"),
        an_order("out", "sell", 99, 10),
    ]
    result, fills = cleared(orders, an_envelope(feeder=(None, 0, 0)))
    assert fills == {"pv": 5, "home": 5, "out": 0}
    assert result.price_microeur_per_kwh == {"": None, "feeder": 60}
    assert result.congestion_rent_nanoeur == 0


def test_a_limit_above_binds_before_the_ones_below() -> None:
    """Two feeders of 10 under a transformer of 12, both with buyers: the dearer one goes first.

    `a` (at 300) gets its 10, `b` (at 200) the 2 that are left. Under the transformer the price is one:
    `b` is short at 200, and no feeder but `a`'s is full. At `a` the limit of 10 is just reached, so
    its price may lie between 200 and its buyer's 300: midpoint 250. Outside: 50.
    Rent: 10 x 250 + 2 x 200 - 12 x 50 = 2300.
    """
    orders = [
        an_order("a", "buy", 10, 300, "fa"),
        an_order("b", "buy", 10, 200, "fb"),
        an_order("s", "sell", 99, 50),
    ]
    network = an_envelope(t=(None, 12, 12), fa=("t", 10, 10), fb=("t", 10, 10))
    result, fills = cleared(orders, network)
    assert fills == {"a": 10, "b": 2, "s": 12}
    assert result.price_microeur_per_kwh == {"": 50, "t": None, "fa": 250, "fb": 200}
    assert result.steering_price_microeur_per_kwh == {"": 50, "t": 200, "fa": 250, "fb": 200}
    assert result.congestion_rent_nanoeur == 2300


def test_roots_without_a_common_parent_trade_through_the_outside() -> None:
    """A seller under one root and a buyer under another meet, within both roots' limits: 7 of 9 Wh."""
    orders = [an_order("s", "sell", 9, 10, "left"), an_order("b", "buy", 9, 50, "right")]
    result, fills = cleared(orders, an_envelope(left=(None, 20, 8), right=(None, 7, 20)))
    assert fills == {"s": 7, "b": 7}
    assert result.price_microeur_per_kwh == {"": None, "left": 10, "right": 50}
    assert result.congestion_rent_nanoeur == 7 * (50 - 10)


def test_without_a_binding_limit_there_is_one_price_and_no_rent() -> None:
    """Roomy limits: the buyer of 5 at 90 and the seller of 5 at 30 meet at 60 everywhere they trade."""
    orders = [an_order("s", "sell", 5, 30, "a"), an_order("b", "buy", 5, 90, "b")]
    result, fills = cleared(orders, an_envelope(a=(None, 100, 100), b=(None, None, None)))
    assert fills == {"s": 5, "b": 5}
    assert result.price_microeur_per_kwh == {"": None, "a": 60, "b": 60}
    assert result.congestion_rent_nanoeur == 0


def test_largest_volume_among_equals_within_limits() -> None:
    """A trade that is worth nothing (70 for 70) still happens, as far as the limit of 3 allows."""
    orders = [an_order("s", "sell", 5, 70), an_order("b", "buy", 5, 70, "n")]
    result, fills = cleared(orders, an_envelope(n=(None, 3, 3)))
    assert fills == {"s": 3, "b": 3}
    assert result.welfare_nanoeur == 0


def test_ties_at_one_node_share_its_part() -> None:
    """4 Wh come in for two buyers of 6 and 2 at one price: 3 and 1."""
    orders = [
        an_order("x", "buy", 6, 90, "n"),
        an_order("y", "buy", 2, 90, "n"),
        an_order("s", "sell", 50, 10),
    ]
    _, fills = cleared(orders, an_envelope(n=(None, 4, 4)))
    assert fills == {"x": 3, "y": 1, "s": 4}
