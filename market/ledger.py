"""The ledger: double entry, append-only, in whole nano-euro.

A posting moves an amount from one account to another: who pays is debited, who receives is credited.
So a positive balance (debits less credits) is what an account has paid or owes, and all balances sum to
exactly 0. Nothing is ever edited: a correction is a reversal, which swaps the two accounts, and a new
posting. An id follows from what a posting is about, so the same posting made again, after a crash or a
re-run, is the same posting.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from json.encoder import encode_basestring_ascii

from controller.domain.errors import ConflictError
from controller.domain.ids import MemberId
from controller.domain.time import utc_text
from market.orders import SUPPLIER

SUPPLIER_ACCOUNT = "supplier"
"""The energy supplier: backstop trades and deviations."""
COMMUNITY_ACCOUNT = "community"
"""The cooperative: receives the congestion rent."""
GRID_ACCOUNT = "grid"
"""The grid operator."""
MARKET_ACCOUNT = "market"
"""The clearing account between buyers and sellers; it is back at 0 after every quarter-hour."""
TAX_ACCOUNT = "tax"
"""The tax authority: energy tax and VAT."""

GUEST_ACCOUNT = "guest"
"""Whoever charges without a contract; it is back at 0 after every session."""
PAYMENTS_ACCOUNT = "payments"
"""The payment provider: owes what guests paid until it hands it over."""


class PostingReason(StrEnum):
    """Why money moved."""

    TRADE = "trade"
    """A fill of the auction, at the clearing price."""
    RENT = "rent"
    """The congestion rent of a quarter-hour, to the community."""
    GIFT = "gift"
    """What given surplus earned, to the public building that used it."""
    IMBALANCE_BUY = "imbalance_buy"
    """Used more than was traded: bought from the supplier at its import price."""
    IMBALANCE_SELL = "imbalance_sell"
    """Used less (or fed in more) than was traded: sold to the supplier at its export price."""
    SHARED_BUY = "shared_buy"
    """Got neighbours' energy by the community's sharing key."""
    SHARED_SELL = "shared_sell"
    """Gave neighbours energy by the community's sharing key."""
    SUPPLY = "supply"
    """Bought from the supplier what the neighbours had not."""
    FEED_IN = "feed_in"
    """Sold to the supplier what the neighbours did not take."""
    ENERGY_TAX = "energy_tax"
    """Tax on energy."""
    NETWORK = "network"
    """The grid operator's tariff by energy."""
    FEED_IN_FEE = "feed_in_fee"
    """What feeding in costs."""
    VAT = "vat"
    """Value added tax."""
    IMBALANCE = "imbalance"
    """A part of what the supplier's imbalance cost, by who caused it."""
    GUEST_CHARGING = "guest_charging"
    """A guest charged at a member's socket; without VAT."""
    GUEST_VAT = "guest_vat"
    """The value added tax in what a guest paid."""
    GUEST_PAYMENT = "guest_payment"
    """The payment provider took a guest's money."""
    PAYMENT_FEE = "payment_fee"
    """What the payment provider keeps of it."""
    REVERSAL = "reversal"
    """Takes another posting back; `ref` is that posting's id."""


NO_ENERGY_BILL = frozenset({PostingReason.GUEST_CHARGING, PostingReason.PAYMENT_FEE})
"""What guests paid at a member's sockets, and what that cost, is no part of the member's own energy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """One movement of money."""

    posting_id: str
    """Follows from the rest (`posting`): the idempotency key."""
    debit_account: str
    """Who pays."""
    credit_account: str
    """Who receives."""
    amount_nanoeur: int
    """Never negative."""
    reason: PostingReason
    interval_start: datetime
    """The quarter-hour that it is about, UTC."""
    ref: str
    """The order, meter or posting that it is about."""
    booked_at: datetime
    """When it was booked, domain time UTC."""


class LedgerUnbalancedError(Exception):
    """Money was made or lost. That is a bug, never an input."""


def member_account(member: MemberId) -> str:
    """The account of a member; the supplier, who trades as a member too, has its own."""
    return SUPPLIER_ACCOUNT if member == SUPPLIER else f"member:{member}"


def supplier_account(supplier: str) -> str:
    """The account of one of several suppliers; the one without a name is the site's own."""
    return f"{SUPPLIER_ACCOUNT}:{supplier}" if supplier else SUPPLIER_ACCOUNT


