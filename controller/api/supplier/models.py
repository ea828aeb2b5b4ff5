"""What the supplier's door takes and gives."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from pydantic import ConfigDict, Field

from controller.api.models import In, Instant, Out
from market.sharing.values import PRICE_MAX

Price = Annotated[int, Field(ge=-PRICE_MAX, le=PRICE_MAX)]
"""Micro-euro per kWh."""


class NominationOut(Out):
    """What is announced of a quarter-hour, all customers together."""

    interval_start_utc: datetime
    kind: str
    made_at_utc: datetime
    import_wh: int
    """What the points that take energy will take."""
    export_wh: int
    """What those that feed in will feed in, a magnitude."""


class ImbalanceCostIn(In):
    """What imbalance cost in a quarter-hour, beyond the energy itself; again with others it is corrected."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "interval_start_utc": "2026-01-15T07:30:00Z",
                    "short_microeur_per_kwh": 42_000,
                    "long_microeur_per_kwh": 15_000,
                }
            ]
        }
    )

    interval_start_utc: Instant
    short_microeur_per_kwh: Price
    """For what was taken beyond what was announced; negative where it earned something."""
    long_microeur_per_kwh: Price
    """For what was announced and not taken."""


class CostsTaken(Out):
    """What imbalance cost is kept, and will be booked."""

    days: int
    """How many local days it is about."""
    see: str
    """Where to look how far it is."""


class ClosingOut(Out):
    """A local day on which what was told is not booked yet."""

    day: date
    asked_at_utc: datetime
    why_not: str | None
    """Why it could not be booked when it was tried; it is tried again every hour. Null: not tried yet."""


class ImbalanceOut(Out):
    """A quarter-hour: announced, taken, and what the difference cost."""

    interval_start_utc: datetime
    nominated_wh: int | None
    """The last announcement before it began, net, positive = taken; null where there was none."""
    import_wh: int | None
    """Null until the day is closed."""
    export_wh: int | None
    deviation_wh: int | None
    """Taken less announced; null where either is not known."""
    complete: bool | None
    """Whether all of it was metered; what is estimated is corrected when the real readings come."""
    short_microeur_per_kwh: int | None
    long_microeur_per_kwh: int | None
    cost_nanoeur: int | None
    """What the deviation cost; it is booked by who caused it."""
