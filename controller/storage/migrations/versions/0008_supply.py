"""What the supplier is told and tells: nominations, what was supplied, what imbalance cost."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes the tables."""
    op.create_table(
        "nominations",
        sa.Column("interval_start", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("made_at", sa.BigInteger, nullable=False),
        sa.Column("import_wh", sa.BigInteger, nullable=False),
        sa.Column("export_wh", sa.BigInteger, nullable=False),
        sa.Column("net_wh", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("interval_start", "kind", name=op.f("pk_nominations")),
    )
    op.create_table(
        "supplied_quarters",
        sa.Column("interval_start", sa.BigInteger, nullable=False),
        sa.Column("import_wh", sa.BigInteger, nullable=False),
        sa.Column("export_wh", sa.BigInteger, nullable=False),
        sa.Column("complete", sa.Boolean, nullable=False),
        sa.Column("import_microeur_per_kwh", sa.BigInteger, nullable=False),
        sa.Column("export_microeur_per_kwh", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("interval_start", name=op.f("pk_supplied_quarters")),
    )
    op.create_table(
        "imbalance_costs",
        sa.Column("interval_start", sa.BigInteger, nullable=False),
        sa.Column("short_microeur_per_kwh", sa.BigInteger, nullable=False),
        sa.Column("long_microeur_per_kwh", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("interval_start", name=op.f("pk_imbalance_costs")),
    )
