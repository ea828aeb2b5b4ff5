"""The operator's routes to the chargers: requests are passed on, who sent them is kept, errors are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from controller.api.app import create_app
from controller.domain.charger_tools import (
    Ailment,
    ChargerFacts,
    ChargerHealth,
    CommandReply,
    ConnectorState,
    Direction,
    FieldFacts,
    LoggedMessage,
    RequestForm,
    SecurityRaise,
    StationFacts,
)
from controller.domain.errors import ConflictError, InputProblemsError, NotFoundError, Problem
from controller.domain.ids import AssetId
from controller.domain.reasons import Reason, ReasonCode
from controller.domain.setpoints import Applied
from controller.runtime.chargers_door import ChargersDoor
from controller.setpoints.safety import Decision
from tests.support.fake_door import FakeDoor
from tests.support.neighbourhood import START
from tests.support.ocpp import setpoint
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

    def requests(self, charge_point: AssetId) -> Mapping[str, bool]:
        """Two, of which one does more than ask."""
        self.asked.append(charge_point)
        return {"GetVariables": True, "Reset": False}

    def request_form(self, charge_point: AssetId, action: str) -> RequestForm:
        """Only of a reset."""
        if action != "Reset":
            raise NotFoundError(f"{charge_point} has no {action}")
        field = FieldFacts(place="type", kind="text", is_required=True, choices=("Immediate", "OnIdle"))
        return RequestForm(action=action, is_harmless=False, template={"type": "Immediate"}, fields=(field,))

    async def messages(
        self,
        charge_point: AssetId,
        *,
        since: datetime,
        until: datetime,
        contains: str,
        direction: Direction | None,
        limit: int,
    ) -> Sequence[LoggedMessage]:
        """One message."""
        self.asked.append((since, until, contains, direction, limit))
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
                since=(None,),
            )
        ]

    def facts(self) -> Sequence[ChargerFacts]:
        """One that has told of its connector, and charges."""
        connector = ConnectorState(evse=1, connector=1, status="Occupied", at=START)
        station = StationFacts(vendor="Wijk", model="W1", firmware="1.2", connectors=(connector,))
        return [
            ChargerFacts(
                charge_point=AssetId("cp-1"),
                identity="SN-0",
                security_profile=2,
                station=station,
                transactions=("T1",),
                is_charging=True,
            )
        ]

    def refuse(self, identity: str) -> None:
        """Anybody."""
        self.asked.append(("refuse", identity))

    def refused(self) -> Sequence[str]:
        """One."""
        return ("SN-3",)

    def forgive(self, identity: str) -> None:
        """Only that one."""
        if identity != "SN-3":
            raise NotFoundError("it was not refused")
        self.asked.append(("forgive", identity))

    def waiting(self) -> Mapping[str, int]:
        """Two who wait."""
        return {"SN-1": 1, "SN-2": 7}

    async def admit(self, identity: str, charge_point: AssetId) -> str:
        """Lets anybody in."""
        self.asked.append((identity, charge_point))
        return "once"

    async def raise_security(
        self, charge_point: AssetId, profile: int, *, url: str, interface: str
    ) -> SecurityRaise:
        """As far as 2."""
        self.asked.append((charge_point, profile, url, interface))
        return SecurityRaise(
            charge_point=charge_point,
            before=1,
            reached=2,
            steps=("came back with security profile 2",),
            stopped="it took no certificate",
        )

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
        address = "/api/operator/chargers/cp-1/messages?since=2024-01-15T00:00:00Z"
        address += "&contains=Meter&direction=to_charger&limit=5"
        shown = (await api.call("GET", address, OPERATOR)).json()
        assert [(each["direction"], each["text"]) for each in shown] == [("to_charger", "[2]")]
        since, _until, contains, direction, limit = tools.asked[0]
        assert since.isoformat() == "2024-01-15T00:00:00+00:00"
        assert (contains, direction, limit) == ("Meter", Direction.TO_CHARGER, 5)
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


async def test_a_request_is_looked_up_before_it_is_written(tmp_path: Path) -> None:
    """The actions with what they may do, a payload to begin with and its fields; another one is 404."""
    async with chargers_api(tmp_path) as (api, _, _):
        address = "/api/operator/chargers/cp-1/requests"
        listed = (await api.call("GET", address, OPERATOR)).json()
        assert listed == [
            {"action": "GetVariables", "is_harmless": True},
            {"action": "Reset", "is_harmless": False},
        ]
        form = (await api.call("GET", f"{address}/Reset", OPERATOR)).json()
        assert (form["template"], form["fields"][0]["choices"]) == (
            {"type": "Immediate"},
            ["Immediate", "OnIdle"],
        )
        assert (await api.call("GET", f"{address}/Dance", OPERATOR)).status_code == 404


async def test_facts_say_who_a_charger_is_and_what_it_was_asked(tmp_path: Path) -> None:
    """Before the first cycle nothing was asked: unknown, and not 0."""
    async with chargers_api(tmp_path) as (api, _, door):
        (facts,) = (await api.call("GET", "/api/operator/charger-facts", OPERATOR)).json()
        assert (facts["identity"], facts["security_profile"], facts["firmware"]) == ("SN-0", 2, "1.2")
        assert [(each["evse"], each["status"]) for each in facts["connectors"]] == [(1, "Occupied")]
        assert (facts["transactions"], facts["is_charging"]) == (["T1"], True)
        assert (facts["asked_kw"], facts["asked_because"], facts["confirmed_kw"]) == (None, None, None)
        hours = door.controller.guard.floor.hours[AssetId("cp-1")]
        assert (facts["floor_kw"], facts["floor_length_s"]) == (hours.power_kw, hours.length_s)
        cycle = door.controller.safety_cycle(START)
        reason = Reason(code=ReasonCode.NETWORK_LIMIT, subject="feeder-1")
        decision = Decision(asset=AssetId("cp-1"), power_kw=4.5, reason=reason)
        cycle = replace(cycle, decisions={decision.asset: decision})
        door.controller.snapshot = replace(door.controller.snapshot, cycle=cycle)
        door.controller.steering.note(Applied(setpoint=setpoint(7.0, asset="cp-1")), START)
        (facts,) = (await api.call("GET", "/api/operator/charger-facts", OPERATOR)).json()
        assert (facts["asked_kw"], facts["asked_because"]["subject"]) == (4.5, "feeder-1")
        assert (facts["confirmed_kw"], facts["safe_kw"]) == (7.0, 0.0)


async def test_waiting_chargers_are_refused_and_forgiven(tmp_path: Path) -> None:
    """Who did it is kept; one that was not refused is 404."""
    async with chargers_api(tmp_path) as (api, tools, door):
        refused = await api.call("DELETE", "/api/operator/charger-admissions/SN-1", OPERATOR)
        assert refused.json() == {"identity": "SN-1"}
        listed = (await api.call("GET", "/api/operator/charger-refusals", OPERATOR)).json()
        assert listed == [{"identity": "SN-3"}]
        forgiven = await api.call("DELETE", "/api/operator/charger-refusals/SN-3", OPERATOR)
        assert forgiven.status_code == 200
        unknown = await api.call("DELETE", "/api/operator/charger-refusals/SN-4", OPERATOR)
        assert unknown.status_code == 404
        assert tools.asked == [("refuse", "SN-1"), ("forgive", "SN-3")]
        async with door.controller.store.unit() as unit:
            events = await unit.events(limit=9)
        assert [(event.what, event.subject) for event in events] == [
            ("lets a refused charger wait again", "SN-3"),
            ("refused a charger", "SN-1"),
        ]


async def test_only_operators_reach_the_chargers(tmp_path: Path) -> None:
    """A resident's token sends nothing."""
    async with chargers_api(tmp_path) as (api, tools, _):
        body = {"action": "GetVariables"}
        answer = await api.call("POST", "/api/operator/chargers/cp-1/ocpp", "resident-token", body)
        assert answer.status_code == 403
        assert tools.asked == []


async def test_raising_security_is_confirmed_and_says_where_it_stopped(tmp_path: Path) -> None:
    """What is no profile or no encrypted address is 422; the event names how far it got."""
    async with chargers_api(tmp_path) as (api, tools, door):
        address = "/api/operator/chargers/cp-1/security"
        assert (await api.call("POST", address, OPERATOR, {"profile": 3})).status_code == 409
        for wrong in (
            {"profile": 4},
            {"profile": 2, "url": "ws://here/ocpp"},
            {"profile": 2, "interface": "x"},
        ):
            assert (await api.call("POST", address, OPERATOR, {**wrong, "confirm": True})).status_code == 422
        assert tools.asked == []
        answer = await api.call("POST", address, OPERATOR, {"profile": 3, "confirm": True})
        assert answer.json() == {
            "charger": "cp-1",
            "before": 1,
            "reached": 2,
            "steps": ["came back with security profile 2"],
            "stopped": "it took no certificate",
        }
        assert tools.asked == [("cp-1", 3, "", "Wired0")]
        async with door.controller.store.unit() as unit:
            assert (await unit.events(limit=1))[0].what == "raised its security profile to 2"
