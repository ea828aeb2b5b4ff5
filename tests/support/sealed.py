"""Sealed days of a small ledger, made by a key that everybody knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from controller.storage.ledger_key import FileKey
from market.ledger import MARKET_ACCOUNT, Posting, PostingReason, posting
from market.seals import (
    CHUNK_LEAVES,
    LedgerKey,
    Seal,
    SealedDay,
    chunk_of,
    ledger_day,
    posting_line,
    proof_file,
    prove,
    seal_day,
    seal_line,
)

MONDAY = datetime(2024, 1, 15, tzinfo=UTC)
KEY = FileKey(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
OTHER_KEY = FileKey(Ed25519PrivateKey.from_private_bytes(bytes(32)))


@dataclass(frozen=True, kw_only=True)
class LedgerDay:
    """A sealed day with its postings."""

    sealed: SealedDay
    postings: Sequence[Posting]

    def file(self) -> bytes:
        """The ledger file of this day."""
        return seal_line(self.sealed) + b"".join(map(posting_line, self.postings))

    def proof(self, index: int) -> bytes:
        """The proof file of one posting."""
        chunks = chunks_of(self.postings)
        number = index // CHUNK_LEAVES
        roots = [chunk_of(chunk).root for chunk in chunks]
        return proof_file(prove(index, chunks[number], roots, self.sealed))


def chunks_of(postings: Sequence[Posting]) -> list[Sequence[Posting]]:
    """The pieces in which a day is hashed."""
    return [postings[i : i + CHUNK_LEAVES] for i in range(0, len(postings), CHUNK_LEAVES)]


def a_day_of_postings(number: int, at: datetime = MONDAY) -> list[Posting]:
    """Postings of one day: odd ones pay the market's account for the quarter-hour, even ones are paid."""
    made = []
    for i in range(number):
        member, alone = f"member:home-{i % 40:03d} \u00e9\u0007", i == number - 1 and number % 2
        pair = (member, "community") if alone else (member, MARKET_ACCOUNT)
        payer, receiver = pair if i % 2 == 0 else pair[::-1]
        made.append(
            posting(
                payer=payer,
                receiver=receiver,
                amount_nanoeur=1_000_003 + i // 2,
                reason=PostingReason.TRADE,
                interval_start=at + timedelta(minutes=15) * (i // 2 % 4),
                ref=f"order-{i}",
                booked_at=at + timedelta(hours=2, microseconds=i // 3),
                revision=i % 3,
            )
        )
    return made


def a_day(place: int, number: int, before: Seal | None, key: LedgerKey = KEY) -> LedgerDay:
    """The day so many days after Monday, with so many postings, after the seal of the day before."""
    at = MONDAY + timedelta(days=place)
    postings = a_day_of_postings(number, at)
    sealed = seal_day(ledger_day(at), [chunk_of(one) for one in chunks_of(postings)], before, key)
    return LedgerDay(sealed=sealed, postings=postings)


def a_chain(*numbers: int, keys: Sequence[LedgerKey] = ()) -> list[LedgerDay]:
    """Days that follow each other from Monday on, with so many postings each; a key each, or one for all."""
    days: list[LedgerDay] = []
    for place, number in enumerate(numbers):
        before = days[-1].sealed.seal if days else None
        days.append(a_day(place, number, before, keys[place] if keys else KEY))
    return days
