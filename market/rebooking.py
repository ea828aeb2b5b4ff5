"""Booking again: what should stand in the ledger against what stands there.

Settlement says what should stand, as lines; each is about one thing (when, why, and a reference), of which
there is one. Booked is only the difference: a line that stands as it should is left alone, one that is
wrong is reversed and booked anew, one that should not be there is reversed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from market.ledger import Posting, PostingReason, posting, reverse, standing

type _Key = tuple[datetime, PostingReason, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A movement that should stand in the ledger."""

    payer: str
    receiver: str
    amount_nanoeur: int
    """Negative where it flows the other way; a line of 0 is none."""
    reason: PostingReason
    interval_start: datetime
    ref: str

    @property
    def key(self) -> _Key:
        """What it is about: there is one of these."""
        return self.interval_start, self.reason, self.ref

    def booked(self, revision: int, booked_at: datetime) -> Posting:
        """The posting of it; `revision` counts how often the same was booked before."""
        return posting(
            payer=self.payer,
            receiver=self.receiver,
            amount_nanoeur=self.amount_nanoeur,
            reason=self.reason,
            interval_start=self.interval_start,
            ref=self.ref,
            booked_at=booked_at,
            revision=revision,
        )


def rebooked(previous: Sequence[Posting], lines: Iterable[Line], *, booked_at: datetime) -> list[Posting]:
    """What is to be booked, so that the lines stand and nothing else of what was booked before.

    Args:
        previous: All postings so far of the time that is settled, reversals included.
        lines: What should stand, at most one line per key.
        booked_at: Domain time of the booking.

    Returns:
        Reversals first, then what is new; empty where nothing changed. Booked twice, it is booked once.
    """
    wanted = {line.key: line for line in lines if line.amount_nanoeur}
    booked_before = Counter(map(_key, previous))
    stands = {_key(entry): entry for entry in standing(previous)}
    right = {key for key, entry in stands.items() if key in wanted and _says(entry, wanted[key])}
    reversals = [reverse(entry, booked_at=booked_at) for key, entry in stands.items() if key not in right]
    fresh = [line.booked(booked_before[key], booked_at) for key, line in wanted.items() if key not in right]
    return [*reversals, *fresh]


def about(
    postings: Sequence[Posting],
    reasons: Collection[PostingReason],
    refs: Collection[str] | None = None,
    account: str | None = None,
) -> list[Posting]:
    """The postings with one of the reasons, and one of the references where given; their reversals too.

    Of one account alone, where it is given.
    """
    own = {
        entry.posting_id
        for entry in postings
        if entry.reason in reasons
        and (refs is None or entry.ref in refs)
        and (account is None or account in {entry.debit_account, entry.credit_account})
    }
    return [entry for entry in postings if entry.posting_id in own or entry.ref in own]


def _key(entry: Posting) -> _Key:
    return entry.interval_start, entry.reason, entry.ref


def _says(entry: Posting, line: Line) -> bool:
    debit, credit = (line.payer, line.receiver)[:: 1 if line.amount_nanoeur > 0 else -1]
    return (entry.debit_account, entry.credit_account, entry.amount_nanoeur) == (
        debit,
        credit,
        abs(line.amount_nanoeur),
    )
