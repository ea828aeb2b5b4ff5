"""Statements: sums of closed days and of what stands for them; cents only here."""

from __future__ import annotations

from datetime import UTC, date, datetime
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain.ids import Ean, MemberId
from controller.domain.units import NANOEUR_PER_CENT, cents_of
from market.day_closing import DayPoint
from market.ledger import Posting, PostingReason, posting, reverse
from market.statements import LineKind, Statement, amount_of, invoice_cents, make_statement

START = datetime(2024, 5, 31, 22, tzinfo=UTC)
FIRST, LAST = date(2024, 6, 1), date(2024, 6, 30)
ANN = MemberId("ann")


def booked(reason: PostingReason, amount: int, *, ref: str = "point", revision: int = 0) -> Posting:
    """Ann pays, or is paid a negative amount."""
    return posting(
        payer="member:ann",
        receiver="supplier",
        amount_nanoeur=amount,
        reason=reason,
        interval_start=START,
        ref=ref,
        booked_at=START,
        revision=revision,
    )


def point(day: int = 1, **wh: int) -> DayPoint:
    """One point's day in June."""
    names = [
        "offtake_wh",
        "feed_in_wh",
        "received_wh",
        "given_wh",
        "bought_wh",
        "sold_wh",
        "estimated_quarters",
        "unsettled_quarters",
        "without_nanoeur",
        "sharing_nanoeur",
    ]
    counts: dict[str, Any] = {name: wh.get(name, 0) for name in names}
    return DayPoint(day=date(2024, 6, day), ean=Ean("e"), member=ANN, **counts)


def statement(points: list[DayPoint], postings: list[Posting]) -> Statement:
    """Ann's of June."""
    return make_statement(ANN, FIRST, LAST, points, postings)


def test_a_month_of_sharing() -> None:
    """Two days: 10 kWh used, 4 of them neighbours' at 0.15; 6 from the supplier at 0.30; tax apart."""
    found = statement(
        [
            point(1, offtake_wh=6000, received_wh=4000, without_nanoeur=1_800_000_000),
            point(2, offtake_wh=4000, without_nanoeur=1_200_000_000, estimated_quarters=3),
        ],
        [
            booked(PostingReason.SHARED_BUY, 600_000_000),
            booked(PostingReason.SUPPLY, 1_800_000_000),
            booked(PostingReason.ENERGY_TAX, 1_000_000_000),
        ],
    )
    assert [(line.kind, line.energy_wh, line.price_microeur_per_kwh, line.cents) for line in found.lines] == [
        (LineKind.SHARED_BUY, 4000, 150_000, 60),
        (LineKind.SUPPLY, 6000, 300_000, 180),
        (LineKind.ENERGY_TAX, 10_000, 100_000, 100),
    ]
    assert (found.used_wh, found.made_wh, found.days, found.estimated_quarters) == (10_000, 0, 2, 3)
    assert (found.total_cents, found.without_cents) == (340, 300)
    assert not found.is_traded
    assert amount_of(found, LineKind.ENERGY_TAX, LineKind.VAT) == 1_000_000_000


def test_what_was_taken_back_does_not_stand() -> None:
    """A reversal and the new posting: only the last one counts."""
    wrong = booked(PostingReason.SUPPLY, 500)
    right = booked(PostingReason.SUPPLY, 400, revision=1)
    found = statement([point()], [wrong, reverse(wrong, booked_at=START), right])
    assert [(line.kind, line.amount_nanoeur) for line in found.lines] == [(LineKind.SUPPLY, 400)]


def test_trades_and_deviations() -> None:
    """Bought and sold apart; of deviations the energy is of both kinds and not told."""
    found = statement(
        [point(offtake_wh=700, bought_wh=500, feed_in_wh=100, sold_wh=100)],
        [
            booked(PostingReason.TRADE, 500, ref="order-1"),
            booked(PostingReason.TRADE, -90, ref="order-2"),
            booked(PostingReason.IMBALANCE_BUY, 60),
            booked(PostingReason.IMBALANCE_SELL, -5),
        ],
    )
    assert [(line.kind, line.energy_wh, line.amount_nanoeur) for line in found.lines] == [
        (LineKind.BOUGHT, 500, 500),
        (LineKind.SOLD, 100, -90),
        (LineKind.SUPPLY, None, 60),
        (LineKind.FEED_IN, None, -5),
    ]
    assert found.lines[2].price_microeur_per_kwh is None
    assert found.is_traded
    assert found.total_nanoeur == 465


def test_what_guests_paid_at_a_members_socket_is_no_part_of_the_energy_bill() -> None:
    """It stands in the ledger and in the member's balance; the statement is about their own energy."""
    guests = [booked(PostingReason.GUEST_CHARGING, -4_000, ref="s-1"), booked(PostingReason.PAYMENT_FEE, 10)]
    found = statement([point()], [booked(PostingReason.SUPPLY, 500), *guests])
    assert [(line.kind, line.amount_nanoeur) for line in found.lines] == [(LineKind.SUPPLY, 500)]


@pytest.mark.parametrize(
    ("nanoeur", "cents"), [(4_999_999, 0), (5_000_000, 1), (-5_000_000, 0), (-5_000_001, -1), (10**9, 100)]
)
def test_cents_are_rounded_half_up(nanoeur: int, cents: int) -> None:
    """Half a cent up, also below 0."""
    assert cents_of(nanoeur) == cents


@given(st.lists(st.integers(-(10**12), 10**12), max_size=12))
def test_lines_in_cents_add_up_to_the_rounded_total(amounts: list[int]) -> None:
    """Each is off by less than a cent, the total by at most half of one."""
    cents = invoice_cents(amounts)
    assert sum(cents) == cents_of(sum(amounts))
    for exact, rounded in zip(amounts, cents, strict=True):
        assert abs(Fraction(exact, NANOEUR_PER_CENT) - rounded) <= 1
