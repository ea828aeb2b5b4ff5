"""Members' charging tokens: registered, blocked at once, kept over a restart, and never told in full."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

from controller.api.app import create_app
from controller.domain.charge_session import begin_session
from controller.domain.charging_tokens import TokenKind, handle_of
from controller.domain.errors import ConflictError, InputProblemsError, NotFoundError, WijkstroomError
from controller.domain.ids import AssetId, MemberId
from controller.domain.telemetry import ConnectorReading, Reading
from controller.runtime.charging_tokens import TOKENS_MAX, ChargingTokens, NewToken
from controller.runtime.core import Controller
from controller.runtime.door import Principal
from controller.runtime.ports import Role
from controller.runtime.session_ports import SessionRecord
from tests.support.fake_door import FakeDoor
from tests.support.neighbourhood import START
from tests.support.running import running
from tests.support.web import Api, api_of

HOME, FLEET = MemberId("m-home"), MemberId("fleet")
RESIDENT = Principal(role=Role.RESIDENT, member=FLEET, label="owner")
OPERATOR = Principal(role=Role.OPERATOR, member=None, label="op")
NUMBER = "04a1b2c3d4"


def _card(number: str = NUMBER, car: str | None = None) -> NewToken:
    return NewToken(
        token=number, kind=TokenKind.CARD, label="ring", vehicle=None if car is None else AssetId(car)
    )


@asynccontextmanager
async def _tokens(folder: Path) -> AsyncIterator[tuple[ChargingTokens, Controller]]:
    async with running(folder) as (controller, _, _):
        tokens = ChargingTokens(controller, asyncio.get_running_loop())
        await tokens.load()
        yield tokens, controller


async def test_a_registered_card_charges_as_its_car_and_outlives_a_restart(tmp_path: Path) -> None:
    """The reading that reaches the controller names the car, whichever case the reader wrote."""
    heard: list[Reading] = []

    def keep(reading: Reading) -> None:
        heard.append(reading)

    async with _tokens(tmp_path) as (tokens, controller):
        assert not tokens.accepts(NUMBER)
        made = await tokens.register(_card(car="car-1"), FLEET, RESIDENT)
        assert made.token == NUMBER.upper()
        again = ChargingTokens(controller, asyncio.get_running_loop())
        await again.load()
        assert again.book.version == tokens.book.version == made.list_version
        assert again.accepts(NUMBER)
        shown = ConnectorReading(charge_point=AssetId("cp-2"), at=START, plugged=True, token=NUMBER)
        again.tap(keep)(shown)
    assert heard == [replace(shown, token="token-1")]  # noqa: S106  # the car's own


async def test_a_lost_card_is_blocked_at_once_also_when_the_store_fails(tmp_path: Path) -> None:
    """The chargers hear it; whoever asks learns that it will not outlive a restart, and blocks it again."""
    async with _tokens(tmp_path) as (tokens, controller):
        card = await tokens.register(_card(), FLEET, RESIDENT)
        told: list[int] = []
        tokens.changed = lambda: told.append(tokens.book.version)

        def no_unit() -> NoReturn:
            raise WijkstroomError("the disk is full")

        unit, controller.store.unit = controller.store.unit, no_unit  # type: ignore[method-assign]
        with pytest.raises(WijkstroomError):
            await tokens.set_blocked(card.handle, blocked=True, member=FLEET, who=RESIDENT)
        controller.store.unit = unit  # type: ignore[method-assign]
        assert not tokens.accepts(NUMBER)
        assert told == [tokens.book.version]
        assert tokens.book.version > card.list_version
        again = await tokens.set_blocked(card.handle, blocked=True, member=FLEET, who=RESIDENT)
        assert told == [tokens.book.version], "the chargers' lists are no others"
        restarted = ChargingTokens(controller, asyncio.get_running_loop())
        await restarted.load()
        assert not restarted.accepts(NUMBER)
        assert again in await restarted.tokens(FLEET)


@pytest.mark.parametrize(("stop_running", "ended"), [(True, ["T"]), (False, [])])
async def test_blocking_a_card_ends_what_it_charges_unless_told_otherwise(
    tmp_path: Path, *, stop_running: bool, ended: list[str]
) -> None:
    """Its own transaction, not the neighbour's, and not one that is over; how the charger took it is kept."""
    async with _tokens(tmp_path) as (tokens, controller):
        card = await tokens.register(_card(car="car-1"), FLEET, RESIDENT)
        stopped: list[str] = []

        async def stop(charge_point: AssetId, transaction: str) -> str | None:
            assert charge_point == "cp-2"
            stopped.append(transaction)
            return None

        tokens.stop = stop
        hear = tokens.tap(lambda _: None)
        for point, token, transaction in (
            ("cp-1", NUMBER, "old"),
            ("cp-1", None, None),
            ("cp-2", NUMBER, "T"),
            ("cp-3", "token-2", "other"),
        ):
            hear(
                ConnectorReading(
                    charge_point=AssetId(point),
                    at=START,
                    plugged=True,
                    token=token,
                    transaction=transaction,
                )
            )
        await tokens.set_blocked(
            card.handle, blocked=True, member=FLEET, who=RESIDENT, stop_running=stop_running
        )
        assert stopped == ended
        async with controller.store.unit() as unit:
            told = [event.what for event in await unit.events()]
        text = "could not stop what a blocked token charges: no answer"
        assert (text in told) == stop_running
        await tokens.set_blocked(card.handle, blocked=True, member=FLEET, who=RESIDENT)
        assert stopped == [*ended, "T"], "who blocks it again has it stopped again"


