"""Sealed days: each day's signed root, and the hashes from which a posting's proof is made.

Like what they seal they only grow: the database refuses to change or remove them.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_KEYS = {"sealed_days": "day = NEW.day", "sealed_chunks": "last_row = NEW.last_row"}
"""The tables that only grow, and how to find the row that an insert would replace."""


def upgrade() -> None:
    """Makes the tables and their guards."""
    op.create_table(
        "sealed_days",
        sa.Column("day", sa.String, nullable=False),
        sa.Column("after_row", sa.BigInteger, nullable=False),
        sa.Column("last_row", sa.BigInteger, nullable=False),
        sa.Column("postings", sa.BigInteger, nullable=False),
        sa.Column("amount_nanoeur", sa.BigInteger, nullable=False),
        sa.Column("root", sa.String, nullable=False),
        sa.Column("previous", sa.String, nullable=False),
        sa.Column("public_key", sa.String, nullable=False),
        sa.Column("signature", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_sealed_days")),
    )
    op.create_table(
        "sealed_chunks",
        sa.Column("last_row", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("day", sa.String, nullable=False),
        sa.Column("root", sa.String, nullable=False),
        sa.ForeignKeyConstraint(["day"], ["sealed_days.day"], name=op.f("fk_sealed_chunks_day_sealed_days")),
        sa.PrimaryKeyConstraint("last_row", name=op.f("pk_sealed_chunks")),
    )
    op.create_index("ix_sealed_chunks_day", "sealed_chunks", ["day"])
    sqlite = op.get_bind().dialect.name == "sqlite"
    for table, same_row in _KEYS.items():
        for statement in _for_sqlite(table, same_row) if sqlite else _for_postgresql(table):
            op.execute(statement)


def _for_sqlite(table: str, same_row: str) -> list[str]:
    known = f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {same_row})"  # noqa: S608  # names of our own
    refuse = f"BEGIN SELECT RAISE(ABORT, '{table} are append-only'); END"
    return [
        f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {refuse}",
        f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {refuse}",
        f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} {known} {refuse}",
    ]


def _for_postgresql(table: str) -> list[str]:
    # The function stands there since the first guards.
    name = f"{table}_append_only"
    when = f"BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} FOR EACH STATEMENT"
    return [f"CREATE TRIGGER {name} {when} EXECUTE FUNCTION refuse_change()"]
