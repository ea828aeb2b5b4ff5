"""Migrations: fresh and old databases come to the same shape, a newer one is left alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.schema import CreateTable

from controller.domain.errors import StartUpError
from controller.storage import migrate, tables
from controller.storage.migrate import upgrade

_POSTING = (
    "INSERT INTO postings (posting_id, debit_account, credit_account, amount_nanoeur, reason, "
    "interval_start, ref, booked_at) VALUES ('{0}', 'a', 'b', 5, 'trade', 0, '', 0)"
)


def _engine(path: Path) -> Engine:
    """An engine with BEGIN and references as in the store."""
    engine = create_engine(f"sqlite+pysqlite:///{path}", connect_args={"isolation_level": None})
    event.listen(engine, "connect", lambda opened, _record: opened.execute("PRAGMA foreign_keys=ON"))
    event.listen(engine, "begin", lambda begun: begun.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    """A transaction on an empty file."""
    engine = _engine(tmp_path / "wijk.sqlite3")
    with engine.connect() as connection, connection.begin():
        yield connection
    engine.dispose()


def test_fresh_database_gets_exactly_the_tables_of_the_program(connection: Connection) -> None:
    """The migrations and `tables.py` tell the same; whoever changes one is reminded of the other."""
    upgrade(connection, "wijk")
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    assert compare_metadata(context, tables.metadata) == []


def test_old_database_keeps_what_it_holds(connection: Connection) -> None:
    """A database of the first version is brought up with its rows, and gets the guards."""
    upgrade(connection, "wijk", to="0001")
    connection.execute(text(_POSTING.format("old")))
    upgrade(connection, "wijk")
    assert connection.execute(text("SELECT posting_id FROM postings")).scalars().all() == ["old"]
    with pytest.raises(IntegrityError, match="append-only"):
        connection.execute(text("DELETE FROM postings"))


def test_what_one_supplier_was_told_stays_the_sites_own(connection: Connection) -> None:
    """Before there were several, the supplier had no name; another's row of the same time fits beside it."""
    upgrade(connection, "wijk", to="0011")
    connection.execute(text("INSERT INTO imbalance_costs VALUES (900000000, 5, 6)"))
    connection.execute(text("INSERT INTO nominations VALUES (900000000, 'intraday', 1, 2, 3, '{}')"))
    connection.execute(text("INSERT INTO supplied_quarters VALUES (900000000, 1, 2, 1, 3, 4)"))
    upgrade(connection, "wijk")
    connection.execute(text("INSERT INTO imbalance_costs VALUES (900000000, 'north', 7, 8)"))
    costs = connection.execute(text("SELECT * FROM imbalance_costs ORDER BY supplier")).all()
    assert [tuple(row) for row in costs] == [(900000000, "", 5, 6), (900000000, "north", 7, 8)]
    for table in ("nominations", "supplied_quarters"):
        row = connection.execute(text(f"SELECT interval_start, supplier, import_wh FROM {table}")).one()  # noqa: S608
        assert tuple(row) == (900000000, "", {"nominations": 2, "supplied_quarters": 1}[table])


def test_upgrading_twice_changes_nothing(connection: Connection) -> None:
    """Every start goes through here."""
    upgrade(connection, "wijk")
    upgrade(connection, "wijk")
    newest = ScriptDirectory(str(Path(migrate.__file__).parent / "migrations")).get_current_head()
    assert connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all() == [newest]


def test_failing_upgrade_leaves_the_old_version(tmp_path: Path) -> None:
    """All steps are one transaction: something in the way in step two undoes step one."""
    engine = _engine(tmp_path / "half.sqlite3")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE events (number INTEGER)"))
    with pytest.raises(OperationalError, match="events already exists"), engine.begin() as connection:
        upgrade(connection, "half")
    with engine.begin() as connection:
        names = connection.execute(text("SELECT name FROM sqlite_master")).scalars().all()
    engine.dispose()
    assert names == ["events"]


def test_database_of_a_newer_version_is_refused(connection: Connection) -> None:
    """One line with the unknown version and the way out; nothing is changed."""
    upgrade(connection, "wijk")
    connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StartUpError, match="written by a newer version") as caught:
        upgrade(connection, "wijk")
    assert "9999" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == "9999"


@pytest.mark.parametrize("table", ["postings", "fills", "events"])
@pytest.mark.parametrize(
    "change", ["UPDATE {0} SET {1} = {1}", "DELETE FROM {0}", "INSERT OR REPLACE INTO {0} SELECT * FROM {0}"]
)
def test_what_only_grows_refuses_every_change(connection: Connection, table: str, change: str) -> None:
    """Also SQLite's REPLACE, which deletes without asking a trigger on DELETE."""
    upgrade(connection, "wijk")
    connection.execute(text(_POSTING.format("one")))
    connection.execute(text("INSERT INTO clearings VALUES (0, 0, 0, 1, 0, NULL)"))
    connection.execute(text("INSERT INTO fills VALUES (0, 'order', 1, 2, 2)"))
    connection.execute(text("INSERT INTO events (at, who, what, subject) VALUES (0, 'me', 'did', 'it')"))
    column = {"postings": "amount_nanoeur", "fills": "filled_wh", "events": "who"}[table]
    before = connection.execute(text(f"SELECT * FROM {table}")).all()  # noqa: S608  # a name of ours
    with pytest.raises(IntegrityError, match=f"{table} are append-only"):
        connection.execute(text(change.format(table, column)))
    assert connection.execute(text(f"SELECT * FROM {table}")).all() == before  # noqa: S608  # a name of ours


def test_a_postings_number_is_nobody_elses(connection: Connection) -> None:
    """SQLite's REPLACE under another id, but at a number that is taken, would delete what stands there."""
    upgrade(connection, "wijk")
    connection.execute(text(_POSTING.format("one")))
    values = "VALUES (1, 'two', 'a', 'b', 5, 'trade', 0, '', 0)"
    with pytest.raises(IntegrityError, match="postings are append-only"):
        connection.execute(text(f"INSERT OR REPLACE INTO postings {values}"))
    assert connection.execute(text("SELECT posting_id FROM postings")).scalars().all() == ["one"]


@pytest.mark.parametrize(
    "wrong",
    [
        _POSTING.format("x").replace("5", "-5"),
        _POSTING.format("x").replace("'b'", "'a'"),
        "INSERT INTO fills VALUES (99, 'order', 1, 2, 2)",
    ],
)
def test_database_itself_refuses_impossible_rows(connection: Connection, wrong: str) -> None:
    """A negative amount, one account on both sides, a fill without its clearing."""
    upgrade(connection, "wijk")
    with pytest.raises(IntegrityError):
        connection.execute(text(wrong))


def test_every_table_can_be_written_for_postgresql() -> None:
    """The same definitions serve the other database: 64-bit integers, row numbers that count up."""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy gives it no types
    ddl = {
        table.name: str(CreateTable(table).compile(dialect=dialect))
        for table in tables.metadata.sorted_tables
    }
    assert "number BIGSERIAL NOT NULL" in ddl["postings"]
    assert "amount_nanoeur BIGINT NOT NULL" in ddl["postings"]
    assert "booked_at BIGINT NOT NULL" in ddl["postings"]
