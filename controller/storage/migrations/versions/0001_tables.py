"""The first tables: orders, clearings, the ledger, meters, limits, bookings, wishes, access.

Written out here, not taken from `controller.storage.tables`: that file moves on, this step must not.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ROW = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Makes the tables."""
    _market()
    _ledger()
    _grid_and_meters()
    _people()


def _market() -> None:
    op.create_table(
        "orders",
        sa.Column("order_id", sa.String, nullable=False),
        sa.Column("member", sa.String, nullable=False),
        sa.Column("node", sa.String, nullable=False),
        sa.Column("side", sa.String, nullable=False),
        sa.Column("quantity_wh", sa.BigInteger, nullable=False),
        sa.Column("limit_price_microeur_per_kwh", sa.BigInteger, nullable=False),
        sa.Column("interval_start", sa.BigInteger, nullable=False),
        sa.Column("min_fill_wh", sa.BigInteger, nullable=False),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("asset", sa.String, nullable=False),
        sa.Column("placed_at", sa.BigInteger),
        sa.Column("cancelled_at", sa.BigInteger),
        sa.CheckConstraint("quantity_wh > 0", name=op.f("ck_orders_quantity")),
        sa.PrimaryKeyConstraint("order_id", name=op.f("pk_orders")),
    )
    op.create_index("ix_orders_interval_start", "orders", ["interval_start"])
    op.create_index(
        "ix_orders_member_source_interval_start", "orders", ["member", "source", "interval_start"]
    )
    op.create_table(
        "clearings",
        sa.Column("interval_start", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("congestion_rent_nanoeur", sa.BigInteger, nullable=False),
        sa.Column("welfare_nanoeur", sa.BigInteger, nullable=False),
        sa.Column("trade_count", sa.BigInteger, nullable=False),
        sa.Column("cleared_at", sa.BigInteger, nullable=False),
        sa.Column("settled_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("interval_start", name=op.f("pk_clearings")),
    )
    op.create_table(
        "prices",
        sa.Column("interval_start", sa.BigInteger, nullable=False),
        sa.Column("node", sa.String, nullable=False),
        sa.Column("price_microeur_per_kwh", sa.BigInteger),
        sa.ForeignKeyConstraint(
            ["interval_start"], ["clearings.interval_start"], name=op.f("fk_prices_interval_start")
        ),
        sa.PrimaryKeyConstraint("interval_start", "node", name=op.f("pk_prices")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "fills",
        sa.Column("interval_start", sa.BigInteger, nullable=False),
        sa.Column("order_id", sa.String, nullable=False),
        sa.Column("filled_wh", sa.BigInteger, nullable=False),
        sa.Column("price_microeur_per_kwh", sa.BigInteger),
        sa.Column("amount_nanoeur", sa.BigInteger, nullable=False),
        sa.CheckConstraint("filled_wh >= 0", name=op.f("ck_fills_filled")),
        sa.ForeignKeyConstraint(
            ["interval_start"], ["clearings.interval_start"], name=op.f("fk_fills_interval_start")
        ),
        sa.PrimaryKeyConstraint("interval_start", "order_id", name=op.f("pk_fills")),
        sqlite_with_rowid=False,
    )


def _ledger() -> None:
    op.create_table(
        "postings",
        sa.Column("number", _ROW, nullable=False, autoincrement=True),
        sa.Column("posting_id", sa.String, nullable=False),
        sa.Column("debit_account", sa.String, nullable=False),
        sa.Column("credit_account", sa.String, nullable=False),
        sa.Column("amount_nanoeur", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("interval_start", sa.BigInteger, nullable=False),
        sa.Column("ref", sa.String, nullable=False),
        sa.Column("booked_at", sa.BigInteger, nullable=False),
        sa.CheckConstraint("amount_nanoeur >= 0", name=op.f("ck_postings_amount")),
        sa.CheckConstraint("debit_account <> credit_account", name=op.f("ck_postings_two_accounts")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_postings")),
        sa.UniqueConstraint("posting_id", name=op.f("uq_postings_posting_id")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_postings_debit_account_number", "postings", ["debit_account", "number"])
    op.create_index("ix_postings_credit_account_number", "postings", ["credit_account", "number"])
    op.create_table(
        "accounts",
        sa.Column("account", sa.String, nullable=False),
        sa.Column("debit_nanoeur", sa.BigInteger, nullable=False),
        sa.Column("credit_nanoeur", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_accounts")),
    )


def _grid_and_meters() -> None:
    op.create_table(
        "registers",
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("meter", sa.String, nullable=False),
        sa.Column("import_wh", sa.BigInteger, nullable=False),
        sa.Column("export_wh", sa.BigInteger, nullable=False),
        sa.Column("estimated", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("at", "meter", name=op.f("pk_registers")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "limits",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("node", sa.String, nullable=False),
        sa.Column("import_kw", sa.Float),
        sa.Column("export_kw", sa.Float),
        sa.Column("from_utc", sa.BigInteger, nullable=False),
        sa.Column("to_utc", sa.BigInteger),
        sa.Column("set_by", sa.String, nullable=False),
        sa.Column("withdrawn_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_limits")),
    )
    op.create_table(
        "lockouts",
        sa.Column("node", sa.String, nullable=False),
        sa.Column("set_by", sa.String, nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("node", name=op.f("pk_lockouts")),
    )


def _people() -> None:
    op.create_table(
        "bookings",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("vehicle", sa.String, nullable=False),
        sa.Column("from_utc", sa.BigInteger, nullable=False),
        sa.Column("to_utc", sa.BigInteger, nullable=False),
        sa.Column("energy_kwh", sa.Float, nullable=False),
        sa.Column("departure_min_kwh", sa.Float),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bookings")),
    )
    op.create_index("ix_bookings_to_utc", "bookings", ["to_utc"])
    op.create_table(
        "wishes",
        sa.Column("asset", sa.String, nullable=False),
        sa.Column("mode", sa.String, nullable=False),
        sa.Column("never_discharge", sa.Boolean, nullable=False),
        sa.Column("departure_vehicle", sa.String),
        sa.Column("departure_at", sa.BigInteger),
        sa.Column("departure_energy_kwh", sa.Float),
        sa.PrimaryKeyConstraint("asset", name=op.f("pk_wishes")),
    )
    op.create_table(
        "tokens",
        sa.Column("token_hash", sa.String, nullable=False),
        sa.Column("role", sa.String, nullable=False),
        sa.Column("member", sa.String),
        sa.Column("label", sa.String, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_tokens")),
    )
    op.create_table(
        "events",
        sa.Column("number", _ROW, nullable=False, autoincrement=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("who", sa.String, nullable=False),
        sa.Column("what", sa.String, nullable=False),
        sa.Column("subject", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_events")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "named_values",
        sa.Column("key", sa.String, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_named_values")),
    )
