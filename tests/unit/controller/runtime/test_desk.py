"""The order desk against a real store: changes, links, credit, caps and standing instructions."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest

from controller.domain.assets import Departure, Wishes
from controller.domain.errors import ConflictError, NotFoundError
from controller.domain.ids import AssetId, MemberId, NodeId
from controller.domain.instructions import GiveSurplus, Instruction, LeaveAt, SellSurplus, Wanted
from controller.runtime.core import Controller
from controller.runtime.desk import INSTRUCTIONS_MAX, OrderRefusedError
from controller.runtime.offload import run_inline
from controller.runtime.ports import OrderRecord
from controller.runtime.trading import Trading
from controller.sharing_settings import MarketMode
from market.clearing import Fill, MarketRules, Pricing
from market.ledger import PostingReason
from market.orders import Label, Link, Order, OrderSource, RefusalCode, Side
from tests.support.neighbourhood import START
from tests.support.running import QUARTER, registers, running

HOME, SCHOOL = MemberId("m-home"), MemberId("m-school")
INTERVAL = START + QUARTER
MINUTE = timedelta(minutes=1)
BATTERY = Link(name="battery", efficiency_ppm=900_000)


def order(order_id: str, **changes: object) -> Order:
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


def declare(controller: Controller, **market: object) -> None:
    """Changes the market's settings."""
    settings = replace(controller.settings.market, **market)  # type: ignore[arg-type]
    controller.settings = replace(controller.settings, market=settings)


def fills(trading: Trading) -> dict[str, Fill]:
    """The newest clearing's, of orders that members made."""
    assert trading.latest is not None
    return {fill.order_id: fill for fill in trading.latest.fills}


def codes(refused: pytest.ExceptionInfo[OrderRefusedError]) -> list[RefusalCode]:
    """Why."""
    return [refusal.code for refusal in refused.value.refusals]


async def test_a_change_replaces_both_or_neither(tmp_path: Path) -> None:
    """A new order that may not stand leaves the old one as it is; asked twice it is done once."""
    async with running(tmp_path) as (controller, trading, clock):
        desk = trading.desk
        await desk.place(order("old"), HOME)
        with pytest.raises(OrderRefusedError) as refused:
            await desk.change("old", order("new", node=NodeId("f2")), HOME)
        assert codes(refused) == [RefusalCode.NOT_YOURS]
        changed = await desk.change("old", order("new", quantity_wh=300), HOME)
        assert await desk.change("old", order("new", quantity_wh=300), HOME) == changed
        async with controller.store.unit() as unit:
            assert [one.order_id for one in await unit.orders_of_interval(INTERVAL)] == ["new"]
        with pytest.raises(OrderRefusedError) as refused:
            await desk.change("old", order("third"), HOME)
        assert codes(refused) == [RefusalCode.CANCELLED]
        with pytest.raises(NotFoundError):
            await desk.change("new", order("fourth", member=SCHOOL, node=NodeId("f2")), SCHOOL)
        clock.advance_to(INTERVAL - MINUTE)
        with pytest.raises(OrderRefusedError) as refused:
            await desk.change("new", order("fifth"), HOME)
        assert codes(refused) == [RefusalCode.GATE_CLOSED]


async def test_an_order_lapses_by_itself_before_the_gate(tmp_path: Path) -> None:
    """It is reported with nothing filled; one that stands until the gate is filled."""
    async with running(tmp_path) as (_, trading, clock):
        gate = INTERVAL - MINUTE
        await trading.desk.place(order("short", valid_until=gate), HOME)
        await trading.desk.place(order("long", valid_until=gate + timedelta(seconds=1)), HOME)
        clock.advance_to(gate)
        await trading.clear_interval(INTERVAL)
        found = fills(trading)
        assert (found["short"].filled_wh, found["long"].filled_wh) == (0, 500)


async def test_credit_counts_trades_that_are_not_booked_yet(tmp_path: Path) -> None:
    """0.9 kWh were bought at 0.12 EUR: until the meters are in, 0.108 of 1 EUR is spent and in no balance.

    Once they are, and the home used nothing, the 0.9 kWh went back to the supplier at 0.09: 0.027 are lost.
    """
    async with running(tmp_path) as (controller, trading, clock):
        declare(controller, credit_limit_eur=1.0)
        await trading.desk.place(order("one", quantity_wh=900), HOME)
        clock.advance_to(INTERVAL - MINUTE)
        await trading.clear_interval(INTERVAL)
        assert fills(trading)["one"].filled_wh == 900
        later = {"interval_start": INTERVAL + 2 * QUARTER}
        with pytest.raises(OrderRefusedError, match="credit"):
            await trading.desk.place(order("two", quantity_wh=893, **later), HOME)
        async with controller.store.unit() as unit:
            await unit.add_registers([*registers(INTERVAL), *registers(INTERVAL + QUARTER)])
        clock.advance_to(INTERVAL + QUARTER + 2 * MINUTE)
        await trading.settle_due()
        with pytest.raises(OrderRefusedError, match="credit"):
            await trading.desk.place(order("two", quantity_wh=974, **later), HOME)
        await trading.desk.place(order("two", quantity_wh=973, **later), HOME)


