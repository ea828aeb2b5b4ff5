"""Charging tokens of members, and guests' sessions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes the tables."""
    op.create_table(
        "charging_tokens",
        sa.Column("token", sa.String, nullable=False),
        sa.Column("handle", sa.String, nullable=False),
        sa.Column("member", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("label", sa.String, nullable=False),
        sa.Column("vehicle", sa.String),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("blocked_at", sa.BigInteger),
        sa.Column("list_version", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("token", name=op.f("pk_charging_tokens")),
    )
    op.create_table(
        "guest_sessions",
        sa.Column("session_id", sa.String, nullable=False),
        sa.Column("secret_hash", sa.String, nullable=False),
        sa.Column("charge_point", sa.String, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("content", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_guest_sessions")),
    )
    op.create_index(op.f("ix_guest_sessions_secret_hash"), "guest_sessions", ["secret_hash"])
    op.create_index(op.f("ix_guest_sessions_ended_at"), "guest_sessions", ["ended_at"])
