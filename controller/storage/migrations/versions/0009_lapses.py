"""Orders that can never be cleared say why, and tokens have an end."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the columns."""
    op.add_column("orders", sa.Column("lapsed_because", sa.String))
    op.add_column("tokens", sa.Column("expires_at", sa.BigInteger))
