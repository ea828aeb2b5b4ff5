"""Orders, clearing and settlement against a real store."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from controller.config import Settings
from controller.domain.errors import ConflictError, ForbiddenError, NotFoundError
from controller.domain.ids import AssetId, MemberId, NodeId
from controller.domain.telemetry import MeterReading
from controller.domain.time import VirtualDomainClock
from controller.runtime.core import Controller
from controller.runtime.desk import OrderRefusedError
from controller.runtime.offload import run_inline
from controller.runtime.ports import RegisterRecord, UnitOfWork
from controller.runtime.trading import METERS_WAIT, Trading
from market.ledger import PostingReason
from market.orders import Order, RefusalCode, Side
from tests.support.neighbourhood import START
from tests.support.running import AUCTION, QUARTER, make_controller, registers, running
from tests.support.storage import opened

HOME = MemberId("m-home")
INTERVAL = START + QUARTER
MINUTE = timedelta(minutes=1)


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


async def keep(controller: Controller, *batches: list[RegisterRecord]) -> None:
    """Writes registers into the store."""
    async with controller.store.unit() as unit:
        for batch in batches:
            await unit.add_registers(batch)


async def balances(controller: Controller) -> dict[str, int]:
    """The balances of the ledger."""
    async with controller.store.unit() as unit:
        return dict(await unit.balances())


async def test_an_order_is_placed_once_and_never_changed(tmp_path: Path) -> None:
    """The same again gives the first; another content, another's id or somebody else's order is refused."""
    async with running(tmp_path) as (_, trading, clock):
        placed = await trading.desk.place(order(), HOME)
        clock.advance_to(START + MINUTE)
        again = await trading.desk.place(order(), HOME)
        assert again.order.placed_at == placed.order.placed_at == START
        with pytest.raises(OrderRefusedError, match=r"duplicate: order .one. stands with other content"):
            await trading.desk.place(order(quantity_wh=600), HOME)
        school = order(member=MemberId("m-school"), node=NodeId("f2"))
        with pytest.raises(OrderRefusedError, match=r"duplicate: order id .one. is taken"):
            await trading.desk.place(school, MemberId("m-school"))
        with pytest.raises(ForbiddenError):
            await trading.desk.place(order("two"), MemberId("m-school"))
        with pytest.raises(ForbiddenError):
            await trading.desk.place(order("two"), None)


@pytest.mark.parametrize("order_id", ["plan/cp-1/x", "forecast/home/x", "backstop/sell/x", "resident/x"])
async def test_the_controllers_own_order_ids_are_reserved(tmp_path: Path, order_id: str) -> None:
    """Nobody can stand in the way of an order that the controller will make."""
    async with running(tmp_path) as (_, trading, _clock):
        with pytest.raises(OrderRefusedError, match="bad_order: order_id"):
            await trading.desk.place(order(order_id), HOME)


async def test_an_order_elsewhere_or_malformed_is_refused(tmp_path: Path) -> None:
    """Another's node, an unknown one and a quantity of 0: every reason at once."""
    async with running(tmp_path) as (_, trading, _clock):
        with pytest.raises(OrderRefusedError, match="not_yours"):
            await trading.desk.place(order(node=NodeId("f2")), HOME)
        with pytest.raises(OrderRefusedError) as refused:
            await trading.desk.place(order(node=NodeId("moon"), quantity_wh=0), HOME)
        codes = [refusal.code for refusal in refused.value.refusals]
        assert codes == [RefusalCode.BAD_QUANTITY, RefusalCode.UNKNOWN_NODE]


async def test_the_gate_closes_a_minute_before_for_orders_and_withdrawals(tmp_path: Path) -> None:
    """One second before it both are taken, at the gate neither."""
    async with running(tmp_path) as (_, trading, clock):
        clock.advance_to(INTERVAL - MINUTE - timedelta(seconds=1))
        await trading.desk.place(order(), HOME)
        await trading.desk.place(order("two"), HOME)
        await trading.desk.cancel("two", HOME)
        await trading.desk.cancel("two", HOME)
        clock.advance_to(INTERVAL - MINUTE)
        with pytest.raises(OrderRefusedError, match="gate_closed"):
            await trading.desk.place(order("three"), HOME)
        with pytest.raises(OrderRefusedError, match="gate_closed"):
            await trading.desk.cancel("one", HOME)
        with pytest.raises(NotFoundError):
            await trading.desk.cancel("one", MemberId("m-school"))
        await trading.clear_interval(INTERVAL)
        assert trading.latest is not None
        own = {fill.order_id for fill in trading.latest.fills if "/" not in fill.order_id}
        assert own == {"one"}


