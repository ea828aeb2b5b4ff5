"""Days of readings for tests of settlement: every meter of the test street at every quarter-hour."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from controller.config import Settings
from controller.domain.ids import AssetId
from controller.domain.site import Site
from controller.domain.time import QUARTER, VirtualDomainClock
from controller.forecast.prices import PriceBook
from controller.runtime.core import Controller
from controller.runtime.offload import run_inline
from controller.runtime.ports import RegisterRecord
from controller.runtime.trading import Trading
from controller.sharing_settings import SharingSettings
from market.ledger import Posting
from market.rates import Rate, RateKind
from tests.support.running import make_controller
from tests.support.storage import opened

MIDNIGHT = datetime(2024, 1, 14, 23, tzinfo=UTC)
"""The beginning of 15 January in Amsterdam."""
DAY = date(2024, 1, 15)
END = MIDNIGHT + timedelta(days=1)
TAX = Rate(kind=RateKind.ENERGY_TAX, value=100_000, from_utc=MIDNIGHT - timedelta(days=400), source="law")
SHARING = Settings(sharing=SharingSettings(rates=(TAX,)))
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


@asynccontextmanager
async def running(
    folder: Path, settings: Settings = SHARING, of: Site | None = None
) -> AsyncIterator[tuple[Controller, Trading, VirtualDomainClock]]:
    """A controller whose supplier asks 0.12 and pays 0.09 EUR/kWh, just after midnight."""
    clock = VirtualDomainClock(MIDNIGHT)
    async with opened(folder / "test.sqlite3") as store:
        controller = make_controller(store, clock, settings=settings, prices=PriceBook({}, 0.10), of=of)
        await controller.load()
        trading = Trading(controller, offload=run_inline)
        await trading.load()
        yield controller, trading, clock
