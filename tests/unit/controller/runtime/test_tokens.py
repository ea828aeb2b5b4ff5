"""Tokens on a real store: listed without their secret, taken back here and by another process, at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from controller.domain.errors import ConflictError, NotFoundError
from controller.domain.ids import MemberId
from controller.domain.time import VirtualDomainClock
from controller.runtime import tokens as tokens_module
from controller.runtime.door import Principal
from controller.runtime.ports import TOKEN_LIFE, Role
from controller.runtime.service import Service
from controller.runtime.tokens import HASH_SHOWN, take_back, token_hash
from tests.support.neighbourhood import START
from tests.support.running import OLGA, running
from tests.support.storage import opened

HOME = MemberId("m-home")


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[tuple[Service, VirtualDomainClock]]:
    """A service whose computer's own time is a test's."""
    async with running(folder) as (controller, trading, _):
        service = Service(controller, trading, loop=asyncio.get_running_loop(), speed=1.0, messages=dict)
        service.wall_clock = wall = VirtualDomainClock(START)
        yield service, wall


async def operator(service: Service, label: str) -> str:
    """A token of an operator."""
    return await service.create_token(role=Role.OPERATOR, member=None, label=label, who=OLGA)


async def taken_back_elsewhere(folder: Path, token: str) -> None:
    """What another process does that has the same file open."""
    async with opened(folder / "test.sqlite3") as store, store.unit() as unit:
        record = await unit.token(token_hash(token))
        assert record is not None
        await take_back(unit, record, at=START, who="command line: root")


async def test_living_tokens_are_listed_with_their_last_use_and_without_the_secret(tmp_path: Path) -> None:
    """Those that ended or were taken back are not; a use is known at once, and after a restart."""
    async with serving(tmp_path) as (service, wall):
        olga, otto = await operator(service, "Olga"), await operator(service, "Otto")
        phone = await service.create_token(role=Role.RESIDENT, member=HOME, label="phone", who=OLGA)
        brief = await service.create_token(
            role=Role.RESIDENT, member=HOME, label="brief", who=OLGA, life=timedelta(days=1)
        )
        wall.advance_to(START + timedelta(days=2))
        assert await service.authenticate(olga) == OLGA
        await service.authenticate(brief)
        await service.take_token_back(token_hash=token_hash(otto)[:HASH_SHOWN], who=OLGA)
        listed = await service.living_tokens()
        assert [(one.role, one.member, one.label, one.used_at, one.expires_at) for one in listed] == [
            (Role.OPERATOR, None, "Olga", wall.now(), None),
            (Role.RESIDENT, HOME, "phone", None, START + TOKEN_LIFE),
        ]
        assert not any(secret in repr(listed) for secret in (olga, phone))
        await service.note_uses()
        again = Service(
            service.controller, service.trading, loop=asyncio.get_running_loop(), speed=1.0, messages=dict
        )
        again.wall_clock = wall
        assert list(await again.living_tokens()) == listed


async def test_an_operator_takes_anybodys_token_back_and_it_is_logged(tmp_path: Path) -> None:
    """It opens nothing at once, nor after a restart; what is named by no hash is refused."""
    async with serving(tmp_path) as (service, _):
        await operator(service, "Olga")
        fleet = await service.create_token(role=Role.FLEET, member=MemberId("fleet"), label="cars", who=OLGA)
        assert isinstance(await service.authenticate(fleet), Principal)
        for nothing in ("0" * HASH_SHOWN, ""):
            with pytest.raises(NotFoundError):
                await service.take_token_back(token_hash=nothing, who=OLGA)
        await service.take_token_back(token_hash=token_hash(fleet)[:HASH_SHOWN], who=OLGA)
        assert await service.authenticate(fleet) is None
        with pytest.raises(NotFoundError):
            await service.take_token_back(token_hash=token_hash(fleet)[:HASH_SHOWN], who=OLGA)
        event, given, _ = await service.events(limit=5)
        assert (event.who, event.what) == ("operator:Olga", "took a token back")
        assert (given.who, given.what, given.subject) == (event.who, "gave out a token", event.subject)
        assert event.subject == f"fleet fleet: cars ({token_hash(fleet)[:HASH_SHOWN]})"
        again = Service(
            service.controller, service.trading, loop=asyncio.get_running_loop(), speed=1.0, messages=dict
        )
        assert await again.authenticate(fleet) is None


async def test_a_member_who_makes_a_token_is_logged_without_the_token(tmp_path: Path) -> None:
    """Whichever of their own they used; a token that could not be made leaves no line."""
    async with serving(tmp_path) as (service, _):
        phone = Principal(role=Role.RESIDENT, member=HOME, label="phone")
        token = await service.create_token(role=Role.RESIDENT, member=HOME, label="robot", who=phone)
        with pytest.raises(NotFoundError):
            await service.create_token(role=Role.RESIDENT, member=MemberId("nobody"), label="x", who=OLGA)
        (event,) = await service.events(limit=5)
        assert (event.who, event.what) == (f"resident:{HOME}", "gave out a token")
        assert token_hash(token)[:HASH_SHOWN] in event.subject
        assert token not in event.subject


@pytest.mark.parametrize(
    ("role", "member", "rule"),
    [
        (Role.FLEET, HOME, "that is a fleet"),
        (Role.FLEET, MemberId("nobody"), "that is a fleet"),
        (Role.OPERATOR, HOME, "leave the member out"),
        (Role.GRID, HOME, "leave the member out"),
    ],
)
async def test_a_token_opens_nobodys_data_by_another_role(
    tmp_path: Path, role: Role, member: MemberId, rule: str
) -> None:
    """A fleet's token for a household would show where its car stands."""
    async with serving(tmp_path) as (service, _):
        with pytest.raises(NotFoundError, match=rule):
            await service.create_token(role=role, member=member, label="x", who=OLGA)