async def test_a_sale_of_what_is_not_there_takes_credit(tmp_path: Path) -> None:
    """Sold at 0.02 and not fed in, each kWh is bought at 0.12: ten cost 1 EUR."""
    async with running(tmp_path) as (controller, trading, _clock):
        declare(controller, credit_limit_eur=1.0)
        sale = {"side": Side.SELL, "limit_price_microeur_per_kwh": 20_000}
        with pytest.raises(OrderRefusedError, match="credit"):
            await trading.desk.place(order("more", quantity_wh=10_001, **sale), HOME)
        await trading.desk.place(order("all", quantity_wh=10_000, **sale), HOME)


@pytest.mark.parametrize(("cleared", "expected"), [([0, 1, 2], [0, 450, 0]), ([0, 2, 1], [0, 0, 450])])
async def test_a_linked_sale_gives_what_the_purchase_brought(
    tmp_path: Path, cleared: list[int], expected: list[int]
) -> None:
    """500 Wh bought of the supplier at the first quarter-hour are 450 to sell in the second, then none.

    Where the second could not be cleared in time, the third has sold them already.
    """
    async with running(tmp_path) as (_, trading, clock):
        desk = trading.desk
        later = [INTERVAL + step * QUARTER for step in range(3)]
        await desk.place(order("charge", link=BATTERY), HOME)
        for step in (0, 1, 2):
            sale = order(
                f"sale-{step}",
                side=Side.SELL,
                limit_price_microeur_per_kwh=-1_000_000,
                interval_start=later[step],
                link=BATTERY,
            )
            await desk.place(sale, HOME)
        sold = {}
        for step in cleared:
            clock.advance_to(max(clock.now(), later[step] - MINUTE))
            await trading.clear_interval(later[step])
            record = await _record(trading, f"sale-{step}")
            sold[step] = record.fill.filled_wh if record.fill is not None else None
        assert [sold[step] for step in (0, 1, 2)] == expected


async def _record(trading: Trading, order_id: str) -> OrderRecord:
    """An order as it stands in the store."""
    async with trading.controller.store.unit() as unit:
        record = await unit.order(order_id)
    assert record is not None
    return record


async def test_credit_counts_debts_and_open_orders(tmp_path: Path) -> None:
    """Of 1 EUR an open order of 0.5 EUR leaves 0.5; what is cancelled or changed comes back."""
    async with running(tmp_path) as (controller, trading, _clock):
        declare(controller, credit_limit_eur=1.0)
        await trading.desk.place(order("one"), HOME)
        with pytest.raises(OrderRefusedError) as refused:
            await trading.desk.place(order("two", quantity_wh=501), HOME)
        assert codes(refused) == [RefusalCode.CREDIT]
        await trading.desk.place(order("two"), HOME)
        await trading.desk.change("two", order("three", quantity_wh=400), HOME)
        with pytest.raises(OrderRefusedError):
            await trading.desk.place(order("four", quantity_wh=101), HOME)
        await trading.desk.cancel("one", HOME)
        await trading.desk.place(order("four", quantity_wh=600), HOME)
        await trading.desk.place(order("other", member=SCHOOL, node=NodeId("f2")), SCHOOL)


async def test_no_member_is_the_market(tmp_path: Path) -> None:
    """With a cap of half, 900 Wh beside 300 come down to 300; an order that lapsed counts for nothing."""
    async with running(tmp_path) as (controller, trading, clock):
        declare(controller, member_share_max=0.5)
        await trading.desk.place(order("big", quantity_wh=900), HOME)
        theirs = {"member": SCHOOL, "node": NodeId("f2")}
        await trading.desk.place(order("small", quantity_wh=300, **theirs), SCHOOL)
        lapsing = order("lapsed", quantity_wh=9000, valid_until=START + MINUTE, **theirs)
        await trading.desk.place(lapsing, SCHOOL)
        clock.advance_to(INTERVAL - MINUTE)
        await trading.clear_interval(INTERVAL)
        found = fills(trading)
        assert (found["big"].filled_wh, found["small"].filled_wh) == (300, 300)


