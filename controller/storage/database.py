"""One transaction after another: the thin asynchronous shell around SQLAlchemy Core.

Every repository of this package is a plain function of a SQLAlchemy `Connection`. This module decides
where such a function runs, so that the event loop never waits for a disk:

- a SQLite file has a thread of its own, with one connection. `BEGIN IMMEDIATE` takes the write lock before
  the first reading (a transaction that reads first and writes later could otherwise fail in the middle), the
  journal is a write-ahead log, and `synchronous=FULL` makes a commit survive a power cut;
- PostgreSQL is reached through asyncpg. SQLAlchemy switches between its synchronous core and asyncpg with
  the package greenlet; an advisory lock makes us the one writer there too.

Either way units of work stand in line at one `asyncio.Lock`, and every call inside a unit is a savepoint:
a call that raises has written nothing, also where the caller catches the error and goes on. A task that
is cancelled in the middle of a statement first waits for that statement (a thread cannot be interrupted),
then its unit is rolled back.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from importlib.util import find_spec
from queue import SimpleQueue
from threading import Thread
from typing import Any, Concatenate, Protocol, cast

from sqlalchemy import Connection, Engine, RootTransaction, create_engine, event, text
from sqlalchemy.exc import DBAPIError, PendingRollbackError

from controller.domain.errors import StartUpError
from controller.storage.address import Address
from controller.storage.errors import StoreBusyError, StoreError, explained, is_busy
from controller.storage.rows import savepoint

BUSY_TIMEOUT_MS = 5000
"""How long a transaction waits for another process's before it gives up."""

_ADVISORY_LOCK = 0x57494A4B
"""The number of our lock in PostgreSQL: "WIJK" in ASCII."""


