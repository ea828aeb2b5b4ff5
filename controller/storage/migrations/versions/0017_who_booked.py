"""Which fleet made a booking: fleets share cars, and each sees its own bookings only."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the column; of older bookings it is not known."""
    op.add_column("bookings", sa.Column("fleet", sa.String))
