"""The store: everything that must outlive a restart, in one database.

`open_store` gives a `controller.runtime.ports.Store`: a SQLite file by default, PostgreSQL by a URL. What
is done inside `async with store.unit()` happens as a whole or not at all.
"""

from controller.storage.errors import LedgerBrokenError, StoreBusyError, StoreError
from controller.storage.store import SqlStore, open_store

__all__ = ["LedgerBrokenError", "SqlStore", "StoreBusyError", "StoreError", "open_store"]
