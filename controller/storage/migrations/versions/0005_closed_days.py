"""Closed days: what every allocation point used, shared and traded, by local day.

The sums that statements are made of. The postings say what was paid; these can be made again from the
registers and are replaced when late readings change a day. Two indexes find what a day is settled by again.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_FIGURES = (
    "offtake_wh",
    "feed_in_wh",
    "received_wh",
    "given_wh",
    "bought_wh",
    "sold_wh",
    "estimated_quarters",
    "unsettled_quarters",
    "without_nanoeur",
    "sharing_nanoeur",
)


def upgrade() -> None:
    """Makes the table and the indexes."""
    op.create_table(
        "closed_days",
        sa.Column("day", sa.String, nullable=False),
        sa.Column("ean", sa.String, nullable=False),
        sa.Column("member", sa.String, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in _FIGURES),
        sa.PrimaryKeyConstraint("day", "ean", name=op.f("pk_closed_days")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_closed_days_member_day", "closed_days", ["member", "day"])
    op.create_index("ix_registers_meter_at", "registers", ["meter", "at"])
    op.create_index("ix_postings_interval_start", "postings", ["interval_start"])
