"""Transactions on a real file: committed whole or not at all, one after another."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection

from controller.storage import database as database_module
from controller.storage.address import read_address
from controller.storage.database import Database, open_database
from controller.storage.errors import StoreBusyError, StoreError
from controller.storage.rows import savepoint


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file."""
    return tmp_path / "wijk.sqlite3"


@pytest.fixture
async def database(path: Path) -> AsyncIterator[Database]:
    """An open database with one table of numbers."""
    database = open_database(read_address(path))
    async with database.transaction() as transaction:
        await transaction.run(_execute, "CREATE TABLE numbers (number INTEGER PRIMARY KEY)")
    yield database
    await database.close()


def _execute(connection: Connection, statement: str) -> None:
    connection.exec_driver_sql(statement)


def _query(connection: Connection, statement: str) -> list[object]:
    return list(connection.exec_driver_sql(statement).scalars())


async def _numbers(database: Database) -> list[object]:
    async with database.transaction() as transaction:
        return await transaction.run(_query, "SELECT number FROM numbers ORDER BY number")


async def test_block_that_ends_is_committed(database: Database, path: Path) -> None:
    """Another connection sees it at once."""
    async with database.transaction() as transaction:
        await transaction.run(_execute, "INSERT INTO numbers VALUES (1)")
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT number FROM numbers").fetchall() == [(1,)]


async def test_block_that_raises_is_rolled_back(database: Database) -> None:
    """Nothing of it is kept, and the next block works."""

    async def broken() -> None:
        async with database.transaction() as transaction:
            await transaction.run(_execute, "INSERT INTO numbers VALUES (1)")
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        await broken()
    assert await _numbers(database) == []


async def test_failed_statement_rolls_the_block_back_with_one_line(database: Database, path: Path) -> None:
    """A driver's error is told as one of ours, with the file."""
    with pytest.raises(StoreError, match="UNIQUE") as caught:
        async with database.transaction() as transaction:
            await transaction.run(_execute, "INSERT INTO numbers VALUES (1), (1)")
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert await _numbers(database) == []


async def test_call_that_raises_has_written_nothing_though_the_block_goes_on(database: Database) -> None:
    """Who catches an error keeps what came before and after it, not half of what failed."""

    def half(connection: Connection) -> None:
        connection.exec_driver_sql("INSERT INTO numbers VALUES (2)")
        raise ValueError("stop")

    async with database.transaction() as transaction:
        await transaction.run(_execute, "INSERT INTO numbers VALUES (1)")
        with pytest.raises(ValueError, match="stop"):
            await transaction.run(half)
        await transaction.run(_execute, "INSERT INTO numbers VALUES (3)")
    assert await _numbers(database) == [1, 3]


async def test_a_full_disk_leaves_nothing_half_written(database: Database) -> None:
    """What found no room is told in one line and undone; the block may go on."""
    async with database.transaction() as transaction:
        await transaction.run(_execute, "INSERT INTO numbers VALUES (1)")
        await transaction.run(_query, "PRAGMA max_page_count = 12")
        many = ",".join(f"({number})" for number in range(2, 20_000))
        with pytest.raises(StoreError, match="full"):
            await transaction.run(_execute, f"INSERT INTO numbers VALUES {many}")  # noqa: S608  # numbers
        await transaction.run(_execute, "INSERT INTO numbers VALUES (100000)")
    assert await _numbers(database) == [1, 100_000]


@pytest.mark.parametrize("goes_on", [True, False])
@pytest.mark.parametrize("inside", [True, False])
async def test_a_transaction_that_the_database_ended_is_over(
    database: Database, *, goes_on: bool, inside: bool
) -> None:
    """Nothing that comes after it in the block is kept by itself; a full disk may end one."""
    ends = "INSERT OR ROLLBACK INTO numbers VALUES (1)"

    def ended_inside(connection: Connection) -> None:
        with savepoint(connection):
            connection.exec_driver_sql(ends)

    async def block() -> None:
        async with database.transaction() as transaction:
            await transaction.run(_execute, "INSERT INTO numbers VALUES (1)")
            with pytest.raises(StoreError, match="UNIQUE"):
                await (transaction.run(ended_inside) if inside else transaction.run(_execute, ends))
            if goes_on:
                await transaction.run(_execute, "INSERT INTO numbers VALUES (2)")

    with pytest.raises(StoreError, match="nothing of it is kept"):
        await block()
    assert await _numbers(database) == []


