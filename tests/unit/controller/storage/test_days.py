"""Closed days, and the registers and postings that a day is settled by again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from controller.domain.ids import AssetId, Ean, MemberId
from controller.runtime.ports import RegisterRecord
from controller.storage import SqlStore
from market.day_closing import DayPoint
from market.ledger import PostingReason, posting
from tests.support.storage import QUARTER, START, opened

DAY = date(2024, 1, 15)
POINT = DayPoint(
    day=DAY,
    ean=Ean("871600000000000017"),
    member=MemberId("anna"),
    offtake_wh=9000,
    feed_in_wh=0,
    received_wh=400,
    given_wh=0,
    bought_wh=0,
    sold_wh=0,
    estimated_quarters=0,
    unsettled_quarters=0,
    without_nanoeur=-5,
    sharing_nanoeur=-6,
)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    """An open store on a fresh file."""
    async with opened(tmp_path / "wijk.sqlite3") as store:
        yield store


async def test_a_day_closed_again_replaces_the_old(store: SqlStore) -> None:
    """Late readings change what was kept."""
    other = replace(POINT, ean=Ean("871600000000000024"), member=MemberId("bob"))
    again = replace(POINT, offtake_wh=9100)
    async with store.unit() as unit:
        assert await unit.latest_closed_day() is None
        await unit.put_closed_day([POINT, other])
        await unit.put_closed_day([again])
        assert await unit.closed_days(DAY, DAY) == [again, other]
        assert await unit.closed_days(DAY, DAY, member=MemberId("bob")) == [other]
        assert await unit.latest_closed_day() == DAY


async def test_days_are_found_by_their_dates(store: SqlStore) -> None:
    """Both ends included."""
    days = [replace(POINT, day=DAY + timedelta(days=i)) for i in range(4)]
    async with store.unit() as unit:
        await unit.put_closed_day(days)
        assert await unit.closed_days(days[1].day, days[2].day) == days[1:3]
        assert await unit.closed_dates(since=days[2].day) == [days[2].day, days[3].day]


async def test_days_with_estimates_or_without_a_meter_are_unfinished(store: SqlStore) -> None:
    """Each is named once; those before `since` are left."""
    days = [
        replace(POINT, day=DAY, estimated_quarters=1),
        replace(POINT, day=DAY + timedelta(days=1)),
        replace(POINT, day=DAY + timedelta(days=2), unsettled_quarters=96),
        replace(POINT, day=DAY + timedelta(days=2), ean=Ean("871600000000000024"), estimated_quarters=3),
    ]
    async with store.unit() as unit:
        await unit.put_closed_day(days)
        assert await unit.unfinished_days(since=DAY) == [DAY, DAY + timedelta(days=2)]
        assert await unit.unfinished_days(since=DAY + timedelta(days=1)) == [DAY + timedelta(days=2)]


async def test_registers_of_a_time(store: SqlStore) -> None:
    """Both ends included, by time and meter."""
    registers = [
        RegisterRecord(meter=AssetId(meter), at=START + i * QUARTER, import_wh=i, export_wh=0)
        for i in range(4)
        for meter in ("a", "b")
    ]
    async with store.unit() as unit:
        assert await unit.first_register_at() is None
        await unit.add_registers(registers)
        assert await unit.first_register_at() == START
        span = (START + QUARTER, START + 2 * QUARTER)
        assert await unit.registers_between(*span) == registers[2:6]
        assert await unit.registers_between(*span, meter="b") == registers[3:6:2]
        assert await unit.count_registers(*span) == 4


async def test_postings_of_a_time(store: SqlStore) -> None:
    """The last quarter-hour is not included; of one account where asked for, whichever side it is on."""
    made = [
        posting(
            payer=payer,
            receiver="supplier",
            amount_nanoeur=amount,
            reason=PostingReason.SUPPLY,
            interval_start=START + quarter * QUARTER,
            ref="point",
            booked_at=START,
        )
        for quarter, payer, amount in (
            (0, "member:a", 1),
            (1, "member:a", -2),
            (1, "member:b", 3),
            (2, "member:a", 4),
        )
    ]
    async with store.unit() as unit:
        await unit.add_postings(made)
        assert await unit.postings_between(START, START + 2 * QUARTER) == made[:3]
        assert await unit.postings_between(START, START + 2 * QUARTER, account="member:a") == made[:2]