async def test_a_withdrawal_that_waited_past_the_gate_is_too_late(tmp_path: Path) -> None:
    """It was sent in time and its turn came when the book was being cleared: the order stands."""
    async with running(tmp_path) as (controller, trading, clock):
        await trading.desk.place(order(), HOME)
        clock.advance_to(INTERVAL - MINUTE - timedelta(seconds=1))
        unit_of = controller.store.unit

        def late_unit() -> object:
            clock.advance_to(INTERVAL - MINUTE)
            return unit_of()

        controller.store.unit = late_unit  # type: ignore[method-assign,assignment]  # the wait for our turn
        with pytest.raises(OrderRefusedError, match="gate_closed"):
            await trading.desk.cancel("one", HOME)


async def test_clearing_twice_is_clearing_once(tmp_path: Path) -> None:
    """Also after a restart, with another book of made orders."""
    async with running(tmp_path) as (controller, trading, clock):
        await trading.desk.place(order(), HOME)
        clock.advance_to(INTERVAL - MINUTE)
        await trading.clear_interval(INTERVAL)
        first = trading.latest
        await trading.clear_interval(INTERVAL)
        again = Trading(controller, offload=trading._offload)
        await again.load()
        await again.clear_interval(INTERVAL)
        assert again.latest == first
        assert first is not None
        fill = next(fill for fill in first.fills if fill.order_id == "one")
        # The supplier's price: 0.10 and a margin of 0.02 EUR/kWh.
        assert (fill.filled_wh, fill.price_microeur_per_kwh) == (500, 120_000)


async def test_a_quarter_hour_is_settled_once_and_the_ledger_sums_to_0(tmp_path: Path) -> None:
    """Bought 500 Wh, used 700: 500 at the clearing price, 200 at the supplier's, both 0.12 EUR/kWh."""
    async with running(tmp_path) as (controller, trading, clock):
        await trading.desk.place(order(), HOME)
        clock.advance_to(INTERVAL - MINUTE)
        await trading.clear_interval(INTERVAL)
        await keep(controller, registers(INTERVAL), registers(INTERVAL + QUARTER, home=(700, 0)))
        clock.advance_to(INTERVAL + QUARTER + MINUTE)
        await trading.settle_due()
        assert (await balances(controller)).get("member:m-home", 0) == 0
        clock.advance_to(INTERVAL + QUARTER + 2 * MINUTE)
        await trading.settle_due()
        settled = await balances(controller)
        assert settled["member:m-home"] == 700 * 120_000
        assert sum(settled.values()) == 0
        clock.advance_to(INTERVAL + 3 * QUARTER)
        await trading.settle_due()
        assert await balances(controller) == settled


async def test_while_nothing_can_be_due_the_settlement_leaves_the_store_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looks once, and again when the meters of a quarter-hour may be in; a clearing ends the wait."""
    async with running(tmp_path) as (controller, trading, clock):
        clock.advance_to(INTERVAL - MINUTE)
        await trading.settle_due()
        await trading.clear_interval(INTERVAL)
        looks = 0
        store_unit = controller.store.unit

        def unit() -> AbstractAsyncContextManager[UnitOfWork]:
            nonlocal looks
            looks += 1
            return store_unit()

        monkeypatch.setattr(controller.store, "unit", unit)
        for minute, expected in ((0, 1), (1, 1), (16, 1), (17, 3)):
            clock.advance_to(INTERVAL + minute * MINUTE)
            await trading.settle_due()
            assert looks == expected


async def test_missing_meters_are_waited_for_and_then_estimated(tmp_path: Path) -> None:
    """Without the home's meter its trade is booked after eight minutes and no deviation made up."""
    async with running(tmp_path) as (controller, trading, clock):
        await trading.desk.place(order(), HOME)
        clock.advance_to(INTERVAL - MINUTE)
        await trading.clear_interval(INTERVAL)
        end = INTERVAL + QUARTER
        others = [record for record in registers(end, school=(900, 0)) if record.meter != "home"]
        await keep(controller, registers(INTERVAL), others)
        clock.advance_to(end + METERS_WAIT - MINUTE)
        await trading.settle_due()
        assert await balances(controller) == {}
        clock.advance_to(end + METERS_WAIT)
        await trading.settle_due()
        settled = await balances(controller)
        assert settled["member:m-home"] == 500 * 120_000
        assert settled["member:m-school"] == 900 * 120_000
        assert sum(settled.values()) == 0


