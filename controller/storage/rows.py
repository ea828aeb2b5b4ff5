"""Writing rows so that doing it twice is the same as doing it once.

An id is an idempotency key, made and kept by whoever submits. After a crash the same quarter-hour is
worked through again: what is there already with the same content is left alone, the same id with other
content is a `ConflictError`. Which columns count as content is the table's own affair: a time of writing
does not.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import batched
from typing import Any

from sqlalchemy import Connection, Dialect, Insert, Select, Table, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from controller.domain.errors import ConflictError

type Row = Mapping[str, Any]
"""A row by its columns' names."""

_KEYS_A_QUERY = 1000
"""SQLite takes at most 32,766 parameters in a statement (sqlite.org/limits.html, section 9)."""

_NAMED_AT_MOST = 5
"""How many ids an error names."""


@contextmanager
def savepoint(connection: Connection) -> Iterator[None]:
    """What a block writes is undone where it raises; SQLAlchemy's own way takes several times as long.

    Where the database has ended the whole transaction by itself (a full disk), the connection is given up, so
    that nothing goes on outside of one.
    """
    connection.exec_driver_sql("SAVEPOINT block")
    try:
        yield
    except BaseException:
        try:
            connection.exec_driver_sql("ROLLBACK TO SAVEPOINT block")
            connection.exec_driver_sql("RELEASE SAVEPOINT block")
        except SQLAlchemyError:
            connection.invalidate()
        raise
    connection.exec_driver_sql("RELEASE SAVEPOINT block")


def insertion(table: Table) -> Insert:
    """The insertion into a table.

    In SQLite it is OR FAIL: the default, OR ABORT, keeps a copy of every page that a row of a table with
    triggers is going to change. Either way the caller's savepoint undoes what was written.
    """
    return insert(table).prefix_with("OR FAIL", dialect="sqlite")


def insert_all(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Inserts rows with one prepared statement; none is fine."""
    if rows:
        connection.execute(insertion(table), rows)


def run_many(connection: Connection, statement: Insert, rows: Sequence[tuple[Any, ...]]) -> None:
    """Runs a statement once for each row of values in the form that the database keeps, past all types.

    Args:
        connection: An open transaction.
        statement: Kept by the caller: its text is made once.
        rows: Its parameters, in their order in the statement.
    """
    if rows:
        connection.exec_driver_sql(_text(statement, connection.dialect), list(rows))


def read_one(connection: Connection, query: Select[Any]) -> Sequence[Any]:
    """The one row of a query without parameters, in the form that the database keeps, past all types.

    Args:
        connection: An open transaction.
        query: Kept by the caller: its text is made once.
    """
    text = _text(query, connection.dialect, literal=True)
    driver = connection.connection.driver_connection
    if isinstance(driver, sqlite3.Connection):
        # Past SQLAlchemy too: of a small unit it takes more time than the query.
        found: Sequence[Any] = driver.execute(text).fetchone()
        return found
    return connection.exec_driver_sql(text).one()


@lru_cache(maxsize=64)
def _text(statement: Insert | Select[Any], dialect: Dialect, *, literal: bool = False) -> str:
    return str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": literal}))


def insert_once(
    connection: Connection, table: Table, rows: Iterable[Row], *, key: str, beside: Collection[str] = ()
) -> list[Row]:
    """Inserts the rows that are not there yet.

    Args:
        connection: An open transaction.
        table: The table.
        rows: What should be there, with all columns that have content.
        key: The column with the id.
        beside: Columns that are no content: two rows that differ only there are the same.

    Returns:
        The rows that are new, in the given order.

    Raises:
        ConflictError: If an id is known, or comes twice, with different content; it names every such id.
    """
    given: dict[Any, Row] = {}
    clashing: set[Any] = set()
    for row in rows:
        known = given.setdefault(row[key], row)
        if known is not row and not _same(known, row, beside):
            clashing.add(row[key])
    for stored in rows_by_key(connection, table, key, list(given)):
        row = given.pop(stored[key])
        if not _same(row, stored, beside):
            clashing.add(row[key])
    if clashing:
        ids = sorted(map(str, clashing))
        more = "" if len(ids) <= _NAMED_AT_MOST else f" and {len(ids) - _NAMED_AT_MOST} more"
        raise ConflictError(
            f"{table.name}: {', '.join(ids[:_NAMED_AT_MOST])}{more} known with other content: use a new id"
        )
    new = list(given.values())
    insert_all(connection, table, new)
    return new


def rows_by_key(connection: Connection, table: Table, key: str, values: Iterable[Any]) -> Iterator[Row]:
    """The rows whose column `key` has one of the values."""
    for chunk in batched(values, _KEYS_A_QUERY):
        for row in connection.execute(select(table).where(table.c[key].in_(chunk))).mappings():
            yield dict(row)


def upsert(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Inserts rows; one whose primary key is there already replaces the old row."""
    if not rows:
        return
    # The two dialects spell it alike, but each has a construct of its own.
    dialect_insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = dialect_insert(table)
    keys = [column.name for column in table.primary_key]
    replaced = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=replaced), rows)


def _same(given: Row, stored: Row, beside: Collection[str]) -> bool:
    """Whether two rows have the same content, as far as the first names it."""
    return all(stored[name] == value for name, value in given.items() if name not in beside)
