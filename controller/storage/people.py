"""What people and fleets asked for, who may come in, and who did what."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, select

from controller.domain.assets import Booking, Departure, Wishes, WishKind
from controller.domain.errors import NotFoundError
from controller.domain.ids import AssetId, MemberId
from controller.runtime.ports import EventRecord, Role, TokenRecord
from controller.storage import rows, tables


def put_bookings(connection: Connection, bookings: Sequence[Booking]) -> None:
    """Keeps bookings; one with a known id replaces the old."""
    rows.upsert(
        connection,
        tables.bookings,
        [
            {
                "id": booking.id,
                "vehicle": booking.vehicle,
                "from_utc": booking.from_utc,
                "to_utc": booking.to_utc,
                "energy_kwh": booking.energy_kwh,
                "departure_min_kwh": booking.departure_min_kwh,
            }
            for booking in bookings
        ],
    )


def delete_booking(connection: Connection, booking_id: str) -> None:
    """Removes one."""
    if connection.execute(delete(tables.bookings).where(tables.bookings.c.id == booking_id)).rowcount == 0:
        raise NotFoundError(f"there is no booking {booking_id}")


def bookings(connection: Connection, ending_after: datetime) -> Sequence[Booking]:
    """The bookings that end after an instant, by start."""
    table = tables.bookings
    found = connection.execute(
        select(table).where(table.c.to_utc > ending_after).order_by(table.c.from_utc, table.c.id)
    )
    return [
        Booking(
            id=row.id,
            vehicle=AssetId(row.vehicle),
            from_utc=row.from_utc,
            to_utc=row.to_utc,
            energy_kwh=row.energy_kwh,
            departure_min_kwh=row.departure_min_kwh,
        )
        for row in found
    ]


def put_wishes(connection: Connection, wishes: Wishes) -> None:
    """Keeps what a person pressed for an asset; the newest counts."""
    departure = wishes.departure
    row = {
        "asset": wishes.asset,
        "mode": wishes.mode.value,
        "never_discharge": wishes.never_discharge,
        "departure_vehicle": None if departure is None else departure.vehicle,
        "departure_at": None if departure is None else departure.at_utc,
        "departure_energy_kwh": None if departure is None else departure.energy_kwh,
    }
    rows.upsert(connection, tables.wishes, [row])


def wishes(connection: Connection) -> Sequence[Wishes]:
    """All of them, by asset."""
    found = connection.execute(select(tables.wishes).order_by(tables.wishes.c.asset))
    return [
        Wishes(
            asset=AssetId(row.asset),
            mode=WishKind(row.mode),
            never_discharge=row.never_discharge,
            departure=None
            if row.departure_vehicle is None
            else Departure(
                vehicle=AssetId(row.departure_vehicle),
                at_utc=row.departure_at,
                energy_kwh=row.departure_energy_kwh,
            ),
        )
        for row in found
    ]


def add_token(connection: Connection, token: TokenRecord) -> None:
    """Keeps a token's hash; the same one again, whenever it was made, changes nothing."""
    row = {
        "token_hash": token.token_hash,
        "role": token.role.value,
        "member": token.member,
        "label": token.label,
        "created_at": token.created_at,
    }
    rows.insert_once(connection, tables.tokens, [row], key="token_hash", beside={"created_at"})


def token(connection: Connection, token_hash: str) -> TokenRecord | None:
    """The token with that hash."""
    table = tables.tokens
    row = connection.execute(select(table).where(table.c.token_hash == token_hash)).one_or_none()
    if row is None:
        return None
    return TokenRecord(
        token_hash=row.token_hash,
        role=Role(row.role),
        member=None if row.member is None else MemberId(row.member),
        label=row.label,
        created_at=row.created_at,
    )


def add_event(connection: Connection, event: EventRecord) -> None:
    """Logs who did what."""
    row = {"at": event.at, "who": event.who, "what": event.what, "subject": event.subject}
    rows.insert_all(connection, tables.events, [row])


def events(connection: Connection, limit: int) -> Sequence[EventRecord]:
    """The newest first."""
    table = tables.events
    found = connection.execute(select(table).order_by(table.c.number.desc()).limit(limit))
    return [EventRecord(at=row.at, who=row.who, what=row.what, subject=row.subject) for row in found]


def put_value(connection: Connection, key: str, value: str) -> None:
    """Keeps one small named value; the newest counts."""
    rows.upsert(connection, tables.named_values, [{"key": key, "value": value}])


def value(connection: Connection, key: str) -> str | None:
    """The named value."""
    table = tables.named_values
    found: str | None = connection.execute(
        select(table.c.value).where(table.c.key == key)
    ).scalar_one_or_none()
    return found
