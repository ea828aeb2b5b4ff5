"""What the grid operator imposed, and what the meters said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, or_, select, update

from controller.domain.errors import ConflictError, NotFoundError
from controller.domain.ids import NodeId
from controller.domain.network import ImposedLimit
from controller.runtime.ports import Lockout, RegisterRecord
from controller.storage import rows, tables


def put_limit(connection: Connection, limit: ImposedLimit) -> None:
    """Keeps a grid operator's limit; the same one again, withdrawn meanwhile or not, changes nothing."""
    row = {
        "id": limit.id,
        "node": limit.node,
        "import_kw": limit.import_kw,
        "export_kw": limit.export_kw,
        "from_utc": limit.from_utc,
        "to_utc": limit.to_utc,
        "set_by": limit.set_by,
    }
    rows.insert_once(connection, tables.limits, [row], key="id")


def end_limit(connection: Connection, limit_id: str, at: datetime) -> None:
    """Withdraws a limit; one that was withdrawn before keeps its earlier end."""
    table = tables.limits
    withdrawn = connection.execute(select(table.c.withdrawn_at).where(table.c.id == limit_id)).one_or_none()
    if withdrawn is None:
        raise NotFoundError(f"there is no limit {limit_id}")
    if withdrawn.withdrawn_at is None:
        connection.execute(update(table).where(table.c.id == limit_id).values(withdrawn_at=at))


def limits(connection: Connection, ending_after: datetime) -> Sequence[ImposedLimit]:
    """The limits that hold after an instant or have no end, by start."""
    table = tables.limits
    found = connection.execute(
        select(table)
        .where(or_(table.c.to_utc.is_(None), table.c.to_utc > ending_after))
        .where(or_(table.c.withdrawn_at.is_(None), table.c.withdrawn_at > ending_after))
        .order_by(table.c.from_utc, table.c.id)
    )
    return [
        ImposedLimit(
            id=row.id,
            node=NodeId(row.node),
            import_kw=row.import_kw,
            export_kw=row.export_kw,
            from_utc=row.from_utc,
            to_utc=min((end for end in (row.to_utc, row.withdrawn_at) if end is not None), default=None),
            set_by=row.set_by,
        )
        for row in found
    ]


def put_lockout(connection: Connection, lockout: Lockout) -> None:
    """Locks discharge out; where it is locked out already, the first one stays in force as it was set.

    Locking out must never fail because somebody else was quicker, so this is no conflict.
    """
    table = tables.lockouts
    if connection.execute(select(table.c.node).where(table.c.node == lockout.node)).first() is None:
        row = {"node": lockout.node, "set_by": lockout.set_by, "since": lockout.since}
        rows.insert_all(connection, table, [row])


def release_lockout(connection: Connection, node: NodeId) -> None:
    """Releases a lock-out."""
    if connection.execute(delete(tables.lockouts).where(tables.lockouts.c.node == node)).rowcount == 0:
        raise NotFoundError(f"discharge is not locked out at {node}")


def lockouts(connection: Connection) -> Sequence[Lockout]:
    """The live ones, by node."""
    found = connection.execute(select(tables.lockouts).order_by(tables.lockouts.c.node))
    return [Lockout(node=NodeId(row.node), set_by=row.set_by, since=row.since) for row in found]


def add_registers(connection: Connection, registers: Sequence[RegisterRecord]) -> None:
    """Keeps meter registers.

    A measured register replaces an estimated one and never the other way round; a later estimate replaces
    an earlier one.

    Raises:
        ConflictError: If a register was measured before with another value.
    """
    known = {at: registers_at(connection, at) for at in {register.at for register in registers}}
    wanted: dict[tuple[datetime, str], RegisterRecord] = {}
    clashing: list[str] = []
    for register in registers:
        key = (register.at, str(register.meter))
        before = wanted.get(key) or known[register.at].get(key[1])
        if before == register or (before is not None and register.estimated and not before.estimated):
            continue
        if before is not None and not before.estimated:
            clashing.append(f"{register.meter} at {register.at.isoformat()}")
        wanted[key] = register
    if clashing:
        raise ConflictError(f"measured before with another value: {', '.join(sorted(clashing)[:5])}")
    rows.upsert(
        connection,
        tables.registers,
        [
            {
                "at": register.at,
                "meter": register.meter,
                "import_wh": register.import_wh,
                "export_wh": register.export_wh,
                "estimated": register.estimated,
            }
            for register in wanted.values()
        ],
    )


def registers_at(connection: Connection, at: datetime) -> Mapping[str, RegisterRecord]:
    """All registers of one quarter-hour's end, by meter."""
    found = connection.execute(select(tables.registers).where(tables.registers.c.at == at))
    return {
        row.meter: RegisterRecord(
            meter=NodeId(row.meter),
            at=row.at,
            import_wh=row.import_wh,
            export_wh=row.export_wh,
            estimated=row.estimated,
        )
        for row in found
    }
