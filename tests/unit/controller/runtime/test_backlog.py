"""What is still to be cleared after an absence: every order, however old, and the last week."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest
import structlog

from controller.config import MarketSettings, Settings
from controller.domain.ids import MemberId, NodeId
from controller.domain.time import ScaledDomainClock, SystemMachineClock, VirtualDomainClock
from controller.runtime import backlog
from controller.runtime.desk import OrderRefusedError
from controller.runtime.loops import Loops
from controller.runtime.offload import run_inline
from controller.runtime.safety_process import SafetyProcess
from controller.runtime.trading import Trading
from controller.sharing_settings import MarketMode
from market.orders import Order, RefusalCode, Side
from tests.support.neighbourhood import START
from tests.support.running import QUARTER, make_controller, running
from tests.support.storage import opened

HOME = MemberId("m-home")
INTERVAL = START + QUARTER
MINUTE = timedelta(minutes=1)
LIMITED = Settings(market=MarketSettings(mode=MarketMode.AUCTION, credit_limit_eur=10.0))


def order(order_id: str = "one", **changes: object) -> Order:
    """The home buys 500 Wh at up to 1 EUR/kWh."""
    base = Order(
        order_id=order_id,
        member=HOME,
        node=NodeId("f1"),
        side=Side.BUY,
        quantity_wh=500,
        limit_price_microeur_per_kwh=1_000_000,
        interval_start=INTERVAL,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


async def test_an_order_is_cleared_however_long_nobody_was_there(tmp_path: Path) -> None:
    """Away for 30 days: the quarter-hour with an order is cleared, and the last week's; not those between."""
    ordered = INTERVAL + timedelta(days=2)
    async with running(tmp_path) as (controller, trading, clock):
        controller.settings = LIMITED
        await trading.desk.place(order("old", interval_start=ordered), HOME)
        clock.advance_to(INTERVAL - MINUTE)
        await trading.clear_interval(INTERVAL)
    back = START + timedelta(days=30)
    async with running(tmp_path, back) as (controller, trading, clock):
        due = trading.due()
        assert due == [ordered, *(back - timedelta(days=7) + i * QUARTER for i in range(7 * 96 + 1))]
        controller.settings = LIMITED
        # Until it is cleared it may still cost something: its credit is held.
        spending = order("big", quantity_wh=9_700, interval_start=back + 2 * QUARTER)
        with pytest.raises(OrderRefusedError, match="credit"):
            await trading.desk.place(spending, HOME)
        await trading.clear_interval(ordered)
        async with controller.store.unit() as unit:
            record = await unit.order("old")
        assert record is not None
        assert record.fill is not None
        assert record.fill.filled_wh == 500
        assert trading.due() == due[1:]
        await trading.desk.place(spending, HOME)
    async with running(tmp_path, back) as (_, trading, _clock):
        assert trading.due() == due[1:]


async def test_a_quarter_hour_that_failed_is_found_again_after_a_restart(tmp_path: Path) -> None:
    """The later one was cleared; the earlier one is not forgotten for that."""
    async with running(tmp_path) as (_, trading, clock):
        await trading.desk.place(order(), HOME)
        clock.advance_to(INTERVAL + QUARTER)
        await trading.clear_interval(INTERVAL + QUARTER)
    async with running(tmp_path, INTERVAL + QUARTER) as (_, trading, _clock):
        assert trading.due() == [INTERVAL]


async def test_orders_of_a_site_that_stops_trading_lapse_with_a_reason(tmp_path: Path) -> None:
    """Nobody will ever clear them: they cost nothing, hold no credit, and say why."""
    async with running(tmp_path) as (_, trading, _clock):
        await trading.desk.place(order(), HOME)
        await trading.desk.place(order("withdrawn"), HOME)
        await trading.desk.cancel("withdrawn", HOME)
    clock = VirtualDomainClock(START + QUARTER)
    async with opened(tmp_path / "test.sqlite3") as store:
        for _ in range(2):
            trading = Trading(make_controller(store, clock, settings=Settings()), offload=run_inline)
            await trading.load()
        async with store.unit() as unit:
            left, withdrawn = await unit.order("one"), await unit.order("withdrawn")
            assert await unit.open_orders(HOME, since=START) == []
    assert left is not None
    assert withdrawn is not None
    assert (left.cancelled_at, left.lapsed_because) == (clock.now(), RefusalCode.NO_AUCTION)
    assert (withdrawn.cancelled_at, withdrawn.lapsed_because) == (START, None)


async def test_an_order_at_a_node_that_is_gone_lapses_and_holds_nobody_up(tmp_path: Path) -> None:
    """The site file has lost the node since: the others' orders of that quarter-hour are cleared."""
    async with running(tmp_path) as (controller, trading, clock):
        await trading.desk.place(order(), HOME)
        async with controller.store.unit() as unit:
            await unit.add_orders([order("gone", node=NodeId("demolished"), placed_at=START)])
        clock.advance_to(INTERVAL)
        await trading.clear_interval(INTERVAL)
        async with controller.store.unit() as unit:
            gone, kept = await unit.order("gone"), await unit.order("one")
    assert gone is not None
    assert (gone.fill, gone.lapsed_because) == (None, RefusalCode.UNKNOWN_NODE)
    assert kept is not None
    assert kept.fill is not None


async def test_catching_up_tells_its_progress_and_lets_others_take_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the loop itself: the quarter-hours of half a day and one of eleven days before, with an order."""
    monkeypatch.setattr(backlog, "CATCH_UP_MAX", timedelta(hours=12))
    monkeypatch.setattr(backlog, "PROGRESS_EVERY", 12)
    ordered = INTERVAL + timedelta(days=2)
    async with running(tmp_path) as (_, trading, _clock):
        await trading.desk.place(order("old", interval_start=ordered), HOME)
    back = START + timedelta(days=13, minutes=5)
    clock = ScaledDomainClock(anchor_domain=back, anchor_unix_s=time.time(), speed=1.0)
    turns = 0
    async with opened(tmp_path / "test.sqlite3") as store:
        controller = make_controller(store, clock)
        trading = Trading(controller, offload=asyncio.to_thread)
        await trading.load()
        loops = Loops(controller, trading, SystemMachineClock(), cast("SafetyProcess", None))
        waiting = len(trading.due())
        with structlog.testing.capture_logs() as told:
            task = asyncio.create_task(loops._market())
            while trading.due():
                await asyncio.sleep(0.001)
                turns += 1
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        async with store.unit() as unit:
            record = await unit.order("old")
    assert waiting == 12 * 4 + 2
    assert turns > waiting
    assert record is not None
    assert record.fill is not None
    assert [each["waiting"] for each in told if each["event"] == "catching up"] == [48, 36, 24, 12]
