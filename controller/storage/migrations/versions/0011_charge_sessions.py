"""Charge sessions, as the book of what charging costs keeps them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes the table."""
    op.create_table(
        "charge_sessions",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("token", sa.String),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
        sa.Column("billable", sa.Boolean, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_charge_sessions")),
    )
    op.create_index(op.f("ix_charge_sessions_ended_at"), "charge_sessions", ["ended_at"])
    op.create_index(op.f("ix_charge_sessions_token_started_at"), "charge_sessions", ["token", "started_at"])
