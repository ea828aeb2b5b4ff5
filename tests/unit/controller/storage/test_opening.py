"""Opening a store: what stands in the way is one clear line, what was kept is there again."""

from __future__ import annotations

import sqlite3
import stat
import threading
from contextlib import closing
from pathlib import Path

import pytest

from controller.domain.errors import StartUpError
from controller.storage import database as database_module
from controller.storage import open_store
from tests.support.storage import START, make_order, make_posting, make_result, opened


async def test_restart_continues_where_it_stopped(tmp_path: Path) -> None:
    """Everything written before is read after, and row numbers go on counting."""
    path = tmp_path / "wijk.sqlite3"
    async with opened(path) as store, store.unit() as unit:
        await unit.add_orders([make_order("o1")])
        await unit.add_result(make_result(), START)
        await unit.add_postings([make_posting("p1")])
        await unit.put_value("plan", '{"steps": 96}')
    async with opened(path) as store, store.unit() as unit:
        assert [order.order_id for order in await unit.orders_of_interval(START)] == ["o1"]
        assert await unit.latest_result() == make_result()
        assert await unit.value("plan") == '{"steps": 96}'
        await unit.add_postings([make_posting("p1"), make_posting("p2")])
        assert [number for number, _ in await unit.postings()] == [1, 2]
        assert await unit.balances() == {"market": -200, "member:anna": 200}


async def test_what_people_did_is_open_to_the_controllers_user_alone(tmp_path: Path) -> None:
    """The file, its log and its index of the log; one whose mode somebody chose stays as it is."""
    path = tmp_path / "wijk.sqlite3"

    def modes() -> list[int]:
        return [stat.S_IMODE(Path(f"{path}{end}").stat().st_mode) for end in ("", "-wal", "-shm")]

    store = await open_store(path)
    async with store.unit() as unit:
        await unit.put_value("plan", "{}")
    assert modes() == [0o600] * 3
    await store.close()
    path.chmod(0o640)
    store = await open_store(path)
    async with store.unit() as unit:
        await unit.put_value("plan", "[]")
    assert modes() == [0o640] * 3
    await store.close()


async def test_address_may_be_a_url(tmp_path: Path) -> None:
    """A site file names a path or a URL."""
    store = await open_store(f"sqlite:///{tmp_path / 'wijk.sqlite3'}")
    await store.close()
    assert (tmp_path / "wijk.sqlite3").exists()


async def test_file_that_cannot_be_made_is_refused() -> None:
    """Even an administrator can't make a file in /proc; for others any folder without rights is alike."""
    with pytest.raises(StartUpError, match="cannot be opened: check that the folder exists") as caught:
        await open_store(Path("/proc/self/wijk.sqlite3"))
    assert "\n" not in str(caught.value)


async def test_read_only_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite opens such a file gladly and only fails when something is to be kept.

    `query_only` stands for missing rights, which an administrator who runs the tests would not meet.
    """

    def read_only(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA query_only=1")

    monkeypatch.setattr(database_module, "_set_pragmas", read_only)
    with pytest.raises(StartUpError, match="cannot be written: check the rights"):
        await open_store(tmp_path / "wijk.sqlite3")


async def test_file_that_is_no_database_is_refused_and_kept(tmp_path: Path) -> None:
    """A typing error in a path must not cost somebody's file."""
    path = tmp_path / "letter.txt"
    path.write_text("Dear neighbours, " * 100)
    before = path.read_text()
    with pytest.raises(StartUpError, match="is no database of Wijkstroom"):
        await open_store(path)
    assert path.read_text() == before


async def test_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    """An older program must not write into what it does not understand."""
    path = tmp_path / "wijk.sqlite3"
    async with opened(path):
        pass
    with closing(sqlite3.connect(path)) as direct, direct:
        direct.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StartUpError, match="written by a newer version of Wijkstroom"):
        await open_store(path)


async def test_locked_database_is_refused_after_the_timeout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another controller at work on the same file is named as the reason."""
    monkeypatch.setattr(database_module, "BUSY_TIMEOUT_MS", 20)
    path = tmp_path / "wijk.sqlite3"
    async with opened(path):
        pass
    with closing(sqlite3.connect(path)) as direct:
        direct.execute("BEGIN IMMEDIATE")
        with pytest.raises(StartUpError, match="is held by another process: stop that one first"):
            await open_store(path)


async def test_ledger_that_does_not_add_up_is_refused(tmp_path: Path) -> None:
    """Somebody wrote past the ledger: the running totals and the postings differ."""
    path = tmp_path / "wijk.sqlite3"
    async with opened(path) as store, store.unit() as unit:
        await unit.add_postings([make_posting("p1")])
    with closing(sqlite3.connect(path)) as direct, direct:
        direct.execute("UPDATE accounts SET debit_nanoeur = 1 WHERE account = 'member:anna'")
    with pytest.raises(StartUpError, match="does not add up at account member:anna: restore a backup"):
        await open_store(path)


async def test_server_without_its_package_is_refused() -> None:
    """SQLAlchemy reaches asyncpg through greenlet; without it the line says what to install."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database_module, "find_spec", lambda _name: None)
        with pytest.raises(StartUpError, match="needs the package greenlet"):
            await open_store("postgresql://wijk@localhost/energy")


async def test_failed_opening_leaves_no_thread_behind(tmp_path: Path) -> None:
    """A refused start must be able to end."""
    path = tmp_path / "letter.txt"
    path.write_text("x" * 5000)
    with pytest.raises(StartUpError):
        await open_store(path)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("store")]
