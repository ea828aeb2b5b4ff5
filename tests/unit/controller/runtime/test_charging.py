"""The book of charge sessions, as chargers' messages fill it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from controller.charging_settings import ChargingSettings
from controller.domain.charge_session import Cdr, ChargeSession, make_cdr
from controller.domain.ids import AssetId
from controller.domain.telemetry import (
    MeterReading,
    Reading,
    RegisterReading,
    TransactionPhase,
    TransactionReading,
)
from controller.domain.time import VirtualDomainClock
from controller.runtime.charging import LOST_END, Charging
from controller.storage import SqlStore
from tests.support.charging import BEGAN, CARD, OPERATOR, POSTED, TARIFF
from tests.support.storage import opened

CP = AssetId("cp-1")
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    """An open store on a fresh file."""
    async with opened(tmp_path / "wijk.sqlite3") as store:
        yield store


def book(store: SqlStore, settings: ChargingSettings = OPERATOR, *, lets_charge: bool = True) -> Charging:
    """A book on a store, at the moment at which the first session begins."""
    return Charging(
        settings=settings, store=store, clock=VirtualDomainClock(BEGAN), lets_charge=lambda _: lets_charge
    )


def told(
    phase: TransactionPhase,
    after: timedelta,
    import_wh: int | None = None,
    *,
    transaction: str = "tx-1",
    token: str | None = CARD,
    asks: bool | None = None,
) -> TransactionReading:
    """What a charger tells some time after the start."""
    at = BEGAN + after
    registers = () if import_wh is None else (RegisterReading(at=at, import_wh=import_wh, export_wh=0),)
    return TransactionReading(
        charge_point=CP,
        at=at,
        transaction=transaction,
        phase=phase,
        token=token,
        registers=registers,
        asks_power=asks,
    )


def start(after: timedelta = 0 * HOUR, import_wh: int | None = 1000, *, transaction: str = "tx-1") -> Reading:
    """A transaction begins."""
    return told(TransactionPhase.STARTED, after, import_wh, transaction=transaction)


def end(after: timedelta, import_wh: int | None, *, transaction: str = "tx-1") -> Reading:
    """A transaction ends."""
    return told(TransactionPhase.ENDED, after, import_wh, transaction=transaction, token=None)


def going(charging: Charging) -> ChargeSession:
    """The session at the socket."""
    session = charging.session_at(CP)
    assert session is not None
    return session


async def kept(charging: Charging, session_id: str) -> ChargeSession:
    """A session as the store has it."""
    await charging.keep()
    session = await charging.session(session_id)
    assert session is not None
    return session


async def test_a_session_is_followed_from_plug_to_record(store: SqlStore) -> None:
    """The meter brings it forward between the transaction's messages; its end makes a record."""
    charging = book(store)
    seen: list[ChargeSession] = []
    charging.listeners.append(seen.append)
    charging.hear(start())
    charging.hear(MeterReading(meter=CP, at=BEGAN + HOUR, power_kw=5.0, import_wh=6000))
    assert going(charging).energy_wh == 5000
    charging.hear(MeterReading(meter=CP, at=BEGAN + HOUR, power_kw=5.0))
    charging.hear(end(2 * HOUR, 9000))
    assert charging.session_at(CP) is None
    cdr = make_cdr(await kept(charging, seen[0].id))
    assert isinstance(cdr, Cdr)
    assert (cdr.energy_wh, cdr.session.token, cdr.duration) == (8000, CARD, 2 * HOUR)
    assert [one.ended_at for one in seen] == [None, None, BEGAN + 2 * HOUR]


async def test_what_is_told_twice_counts_once(store: SqlStore) -> None:
    """Also after a restart, when only the store remembers that it was over."""
    charging = book(store)
    charging.hear(start())
    session_id = going(charging).id
    charging.hear(end(HOUR, 3000))
    over = await kept(charging, session_id)
    for reading in (start(), end(HOUR, 9000)):
        charging.hear(reading)
    assert await kept(charging, session_id) == over
    again = book(store)
    await again.load()
    for reading in (start(), end(HOUR, 9000)):
        again.hear(reading)
    assert await kept(again, session_id) == over


async def test_a_restart_goes_on_with_what_was_open(store: SqlStore) -> None:
    """With the tariff of its start, whatever the site file says by now."""
    charging = book(store)
    charging.hear(start())
    await charging.keep()
    dearer = replace(TARIFF, id="dearer", energy_microeur_per_kwh=900_000)
    again = book(store, replace(OPERATOR, tariffs=(dearer,)))
    await again.load()
    again.hear(end(HOUR, 3000))
    cdr = make_cdr(await kept(again, charging.session_at(CP).id))  # type: ignore[union-attr]
    assert isinstance(cdr, Cdr)
    assert cdr.cost.total.nanoeur == 2000 * 484_000 + 605_000_000


