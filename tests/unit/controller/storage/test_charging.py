"""Charging tokens and guests' sessions in the store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from controller.domain.charging_tokens import ChargingToken, TokenKind, handle_of
from controller.domain.ids import AssetId, MemberId
from controller.runtime.charging_ports import GuestRecord
from controller.storage import SqlStore
from tests.support.storage import QUARTER, START, opened

NUMBER = "04A1B2C3D4"
CARD = ChargingToken(
    token=NUMBER,
    handle=handle_of(NUMBER),
    member=MemberId("anna"),
    kind=TokenKind.CARD,
    label="key ring",
    vehicle=AssetId("car-1"),
    created_at=START,
    list_version=7,
)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    """An open store on a fresh file."""
    async with opened(tmp_path / "wijk.sqlite3") as store:
        yield store


def _guest(name: str, *, ended: bool) -> GuestRecord:
    return GuestRecord(
        session_id=name,
        secret_hash=f"{name}-hash",
        charge_point=AssetId("cp-1"),
        ended_at=START + QUARTER if ended else None,
        content='{"stage":"charging"}',
    )


async def test_a_token_comes_back_as_it_was_and_is_replaced_when_blocked(store: SqlStore) -> None:
    """Blocking keeps the row: the chargers' lists still have to say that it is bad."""
    other = replace(CARD, token=NUMBER[:-1], handle="x", vehicle=None, created_at=START + QUARTER)
    async with store.unit() as unit:
        await unit.put_charging_token(other)
        await unit.put_charging_token(CARD)
    blocked = replace(CARD, blocked_at=START + QUARTER, list_version=8)
    async with store.unit() as unit:
        assert list(await unit.charging_tokens()) == [CARD, other]
        await unit.put_charging_token(blocked)
    async with store.unit() as unit:
        assert list(await unit.charging_tokens()) == [blocked, other]


async def test_open_sessions_are_found_again_and_ended_ones_are_forgotten_in_time(store: SqlStore) -> None:
    """A restart asks for what is open; a receipt is kept until its time is over."""
    running, paid = _guest("a", ended=False), _guest("b", ended=True)
    async with store.unit() as unit:
        await unit.put_guest(running)
        await unit.put_guest(paid)
    async with store.unit() as unit:
        assert list(await unit.open_guests()) == [running]
        assert await unit.guest("b-hash") == paid
        assert await unit.guest("nobody's") is None
        assert await unit.drop_guests(ended_before=START + QUARTER) == 0
        assert await unit.drop_guests(ended_before=START + 2 * QUARTER) == 1
    async with store.unit() as unit:
        assert await unit.guest("b-hash") is None
        assert list(await unit.open_guests()) == [running]
