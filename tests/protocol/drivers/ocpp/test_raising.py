"""Chargers are raised to higher security profiles by their own protocol, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from controller.domain.errors import ConflictError, NotFoundError
from controller.domain.ids import AssetId
from drivers.ocpp.authority import Authority
from drivers.ocpp.desk import OcppDesk
from drivers.ocpp.handshake import Tls
from drivers.ocpp.raising import Raising
from drivers.ocpp.security import root_pem, server_context
from sim.chargers.client import SimulatedCharger
from tests.support.certificates import TestAuthority
from tests.support.ocpp import FakeSocket, Street, raw_charger, street, until

CP = AssetId("cp-001")
PASSWORD = "opensesame-opensesame"  # noqa: S105  # of the tests
VERSIONS = ("ocpp1.6", "ocpp2.0.1", "ocpp2.1")
NOWHERE = "wss://127.0.0.1:1/ocpp"


@asynccontextmanager
async def secured(folder: Path, **options: Any) -> AsyncIterator[Street]:
    """A street with both ports that signs certificates."""
    files = TestAuthority(folder)
    shown = files.issue("server")
    tls = Tls(
        port=0,
        context=server_context(*shown, client_authority=files.certificate_file),
        root_pem=root_pem(shown[0], files.certificate_file),
    )
    authority = Authority.read(files.certificate_file, files.key_file)
    usual: dict[str, Any] = {"tls": tls, "authority": authority, "passwords": {CP: PASSWORD}}
    async with street(**usual | options) as place:
        yield place


def on(place: Street, version: str, **options: Any) -> SimulatedCharger:
    """A charger that was installed with the plain address; for 1.6 it knows the encrypted one too."""
    usual: dict[str, Any] = {
        "version": version,
        "password": PASSWORD,
        "secure_url": f"wss://127.0.0.1:{place.endpoint.tls_port}/ocpp",
    }
    return place.charger(FakeSocket(), **usual | options)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_charger_climbs_from_1_to_3(tmp_path: Path, version: str) -> None:
    """The root, the way, back; a certificate, the way, back; it is steered again."""
    async with secured(tmp_path) as place:
        charger = on(place, version)
        await place.ready(charger)
        raised = await OcppDesk(place.endpoint, [CP]).raise_security(CP, 3, url="", interface="Wired0")
        assert (raised.before, raised.reached, raised.stopped) == (1, 3, "")
        assert raised.steps[0] == "took the root of our certificate"
        backs = [step for step in raised.steps if step.startswith("came back")]
        assert backs == ["came back with security profile 2", "came back with security profile 3"]
        assert raised.steps.index("took a certificate of its own") > raised.steps.index(backs[0])
        await until(lambda: charger.connected)
        assert place.endpoint.steerable() == {CP}
        assert (charger.connections, charger.core.access.profile) == (3, 3)
        assert len(charger.core.access.priority) == 1
        with pytest.raises(InvalidStatus):
            async with raw_charger(place, subprotocol=version):
                pass


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_charger_without_a_password_gets_one_first(tmp_path: Path, version: str) -> None:
    """From an open socket on loopback to a password over TLS."""
    async with secured(tmp_path, passwords=None) as place:
        charger = on(place, version, password=None)
        await place.ready(charger)
        raised = await Raising(place.endpoint, CP).to(2)
        assert (raised.before, raised.reached, raised.stopped) == (0, 2, "")
        assert raised.steps[0] == "took a password"


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_way_that_leads_nowhere_leaves_it_where_it_was(tmp_path: Path, version: str) -> None:
    """It tries, falls back to what it had, and the answer says so; nothing has become weaker or stronger."""
    async with secured(tmp_path) as place:
        charger = on(place, version, secure_url=NOWHERE)
        await place.ready(charger)
        raised = await Raising(place.endpoint, CP, url=NOWHERE).to(3)
        assert (raised.before, raised.reached) == (1, 1)
        assert raised.stopped.startswith("it came back with security profile 1")
        assert charger.connected
        assert place.endpoint.gate.known(CP).profile == 1


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_charger_that_refuses_stops_the_climb_before_it_starts_anew(
    tmp_path: Path, version: str
) -> None:
    """What is no certificate is not taken; it has not moved, and the next step is not tried."""
    async with secured(tmp_path) as place:
        charger = on(place, version)
        await place.ready(charger)
        if place.endpoint.tls is None:
            raise AssertionError
        place.endpoint.tls = Tls(port=0, context=place.endpoint.tls.context, root_pem="no certificate")
        raised = await Raising(place.endpoint, CP).to(2)
        assert raised.stopped.startswith("it did not take the root of our certificate")
        assert (raised.reached, raised.steps, charger.connections) == (1, (), 1)


@pytest.mark.parametrize("version", VERSIONS)
async def test_what_a_version_has_no_room_for_stops_the_climb(tmp_path: Path, version: str) -> None:
    """A root that is longer than its field: nothing is sent, and the answer says so."""
    async with secured(tmp_path) as place:
        charger = on(place, version)
        await place.ready(charger)
        if place.endpoint.tls is None:
            raise AssertionError
        place.endpoint.tls = Tls(port=0, context=place.endpoint.tls.context, root_pem="x" * 20_000)
        raised = await Raising(place.endpoint, CP).to(2)
        assert raised.stopped.startswith("the root of our certificate: ")
        assert (raised.reached, raised.steps) == (1, ())


async def test_a_car_that_comes_between_two_steps_charges_on(tmp_path: Path) -> None:
    """1.6 would end its transaction; meanwhile a second climb is refused."""
    async with secured(tmp_path) as place:
        socket = FakeSocket()
        secure_url = f"wss://127.0.0.1:{place.endpoint.tls_port}/ocpp"
        charger = place.charger(socket, version="ocpp1.6", password=PASSWORD, secure_url=secure_url)
        await place.ready(charger)
        desk = OcppDesk(place.endpoint, [CP])
        climb = asyncio.create_task(desk.raise_security(CP, 3, url="", interface="Wired0"))
        await asyncio.sleep(0)
        with pytest.raises(ConflictError, match="is being raised already"):
            await desk.raise_security(CP, 2, url="", interface="Wired0")
        await until(lambda: place.endpoint.gate.known(CP).profile == 2)
        socket.token = "NL-WST-C00000001"  # noqa: S105  # a car's name
        place.advance(10.0, charger)
        raised = await climb
        assert raised.stopped.startswith("a car has begun to charge")
        assert raised.reached == 2
        assert charger.core.transaction is not None


async def test_a_charger_that_stays_away_is_told_of(tmp_path: Path) -> None:
    """The time is over; the gate still lets it in on the way that it used before."""
    async with secured(tmp_path) as place:
        charger = on(place, "ocpp2.1", backoff_s=(9.0, 9.0))
        await place.ready(charger)
        raised = await Raising(place.endpoint, CP, back_within_s=0.2).to(2)
        assert raised.stopped.startswith("it has not come back for 0.2 s")
        assert raised.reached == 1


async def test_what_cannot_be_offered_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    """No charger, no higher profile, a car that charges, no port, no authority, no root."""
    async with secured(tmp_path) as place:
        desk = OcppDesk(place.endpoint, [CP])
        with pytest.raises(NotFoundError, match="not connected"):
            await desk.raise_security(CP, 2, url="", interface="Wired0")
        socket = FakeSocket(token="NL-WST-C00000001")  # noqa: S106  # a car's name
        charger = place.charger(socket, password=PASSWORD)
        await place.ready(charger)
        with pytest.raises(ConflictError, match="uses security profile 1 already"):
            await Raising(place.endpoint, CP).to(1)
        with pytest.raises(ConflictError, match="begins with wss://"):
            await Raising(place.endpoint, CP, url="ws://127.0.0.1/ocpp").to(2)
        with pytest.raises(ConflictError, match="a car charges"):
            await Raising(place.endpoint, CP).to(2)
        place.endpoint.authority = None
        with pytest.raises(ConflictError, match="we sign no certificates"):
            await Raising(place.endpoint, CP).to(3)
        if place.endpoint.tls is None:
            raise AssertionError
        place.endpoint.tls = Tls(port=0, context=place.endpoint.tls.context)
        with pytest.raises(ConflictError, match="root of our certificate is not known"):
            await Raising(place.endpoint, CP).to(2)
        place.endpoint.tls = None
        with pytest.raises(ConflictError, match="tls_port"):
            await Raising(place.endpoint, CP).to(2)
        assert charger.connections == 1
