"""What the database keeps of sealed days: in order, complete, and for good."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from controller.domain.errors import ConflictError
from controller.runtime.ports import SealedChunk
from controller.storage import SqlStore
from tests.support.sealed import MONDAY, LedgerDay, a_chain, a_day_of_postings, chunks_of
from tests.support.storage import opened

TUESDAY = MONDAY + timedelta(days=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file."""
    return tmp_path / "wijk.sqlite3"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqlStore]:
    """An open store on a fresh file."""
    async with opened(path) as store:
        yield store


def chunks_from(day: LedgerDay, first_row: int = 1) -> Sequence[SealedChunk]:
    """The chunks of a day whose postings stand in the rows from `first_row` on; one chunk a day here."""
    number = len(day.postings)
    return [SealedChunk(last_row=first_row + number - 1, root=day.sealed.seal.root)] if number else []


async def kept(store: SqlStore, day: LedgerDay, first_row: int = 1) -> None:
    """Books and seals a day."""
    async with store.unit() as unit:
        await unit.add_postings(day.postings)
        await unit.add_sealed_day(day.sealed, chunks_from(day, first_row))


async def test_sealed_days_come_back_as_they_were(store: SqlStore) -> None:
    """By day, page by page, the newest, and with the rows of their postings."""
    monday, tuesday, wednesday = days = a_chain(3, 0, 2)
    for day, first_row in zip(days, (1, 4, 4), strict=True):
        await kept(store, day, first_row)
    async with store.unit() as unit:
        records = await unit.sealed_days()
        assert [record.sealed for record in records] == [day.sealed for day in days]
        assert [(record.after_row, record.last_row) for record in records] == [(0, 3), (3, 3), (3, 5)]
        assert await unit.latest_sealed_day() == records[-1]
        assert await unit.sealed_days(after=monday.sealed.seal.day, limit=1) == records[1:2]
        assert await unit.sealed_day(tuesday.sealed.seal.day) == records[1]
        assert await unit.sealed_day(wednesday.sealed.seal.day + timedelta(days=1)) is None


async def test_a_day_that_does_not_follow_is_refused(store: SqlStore) -> None:
    """Another first day, the same day again, and a day too far."""
    monday, tuesday, wednesday = a_chain(3, 2, 1)
    with pytest.raises(ConflictError, match="does not follow the newest one"):
        await kept(store, tuesday)
    await kept(store, monday)
    for wrong in (monday, wednesday):
        with pytest.raises(ConflictError, match="does not follow the newest one"):
            await kept(store, wrong, 4)
    async with store.unit() as unit:
        assert len(await unit.sealed_days()) == 1


async def test_a_day_that_has_grown_meanwhile_is_refused(store: SqlStore) -> None:
    """A posting of Monday came after Monday was read: it must not be left out of the seal."""
    (monday,) = a_chain(3)
    async with store.unit() as unit:
        await unit.add_postings(monday.postings)
        await unit.add_postings([replace(monday.postings[0], posting_id="f" * 64)])
    async with store.unit() as unit:
        with pytest.raises(ConflictError, match="more postings of 2024-01-15 than were sealed"):
            await unit.add_sealed_day(monday.sealed, chunks_from(monday))


async def test_a_proof_waits_for_the_seal(store: SqlStore) -> None:
    """No proof of what is not there, nor of what is not sealed yet."""
    (monday,) = a_chain(3)
    tuesday = a_day_of_postings(1, TUESDAY)[0]
    await kept(store, monday)
    async with store.unit() as unit:
        await unit.add_postings([tuesday])
        assert await unit.proof("nothing") is None
        assert await unit.proof(tuesday.posting_id) is None
        proof = await unit.proof(monday.postings[2].posting_id)
        assert await unit.posting(tuesday.posting_id) == (4, tuesday)
    assert proof is not None
    assert (proof.posting, proof.index, proof.day) == (monday.postings[2], 2, monday.sealed)
    assert chunks_of(monday.postings) == [monday.postings]


async def test_seals_cannot_be_changed_or_removed_past_the_program(store: SqlStore, path: Path) -> None:
    """The database itself refuses, whoever asks."""
    await kept(store, a_chain(2)[0])
    with closing(sqlite3.connect(path)) as direct:
        for table in ("sealed_days", "sealed_chunks"):
            for statement in (f"UPDATE {table} SET root = ''", f"DELETE FROM {table}"):  # noqa: S608  # our own names
                with pytest.raises(sqlite3.IntegrityError, match=f"{table} are append-only"):
                    direct.execute(statement)
            with pytest.raises(sqlite3.IntegrityError, match=f"{table} are append-only"):
                direct.execute(f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}")  # noqa: S608  # our own names
