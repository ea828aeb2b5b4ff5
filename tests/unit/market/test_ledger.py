"""The ledger's postings, balances and corrections."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from controller.domain.errors import ConflictError
from controller.domain.ids import MemberId
from market.ledger import (
    MARKET_ACCOUNT,
    SUPPLIER_ACCOUNT,
    LedgerUnbalancedError,
    Posting,
    PostingReason,
    assert_balanced,
    balances,
    member_account,
    only_new,
    posting,
    posting_id_of,
    reverse,
    standing,
)
from market.orders import SUPPLIER
from tests.support.market import QUARTER_AT_NOON

ANN = member_account(MemberId("ann"))
LATER = QUARTER_AT_NOON + timedelta(hours=1)


def pays(amount_nanoeur: int, *, payer: str = ANN, ref: str = "order-1", revision: int = 0) -> Posting:
    """A trade's posting from the payer to the supplier."""
    return posting(
        payer=payer,
        receiver=SUPPLIER_ACCOUNT,
        amount_nanoeur=amount_nanoeur,
        reason=PostingReason.TRADE,
        interval_start=QUARTER_AT_NOON,
        ref=ref,
        booked_at=QUARTER_AT_NOON,
        revision=revision,
    )


def test_negative_amount_flows_the_other_way() -> None:
    """At a negative price the receiver pays; amounts are never negative."""
    entry = pays(-5)
    assert (entry.debit_account, entry.credit_account, entry.amount_nanoeur) == (SUPPLIER_ACCOUNT, ANN, 5)


def test_balance_is_debits_less_credits_and_all_sum_to_zero() -> None:
    """Ann pays 7 and gets 2 back: she has paid 5, the supplier has received 5."""
    entries = [pays(7), pays(-2, ref="order-2")]
    assert balances(entries) == {ANN: 5, SUPPLIER_ACCOUNT: -5}
    assert_balanced(entries)


def test_id_follows_from_the_matter_not_from_amount_or_time() -> None:
    """The same matter has the same id; another order, party or revision has another."""
    assert pays(7).posting_id == pays(7).posting_id == pays(-8).posting_id
    others = [pays(7, ref="order-2"), pays(7, payer="member:bob"), pays(7, revision=1)]
    assert len({pays(7).posting_id, *(entry.posting_id for entry in others)}) == 4


def test_id_is_the_hash_of_a_json_list() -> None:
    """As `deploy/formats/verify.md` says, so that anybody can work it out; also with unusual texts."""
    matter = ("2024-01-15T00:00:00Z", "trade", 'member:"\u00e9\U0001f600', "a\\b\n\x7f", "", 12)
    text = json.dumps(matter, separators=(",", ":"))
    assert posting_id_of(*matter) == hashlib.sha256(text.encode()).hexdigest()


def test_reversal_takes_a_posting_back() -> None:
    """Accounts swapped, the same amount; together they come to nothing, and the original no longer stands."""
    back = reverse(pays(7), booked_at=LATER)
    assert back.reason is PostingReason.REVERSAL
    assert back.ref == pays(7).posting_id
    assert set(balances([pays(7), back]).values()) == {0}
    assert standing([pays(7), back, pays(8, revision=1)]) == [pays(8, revision=1)]
    with pytest.raises(ValueError, match="is a reversal"):
        reverse(back, booked_at=LATER)


def test_booking_again_books_nothing() -> None:
    """The same posting later is the same posting; twice in one batch too."""
    known = {pays(7).posting_id: pays(7)}
    again = replace(pays(7), booked_at=LATER)
    assert only_new(known, [again, pays(1, ref="order-2"), pays(1, ref="order-2")]) == [
        pays(1, ref="order-2")
    ]


def test_same_id_with_another_content_is_a_conflict() -> None:
    """An amount cannot be changed under a known id."""
    with pytest.raises(ConflictError, match="another content"):
        only_new({pays(7).posting_id: pays(7)}, [pays(8)])


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param([replace(pays(7), amount_nanoeur=-7)], id="negative"),
        pytest.param([replace(pays(7), credit_account=ANN)], id="to-itself"),
        pytest.param([replace(pays(7), credit_account=MARKET_ACCOUNT)], id="market-keeps-money"),
    ],
)
def test_broken_books_are_noticed(entries: list[Posting]) -> None:
    """A negative amount, a payment to oneself, money left on the clearing account."""
    with pytest.raises(LedgerUnbalancedError):
        assert_balanced(entries)


def test_nobody_pays_themselves() -> None:
    """Such a posting is not even made; the supplier's orders go to the supplier's own account."""
    with pytest.raises(ValueError, match="cannot pay itself"):
        pays(1, payer=member_account(SUPPLIER))
