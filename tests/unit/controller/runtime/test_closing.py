"""Days are closed when they are over, and again when late readings come."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from controller.config import MarketSettings, Settings
from controller.domain.errors import ConflictError, NotFoundError
from controller.domain.ids import AssetId, MemberId, NodeId
from controller.domain.time import QUARTER
from controller.forecast.prices import PriceBook
from controller.runtime.closing import DAY_WAIT
from controller.runtime.core import Controller
from controller.runtime.offload import run_inline
from controller.runtime.service import Service
from controller.runtime.statements import Statements
from controller.runtime.trading import METERS_WAIT, Trading
from controller.sharing_settings import MarketMode, SharingChange, SharingSettings, sharing_problems
from controller.supplier_settings import SupplierSettings
from market.day_closing import DayPoint
from market.guest_charging import guest_postings
from market.ledger import PostingReason, assert_balanced, balances
from market.orders import Order, Side
from market.rates import RateKind
from market.statements import LineKind
from tests.support.metered_days import (
    DAY,
    END,
    METERS,
    MIDNIGHT,
    SHARING,
    TAX,
    books,
    day_registers,
    keep,
    running,
)
from tests.support.neighbourhood import site

AUCTION = replace(SHARING, market=MarketSettings(mode=MarketMode.AUCTION))


async def clear_the_rest(trading: Trading) -> None:
    """Clears every quarter-hour whose gate has closed."""
    for start in trading.due():
        await trading.clear_interval(start)


async def points(controller: Controller, day: date = DAY) -> dict[str, DayPoint]:
    """A closed day's points by asset."""
    names = {load.ean: load.id for load in controller.site.loads}
    names |= {roof.ean: roof.id for roof in controller.site.pv}
    async with controller.store.unit() as unit:
        found = await unit.closed_days(day, day)
    return {names.get(point.ean, AssetId("store")): point for point in found}


async def test_a_day_of_sharing_is_settled_after_it(tmp_path: Path) -> None:
    """The roof feeds in 300 Wh a quarter-hour, home and school take 200 and 400: 100 and 200 are the roof's.

    Shared energy costs the mean of 0.12 and 0.09, 0.105 EUR/kWh. A day of 96 quarter-hours: the home shares
    9.6 kWh and buys as much at 0.12; tax on its 19.2 kWh at 0.10.
    """
    async with running(tmp_path) as (controller, trading, clock):
        await keep(controller, day_registers(home=(200, 0), school=(400, 0), roof=(0, 300)))
        clock.advance_to(END + DAY_WAIT - QUARTER)
        await trading.closing.close_due()
        assert await books(controller) == []
        clock.advance_to(END + DAY_WAIT)
        await trading.closing.close_due()
        postings = await books(controller)
        assert_balanced(postings)
        booked = balances(postings)
        home_nanoeur = 9_600 * 105_000 + 9_600 * 120_000 + 19_200 * 100_000
        assert booked["member:m-home"] == home_nanoeur - 28_800 * 105_000
        assert booked["tax"] == -(19_200 + 38_400) * 100_000
        found = await points(controller)
        assert (found["home"].received_wh, found["roof"].given_wh) == (9_600, 28_800)
        assert found["home"].without_nanoeur == 19_200 * (120_000 + 100_000)
        assert found["home"].estimated_quarters == 0


async def test_closing_again_books_nothing_twice(tmp_path: Path) -> None:
    """Also after a restart that has forgotten everything but the database."""
    async with running(tmp_path) as (controller, trading, clock):
        await keep(controller, day_registers(home=(200, 0), roof=(0, 300)))
        clock.advance_to(END + DAY_WAIT)
        await trading.closing.close_due()
        before = await books(controller)
        await trading.closing.close_due()
        again = Trading(controller, offload=run_inline)
        await again.closing.close(DAY, MIDNIGHT, clock.now())
        assert await books(controller) == before