async def test_where_energy_is_shared_after_the_fact_nothing_is_ordered(tmp_path: Path) -> None:
    """Orders and sales are refused with the reason; a standing departure is as good as ever."""
    async with running(tmp_path) as (controller, trading, _clock):
        declare(controller, mode=MarketMode.SHARING)
        with pytest.raises(OrderRefusedError) as refused:
            await trading.desk.place(order("one"), HOME)
        assert codes(refused) == [RefusalCode.NO_AUCTION]
        with pytest.raises(ConflictError, match="after the fact"):
            await trading.desk.instruct(instruction("i1", GiveSurplus()))
        leave = LeaveAt(vehicle=AssetId("car-1"), at_local=time(8, 0), soc_fraction=0.6)
        await trading.desk.instruct(instruction("i2", leave, MemberId("fleet")))


async def test_several_orders_are_placed_all_or_none(tmp_path: Path) -> None:
    """One that may not stand takes the others with it; sent again they are the same."""
    async with running(tmp_path) as (controller, trading, _clock):
        with pytest.raises(OrderRefusedError):
            await trading.desk.place_all([order("one"), order("two", node=NodeId("f2"))], HOME)
        async with controller.store.unit() as unit:
            assert await unit.order("one") is None
        placed = await trading.desk.place_all([order("one"), order("two")], HOME)
        assert await trading.desk.place_all([order("one"), order("two")], HOME) == placed


def instruction(name: str, wanted: Wanted, member: MemberId = HOME) -> Instruction:
    """A standing instruction, made at the start."""
    return Instruction(id=name, member=member, wanted=wanted, created_at=START)


@pytest.mark.parametrize(
    ("wanted", "limits", "label"),
    [
        # The supplier asks 0.12 EUR/kWh and pays 0.09; a roof is held to make 40%, 80% and 120% of what is
        # expected with chances of 0.95, 0.8 and 0.25: 0.95 x 0.09 + 0.05 x 0.12 and so on.
        (GiveSurplus(), [91_500, 96_000, 112_500], Label.SOCIAL),
        (SellSurplus(min_price_microeur_per_kwh=105_000), [105_000, 105_000, 112_500], Label.NEIGHBOUR),
    ],
)
async def test_a_standing_instruction_orders_the_surplus(
    tmp_path: Path, wanted: Wanted, limits: list[int], label: Label
) -> None:
    """At noon in June the roof makes more than the home uses: that much is sold as the instruction says."""
    noon = datetime(2024, 6, 3, 11, 0, tzinfo=UTC)
    async with running(tmp_path, at=noon) as (controller, trading, clock):
        await controller.make_plan(controller.horizon(noon))
        await trading.desk.instruct(instruction("i1", wanted))
        interval = noon + QUARTER
        clock.advance_to(interval - MINUTE)
        await trading.clear_interval(interval)
        async with controller.store.unit() as unit:
            orders = {one.order_id: one for one in await unit.orders_of_interval(interval)}
        made = [orders[f"instruction/i1/roof/2024-06-03T11:15:00Z/{i}"] for i in range(3)]
        assert [one.limit_price_microeur_per_kwh for one in made] == limits
        assert {(one.label, one.asset) for one in made} == {(label, "roof")}
        asset = {name: one.asset for name, one in orders.items() if one.source is OrderSource.FORECAST}
        used, kept = (
            sum(orders[name].quantity_wh for name, of in asset.items() if of == wanted)
            for wanted in ("home", "roof")
        )
        assert kept == used > 0
        found = [fills(trading)[one.order_id] for one in made]
        # The neighbours take no more than what is likely enough to be used.
        assert 0 < sum(fill.filled_wh for fill in found) < sum(one.quantity_wh for one in made)
        for one, fill in zip(made, found, strict=True):
            assert fill.price_microeur_per_kwh is not None
            assert not fill.filled_wh or fill.price_microeur_per_kwh >= one.limit_price_microeur_per_kwh
        # Ended, it orders nothing: all of the roof is forecast again.
        await trading.desk.end_instruction("i1", HOME)
        clock.advance_to(interval + QUARTER - MINUTE)
        await trading.clear_interval(interval + QUARTER)
        assert not any(name.startswith("instruction/") for name in fills(trading))


async def test_given_surplus_is_paid_back_to_the_school(tmp_path: Path) -> None:
    """The school buys at the market's price and has back what it paid for the energy that it was given."""
    noon = datetime(2024, 6, 3, 11, 0, tzinfo=UTC)
    interval = noon + QUARTER
    async with running(tmp_path, at=noon) as (controller, trading, clock):
        await controller.make_plan(controller.horizon(noon))
        await trading.desk.instruct(instruction("i1", GiveSurplus()))
        clock.advance_to(interval - MINUTE)
        await trading.clear_interval(interval)
        found = fills(trading)
        roof, school = (
            [fill for name, fill in found.items() if name.startswith(begin)]
            for begin in ("instruction/i1/roof/", "forecast/school/")
        )
        async with controller.store.unit() as unit:
            await unit.add_registers([*registers(interval), *registers(interval + QUARTER)])
        clock.advance_to(interval + 2 * QUARTER)
        await trading.settle_due()
        async with controller.store.unit() as unit:
            gifts = [p for _, p in await unit.postings() if p.reason is PostingReason.GIFT]
        assert {(gift.debit_account, gift.credit_account) for gift in gifts} == {
            ("member:m-home", "member:m-school")
        }
        (price,) = {fill.price_microeur_per_kwh for fill in (*roof, *school)}
        assert price is not None
        given_wh = min(sum(fill.filled_wh for fill in fills) for fills in (roof, school))
        assert sum(gift.amount_nanoeur for gift in gifts) == given_wh * price > 0


