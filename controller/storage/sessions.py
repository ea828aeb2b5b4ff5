"""Charge sessions: each as it stands, by start; one that has ended never changes again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, Connection, Row, and_, delete, false, func, or_, select

from controller.domain.charge_session import Cdr, ChargeSession, make_cdr
from controller.domain.charging_tokens import normal
from controller.runtime.session_ports import SessionQuery, SessionRecord
from controller.storage import rows, tables

_SESSION: TypeAdapter[ChargeSession] = TypeAdapter(ChargeSession)


def put_charge_sessions(connection: Connection, records: Sequence[SessionRecord]) -> None:
    """Keeps sessions; one that has ended stays as it is."""
    table = tables.charge_sessions
    ids = [record.session.id for record in records]
    sealed = {
        row.id
        for row in connection.execute(
            select(table.c.id).where(table.c.id.in_(ids), table.c.ended_at.is_not(None))
        )
    }
    rows.upsert(
        connection,
        table,
        [
            {
                "id": record.session.id,
                "token": None if record.session.token is None else normal(record.session.token),
                "started_at": record.session.started_at,
                "ended_at": record.session.ended_at,
                "changed_at": record.changed_at,
                "billable": isinstance(make_cdr(record.session), Cdr),
                "content": _SESSION.dump_json(record.session).decode(),
            }
            for record in records
            if record.session.id not in sealed
        ],
    )


def open_charge_sessions(connection: Connection) -> Sequence[ChargeSession]:
    """Those that have not ended, by start."""
    table = tables.charge_sessions
    query = select(table).where(table.c.ended_at.is_(None)).order_by(table.c.started_at, table.c.id)
    return [_record(row).session for row in connection.execute(query)]


def charge_session(connection: Connection, session_id: str) -> SessionRecord | None:
    """One session."""
    table = tables.charge_sessions
    row = connection.execute(select(table).where(table.c.id == session_id)).one_or_none()
    return None if row is None else _record(row)


def charge_sessions(
    connection: Connection, query: SessionQuery, offset: int, limit: int
) -> Sequence[SessionRecord]:
    """A page of sessions, by start and id."""
    table = tables.charge_sessions
    found = select(table).where(*_conditions(query)).order_by(table.c.started_at, table.c.id)
    return [_record(row) for row in connection.execute(found.offset(offset).limit(limit))]


def count_charge_sessions(connection: Connection, query: SessionQuery) -> int:
    """How many there are."""
    table = tables.charge_sessions
    return connection.execute(select(func.count()).select_from(table).where(*_conditions(query))).scalar_one()


def drop_charge_sessions(connection: Connection, ended_before: datetime) -> int:
    """Forgets sessions that ended before an instant."""
    return connection.execute(
        delete(tables.charge_sessions).where(tables.charge_sessions.c.ended_at < ended_before)
    ).rowcount


def _conditions(query: SessionQuery) -> list[ColumnElement[bool]]:
    table = tables.charge_sessions
    conditions: list[ColumnElement[bool]] = []
    if query.tokens is not None:
        conditions.append(_started_by(query.tokens, query))
    if query.changed_from is not None:
        conditions.append(table.c.changed_at >= query.changed_from)
    if query.changed_before is not None:
        conditions.append(table.c.changed_at < query.changed_before)
    if query.billable:
        conditions.append(table.c.billable.is_(True))
    return conditions


def _started_by(tokens: Collection[str], query: SessionQuery) -> ColumnElement[bool]:
    """By one of these, each in its own span of time: those of one span are one condition, and few spans are.

    SQLite takes neither a thousand conditions beside one another nor each token twice.
    """
    table = tables.charge_sessions
    spans = defaultdict[tuple[datetime | None, datetime | None], list[str]](list)
    for token in sorted(tokens):
        spans[query.began_from.get(token), query.began_before.get(token)].append(token)
    found = []
    for (first, end), group in spans.items():
        bounds = [] if first is None else [table.c.started_at >= first]
        bounds += [] if end is None else [table.c.started_at < end]
        found.append(and_(table.c.token.in_(group), *bounds))
    return or_(false(), *found)


def _record(row: Row[Any]) -> SessionRecord:
    return SessionRecord(session=_SESSION.validate_json(row.content), changed_at=row.changed_at)
