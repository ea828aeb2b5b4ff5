"""Closed days that are to be closed again, because a supplier told what imbalance cost on them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Creates the table."""
    op.create_table(
        "asked_closings",
        sa.Column("day", sa.String, nullable=False),
        sa.Column("supplier", sa.String, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("asked_at", sa.BigInteger, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("day", "supplier", name="pk_asked_closings"),
    )
