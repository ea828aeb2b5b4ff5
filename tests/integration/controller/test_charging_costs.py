"""From a socket to the provider's record: what a transaction moved is what it costs, in every version."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from controller.domain.charge_session import Cdr, ChargeSession, make_cdr
from controller.domain.ids import AssetId
from controller.domain.telemetry import Reading
from controller.runtime.charging import Charging
from controller.runtime.session_ports import SessionQuery
from controller.storage import SqlStore
from tests.support.charging import OPERATOR
from tests.support.ocpp import TOKENS, FakeSocket, Street, charge_point, street, until
from tests.support.storage import opened

CP = "cp-1"
VERSIONS = ("ocpp1.6", "ocpp2.0.1", "ocpp2.1")
TOKEN = min(TOKENS)


@asynccontextmanager
async def booked(folder: Path) -> AsyncIterator[tuple[Street, Charging, SqlStore]]:
    """A street whose transactions are recorded."""
    async with opened(folder / "wijk.sqlite3") as store, street(CP) as place:
        charging = Charging(settings=OPERATOR, store=store, clock=place.clock)
        yield place, charging, store


def listen(place: Street, charging: Charging, heard: list[Reading]) -> ChargeSession | None:
    """Has the book hear what came since the last time; gives the session that goes on."""
    for reading in place.readings[len(heard) :]:
        heard.append(reading)
        charging.hear(reading)
    return charging.session_at(AssetId(CP))


async def only_session(charging: Charging, store: SqlStore) -> ChargeSession:
    """The one session that is over."""
    await charging.keep()
    async with store.unit() as unit:
        (record,) = await unit.charge_sessions(SessionQuery(billable=True), offset=0, limit=9)
    return record.session


@pytest.mark.parametrize("version", VERSIONS)
async def test_what_the_meter_moved_is_what_the_record_says(tmp_path: Path, version: str) -> None:
    """Five kWh between plug and unplug, whatever the version's messages look like."""
    heard: list[Reading] = []
    async with booked(tmp_path) as (place, charging, store):
        socket = FakeSocket(token=TOKEN)
        charger = place.charger(socket, CP, version=version, point=charge_point(CP))
        await until(lambda: len(charger.core.profiles) == 2)
        place.advance(10.0, charger)
        await until(lambda: charger.core.transaction is not None)
        await until(lambda: listen(place, charging, heard) is not None)
        for _ in range(30):
            socket.imported_wh += 5000 / 30
            place.advance(60.0, charger)
        socket.token = None
        place.advance(10.0, charger)
        await until(lambda: listen(place, charging, heard) is None)
        cdr = make_cdr(await only_session(charging, store))
        assert isinstance(cdr, Cdr)
        assert abs(cdr.energy_wh - 5000) <= 1
        assert cdr.session.token == TOKEN
        assert cdr.cost.total.nanoeur == cdr.energy_wh * 484_000 + 605_000_000
