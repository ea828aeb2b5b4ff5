"""What the routes of charging tokens take and give."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from controller.api.models import In, Out
from controller.domain.charging_tokens import TOKEN_LENGTH_MAX


class ChargingTokenIn(In):
    """A card or app token that is to charge from now on."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"token": "04A1B2C3D4E5F6", "kind": "card", "label": "key ring", "vehicle": "car-7"}]
        }
    )

    token: Annotated[str, Field(max_length=4 * TOKEN_LENGTH_MAX)]
    """The number that a reader reads, 4 to 20 characters; it is not shown again."""
    kind: Literal["card", "app"]
    label: Annotated[str, Field(min_length=1, max_length=64)]
    """Your own name for it."""
    vehicle: str | None = None
    """The car whose wishes and plan hold when it is used; absent: it charges as a guest does, at once."""


class MemberTokenIn(ChargingTokenIn):
    """The same for any member."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"token": "04A1B2C3D4E5F6", "kind": "card", "label": "key ring", "member": "home-7"}]
        }
    )

    member: str


class BlockedIn(In):
    """Whether a token is blocked, and what becomes of what it charges."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"blocked": True}]})

    blocked: bool
    stop_running: bool = True
    """Whether a transaction that it started ends when it is blocked; false: the car charges on."""


class ChargingTokenOut(Out):
    """A token; its number is never given out in full."""

    handle: str
    """Its name in these routes."""
    ends_with: str
    """Its last characters, by which its owner knows it again."""
    member: str
    kind: Literal["card", "app", "car"]
    label: str
    vehicle: str | None
    created_at_utc: datetime | None
    """Absent for a car's own identification, which stands in the site file."""
    blocked_at_utc: datetime | None