async def test_the_last_operators_token_stays_whoever_is_faster(tmp_path: Path) -> None:
    """Two operators take back each other's at the same moment: one of them is left, and told the way out."""
    async with serving(tmp_path) as (service, _):
        olga, otto = await operator(service, "Olga"), await operator(service, "Otto")
        outcomes = await asyncio.gather(
            service.take_token_back(token_hash=token_hash(otto), who=OLGA),
            service.take_token_back(token_hash=token_hash(olga), who=OLGA),
            return_exceptions=True,
        )
        (refused,) = [outcome for outcome in outcomes if outcome is not None]
        assert isinstance(refused, ConflictError)
        assert "give out another one first" in str(refused)
        assert len([token for token in (olga, otto) if await service.authenticate(token)]) == 1
        (left,) = await service.living_tokens()
        another = await operator(service, "Another")
        await service.take_token_back(token_hash=left.token_hash, who=OLGA)
        assert isinstance(await service.authenticate(another), Principal)


async def test_what_another_process_takes_back_ends_within_a_look(tmp_path: Path) -> None:
    """The running controller remembers the token, looks at the store, and forgets it; others stay."""
    async with serving(tmp_path) as (service, _):
        olga, otto = await operator(service, "Olga"), await operator(service, "Otto")
        await service.look_for_revoked()
        for token in (olga, otto):
            assert isinstance(await service.authenticate(token), Principal)
        await taken_back_elsewhere(tmp_path, otto)
        assert isinstance(await service.authenticate(otto), Principal)
        await service.look_for_revoked()
        assert await service.authenticate(otto) is None
        assert await service.authenticate(olga) == OLGA


async def test_a_token_that_is_looked_up_while_it_is_taken_back_is_not_remembered(tmp_path: Path) -> None:
    """The look at the store comes between reading the token's row and remembering it."""
    async with serving(tmp_path) as (service, _):
        await operator(service, "Olga")
        otto = await operator(service, "Otto")
        store, unit = service.controller.store, service.controller.store.unit
        looked = asyncio.Event()

        @asynccontextmanager
        async def slow() -> AsyncIterator[object]:
            async with unit() as opened_unit:
                yield opened_unit
            store.unit = unit  # type: ignore[method-assign]  # the next ones are as fast as ever
            await taken_back_elsewhere(tmp_path, otto)
            await service.look_for_revoked()
            looked.set()

        store.unit = slow  # type: ignore[method-assign, assignment]  # the row is read, then time passes
        assert await service.authenticate(otto) is None
        assert looked.is_set()
        assert await service.authenticate(otto) is None


async def test_the_store_is_followed_while_the_controller_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Look after look, and what was used is written down without anybody asking."""
    monkeypatch.setattr(tokens_module, "LOOK_S", 0.01)
    monkeypatch.setattr(tokens_module, "USES_EVERY_LOOKS", 1)
    async with serving(tmp_path) as (service, wall):
        olga, otto = await operator(service, "Olga"), await operator(service, "Otto")
        following = asyncio.create_task(service.follow_the_store())
        try:
            assert isinstance(await service.authenticate(olga), Principal)
            assert isinstance(await service.authenticate(otto), Principal)
            await taken_back_elsewhere(tmp_path, otto)
            async with asyncio.timeout(30.0):
                while await service.authenticate(otto) is not None:  # noqa: ASYNC110  # only looking tells
                    await asyncio.sleep(0.01)
                kept = None
                while kept is None:
                    await asyncio.sleep(0.01)
                    async with service.controller.store.unit() as unit:
                        (record,) = await unit.tokens()
                        kept = record.used_at
            assert kept == wall.now()
        finally:
            following.cancel()
