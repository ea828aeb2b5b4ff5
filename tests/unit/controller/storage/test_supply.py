"""What the supplier is told and tells."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from controller.domain.ids import MemberId
from controller.runtime.supply_ports import Nomination, NominationKind, SuppliedQuarter
from controller.storage import SqlStore
from market.imbalance import ImbalanceCost
from market.ledger import NO_ENERGY_BILL, PostingReason, posting, reverse
from tests.support.storage import QUARTER, START, opened

NOMINATION = Nomination(
    interval_start=START,
    kind=NominationKind.DAY_AHEAD,
    made_at=START - 96 * QUARTER,
    import_wh=900,
    export_wh=200,
    net_wh={MemberId("ann"): 900, MemberId("bob"): -200},
)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    """An open store on a fresh file."""
    async with opened(tmp_path / "wijk.sqlite3") as store:
        yield store


async def test_the_day_ahead_stays_beside_the_newer(store: SqlStore) -> None:
    """Of one kind the newer replaces the older; the kinds do not mix."""
    intraday = replace(NOMINATION, kind=NominationKind.INTRADAY, made_at=START - QUARTER, import_wh=950)
    newer = replace(intraday, import_wh=970, net_wh={MemberId("ann"): 770})
    later = replace(NOMINATION, interval_start=START + QUARTER)
    async with store.unit() as unit:
        await unit.put_nominations([later, NOMINATION, intraday])
        await unit.put_nominations([newer])
        after = START + 2 * QUARTER
        assert await unit.nominations(START, after, NominationKind.DAY_AHEAD) == [NOMINATION, later]
        assert await unit.nominations(START, after, NominationKind.INTRADAY) == [newer]
        assert await unit.nominations(START, START + QUARTER, NominationKind.DAY_AHEAD) == [NOMINATION]


async def test_what_was_supplied_is_replaced_when_known_better(store: SqlStore) -> None:
    """A late reading makes a quarter-hour complete."""
    first = SuppliedQuarter(
        interval_start=START,
        import_wh=5,
        export_wh=1,
        complete=False,
        import_microeur_per_kwh=120_000,
        export_microeur_per_kwh=-90_000,
    )
    async with store.unit() as unit:
        await unit.put_supplied([first])
        await unit.put_supplied([replace(first, import_wh=6, complete=True)])
        assert await unit.supplied(START, START + QUARTER) == [replace(first, import_wh=6, complete=True)]
        assert await unit.supplied(START - QUARTER, START) == []


async def test_costs_of_imbalance_can_be_corrected(store: SqlStore) -> None:
    """The last word counts."""
    cost = ImbalanceCost(short_microeur_per_kwh=50, long_microeur_per_kwh=-20)
    async with store.unit() as unit:
        await unit.put_imbalance_costs({START: cost, START + QUARTER: cost})
        better = replace(cost, short_microeur_per_kwh=60)
        await unit.put_imbalance_costs({START: better})
        assert await unit.imbalance_costs(START, START + QUARTER) == {START: better}


async def test_balances_of_a_time(store: SqlStore) -> None:
    """Debits less credits of the quarter-hours asked for; what was taken back counts with its reversal."""
    made = [
        posting(
            payer="member:a",
            receiver="supplier",
            amount_nanoeur=amount,
            reason=PostingReason.SUPPLY,
            interval_start=START + i * QUARTER,
            ref="point",
            booked_at=START,
        )
        for i, amount in enumerate((3 * 10**18, 3 * 10**18, 7))
    ]
    async with store.unit() as unit:
        await unit.add_postings([*made, reverse(made[0], booked_at=START)])
        assert await unit.balances_between(START, START + 2 * QUARTER) == {
            "member:a": 3 * 10**18,
            "supplier": -3 * 10**18,
        }
        guests = replace(made[2], posting_id="guest", reason=PostingReason.GUEST_CHARGING)
        await unit.add_postings([guests])
        last = START + 2 * QUARTER, START + 3 * QUARTER
        assert (await unit.balances_between(*last))["member:a"] == 14
        assert (await unit.balances_between(*last, but=NO_ENERGY_BILL))["member:a"] == 7


async def test_suppliers_are_kept_apart(store: SqlStore) -> None:
    """The same quarter-hour of two of them: neither replaces nor shows the other's."""
    cost = ImbalanceCost(short_microeur_per_kwh=50, long_microeur_per_kwh=-20)
    dearer = ImbalanceCost(short_microeur_per_kwh=70, long_microeur_per_kwh=0)
    north = replace(NOMINATION, supplier="north", import_wh=7)
    after = START + QUARTER
    async with store.unit() as unit:
        await unit.put_nominations([NOMINATION, north])
        await unit.put_imbalance_costs({START: cost})
        await unit.put_imbalance_costs({START: dearer}, supplier="north")
        kind = NOMINATION.kind
        assert await unit.nominations(START, after, kind) == [NOMINATION]
        assert await unit.nominations(START, after, kind, supplier="north") == [north]
        assert await unit.imbalance_costs(START, after) == {START: cost}
        assert await unit.imbalance_costs(START, after, supplier="north") == {START: dearer}
        assert await unit.imbalance_costs(START, after, supplier="south") == {}


async def test_a_day_asked_for_again_stays_when_the_first_asking_is_done(store: SqlStore) -> None:
    """By supplier; why it could not be closed is kept until it is asked for anew."""
    days = [date(2024, 6, 3), date(2024, 6, 4)]
    async with store.unit() as unit:
        await unit.ask_closings(days, supplier="north", at=START)
        await unit.ask_closings(days[1:], supplier="", at=START)
        seen = await unit.asked_closings(day=days[1])
        assert [(one.supplier, one.revision) for one in seen] == [("", 1), ("north", 1)]
        await unit.closings_failed(days[1], "a rate is missing")
        await unit.ask_closings(days[1:], supplier="north", at=START + QUARTER)
        await unit.closings_done(seen)
        left = await unit.asked_closings()
    assert [(one.day, one.supplier, one.revision, one.why) for one in left] == [
        (days[0], "north", 1, ""),
        (days[1], "north", 2, ""),
    ]
    async with store.unit() as unit:
        assert await unit.asked_closings(supplier="") == []
