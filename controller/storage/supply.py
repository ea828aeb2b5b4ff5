"""What the supplier is told and tells: nominations, what was supplied, what imbalance cost."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Row, Table, delete, select, update

from controller.domain.ids import MemberId
from controller.runtime.supply_ports import AskedClosing, Nomination, NominationKind, SuppliedQuarter
from controller.storage import rows, tables
from market.imbalance import ImbalanceCost


def put_nominations(connection: Connection, nominations: Sequence[Nomination]) -> None:
    """Keeps nominations; of one kind the newer one replaces the older."""
    rows.upsert(
        connection,
        tables.nominations,
        [
            {
                "interval_start": nomination.interval_start,
                "supplier": nomination.supplier,
                "kind": nomination.kind.value,
                "made_at": nomination.made_at,
                "import_wh": nomination.import_wh,
                "export_wh": nomination.export_wh,
                "net_wh": json.dumps(nomination.net_wh, separators=(",", ":"), sort_keys=True),
            }
            for nomination in nominations
        ],
    )


def nominations(
    connection: Connection, first: datetime, after: datetime, kind: NominationKind, supplier: str
) -> Sequence[Nomination]:
    """A supplier's nominations of the quarter-hours from `first` to before `after`, in order."""
    table = tables.nominations
    query = select(table).where(
        table.c.interval_start >= first,
        table.c.interval_start < after,
        table.c.kind == kind.value,
        table.c.supplier == supplier,
    )
    return [
        Nomination(
            interval_start=row.interval_start,
            kind=NominationKind(row.kind),
            made_at=row.made_at,
            import_wh=row.import_wh,
            export_wh=row.export_wh,
            net_wh={MemberId(member): wh for member, wh in json.loads(row.net_wh).items()},
            supplier=row.supplier,
        )
        for row in connection.execute(query.order_by(table.c.interval_start))
    ]


def put_supplied(connection: Connection, quarters: Sequence[SuppliedQuarter]) -> None:
    """Keeps what was taken and fed in; known better, it replaces the old."""
    rows.upsert(connection, tables.supplied_quarters, [asdict(quarter) for quarter in quarters])


def supplied(
    connection: Connection, first: datetime, after: datetime, supplier: str
) -> Sequence[SuppliedQuarter]:
    """A supplier's quarter-hours from `first` to before `after`, in order."""
    return [
        SuppliedQuarter(
            interval_start=row.interval_start,
            import_wh=row.import_wh,
            export_wh=row.export_wh,
            complete=row.complete,
            import_microeur_per_kwh=row.import_microeur_per_kwh,
            export_microeur_per_kwh=row.export_microeur_per_kwh,
            supplier=row.supplier,
        )
        for row in _between(connection, tables.supplied_quarters, first, after, supplier)
    ]


def put_imbalance_costs(
    connection: Connection, costs: Mapping[datetime, ImbalanceCost], supplier: str
) -> None:
    """Keeps what imbalance cost a supplier; a correction replaces the old."""
    told = [{"interval_start": at, "supplier": supplier, **asdict(cost)} for at, cost in costs.items()]
    rows.upsert(connection, tables.imbalance_costs, told)


def imbalance_costs(
    connection: Connection, first: datetime, after: datetime, supplier: str
) -> Mapping[datetime, ImbalanceCost]:
    """What imbalance cost a supplier in the quarter-hours from `first` to before `after`."""
    return {
        row.interval_start: ImbalanceCost(
            short_microeur_per_kwh=row.short_microeur_per_kwh,
            long_microeur_per_kwh=row.long_microeur_per_kwh,
        )
        for row in _between(connection, tables.imbalance_costs, first, after, supplier)
    }


def ask_closings(connection: Connection, asked: Sequence[date], supplier: str, at: datetime) -> None:
    """Keeps that days are to be closed again; one that is asked for already gets a new revision."""
    before = {one.day: one.revision for one in asked_closings(connection, None, supplier)}
    told = [
        {
            "day": day.isoformat(),
            "supplier": supplier,
            "revision": before.get(day, 0) + 1,
            "asked_at": at,
            "why": "",
        }
        for day in asked
    ]
    rows.upsert(connection, tables.asked_closings, told)


def asked_closings(connection: Connection, day: date | None, supplier: str | None) -> Sequence[AskedClosing]:
    """What is asked for, by day: of one day, and of one supplier, where given."""
    table = tables.asked_closings
    query = select(table).order_by(table.c.day, table.c.supplier)
    if day is not None:
        query = query.where(table.c.day == day.isoformat())
    if supplier is not None:
        query = query.where(table.c.supplier == supplier)
    return [
        AskedClosing(
            day=date.fromisoformat(row.day),
            supplier=row.supplier,
            revision=row.revision,
            asked_at=row.asked_at,
            why=row.why,
        )
        for row in connection.execute(query)
    ]


def closings_done(connection: Connection, done: Sequence[AskedClosing]) -> None:
    """Takes out what was asked for, but where it was asked for again since."""
    table = tables.asked_closings
    for one in done:
        connection.execute(
            delete(table).where(
                table.c.day == one.day.isoformat(),
                table.c.supplier == one.supplier,
                table.c.revision == one.revision,
            )
        )


def closings_failed(connection: Connection, day: date, why: str) -> None:
    """Keeps why a day could not be closed."""
    table = tables.asked_closings
    connection.execute(update(table).where(table.c.day == day.isoformat()).values(why=why))


def _between(
    connection: Connection, table: Table, first: datetime, after: datetime, supplier: str
) -> Sequence[Row[Any]]:
    at = table.c.interval_start
    query = select(table).where(at >= first, at < after, table.c.supplier == supplier)
    return connection.execute(query.order_by(at)).all()
