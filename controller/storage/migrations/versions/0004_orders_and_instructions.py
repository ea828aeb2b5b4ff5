"""Orders: whom their member would rather deal with, until when they stand, which storage they move.

Standing instructions, and tokens that members make and take back themselves. What is absent in an older
row means what it meant then: no label, no end, no link, all rights.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the columns and the table."""
    op.add_column("orders", sa.Column("label", sa.String))
    op.add_column("orders", sa.Column("valid_until", sa.BigInteger))
    op.add_column("orders", sa.Column("link", sa.String))
    op.add_column("orders", sa.Column("link_efficiency_ppm", sa.BigInteger))
    op.create_index("ix_orders_link_interval_start", "orders", ["link", "interval_start"])
    op.add_column("tokens", sa.Column("scopes", sa.String))
    op.add_column("tokens", sa.Column("revoked_at", sa.BigInteger))
    op.create_index("ix_tokens_member", "tokens", ["member"])
    op.create_table(
        "instructions",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("member", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("parameters", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instructions")),
    )
    op.create_index("ix_instructions_ended_at", "instructions", ["ended_at"])
