"""The guard of the ledger looks for a row by its number only where the insert gives one.

A condition with OR over two indexes has SQLite gather row numbers in a table of its own for every row. The
number is nearly always for SQLite to give: a BEFORE trigger sees -1 then.

Source: sqlite.org/lang_createtrigger.html; sqlite.org/optoverview.html, section 2.3 (OR by union).
"""

from __future__ import annotations

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes the trigger anew; what is refused stays the same."""
    if op.get_bind().dialect.name != "sqlite":
        return
    op.execute("DROP TRIGGER postings_no_replace")
    op.execute(
        "CREATE TRIGGER postings_no_replace BEFORE INSERT ON postings "
        "WHEN EXISTS (SELECT 1 FROM postings WHERE posting_id = NEW.posting_id) "
        "OR (NEW.number <> -1 AND EXISTS (SELECT 1 FROM postings WHERE number = NEW.number)) "
        "BEGIN SELECT RAISE(FAIL, 'postings are append-only'); END"
    )
