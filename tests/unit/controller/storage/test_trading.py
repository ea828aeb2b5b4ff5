"""Orders, clearings and fills."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from controller.domain.errors import ConflictError, NotFoundError
from controller.domain.ids import MemberId, NodeId
from controller.runtime.ports import OrderRecord
from controller.storage import SqlStore, StoreError
from market.orders import Label, Link, OrderSource
from tests.support.storage import QUARTER, START, make_fill, make_order, make_posting, make_result, opened


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    """An open store on a fresh file."""
    async with opened(tmp_path / "wijk.sqlite3") as store:
        yield store


async def test_order_reads_back_as_it_was_placed(store: SqlStore) -> None:
    """Every field, negative prices and a missing time of arrival included."""
    order = make_order("o1", placed_at=None)
    async with store.unit() as unit:
        await unit.add_orders([order])
        assert await unit.order("o1") == OrderRecord(order=order, cancelled_at=None, fill=None)
        assert await unit.order("o2") is None


async def test_order_keeps_label_end_and_link(store: SqlStore) -> None:
    """With another of them the same id stands for another order."""
    order = replace(
        make_order("o1"),
        label=Label.SUN,
        valid_until=START - QUARTER,
        link=Link(name="battery", efficiency_ppm=900_000),
    )
    async with store.unit() as unit:
        await unit.add_orders([order])
        assert await unit.order("o1") == OrderRecord(order=order, cancelled_at=None, fill=None)
    for change in ({"label": Label.ANY}, {"valid_until": None}, {"link": None}):
        with pytest.raises(ConflictError):
            async with store.unit() as unit:
                await unit.add_orders([replace(order, **change)])


async def test_fills_are_found_behind_any_number_of_orders_to_come(store: SqlStore) -> None:
    """A week of open orders does not hide what was traded."""
    coming = [make_order(f"c{i}", interval_start=START + (i + 1) * QUARTER) for i in range(300)]
    anna = MemberId("anna")
    async with store.unit() as unit:
        await unit.add_orders([make_order("o1"), make_order("o2"), *coming])
        await unit.add_result(make_result(make_fill("o1"), make_fill("o2", 0)), START)
        assert "o1" not in {record.order.order_id for record in await unit.orders_of_member(anna)}
        for found in (
            await unit.orders_of_member(anna, filled=True),
            await unit.orders_of_member(anna, filled=True, interval_start=START),
        ):
            assert [record.order.order_id for record in found] == ["o1"]
        assert await unit.orders_of_member(anna, filled=True, interval_start=START + QUARTER) == []


async def test_open_orders_are_a_members_own_that_still_can_cost(store: SqlStore) -> None:
    """Neither cancelled nor cleared, from the asked quarter-hour on, by hand or by instruction."""
    instructed = make_order("o2", source=OrderSource.INSTRUCTION, interval_start=START + QUARTER)
    async with store.unit() as unit:
        await unit.add_orders(
            [
                make_order("o1"),
                instructed,
                make_order("cancelled"),
                make_order("planned", source=OrderSource.PLAN),
                make_order("other", member="bob"),
                make_order("before", interval_start=START - QUARTER),
            ]
        )
        await unit.cancel_order("cancelled", START)
        anna = MemberId("anna")
        assert await unit.open_orders(anna, since=START) == [make_order("o1"), instructed]
        await unit.add_result(make_result(make_fill("o1")), START)
        assert await unit.open_orders(anna, since=START) == [instructed]


async def test_linked_fills_are_those_before_a_quarter_hour(store: SqlStore) -> None:
    """Of the named links only, and what was filled of them."""
    link = Link(name="battery", efficiency_ppm=900_000)
    legs = [
        replace(make_order(f"o{i}", interval_start=START + i * QUARTER), link=link, quantity_wh=50)
        for i in range(3)
    ]
    async with store.unit() as unit:
        await unit.add_orders([*legs, make_order("loose")])
        await unit.add_result(make_result(make_fill("o0", 30), make_fill("loose", 5)), START)
        await unit.add_result(make_result(make_fill("o1", 0), interval_start=START + QUARTER), START)
        before = START + 2 * QUARTER
        assert await unit.linked_fills({"battery"}, before=before) == [(legs[0], 30)]
        assert await unit.linked_fills({"battery"}, before=START) == []
        assert await unit.linked_fills({"car"}, before=before) == []


async def test_clearings_read_back_for_everybody(store: SqlStore) -> None:
    """Prices and volume, between two quarter-hours; of too many the newest, the oldest first."""
    async with store.unit() as unit:
        assert await unit.clearings() == []
        for number in range(4):
            start = START + number * QUARTER
            fills = (make_fill("buy", number), make_fill("sell", number))
            await unit.add_result(make_result(*fills, interval_start=start), START)
        records = await unit.clearings(after=START, until=START + 3 * QUARTER)
        assert [(record.interval_start, record.volume_wh) for record in records] == [
            (START + QUARTER, 1),
            (START + 2 * QUARTER, 2),
        ]
        assert records[0].price_microeur_per_kwh == {"feeder-1": 7, "feeder-2": None}
        newest = await unit.clearings(limit=1)
        assert [record.interval_start for record in newest] == [START + 3 * QUARTER]


async def test_same_order_sent_again_later_is_the_same_order(store: SqlStore) -> None:
    """A client that heard no answer repeats itself; the first time of arrival stands."""
    order = make_order("o1")
    async with store.unit() as unit:
        await unit.add_orders([order])
        await unit.add_orders([replace(order, placed_at=START), make_order("o2")])
        assert await unit.orders_of_interval(START) == [order, make_order("o2")]


async def test_known_order_id_with_other_content_is_a_conflict(store: SqlStore) -> None:
    """Also where the two come together; the unit keeps neither."""
    with pytest.raises(ConflictError, match="orders: o1 known with other content: use a new id"):
        async with store.unit() as unit:
            await unit.add_orders([make_order("o1"), make_order("o1", quantity_wh=2)])
    async with store.unit() as unit:
        assert await unit.order("o1") is None


async def test_cancelled_order_leaves_the_book_and_stays_known(store: SqlStore) -> None:
    """Sending it again does not revive it, cancelling again does not move the time."""
    async with store.unit() as unit:
        await unit.add_orders([make_order("o1"), make_order("o2")])
        await unit.cancel_order("o1", START)
        await unit.add_orders([make_order("o1")])
        await unit.cancel_order("o1", START + QUARTER)
        assert await unit.orders_of_interval(START) == [make_order("o2")]
        assert await unit.order("o1") == OrderRecord(order=make_order("o1"), cancelled_at=START, fill=None)


async def test_unknown_order_cannot_be_cancelled(store: SqlStore) -> None:
    """The caller hears that there is none."""
    async with store.unit() as unit:
        with pytest.raises(NotFoundError, match="no order o9"):
            await unit.cancel_order("o9", START)


async def test_cleared_order_cannot_be_cancelled(store: SqlStore) -> None:
    """The market never changes a trade afterwards."""
    async with store.unit() as unit:
        await unit.add_orders([make_order("o1")])
        await unit.add_result(make_result(make_fill("o1")), START)
        with pytest.raises(ConflictError, match="order o1 was cleared"):
            await unit.cancel_order("o1", START)


async def test_book_has_the_interval_only_and_is_sorted_by_id(store: SqlStore) -> None:
    """Sorted by character codes, the same on every machine."""
    async with store.unit() as unit:
        await unit.add_orders(make_order(order_id) for order_id in ("b", "a", "B", "é"))
        await unit.add_orders([make_order("later", interval_start=START + QUARTER)])
        found = await unit.orders_of_interval(START)
    assert [order.order_id for order in found] == ["B", "a", "b", "é"]


async def test_member_sees_own_resident_orders_with_their_fills_newest_first(store: SqlStore) -> None:
    """Not other people's, and not those that the planner made in the member's name."""
    later = START + QUARTER
    async with store.unit() as unit:
        await unit.add_orders(
            [
                make_order("mine"),
                make_order("mine-later", interval_start=later),
                make_order("other", member="bart"),
                make_order("plan", source=OrderSource.PLAN),
            ]
        )
        fill = make_fill("mine")
        await unit.add_result(make_result(fill, make_fill("other")), START)
        assert await unit.orders_of_member(MemberId("anna")) == [
            OrderRecord(order=make_order("mine-later", interval_start=later), cancelled_at=None, fill=None),
            OrderRecord(order=make_order("mine"), cancelled_at=None, fill=fill),
        ]
        assert len(await unit.orders_of_member(MemberId("anna"), limit=1)) == 1


async def test_result_reads_back_whole(store: SqlStore) -> None:
    """Unfilled orders, nodes without a price and negative welfare included; fills by order id."""
    fills = [make_fill("o2"), make_fill("o1", filled_wh=0, price=None)]
    async with store.unit() as unit:
        await unit.add_result(make_result(*fills), START)
        assert await unit.result(START) == make_result(*reversed(fills))
        assert await unit.result(START + QUARTER) is None


async def test_result_is_kept_once(store: SqlStore) -> None:
    """Cleared again after a crash: the same result changes nothing, another one is a conflict."""
    one = make_result(make_fill("o1"), make_fill("o2"))
    async with store.unit() as unit:
        await unit.add_result(one, START)
        await unit.mark_settled(START, START + QUARTER)
        await unit.add_result(make_result(make_fill("o2"), make_fill("o1")), START + QUARTER)
        assert await unit.intervals_to_settle() == []
        for other in (
            make_result(make_fill("o1"), make_fill("o2", 11)),
            make_result(make_fill("o1")),
            replace(one, welfare_nanoeur=0),
            replace(one, price_microeur_per_kwh={NodeId("feeder-1"): 8, NodeId("feeder-2"): None}),
        ):
            with pytest.raises(ConflictError, match="2024-01-15T16:00:00Z was cleared with another result"):
                await unit.add_result(other, START)
        assert await unit.result(START) == one


async def test_figure_beyond_64_bits_is_refused_and_nothing_of_it_kept(store: SqlStore) -> None:
    """An order may ask for a million euro per kWh; what does not fit must not wrap around."""
    too_large = replace(make_result(make_fill("o1")), welfare_nanoeur=2**63)
    async with store.unit() as unit:
        with pytest.raises(StoreError, match="no integers beyond 64 bits"):
            await unit.add_result(too_large, START)
        await unit.add_result(replace(too_large, welfare_nanoeur=2**63 - 1), START)
        assert await unit.result(START) == replace(too_large, welfare_nanoeur=2**63 - 1)


async def test_latest_result_is_that_of_the_newest_interval(store: SqlStore) -> None:
    """Whichever was written last; None where there is none."""
    async with store.unit() as unit:
        assert await unit.latest_result() is None
        for quarter in (1, 2, 0):
            await unit.add_result(make_result(interval_start=START + quarter * QUARTER), START)
        latest = await unit.latest_result()
    assert latest is not None
    assert latest.interval_start == START + 2 * QUARTER


async def test_intervals_are_settled_one_by_one_oldest_first(store: SqlStore) -> None:
    """What was cleared and not settled is what a restart goes on with."""
    async with store.unit() as unit:
        for quarter in (2, 0, 1):
            await unit.add_result(make_result(interval_start=START + quarter * QUARTER), START)
        await unit.mark_settled(START, START + 3 * QUARTER)
        await unit.mark_settled(START, START + 4 * QUARTER)
        assert await unit.intervals_to_settle() == [START + QUARTER, START + 2 * QUARTER]
        with pytest.raises(NotFoundError, match="was not cleared"):
            await unit.mark_settled(START + 9 * QUARTER, START)


async def test_counts_are_of_orders_trades_and_postings(store: SqlStore) -> None:
    """A trade is a fill above 0."""
    async with store.unit() as unit:
        assert await unit.counts() == {"orders": 0, "trades": 0, "postings": 0}
        await unit.add_orders([make_order("o1"), make_order("o2"), make_order("o3")])
        await unit.add_result(make_result(make_fill("o1"), make_fill("o2", 0, None)), START)
        await unit.add_postings([make_posting("p1")])
        assert await unit.counts() == {"orders": 3, "trades": 1, "postings": 1}


async def test_digest_is_of_the_trades_in_order(store: SqlStore) -> None:
    """By interval and order id, however they were written; unfilled orders do not count."""
    later = START + QUARTER
    async with store.unit() as unit:
        assert await unit.trades_digest() == hashlib.sha256().hexdigest()
        await unit.add_result(make_result(make_fill("a"), interval_start=later), START)
        await unit.add_result(make_result(make_fill("c", 0, None), make_fill("b"), make_fill("B")), START)
        lines = [
            "2024-01-15T16:00:00Z,B,10,7,70\n",
            "2024-01-15T16:00:00Z,b,10,7,70\n",
            "2024-01-15T16:15:00Z,a,10,7,70\n",
        ]
        assert await unit.trades_digest() == hashlib.sha256("".join(lines).encode()).hexdigest()


async def test_more_orders_than_one_query_takes(store: SqlStore) -> None:
    """Ids are looked up in several queries; no order is lost or doubled at a seam."""
    orders = [make_order(f"o{i:04d}") for i in range(2500)]
    async with store.unit() as unit:
        await unit.add_orders(orders[:1700])
        await unit.add_orders(orders[800:])
        assert await unit.orders_of_interval(START) == orders
