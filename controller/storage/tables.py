"""The tables as they are now. How a database came to this shape is told by the migrations.

The two must agree; a test compares them. Naming: units last, as everywhere. Where a row repeats what
others tell (the running totals of `accounts`, `clearings.trade_count`), the comment says why.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    MetaData,
    String,
    Table,
    Text,
)

from controller.storage.columns import ROW_NUMBER, UtcMicros

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
"""Every constraint has a name, so that a later migration can change it."""

orders = Table(
    "orders",
    metadata,
    Column("order_id", String, primary_key=True),
    Column("member", String, nullable=False),
    Column("node", String, nullable=False),
    Column("side", String, nullable=False),
    Column("quantity_wh", BigInteger, CheckConstraint("quantity_wh > 0", name="quantity"), nullable=False),
    Column("limit_price_microeur_per_kwh", BigInteger, nullable=False),
    Column("interval_start", UtcMicros, nullable=False),
    Column("min_fill_wh", BigInteger, nullable=False),
    Column("source", String, nullable=False),
    Column("asset", String, nullable=False),
    Column("placed_at", UtcMicros),
    Column("cancelled_at", UtcMicros),
    Column("label", String),
    Column("valid_until", UtcMicros),
    Column("link", String),
    Column("link_efficiency_ppm", BigInteger),
    # Why it can never be cleared; `cancelled_at` says since when.
    Column("lapsed_because", String),
    Index(None, "interval_start"),
    Index(None, "link", "interval_start"),
    # A member's own orders, the newest interval first.
    Index(None, "member", "source", "interval_start"),
)

clearings = Table(
    "clearings",
    metadata,
    Column("interval_start", UtcMicros, primary_key=True),
    Column("congestion_rent_nanoeur", BigInteger, nullable=False),
    Column("welfare_nanoeur", BigInteger, nullable=False),
    # Counted once, because the operator's page asks for it all the time.
    Column("trade_count", BigInteger, nullable=False),
    Column("cleared_at", UtcMicros, nullable=False),
    Column("settled_at", UtcMicros),
)

prices = Table(
    "prices",
    metadata,
    Column("interval_start", UtcMicros, ForeignKey(clearings.c.interval_start), primary_key=True),
    Column("node", String, primary_key=True),
    Column("price_microeur_per_kwh", BigInteger),
    sqlite_with_rowid=False,
)

fills = Table(
    "fills",
    metadata,
    Column("interval_start", UtcMicros, ForeignKey(clearings.c.interval_start), primary_key=True),
    Column("order_id", String, primary_key=True),
    Column("filled_wh", BigInteger, CheckConstraint("filled_wh >= 0", name="filled"), nullable=False),
    Column("price_microeur_per_kwh", BigInteger),
    Column("amount_nanoeur", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

postings = Table(
    "postings",
    metadata,
    Column("number", ROW_NUMBER, primary_key=True, autoincrement=True),
    Column("posting_id", String, nullable=False, unique=True),
    Column("debit_account", String, nullable=False),
    Column("credit_account", String, nullable=False),
    Column(
        "amount_nanoeur", BigInteger, CheckConstraint("amount_nanoeur >= 0", name="amount"), nullable=False
    ),
    Column("reason", String, nullable=False),
    Column("interval_start", UtcMicros, nullable=False),
    Column("ref", String, nullable=False),
    Column("booked_at", UtcMicros, nullable=False),
    CheckConstraint("debit_account <> credit_account", name="two_accounts"),
    # One account's statement, in booking order.
    Index(None, "debit_account", "number"),
    Index(None, "credit_account", "number"),
    # What one quarter-hour, or one day, was settled by: to settle it again.
    Index(None, "interval_start"),
    # A row number is never used again, so "after row 17" means the same for ever.
    sqlite_autoincrement=True,
)

accounts = Table(
    "accounts",
    metadata,
    # Running totals of `postings`, moved in the same transaction: a balance must not get slower with the
    # years. Compared with the postings themselves whenever the database is opened.
    Column("account", String, primary_key=True),
    Column("debit_nanoeur", BigInteger, nullable=False),
    Column("credit_nanoeur", BigInteger, nullable=False),
)

sealed_days = Table(
    "sealed_days",
    metadata,
    # YYYY-MM-DD, UTC.
    Column("day", String, primary_key=True),
    # The day's postings are the rows after the first number, up to the second.
    Column("after_row", BigInteger, nullable=False),
    Column("last_row", BigInteger, nullable=False),
    Column("postings", BigInteger, nullable=False),
    Column("amount_nanoeur", BigInteger, nullable=False),
    # Hexadecimal, as in the files that people check.
    Column("root", String, nullable=False),
    Column("previous", String, nullable=False),
    Column("public_key", String, nullable=False),
    Column("signature", String, nullable=False),
)

sealed_chunks = Table(
    "sealed_chunks",
    metadata,
    Column("last_row", BigInteger, primary_key=True, autoincrement=False),
    Column("day", String, ForeignKey(sealed_days.c.day), nullable=False),
    Column("root", String, nullable=False),
    Index(None, "day"),
)

registers = Table(
    "registers",
    metadata,
    Column("at", UtcMicros, primary_key=True),
    Column("meter", String, primary_key=True),
    Column("import_wh", BigInteger, nullable=False),
    Column("export_wh", BigInteger, nullable=False),
    Column("estimated", Boolean, nullable=False),
    # One meter's readings, when they come late.
    Index(None, "meter", "at"),
    sqlite_with_rowid=False,
)

closed_days = Table(
    "closed_days",
    metadata,
    # YYYY-MM-DD, local: the day that a statement is about.
    Column("day", String, primary_key=True),
    Column("ean", String, primary_key=True),
    Column("member", String, nullable=False),
    # Empty: the site's own.
    Column("supplier", String, nullable=False, server_default=""),
    Column("offtake_wh", BigInteger, nullable=False),
    Column("feed_in_wh", BigInteger, nullable=False),
    Column("received_wh", BigInteger, nullable=False),
    Column("given_wh", BigInteger, nullable=False),
    Column("bought_wh", BigInteger, nullable=False),
    Column("sold_wh", BigInteger, nullable=False),
    Column("estimated_quarters", BigInteger, nullable=False),
    Column("unsettled_quarters", BigInteger, nullable=False),
    Column("without_nanoeur", BigInteger, nullable=False),
    Column("sharing_nanoeur", BigInteger, nullable=False),
    # A member's statement.
    Index(None, "member", "day"),
    sqlite_with_rowid=False,
)

nominations = Table(
    "nominations",
    metadata,
    Column("interval_start", UtcMicros, primary_key=True),
    # Empty: the site's own.
    Column("supplier", String, primary_key=True),
    Column("kind", String, primary_key=True),
    Column("made_at", UtcMicros, nullable=False),
    Column("import_wh", BigInteger, nullable=False),
    Column("export_wh", BigInteger, nullable=False),
    # By member, JSON: always read and written whole.
    Column("net_wh", Text, nullable=False),
)

supplied_quarters = Table(
    "supplied_quarters",
    metadata,
    Column("interval_start", UtcMicros, primary_key=True),
    Column("supplier", String, primary_key=True),
    Column("import_wh", BigInteger, nullable=False),
    Column("export_wh", BigInteger, nullable=False),
    Column("complete", Boolean, nullable=False),
    Column("import_microeur_per_kwh", BigInteger, nullable=False),
    Column("export_microeur_per_kwh", BigInteger, nullable=False),
)

imbalance_costs = Table(
    "imbalance_costs",
    metadata,
    Column("interval_start", UtcMicros, primary_key=True),
    Column("supplier", String, primary_key=True),
    Column("short_microeur_per_kwh", BigInteger, nullable=False),
    Column("long_microeur_per_kwh", BigInteger, nullable=False),
)

asked_closings = Table(
    "asked_closings",
    metadata,
    Column("day", String, primary_key=True),
    Column("supplier", String, primary_key=True),
    # How often it was asked for: who closes the day takes out what it saw, and no more.
    Column("revision", BigInteger, nullable=False),
    Column("asked_at", UtcMicros, nullable=False),
    # Why it could not be closed, the last time; empty: not tried yet.
    Column("why", Text, nullable=False),
)

limits = Table(
    "limits",
    metadata,
    Column("id", String, primary_key=True),
    Column("node", String, nullable=False),
    Column("import_kw", Float),
    Column("export_kw", Float),
    Column("from_utc", UtcMicros, nullable=False),
    Column("to_utc", UtcMicros),
    Column("set_by", String, nullable=False),
    # Beside `to_utc`, so that the limit stays readable as it was set.
    Column("withdrawn_at", UtcMicros),
)

lockouts = Table(
    "lockouts",
    metadata,
    Column("node", String, primary_key=True),
    Column("set_by", String, nullable=False),
    Column("since", UtcMicros, nullable=False),
)

bookings = Table(
    "bookings",
    metadata,
    Column("id", String, primary_key=True),
    Column("vehicle", String, nullable=False),
    Column("from_utc", UtcMicros, nullable=False),
    Column("to_utc", UtcMicros, nullable=False),
    Column("energy_kwh", Float, nullable=False),
    Column("departure_min_kwh", Float),
    Column("fleet", String),
    Index(None, "to_utc"),
)

wishes = Table(
    "wishes",
    metadata,
    Column("asset", String, primary_key=True),
    Column("mode", String, nullable=False),
    Column("never_discharge", Boolean, nullable=False),
    Column("departure_vehicle", String),
    Column("departure_at", UtcMicros),
    Column("departure_energy_kwh", Float),
)

tokens = Table(
    "tokens",
    metadata,
    Column("token_hash", String, primary_key=True),
    Column("role", String, nullable=False),
    Column("member", String),
    Column("label", String, nullable=False),
    Column("created_at", UtcMicros, nullable=False),
    # Names with a blank between them; absent: everything that the role may do.
    Column("scopes", String),
    Column("revoked_at", UtcMicros),
    # By the computer's own time; absent: it has no end.
    Column("expires_at", UtcMicros),
    # The same; absent: not since this is kept.
    Column("used_at", UtcMicros),
    Index(None, "member"),
    # Counted every second: whether another process took one back.
    Index(None, "revoked_at"),
)

charging_tokens = Table(
    "charging_tokens",
    metadata,
    # In full: chargers compare it by themselves while we are gone.
    Column("token", String, primary_key=True),
    Column("handle", String, nullable=False),
    Column("member", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("label", String, nullable=False),
    Column("vehicle", String),
    Column("created_at", UtcMicros, nullable=False),
    Column("blocked_at", UtcMicros),
    Column("list_version", BigInteger, nullable=False),
)

guest_sessions = Table(
    "guest_sessions",
    metadata,
    Column("session_id", String, primary_key=True),
    Column("secret_hash", String, nullable=False),
    Column("charge_point", String, nullable=False),
    Column("ended_at", UtcMicros),
    # JSON; who charged is in it nowhere.
    Column("content", Text, nullable=False),
    Index(None, "secret_hash"),
    Index(None, "ended_at"),
)

instructions = Table(
    "instructions",
    metadata,
    Column("id", String, primary_key=True),
    Column("member", String, nullable=False),
    Column("kind", String, nullable=False),
    # JSON; which fields there are follows from the kind.
    Column("parameters", Text, nullable=False),
    Column("created_at", UtcMicros, nullable=False),
    Column("ended_at", UtcMicros),
    Index(None, "ended_at"),
)

events = Table(
    "events",
    metadata,
    Column("number", ROW_NUMBER, primary_key=True, autoincrement=True),
    Column("at", UtcMicros, nullable=False),
    Column("who", String, nullable=False),
    Column("what", String, nullable=False),
    Column("subject", String, nullable=False),
    sqlite_autoincrement=True,
)

named_values = Table(
    "named_values",
    metadata,
    Column("key", String, primary_key=True),
    Column("value", Text, nullable=False),
)

charge_sessions = Table(
    "charge_sessions",
    metadata,
    Column("id", String, primary_key=True),
    # In capitals, as tokens are compared; absent while nobody has said who it is.
    Column("token", String),
    Column("started_at", UtcMicros, nullable=False),
    Column("ended_at", UtcMicros),
    Column("changed_at", UtcMicros, nullable=False),
    # Whether it has a record: it is over, and what it costs is known.
    Column("billable", Boolean, nullable=False),
    # JSON; the whole session, with the tariff that held when it began.
    Column("content", Text, nullable=False),
    Index(None, "ended_at"),
    Index(None, "token", "started_at"),
)