async def test_a_register_that_ran_backwards_is_no_money(tmp_path: Path) -> None:
    """Field failure 18: 700 Wh before, 100 after."""
    async with running(tmp_path) as (controller, trading, clock):
        await trading.clear_interval(INTERVAL)
        await keep(
            controller,
            registers(INTERVAL, home=(700, 0)),
            registers(INTERVAL + QUARTER, home=(100, 0)),
        )
        clock.advance_to(INTERVAL + 2 * QUARTER)
        await trading.settle_due()
        assert await balances(controller) == {}


async def test_a_restart_in_the_middle_settles_the_rest_and_nothing_twice(tmp_path: Path) -> None:
    """Killed between two quarter-hours' settlements: the open one is settled, the other stays."""
    async with running(tmp_path) as (controller, trading, clock):
        for number in (1, 2):
            start = START + number * QUARTER
            await trading.desk.place(order(f"order-{number}", interval_start=start), HOME)
            await trading.clear_interval(start)
            await keep(controller, registers(start, home=(500 * (number - 1), 0)))
        await keep(controller, registers(START + 3 * QUARTER, home=(1000, 0)))
        clock.advance_to(START + 2 * QUARTER + 2 * MINUTE)
        await trading.settle_due()
        assert (await balances(controller))["member:m-home"] == 500 * 120_000
    async with running(tmp_path, START + 4 * QUARTER) as (controller, trading, _):
        assert trading.latest is not None
        assert trading.latest.interval_start == START + 2 * QUARTER
        await trading.settle_due()
        await trading.settle_due()
        settled = await balances(controller)
        assert settled["member:m-home"] == 1000 * 120_000
        assert sum(settled.values()) == 0


async def test_what_nobody_cleared_in_time_is_cleared_after_a_restart(tmp_path: Path) -> None:
    """Orders whose gate closed while the controller was down are filled, and its quarters are settled."""
    async with running(tmp_path) as (_, trading, _clock):
        await trading.clear_interval(INTERVAL)
        await trading.desk.place(order("later", interval_start=INTERVAL + 2 * QUARTER), HOME)
    async with running(tmp_path, INTERVAL + 2 * QUARTER + MINUTE) as (controller, trading, _):
        assert trading.due() == [INTERVAL + QUARTER, INTERVAL + 2 * QUARTER]
        for start in reversed(trading.due()):
            await trading.clear_interval(start)
        assert trading.due() == []
        assert trading.latest is not None
        assert trading.latest.interval_start == INTERVAL + 2 * QUARTER
        assert next(f for f in trading.latest.fills if f.order_id == "later").filled_wh == 500
        async with controller.store.unit() as unit:
            assert len(await unit.intervals_to_settle()) == 3


async def test_an_order_of_a_market_that_died_before_its_first_clearing_is_cleared(tmp_path: Path) -> None:
    """Nothing was ever cleared; the next life knows from when on orders had been taken."""
    async with running(tmp_path) as (_, trading, clock):
        assert trading.due() == []
        await trading.desk.place(order(), HOME)
        clock.advance_to(INTERVAL - MINUTE)
        assert trading.due() == [INTERVAL]
    async with running(tmp_path, INTERVAL + QUARTER) as (_, trading, _clock):
        assert trading.due() == [INTERVAL, INTERVAL + QUARTER]
        await trading.clear_interval(INTERVAL)
        assert trading.latest is not None
        assert next(f for f in trading.latest.fills if f.order_id == "one").filled_wh == 500


