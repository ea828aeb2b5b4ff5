"""A closed day keeps who supplied each point; before, there was the site's own supplier alone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the column."""
    op.add_column("closed_days", sa.Column("supplier", sa.String, nullable=False, server_default=""))
