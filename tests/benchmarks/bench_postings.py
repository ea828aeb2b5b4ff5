"""What it costs to book durably, against bare inserts into SQLite in transactions of the same size.

The bare side is Python's own driver: rows that are ready, one `executemany`, a table with the same columns,
keys, checks and indexes, the same journal and the same fsync; no guards, no running totals, nothing looked
up. Ours is `add_postings` in a unit of work, as the settlement calls it. Both write turn by turn; the ratio
is of the medians.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from controller.storage.columns import to_micros
from market.ledger import Posting
from tests.support.storage import make_posting, opened

SIZES = {100: 60, 1000: 25, 8000: 8}
"""Postings in a transaction, and how many transactions."""
MEMBERS = 3000
GOAL = 2.0
_INSERT = (
    "INSERT INTO postings (posting_id, debit_account, credit_account, amount_nanoeur, reason, "
    "interval_start, ref, booked_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)

type Values = tuple[str | int, ...]
"""A posting as the database keeps it."""


def _batch(size: int, number: int) -> list[Posting]:
    return [make_posting(f"{number}-{i}", debit=f"member:m{i * 7 % MEMBERS}") for i in range(size)]


def _values(posting: Posting) -> Values:
    return (
        posting.posting_id,
        posting.debit_account,
        posting.credit_account,
        posting.amount_nanoeur,
        posting.reason.value,
        to_micros(posting.interval_start),
        posting.ref,
        to_micros(posting.booked_at),
    )


def _bare(path: Path, like: Path) -> sqlite3.Connection:
    """A file with the ledger's table and its indexes, and nothing else of ours."""
    with closing(sqlite3.connect(like)) as ours:
        wanted = (
            "SELECT sql FROM sqlite_master WHERE tbl_name = 'postings' AND type <> 'trigger' AND sql <> ''"
        )
        statements = [sql for (sql,) in ours.execute(wanted)]
    bare = sqlite3.connect(path, isolation_level=None)
    for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", *statements):
        bare.execute(statement)
    return bare


def _insert(bare: sqlite3.Connection, rows: Sequence[Values]) -> None:
    bare.execute("BEGIN IMMEDIATE")
    bare.executemany(_INSERT, rows)
    bare.execute("COMMIT")


async def _ratio(folder: Path, size: int, count: int) -> str:
    ours_s, bare_s = [], []
    path = folder / f"ours-{size}.sqlite3"
    async with opened(path) as store:
        with closing(_bare(folder / f"bare-{size}.sqlite3", path)) as bare:
            for number in range(count):
                batch = _batch(size, number)
                rows = [_values(posting) for posting in batch]
                begun = time.perf_counter()
                async with store.unit() as unit:
                    await unit.add_postings(batch)
                booked = time.perf_counter()
                _insert(bare, rows)
                ours_s.append(booked - begun)
                bare_s.append(time.perf_counter() - booked)
    ours, other = (median(spent) / size * 1e6 for spent in (ours_s, bare_s))
    return f"{size:>11}{ours:>16.1f}{other:>16.1f}{ours / other:>8.2f}"


def main() -> None:
    """Prints the table."""
    lines = [f"in a unit   ours, us each   bare, us each   ratio (goal: at most {GOAL:g})"]
    with TemporaryDirectory() as folder:
        lines += [asyncio.run(_ratio(Path(folder), size, count)) for size, count in SIZES.items()]
    print("\n".join(lines))  # noqa: T201  # a bench prints


if __name__ == "__main__":
    main()