def posting(
    *,
    payer: str,
    receiver: str,
    amount_nanoeur: int,
    reason: PostingReason,
    interval_start: datetime,
    ref: str,
    booked_at: datetime,
    revision: int = 0,
) -> Posting:
    """Makes a posting; a negative amount flows the other way.

    Args:
        payer: The account that pays a positive amount.
        receiver: The account that receives it.
        amount_nanoeur: The amount; negative where prices were.
        reason: Why.
        interval_start: The quarter-hour.
        ref: The order, meter or posting that it is about.
        booked_at: Domain time.
        revision: How often the same was booked and taken back before.

    Raises:
        ValueError: If both accounts are the same.
    """
    if payer == receiver:
        raise ValueError(f"account {payer!r} cannot pay itself")
    debit, credit = (payer, receiver) if amount_nanoeur >= 0 else (receiver, payer)
    # The parties in fixed order and without the amount: a corrected amount is another revision of the
    # same matter, also where it has changed its direction.
    return Posting(
        posting_id=posting_id_of(utc_text(interval_start), reason.value, payer, receiver, ref, revision),
        debit_account=debit,
        credit_account=credit,
        amount_nanoeur=abs(amount_nanoeur),
        reason=reason,
        interval_start=interval_start,
        ref=ref,
        booked_at=booked_at,
    )


def posting_id_of(
    interval_start_utc: str, reason: str, payer: str, receiver: str, ref: str, revision: int
) -> str:
    """The id that follows from what a posting is about: SHA-256, hexadecimal.

    Args:
        interval_start_utc: The quarter-hour, as `utc_text` writes it.
        reason: Why.
        payer: The account that pays a positive amount.
        receiver: The account that receives it.
        ref: The order, meter or posting that it is about.
        revision: How often the same was booked and taken back before.
    """
    # The JSON list of all six. Ids are made and checked by the million: put together here, it takes a third
    # of an encoder's time.
    texts = map(encode_basestring_ascii, (interval_start_utc, reason, payer, receiver, ref))
    return hashlib.sha256(f"[{','.join(texts)},{revision}]".encode()).hexdigest()


def reverse(original: Posting, *, booked_at: datetime) -> Posting:
    """The posting that takes `original` back: the same amount, the accounts swapped.

    Raises:
        ValueError: If `original` is a reversal itself; book the right thing anew instead.
    """
    if original.reason is PostingReason.REVERSAL:
        raise ValueError(f"posting {original.posting_id} is a reversal and cannot be reversed")
    return posting(
        payer=original.credit_account,
        receiver=original.debit_account,
        amount_nanoeur=original.amount_nanoeur,
        reason=PostingReason.REVERSAL,
        interval_start=original.interval_start,
        ref=original.posting_id,
        booked_at=booked_at,
    )


def standing(postings: Iterable[Posting]) -> list[Posting]:
    """The postings that are neither reversals nor were reversed, in the given order."""
    kept = list(postings)
    reversed_ids = {entry.ref for entry in kept if entry.reason is PostingReason.REVERSAL}
    return [
        entry
        for entry in kept
        if entry.reason is not PostingReason.REVERSAL and entry.posting_id not in reversed_ids
    ]


def balances(postings: Iterable[Posting]) -> dict[str, int]:
    """Each account's balance [nano-euro]: debits less credits, so positive is paid or owed."""
    totals: defaultdict[str, int] = defaultdict(int)
    for entry in postings:
        totals[entry.debit_account] += entry.amount_nanoeur
        totals[entry.credit_account] -= entry.amount_nanoeur
    return dict(sorted(totals.items()))


def assert_balanced(postings: Sequence[Posting]) -> None:
    """Checks that no money was made or lost.

    Raises:
        LedgerUnbalancedError: If an amount is negative, an account pays itself, the balances do not sum
            to 0, or the market's clearing account keeps money over some quarter-hour.
    """
    left: defaultdict[datetime, int] = defaultdict(int)
    for entry in postings:
        if entry.amount_nanoeur < 0 or entry.debit_account == entry.credit_account:
            raise LedgerUnbalancedError(f"posting {entry.posting_id} is no movement of money")
        if entry.debit_account == MARKET_ACCOUNT:
            left[entry.interval_start] += entry.amount_nanoeur
        if entry.credit_account == MARKET_ACCOUNT:
            left[entry.interval_start] -= entry.amount_nanoeur
    kept = {start: amount for start, amount in left.items() if amount}
    if kept:
        start, amount = min(kept.items())
        raise LedgerUnbalancedError(
            f"the market's account keeps {-amount} nano-euro over the quarter-hour of {utc_text(start)}"
        )
    if total := sum(balances(postings).values()):
        raise LedgerUnbalancedError(f"the balances sum to {total} nano-euro")


def only_new(known: Mapping[str, Posting], candidates: Iterable[Posting]) -> list[Posting]:
    """Those candidates that are not in the ledger yet, each once.

    Args:
        known: The ledger's postings by id.
        candidates: What is to be booked.

    Raises:
        ConflictError: If an id is known with another content (the time of booking aside).
    """
    seen = dict(known)
    fresh = []
    for candidate in candidates:
        before = seen.get(candidate.posting_id)
        if before is None:
            seen[candidate.posting_id] = candidate
            fresh.append(candidate)
        elif replace(before, booked_at=candidate.booked_at) != candidate:
            raise ConflictError(f"posting {candidate.posting_id} is in the ledger with another content")
    return fresh
