"""Sealed days and what a posting's proof is made of.

A day's postings are the rows between two row numbers, because the ledger takes no posting that is booked
on an earlier day than the newest one (`ledger.add_postings`). Beside the day's seal stands the root of
each chunk of its rows, so that a proof reads one chunk and not a day.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy import Connection, Row, select

from controller.domain.errors import ConflictError
from controller.runtime.ports import DayRecord, SealedChunk
from controller.storage import ledger, rows, tables
from market.seals import (
    CHUNK_LEAVES,
    NO_SEAL_BEFORE,
    PostingProof,
    Seal,
    SealedDay,
    ledger_day,
    prove,
    seal_hash,
)

_DAYS = tables.sealed_days
_CHUNKS = tables.sealed_chunks


def add_day(connection: Connection, sealed: SealedDay, chunks: Sequence[SealedChunk]) -> None:
    """Keeps a sealed day.

    Args:
        connection: An open transaction.
        sealed: The day.
        chunks: Its chunks in booking order; none for a day without postings.

    Raises:
        ConflictError: If it is not the day after the newest sealed one, or the ledger has got more postings
            of that day since it was read.
    """
    seal, newest = sealed.seal, latest(connection)
    before = NO_SEAL_BEFORE if newest is None else seal_hash(newest.sealed.seal)
    if seal.previous != before:
        raise ConflictError(f"the seal of {seal.day} does not follow the newest one")
    after_row = 0 if newest is None else newest.last_row
    last_row = chunks[-1].last_row if chunks else after_row
    following = ledger.postings(connection, None, last_row, 1)
    if following and ledger_day(following[0][1].booked_at) <= seal.day:
        raise ConflictError(f"the ledger has more postings of {seal.day} than were sealed")
    row = {
        "day": seal.day.isoformat(),
        "after_row": after_row,
        "last_row": last_row,
        "postings": seal.postings,
        "amount_nanoeur": seal.amount_nanoeur,
        "root": seal.root.hex(),
        "previous": seal.previous.hex(),
        "public_key": seal.public_key.hex(),
        "signature": sealed.signature.hex(),
    }
    rows.insert_all(connection, _DAYS, [row])
    rows.insert_all(
        connection,
        _CHUNKS,
        [{"last_row": one.last_row, "day": row["day"], "root": one.root.hex()} for one in chunks],
    )


def latest(connection: Connection) -> DayRecord | None:
    """The newest sealed day."""
    found = connection.execute(select(_DAYS).order_by(_DAYS.c.day.desc()).limit(1)).first()
    return None if found is None else _record(found)


def days(connection: Connection, after: date | None, limit: int) -> Sequence[DayRecord]:
    """Sealed days after a day, the oldest first."""
    page = select(_DAYS).order_by(_DAYS.c.day).limit(limit)
    if after is not None:
        page = page.where(_DAYS.c.day > after.isoformat())
    return [_record(row) for row in connection.execute(page)]


def day(connection: Connection, wanted: date) -> DayRecord | None:
    """One sealed day; None where it is not sealed."""
    found = connection.execute(select(_DAYS).where(_DAYS.c.day == wanted.isoformat())).first()
    return None if found is None else _record(found)


def proof(connection: Connection, posting_id: str) -> PostingProof | None:
    """The proof of a posting; None where there is none such, or its day is not sealed yet."""
    numbered = ledger.posting(connection, posting_id)
    if numbered is None:
        return None
    of_row = select(_CHUNKS.c.day).where(_CHUNKS.c.last_row >= numbered[0])
    its_day = connection.execute(of_row.order_by(_CHUNKS.c.last_row).limit(1)).scalar()
    record = None if its_day is None else day(connection, date.fromisoformat(its_day))
    if record is None:
        return None
    of_day = select(_CHUNKS).where(_CHUNKS.c.day == its_day).order_by(_CHUNKS.c.last_row)
    chunks = list(connection.execute(of_day))
    place = next(i for i, chunk in enumerate(chunks) if chunk.last_row >= numbered[0])
    after_row = chunks[place - 1].last_row if place else record.after_row
    leaves = ledger.postings(connection, None, after_row, CHUNK_LEAVES)
    leaves = [(number, posting) for number, posting in leaves if number <= chunks[place].last_row]
    return prove(
        place * CHUNK_LEAVES + [number for number, _ in leaves].index(numbered[0]),
        [posting for _, posting in leaves],
        [bytes.fromhex(chunk.root) for chunk in chunks],
        record.sealed,
    )


def _record(row: Row[Any]) -> DayRecord:
    return DayRecord(
        sealed=SealedDay(
            seal=Seal(
                day=date.fromisoformat(row.day),
                postings=row.postings,
                amount_nanoeur=row.amount_nanoeur,
                root=bytes.fromhex(row.root),
                previous=bytes.fromhex(row.previous),
                public_key=bytes.fromhex(row.public_key),
            ),
            signature=bytes.fromhex(row.signature),
        ),
        after_row=row.after_row,
        last_row=row.last_row,
    )
