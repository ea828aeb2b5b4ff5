"""Closed days, and what a day or quarter-hour is settled by again: its registers and its postings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime

from sqlalchemy import Connection, func, or_, select

from controller.domain.ids import Ean, MemberId, NodeId
from controller.runtime.ports import RegisterRecord
from controller.storage import ledger, rows, tables
from market.day_closing import DayPoint
from market.ledger import Posting, PostingReason


def put_closed_day(connection: Connection, points: Sequence[DayPoint]) -> None:
    """Keeps a day's points; the same point of the same day again replaces the old."""
    rows.upsert(
        connection, tables.closed_days, [{**asdict(point), "day": point.day.isoformat()} for point in points]
    )


def closed_days(
    connection: Connection, first: date, last: date, member: MemberId | None
) -> Sequence[DayPoint]:
    """The points of the days from `first` to `last`, of one member where given, by day and number."""
    table = tables.closed_days
    query = select(table).where(table.c.day >= first.isoformat(), table.c.day <= last.isoformat())
    if member is not None:
        query = query.where(table.c.member == member)
    found = connection.execute(query.order_by(table.c.day, table.c.ean)).mappings()
    return [
        DayPoint(
            **{
                **row,
                "day": date.fromisoformat(row["day"]),
                "ean": Ean(row["ean"]),
                "member": MemberId(row["member"]),
            }
        )
        for row in found
    ]


def latest_closed_day(connection: Connection) -> date | None:
    """The newest day that was closed."""
    newest = connection.execute(select(func.max(tables.closed_days.c.day))).scalar()
    return None if newest is None else date.fromisoformat(newest)


def closed_dates(connection: Connection, since: date) -> Sequence[date]:
    """The days from `since` on that were closed."""
    day = tables.closed_days.c.day
    found = connection.execute(select(day).where(day >= since.isoformat()).distinct().order_by(day))
    return [date.fromisoformat(each) for each in found.scalars()]


def unfinished_days(connection: Connection, since: date) -> Sequence[date]:
    """The closed days from `since` on that were closed with estimates or without some meter, by day."""
    table = tables.closed_days
    open_still = or_(table.c.estimated_quarters > 0, table.c.unsettled_quarters > 0)
    found = connection.execute(
        select(table.c.day)
        .where(table.c.day >= since.isoformat(), open_still)
        .distinct()
        .order_by(table.c.day)
    )
    return [date.fromisoformat(day) for day in found.scalars()]


def first_register_at(connection: Connection) -> datetime | None:
    """The instant of the oldest register."""
    table = tables.registers
    return connection.execute(select(table.c.at).order_by(table.c.at).limit(1)).scalar()


def count_registers(connection: Connection, first: datetime, last: datetime) -> int:
    """How many registers there are from `first` to `last`, both included."""
    at = tables.registers.c.at
    return int(connection.execute(select(func.count(at)).where(at >= first, at <= last)).scalar_one())


def registers_between(
    connection: Connection, first: datetime, last: datetime, meter: str | None
) -> Sequence[RegisterRecord]:
    """The registers from `first` to `last`, both included, of one meter where given, by time and meter."""
    table = tables.registers
    query = select(table).where(table.c.at >= first, table.c.at <= last)
    if meter is not None:
        query = query.where(table.c.meter == meter)
    found = connection.execute(query.order_by(table.c.at, table.c.meter))
    return [
        RegisterRecord(
            meter=NodeId(row.meter),
            at=row.at,
            import_wh=row.import_wh,
            export_wh=row.export_wh,
            estimated=row.estimated,
        )
        for row in found
    ]


def postings_between(
    connection: Connection, first: datetime, after: datetime, account: str | None
) -> Sequence[Posting]:
    """The postings about the quarter-hours from `first` to before `after`, in booking order.

    Args:
        connection: An open transaction.
        first: The first quarter-hour.
        after: The first one that is not asked for.
        account: Only what this one pays or receives; None: all.
    """
    table = tables.postings
    query = select(table).where(table.c.interval_start >= first, table.c.interval_start < after)
    if account is not None:
        query = query.where(or_(table.c.debit_account == account, table.c.credit_account == account))
    return [ledger.numbered(row)[1] for row in connection.execute(query.order_by(table.c.number))]


def balances_between(
    connection: Connection, first: datetime, after: datetime, but: Collection[PostingReason]
) -> Mapping[str, int]:
    """What each account paid for the quarter-hours from `first` to before `after`, less what it received.

    Postings for one of the reasons in `but` are left out.
    """
    table = tables.postings
    left_out = [reason.value for reason in but]
    about = (
        table.c.interval_start >= first,
        table.c.interval_start < after,
        table.c.reason.not_in(left_out),
    )
    totals: Counter[str] = Counter()
    for side, sign in ((table.c.debit_account, 1), (table.c.credit_account, -1)):
        for account, amount in ledger.sums(connection, side, *about):
            totals[account] += sign * amount
    return dict(totals)
