"""Several suppliers: what is announced, supplied and told to have cost is kept for each.

What was kept before is the site's own supplier's, which has no name. SQLite cannot widen a primary key, so
each table is made anew and filled from a copy.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_START = sa.Column("interval_start", sa.BigInteger, nullable=False)
_SUPPLIER = sa.Column("supplier", sa.String, nullable=False)
_TABLES: dict[str, tuple[tuple[str, ...], tuple[sa.Column[Any], ...]]] = {
    "nominations": (
        ("interval_start", "supplier", "kind"),
        (
            _START,
            _SUPPLIER,
            sa.Column("kind", sa.String, nullable=False),
            sa.Column("made_at", sa.BigInteger, nullable=False),
            sa.Column("import_wh", sa.BigInteger, nullable=False),
            sa.Column("export_wh", sa.BigInteger, nullable=False),
            sa.Column("net_wh", sa.Text, nullable=False),
        ),
    ),
    "supplied_quarters": (
        ("interval_start", "supplier"),
        (
            _START,
            _SUPPLIER,
            sa.Column("import_wh", sa.BigInteger, nullable=False),
            sa.Column("export_wh", sa.BigInteger, nullable=False),
            sa.Column("complete", sa.Boolean, nullable=False),
            sa.Column("import_microeur_per_kwh", sa.BigInteger, nullable=False),
            sa.Column("export_microeur_per_kwh", sa.BigInteger, nullable=False),
        ),
    ),
    "imbalance_costs": (
        ("interval_start", "supplier"),
        (
            _START,
            _SUPPLIER,
            sa.Column("short_microeur_per_kwh", sa.BigInteger, nullable=False),
            sa.Column("long_microeur_per_kwh", sa.BigInteger, nullable=False),
        ),
    ),
}


def upgrade() -> None:
    """Makes the tables anew with the supplier in their keys."""
    for name, (keys, columns) in _TABLES.items():
        kept = ", ".join(column.name for column in columns if column.name != "supplier")
        op.execute(f"CREATE TABLE {name}_before AS SELECT {kept} FROM {name}")  # noqa: S608  # names of ours
        op.drop_table(name)
        key = sa.PrimaryKeyConstraint(*keys, name=op.f(f"pk_{name}"))
        op.create_table(name, *(sa.Column(c.name, c.type, nullable=False) for c in columns), key)
        filled = f"INSERT INTO {name} ({kept}, supplier) SELECT {kept}, '' FROM {name}_before"  # noqa: S608
        op.execute(filled)
        op.drop_table(f"{name}_before")