async def test_blocking_a_card_ends_what_it_charges_since_before_a_restart(tmp_path: Path) -> None:
    """The chargers name their transactions and not who began them: the recorded sessions do."""
    async with _tokens(tmp_path) as (tokens, controller):
        card = await tokens.register(_card(), FLEET, RESIDENT)
        sessions = [
            begin_session(
                charge_point=AssetId(point), transaction=transaction, at=START, tariff=None, token=token
            )
            for point, transaction, token in (
                ("cp-1", "lost", NUMBER),
                ("cp-2", "T", NUMBER),
                ("cp-3", "other", "token-2"),
            )
        ]
        async with controller.store.unit() as unit:
            await unit.put_charge_sessions(
                [SessionRecord(session=session, changed_at=START) for session in sessions]
            )
        hear = tokens.tap(controller.receive)
        for point, transaction in (("cp-1", "next"), ("cp-2", "T"), ("cp-3", "other")):
            hear(
                ConnectorReading(charge_point=AssetId(point), at=START, plugged=True, transaction=transaction)
            )
        controller.hear()
        stopped: list[str] = []

        async def stop(charge_point: AssetId, transaction: str) -> str | None:
            stopped.append(f"{charge_point} {transaction}")
            return ""

        tokens.stop = stop
        await tokens.set_blocked(card.handle, blocked=True, member=FLEET, who=RESIDENT)
        assert stopped == ["cp-2 T"]


async def test_allowing_a_card_again_waits_for_the_store(tmp_path: Path) -> None:
    """What is allowed again counts once it is kept."""
    async with _tokens(tmp_path) as (tokens, _):
        card = await tokens.register(_card(), FLEET, RESIDENT)
        await tokens.set_blocked(card.handle, blocked=True, member=None, who=OPERATOR)
        assert not tokens.accepts(NUMBER)
        await tokens.set_blocked(card.handle, blocked=False, member=FLEET, who=RESIDENT)
        assert tokens.accepts(NUMBER)


async def test_a_cars_own_identification_can_be_blocked(tmp_path: Path) -> None:
    """It stands in the member's list without having been registered."""
    async with _tokens(tmp_path) as (tokens, _):
        own = {one.handle: one for one in await tokens.tokens(FLEET)}
        car = own[handle_of("token-1")]
        assert car.kind is TokenKind.CAR
        await tokens.set_blocked(car.handle, blocked=True, member=FLEET, who=RESIDENT)
        assert not tokens.accepts("token-1")
        assert tokens.accepts("token-2")
        assert len(await tokens.tokens(FLEET)) == len(own)