async def test_safe_settings_are_in_force(database: Database) -> None:
    """A commit survives a power cut, and references are checked."""
    async with database.transaction() as transaction:
        assert await transaction.run(_query, "PRAGMA journal_mode") == ["wal"]
        assert await transaction.run(_query, "PRAGMA synchronous") == [2]
        assert await transaction.run(_query, "PRAGMA foreign_keys") == [1]


async def test_write_lock_is_held_from_the_first_reading(database: Database, path: Path) -> None:
    """BEGIN IMMEDIATE: who reads first and writes later can't fail in the middle."""
    async with database.transaction() as transaction:
        await transaction.run(_query, "SELECT number FROM numbers")
        with closing(sqlite3.connect(path, timeout=0)) as other, pytest.raises(sqlite3.OperationalError):
            other.execute("BEGIN IMMEDIATE")


async def test_concurrent_blocks_stand_in_line(database: Database) -> None:
    """Read, wait, write: without the line the tasks would overwrite each other."""

    async def add_next() -> None:
        async with database.transaction() as transaction:
            largest = await transaction.run(_query, "SELECT coalesce(max(number), 0) FROM numbers")
            await asyncio.sleep(0)
            statement = f"INSERT INTO numbers VALUES ({largest[0]} + 1)"  # noqa: S608  # a number of ours
            await transaction.run(_execute, statement)

    async with asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(add_next())
    assert await _numbers(database) == list(range(1, 21))


async def test_cancelled_block_is_rolled_back_after_its_statement(database: Database) -> None:
    """A thread can't be interrupted: the statement ends first, then the block is undone."""
    started, go_on = threading.Event(), threading.Event()

    def slow(connection: Connection) -> None:
        started.set()
        go_on.wait(timeout=10)
        connection.exec_driver_sql("INSERT INTO numbers VALUES (1)")

    async def work() -> None:
        async with database.transaction() as transaction:
            await transaction.run(slow)

    task = asyncio.create_task(work())
    await asyncio.to_thread(started.wait, 10)
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await _numbers(database) == []


async def test_event_loop_goes_on_during_a_statement(database: Database) -> None:
    """The safety loop must not wait for a disk."""
    release = threading.Event()

    def wait(_connection: Connection) -> bool:
        return release.wait(timeout=10)

    async with database.transaction() as transaction:
        statement = asyncio.create_task(transaction.run(wait))
        await asyncio.sleep(0.01)
        assert not statement.done()
        release.set()
        assert await statement


async def test_block_inside_a_block_is_an_error_and_no_standstill(database: Database) -> None:
    """The inner block would wait for the outer one for ever."""
    async with database.transaction():
        with pytest.raises(RuntimeError, match="inside another"):
            await _numbers(database)
    assert await _numbers(database) == []


async def test_transaction_is_dead_after_its_block(database: Database) -> None:
    """It must not reach into somebody else's transaction."""
    async with database.transaction() as kept:
        pass
    async with database.transaction():
        with pytest.raises(RuntimeError, match="outside its block"):
            await kept.run(_execute, "INSERT INTO numbers VALUES (1)")
    assert await _numbers(database) == []


async def test_database_held_by_another_process_is_busy(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the busy timeout the caller hears that it may try again, and can."""
    monkeypatch.setattr(database_module, "BUSY_TIMEOUT_MS", 20)
    database = open_database(read_address(path))
    async with database.transaction() as transaction:
        await transaction.run(_execute, "CREATE TABLE numbers (number INTEGER PRIMARY KEY)")
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusyError, match="held by another process"):
            await _numbers(database)
    assert await _numbers(database) == []
    await database.close()


async def test_closing_folds_the_log_into_the_file(database: Database, path: Path) -> None:
    """A closed database is one file that can be copied."""
    async with database.transaction() as transaction:
        await transaction.run(_execute, "INSERT INTO numbers VALUES (1)")
    await database.close()
    assert [each.name for each in path.parent.iterdir()] == [path.name]
