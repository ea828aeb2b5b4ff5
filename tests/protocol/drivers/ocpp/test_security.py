"""Security profiles over real sockets: TLS with passwords and certificates, rotation, admission, signing."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus
from websockets.typing import Subprotocol

from controller.domain.charger_tools import Ailment
from controller.domain.errors import ConflictError, InputProblemsError, NotFoundError
from controller.domain.ids import AssetId
from drivers.ocpp.authority import Authority
from drivers.ocpp.codec import NoticeCode
from drivers.ocpp.desk import OcppDesk
from drivers.ocpp.handshake import Tls
from drivers.ocpp.security import READ_BUFFER_BYTES, server_context
from tests.support.certificates import TestAuthority, key_pem, signing_request
from tests.support.ocpp import START, Street, exchange, patient_answer, raw_charger, street, until

CP = AssetId("cp-001")
PASSWORDS = {"cp-001": "opensesame"}
HEARTBEAT = [2, "h", "Heartbeat", {}]


def basic(password: str, name: str = "cp-001") -> dict[str, str]:
    """The header of HTTP Basic."""
    return {"Authorization": f"Basic {b64encode(f'{name}:{password}'.encode()).decode()}"}


@asynccontextmanager
async def tls_street(files: TestAuthority, **options: Any) -> AsyncIterator[Street]:
    """A street with a plain and an encrypted port; its clients' authority is the same."""
    context = server_context(*files.issue("server"), client_authority=files.certificate_file)
    async with street(passwords=PASSWORDS, tls=Tls(port=0, context=context), **options) as place:
        yield place


@asynccontextmanager
async def secure_charger(
    place: Street, context: ssl.SSLContext, headers: dict[str, str] | None = None, version: str = "ocpp2.0.1"
) -> AsyncIterator[ClientConnection]:
    """A charger on the encrypted port."""
    url = f"wss://127.0.0.1:{place.endpoint.tls_port}/ocpp/cp-001"
    async with connect(
        url,
        ssl=context,
        subprotocols=[Subprotocol(version)],
        additional_headers=headers,
        compression=None,
        proxy=None,
    ) as connection:
        yield connection


async def test_profiles_1_2_and_3_and_no_way_back(tmp_path: Path) -> None:
    """A password in the open, one over TLS, a certificate; each step up closes the one below."""
    files = TestAuthority(tmp_path)
    async with tls_street(files) as place:
        async with raw_charger(place, subprotocol="ocpp2.0.1", headers=basic("opensesame")) as charger:
            assert (await exchange(charger, HEARTBEAT))[0] == 3
        async with secure_charger(place, files.client(), basic("opensesame")) as charger:
            assert (await exchange(charger, HEARTBEAT))[0] == 3
        with pytest.raises(InvalidStatus) as caught:
            async with raw_charger(place, subprotocol="ocpp2.0.1", headers=basic("opensesame")):
                pass
        assert caught.value.response.status_code == 401
        own = files.client(*files.issue("cp-001"))
        async with secure_charger(place, own) as charger:
            assert (await exchange(charger, HEARTBEAT))[0] == 3
        with pytest.raises(InvalidStatus):
            async with secure_charger(place, files.client(), basic("opensesame")):
                pass
        downgrades = [n for n in place.endpoint.notices if n.code is NoticeCode.DOWNGRADE]
        assert ["profile 1" in downgrades[0].text, "profile 2" in downgrades[1].text] == [True, True]


async def test_another_chargers_or_authoritys_certificate_opens_nothing(tmp_path: Path) -> None:
    """A neighbour's certificate gets 401; one that a stranger signed does not get through the handshake."""
    files, stranger = TestAuthority(tmp_path), TestAuthority(tmp_path, "stranger")
    async with tls_street(files) as place:
        with pytest.raises(InvalidStatus):
            async with secure_charger(place, files.client(*files.issue("cp-002"))):
                pass
        with pytest.raises((ssl.SSLError, OSError, InvalidMessage)):
            async with secure_charger(place, files.client(*stranger.issue("cp-001"))):
                pass
        assert place.endpoint.connected() == 0


async def test_a_charger_asks_for_a_certificate_and_comes_back_with_it(tmp_path: Path) -> None:
    """SignCertificate is answered, CertificateSigned follows, and with that profile 3 is open to it."""
    files = TestAuthority(tmp_path)
    authority = Authority.read(files.certificate_file, files.key_file)
    key = ec.generate_private_key(ec.SECP256R1())
    async with tls_street(files, authority=authority) as place:
        async with secure_charger(place, files.client(), basic("opensesame")) as charger:
            asked = {"csr": signing_request(key, "cp-001"), "certificateType": "ChargingStationCertificate"}
            await charger.send(orjson.dumps([2, "c", "SignCertificate", asked]).decode())
            chain = ""
            async with asyncio.timeout(30.0):
                while not chain:
                    frame = orjson.loads(await charger.recv())
                    if frame[0] == 2:
                        chain = frame[3].get("certificateChain", "")
                        assert not chain or frame[3]["certificateType"] == asked["certificateType"]
                        await charger.send(patient_answer(frame))
        await asyncio.to_thread((tmp_path / "own.pem").write_text, chain, encoding="utf-8")
        await asyncio.to_thread((tmp_path / "own.key").write_text, key_pem(key), encoding="utf-8")
        async with secure_charger(place, files.client(tmp_path / "own.pem", tmp_path / "own.key")) as charger:
            assert (await exchange(charger, HEARTBEAT))[0] == 3