async def test_what_may_not_be_registered(tmp_path: Path) -> None:
    """Wrong forms and cars all at once; another's card without a word of whose; not without end."""
    async with _tokens(tmp_path) as (tokens, _):
        with pytest.raises(InputProblemsError) as wrong:
            await tokens.register(_card("a b", car="car-9"), FLEET, RESIDENT)
        assert [problem.place for problem in wrong.value.problems] == ["token", "vehicle"]
        with pytest.raises(InputProblemsError, match="a car's own"):
            await tokens.register(_card("TOKEN-2"), FLEET, RESIDENT)
        await tokens.register(_card(), HOME, OPERATOR)
        with pytest.raises(ConflictError) as refused:
            await tokens.register(_card(), FLEET, RESIDENT)
        assert "m-home" not in str(refused.value)
        with pytest.raises(NotFoundError):
            await tokens.set_blocked(handle_of(NUMBER), blocked=True, member=FLEET, who=RESIDENT)
        for number in range(TOKENS_MAX):
            await tokens.register(_card(f"04{number:06d}"), FLEET, RESIDENT)
        with pytest.raises(ConflictError, match="at most"):
            await tokens.register(_card("04FFFFFF"), FLEET, RESIDENT)
        named = await tokens.register(replace(_card("04000000"), label="new name"), FLEET, RESIDENT)
        assert named.label == "new name"


async def test_the_log_names_a_token_by_its_handle_and_its_end(tmp_path: Path) -> None:
    """Nobody can copy a card from the log of who did what."""
    async with _tokens(tmp_path) as (tokens, controller):
        card = await tokens.register(_card(), FLEET, RESIDENT)
        await tokens.set_blocked(card.handle, blocked=True, member=FLEET, who=RESIDENT)
        async with controller.store.unit() as unit:
            events = await unit.events()
    assert [event.what for event in events] == ["blocked a charging token", "registered a charging token"]
    assert {event.subject for event in events} == {f"{card.handle} …C3D4"}


async def test_lists_are_new_when_the_sites_cars_are_others(tmp_path: Path) -> None:
    """A charger that holds the list of the old site file gets the whole one."""
    async with _tokens(tmp_path) as (tokens, controller):
        before = tokens.book
        controller.site = replace(controller.site, vehicles=controller.site.vehicles[:2])
        after = ChargingTokens(controller, asyncio.get_running_loop())
        await after.load()
    assert after.book.version > before.version
    assert after.book.changes_since(before.version) is None


@asynccontextmanager
async def _api(folder: Path) -> AsyncIterator[Api]:
    async with _tokens(folder) as (tokens, _):
        door = FakeDoor()
        app = create_app(door, charging_tokens=tokens, console=False, storage_secret="a secret")  # noqa: S106
        yield api_of(door, app)


async def test_a_member_keeps_their_own_over_the_api(tmp_path: Path) -> None:
    """Register, see, block; the number is in no answer, and nobody else can touch it."""
    async with _api(tmp_path) as api:
        path = "/api/resident/charging-tokens"
        body = {"token": NUMBER, "kind": "card", "label": "ring"}
        made = await api.call("POST", "/api/operator/charging-tokens", "operator-token", body)
        assert made.status_code == 422
        body["member"] = "m-home"
        made = await api.call("POST", "/api/operator/charging-tokens", "operator-token", body)
        assert made.status_code == 201
        handle = made.json()["handle"]
        blocked = await api.call("PUT", f"{path}/{handle}/blocked", "neighbour-token", {"blocked": True})
        assert blocked.status_code == 404
        seen = await api.call("GET", "/api/operator/charging-tokens?member=m-home", "operator-token")
        assert [one["ends_with"] for one in seen.json()] == ["…C3D4"]
        assert NUMBER.upper() not in (made.text + seen.text).upper()
        done = await api.call(
            "PUT", f"/api/operator/charging-tokens/{handle}/blocked", "operator-token", {"blocked": True}
        )
        assert done.json()["blocked_at_utc"] is not None
