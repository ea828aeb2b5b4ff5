"""Guards in the database itself: postings, fills and the log of who did what only ever grow.

A correction is a reversal and a new posting. Code that forgot this, or a person with a database tool,
is refused by a trigger. SQLite's REPLACE would delete without asking the trigger, so an insert that
meets a row that is there already is refused as well.
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_KEYS = {
    "postings": "posting_id = NEW.posting_id OR number = NEW.number",
    "fills": "interval_start = NEW.interval_start AND order_id = NEW.order_id",
    "events": "number = NEW.number",
}
"""The tables that only grow, and how to find the row that an insert would replace."""


def upgrade() -> None:
    """Makes the triggers."""
    statements = _for_sqlite() if op.get_bind().dialect.name == "sqlite" else _for_postgresql()
    for statement in statements:
        op.execute(statement)


def _for_sqlite() -> list[str]:
    statements = []
    for table, same_row in _KEYS.items():
        known = f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {same_row})"  # noqa: S608  # names of our own
        refuse = f"BEGIN SELECT RAISE(ABORT, '{table} are append-only'); END"
        statements += [
            f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {refuse}",
            f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {refuse}",
            f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} {known} {refuse}",
        ]
    return statements


def _for_postgresql() -> list[str]:
    function = (
        "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '% are append-only', TG_TABLE_NAME; END $$"
    )
    return [
        function,
        *(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
            for table in _KEYS
        ),
    ]