async def test_without_an_authority_a_request_for_a_certificate_is_rejected() -> None:
    """In each version's own words."""
    for version in ("ocpp1.6", "ocpp2.0.1", "ocpp2.1"):
        async with street() as place, raw_charger(place, subprotocol=version) as charger:
            answer = await exchange(charger, [2, "c", "SignCertificate", {"csr": "x"}])
            assert answer == [3, "c", {"status": "Rejected"}]


@pytest.mark.parametrize("version", ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"])
async def test_a_password_is_rotated_by_the_protocols_own_means(version: str) -> None:
    """The charger takes it, comes back with it, and the old one is over; the log does not show it."""
    given: list[str] = []
    async with street(passwords=PASSWORDS) as place:
        desk = OcppDesk(place.endpoint, [CP])
        async with raw_charger(place, subprotocol=version, headers=basic("opensesame")) as charger:
            rotating = asyncio.create_task(desk.rotate_password(CP))
            while not given:
                _, message_id, action, payload = orjson.loads(await charger.recv())
                answer: dict[str, object] = {"status": "Accepted"}
                if action == "ChangeConfiguration":
                    assert payload["key"] == "AuthorizationKey"
                    given.append(payload["value"])
                elif action == "SetVariables":
                    (data,) = payload["setVariableData"]
                    given.append(data.pop("attributeValue"))
                    answer = {"setVariableResult": [{**data, "attributeStatus": "Accepted"}]}
                await charger.send(orjson.dumps([3, message_id, answer]).decode())
            await rotating
        assert 16 <= len(given[0]) <= 40
        async with raw_charger(place, subprotocol=version, headers=basic(given[0])) as charger:
            assert (await exchange(charger, HEARTBEAT))[0] == 3
        with pytest.raises(InvalidStatus):
            async with raw_charger(place, subprotocol=version, headers=basic("opensesame")):
                pass
        found = await desk.messages(
            CP, since=START, until=START.replace(year=2025), contains="", direction=None, limit=999
        )
        assert found
        assert all(given[0] not in message.text for message in found)


async def test_an_unknown_charger_waits_and_is_admitted_in_place_of_the_old_one() -> None:
    """Its serial number is no id of the site; the device that stood there before is shown out."""
    kept: list[str] = []

    async def keep(text: str) -> None:
        kept.append(text)

    async with street(passwords=PASSWORDS, remember=keep) as place:
        desk = OcppDesk(place.endpoint, [CP])
        async with raw_charger(place, headers=basic("opensesame")) as old:
            assert (await exchange(old, HEARTBEAT))[0] == 3
            with pytest.raises(InvalidStatus) as caught:
                async with raw_charger(place, "SN-77"):
                    pass
            assert caught.value.response.status_code == 404
            assert desk.waiting() == {"SN-77": 1}
            password = await desk.admit("SN-77", CP)
            await old.wait_closed()
        async with raw_charger(place, "SN-77", headers=basic(password, "SN-77")) as charger:
            assert (await exchange(charger, HEARTBEAT))[0] == 3
            assert place.endpoint.steerable() == {CP}
    assert "SN-77" in kept[-1]
    async with (
        street(passwords=PASSWORDS, remembered=kept[-1]) as place,
        raw_charger(place, "SN-77", headers=basic(password, "SN-77")) as charger,
    ):
        assert (await exchange(charger, HEARTBEAT))[0] == 3


@pytest.mark.parametrize("version", ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"])
async def test_an_operator_sends_any_request_by_hand(version: str) -> None:
    """Validated by the version's schema; what can do harm is confirmed first; the answer comes back."""
    both = (CP, AssetId("cp-002"))
    async with street(*both) as place, raw_charger(place, subprotocol=version) as charger:
        desk = OcppDesk(place.endpoint, both)

        async def obey() -> None:
            with contextlib.suppress(ConnectionClosed):
                async for message in charger:
                    frame = orjson.loads(message)
                    if frame[0] == 2:
                        await charger.send(patient_answer(frame))

        patience = asyncio.create_task(obey())
        with pytest.raises(ConflictError, match="confirm"):
            await desk.command(CP, "ClearCache", {}, confirm=False)
        reply = await desk.command(CP, "ClearCache", {}, confirm=True)
        assert (reply.payload, reply.error) == ({"status": "Accepted"}, "")
        # By the schemas these are right: no charger's connection is where one finds out that they are not.
        deep: dict[str, Any] = {}
        for _ in range(400):
            deep = {"deep": deep}
        large = {"connectorId": 10**30} | ({} if version == "ocpp1.6" else {"evseId": 1})
        with pytest.raises(InputProblemsError, match="too large a number"):
            await desk.command(CP, "UnlockConnector", large, confirm=True)
        if version != "ocpp1.6":
            with pytest.raises(InputProblemsError, match="nested too deeply"):
                await desk.command(CP, "ClearCache", {"customData": {"vendorId": "x", **deep}}, confirm=True)
        with pytest.raises(InputProblemsError, match="no request 'Dance'"):
            await desk.command(CP, "Dance", {}, confirm=True)
        with pytest.raises(InputProblemsError) as told:
            await desk.command(CP, "Reset", {"type": "Gently", "when": 1}, confirm=True)
        assert [problem.place for problem in told.value.problems] == ["payload.type", "payload.when"]
        assert (desk.requests(CP)["Reset"], desk.requests(CP)["TriggerMessage"]) == (False, True)
        assert "BootNotification" not in desk.requests(CP)
        assert desk.request_form(CP, "Reset").fields[0].is_required
        with pytest.raises(NotFoundError, match="for us to send"):
            desk.request_form(CP, "BootNotification")
        with pytest.raises(NotFoundError, match="not connected"):
            await desk.command(AssetId("cp-002"), "ClearCache", {}, confirm=True)
        health = {each.charge_point: each for each in desk.health()}
        assert (health[CP].version, list(health[CP].ailments)) == (version, [])
        assert list(health[AssetId("cp-002")].ailments) == [Ailment.SILENT]
        patience.cancel()


async def test_the_timeline_of_a_transaction_has_its_messages_with_their_answers() -> None:
    """A start, a value and an end of two transactions: only the asked one's, each with its answer."""
    async with street() as place, raw_charger(place, subprotocol="ocpp2.0.1") as charger:
        desk = OcppDesk(place.endpoint, [CP])
        for number, (transaction, kind) in enumerate(
            [("A", "Started"), ("B", "Started"), ("A", "Updated"), ("A", "Ended")]
        ):
            event = {
                "eventType": kind,
                "timestamp": "2024-01-15T16:00:00Z",
                "triggerReason": "CablePluggedIn",
                "seqNo": number,
                "transactionInfo": {"transactionId": transaction},
            }
            await exchange(charger, [2, f"t{number}", "TransactionEvent", event])
        status = {"timestamp": "2024-01-15T16:00:00Z", "evseId": 1, "connectorId": 1}
        status["connectorStatus"] = "Available"
        await exchange(charger, [2, "s", "StatusNotification", status])
        # Nested deeper than Python goes by itself: it is refused, and nobody stumbles over it later.
        deep = f'[2,"deep","DataTransfer",{{"a":{"[" * 1000}{"]" * 1000}}}]'
        assert (await exchange(charger, deep))[:2] == [4, "deep"]
        (facts,) = desk.facts()
        assert (facts.identity, facts.security_profile) == (CP, 0)
        assert [one.status for one in facts.station.connectors] == ["Available"]
        assert "A" in facts.transactions
        await until(lambda: place.endpoint.messages >= 8)
        told = await desk.timeline(CP, "A")
        ids = [orjson.loads(message.text)[1] for message in told if "TransactionEvent" in message.text]
        assert ids == ["t0", "t2", "t3"]
        answers = [orjson.loads(m.text)[1] for m in told if orjson.loads(m.text)[0] == 3]
        assert {"t0", "t2", "t3"} <= set(answers)
        assert "t1" not in answers
        with pytest.raises(NotFoundError):
            await desk.timeline(CP, "C")


async def test_an_encrypted_connection_keeps_little_memory_and_reads_long_messages(tmp_path: Path) -> None:
    """Its read buffer is small in this version of Python too; a message of three buffers is answered."""
    files = TestAuthority(tmp_path)
    async with (
        tls_street(files) as place,
        secure_charger(place, files.client(), basic("opensesame")) as charger,
    ):
        long = {"vendorId": "vendor", "data": "x" * 3 * READ_BUFFER_BYTES}
        assert (await exchange(charger, [2, "d", "DataTransfer", long]))[0] == 3
        link = place.endpoint.link_of(CP)
        assert link is not None
        protocol = link.connection.transport._ssl_protocol  # type: ignore[attr-defined]  # no other way to see it
        assert len(protocol._ssl_buffer) == READ_BUFFER_BYTES  # as above
