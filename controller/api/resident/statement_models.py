"""The shapes of statements."""

from __future__ import annotations

from datetime import date, datetime

from controller.api.models import Out


class StatementLineOut(Out):
    """One line."""

    kind: str
    title: str
    energy_wh: int | None
    """Null where it is about no energy, or about deviations both ways."""
    price_microeur_per_kwh: int | None
    """The mean; null where there is no energy."""
    amount_nanoeur: int
    """Positive: to be paid; negative: to be received."""
    cents: int
    """The same on the statement; the lines add up to the total."""


class RateOut(Out):
    """Something that was charged beside energy, and where it is written."""

    kind: str
    value: int
    """Micro-euro per kWh; VAT in parts per million."""
    from_utc: datetime
    to_utc: datetime | None
    source: str


class StatementOut(Out):
    """A member's statement over some local days."""

    site: str
    member: str
    member_name: str
    made_at_utc: datetime
    first: date
    last: date
    days: int
    """How many of the days are closed."""
    used_wh: int
    """Taken from the grid, neighbours' energy included."""
    made_wh: int
    """Fed into the grid."""
    lines: list[StatementLineOut]
    total_nanoeur: int
    total_cents: int
    without_nanoeur: int
    """What it would have been without sharing or trading, by the same prices, rates and VAT."""
    without_cents: int
    sharing_nanoeur: int
    """What it is, or would have been, by sharing after the fact."""
    sharing_cents: int
    estimated_quarters: int
    unsettled_quarters: int
    tariff_source: str
    rates: list[RateOut]
    note: str


class TaxSumsOut(Out):
    """What was taxed, charged and earned [nano-euro]."""

    energy_tax_nanoeur: int
    vat_nanoeur: int
    network_nanoeur: int
    feed_in_fee_nanoeur: int
    sold_to_supplier_nanoeur: int
    sold_to_neighbours_nanoeur: int


class TaxMonthOut(TaxSumsOut):
    """The same of one month."""

    first: date


class TaxYearOut(Out):
    """A year's taxes, and what was earned, by month."""

    year: int
    member: str
    member_name: str
    months: list[TaxMonthOut]
    total: TaxSumsOut
    note: str
