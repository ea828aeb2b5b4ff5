"""Bookings, wishes, tokens, the log and named values."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import time
from pathlib import Path

import pytest

from controller.domain.assets import Booking, Departure, Wishes, WishKind
from controller.domain.errors import ConflictError, NotFoundError
from controller.domain.ids import AssetId, MemberId
from controller.domain.instructions import GiveSurplus, Instruction, LeaveAt, SellSurplus, Wanted
from controller.runtime.ports import EventRecord, Role, Scope, TokenRecord
from controller.storage import SqlStore
from tests.support.storage import QUARTER, START, opened

CAR = AssetId("car-1")
HASH = "ab" * 32


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    """An open store on a fresh file."""
    async with opened(tmp_path / "wijk.sqlite3") as store:
        yield store


def _booking(booking_id: str, first: int, last: int) -> Booking:
    return Booking(
        id=booking_id,
        vehicle=CAR,
        from_utc=START + first * QUARTER,
        to_utc=START + last * QUARTER,
        energy_kwh=0.1 + 0.2,
        departure_min_kwh=None,
    )


async def test_booking_with_a_known_id_replaces_the_old(store: SqlStore) -> None:
    """The fleet moves a reservation by sending it again; a float comes back to the last bit."""
    async with store.unit() as unit:
        await unit.put_bookings([_booking("b2", 4, 8), _booking("b1", 0, 2)])
        await unit.put_bookings([replace(_booking("b2", 1, 3), departure_min_kwh=12.5)])
    async with store.unit() as unit:
        found = await unit.bookings(ending_after=START)
    assert found == [_booking("b1", 0, 2), replace(_booking("b2", 1, 3), departure_min_kwh=12.5)]


async def test_only_bookings_that_end_later_are_given(store: SqlStore) -> None:
    """One that ends at the instant is over."""
    async with store.unit() as unit:
        await unit.put_bookings(_booking(f"b{last}", 0, last) for last in (1, 2, 3))
        found = await unit.bookings(ending_after=START + 2 * QUARTER)
    assert [booking.id for booking in found] == ["b3"]


async def test_removed_booking_is_gone_and_cannot_be_removed_again(store: SqlStore) -> None:
    """The second time the fleet hears that there is none."""
    async with store.unit() as unit:
        await unit.put_bookings([_booking("b1", 0, 2)])
        await unit.delete_booking("b1")
        assert await unit.bookings(ending_after=START) == []
        with pytest.raises(NotFoundError, match="no booking b1"):
            await unit.delete_booking("b1")


@pytest.mark.parametrize(
    "wishes",
    [
        Wishes(asset=CAR),
        Wishes(asset=CAR, mode=WishKind.PAUSE, never_discharge=True),
        Wishes(asset=CAR, departure=Departure(vehicle=CAR, at_utc=START, energy_kwh=40.5)),
    ],
)
async def test_newest_wish_counts_and_reads_back_as_it_was(store: SqlStore, wishes: Wishes) -> None:
    """Each press of a button replaces what was pressed before for that asset."""
    async with store.unit() as unit:
        await unit.put_wishes(Wishes(asset=CAR, mode=WishKind.CHARGE_NOW))
        await unit.put_wishes(Wishes(asset=AssetId("car-2")))
        await unit.put_wishes(wishes)
    async with store.unit() as unit:
        assert await unit.wishes() == [wishes, Wishes(asset=AssetId("car-2"))]


async def test_token_is_found_by_its_hash_only(store: SqlStore) -> None:
    """An unknown hash opens nothing; the same token made again is the same token."""
    token = TokenRecord(
        token_hash=HASH, role=Role.RESIDENT, member=MemberId("anna"), label="demo", created_at=START
    )
    async with store.unit() as unit:
        await unit.add_token(token)
        await unit.add_token(replace(token, created_at=START + QUARTER))
        assert await unit.token(HASH) == token
        assert await unit.token("cd" * 32) is None


async def test_token_cannot_get_another_role(store: SqlStore) -> None:
    """A hash that opens a resident's page must not come to open the operator's."""
    token = TokenRecord(token_hash=HASH, role=Role.GRID, member=None, label="", created_at=START)
    async with store.unit() as unit:
        await unit.add_token(token)
    with pytest.raises(ConflictError, match=f"tokens: {HASH} known with other content"):
        async with store.unit() as unit:
            await unit.add_token(replace(token, role=Role.OPERATOR))
    async with store.unit() as unit:
        assert await unit.token(HASH) == token


async def test_log_gives_the_newest_first(store: SqlStore) -> None:
    """Also where two things happened at one instant."""
    events = [EventRecord(at=START, who="operator", what=f"step {i}", subject="car-1") for i in range(5)]
    async with store.unit() as unit:
        for event in events:
            await unit.add_event(event)
        assert await unit.events(limit=3) == events[:1:-1]
        assert await unit.events() == events[::-1]


async def test_named_value_is_replaced_and_unknown_is_none(store: SqlStore) -> None:
    """Small things to remember over a restart."""
    async with store.unit() as unit:
        await unit.put_value("clock", "1")
        await unit.put_value("clock", "2")
        assert await unit.value("clock") == "2"
        assert await unit.value("nothing") is None


async def test_token_that_was_taken_back_opens_nothing(store: SqlStore) -> None:
    """Its rights read back as they were given; the member's other tokens stand."""
    anna = MemberId("anna")
    made = TokenRecord(
        token_hash=HASH,
        role=Role.RESIDENT,
        member=anna,
        label="my program",
        created_at=START,
        scopes=frozenset({Scope.READ, Scope.ORDERS}),
        expires_at=START + QUARTER,
    )
    other = replace(made, token_hash="cd" * 32, scopes=None, created_at=START + QUARTER)
    async with store.unit() as unit:
        await unit.add_token(made)
        await unit.add_token(other)
        await unit.add_token(replace(other, token_hash="ef" * 32, member=MemberId("bob")))
        assert await unit.tokens_of(anna) == [made, other]
        await unit.renew_token(HASH, START + 2 * QUARTER)
        assert await unit.token(HASH) == replace(made, expires_at=START + 2 * QUARTER)
        await unit.revoke_token(HASH, START)
        await unit.revoke_token(HASH, START + QUARTER)
        assert await unit.token(HASH) is None
        assert await unit.tokens_of(anna) == [other]


@pytest.mark.parametrize(
    "wanted",
    [
        SellSurplus(min_price_microeur_per_kwh=-5),
        GiveSurplus(),
        LeaveAt(vehicle=CAR, at_local=time(8, 0), soc_fraction=0.6, weekdays=(0, 4)),
    ],
)
async def test_instruction_stands_until_it_is_ended(store: SqlStore, wanted: Wanted) -> None:
    """It reads back as it was given, once; with other content its id is taken."""
    instruction = Instruction(id="i1", member=MemberId("anna"), wanted=wanted, created_at=START)
    async with store.unit() as unit:
        await unit.add_instruction(instruction)
        await unit.add_instruction(replace(instruction, created_at=START + QUARTER))
        assert await unit.instructions() == [instruction]
        with pytest.raises(ConflictError):
            await unit.add_instruction(replace(instruction, wanted=SellSurplus(min_price_microeur_per_kwh=9)))
        await unit.end_instruction("i1", START)
        assert await unit.instructions() == []
        with pytest.raises(NotFoundError):
            await unit.end_instruction("i2", START)
