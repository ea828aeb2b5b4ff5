"""Charge sessions in the store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from controller.domain.charge_session import ChargeSession, begin_session
from controller.domain.ids import AssetId
from controller.domain.telemetry import SignedReading
from controller.runtime.session_ports import SessionQuery, SessionRecord
from controller.storage import SqlStore
from tests.support.charging import BEGAN, CARD, TARIFF, finished
from tests.support.storage import opened

HOUR = timedelta(hours=1)
EVERYBODY = SessionQuery()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    """An open store on a fresh file."""
    async with opened(tmp_path / "wijk.sqlite3") as store:
        yield store


def under_way(transaction: str = "tx-1") -> ChargeSession:
    """A session that goes on."""
    return begin_session(
        charge_point=AssetId("cp-1"), transaction=transaction, at=BEGAN, tariff=TARIFF, token=CARD
    )


def record(session: ChargeSession, after: timedelta = 0 * HOUR) -> SessionRecord:
    """Written some time after the start."""
    return SessionRecord(session=session, changed_at=BEGAN + after)


async def test_a_session_comes_back_as_it_was(store: SqlStore) -> None:
    """Its registers, its tariff, its signed statements, every instant."""
    signed = SignedReading(at=BEGAN, data="OCMF|{}", encoding="OCMF", public_key="MFkw")
    session = finished().with_signed(signed)
    async with store.unit() as unit:
        await unit.put_charge_sessions([record(session)])
    async with store.unit() as unit:
        assert await unit.charge_session(session.id) == record(session)
        assert await unit.charge_session("another") is None


async def test_an_ended_session_never_changes(store: SqlStore) -> None:
    """An end that a charger tells again after our restart is no new session."""
    over = finished()
    async with store.unit() as unit:
        await unit.put_charge_sessions([record(under_way())])
        await unit.put_charge_sessions([record(over, HOUR)])
        again = [record(under_way(), 2 * HOUR), record(under_way("tx-2"), 2 * HOUR)]
        await unit.put_charge_sessions(again)
    async with store.unit() as unit:
        assert await unit.charge_session(over.id) == record(over, HOUR)
        assert [one.transaction for one in await unit.open_charge_sessions()] == ["tx-2"]


async def test_pages_hold_what_is_asked_for(store: SqlStore) -> None:
    """By token whatever its case, by time of change, only those with a record, by start."""
    sessions = [finished(transaction=f"tx-{i}", began=BEGAN + i * HOUR) for i in range(4)]
    sessions[1] = replace(sessions[1], token=CARD.lower())
    sessions[2] = replace(sessions[2], token=f"{CARD}9")
    going = replace(under_way("tx-9"), started_at=BEGAN + 9 * HOUR)
    free = finished(transaction="tx-8", began=BEGAN + 8 * HOUR, tariff=None)
    async with store.unit() as unit:
        await unit.put_charge_sessions(
            [record(one, i * HOUR) for i, one in enumerate([*sessions, free, going])]
        )
    own = SessionQuery(tokens=[CARD])
    async with store.unit() as unit:

        async def names(query: SessionQuery, offset: int = 0, limit: int = 9) -> list[str]:
            found = await unit.charge_sessions(query, offset=offset, limit=limit)
            return [one.session.transaction for one in found]

        assert await names(EVERYBODY) == ["tx-0", "tx-1", "tx-2", "tx-3", "tx-8", "tx-9"]
        assert await names(own) == ["tx-0", "tx-1", "tx-3", "tx-8", "tx-9"]
        assert await names(own, offset=1, limit=2) == ["tx-1", "tx-3"]
        assert await unit.count_charge_sessions(own) == 5
        assert await names(replace(own, billable=True)) == ["tx-0", "tx-1", "tx-3"]
        span = replace(own, changed_from=BEGAN + HOUR, changed_before=BEGAN + 3 * HOUR)
        assert await names(span) == ["tx-1"]
        assert await unit.count_charge_sessions(replace(own, tokens=[])) == 0


async def test_old_sessions_are_forgotten(store: SqlStore) -> None:
    """Those that ended before a moment; what goes on is kept however old it is."""
    async with store.unit() as unit:
        await unit.put_charge_sessions([record(finished()), record(under_way("tx-2"))])
        assert await unit.drop_charge_sessions(ended_before=BEGAN + 2 * HOUR) == 0
        assert await unit.drop_charge_sessions(ended_before=BEGAN + 3 * HOUR) == 1
        assert [one.transaction for one in await unit.open_charge_sessions()] == ["tx-2"]
