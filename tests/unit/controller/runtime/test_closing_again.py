"""Closed days are closed again when a supplier tells what imbalance cost on them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from controller.config import Settings
from controller.domain.errors import ConflictError
from controller.domain.ids import MemberId
from controller.domain.time import QUARTER
from controller.runtime.closing import DAY_WAIT, Closing
from controller.runtime.core import Controller
from controller.runtime.ports import EventRecord
from controller.runtime.service import Service
from controller.runtime.supply_ports import Nomination, NominationKind, SuppliedQuarter
from controller.sharing_settings import SharingSettings
from market.imbalance import ImbalanceCost, imbalance_lines
from market.ledger import PostingReason, assert_balanced, balances, member_account, posting
from market.rebooking import Line, about
from tests.support.metered_days import DAY, END, MIDNIGHT, SHARING, TAX, books, day_registers, keep, running
from tests.support.neighbourhood import site


def announced(start: datetime, **wh: int) -> Nomination:
    """What members were announced to take in a quarter-hour [Wh], by the ends of their names."""
    return Nomination(
        interval_start=start,
        kind=NominationKind.INTRADAY,
        made_at=MIDNIGHT,
        import_wh=sum(wh.values()),
        export_wh=0,
        net_wh={MemberId(f"m-{name}"): taken for name, taken in wh.items()},
    )


async def test_imbalance_is_paid_by_who_caused_it(tmp_path: Path) -> None:
    """School and home were announced 500 and 200 Wh and took 700 and 150: the pool is 150 Wh short.

    A kWh short cost 0.04 EUR beyond the energy: 150 x 40,000 = 6,000,000 nano-euro. The school pays for 200
    Wh, the home is paid for the 50 that it left. Told again with another cost, the difference is booked.
    """
    start = MIDNIGHT + QUARTER
    told = announced(start, school=500, home=200)
    cost = ImbalanceCost(short_microeur_per_kwh=40_000, long_microeur_per_kwh=0)
    async with running(tmp_path, Settings()) as (controller, trading, clock):
        service = Service(
            controller, trading, loop=asyncio.get_running_loop(), speed=1.0, messages=dict[str, int]
        )
        async with controller.store.unit() as unit:
            await unit.put_nominations([told])
        await keep(controller, day_registers(school=(700, 0), home=(150, 0)))
        with pytest.raises(ConflictError, match="not over"):
            await service.put_imbalance_costs(costs={start: cost}, supplier="", who="supplier")
        clock.advance_to(END)
        assert await service.put_imbalance_costs(costs={start: cost}, supplier="", who="supplier") == 1
        await trading.closing_again.close_asked()
        assert await books(controller) == []
        assert [one.day for one in await service.closings(supplier="")] == [DAY]
        clock.advance_to(END + DAY_WAIT)
        await trading.closing.close_due()
        booked = [entry for entry in await books(controller) if entry.reason is PostingReason.IMBALANCE]
        assert balances(booked) == {
            "member:m-home": -50 * 40_000,
            "member:m-school": 200 * 40_000,
            "supplier": -6_000_000,
        }
        dearer = replace(cost, short_microeur_per_kwh=50_000)
        assert await service.closings(supplier="") == []
        await service.put_imbalance_costs(costs={start: dearer}, supplier="", who="supplier")
        assert len([one for one in await books(controller) if one.reason is PostingReason.IMBALANCE]) == 2
        await trading.closing_again.close_asked()
        assert await service.closings(supplier="") == []
        postings = await books(controller)
        assert_balanced(postings)
        fresh = [entry for entry in postings if entry.reason is PostingReason.IMBALANCE][len(booked) :]
        assert balances(fresh)["supplier"] == -150 * 50_000
        seen = await service.imbalance(day=DAY, supplier="")
        assert (seen[1].nominated_wh, seen[1].cost) == (700, dearer)
        assert seen[1].supplied == SuppliedQuarter(
            interval_start=start,
            import_wh=850,
            export_wh=0,
            complete=True,
            import_microeur_per_kwh=120_000,
            export_microeur_per_kwh=90_000,
        )
        assert (seen[0].nominated_wh, seen[0].cost, len(seen)) == (None, None, 96)
        events = [event.what async for event in _events(controller)]
        assert events == ["told what imbalance cost"] * 2


async def _events(controller: Controller) -> AsyncIterator[EventRecord]:
    async with controller.store.unit() as unit:
        for event in await unit.events():
            yield event


async def test_a_day_that_cannot_be_closed_again_keeps_no_other_from_it(tmp_path: Path) -> None:
    """What imbalance cost is told of three days at once: what can be booked is, and the rest is said."""
    days = [DAY + timedelta(days=i) for i in range(3)]
    gap = (replace(TAX, to_utc=MIDNIGHT + QUARTER), replace(TAX, value=50_000, from_utc=END))
    async with running(tmp_path) as (controller, trading, clock):
        await keep(controller, day_registers(days=3, home=(200, 0)))
        clock.advance_to(END + timedelta(days=2) + DAY_WAIT)
        await trading.closing.close_due()
        assert balances(await books(controller))["tax"] == -96 * 200 * (3 * 100_000)
        controller.settings = Settings(sharing=SharingSettings(rates=gap))
        async with controller.store.unit() as unit:
            await unit.ask_closings(days, supplier="", at=clock.now())
        await trading.closing_again.close_asked()
        assert balances(await books(controller))["tax"] == -96 * 200 * (100_000 + 2 * 50_000)
        async with controller.store.unit() as unit:
            (left,) = await unit.asked_closings()
        assert (left.day, "rate holds" in left.why) == (DAY, True)
        controller.settings = SHARING
        await trading.closing_again.close_asked()
        async with controller.store.unit() as unit:
            assert await unit.asked_closings() == [left], "it is left alone for an hour"
        clock.advance_to(clock.now() + timedelta(hours=1))
        await trading.closing_again.close_asked()
        async with controller.store.unit() as unit:
            assert await unit.asked_closings() == []


async def test_what_is_told_while_a_day_is_closed_is_closed_once_more(tmp_path: Path) -> None:
    """Costs come between the reading of the old ones and the booking: the day stays asked for."""
    async with running(tmp_path) as (controller, trading, clock):
        await keep(controller, day_registers(home=(200, 0)))
        clock.advance_to(END + DAY_WAIT)
        await trading.closing.close_due()
        offload = trading.closing._offload

        async def told_meanwhile[*Ts, T](work: Callable[[*Ts], T], *given: *Ts) -> T:
            async with controller.store.unit() as unit:
                await unit.ask_closings([DAY], supplier="north", at=clock.now())
            done: T = await offload(work, *given)
            return done

        async with controller.store.unit() as unit:
            await unit.ask_closings([DAY], supplier="north", at=clock.now())
        trading.closing._offload = told_meanwhile
        await trading.closing_again.close_asked()
        async with controller.store.unit() as unit:
            assert [one.day for one in await unit.asked_closings()] == [DAY]
        trading.closing._offload = offload
        await trading.closing_again.close_asked()
        async with controller.store.unit() as unit:
            assert await unit.asked_closings() == []


async def test_a_restart_finds_the_days_that_are_still_to_be_closed(tmp_path: Path) -> None:
    """Killed after costs were kept and before they were booked; a day before the first reading is none."""
    start = MIDNIGHT + QUARTER
    told = announced(start, home=100)
    cost = ImbalanceCost(short_microeur_per_kwh=40_000, long_microeur_per_kwh=0)
    async with running(tmp_path, Settings()) as (controller, trading, clock):
        async with controller.store.unit() as unit:
            await unit.put_nominations([told])
        await keep(controller, day_registers(home=(150, 0)))
        clock.advance_to(END + DAY_WAIT)
        await trading.closing.close_due()
        service = Service(
            controller, trading, loop=asyncio.get_running_loop(), speed=1.0, messages=dict[str, int]
        )
        early = start - timedelta(days=3)
        await service.put_imbalance_costs(costs={start: cost, early: cost}, supplier="", who="supplier")
    async with running(tmp_path, Settings()) as (controller, trading, clock):
        clock.advance_to(END + DAY_WAIT)
        for _ in range(2):
            await trading.closing_again.close_asked()
            booked = [one for one in await books(controller) if one.reason is PostingReason.IMBALANCE]
            assert balances(booked) == {"member:m-home": 50 * 40_000, "supplier": -50 * 40_000}
            async with controller.store.unit() as unit:
                assert await unit.asked_closings() == []


async def test_imbalance_in_older_books_is_corrected_and_not_booked_twice(tmp_path: Path) -> None:
    """A member whose name holds the sign between names was booked with it as it was."""
    odd = MemberId("m/home")
    start = MIDNIGHT + QUARTER
    told = Nomination(
        interval_start=start,
        kind=NominationKind.INTRADAY,
        made_at=MIDNIGHT,
        import_wh=100,
        export_wh=0,
        net_wh={odd: 100},
    )
    old = posting(
        payer=member_account(odd),
        receiver="supplier",
        amount_nanoeur=77,
        reason=PostingReason.IMBALANCE,
        interval_start=start,
        ref=odd,
        booked_at=END,
    )
    cost = ImbalanceCost(short_microeur_per_kwh=40_000, long_microeur_per_kwh=0)
    home, *others = site().loads
    renamed = replace(
        site(),
        members=(*site().members, replace(site().members[0], id=odd, kind="household")),
        loads=(replace(home, member=odd), *others),
    )
    async with running(tmp_path, Settings(), of=renamed) as (controller, trading, clock):
        async with controller.store.unit() as unit:
            await unit.put_nominations([told])
            await unit.put_imbalance_costs({start: cost})
            await unit.add_postings([old])
        await keep(controller, day_registers(home=(150, 0)))
        clock.advance_to(END + DAY_WAIT)
        await trading.closing.close_due()
        booked = about(await books(controller), {PostingReason.IMBALANCE})
        assert balances(booked) == {f"member:{odd}": 50 * 40_000, "supplier": -50 * 40_000}


async def test_a_supplier_reads_of_no_point_why_a_day_is_not_closed(tmp_path: Path) -> None:
    """A point has left the site file, or its figures do not fit: it may be another supplier's customer."""
    gone, *left = site().loads
    async with running(tmp_path) as (controller, trading, clock):
        await keep(controller, day_registers(home=(200, 0)))
        clock.advance_to(END + DAY_WAIT)
        await trading.closing.close_due()
    whys = []
    for of in (replace(site(), loads=tuple(left)), site()):
        async with running(tmp_path, of=of) as (controller, trading, clock):
            clock.advance_to(END + DAY_WAIT)
            trading.closing._offload = _unfit
            async with controller.store.unit() as unit:
                await unit.ask_closings([DAY], supplier="north", at=clock.now())
            await trading.closing_again.close_asked()
            async with controller.store.unit() as unit:
                whys += [one.why for one in await unit.asked_closings()]
    assert (len(whys), all(whys)) == (2, True)
    assert "no longer" in whys[0]
    assert not any(gone.ean in why for why in whys)