async def test_a_late_reading_replaces_the_estimate(tmp_path: Path) -> None:
    """The home's last six hours are missing; they come the next morning and the day is closed again."""
    whole = day_registers(home=(200, 0), roof=(0, 300))
    async with running(tmp_path) as (controller, trading, clock):
        await keep(controller, day_registers(without=[("home", range(73, 97))], home=(200, 0), roof=(0, 300)))
        clock.advance_to(END + DAY_WAIT)
        await trading.closing.close_due()
        assert (await points(controller))["home"].estimated_quarters == 24
        estimated = len(await books(controller))
        await trading.closing.close_due()
        late = [
            replace(each, import_wh=each.import_wh + 60 * (i // len(METERS) - 72))
            for i, each in enumerate(whole)
            if each.meter == "home" and each.at > MIDNIGHT + 72 * QUARTER
        ]
        await keep(controller, late)
        clock.advance_to(END + DAY_WAIT + QUARTER)
        await trading.closing.close_due()
        postings = await books(controller)
        assert_balanced(postings)
        home = (await points(controller))["home"]
        assert (home.estimated_quarters, home.offtake_wh) == (0, 96 * 200 + 24 * 60)
        assert PostingReason.REVERSAL in {entry.reason for entry in postings[estimated:]}
        tax = balances(postings)["tax"]
        assert tax == -home.offtake_wh * 100_000


async def test_a_meter_that_speaks_again_tells_the_sum_of_the_days_between(tmp_path: Path) -> None:
    """Silent from 18:00 to 03:00, 250 Wh a quarter-hour in between: both days are made whole."""
    silent = [("home", range(73, 108))]
    registers = day_registers(days=2, without=silent, home=(200, 0), roof=(0, 300))
    registers = [
        replace(each, import_wh=each.import_wh + 36 * 50)
        if each.meter == "home" and each.at >= MIDNIGHT + 108 * QUARTER
        else each
        for each in registers
    ]
    async with running(tmp_path) as (controller, trading, clock):
        await keep(controller, [each for each in registers if each.at <= END])
        clock.advance_to(END + DAY_WAIT)
        await trading.closing.close_due()
        assert (await points(controller))["home"].offtake_wh == 96 * 200
        await keep(controller, [each for each in registers if each.at > END])
        clock.advance_to(END + timedelta(days=1) + DAY_WAIT)
        await trading.closing.close_due()
        first, second = (
            (await points(controller))["home"],
            (await points(controller, DAY + timedelta(days=1)))["home"],
        )
        assert first.offtake_wh == 72 * 200 + 24 * 250
        assert second.offtake_wh == 12 * 250 + 84 * 200
        assert (first.estimated_quarters, second.estimated_quarters) == (24, 12)


async def test_an_auctions_estimates_are_settled_again_at_the_end_of_the_day(tmp_path: Path) -> None:
    """The school bought 500 Wh, its meter was late: first it has no deviation, then it pays for 200 more."""
    order = Order(
        order_id="plan/school/1",
        member=MemberId("m-school"),
        node=NodeId("f2"),
        side=Side.BUY,
        quantity_wh=500,
        limit_price_microeur_per_kwh=1_000_000,
        interval_start=MIDNIGHT + QUARTER,
        asset="school",
    )
    registers = day_registers(school=(700, 0))
    async with running(tmp_path, AUCTION) as (controller, trading, clock):
        async with controller.store.unit() as unit:
            await unit.add_orders([order])
        clock.advance_to(MIDNIGHT + QUARTER - timedelta(minutes=1))
        await trading.clear_interval(MIDNIGHT + QUARTER)
        first_two = [each for each in registers if each.at <= MIDNIGHT + 2 * QUARTER]
        await keep(controller, [each for each in first_two if each.meter != "school"])
        clock.advance_to(MIDNIGHT + 2 * QUARTER + METERS_WAIT)
        await trading.settle_due()
        kinds = {entry.reason for entry in await books(controller)}
        assert PostingReason.TRADE in kinds
        assert not kinds & {PostingReason.IMBALANCE_BUY}
        await keep(controller, registers)
        clock.advance_to(END + DAY_WAIT)
        before = await books(controller)
        await trading.closing.close_due()
        assert await books(controller) == before, "not while the market lags behind"
        await clear_the_rest(trading)
        await trading.closing.close_due()
        postings = await books(controller)
        assert_balanced(postings)
        deviations = [entry for entry in postings if entry.reason is PostingReason.IMBALANCE_BUY]
        assert [(entry.debit_account, entry.amount_nanoeur) for entry in deviations] == [
            ("member:m-school", 200 * 120_000)
        ]
        school = (await points(controller))["school"]
        assert (school.offtake_wh, school.bought_wh, school.received_wh) == (96 * 700, 500, 0)
        assert balances(postings)["tax"] == -96 * 700 * 100_000


async def test_a_member_whose_meter_stays_silent_is_left_as_it_was_settled(tmp_path: Path) -> None:
    """Nothing is reversed for want of data: the estimate stands, and the day is marked."""
    registers = day_registers(home=(100, 0))
    async with running(tmp_path, AUCTION) as (controller, trading, clock):
        clock.advance_to(MIDNIGHT + QUARTER - timedelta(minutes=1))
        await trading.clear_interval(MIDNIGHT + QUARTER)
        await keep(controller, [each for each in registers if each.meter != "roof"])
        clock.advance_to(MIDNIGHT + 2 * QUARTER + METERS_WAIT)
        await trading.settle_due()
        before = await books(controller)
        clock.advance_to(END + DAY_WAIT)
        await clear_the_rest(trading)
        await trading.closing.close_due()
        after = await books(controller)
        assert after[: len(before)] == before
        added = {entry.reason: entry.amount_nanoeur for entry in after[len(before) :]}
        # The quarter-hour before the market began is the supplier's.
        assert added == {PostingReason.ENERGY_TAX: 9_600 * 100_000, PostingReason.SUPPLY: 100 * 120_000}
        assert (await points(controller))["roof"].unsettled_quarters == 96


async def test_the_first_day_begins_with_the_first_reading(tmp_path: Path) -> None:
    """Nothing is made up for the time before."""
    async with running(tmp_path) as (controller, trading, clock):
        registers = day_registers(home=(200, 0))
        await keep(controller, [each for each in registers if each.at >= MIDNIGHT + 40 * QUARTER])
        clock.advance_to(END + DAY_WAIT)
        await trading.closing.close_due()
        home = (await points(controller))["home"]
        assert (home.offtake_wh, home.estimated_quarters) == (56 * 200, 0)


async def test_a_day_without_a_rate_stays_open_until_there_is_one(tmp_path: Path) -> None:
    """Better late than wrong: later days are closed, and this one when the site file is mended."""
    gap = (replace(TAX, to_utc=MIDNIGHT + QUARTER), replace(TAX, from_utc=END))
    async with running(tmp_path, Settings(sharing=SharingSettings(rates=gap))) as (
        controller,
        trading,
        clock,
    ):
        await keep(controller, day_registers(days=2, home=(200, 0)))
        clock.advance_to(END + timedelta(days=1) + DAY_WAIT)
        await trading.closing.close_due()
        assert controller.counters.failures["closing"] == 1
        assert await points(controller) == {}
        assert (await points(controller, DAY + timedelta(days=1)))["home"].offtake_wh == 96 * 200
        controller.settings = SHARING
        await trading.closing.close_due()
        assert (await points(controller))["home"].offtake_wh == 96 * 200
        assert balances(await books(controller))["tax"] == -2 * 96 * 200 * 100_000


async def test_a_rate_that_is_told_beforehand_holds_no_day_up(tmp_path: Path) -> None:
    """It is charged from the quarter-hour on in which it begins: of the first day the last one."""
    coming = (replace(TAX, from_utc=END - QUARTER), replace(TAX, kind=RateKind.NETWORK, from_utc=END))
    settings = Settings(sharing=SharingSettings(rates=coming))
    async with running(tmp_path, settings) as (controller, trading, clock):
        await keep(controller, day_registers(home=(200, 0)))
        clock.advance_to(END + DAY_WAIT)
        await trading.closing.close_due()
        assert "closing" not in controller.counters.failures
        assert balances(await books(controller))["tax"] == -200 * 100_000
        assert balances(await books(controller)).get("grid", 0) == 0


@pytest.mark.parametrize(("day", "quarters"), [(date(2024, 3, 31), 92), (date(2024, 10, 27), 100)])
async def test_days_of_92_and_100_quarter_hours(tmp_path: Path, day: date, quarters: int) -> None:
    """When the clock changes, the local day has as many as it has."""
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=1 if quarters == 92 else 2)
    registers = [
        replace(each, at=each.at - MIDNIGHT + begin) for each in day_registers(days=2, home=(200, 0))
    ]
    async with running(tmp_path) as (controller, trading, clock):
        await keep(controller, registers)
        clock.advance_to(begin + quarters * QUARTER + DAY_WAIT)
        await trading.closing.close_due()
        assert (await points(controller, day))["home"].offtake_wh == quarters * 200


async def test_the_statement_of_a_closed_day(tmp_path: Path) -> None:
    """What was booked is what stands on it; a day that is not closed is not there, and says so."""
    async with running(tmp_path) as (controller, trading, clock):
        await keep(controller, day_registers(home=(200, 0), school=(400, 0), roof=(0, 300)))
        statements = Statements(controller, asyncio.get_running_loop())
        with pytest.raises(NotFoundError, match="closed yet"):
            await statements.statement(member=MemberId("m-home"), first=DAY, last=DAY)
        clock.advance_to(END + DAY_WAIT)
        await trading.closing.close_due()
        view = await statements.statement(member=MemberId("m-home"), first=DAY, last=DAY)
        made = view.statement
        assert made.total_nanoeur == balances(await books(controller))["member:m-home"]
        assert {line.kind: line.energy_wh for line in made.lines} == {
            LineKind.SHARED_BUY: 9_600,
            LineKind.SHARED_SELL: 28_800,
            LineKind.SUPPLY: 9_600,
            LineKind.ENERGY_TAX: 19_200,
        }
        assert (made.used_wh, made.made_wh) == (19_200, 28_800)
        # Without sharing: 19.2 kWh at 0.12 and the tax, 28.8 kWh sold at 0.09.
        assert made.without_nanoeur == 19_200 * 220_000 - 28_800 * 90_000
        assert [rate.source for rate in made.rates] == ["law"]
        months = await statements.statements(member=MemberId("m-home"), year=2024)
        assert [month.statement.first for month in months] == [date(2024, 1, 1)]
        assert months[0].statement.lines == made.lines


async def test_whoever_moves_in_does_not_get_the_bills_of_who_moved_out(tmp_path: Path) -> None:
    """A closed day stays its members': also when a late reading comes after the site file has changed."""
    late = [each for each in day_registers(home=(200, 0), school=(400, 0)) if each.at == END]
    async with running(tmp_path) as (controller, trading, clock):
        early = day_registers(without=[("home", range(96, 97))], home=(200, 0), school=(400, 0))
        await keep(controller, early)
        clock.advance_to(END + DAY_WAIT)
        await trading.closing.close_due()
        before = balances(await books(controller))
    home, school = site().loads
    moved = replace(site(), loads=(replace(home, member=school.member), school))
    async with running(tmp_path, of=moved) as (controller, trading, clock):
        clock.advance_to(END + DAY_WAIT)
        await keep(controller, [each for each in late if each.meter == "home"])
        await trading.closing.close_due()
        assert (await points(controller))["home"].estimated_quarters == 0
        assert balances(await books(controller))["member:m-school"] == before["member:m-school"]


async def test_a_day_of_a_point_that_left_the_site_file_stays_as_it_was_closed(tmp_path: Path) -> None:
    """Nothing of whoever is gone is taken back; that is no failure, and said to who asks for it."""
    async with running(tmp_path) as (controller, trading, clock):
        registers = day_registers(without=[("school", range(90, 97))], home=(200, 0), school=(400, 0))
        await keep(controller, registers)
        clock.advance_to(END + DAY_WAIT)
        await trading.closing.close_due()
        before = await books(controller)
    left = replace(site(), loads=site().loads[1:])
    async with running(tmp_path, of=left) as (controller, trading, clock):
        clock.advance_to(END + DAY_WAIT)
        await trading.closing.close_due()
        assert "closing" not in controller.counters.failures
        with pytest.raises(ConflictError, match="in the site file no longer"):
            await trading.closing.close(DAY, MIDNIGHT, clock.now())
        assert await books(controller) == before


async def test_what_the_auction_brings_is_net_of_its_fee(tmp_path: Path) -> None:
    """A day of which only the quarter-hour before the market began is settled: 200 Wh at 0.12, 300 at 0.09.

    The roof's 300 Wh go half to the home, half to the school; a shared kWh costs 0.105 instead of 0.12, and
    earns that instead of 0.09. The home's member, who has the roof too, loses on both. What guests paid at
    the home's socket is no matter of the auction.
    """
    settings = Settings(market=MarketSettings(mode=MarketMode.AUCTION, auction_fee_eur_per_year=10.0))
    async with running(tmp_path, settings) as (controller, trading, clock):
        service = Service(
            controller, trading, loop=asyncio.get_running_loop(), speed=1.0, messages=dict[str, int]
        )
        await keep(controller, day_registers(home=(200, 0), school=(200, 0), roof=(0, 300)))
        clock.advance_to(END + DAY_WAIT)
        await clear_the_rest(trading)
        await trading.closing.close_due()
        guest = guest_postings(
            "a guest at the home's socket",
            owner="member:m-home",
            paid_cents=545,
            fee_cents=10,
            vat_ppm=210_000,
            ended_at=MIDNIGHT,
            booked_at=clock.now(),
        )
        async with controller.store.unit() as unit:
            await unit.add_postings(guest)
        found = {each.member: each for each in await service.benefit(first=DAY, last=DAY)}
        home = found[MemberId("m-home")]
        assert home.sharing_nanoeur == 96 * (150 * 105_000 + 50 * 120_000 - 300 * 105_000)
        assert home.without_nanoeur == 96 * (200 * 120_000 - 300 * 90_000)
        assert (home.days, home.paid_nanoeur) == (1, 200 * 120_000 - 300 * 90_000)
        gain = home.sharing_nanoeur - home.paid_nanoeur
        assert home.gain_nanoeur_per_year == gain * 365 - 10 * 10**9
        assert await service.benefit(first=DAY + timedelta(days=1), last=DAY + timedelta(days=2)) == []


async def test_a_day_closed_again_keeps_its_prices(tmp_path: Path) -> None:
    """A late reading comes when the price of that day is known no more: it stays what it was."""
    async with running(tmp_path, Settings()) as (controller, trading, clock):
        last = [("home", range(96, 97))]
        await keep(controller, day_registers(without=last, home=(200, 0)))
        clock.advance_to(END + DAY_WAIT)
        await trading.closing.close_due()
        controller.forecasts = replace(controller.forecasts, prices=PriceBook({}, 0.50))
        await keep(controller, [each for each in day_registers(home=(200, 0)) if each.at == END])
        await trading.closing.close_due()
        postings = await books(controller)
        assert balances(postings)["member:m-home"] == 96 * 200 * 120_000
        assert (await points(controller))["home"].estimated_quarters == 0


@pytest.mark.parametrize(("before", "after"), [(SHARING, AUCTION), (AUCTION, SHARING)])
async def test_a_day_is_closed_as_it_was_lived(tmp_path: Path, before: Settings, after: Settings) -> None:
    """The site changes its mode the next day; a late reading does not change how the day before counts."""
    registers = day_registers(home=(200, 0), roof=(0, 300))
    async with running(tmp_path, before) as (controller, trading, clock):
        await keep(controller, [each for each in registers if each.at < END or each.meter != "home"])
        clock.advance_to(END + DAY_WAIT)
        await clear_the_rest(trading)
        await trading.closing.close_due()
        booked = {entry.reason for entry in await books(controller)}
        controller.settings = after
        again = Trading(controller, offload=run_inline)
        await again.load()
        await keep(controller, [each for each in registers if each.at == END and each.meter == "home"])
        await again.closing.close_due()
        assert (await points(controller))["home"].estimated_quarters == 0
        assert {entry.reason for entry in await books(controller)} <= booked | {PostingReason.REVERSAL}


async def test_a_change_of_the_key_holds_from_its_day_on(tmp_path: Path) -> None:
    """Two days of 200 Wh at home and 300 Wh on its roof a quarter-hour, shared at 0.10 and then at 0.05 EUR.

    The school takes the 100 Wh that are left: 0.10 x 100 Wh are 10,000,000 nano-euro, half of it a day later.
    A late reading of the first day changes nothing of how it counts.
    """
    agreed = SharingSettings(key="pro_rata", shared_price_eur_per_kwh=0.10)
    change = SharingChange(
        key="priority",
        shared_price_eur_per_kwh=0.05,
        from_day=DAY + timedelta(days=1),
        vat_on_neighbours=True,
    )
    registers = day_registers(days=2, school=(100, 0), roof=(0, 300))
    late = [each for each in registers if each.meter == "school" and MIDNIGHT < each.at < END]
    async with running(tmp_path, Settings(sharing=agreed)) as (controller, trading, clock):
        await keep(controller, [each for each in registers if each not in late and each.at <= END])
        clock.advance_to(END + DAY_WAIT)
        await trading.closing.close_due()
        first = balances(await books(controller))
        assert first["member:m-school"] == 96 * 100 * 100_000
    async with running(tmp_path, Settings(sharing=replace(agreed, changes=(change,)))) as (
        controller,
        trading,
        clock,
    ):
        await keep(controller, [*late, *(each for each in registers if each.at > END)])
        clock.advance_to(END + timedelta(days=1) + DAY_WAIT)
        await trading.closing.close_due()
        assert (await points(controller))["school"].estimated_quarters == 0
        assert balances(await books(controller))["member:m-school"] == 96 * 100 * 150_000


def test_what_is_wrong_with_changes_is_said_with_its_place() -> None:
    """An unknown key, one that needs one supplier, and two from one day on."""
    change = SharingChange(from_day=DAY, key="fair")
    bill = SharingChange(from_day=DAY, key="bill_sharing", across_suppliers=True)
    north = SupplierSettings(
        id="north", import_adder_eur_per_kwh=0.0, export_adder_eur_per_kwh=0.0, points=(), source="letter"
    )
    found = sharing_problems(SharingSettings(changes=(change, bill), suppliers=(north,)), ())
    assert [problem.place for problem in found] == [
        "settings.sharing.changes[0].key",
        "settings.sharing.changes[1].across_suppliers",
        "settings.sharing.changes[1].from_day",
    ]
