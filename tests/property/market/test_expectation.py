"""Automatic orders cost nobody more on average than the same energy without trading."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction

from hypothesis import assume, given
from hypothesis import strategies as st

from controller.domain.ids import AssetId, MemberId, NodeId
from market.expectation import STEPS, Chances
from market.from_plan import ForecastEnergy, QuarterPrices, orders_from_plan
from market.orders import Side

EXPECTED_WH = 1000
ENDS_WH = [0, *(round(step * EXPECTED_WH) for step in STEPS)]
ROUNDING = Fraction(1, 10**6)
"""Chances are binary fractions: in 1,200 Wh that is far less than a micro-euro per kWh."""

prices = st.tuples(st.integers(-300_000, 500_000), st.integers(0, 400_000)).map(
    lambda both: (both[0] + both[1], both[0])
)
odds = st.lists(st.integers(0, 100), min_size=3, max_size=3).map(
    lambda found: [Fraction(each, 100) for each in sorted(found, reverse=True)]
)


def average_cost(
    side: Side, traded_wh: int, price: Fraction, asked: int, paid: int, vat: Fraction, chances: list[Fraction]
) -> Fraction:
    """What a quarter-hour costs on average, at the least that may come with those chances.

    It comes exactly at the slices' ends: with less than the first chance nothing comes at all.
    """
    weights = [a - b for a, b in zip([Fraction(1), *chances], [*chances, Fraction(0)], strict=True)]
    total = Fraction(0)
    for weight, came_wh in zip(weights, ENDS_WH, strict=True):
        beyond = came_wh - traded_wh if side is Side.BUY else traded_wh - came_wh
        dear = asked * (1 + vat)
        total += weight * beyond * (dear if beyond > 0 else paid)
    return total + traded_wh * price * (1 if side is Side.BUY else -1)


@given(
    prices=prices,
    chances=odds,
    cleared=st.integers(-400_000, 1_000_000),
    vat_percent=st.sampled_from([0, 9, 21]),
    taxed=st.booleans(),
    takes=st.booleans(),
)
def test_whatever_the_price_nobody_is_worse_off_on_average(
    prices: tuple[int, int],
    chances: list[Fraction],
    cleared: int,
    vat_percent: int,
    taxed: bool,  # noqa: FBT001 (drawn, not passed by anyone)
    takes: bool,  # noqa: FBT001
) -> None:
    """Any supplier's prices, odds and clearing price; a purchase with VAT on all of it or on none."""
    asked, paid = prices
    vat = Fraction(vat_percent, 100)
    quarter = QuarterPrices(
        interval_start=datetime(2024, 6, 3, 10, 0, tzinfo=UTC),
        import_microeur_per_kwh=asked,
        export_microeur_per_kwh=paid,
        vat_fraction=float(vat),
    )
    known = Chances((float(chances[0]), float(chances[1]), float(chances[2])))
    home = ForecastEnergy(
        asset=AssetId("home"),
        member=MemberId("m"),
        node=NodeId("n"),
        energy_wh=EXPECTED_WH if takes else -EXPECTED_WH,
        chances=known,
    )
    # With VAT, a kWh that is used is saved at a price with VAT; where that is less than what the supplier
    # pays (prices below zero), nobody trades and the sentence says nothing.
    assume(asked * (1 + vat) >= paid)
    orders = orders_from_plan(quarter, [], [home])
    assert sum(order.quantity_wh for order in orders) == ENDS_WH[-1]
    traded_wh = sum(
        order.quantity_wh
        for order in orders
        if (order.limit_price_microeur_per_kwh - cleared) * (1 if takes else -1) >= 0
    )
    side = Side.BUY if takes else Side.SELL
    price = Fraction(cleared) * (1 + vat) if takes and taxed else Fraction(cleared)
    figures = (asked, paid, vat, chances)
    assert average_cost(side, traded_wh, price, *figures) <= average_cost(side, 0, price, *figures) + ROUNDING
