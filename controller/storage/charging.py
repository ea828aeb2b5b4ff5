"""Charging tokens of members, and guests' sessions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, select

from controller.domain.charging_tokens import ChargingToken, TokenKind
from controller.domain.ids import AssetId, MemberId
from controller.runtime.charging_ports import GuestRecord
from controller.storage import rows, tables


def put_charging_token(connection: Connection, token: ChargingToken) -> None:
    """Keeps a token; one that is known is replaced."""
    rows.upsert(connection, tables.charging_tokens, [asdict(token) | {"kind": token.kind.value}])


def charging_tokens(connection: Connection) -> Sequence[ChargingToken]:
    """All of them, the oldest first."""
    table = tables.charging_tokens
    return [
        ChargingToken(
            token=row.token,
            handle=row.handle,
            member=MemberId(row.member),
            kind=TokenKind(row.kind),
            label=row.label,
            vehicle=None if row.vehicle is None else AssetId(row.vehicle),
            created_at=row.created_at,
            blocked_at=row.blocked_at,
            list_version=row.list_version,
        )
        for row in connection.execute(select(table).order_by(table.c.created_at, table.c.token))
    ]


def put_guest(connection: Connection, record: GuestRecord) -> None:
    """Keeps a session; one that is known is replaced."""
    rows.upsert(connection, tables.guest_sessions, [asdict(record)])


def guest(connection: Connection, secret_hash: str) -> GuestRecord | None:
    """The session that a link opens."""
    table = tables.guest_sessions
    row = connection.execute(select(table).where(table.c.secret_hash == secret_hash)).one_or_none()
    return None if row is None else _record(row)


def open_guests(connection: Connection) -> Sequence[GuestRecord]:
    """The sessions of which something is still to be done, by id."""
    table = tables.guest_sessions
    found = connection.execute(select(table).where(table.c.ended_at.is_(None)).order_by(table.c.session_id))
    return [_record(row) for row in found]


def drop_guests(connection: Connection, ended_before: datetime) -> int:
    """Forgets sessions that ended before an instant; gives how many."""
    table = tables.guest_sessions
    return connection.execute(delete(table).where(table.c.ended_at < ended_before)).rowcount


def _record(row: Any) -> GuestRecord:
    return GuestRecord(
        session_id=row.session_id,
        secret_hash=row.secret_hash,
        charge_point=AssetId(row.charge_point),
        ended_at=row.ended_at,
        content=row.content,
    )
