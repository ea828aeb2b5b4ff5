"""What all doors share: how a request's fields are read, and the shape of answers and problems.

Requests are strict: a number is a number and not its text, an unknown field is refused, and every time
names its zone. Pydantic collects all problems of a form before it answers.
"""

from __future__ import annotations

from datetime import datetime, time
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from controller.domain.time import parse_utc, quarter_start


class In(BaseModel):
    """A request's body: strict, and nothing beside the known fields."""

    model_config = ConfigDict(extra="forbid", strict=True, use_attribute_docstrings=True, frozen=True)


class Out(BaseModel):
    """An answer. It documents and tests what `wire` builds."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


def read_instant(value: object) -> datetime:
    """An instant from its text, in UTC.

    Raises:
        PydanticCustomError: If it is no ISO 8601 text or names no zone.
    """
    if not isinstance(value, str):
        raise PydanticCustomError("instant_form", "must be a time like 2026-01-31T16:15:00Z")
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        raise PydanticCustomError("instant_form", "must be a time like 2026-01-31T16:15:00Z") from None
    if at.tzinfo is None:
        raise PydanticCustomError("instant_zone", "names no time zone: write Z for UTC")
    try:
        return parse_utc(value)
    except OverflowError:  # the first or last day of the calendar, moved over its edge by the zone
        raise PydanticCustomError("instant_form", "must be a time like 2026-01-31T16:15:00Z") from None


def read_quarter(value: object) -> datetime:
    """The start of a quarter-hour, in UTC.

    Raises:
        PydanticCustomError: If it is no instant, or lies inside a quarter-hour.
    """
    at = read_instant(value)
    if at != quarter_start(at):
        raise PydanticCustomError("quarter_start", "must be the start of a quarter-hour")
    return at


def read_clock(value: object) -> time:
    """A time of day `HH:MM`.

    Raises:
        PydanticCustomError: If it is anything else.
    """
    text = value if isinstance(value, str) else ""
    hour, colon, minute = text.partition(":")
    well_formed = colon and len(hour) in {1, 2} and len(minute) == 2
    if well_formed and (hour + minute).isascii() and (hour + minute).isdigit():
        numbers = int(hour), int(minute)
        if numbers[0] < 24 and numbers[1] < 60:
            return time(*numbers)
    raise PydanticCustomError("clock_form", "must be a local time like 07:30")


_INSTANT_SCHEMA = {"type": "string", "format": "date-time", "examples": ["2026-01-31T16:15:00Z"]}
Instant = Annotated[datetime, BeforeValidator(read_instant), WithJsonSchema(_INSTANT_SCHEMA)]
"""A moment with its zone; UTC once it is read."""
Quarter = Annotated[datetime, BeforeValidator(read_quarter), WithJsonSchema(_INSTANT_SCHEMA)]
"""The start of a quarter-hour."""
ClockTime = Annotated[
    time, BeforeValidator(read_clock), WithJsonSchema({"type": "string", "examples": ["07:30"]})
]
"""A time of day in Amsterdam."""
Identifier = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[\x21-\x7e]+$")]
"""An identifier that its submitter makes: printable, without blanks."""
Label = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""What people call something: letters of any language, nothing that steers a terminal or ends a text."""
Magnitude = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
"""A finite number that is not negative."""


class ProblemItem(Out):
    """One thing that is wrong in a request."""

    place: str
    """Which field, as a path."""
    rule: str
    """The rule that it breaks."""
    way_out: str = ""
    """What to do about it; empty where the rule says it."""


class RefusalItem(Out):
    """One reason why an order does not stand."""

    code: str
    """gate_closed, interval_past, too_far_ahead, expired, unknown_node, bad_quantity, bad_order, not_yours,
    no_auction, credit, duplicate, token_expired or cancelled."""
    sentence: str
    place: str = ""
    """Which part of the request; empty for an order that has lapsed."""
    way_out: str = ""
    """What to do about it."""


class ProblemDocument(Out):
    """A problem by RFC 9457 (`application/problem+json`)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    problems: list[ProblemItem] | None = None
    """All mistakes of a form, for status 422."""
    refusals: list[RefusalItem] | None = None
    """Every reason why an order does not stand."""


class Done(Out):
    """The request was carried out."""

    done: bool = True


class ReasonOut(Out):
    """Why something is as it is."""

    code: str
    subject: str
    value: float | None
    unit: str
    until: str
    sentence: str
    """In the reader's language."""


class PlanSpanOut(Out):
    """What the plan wants of a car or battery for a while, and why."""

    start_utc: datetime
    end_utc: datetime
    power_kw: float
    """Mean; positive charges."""
    code: str
    price_eur_per_kwh: float | None
    """At its node at the start, taxes and fees included."""
    compare_eur_per_kwh: float | None
    """What that is held against: another hour's price, or what charging back costs."""
    compare_utc: datetime | None
    """When the other price holds."""
    node: str | None
    """The node that binds."""
    limit_kw: float | None
    energy_kwh: float | None
    """What is wanted, or the bound that is reached."""
    sentence: str
    """In the reader's language."""


class ImposedLimitOut(Out):
    """A limit of the grid operator."""

    id: str
    node: str
    import_kw: float | None
    export_kw: float | None
    from_utc: datetime
    to_utc: datetime | None
    set_by: str


class PostingOut(Out):
    """One posting of the ledger."""

    row: int
    """Its number in booking order."""
    posting_id: str
    debit_account: str
    credit_account: str
    amount_nanoeur: int
    eur: str
    """The same amount as a decimal number."""
    reason: str
    interval_start_utc: datetime | None
    ref: str
    booked_at_utc: datetime | None


class LinkOut(Out):
    """What ties orders of several quarter-hours together."""

    name: str
    efficiency_ppm: int


class OrderOut(Out):
    """An order and what became of it."""

    order_id: str
    member: str
    node: str
    side: str
    quantity_wh: int
    limit_price_microeur_per_kwh: int
    interval_start_utc: datetime
    min_fill_wh: int
    source: str
    asset: str
    placed_at_utc: datetime | None
    label: str
    """any, neighbour, sun or social: whom its member would rather deal with."""
    valid_until_utc: datetime | None
    """From then on it no longer stood, if the gate had not closed before."""
    link: LinkOut | None
    """The storage that it charges or empties."""
    status: str
    """open, cancelled, cleared or lapsed."""
    cancelled_at_utc: datetime | None
    """Also when it lapsed."""
    lapsed_because: RefusalItem | None
    """Why it will never be cleared though its member did not cancel it; it costs and brings nothing."""
    filled_wh: int | None
    price_microeur_per_kwh: int | None
    amount_nanoeur: int | None
    """What the member pays (negative: receives)."""
    eur: str | None


class BookingOut(Out):
    """A reservation of a shared car."""

    id: str
    vehicle_id: str
    from_utc: datetime
    to_utc: datetime
    energy_kwh: float
    departure_min_kwh: float | None
    fleet: str | None
    """Who reserved it; null: whoever reserves for all fleets."""
