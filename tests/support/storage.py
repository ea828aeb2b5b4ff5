"""What the store's tests share: an open store on a real file, and builders of what goes into it."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from controller.domain.ids import AssetId, MemberId, NodeId
from controller.runtime.ports import RegisterRecord
from controller.storage import SqlStore, open_store
from market.clearing import Fill, IntervalResult
from market.ledger import Posting, PostingReason
from market.orders import Order, OrderSource, Side

START = datetime(2024, 1, 15, 16, tzinfo=UTC)
"""A quarter-hour of a winter evening."""
QUARTER = timedelta(minutes=15)


_EMPTY: list[bytes] = []
"""The file of an empty database, once one was made: the migrations are the slowest part of many tests."""


def _copied(path: Path) -> bool:
    """Whether there is a database at the path, if need be a copy of an empty one."""
    if not path.exists() and _EMPTY:
        path.write_bytes(_EMPTY[0])
    return path.exists()


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[SqlStore]:
    """A store that is closed at the block's end; a new one is a copy of an empty one."""
    if not _copied(path):
        await (await open_store(path)).close()
        _EMPTY.append(path.read_bytes())  # noqa: ASYNC240  # some pages, once
    store = await open_store(path)
    try:
        yield store
    finally:
        await store.close()


def make_order(
    order_id: str,
    *,
    member: str = "anna",
    interval_start: datetime = START,
    quantity_wh: int = 1000,
    source: OrderSource = OrderSource.RESIDENT,
    placed_at: datetime | None = START - QUARTER,
) -> Order:
    """A buy order."""
    return Order(
        order_id=order_id,
        member=MemberId(member),
        node=NodeId("feeder-1"),
        side=Side.BUY,
        quantity_wh=quantity_wh,
        limit_price_microeur_per_kwh=-5,
        interval_start=interval_start,
        min_fill_wh=1,
        source=source,
        asset="car-1",
        placed_at=placed_at,
    )


def make_fill(order_id: str, filled_wh: int = 10, price: int | None = 7) -> Fill:
    """A buyer's fill; unfilled ones have no price."""
    return Fill(
        order_id=order_id,
        filled_wh=filled_wh,
        price_microeur_per_kwh=price,
        amount_nanoeur=filled_wh * (price or 0),
    )


def make_result(*fills: Fill, interval_start: datetime = START) -> IntervalResult:
    """A clearing at two nodes, at one of which nothing was filled."""
    return IntervalResult(
        interval_start=interval_start,
        price_microeur_per_kwh={NodeId("feeder-1"): 7, NodeId("feeder-2"): None},
        fills=fills,
        congestion_rent_nanoeur=3,
        welfare_nanoeur=-4,
    )


def make_posting(
    text: str,
    *,
    debit: str = "member:anna",
    credit: str = "market",
    amount_nanoeur: int = 100,
    booked_at: datetime = START + QUARTER,
) -> Posting:
    """A posting whose id follows from `text`."""
    return Posting(
        posting_id=hashlib.sha256(text.encode()).hexdigest(),
        debit_account=debit,
        credit_account=credit,
        amount_nanoeur=amount_nanoeur,
        reason=PostingReason.TRADE,
        interval_start=START,
        ref=text,
        booked_at=booked_at,
    )


@dataclass(frozen=True, kw_only=True)
class QuarterHour:
    """What one quarter-hour of a whole district brings to the store."""

    orders: list[Order]
    result: IntervalResult
    postings: list[Posting]
    registers: list[RegisterRecord]


def lombok_quarter(number: int) -> QuarterHour:
    """The size of `lombok`: 3000 orders and fills, 71 nodes, 8000 postings, 4000 meter registers."""
    start = START + number * QUARTER
    orders = [
        make_order(f"{number}-{i:04d}", member=f"m{i}", interval_start=start, source=OrderSource.PLAN)
        for i in range(3000)
    ]
    fills = tuple(make_fill(order.order_id, filled_wh=i % 9) for i, order in enumerate(orders))
    return QuarterHour(
        orders=orders,
        result=IntervalResult(
            interval_start=start,
            price_microeur_per_kwh={NodeId(f"node-{i:02d}"): i for i in range(71)},
            fills=fills,
            congestion_rent_nanoeur=0,
            welfare_nanoeur=0,
        ),
        postings=[make_posting(f"{number}-{i}", debit=f"member:m{i % 3000}") for i in range(8000)],
        registers=[
            RegisterRecord(meter=AssetId(f"meter-{i}"), at=start + QUARTER, import_wh=i, export_wh=0)
            for i in range(4000)
        ],
    )
