"""An e-mobility provider with one customer, at a running site."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from starlette.routing import Mount

from controller.api.app import create_app
from controller.config import Settings
from controller.domain.charge_session import ChargeSession
from controller.domain.time import VirtualDomainClock
from controller.runtime.roaming import Roaming
from controller.runtime.session_ports import SessionRecord
from tests.support import ocpi
from tests.support.charging import BEGAN, CARD, OPERATOR, TARIFF
from tests.support.fake_door import FakeDoor
from tests.support.running import make_controller
from tests.support.storage import opened

HOUR = timedelta(hours=1)
NOW = BEGAN + 4 * HOUR
CONTRACT = "NL-TNM-C12345678-X"
LATER = replace(TARIFF, id="posted-2025", from_utc=TARIFF.from_utc + timedelta(days=366))
OTHER_CARD = f"{CARD}9"


@dataclass
class Provider:
    """A client with a credentials token."""

    client: httpx.AsyncClient
    roaming: Roaming
    token: str
    ocpi: FastAPI
    """The application below `/ocpi`."""

    async def raw(
        self, method: str, path: str, body: object = None, token: str | None = None
    ) -> httpx.Response:
        """One request."""
        encoded = base64.b64encode((token or self.token).encode()).decode()
        url = path if path.startswith("http") else f"http://test/ocpi/{path}"
        return await self.client.request(
            method, url, json=body, headers={"Authorization": f"Token {encoded}"}
        )

    async def get(self, path: str) -> Any:
        """The data of a successful answer."""
        answer = await self.raw("GET", path)
        assert answer.status_code == 200, answer.text
        envelope = ocpi.Envelope.model_validate(answer.json())
        assert envelope.status_code == 1000, envelope
        assert envelope.timestamp == "2024-05-15T12:00:00.000Z"
        return envelope.data


@asynccontextmanager
async def provider(folder: Path, *, registered: bool = True) -> AsyncIterator[Provider]:
    """A provider with one customer at a running site."""
    async with opened(folder / "wijk.sqlite3") as store:
        settings = Settings(charging=replace(OPERATOR, tariffs=(TARIFF, LATER)))
        controller = make_controller(store, VirtualDomainClock(NOW), settings=settings)
        roaming = Roaming(controller, asyncio.get_running_loop())
        token = await roaming.invite(country_code="NL", party_id="TNM", name="The New Motion", who="operator")
        await roaming.put_contracts("NL*TNM", {CARD.lower(): CONTRACT}, "operator")
        app = create_app(FakeDoor(), roaming=roaming, console=False, storage_secret="of the tests")  # noqa: S106
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport) as client:
            (below,) = [each.app for each in app.routes if isinstance(each, Mount) and each.path == "/ocpi"]
            assert isinstance(below, FastAPI)
            found = Provider(client, roaming, token, below)
            if registered:
                answer = await found.raw("POST", "2.2.1/credentials", CREDENTIALS)
                found.token = answer.json()["data"]["token"]
            yield found


CREDENTIALS: dict[str, Any] = {
    "token": "their-own-token",
    "url": "https://emsp.example/ocpi/versions",
    "roles": [
        {
            "role": "EMSP",
            "country_code": "NL",
            "party_id": "TNM",
            "business_details": {"name": "TNM", "logo": {}},
        }
    ],
}


async def keep(of: Provider, *sessions: ChargeSession, changed_at: datetime = NOW) -> None:
    """Writes sessions."""
    async with of.roaming.controller.store.unit() as unit:
        await unit.put_charge_sessions(
            SessionRecord(session=session, changed_at=changed_at) for session in sessions
        )
