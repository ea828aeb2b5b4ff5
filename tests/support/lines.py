"""A simulated charger on a line without a socket, where every call is answered."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import orjson

from drivers.ocpp import schemas
from sim.chargers.client import DIALECTS
from sim.chargers.core import ChargerCore
from sim.chargers.faults import Fault
from tests.support.ocpp import START, FakeSocket, charge_point

ANSWERS: dict[str, dict[str, Any]] = {
    "BootNotification": {"status": "Accepted", "currentTime": "2024-01-15T16:00:00Z", "interval": 900},
    "Authorize": {"idTagInfo": {"status": "Accepted"}},
    "StartTransaction": {"idTagInfo": {"status": "Accepted"}, "transactionId": 4711},
}


class Charger:
    """A charger on a line where every call is answered, and held against its version's schemas."""

    def __init__(self, version: str, *faults: Fault, socket: FakeSocket | None = None) -> None:
        self.socket = FakeSocket() if socket is None else socket
        self.core = ChargerCore(
            charge_point(fallback_kw=4.2), self.socket, dialect=DIALECTS[version], faults=faults
        )
        self.core.tick(START)
        self.said: list[tuple[str, dict[str, Any]]] = []

    def at(self, seconds: float) -> None:
        """Lets time pass."""
        self.core.tick(START + timedelta(seconds=seconds))

    def connect(self) -> list[str]:
        """Opens the link and lets it say what it has to say."""
        self.core.link_up()
        return self.talk()

    def talk(self) -> list[str]:
        """Sends and answers everything that waits; gives the actions."""
        actions: list[str] = []
        while (text := self.core.outbox.next_frame()) is not None:
            _, message_id, action, payload = orjson.loads(text)
            schemas.validate(self.core.dialect.schemas, f"{action}Request", payload)
            actions.append(action)
            self.said.append((action, payload))
            self.core.receive(orjson.dumps([3, message_id, ANSWERS.get(action, {})]).decode())
        return actions

    def ask(self, action: str, payload: dict[str, Any]) -> Any:
        """The answer to a request of the CSMS, held against its schema."""
        reply = orjson.loads(self.core.receive(orjson.dumps([2, "q", action, payload]).decode()) or "")
        assert reply[0] == 3, reply
        schemas.validate(self.core.dialect.schemas, f"{action}Response", reply[2])
        return reply[2]

    def of(self, action: str) -> list[dict[str, Any]]:
        """The payloads of one action."""
        return [payload for said, payload in self.said if said == action]
