"""What the guests' routes take and give."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import ConfigDict, Field

from controller.api.models import In, Out
from controller.guest_settings import LIMIT_CENTS_MAX


class GuestPointOut(Out):
    """A socket as a guest sees it."""

    id: str
    energy_microeur_per_kwh: int
    """VAT included, as all prices here."""
    session_microeur: int
    idle_microeur_per_minute: int
    idle_grace_minutes: int
    vat_ppm: int
    text: str
    """What else is posted."""
    limits_cents: list[int]
    """The amounts that may be chosen as the most that a session costs."""
    charge_kw_max: float
    expected_kw: float | None
    """What is free for it now; absent: not known."""
    plugged: bool | None
    """Whether a car is plugged in; absent: not known."""
    taken: bool
    reachable: bool


class GuestOpenIn(In):
    """A guest begins."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"limit_cents": 2500}]})

    limit_cents: Annotated[int, Field(gt=0, le=LIMIT_CENTS_MAX)]
    """One of those that are offered."""


class GuestOpenedOut(Out):
    """A session was opened."""

    secret: str
    """Opens the session; shown this once."""
    page: str
    """The address of the session's page."""


class GuestSessionOut(Out):
    """A guest's session now."""

    id: str
    charge_point: str
    stage: str
    """reserving, paying, starting, charging, capturing, releasing, paid, released, declined or lost."""
    sentence: str
    checkout_url: str | None
    """Where the guest has to agree; absent: nowhere."""
    limit_cents: int
    energy_wh: int | None
    power_kw: float | None
    cost_cents: int | None
    """So far, or in the end; never above the limit."""
    opened_at_utc: datetime
    ended_at_utc: datetime | None
    energy_text: str
    """As people read it."""
    power_text: str
    cost_text: str