async def test_a_transaction_kept_off_line_leaves_the_one_of_now_alone(store: SqlStore) -> None:
    """Start and end come late, in order; the meter's readings belong to the car that stands there now."""
    charging = book(store)
    charging.hear(start(5 * HOUR, 9000, transaction="now"))
    charging.hear(start(0 * HOUR, 1000, transaction="old"))
    assert going(charging).transaction == "now"
    charging.hear(end(HOUR, 4000, transaction="old"))
    charging.hear(MeterReading(meter=CP, at=BEGAN + 6 * HOUR, import_wh=9500))
    assert going(charging).energy_wh == 500
    old = next(one for one in [await charging.session(key) for key in charging._over] if one is not None)
    assert (old.transaction, old.energy_wh) == ("old", 3000)


async def test_a_lost_end_is_made_up_for_at_the_last_reading(store: SqlStore) -> None:
    """The next transaction shows that the one before is over."""
    charging = book(store)
    charging.hear(start())
    first = going(charging).id
    charging.hear(MeterReading(meter=CP, at=BEGAN + HOUR, import_wh=2000))
    charging.hear(start(3 * HOUR, 2000, transaction="tx-2"))
    over = await kept(charging, first)
    assert (over.ended_at, over.end_reason, over.energy_wh) == (BEGAN + HOUR, LOST_END, 1000)
    assert going(charging).transaction == "tx-2"


@pytest.mark.parametrize(("lets_charge", "idle"), [(True, 10 * MINUTE), (False, 0 * MINUTE)])
async def test_nobody_idles_who_waits_for_us(store: SqlStore, lets_charge: object, idle: timedelta) -> None:
    """Some chargers say `SuspendedEV` of a car that we paused ourselves."""
    charging = book(store, lets_charge=bool(lets_charge))
    charging.hear(start())
    charging.hear(told(TransactionPhase.UPDATED, HOUR, asks=False))
    assert going(charging).idle(BEGAN + HOUR + 10 * MINUTE) == idle


async def test_a_transaction_that_began_unseen_counts_from_its_first_message(store: SqlStore) -> None:
    """What went before nobody measured for us."""
    charging = book(store)
    charging.hear(told(TransactionPhase.UPDATED, HOUR, 5000))
    session = going(charging)
    assert (session.started_at, session.energy_wh) == (BEGAN + HOUR, 0)


async def test_only_what_is_posted_is_recorded(store: SqlStore) -> None:
    """Without a tariff nobody's sessions are; before the first one a session has none."""
    silent = book(store, replace(OPERATOR, tariffs=()))
    silent.hear(start())
    assert silent.session_at(CP) is None
    early = book(store, replace(OPERATOR, tariffs=(replace(TARIFF, from_utc=BEGAN + HOUR),)))
    early.hear(start())
    assert going(early).tariff is None
    assert early.tariff_now() is None
    assert book(store).tariff_now() == TARIFF


async def test_leaving_writes_down_what_is_left(store: SqlStore) -> None:
    """And coming back reads it."""
    async with book(store) as charging:
        charging.hear(start())
    async with book(store) as again:
        assert going(again).started_at == BEGAN


async def test_a_writing_that_is_broken_off_is_made_good(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever stops while a session's end is being written has it written by the last writing."""
    charging, begun = book(store), asyncio.Event()
    charging.hear(start())
    session_id = going(charging).id
    charging.hear(end(HOUR, 3000))

    @asynccontextmanager
    async def stuck() -> AsyncIterator[None]:
        begun.set()
        await asyncio.Event().wait()
        yield

    with monkeypatch.context() as patch:
        patch.setattr(store, "unit", stuck)
        writing = asyncio.create_task(charging.keep())
        await begun.wait()
        writing.cancel()
        with suppress(asyncio.CancelledError):
            await writing
    await charging.keep()
    async with store.unit() as unit:
        record = await unit.charge_session(session_id)
    assert record is not None
    assert record.session.ended_at == BEGAN + HOUR


async def test_old_sessions_are_forgotten(store: SqlStore) -> None:
    """After as many days as the site file says."""
    charging = book(store)
    charging.hear(start())
    session_id = going(charging).id
    charging.hear(end(HOUR, 3000))
    await charging.keep()

    def later(days: int) -> Charging:
        moment: datetime = BEGAN + HOUR + timedelta(days=days, minutes=1)
        return Charging(settings=OPERATOR, store=store, clock=VirtualDomainClock(moment))

    assert await later(OPERATOR.keep_days - 1).forget() == 0
    assert await later(OPERATOR.keep_days).forget() == 1
    assert await book(store).session(session_id) is None
    assert POSTED < BEGAN


async def test_a_session_counts_as_changed_when_it_can_be_read(store: SqlStore) -> None:
    """Whoever reads while the writing stands in line, and then asks for what is newer, finds it."""
    clock = VirtualDomainClock(BEGAN)
    charging = Charging(settings=OPERATOR, store=store, clock=clock)
    charging.hear(start())
    async with store.unit() as unit:
        writing = asyncio.create_task(charging.keep())
        await asyncio.sleep(0)
        clock.advance_to(BEGAN + MINUTE)
        assert await unit.charge_session(going(charging).id) is None
    await writing
    async with store.unit() as unit:
        record = await unit.charge_session(going(charging).id)
    assert record is not None
    assert record.changed_at == BEGAN + MINUTE
