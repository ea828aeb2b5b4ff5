"""An operator sees who has tokens and takes them back; what was open with one ends."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx

from controller.api.app import create_app
from controller.api.resident.market import clearing_events
from controller.domain.ids import MemberId
from controller.runtime.ports import Role
from controller.runtime.service import Service
from controller.runtime.tokens import HASH_SHOWN, take_back, token_hash
from tests.support.running import OLGA, running
from tests.support.storage import START, opened
from tests.support.web import bearer, make_api

TOKENS = "/api/operator/tokens"
HOME = MemberId("m-home")


def named(token: str) -> str:
    """The address of a token."""
    return f"{TOKENS}/{token_hash(token)[:HASH_SHOWN]}"


async def test_all_tokens_are_listed_and_ones_own_is_marked() -> None:
    """By the start of their hash: no token is in the answer."""
    api = make_api()
    answer = await api.call("GET", TOKENS, "operator-token")
    listed = {one["token_hash"]: one for one in answer.json()}
    assert len(listed) == len(api.door.tokens)
    assert not any(token in answer.text for token in api.door.tokens)
    own = listed[token_hash("operator-token")[:HASH_SHOWN]]
    assert (own["role"], own["label"], own["yours"]) == ("operator", "Operator Olga", True)
    fleet = listed[token_hash("fleet-token")[:HASH_SHOWN]]
    assert (fleet["role"], fleet["member"], fleet["yours"]) == ("fleet", "fleet-1", False)


async def test_a_token_is_taken_back_by_the_start_of_its_hash() -> None:
    """A short start could mean several; what is not there is told."""
    api = make_api()
    assert (await api.call("DELETE", named("fleet-token"), "operator-token")).json() == {"done": True}
    assert (await api.call("GET", "/api/fleet/bookings", "fleet-token")).status_code == 401
    assert (await api.call("DELETE", named("fleet-token"), "operator-token")).status_code == 404
    assert (await api.call("DELETE", f"{TOKENS}/abc", "operator-token")).status_code == 422


async def test_every_roles_token_can_be_given_out_and_who_did_it_is_kept() -> None:
    """Also a supplier's, which opens the supplier's door and no other."""
    api = make_api()
    for role in Role:
        member = "home-7" if role is Role.RESIDENT else None
        body = {"role": role.value, "member": member, "label": f"a new {role.value}"}
        made = await api.call("POST", TOKENS, "operator-token", body)
        assert (made.status_code, made.json()["role"]) == (201, role.value)
        assert api.door.calls[-1] == ("create_token", (role.value, f"a new {role.value}", "Operator Olga"))
        imbalance = await api.call("GET", "/api/supplier/imbalance?day=2024-01-14", made.json()["token"])
        assert (imbalance.status_code == 403) == (role is not Role.SUPPLIER)


async def test_the_last_operators_token_is_refused_with_the_way_out() -> None:
    """In the reader's language; with another one given out it goes."""
    api = make_api()
    own = named("operator-token")
    refused = await api.call("DELETE", own, "operator-token", language="nl")
    assert refused.status_code == 409
    assert "geef eerst een ander uit" in refused.json()["detail"]
    body = {"role": "operator", "label": "Otto"}
    another = (await api.call("POST", TOKENS, "operator-token", body)).json()["token"]
    assert (await api.call("DELETE", own, another)).status_code == 200
    assert (await api.call("GET", TOKENS, "operator-token")).status_code == 401
    assert (await api.call("GET", TOKENS, another)).status_code == 200


async def test_what_is_open_ends_whoever_takes_its_token_back(tmp_path: Path) -> None:
    """On a real store: by an operator at once, by another process with the next look; streams end."""
    async with running(tmp_path) as (controller, trading, _):
        service = Service(controller, trading, loop=asyncio.get_running_loop(), speed=1.0, messages=dict)
        operator = await service.create_token(role=Role.OPERATOR, member=None, label="Olga", who=OLGA)
        grid = await service.create_token(role=Role.GRID, member=None, label="grid", who=OLGA)
        home = await service.create_token(role=Role.RESIDENT, member=HOME, label="phone", who=OLGA)
        app = create_app(service, console=False, storage_secret="of the tests")  # noqa: S106  # no secret
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            who = await service.authenticate(home)

            async def stands() -> bool:
                return await service.authenticate(home) == who

            async def sleep(_: float) -> None:
                """The operator acts while the stream waits."""
                answer = await client.delete(named(home), headers=bearer(operator))
                assert answer.status_code in {200, 404}

            async with asyncio.timeout(30.0):
                heard = [event async for event in clearing_events(service, HOME, None, stands, sleep=sleep)]
            assert heard[0] == b": open\n\n"
            assert (await client.get("/api/resident/balance", headers=bearer(home))).status_code == 401

            assert (await client.get("/api/grid/nodes/f1/limits", headers=bearer(grid))).status_code == 200
            async with opened(tmp_path / "test.sqlite3") as store, store.unit() as unit:
                record = await unit.token(token_hash(grid))
                assert record is not None
                await take_back(unit, record, at=START, who="command line:root")
            await service.look_for_revoked()
            assert (await client.get("/api/grid/nodes/f1/limits", headers=bearer(grid))).status_code == 401
            left = (await client.get(TOKENS, headers=bearer(operator))).json()
            assert [(one["label"], one["yours"]) for one in left] == [("Olga", True)]
            events = (await client.get("/api/operator/events", headers=bearer(operator))).json()
            assert [event["who"] for event in events] == ["command line:root", *["operator:Olga"] * 4]
