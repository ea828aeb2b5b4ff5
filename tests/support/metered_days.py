"""Days of readings for tests of settlement: every meter of the test street at every quarter-hour."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from controller.domain.ids import AssetId
from controller.domain.time import QUARTER
from controller.runtime.core import Controller
from controller.runtime.ports import RegisterRecord
from market.ledger import Posting

MIDNIGHT = datetime(2024, 1, 14, 23, tzinfo=UTC)
"""The beginning of 15 January in Amsterdam."""
DAY = date(2024, 1, 15)
END = MIDNIGHT + timedelta(days=1)
METERS = ("home", "school", "roof", "battery", *(f"cp-{i}" for i in (1, 2, 3, 4)))


def day_registers(
    *, days: int = 1, without: Sequence[tuple[str, range]] = (), **quarter_wh: tuple[int, int]
) -> list[RegisterRecord]:
    """Registers of whole days; named meters count (import, export) [Wh] in every quarter-hour."""
    return [
        RegisterRecord(
            meter=AssetId(meter),
            at=MIDNIGHT + i * QUARTER,
            import_wh=i * quarter_wh.get(meter, (0, 0))[0],
            export_wh=i * quarter_wh.get(meter, (0, 0))[1],
        )
        for i in range(96 * days + 1)
        for meter in METERS
        if not any(meter == name and i in missing for name, missing in without)
    ]


async def keep(controller: Controller, registers: Sequence[RegisterRecord]) -> None:
    """Writes registers into the store."""
    async with controller.store.unit() as unit:
        await unit.add_registers(registers)


async def books(controller: Controller) -> list[Posting]:
    """Everything that is booked."""
    async with controller.store.unit() as unit:
        return [entry for _, entry in await unit.postings(limit=10**6)]
