"""The ledger: booked once, never edited, and it adds up to exactly 0."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from controller.domain.errors import ConflictError
from controller.storage import LedgerBrokenError, SqlStore, StoreError
from controller.storage.columns import INTEGER_MAX
from tests.support.storage import QUARTER, START, make_posting, opened


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file."""
    return tmp_path / "wijk.sqlite3"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqlStore]:
    """An open store on a fresh file."""
    async with opened(path) as store:
        yield store


async def test_posting_debits_one_account_and_credits_another(store: SqlStore) -> None:
    """Debits are positive; all balances together are exactly 0."""
    async with store.unit() as unit:
        await unit.add_postings(
            [
                make_posting("buy", debit="member:anna", credit="market", amount_nanoeur=70),
                make_posting("sell", debit="market", credit="member:bart", amount_nanoeur=50),
                make_posting("rent", debit="market", credit="community", amount_nanoeur=20),
            ]
        )
        balances = await unit.balances()
    assert balances == {"community": -20, "market": 0, "member:anna": 70, "member:bart": -50}
    assert sum(balances.values()) == 0


async def test_empty_ledger_has_no_balances(store: SqlStore) -> None:
    """And booking nothing is fine."""
    async with store.unit() as unit:
        await unit.add_postings([])
        assert await unit.balances() == {}


async def test_posting_is_booked_once(store: SqlStore) -> None:
    """Settled again after a crash, at a later time: the first booking stands, in one batch or in two."""
    first = make_posting("buy")
    async with store.unit() as unit:
        await unit.add_postings([first, first])
        await unit.add_postings([replace(first, booked_at=START + 9 * QUARTER), make_posting("next")])
        assert await unit.postings() == [(1, first), (2, make_posting("next"))]
        assert await unit.balances() == {"market": -200, "member:anna": 200}


@pytest.mark.parametrize("together", [True, False])
async def test_same_id_with_other_content_is_a_conflict_and_books_nothing(
    store: SqlStore, *, together: bool
) -> None:
    """A correction is a reversal and a new posting, never another amount under an old id."""
    changed = replace(make_posting("buy"), amount_nanoeur=101)
    first = make_posting("buy")
    if not together:
        async with store.unit() as unit:
            await unit.add_postings([first])
    with pytest.raises(ConflictError, match=f"postings: {first.posting_id} known with other content"):
        async with store.unit() as unit:
            await unit.add_postings([make_posting("other"), *([first] if together else []), changed])
    async with store.unit() as unit:
        assert await unit.postings() == ([] if together else [(1, first)])
        assert sum((await unit.balances()).values()) == 0


async def test_every_conflicting_id_is_named_up_to_five(store: SqlStore) -> None:
    """The rest is counted."""
    texts = [f"p{i}" for i in range(8)]
    async with store.unit() as unit:
        await unit.add_postings(map(make_posting, texts))
        with pytest.raises(ConflictError, match=r"(\w{64}, ){4}\w{64} and 3 more known") as caught:
            await unit.add_postings(make_posting(text, amount_nanoeur=1) for text in texts)
    assert "\n" not in str(caught.value)


async def test_statement_of_an_account_is_in_booking_order_and_paged(store: SqlStore) -> None:
    """Both sides of the account; the row number says where to go on."""
    sides = [("a", "b"), ("b", "c"), ("c", "a"), ("a", "c"), ("b", "a")]
    booked = [make_posting(f"p{i}", debit=debit, credit=credit) for i, (debit, credit) in enumerate(sides)]
    async with store.unit() as unit:
        await unit.add_postings(booked)
        assert [row for row, _ in await unit.postings(account="a")] == [1, 3, 4, 5]
        assert await unit.postings(account="a", limit=2) == [(1, booked[0]), (3, booked[2])]
        assert [row for row, _ in await unit.postings(account="a", after_row=3)] == [4, 5]
        assert [row for row, _ in await unit.postings(after_row=1, limit=3)] == [2, 3, 4]
        assert await unit.postings(account="nobody") == []


async def test_amounts_beyond_floats_are_exact(store: SqlStore) -> None:
    """2^53 + 1 nano-euro is no float."""
    async with store.unit() as unit:
        await unit.add_postings(make_posting(f"p{i}", amount_nanoeur=2**53 + 1) for i in range(3))
        assert await unit.balances() == {"market": -3 * (2**53 + 1), "member:anna": 3 * (2**53 + 1)}


async def test_account_that_outgrows_the_database_is_an_error_and_no_wrong_sum(store: SqlStore) -> None:
    """Nine thousand million euros on one account: refused, not wrapped around."""
    async with store.unit() as unit:
        await unit.add_postings([make_posting("much", amount_nanoeur=INTEGER_MAX)])
    with pytest.raises(StoreError, match="has grown beyond what the database can count"):
        async with store.unit() as unit:
            await unit.add_postings([make_posting("one more", amount_nanoeur=1)])
    async with store.unit() as unit:
        assert (await unit.balances())["market"] == -INTEGER_MAX


async def test_big_sums_are_verified_at_opening_without_overflow(path: Path) -> None:
    """The sum of one side over all accounts leaves 64 bits; each account's own does not."""
    async with opened(path) as store, store.unit() as unit:
        await unit.add_postings(
            make_posting(f"p{i}", debit=f"d{i}", credit=f"c{i}", amount_nanoeur=INTEGER_MAX) for i in range(3)
        )
    async with opened(path) as store, store.unit() as unit:
        assert sum((await unit.balances()).values()) == 0


async def test_unbalanced_books_are_noticed_on_read_and_on_write(store: SqlStore, path: Path) -> None:
    """Somebody changed a total behind our back: nobody is paid on such figures."""
    async with store.unit() as unit:
        await unit.add_postings([make_posting("p1")])
    with closing(sqlite3.connect(path)) as direct, direct:
        direct.execute("UPDATE accounts SET credit_nanoeur = 99 WHERE account = 'market'")
    async with store.unit() as unit:
        with pytest.raises(LedgerBrokenError, match="debits are 100 nano-euro and credits 99"):
            await unit.balances()
    with pytest.raises(LedgerBrokenError):
        async with store.unit() as unit:
            await unit.add_postings([make_posting("p2")])
    async with store.unit() as unit:
        assert len(await unit.postings()) == 1


async def test_posting_cannot_be_changed_or_removed_past_the_program(store: SqlStore, path: Path) -> None:
    """The database itself refuses, whoever asks."""
    async with store.unit() as unit:
        await unit.add_postings([make_posting("p1")])
    with closing(sqlite3.connect(path)) as direct:
        for statement in ("UPDATE postings SET amount_nanoeur = 1", "DELETE FROM postings"):
            with pytest.raises(sqlite3.IntegrityError, match="postings are append-only"):
                direct.execute(statement)
