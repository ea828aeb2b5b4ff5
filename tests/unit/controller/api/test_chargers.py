"""The operator's routes to the chargers: requests are passed on, who sent them is kept, errors are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from controller.api.app import create_app
from controller.domain.charger_tools import Ailment, ChargerHealth, CommandReply, Direction, LoggedMessage
from controller.domain.errors import ConflictError, InputProblemsError, NotFoundError, Problem
from controller.domain.ids import AssetId
from controller.runtime.chargers_door import ChargersDoor
from tests.support.fake_door import FakeDoor
from tests.support.neighbourhood import START
from tests.support.running import running
from tests.support.web import Api

OPERATOR = "operator-token"


class FakeTools:
    """Tools that remember what they were asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    async def command(
        self, charge_point: AssetId, action: str, payload: Mapping[str, Any], *, confirm: bool
    ) -> CommandReply:
        """Resets want to be confirmed; a dance is unknown."""
        if action == "Dance":
            raise InputProblemsError("command", [Problem(place="action", rule="no such request")])
        if action == "Reset" and not confirm:
            raise ConflictError("it can do harm")
        self.asked.append((charge_point, action, dict(payload), confirm))
        return CommandReply(action=action, payload={"status": "Accepted"}, error="", description="")

    async def messages(
        self, charge_point: AssetId, *, since: datetime, until: datetime, contains: str, limit: int
    ) -> Sequence[LoggedMessage]:
        """One message."""
        self.asked.append((since, until, contains, limit))
        return [self._message(charge_point)]

    async def timeline(self, charge_point: AssetId, transaction: str) -> Sequence[LoggedMessage]:
        """Only of one transaction."""
        if transaction != "T1":
            raise NotFoundError("no such transaction")
        return [self._message(charge_point)]

    def health(self) -> Sequence[ChargerHealth]:
        """One silent charger."""
        return [
            ChargerHealth(
                charge_point=AssetId("cp-1"),
                version="",
                heard_at=None,
                connects=0,
                ailments=(Ailment.SILENT,),
                why=("never heard",),
            )
        ]

    def waiting(self) -> Mapping[str, int]:
        """Two who wait."""
        return {"SN-1": 1, "SN-2": 7}

    async def admit(self, identity: str, charge_point: AssetId) -> str:
        """Lets anybody in."""
        self.asked.append((identity, charge_point))
        return "once"

    async def rotate_password(self, charge_point: AssetId) -> None:
        """Always works."""
        self.asked.append(charge_point)

    @staticmethod
    def _message(charge_point: AssetId) -> LoggedMessage:
        return LoggedMessage(charge_point=charge_point, at=START, direction=Direction.TO_CHARGER, text="[2]")


@asynccontextmanager
async def chargers_api(folder: Path) -> AsyncIterator[tuple[Api, FakeTools, ChargersDoor]]:
    """The API with tools behind it, and a store that keeps who did what."""
    async with running(folder) as (controller, _, _):
        tools = FakeTools()
        door = ChargersDoor(controller, tools, asyncio.get_running_loop())
        kept = FakeDoor()
        app = create_app(kept, chargers=door, console=False, storage_secret="of the tests")  # noqa: S106  # no secret
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        client = httpx.AsyncClient(transport=transport, base_url="http://test")
        yield Api(door=kept, app=app, client=client), tools, door


async def test_any_request_is_passed_on_and_who_sent_it_is_kept(tmp_path: Path) -> None:
    """What does harm unconfirmed is 409, what is no request 422 with its place."""
    async with chargers_api(tmp_path) as (api, tools, door):
        address = "/api/operator/chargers/cp-1/ocpp"
        body: dict[str, object] = {"action": "Reset", "payload": {"type": "Soft"}}
        refused = await api.call("POST", address, OPERATOR, body)
        assert refused.status_code == 409
        answer = await api.call("POST", address, OPERATOR, {**body, "confirm": True})
        assert answer.json() == {
            "action": "Reset",
            "payload": {"status": "Accepted"},
            "error": "",
            "description": "",
        }
        assert tools.asked == [("cp-1", "Reset", {"type": "Soft"}, True)]
        unknown = await api.call("POST", address, OPERATOR, {"action": "Dance"})
        assert unknown.status_code == 422
        assert unknown.json()["problems"][0]["place"] == "action"
        misspelt = await api.call("POST", address, OPERATOR, {"action": "Reset", "confrim": True})
        assert misspelt.status_code == 422
        async with door.controller.store.unit() as unit:
            (event,) = await unit.events(limit=9)
        assert (event.what, event.subject) == ("sent Reset: answered", "cp-1")
        assert event.who.startswith("operator:")


async def test_messages_timeline_and_health_are_read(tmp_path: Path) -> None:
    """With the span and the text that were asked for; an unknown transaction is 404."""
    async with chargers_api(tmp_path) as (api, tools, _):
        address = "/api/operator/chargers/cp-1/messages?since=2024-01-15T00:00:00Z&contains=Meter&limit=5"
        shown = (await api.call("GET", address, OPERATOR)).json()
        assert [(each["direction"], each["text"]) for each in shown] == [("to_charger", "[2]")]
        since, _until, contains, limit = tools.asked[0]
        assert (since.isoformat(), contains, limit) == ("2024-01-15T00:00:00+00:00", "Meter", 5)
        told = await api.call("GET", "/api/operator/chargers/cp-1/transactions/T1", OPERATOR)
        assert len(told.json()) == 1
        gone = await api.call("GET", "/api/operator/chargers/cp-1/transactions/T2", OPERATOR)
        assert gone.status_code == 404
        (health,) = (await api.call("GET", "/api/operator/charger-health", OPERATOR)).json()
        assert (health["charger"], health["ailments"]) == ("cp-1", ["silent"])


async def test_waiting_chargers_are_let_in_and_passwords_changed(tmp_path: Path) -> None:
    """The most eager first; the password is in the answer and not in the events."""
    async with chargers_api(tmp_path) as (api, tools, door):
        waiting = (await api.call("GET", "/api/operator/charger-admissions", OPERATOR)).json()
        assert [each["identity"] for each in waiting] == ["SN-2", "SN-1"]
        admitted = await api.call(
            "PUT", "/api/operator/charger-admissions/SN-2", OPERATOR, {"charger": "cp-1"}
        )
        assert admitted.json() == {"identity": "SN-2", "charger": "cp-1", "password": "once"}
        changed = await api.call("POST", "/api/operator/chargers/cp-1/password", OPERATOR)
        assert changed.json() == {"charger": "cp-1"}
        assert tools.asked == [("SN-2", "cp-1"), "cp-1"]
        async with door.controller.store.unit() as unit:
            events = await unit.events(limit=9)
        assert [event.what for event in events] == ["gave it a new password", "admitted SN-2"]


async def test_only_operators_reach_the_chargers(tmp_path: Path) -> None:
    """A resident's token sends nothing."""
    async with chargers_api(tmp_path) as (api, tools, _):
        body = {"action": "GetVariables"}
        answer = await api.call("POST", "/api/operator/chargers/cp-1/ocpp", "resident-token", body)
        assert answer.status_code == 403
        assert tools.asked == []