async def test_days_that_were_settled_without_a_market_are_never_cleared(tmp_path: Path) -> None:
    """A site trades, shares for a day, and trades again: the market begins anew."""
    for hours, settings in ((0, AUCTION), (1, Settings()), (25, AUCTION)):
        clock = VirtualDomainClock(START + timedelta(hours=hours))
        async with opened(tmp_path / "s.sqlite3") as store:
            trading = Trading(make_controller(store, clock, settings=settings), offload=run_inline)
            await trading.load()
            assert trading.due() == []
            clock.advance_to(clock.now() + QUARTER)
            if settings is AUCTION:
                assert trading.due() == [clock.now()]
                await trading.clear_interval(clock.now())
            assert trading.due() == []


async def test_one_quarter_hour_that_cannot_be_settled_does_not_stop_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its books do not fit; it is counted, and the later one is settled."""
    async with running(tmp_path) as (controller, trading, clock):
        await trading.clear_interval(INTERVAL)
        await trading.clear_interval(INTERVAL + QUARTER)
        clock.advance_to(INTERVAL + 4 * QUARTER)
        settle = trading._settle

        async def broken(unit: UnitOfWork, start: datetime, now: datetime) -> None:
            if start == INTERVAL:
                raise ConflictError("posted before with another amount")
            await settle(unit, start, now)

        monkeypatch.setattr(trading, "_settle", broken)
        await trading.settle_due()
        async with controller.store.unit() as unit:
            assert list(await unit.intervals_to_settle()) == [INTERVAL]
        assert controller.counters.failures == {"settlement": 1}


def reading(at: datetime, import_wh: int, meter: str = "home") -> MeterReading:
    """A meter's registers at a quarter-hour."""
    return MeterReading(meter=AssetId(meter), at=at, import_wh=import_wh, export_wh=0)


async def test_registers_sent_again_with_another_value_keep_the_first(tmp_path: Path) -> None:
    """Neither the batch nor the loop is lost to one meter that changes its word."""
    async with running(tmp_path) as (controller, trading, clock):
        controller.receive(reading(START, 100))
        controller.safety_cycle(START)
        await trading.keep_registers()
        for again in (reading(START, 999), reading(START, 7, "school"), reading(START, 8, "school")):
            controller.receive(again)
        clock.advance_to(START + MINUTE)
        controller.safety_cycle(clock.now())
        await trading.keep_registers()
        async with controller.store.unit() as unit:
            found = await unit.registers_at(START)
        assert {meter: record.import_wh for meter, record in found.items()} == {"home": 100, "school": 7}


async def test_registers_that_the_store_cannot_take_are_kept_for_later(tmp_path: Path) -> None:
    """A store that is closed (or busy, or full) raises; nothing is lost."""
    async with running(tmp_path) as (controller, trading, _):
        controller.receive(reading(START, 100))
        controller.safety_cycle(START)
        unit_of = controller.store.unit

        def busy() -> object:
            raise ConflictError("the database is held by another process")

        controller.store.unit = busy  # type: ignore[method-assign,assignment]  # a store in trouble
        with pytest.raises(ConflictError):
            await trading.keep_registers()
        controller.store.unit = unit_of  # type: ignore[method-assign]  # and out of it
        await trading.keep_registers()
        async with controller.store.unit() as unit:
            assert set(await unit.registers_at(START)) == {"home"}


@pytest.mark.parametrize(
    ("midnight", "count"),
    [(datetime(2024, 3, 30, 23, tzinfo=UTC), 92), (datetime(2024, 10, 26, 22, tzinfo=UTC), 100)],
)
async def test_a_day_of_92_or_100_quarter_hours_is_traded_whole(
    tmp_path: Path, midnight: datetime, count: int
) -> None:
    """Each quarter-hour of the local day is cleared and settled once (field failure 26)."""
    async with running(tmp_path, midnight - QUARTER) as (controller, trading, clock):
        for number in range(count):
            await trading.clear_interval(midnight + number * QUARTER)
        await keep(
            controller, *(registers(midnight + n * QUARTER, home=(100 * n, 0)) for n in range(count + 1))
        )
        clock.advance_to(midnight + (count + 1) * QUARTER)
        await trading.settle_due()
        async with controller.store.unit() as unit:
            posted = [posting for _, posting in await unit.postings(account="member:m-home")]
        assert len(posted) == count
        assert {posting.reason for posting in posted} == {PostingReason.IMBALANCE_BUY}
        assert sum(posting.amount_nanoeur for posting in posted) == count * 100 * 120_000