class Transaction(Protocol):
    """An open transaction."""

    async def run[**P, R](
        self, work: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Runs a repository's function inside the transaction, off the event loop."""
        ...


class Database(Protocol):
    """Where transactions come from."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Begins; commits when the block ends, rolls back when it raises."""
        ...

    async def close(self) -> None:
        """Closes every connection."""
        ...


def open_database(address: Address) -> Database:
    """The database behind an address; nothing is opened yet.

    Raises:
        StartUpError: If a package is missing that PostgreSQL needs.
    """
    if address.is_file:
        return FileDatabase(address)
    if find_spec("greenlet") is None:
        raise StartUpError(
            "PostgreSQL needs the package greenlet: install sqlalchemy[asyncio], or use a file"
        )
    return ServerDatabase(address)


class FileDatabase:
    """A SQLite file and the one thread that works on it."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._engine = _file_engine(address)
        self._connection: Connection | None = None
        self._turn = _Turn()
        self._thread = _StoreThread()
        self._closed = False

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Begins at its first call; commits when the block ends, rolls back when it raises."""
        async with self._turn:
            transaction = _FileTransaction(self._connected, self._call)
            try:
                yield transaction
                await self._call(transaction.commit)
            except BaseException:
                await self._call(transaction.roll_back)
                raise

    async def close(self) -> None:
        """Waits for the unit that is open, folds the log into the file and ends the thread."""
        async with self._turn:
            if not self._closed:
                self._closed = True
                await self._call(self._disconnect)
                self._thread.end()

    def _connected(self) -> Connection:
        """The one connection, opened at its first use; in the thread."""
        if self._connection is None:
            self._connection = self._engine.connect()
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._engine.dispose()

    async def _call[R](self, work: Callable[[], R]) -> R:
        """Runs `work` in the thread and waits for its end, also when the caller is cancelled meanwhile."""
        try:
            return await self._thread.submit(work)
        except asyncio.CancelledError:
            await self._thread.idle()
            raise
        except DBAPIError as error:
            raise _translated(error, self._address) from error
        except sqlite3.Error as error:
            raise StoreError(explained(error, self._address.shown)) from error
        except PendingRollbackError as error:
            raise StoreError(
                f"the database {self._address.shown} has ended the transaction: nothing of it is kept"
            ) from error
        except OverflowError as error:
            # SQLite's driver refuses such an integer before SQLAlchemy can give the error a name.
            raise StoreError(
                f"the database {self._address.shown} keeps no integers beyond 64 bits: nothing is kept"
            ) from error


class _StoreThread:
    """A thread that does one thing after another; with an executor a small unit takes a tenth longer."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = Thread(target=self._do_jobs, name="store", daemon=True)
        self._thread.start()
        self._ended = False

    def submit[R](self, work: Callable[[], R]) -> asyncio.Future[R]:
        """Has the thread do it; the future is the running loop's. Cancelled, it is done all the same."""
        if self._ended:
            raise RuntimeError("the database is closed")
        told: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._jobs.put(partial(_do, work, told))
        return told

    async def idle(self) -> None:
        """Waits until all that was handed over is done, also when the caller is cancelled meanwhile."""
        last = self.submit(lambda: None)
        while not last.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([last])

    def end(self) -> None:
        """Waits for what it is at, and ends it."""
        self._ended = True
        self._jobs.put(None)
        self._thread.join()

    def _do_jobs(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
            # Nothing of it is kept while there is nothing to do.
            del job


def _do[R](work: Callable[[], R], told: asyncio.Future[R]) -> None:
    """Does it, and has the loop tell what came of it; one that is closed has nobody who waits."""

    def tell(result: R | None, error: BaseException | None) -> None:
        if told.done():
            return
        if error is None:
            told.set_result(cast("R", result))
        else:
            told.set_exception(error)

    try:
        done = partial(tell, work(), None)
    except BaseException as error:  # noqa: BLE001  # whoever waits for it gets it
        done = partial(tell, None, error)
    with suppress(RuntimeError):
        told.get_loop().call_soon_threadsafe(done)


class _FileTransaction:
    """An open transaction on a file; all but `run` runs in the thread."""

    def __init__(
        self, connected: Callable[[], Connection], call: Callable[[Callable[[], Any]], Awaitable[Any]]
    ) -> None:
        self._connected = connected
        self._call = call
        self._open: RootTransaction | None = None
        self._over = False

    async def run[**P, R](
        self, work: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Runs a repository's function inside the transaction, in the thread."""
        result: R = await self._call(
            lambda: _whole_or_nothing(self._begun(), lambda at: work(at, *args, **kwargs))
        )
        return result

    def commit(self) -> None:
        self._over = True
        if self._open is not None:
            self._open.commit()
            self._open = None

    def roll_back(self) -> None:
        self._over = True
        if self._open is not None:
            transaction, self._open = self._open, None
            transaction.rollback()

    def _begun(self) -> Connection:
        """The connection; the first call begins: each way into the thread and back takes its time."""
        if self._over:
            raise RuntimeError("a unit of work was used outside its block")
        if self._open is None:
            self._open = self._connected().begin()
        return self._open.connection


class _Turn:
    """A lock that says so when a task waits for itself, where a plain one would stand still for ever."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._holder: asyncio.Task[Any] | None = None

    async def __aenter__(self) -> None:
        task = asyncio.current_task()
        if task is not None and task is self._holder:
            raise RuntimeError("a unit of work was opened inside another one of the same task")
        await self._lock.acquire()
        self._holder = task

    async def __aexit__(self, *exc_info: object) -> None:
        self._holder = None
        self._lock.release()


class ServerDatabase:
    """A PostgreSQL server, reached through asyncpg."""

    def __init__(self, address: Address) -> None:
        from sqlalchemy.ext.asyncio import create_async_engine

        self._address = address
        # Read committed, the server's default, is enough: the lock below comes before the first reading. In
        # a serializable transaction the wait for the lock would itself fix a view that is then too old.
        self._engine = create_async_engine(address.url, pool_size=1, max_overflow=0)
        self._turn = _Turn()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Begins; commits when the block ends, rolls back when it raises."""
        async with self._turn:
            try:
                async with self._engine.begin() as connection:
                    await connection.execute(text(f"SET LOCAL lock_timeout = {BUSY_TIMEOUT_MS}"))
                    await connection.execute(text(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})"))
                    yield _ServerTransaction(connection.run_sync)
            except DBAPIError as error:
                raise _translated(error, self._address) from error
            except OSError as error:
                raise StoreError(explained(error, self._address.shown)) from error

    async def close(self) -> None:
        """Waits for the unit that is open and closes the connection."""
        async with self._turn:
            await self._engine.dispose()


class _ServerTransaction:
    """An open transaction on a server."""

    def __init__(self, run_sync: Callable[..., Any]) -> None:
        self._run_sync = run_sync

    async def run[**P, R](
        self, work: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Runs a repository's function inside the transaction."""
        result: R = await self._run_sync(_whole_or_nothing, lambda at: work(at, *args, **kwargs))
        return result


def _whole_or_nothing[R](connection: Connection, work: Callable[[Connection], R]) -> R:
    """Runs one call; where it raises, what it has written so far is undone."""
    with savepoint(connection):
        return work(connection)


def _translated(error: DBAPIError, address: Address) -> StoreError:
    kind = StoreBusyError if is_busy(error) else StoreError
    return kind(explained(error, address.shown))


def _file_engine(address: Address) -> Engine:
    """An engine that leaves every BEGIN to us, as SQLAlchemy's SQLite page advises.

    The file is made for its owner alone, whatever the umask: it holds when people were at home. SQLite gives
    its log beside the file the same mode.
    """
    with suppress(OSError):  # it is there, or SQLite says better why it cannot be
        os.close(os.open(str(address.url.database), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    engine = create_engine(address.url, pool_size=1, max_overflow=0, connect_args={"isolation_level": None})
    event.listen(engine, "connect", _set_pragmas)
    event.listen(engine, "begin", _begin_immediate)
    return engine


def _set_pragmas(connection: Any, _record: object) -> None:
    for pragma in (
        # First, so that the switch to the log waits too where another process is just opening the file.
        f"busy_timeout={BUSY_TIMEOUT_MS}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        # What a savepoint would bring back stays in memory: else a file is written beside every larger unit.
        "temp_store=MEMORY",
    ):
        connection.execute(f"PRAGMA {pragma}").fetchall()


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
