"""Orders, clearings and fills.

A quarter-hour's clearing is kept whole and once: prices, every fill (the unfilled too, so that the result
reads back as it was), rent and welfare. It is never changed; the only later mark is that it was settled.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, func, select, update

from controller.domain.errors import ConflictError, NotFoundError
from controller.domain.ids import MemberId, NodeId
from controller.domain.time import utc_text
from controller.runtime.ports import ClearingRecord, OrderRecord
from controller.storage import rows, tables
from market.caps import OWN_SOURCES
from market.clearing import Fill, IntervalResult
from market.orders import Label, Link, Order, OrderSource, RefusalCode, Side

_OWN = sorted(source.value for source in OWN_SOURCES)


def add_orders(connection: Connection, orders: Sequence[Order]) -> None:
    """Keeps orders; the same one placed again later is the same order."""
    rows.insert_once(connection, tables.orders, map(_order_row, orders), key="order_id", beside={"placed_at"})


def cancel_order(connection: Connection, order_id: str, at: datetime) -> None:
    """Marks an order as cancelled; one that was cancelled before keeps its first time.

    Raises:
        NotFoundError: If there is none.
        ConflictError: If its quarter-hour was cleared: a trade is never changed.
    """
    found = order(connection, order_id)
    if found is None:
        raise NotFoundError(f"there is no order {order_id}")
    if found.fill is not None:
        raise ConflictError(f"order {order_id} was cleared: it can no longer be cancelled")
    if found.cancelled_at is None:
        table = tables.orders
        connection.execute(update(table).where(table.c.order_id == order_id).values(cancelled_at=at))


def order(connection: Connection, order_id: str) -> OrderRecord | None:
    """One order."""
    found = connection.execute(_orders_with_fills().where(tables.orders.c.order_id == order_id)).one_or_none()
    return None if found is None else _record(found)


def orders_of_interval(connection: Connection, interval_start: datetime) -> Sequence[Order]:
    """The orders of a quarter-hour that are not cancelled, by id."""
    table = tables.orders
    found = connection.execute(
        select(table).where(table.c.interval_start == interval_start, table.c.cancelled_at.is_(None))
    )
    # Sorted here: databases sort text by a language's rules, which need not be everybody's.
    return sorted(map(_order, found), key=lambda each: each.order_id)


def orders_of_member(
    connection: Connection,
    member: MemberId,
    limit: int,
    interval_start: datetime | None = None,
    *,
    filled: bool = False,
) -> Sequence[OrderRecord]:
    """A member's own orders, made by hand or by an instruction, the newest interval first.

    Args:
        connection: An open transaction.
        member: Whose.
        limit: How many at most.
        interval_start: Those of one quarter-hour; None: of all.
        filled: Whether only those of which something was filled.
    """
    table = tables.orders
    query = (
        _orders_with_fills()
        .where(table.c.member == member, table.c.source.in_(_OWN))
        .order_by(table.c.interval_start.desc(), table.c.placed_at.desc(), table.c.order_id)
        .limit(limit)
    )
    if interval_start is not None:
        query = query.where(table.c.interval_start == interval_start)
    if filled:
        query = query.where(tables.fills.c.filled_wh > 0)
    return [_record(row) for row in connection.execute(query)]


def open_orders(connection: Connection, member: MemberId | None, since: datetime) -> Sequence[Order]:
    """A member's own orders (None: all members') from a quarter-hour on, neither cancelled nor cleared."""
    table = tables.orders
    query = _orders_with_fills().where(
        table.c.source.in_(_OWN),
        table.c.interval_start >= since,
        table.c.cancelled_at.is_(None),
        tables.fills.c.order_id.is_(None),
    )
    if member is not None:
        query = query.where(table.c.member == member)
    return sorted(map(_order, connection.execute(query)), key=lambda each: each.order_id)


def lapse_orders(
    connection: Connection, order_ids: Sequence[str], at: datetime, because: RefusalCode
) -> None:
    """Takes orders out that can never be cleared; one that was cancelled before stays as it is."""
    table = tables.orders
    for order_id in order_ids:
        connection.execute(
            update(table)
            .where(table.c.order_id == order_id, table.c.cancelled_at.is_(None))
            .values(cancelled_at=at, lapsed_because=because.value)
        )


def ordered_starts(connection: Connection, first: datetime, before: datetime) -> Sequence[datetime]:
    """The quarter-hours from `first` to before `before` with orders that are not cancelled, in order."""
    table = tables.orders
    found = connection.execute(
        select(table.c.interval_start)
        .where(
            table.c.interval_start >= first, table.c.interval_start < before, table.c.cancelled_at.is_(None)
        )
        .distinct()
        .order_by(table.c.interval_start)
    )
    return list(found.scalars())


def cleared_starts(connection: Connection, since: datetime) -> Sequence[datetime]:
    """The quarter-hours from one on that are cleared, in their order."""
    start = tables.clearings.c.interval_start
    return list(connection.execute(select(start).where(start >= since).order_by(start)).scalars())


def linked_fills(
    connection: Connection, links: Collection[str], before: datetime
) -> Sequence[tuple[Order, int]]:
    """The orders of the named links that were cleared before a quarter-hour, and what was filled [Wh]."""
    table = tables.orders
    found = connection.execute(
        _orders_with_fills().where(
            table.c.link.in_(links), table.c.interval_start < before, tables.fills.c.filled_wh > 0
        )
    )
    return [(_order(row), row.fill_filled_wh) for row in found]


def add_result(connection: Connection, result: IntervalResult, at: datetime) -> None:
    """Keeps a quarter-hour's clearing with all its fills; the same clearing again changes nothing.

    Raises:
        ConflictError: If the quarter-hour was cleared with another result.
    """
    before = _result_at(connection, result.interval_start)
    if before is not None:
        if not _same_result(before, result):
            raise ConflictError(
                f"the quarter-hour of {utc_text(result.interval_start)} was cleared with another result"
            )
        return
    start = result.interval_start
    clearing = {
        "interval_start": start,
        "congestion_rent_nanoeur": result.congestion_rent_nanoeur,
        "welfare_nanoeur": result.welfare_nanoeur,
        "trade_count": sum(fill.filled_wh > 0 for fill in result.fills),
        "cleared_at": at,
    }
    rows.insert_all(connection, tables.clearings, [clearing])
    rows.insert_all(
        connection,
        tables.prices,
        [
            {"interval_start": start, "node": node, "price_microeur_per_kwh": price}
            for node, price in result.price_microeur_per_kwh.items()
        ],
    )
    rows.insert_all(
        connection,
        tables.fills,
        [
            {
                "interval_start": start,
                "order_id": fill.order_id,
                "filled_wh": fill.filled_wh,
                "price_microeur_per_kwh": fill.price_microeur_per_kwh,
                "amount_nanoeur": fill.amount_nanoeur,
            }
            for fill in result.fills
        ],
    )


def result(connection: Connection, interval_start: datetime) -> IntervalResult | None:
    """A quarter-hour's clearing."""
    return _result_at(connection, interval_start)