async def test_a_day_whose_point_has_left_is_told_once_and_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not tried every hour, nor told again at a start; told of more it is tried, with the point booked."""
    tried = []
    close = Closing.close

    async def counted(self: Closing, *given: Any) -> None:
        tried.append(given)
        await close(self, *given)

    gone = replace(site(), loads=site().loads[1:])
    async with running(tmp_path) as (controller, trading, clock):
        await keep(controller, day_registers(home=(200, 0)))
        clock.advance_to(END + DAY_WAIT)
        await trading.closing.close_due()
        async with controller.store.unit() as unit:
            await unit.ask_closings([DAY], supplier="north", at=clock.now())
    monkeypatch.setattr(Closing, "close", counted)
    for tries in (1, 2):
        async with running(tmp_path, of=gone) as (controller, trading, clock):
            clock.advance_to(END + DAY_WAIT)
            for _ in range(5):
                await trading.closing_again.close_asked()
                clock.advance_to(clock.now() + timedelta(hours=2))
            assert len(tried) == tries
            assert "closing" not in controller.counters.failures
            (event,) = [event async for event in _events(controller)]
            assert site().loads[0].ean in event.what
            assert "put the point back" in event.what
            assert event.subject == DAY.isoformat()
    async with running(tmp_path, of=gone) as (controller, trading, clock):
        clock.advance_to(END + DAY_WAIT)
        async with controller.store.unit() as unit:
            await unit.ask_closings([DAY], supplier="north", at=clock.now())
        await trading.closing_again.close_asked()
        assert len([event async for event in _events(controller)]) == 2
    async with running(tmp_path) as (controller, trading, clock):
        clock.advance_to(END + DAY_WAIT)
        await trading.closing_again.close_asked()
        async with controller.store.unit() as unit:
            assert await unit.asked_closings() == []


async def _unfit(*_: object) -> None:
    """Figures of a point that do not fit."""
    raise ValueError(f"metered twice: {site().loads[0].ean}")


async def test_who_caused_what_is_worked_out_beside_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A year of quarter-hours of a thousand members would hold the safety loop up all the while."""
    start = MIDNIGHT + QUARTER
    told = announced(start, home=100)
    cost = ImbalanceCost(short_microeur_per_kwh=40_000, long_microeur_per_kwh=0)
    threads: list[int] = []

    def noted(*given: Any) -> list[Line]:
        threads.append(threading.get_ident())
        return imbalance_lines(*given)

    monkeypatch.setattr("controller.runtime.closing.imbalance_lines", noted)
    async with running(tmp_path, Settings()) as (controller, trading, clock):
        trading.closing._offload = asyncio.to_thread
        async with controller.store.unit() as unit:
            await unit.put_nominations([told])
            await unit.put_imbalance_costs({start: cost})
        await keep(controller, day_registers(home=(150, 0)))
        clock.advance_to(END + DAY_WAIT)
        await trading.closing.close_due()
        assert len(threads) == 1
        assert threading.get_ident() not in threads
