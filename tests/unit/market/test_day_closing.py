"""A day is closed as a whole, and again when late readings change it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from controller.domain.ids import Ean, MemberId
from controller.domain.units import IntArray
from market.day_closing import DayInputs, Traded, close_day
from market.ledger import PostingReason, assert_balanced, balances, posting
from market.rates import Rate, RateKind
from market.sharing import KEYS, Energy
from market.sharing.pool import Point, PoolInputs, PoolRules, SupplyPrices

MIDNIGHT = datetime(2024, 6, 2, 22, tzinfo=UTC)
LATER = MIDNIGHT + timedelta(days=1, hours=1)
RULES = PoolRules(
    key=KEYS["mid_market_rate"],
    rates=(
        Rate(kind=RateKind.ENERGY_TAX, value=100, from_utc=MIDNIGHT, source="law"),
        Rate(kind=RateKind.VAT, value=100_000, from_utc=MIDNIGHT, source="law"),
    ),
)


def one(*values: int) -> IntArray:
    """A day of one quarter-hour, shape (1, N)."""
    return np.array([values], dtype=np.int64)


def a_day(*, traded: Traded | None = None) -> DayInputs:
    """Ann takes 600 Wh, Cor feeds in 400; the supplier asks 300 and pays 60."""
    points = tuple(Point(ean=Ean(name), member=MemberId(name)) for name in ("ann", "cor"))
    return DayInputs(
        day=date(2024, 6, 3),
        pool=PoolInputs(
            points=points,
            starts=(MIDNIGHT,),
            energy=Energy(offtake_wh=one(600, 0), feed_in_wh=one(0, 400)),
            grid_charged_wh=one(0, 0),
            supply={
                "": SupplyPrices(import_microeur_per_kwh=one(300)[0], export_microeur_per_kwh=one(60)[0])
            },
            shared_microeur_per_kwh=one(0)[0],
        ),
        estimated=np.array([[True, False]]),
        known=np.array([[True, True]]),
        traded=traded,
    )


def test_a_day_of_sharing() -> None:
    """400 Wh at (300 + 60) / 2 = 180; Ann buys 200 x 300 = 60,000, pays tax of 60,000 and 10% VAT on both.

    Without: 600 x 300 = 180,000 and the tax, with VAT 264,000; Cor would have had 400 x 60 = 24,000.
    """
    closed = close_day(a_day(), RULES, (), booked_at=LATER)
    assert_balanced(closed.postings)
    assert balances(closed.postings) == {
        "market": 0,
        "member:ann": 72_000 + 60_000 + 60_000 + 12_000,
        "member:cor": -72_000,
        "supplier": -60_000,
        "tax": -72_000,
    }
    ann, cor = closed.points
    assert (ann.received_wh, cor.given_wh, ann.without_nanoeur, cor.without_nanoeur) == (
        400,
        400,
        264_000,
        -24_000,
    )
    assert (ann.estimated_quarters, cor.estimated_quarters, ann.unsettled_quarters) == (1, 0, 0)


def trades(bought: int, sold: int, *, cleared: bool = True, settled: bool = True) -> Traded:
    """Ann bought 400 Wh of neighbours at 200 and the rest of the supplier at 300; Cor sold."""
    neighbours = min(bought, 400)
    return Traded(
        bought_wh=one(bought, 0),
        sold_wh=one(0, sold),
        supplied_nanoeur=one((bought - neighbours) * 300, 0),
        neighbours_nanoeur=one(neighbours * 200, 0),
        cleared=np.array([cleared]),
        settled=np.array([[settled, settled]]),
    )


@pytest.mark.parametrize(("on_neighbours", "vat"), [(False, 12_000), (True, 20_000)])
def test_trades_made_beforehand_get_taxes_and_fees_only(*, on_neighbours: bool, vat: int) -> None:
    """Ann bought 500 and used 600; no energy is booked.

    VAT of 10% on 100 x 300 beyond what she bought, on 100 x 300 that she bought of the supplier, on the tax
    of 60,000, and on the 400 x 200 of neighbours where the rules say so. Cor sold 900 and fed in 400: the
    supplier delivered 500 x 300 in Cor's place, with 15,000 of VAT.
    """
    rules = replace(RULES, vat_on_neighbours=on_neighbours)
    closed = close_day(a_day(traded=trades(500, 900)), rules, (), booked_at=LATER)
    assert {entry.reason for entry in closed.postings} == {PostingReason.ENERGY_TAX, PostingReason.VAT}
    assert balances(closed.postings) == {
        "member:ann": 60_000 + vat,
        "member:cor": 15_000,
        "tax": -75_000 - vat,
    }
    ann, cor = closed.points
    # By sharing: 400 x 180, 200 x 300 of the supplier, the tax, and VAT on the last two or on all.
    shared_vat = 12_000 + on_neighbours * 7_200
    assert (ann.sharing_nanoeur, cor.sharing_nanoeur) == (72_000 + 60_000 + 60_000 + shared_vat, -72_000)
    assert (ann.bought_wh, cor.sold_wh, ann.received_wh) == (500, 900, 0)


def test_what_no_meter_says_carries_no_vat() -> None:
    """Deviations from the trades wait for the meters: of Ann's 100 beyond and Cor's 500 short nothing is due.

    What Ann bought of the supplier is certain, 100 x 300 with VAT of 3,000; the tax is on what she took by
    the estimate, 60,000 with VAT of 6,000.
    """
    closed = close_day(a_day(traded=trades(500, 900, settled=False)), RULES, (), booked_at=LATER)
    assert balances(closed.postings) == {"member:ann": 60_000 + 9_000, "tax": -69_000}


def test_where_there_was_no_market_all_energy_is_the_suppliers() -> None:
    """Ann takes her 600 at 300, Cor sells 400 at 60, and nothing is shared: the market was to be."""
    closed = close_day(a_day(traded=trades(0, 0, cleared=False)), RULES, (), booked_at=LATER)
    assert balances(closed.postings) == {
        "member:ann": 180_000 + 60_000 + 24_000,
        "member:cor": -24_000,
        "supplier": -156_000,
        "tax": -84_000,
    }


def test_closed_again_it_books_the_difference_and_leaves_others_postings_alone() -> None:
    """Ann took 700 after all. The trade of the same quarter-hour is somebody else's affair."""
    first = close_day(a_day(), RULES, (), booked_at=LATER)
    trade = posting(
        payer="member:ann",
        receiver="market",
        amount_nanoeur=5,
        reason=PostingReason.TRADE,
        interval_start=MIDNIGHT,
        ref="order",
        booked_at=MIDNIGHT,
    )
    before = [trade, *first.postings]
    assert close_day(a_day(), RULES, before, booked_at=LATER).postings == ()
    day = a_day()
    more = Energy(offtake_wh=one(700, 0), feed_in_wh=one(0, 400))
    again = replace(day, pool=replace(day.pool, energy=more))
    second = close_day(again, RULES, before, booked_at=LATER)
    assert trade.posting_id not in {entry.ref for entry in second.postings}
    both = balances([*first.postings, *second.postings])
    assert both == balances(close_day(again, RULES, (), booked_at=LATER).postings)
