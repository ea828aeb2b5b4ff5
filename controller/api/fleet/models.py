"""What the fleet's door takes and gives."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from controller.api.models import Identifier, In, Instant, Magnitude, Out

BOOKINGS_MAX = 1000
"""Reservations in one list."""


class BookingIn(In):
    """A reservation of a shared car; the same id again replaces it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "booking-2026-0117",
                    "vehicle_id": "car-3",
                    "from_utc": "2026-01-15T07:30:00Z",
                    "to_utc": "2026-01-15T11:00:00Z",
                    "energy_kwh": 9.5,
                }
            ]
        }
    )

    id: Identifier
    vehicle_id: Identifier
    from_utc: Instant
    to_utc: Instant
    """When it is expected back."""
    energy_kwh: Magnitude
    """What the trip is expected to take."""
    departure_min_kwh: Magnitude | None = None
    """What has to be in the car when it leaves; absent: the trip and the car's minimum."""

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.to_utc <= self.from_utc:
            raise PydanticCustomError(
                "order_of_times",
                "{later} must be after {earlier}",
                {"later": "to_utc", "earlier": "from_utc"},
            )
        return self


class BookingsIn(In):
    """Several reservations, kept together or not at all."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "bookings": [
                        {
                            "id": "booking-2026-0117",
                            "vehicle_id": "car-3",
                            "from_utc": "2026-01-15T07:30:00Z",
                            "to_utc": "2026-01-15T11:00:00Z",
                            "energy_kwh": 9.5,
                        }
                    ]
                }
            ]
        }
    )

    bookings: Annotated[list[BookingIn], Field(min_length=1, max_length=BOOKINGS_MAX)]
    """Each id once."""


class TakenOut(Out):
    """When somebody else has a car."""

    vehicle_id: str
    from_utc: datetime
    to_utc: datetime


class WhereaboutsOut(Out):
    """Where a shared car stands, and whether it is plugged in."""

    vehicle_id: str
    plugged: bool
    node: str | None
    """null: not plugged in, so not known."""
    charge_point: str | None
    soc_fraction: float | None
    energy_kwh: float | None
    power_kw: float | None
    departure_utc: datetime | None
    """The next departure."""
    at_risk_kwh: float
    """What will be missing then; 0 where it is kept."""