async def test_instructions_survive_a_restart_and_are_their_members(tmp_path: Path) -> None:
    """They count once, others cannot end them, and there is an end to how many."""
    async with running(tmp_path) as (controller, trading, _clock):
        first = instruction("i1", GiveSurplus())
        await trading.desk.instruct(first)
        assert await trading.desk.instruct(replace(first, created_at=START + QUARTER)) == first
        with pytest.raises(ConflictError):
            await trading.desk.instruct(instruction("i1", SellSurplus(min_price_microeur_per_kwh=1)))
        with pytest.raises(NotFoundError):
            await trading.desk.end_instruction("i1", SCHOOL)
        again = Trading(controller, offload=run_inline)
        await again.load()
        assert again.desk.instructions == {"i1": first}
        for number in range(1, INSTRUCTIONS_MAX):
            await trading.desk.instruct(instruction(f"more-{number}", GiveSurplus()))
        with pytest.raises(ConflictError, match="end one first"):
            await trading.desk.instruct(instruction("too-many", GiveSurplus()))


async def test_a_standing_departure_is_wished_for_again_and_again(tmp_path: Path) -> None:
    """08:00 with 60%: tomorrow first, the day after once that has passed; a driver's own wish stands."""
    fleet, car = MemberId("fleet"), AssetId("car-1")
    async with running(tmp_path) as (controller, trading, clock):
        leave = LeaveAt(vehicle=car, at_local=time(8, 0), soc_fraction=0.6)
        with pytest.raises(NotFoundError):
            await trading.desk.instruct(instruction("mine", leave, HOME))
        await trading.desk.instruct(instruction("work", leave, fleet))
        tomorrow = datetime(2024, 1, 16, 7, 0, tzinfo=UTC)
        expected = Departure(vehicle=car, at_utc=tomorrow, energy_kwh=36.0)
        assert controller.people.wishes[car].departure == expected
        async with controller.store.unit() as unit:
            assert [wish.departure for wish in await unit.wishes()] == [expected]
        by_hand = Departure(vehicle=car, at_utc=tomorrow + timedelta(hours=2), energy_kwh=20.0)
        controller.people.wishes = {car: Wishes(asset=car, departure=by_hand)}
        clock.advance_to(tomorrow + MINUTE)
        await trading.desk.renew_departures()
        assert controller.people.wishes[car].departure == by_hand
        clock.advance_to(tomorrow + timedelta(hours=2))
        await trading.desk.renew_departures()
        assert controller.people.wishes[car].departure == replace(
            expected, at_utc=tomorrow + timedelta(days=1)
        )


@pytest.mark.parametrize("pricing", Pricing)
async def test_the_congestion_rent_is_returned_by_connection(tmp_path: Path, pricing: Pricing) -> None:
    """A feeder that lets 34 kW in makes the home dearer: with one community price the rent comes back."""
    async with running(tmp_path) as (controller, trading, clock):
        declare(controller, rules=MarketRules(pricing=pricing))
        await trading.desk.place(order("home", quantity_wh=12_000), HOME)
        clock.advance_to(INTERVAL - MINUTE)
        await trading.clear_interval(INTERVAL)
        assert trading.latest is not None
        rent = trading.latest.congestion_rent_nanoeur
        assert rent > 0
        async with controller.store.unit() as unit:
            await unit.add_registers([*registers(INTERVAL), *registers(INTERVAL + QUARTER)])
        clock.advance_to(INTERVAL + 2 * QUARTER)
        await trading.settle_due()
        async with controller.store.unit() as unit:
            postings = [posting for _, posting in await unit.postings()]
            balances = await unit.balances()
        returned = [p for p in postings if p.reason is PostingReason.RENT and p.ref.startswith("returned:")]
        if pricing is Pricing.COMMUNITY:
            assert {p.credit_account for p in returned} == {"member:m-home", "member:m-school"}
            assert sum(p.amount_nanoeur for p in returned) == rent
            assert balances.get("community", 0) == 0
        else:
            assert returned == []
            assert balances["community"] == -rent
        assert sum(balances.values()) == 0
