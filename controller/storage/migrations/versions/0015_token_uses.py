"""When tokens were last used, and an index by which those that were taken back are counted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the column and the index."""
    op.add_column("tokens", sa.Column("used_at", sa.BigInteger))
    op.create_index("ix_tokens_revoked_at", "tokens", ["revoked_at"])
