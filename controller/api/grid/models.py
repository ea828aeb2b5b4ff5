"""What the grid operator's door takes and gives."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from pydantic import ConfigDict, model_validator
from pydantic_core import PydanticCustomError

from controller.api.models import In, Instant, Magnitude, Out


class LimitIn(In):
    """A limit to set on a node; it is planned around at once."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "import_kw": 80.0,
                    "from_utc": "2026-01-15T16:00:00Z",
                    "to_utc": "2026-01-15T20:00:00Z",
                }
            ]
        }
    )

    import_kw: Magnitude | None = None
    """Most that may flow down [kW]; absent leaves import as it is."""
    export_kw: Magnitude | None = None
    """Most that may flow up [kW], a magnitude."""
    from_utc: Instant | None = None
    """Absent: from now."""
    to_utc: Instant | None = None
    """Absent: until withdrawn."""

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.import_kw is None and self.export_kw is None:
            raise PydanticCustomError(
                "one_at_least",
                "give at least one of {first} and {second}",
                {"first": "import_kw", "second": "export_kw"},
            )
        if self.from_utc is not None and self.to_utc is not None and self.to_utc <= self.from_utc:
            raise PydanticCustomError(
                "order_of_times",
                "{later} must be after {earlier}",
                {"later": "to_utc", "earlier": "from_utc"},
            )
        return self


class GridNodeOut(Out):
    """A node as the grid operator sees it: its measured load, and what is in force."""

    id: str
    parent: str | None
    kind: str
    power_kw: float | None
    estimated: bool
    """Whether the power is an estimate for want of a live meter."""
    observed_fraction: float
    import_limit_kw: float | None
    export_limit_kw: float | None
    limited_by_grid_operator: bool
    discharge_locked_out: bool
    voltage_v: tuple[float, float, float] | None


class FlexibilityOut(Out):
    """What a node could do otherwise in one quarter-hour."""

    start_utc: datetime
    forecast_kw: float
    up_kw: float
    """How much more it could draw."""
    down_kw: float
    """How much less it could draw, or how much more feed in; a magnitude."""


class LockoutOut(Out):
    """No discharge below a node until a person releases it."""

    node: str
    set_by: str
    since_utc: datetime


class WithdrawnOut(Out):
    """The limits that were withdrawn."""

    withdrawn: list[str]