def latest_result(connection: Connection) -> IntervalResult | None:
    """The newest clearing."""
    newest = connection.execute(select(func.max(tables.clearings.c.interval_start))).scalar_one()
    return None if newest is None else _result_at(connection, newest)


def clearings(
    connection: Connection, after: datetime | None, until: datetime | None, limit: int
) -> Sequence[ClearingRecord]:
    """Clearings between two quarter-hours (neither of them included), the oldest first.

    Args:
        connection: An open transaction.
        after: None: from the first on.
        until: None: to the newest.
        limit: How many at most; of more, the newest.
    """
    table, prices, fills = tables.clearings, tables.prices, tables.fills
    query = select(table).order_by(table.c.interval_start.desc()).limit(limit)
    if after is not None:
        query = query.where(table.c.interval_start > after)
    if until is not None:
        query = query.where(table.c.interval_start < until)
    newest_first = list(connection.execute(query))
    if not newest_first:
        return []
    first, last = newest_first[-1].interval_start, newest_first[0].interval_start
    by_start: dict[datetime, dict[NodeId, int | None]] = {row.interval_start: {} for row in newest_first}
    for row in connection.execute(select(prices).where(prices.c.interval_start.between(first, last))):
        by_start[row.interval_start][NodeId(row.node)] = row.price_microeur_per_kwh
    moved = connection.execute(
        select(fills.c.interval_start, func.sum(fills.c.filled_wh).label("filled_wh"))
        .where(fills.c.interval_start.between(first, last))
        .group_by(fills.c.interval_start)
    )
    # What is bought is sold: a watt-hour that moved stands in two fills.
    volume_wh = {row.interval_start: int(row.filled_wh) // 2 for row in moved}
    return [
        ClearingRecord(
            interval_start=row.interval_start,
            price_microeur_per_kwh=by_start[row.interval_start],
            volume_wh=volume_wh.get(row.interval_start, 0),
            congestion_rent_nanoeur=row.congestion_rent_nanoeur,
        )
        for row in reversed(newest_first)
    ]


def intervals_to_settle(connection: Connection) -> Sequence[datetime]:
    """The quarter-hours that were cleared and not yet marked as settled, the oldest first."""
    table = tables.clearings
    found = connection.execute(
        select(table.c.interval_start).where(table.c.settled_at.is_(None)).order_by(table.c.interval_start)
    )
    return list(found.scalars())


def mark_settled(connection: Connection, interval_start: datetime, at: datetime) -> None:
    """Marks a quarter-hour as settled; one that was settled before keeps its first time.

    Raises:
        NotFoundError: If it was not cleared.
    """
    table = tables.clearings
    here = table.c.interval_start == interval_start
    settled = connection.execute(select(table.c.settled_at).where(here)).one_or_none()
    if settled is None:
        raise NotFoundError(f"the quarter-hour of {utc_text(interval_start)} was not cleared")
    if settled.settled_at is None:
        connection.execute(update(table).where(here).values(settled_at=at))


def counts(connection: Connection) -> Mapping[str, int]:
    """How many orders, fills above 0 (trades) and postings there are."""
    queries = {
        "orders": select(func.count()).select_from(tables.orders),
        "trades": select(func.coalesce(func.sum(tables.clearings.c.trade_count), 0)),
        "postings": select(func.count()).select_from(tables.postings),
    }
    return {name: int(connection.execute(query).scalar_one()) for name, query in queries.items()}


def trades_digest(connection: Connection) -> str:
    """SHA-256 over all fills above 0 in the order of interval and order id.

    Each is one line of UTF-8: `interval_start_utc,order_id,filled_wh,price_microeur_per_kwh,amount_nanoeur`.
    """
    table = tables.fills
    found = connection.execute(
        select(table)
        .where(table.c.filled_wh > 0)
        .order_by(table.c.interval_start)
        .execution_options(yield_per=10_000)
    )
    digest = hashlib.sha256()
    for start, fills in groupby(found, key=lambda fill: fill.interval_start):
        for fill in sorted(fills, key=lambda each: each.order_id):
            values = (utc_text(start), *fill[1:])
            digest.update((",".join(map(str, values)) + "\n").encode())
    return digest.hexdigest()


def _result_at(connection: Connection, start: datetime) -> IntervalResult | None:
    clearings, prices, fills = tables.clearings, tables.prices, tables.fills
    clearing = connection.execute(select(clearings).where(clearings.c.interval_start == start)).one_or_none()
    if clearing is None:
        return None
    price_rows = connection.execute(select(prices).where(prices.c.interval_start == start))
    fill_rows = connection.execute(select(fills).where(fills.c.interval_start == start))
    return IntervalResult(
        interval_start=start,
        price_microeur_per_kwh={NodeId(row.node): row.price_microeur_per_kwh for row in price_rows},
        fills=tuple(sorted(map(_fill, fill_rows), key=lambda fill: fill.order_id)),
        congestion_rent_nanoeur=clearing.congestion_rent_nanoeur,
        welfare_nanoeur=clearing.welfare_nanoeur,
    )


def _same_result(one: IntervalResult, other: IntervalResult) -> bool:
    """Whether two clearings say the same; the order of fills and prices says nothing."""

    def content(result: IntervalResult) -> tuple[object, ...]:
        return (
            sorted(result.price_microeur_per_kwh.items()),
            sorted(result.fills, key=lambda fill: fill.order_id),
            result.congestion_rent_nanoeur,
            result.welfare_nanoeur,
        )

    return content(one) == content(other)


def _orders_with_fills() -> Any:
    """Each order's columns, then those of its fill, all None where its interval is not cleared."""
    orders, fills = tables.orders, tables.fills
    fill_columns = [column.label(f"fill_{column.name}") for column in fills.c]
    together = (fills.c.interval_start == orders.c.interval_start) & (fills.c.order_id == orders.c.order_id)
    return select(orders, *fill_columns).select_from(orders.outerjoin(fills, together))


def _record(row: Any) -> OrderRecord:
    fill = None
    if row.fill_order_id is not None:
        fill = Fill(
            order_id=row.fill_order_id,
            filled_wh=row.fill_filled_wh,
            price_microeur_per_kwh=row.fill_price_microeur_per_kwh,
            amount_nanoeur=row.fill_amount_nanoeur,
        )
    lapsed = None if row.lapsed_because is None else RefusalCode(row.lapsed_because)
    return OrderRecord(order=_order(row), cancelled_at=row.cancelled_at, fill=fill, lapsed_because=lapsed)


def _fill(row: Any) -> Fill:
    return Fill(
        order_id=row.order_id,
        filled_wh=row.filled_wh,
        price_microeur_per_kwh=row.price_microeur_per_kwh,
        amount_nanoeur=row.amount_nanoeur,
    )


def _order(row: Any) -> Order:
    return Order(
        order_id=row.order_id,
        member=MemberId(row.member),
        node=NodeId(row.node),
        side=Side(row.side),
        quantity_wh=row.quantity_wh,
        limit_price_microeur_per_kwh=row.limit_price_microeur_per_kwh,
        interval_start=row.interval_start,
        min_fill_wh=row.min_fill_wh,
        source=OrderSource(row.source),
        asset=row.asset,
        placed_at=row.placed_at,
        label=Label.ANY if row.label is None else Label(row.label),
        valid_until=row.valid_until,
        link=None if row.link is None else Link(name=row.link, efficiency_ppm=row.link_efficiency_ppm),
    )


def _order_row(order: Order) -> rows.Row:
    return {
        "order_id": order.order_id,
        "member": order.member,
        "node": order.node,
        "side": order.side.value,
        "quantity_wh": order.quantity_wh,
        "limit_price_microeur_per_kwh": order.limit_price_microeur_per_kwh,
        "interval_start": order.interval_start,
        "min_fill_wh": order.min_fill_wh,
        "source": order.source.value,
        "asset": order.asset,
        "placed_at": order.placed_at,
        "label": None if order.label is Label.ANY else order.label.value,
        "valid_until": order.valid_until,
        "link": None if order.link is None else order.link.name,
        "link_efficiency_ppm": None if order.link is None else order.link.efficiency_ppm,
    }
