"""What can go wrong between us and the database, told in one line each.

A driver's message ("database is locked", "disk I/O error") says nothing to an operator. `explained` turns
it into a sentence with the file and a way out; while the store is being opened that sentence becomes a
`StartUpError`, afterwards one of the two errors below.
"""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError

from controller.domain.errors import WijkstroomError


class StoreError(WijkstroomError):
    """The database failed; the transaction was rolled back and nothing of it is kept."""


class StoreBusyError(StoreError):
    """Another process held the database longer than the busy timeout; the work may be tried again."""


class LedgerBrokenError(StoreError):
    """The books do not add up: somebody wrote past the ledger. Nothing is paid out on such figures."""


_BUSY = ("database is locked", "database table is locked", "lock timeout", "could not obtain lock")
"""What SQLite and PostgreSQL say when somebody else holds the lock."""

_EXPLANATIONS = (
    (("readonly", "read-only"), "cannot be written: check the rights on the file and its folder"),
    (("unable to open",), "cannot be opened: check that the folder exists and may be written"),
    (("not a database", "malformed"), "is no database of Wijkstroom, or is damaged: restore a backup"),
    (("disk is full", "no space left"), "cannot grow: the disk is full"),
)
"""Parts of a driver's message, and what they mean to a person."""


def is_busy(error: BaseException) -> bool:
    """Whether the database was only busy, so that trying again makes sense."""
    text = str(error).lower()
    return any(part in text for part in _BUSY)


def explained(error: BaseException, database: str) -> str:
    """One line about a failed database, for people.

    Args:
        error: What the driver raised.
        database: The file or the address without its password.

    Returns:
        A sentence without a full stop.
    """
    if is_busy(error):
        return f"the database {database} is held by another process: stop that one first"
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    text = str(cause).lower()
    for parts, meaning in _EXPLANATIONS:
        if any(part in text for part in parts):
            return f"the database {database} {meaning}"
    return f"the database {database} does not work: {' '.join(str(cause).split())}"
