"""Opening the store: the address is read, the schema brought up to date, the ledger added up.

Whatever stands in the way (a missing folder, a file that cannot be written, a database of a newer
version, one that another process holds) is said in one line before the program starts.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from controller.domain.errors import StartUpError
from controller.storage import ledger, migrate
from controller.storage.address import read_address
from controller.storage.database import Database, open_database
from controller.storage.errors import StoreError
from controller.storage.ledger_key import FileKey, open_key
from controller.storage.unit import SqlUnit


class SqlStore:
    """The database, as `controller.runtime.ports.Store` describes it."""

    def __init__(self, database: Database, key_file: Path) -> None:
        self._database = database
        self._key_file = key_file
        self._key: FileKey | None = None

    def unit(self) -> AbstractAsyncContextManager[SqlUnit]:
        """A transaction that may write: commits when its block ends, rolls back when the block raises.

        Units stand in line; a block should hold no waiting for anything but the unit itself.

        Raises:
            StoreBusyError: If another process held the database for longer than the busy timeout.
            StoreError: If the database fails.
        """
        return self._unit()

    def ledger_key(self) -> FileKey:
        """The key that signs the ledger's days, made at its first use; reads a file.

        Raises:
            StoreError: If there is no such key to be had.
        """
        if self._key is None:
            self._key = open_key(self._key_file)
        return self._key

    async def close(self) -> None:
        """Waits for the open unit and closes every connection."""
        await self._database.close()

    @asynccontextmanager
    async def _unit(self) -> AsyncIterator[SqlUnit]:
        async with self._database.transaction() as transaction:
            yield SqlUnit(transaction)


async def open_store(url_or_path: str | Path, *, folder: Path = Path(), add_up: bool = True) -> SqlStore:
    """Opens a database, making it where there is none, and brings it to this program's version.

    Args:
        url_or_path: A file, or a `postgresql://` URL.
        folder: Where the ledger's key lies for a database on a server; a file has it beside itself.
        add_up: Whether the ledger is added up first. A million postings take a second, in which nobody else
            writes: what books nothing and may work beside a running controller leaves it out.

    Raises:
        StartUpError: If that cannot be; one clear line.
    """
    address = read_address(url_or_path)
    database = open_database(address)
    try:
        async with database.transaction() as transaction:
            await transaction.run(migrate.upgrade, address.shown)
            if add_up:
                await transaction.run(ledger.verify, address.shown)
    except StoreError as error:
        await database.close()
        raise StartUpError(str(error)) from error
    except BaseException:
        await database.close()
        raise
    return SqlStore(database, address.key_file(folder))
