"""The guards against SQLite's REPLACE without their price.

A trigger that may ABORT makes SQLite copy, before every single row, the pages that the row is going to
change, so as to undo that one statement: this took longer than writing the row. With FAIL, and with
`INSERT OR FAIL` (`storage.rows`), it does not. What is refused stays the same; what a statement of several
rows had written before its refusal is undone by the savepoint around it.

Source: sqlite.org/lang_conflict.html; sqlite.org/tempfiles.html, section 2.5 (statement journals).
"""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0005"
branch_labels = None
depends_on = None

_KEYS = {
    "postings": "posting_id = NEW.posting_id OR number = NEW.number",
    "fills": "interval_start = NEW.interval_start AND order_id = NEW.order_id",
}
"""The tables that grow by thousands, and how to find the row that an insert would replace."""


def upgrade() -> None:
    """Makes the triggers anew."""
    if op.get_bind().dialect.name != "sqlite":
        return
    for table, same_row in _KEYS.items():
        op.execute(f"DROP TRIGGER {table}_no_replace")
        op.execute(
            f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} "  # noqa: S608  # names of our own
            f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {same_row}) "
            f"BEGIN SELECT RAISE(FAIL, '{table} are append-only'); END"
        )
