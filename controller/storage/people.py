"""What people and fleets asked for, who may come in, and who did what."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, time
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, delete, func, select, update

from controller.domain.assets import Booking, Departure, Wishes, WishKind
from controller.domain.errors import NotFoundError
from controller.domain.ids import AssetId, MemberId
from controller.domain.instructions import GiveSurplus, Instruction, LeaveAt, SellSurplus, Wanted
from controller.runtime.ports import EventRecord, Role, Scope, TokenRecord
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
                "fleet": booking.fleet,
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
    return [_booking(row) for row in found.mappings()]


def bookings_by_id(connection: Connection, ids: Sequence[str]) -> Sequence[Booking]:
    """The bookings with these ids, past ones too."""
    return [_booking(row) for row in rows.rows_by_key(connection, tables.bookings, "id", ids)]


def _booking(row: Mapping[str, Any] | RowMapping) -> Booking:
    return Booking(
        id=row["id"],
        vehicle=AssetId(row["vehicle"]),
        from_utc=row["from_utc"],
        to_utc=row["to_utc"],
        energy_kwh=row["energy_kwh"],
        departure_min_kwh=row["departure_min_kwh"],
        fleet=None if row["fleet"] is None else MemberId(row["fleet"]),
    )


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
        "scopes": None if token.scopes is None else " ".join(sorted(token.scopes)),
        "expires_at": token.expires_at,
    }
    rows.insert_once(connection, tables.tokens, [row], key="token_hash", beside={"created_at", "expires_at"})


def token(connection: Connection, token_hash: str) -> TokenRecord | None:
    """The token with that hash; None also for one that was taken back."""
    table = tables.tokens
    row = connection.execute(
        select(table).where(table.c.token_hash == token_hash, table.c.revoked_at.is_(None))
    ).one_or_none()
    return None if row is None else _token(row)


def tokens_of(connection: Connection, member: MemberId) -> Sequence[TokenRecord]:
    """A member's tokens that are not taken back, the oldest first."""
    table = tables.tokens
    found = connection.execute(
        select(table)
        .where(table.c.member == member, table.c.revoked_at.is_(None))
        .order_by(table.c.created_at, table.c.token_hash)
    )
    return [_token(row) for row in found]


def tokens(connection: Connection) -> Sequence[TokenRecord]:
    """All that are not taken back, the ended too, by role and the oldest first."""
    table = tables.tokens
    found = connection.execute(
        select(table)
        .where(table.c.revoked_at.is_(None))
        .order_by(table.c.role, table.c.created_at, table.c.token_hash)
    )
    return [_token(row) for row in found]


def revoke_token(connection: Connection, token_hash: str, at: datetime) -> None:
    """Takes a token back; one that was taken back before keeps its first time."""
    table = tables.tokens
    connection.execute(
        update(table)
        .where(table.c.token_hash == token_hash, table.c.revoked_at.is_(None))
        .values(revoked_at=at)
    )


def count_revoked_tokens(connection: Connection) -> int:
    """How many were ever taken back: a look into an index, cheap enough for every second."""
    table = tables.tokens
    counted: int = connection.execute(
        select(func.count()).select_from(table).where(table.c.revoked_at.is_not(None))
    ).scalar_one()
    return counted


def revoked_tokens(connection: Connection) -> Sequence[str]:
    """The hashes of those that were ever taken back."""
    table = tables.tokens
    return (
        connection.execute(select(table.c.token_hash).where(table.c.revoked_at.is_not(None))).scalars().all()
    )


def note_token_uses(connection: Connection, uses: Mapping[str, datetime]) -> None:
    """Keeps when tokens were last used, by hash."""
    if uses:
        table = tables.tokens
        statement = update(table).where(table.c.token_hash == bindparam("used_hash"))
        connection.execute(
            statement.values(used_at=bindparam("used_now")),
            [{"used_hash": token_hash, "used_now": at} for token_hash, at in uses.items()],
        )


def renew_token(connection: Connection, token_hash: str, expires_at: datetime) -> None:
    """Gives a token another end."""
    table = tables.tokens
    connection.execute(update(table).where(table.c.token_hash == token_hash).values(expires_at=expires_at))


def _token(row: Any) -> TokenRecord:
    return TokenRecord(
        token_hash=row.token_hash,
        role=Role(row.role),
        member=None if row.member is None else MemberId(row.member),
        label=row.label,
        created_at=row.created_at,
        scopes=None if row.scopes is None else frozenset(map(Scope, row.scopes.split())),
        expires_at=row.expires_at,
        used_at=row.used_at,
    )


def add_instruction(connection: Connection, instruction: Instruction) -> None:
    """Keeps a standing instruction; the same one again, whenever it was made, changes nothing."""
    kind, parameters = _written(instruction.wanted)
    row = {
        "id": instruction.id,
        "member": instruction.member,
        "kind": kind,
        "parameters": json.dumps(parameters, sort_keys=True),
        "created_at": instruction.created_at,
    }
    rows.insert_once(connection, tables.instructions, [row], key="id", beside={"created_at"})


def end_instruction(connection: Connection, instruction_id: str, at: datetime) -> None:
    """Ends an instruction; one that has ended keeps its first time.

    Raises:
        NotFoundError: If there is none.
    """
    table = tables.instructions
    here = table.c.id == instruction_id
    found = connection.execute(select(table.c.ended_at).where(here)).one_or_none()
    if found is None:
        raise NotFoundError(f"there is no instruction {instruction_id}")
    if found.ended_at is None:
        connection.execute(update(table).where(here).values(ended_at=at))


def instructions(connection: Connection) -> Sequence[Instruction]:
    """The instructions that have not ended, by id."""
    table = tables.instructions
    found = connection.execute(select(table).where(table.c.ended_at.is_(None)))
    live = [
        Instruction(
            id=row.id,
            member=MemberId(row.member),
            wanted=_read(row.kind, json.loads(row.parameters)),
            created_at=row.created_at,
        )
        for row in found
    ]
    return sorted(live, key=lambda instruction: instruction.id)


def _written(wanted: Wanted) -> tuple[str, dict[str, Any]]:
    match wanted:
        case SellSurplus():
            return "sell_surplus", {"min_price_microeur_per_kwh": wanted.min_price_microeur_per_kwh}
        case GiveSurplus():
            return "give_surplus", {}
        case LeaveAt():
            return "leave_at", {
                "vehicle": wanted.vehicle,
                "at_local": wanted.at_local.isoformat("minutes"),
                "soc_fraction": wanted.soc_fraction,
                "weekdays": list(wanted.weekdays),
            }


def _read(kind: str, parameters: dict[str, Any]) -> Wanted:
    match kind:
        case "sell_surplus":
            return SellSurplus(**parameters)
        case "give_surplus":
            return GiveSurplus()
        case "leave_at":
            return LeaveAt(
                vehicle=AssetId(parameters["vehicle"]),
                at_local=time.fromisoformat(parameters["at_local"]),
                soc_fraction=parameters["soc_fraction"],
                weekdays=tuple(parameters["weekdays"]),
            )
        case _:
            raise ValueError(f"instructions of kind {kind!r} are not known to this version")


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
