"""What a guest paid, in the ledger: to the nano-euro, once."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from controller.domain.units import NANOEUR_PER_CENT
from market.guest_charging import guest_postings
from market.ledger import (
    GUEST_ACCOUNT,
    PAYMENTS_ACCOUNT,
    TAX_ACCOUNT,
    Posting,
    PostingReason,
    assert_balanced,
    balances,
    only_new,
)
from tests.support.charging import BEGAN


def _booked(paid_cents: int, fee_cents: int, vat_ppm: int) -> list[Posting]:
    return guest_postings(
        "s-1",
        owner="member:coop",
        paid_cents=paid_cents,
        fee_cents=fee_cents,
        vat_ppm=vat_ppm,
        ended_at=BEGAN + timedelta(minutes=50),
        booked_at=BEGAN + timedelta(hours=1),
    )


def test_five_euro_forty_five_of_a_guest() -> None:
    """VAT of 21% in it is 5.45 x 21/121; the provider keeps ten cents of the owner's."""
    booked = _booked(545, 10, 210_000)
    assert {entry.reason: entry.amount_nanoeur for entry in booked} == {
        PostingReason.GUEST_PAYMENT: 5_450_000_000,
        PostingReason.GUEST_CHARGING: 4_504_132_231,
        PostingReason.GUEST_VAT: 945_867_769,
        PostingReason.PAYMENT_FEE: 100_000_000,
    }
    assert {entry.interval_start.minute for entry in booked} == {45}


@given(st.integers(1, 1_000_000), st.integers(0, 100), st.integers(0, 1_000_000))
def test_no_money_is_made_or_lost_and_the_guests_account_is_empty(
    paid_cents: int, fee_cents: int, vat_ppm: int
) -> None:
    """The provider owes what was captured less its fee; the rest is the owner's and the tax authority's."""
    booked = _booked(paid_cents, fee_cents, vat_ppm)
    assert_balanced(booked)
    after = balances(booked)
    assert after.get(GUEST_ACCOUNT, 0) == 0
    assert after.get(PAYMENTS_ACCOUNT, 0) == (paid_cents - fee_cents) * NANOEUR_PER_CENT
    assert -after.get("member:coop", 0) - after.get(TAX_ACCOUNT, 0) == after.get(PAYMENTS_ACCOUNT, 0)
    # Booked again after a crash, it is the same.
    assert not only_new(
        {entry.posting_id: entry for entry in booked}, _booked(paid_cents, fee_cents, vat_ppm)
    )
