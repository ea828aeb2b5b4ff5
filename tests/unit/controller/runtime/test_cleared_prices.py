"""What was traded is settled by what the supplier asked and paid then, whatever the site file says later."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from controller.config import MarketSettings
from controller.domain.ids import MemberId, NodeId
from controller.domain.time import QUARTER
from controller.runtime.closing import DAY_WAIT
from controller.sharing_settings import MarketMode
from market.ledger import PostingReason
from market.orders import Order, Side
from tests.support.metered_days import END, MIDNIGHT, SHARING, books, day_registers, keep, running
from tests.support.neighbourhood import site

AUCTION = replace(SHARING, market=MarketSettings(mode=MarketMode.AUCTION))


async def test_what_was_cleared_is_settled_by_the_prices_of_its_clearing(tmp_path: Path) -> None:
    """The school bought 500 Wh twice and took 700; the supplier asks 0.12, and 0.52 from then on.

    The first is settled before the site file is changed, the second after it, and the day is closed after it.
    """
    starts = [MIDNIGHT + QUARTER, MIDNIGHT + 2 * QUARTER]
    orders = [
        Order(
            order_id=f"one-{start}",
            member=MemberId("m-school"),
            node=NodeId("f2"),
            side=Side.BUY,
            quantity_wh=500,
            limit_price_microeur_per_kwh=1_000_000,
            interval_start=start,
        )
        for start in starts
    ]
    dearer = replace(site(), tariff=replace(site().tariff, import_adder_eur_per_kwh=0.42))
    async with running(tmp_path, AUCTION) as (controller, trading, clock):
        async with controller.store.unit() as unit:
            await unit.add_orders(orders)
        for start in starts:
            clock.advance_to(start - timedelta(minutes=1))
            await trading.clear_interval(start)
        await keep(controller, day_registers(school=(700, 0)))
        clock.advance_to(MIDNIGHT + 2 * QUARTER + timedelta(minutes=2))
        await trading.settle_due()
    async with running(tmp_path, AUCTION, of=dearer) as (controller, trading, clock):
        clock.advance_to(END + DAY_WAIT)
        await trading.settle_due()
        for start in trading.due():
            await trading.clear_interval(start)
        await trading.settle_due()
        await trading.closing.close_due()
        postings = await books(controller)
        assert not [entry for entry in postings if entry.reason is PostingReason.REVERSAL]
        deviations = {
            entry.interval_start: entry.amount_nanoeur
            for entry in postings
            if entry.reason is PostingReason.IMBALANCE_BUY
        }
        assert [deviations[start] for start in starts] == [200 * 120_000] * 2
        # Nobody ordered anything afterwards: there is no price but that of now.
        assert deviations[starts[1] + QUARTER] == 700 * 520_000
