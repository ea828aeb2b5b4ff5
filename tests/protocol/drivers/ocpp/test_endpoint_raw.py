"""The endpoint against connections and frames that no well-behaved charger would make."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import orjson
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from controller.domain.chargers import ChargerTemplate
from controller.domain.errors import NotFoundError, StartUpError
from controller.domain.ids import AssetId
from controller.domain.setpoints import NotSent, TimedOut
from controller.domain.telemetry import ConnectorReading, LinkReading
from controller.domain.time import VirtualDomainClock
from drivers.ocpp.codec import NoticeCode, Request
from drivers.ocpp.endpoint import OcppEndpoint
from drivers.ocpp.frames import MAX_FRAME_BYTES
from tests.support.ocpp import START, exchange, patient_answer, raw_charger, setpoint, street, until

HEARTBEAT = [2, "h", "Heartbeat", {}]
PASSWORDS = {"cp-001": "correct-horse"}
OCCUPIED = [
    2,
    "s",
    "StatusNotification",
    {"timestamp": "2024-01-15T16:00:00Z", "connectorStatus": "Occupied", "evseId": 1, "connectorId": 1},
]


def _basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("garbage", "RpcFrameworkError"),
        ("[2", "RpcFrameworkError"),
        (b"\x00\x01", "RpcFrameworkError"),
        ([2, "x", "Heartbeat", {"more": 1}], "FormatViolation"),
        ([2, "x", "MeterValues", {"evseId": 1}], "OccurrenceConstraintViolation"),
        ([2, "x", "Frobnicate", {}], "NotImplemented"),
        ([8, "x", "Heartbeat", {}], "MessageTypeNotSupported"),
        ([2, "x", "Heartbeat"], "ProtocolError"),
        ([2, "x", "Heartbeat", "none"], "TypeConstraintViolation"),
    ],
)
async def test_malformed_frame_is_answered_counted_and_the_loop_goes_on(frame: Any, code: str) -> None:
    """By the book: a CALLERROR, a count, and the next message is served on the same connection."""
    async with street() as place, raw_charger(place) as charger:
        answer = await exchange(charger, frame)
        assert (answer[0], answer[2]) == (4, code)
        assert place.endpoint.malformed == 1
        assert (await exchange(charger, HEARTBEAT))[:2] == [3, "h"]


@pytest.mark.parametrize("length", [MAX_FRAME_BYTES + 1, 2_000_000])
async def test_giant_frame_closes_only_its_own_connection(length: int) -> None:
    """Too large is not even buffered: 1009, and the neighbour does not notice."""
    async with street("cp-001", "cp-002") as place, raw_charger(place, "cp-002") as neighbour:
        async with raw_charger(place) as charger:
            await charger.send("x" * length)
            await charger.wait_closed()
            assert charger.close_code == 1009
        assert (await exchange(neighbour, HEARTBEAT))[0] == 3


@pytest.mark.parametrize("path", ["nobody", "", "cp-001/extra"])
async def test_unknown_charge_point_is_refused_and_listed(path: str) -> None:
    """404 before any message; the operator sees who knocked."""
    async with street() as place:
        with pytest.raises(InvalidStatus) as caught:
            async with raw_charger(place, path):
                pass
        assert caught.value.response.status_code == 404
        assert place.endpoint.gate.waiting == ({path: 1} if path else {})


async def test_connection_without_a_version_is_refused() -> None:
    """Who offers no subprotocol at all is no charger: 400 before any message."""
    async with street() as place:
        with pytest.raises(InvalidStatus) as caught:
            async with connect(f"{place.endpoint.url}/cp-001", proxy=None):
                pass
        assert caught.value.response.status_code == 400


async def test_wrong_subprotocol_is_closed_at_once() -> None:
    """Part 4, section 3.1.2: the handshake completes without a subprotocol, then the connection ends."""
    async with street() as place, raw_charger(place, subprotocol="ocpp1.2") as charger:
        assert charger.subprotocol is None
        with pytest.raises(ConnectionClosed) as caught:
            await charger.recv()
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1002
        assert place.of(LinkReading) == []


@pytest.mark.parametrize("subprotocol", ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"])
async def test_each_version_is_spoken_on_the_one_port(subprotocol: str) -> None:
    """The charger chooses by the subprotocol it offers, and is laid its floor in that version."""
    async with street() as place, raw_charger(place, subprotocol=subprotocol) as charger:
        assert charger.subprotocol == subprotocol
        assert (await exchange(charger, HEARTBEAT))[:2] == [3, "h"]
        await charger.send(patient_answer(orjson.loads(await charger.recv())))
        floor = orjson.loads(await charger.recv())
        profile = "csChargingProfiles" if subprotocol == "ocpp1.6" else "chargingProfile"
        assert profile in floor[3]


async def test_charger_that_spoke_a_newer_version_is_not_let_in_with_an_older_one() -> None:
    """No downgrade: an older version has weaker words and checks; the operator sees the attempt."""
    async with street() as place:
        async with raw_charger(place, subprotocol="ocpp2.0.1") as charger:
            assert (await exchange(charger, HEARTBEAT))[0] == 3
        async with raw_charger(place, subprotocol="ocpp1.6") as charger:
            assert charger.subprotocol is None
            await charger.wait_closed()
            assert charger.close_code == 1002
        assert [notice.code for notice in place.endpoint.notices] == [NoticeCode.DOWNGRADE]
        async with raw_charger(place, subprotocol="ocpp2.1") as charger:
            assert (await exchange(charger, HEARTBEAT))[0] == 3
        async with raw_charger(place, subprotocol="ocpp2.0.1") as charger:
            assert charger.subprotocol is None


async def test_template_may_allow_a_downgrade() -> None:
    """A make whose update was taken back is let in again by its template."""
    lenient = {AssetId("cp-001"): ChargerTemplate(may_downgrade=True)}
    async with street(templates=lenient) as place:
        for subprotocol in ("ocpp2.1", "ocpp1.6", "ocpp2.0.1"):
            async with raw_charger(place, subprotocol=subprotocol) as charger:
                assert charger.subprotocol == subprotocol
                assert (await exchange(charger, HEARTBEAT))[0] == 3


@pytest.mark.parametrize(
    "headers",
    [None, _basic("cp-001", "wrong"), _basic("cp-002", "correct-horse"), {"Authorization": "Bearer x"},
     {"Authorization": "Basic ???"}],
)  # fmt: skip
async def test_wrong_password_is_refused(headers: dict[str, str] | None) -> None:
    """Security profile 1: without the charge point's own name and password nobody gets in."""
    async with street(passwords=PASSWORDS) as place:
        with pytest.raises(InvalidStatus) as caught:
            async with raw_charger(place, headers=headers):
                pass
        assert caught.value.response.status_code == 401
        assert place.endpoint.connected() == 0


async def test_second_socket_replaces_the_first_only_with_the_password() -> None:
    """Field failure 20: an impostor does not push the charger out, the charger itself may come anew."""
    good = _basic("cp-001", "correct-horse")
    async with street(passwords=PASSWORDS) as place, raw_charger(place, headers=good) as first:
        assert (await exchange(first, HEARTBEAT))[0] == 3
        with pytest.raises(InvalidStatus):
            async with raw_charger(place, headers=_basic("cp-001", "guess")):
                pass
        assert (await exchange(first, HEARTBEAT))[0] == 3
        async with raw_charger(place, headers=good) as second:
            assert (await exchange(second, HEARTBEAT))[0] == 3
            await first.wait_closed()
            assert place.endpoint.connected() == 1
            assert (await exchange(second, OCCUPIED))[0] == 3
        await until(lambda: place.endpoint.connected() == 0)
        assert [reading.up for reading in place.of(LinkReading)] == [True, True, False]


async def test_refused_floor_is_noted() -> None:
    """A charger that takes no default does on its own what its maker chose: the operator must know."""
    async with street() as place, raw_charger(place) as charger:
        await charger.send(patient_answer(orjson.loads(await charger.recv())))
        for _ in range(2):
            call = orjson.loads(await charger.recv())
            assert call[2] == "SetChargingProfile"
            await charger.send(orjson.dumps([3, call[1], {"status": "Rejected"}]).decode())
        await until(lambda: len(place.endpoint.notices) == 2)
        assert {notice.code for notice in place.endpoint.notices} == {NoticeCode.PROFILE_REFUSED}


async def _serve(charger: ClientConnection, seen: list[str]) -> None:
    """Answers every call with Accepted."""
    while True:
        call = orjson.loads(await charger.recv())
        seen.append(call[2])
        await charger.send(patient_answer(call))


async def test_silent_reconnect_is_given_its_floor_and_asked_for_its_state() -> None:
    """A charger that only connects and waits hears: room, maximum, default, no old hours, its state."""
    async with street() as place, raw_charger(place) as charger:
        seen: list[str] = []
        task = asyncio.create_task(_serve(charger, seen))
        await until(lambda: len(seen) == 6)
        floor = [*["SetChargingProfile"] * 2, "ClearChargingProfile"]
        assert seen == ["GetVariables", *floor, *["TriggerMessage"] * 2]
        await place.endpoint.refresh(AssetId("cp-001"))
        assert seen[6:] == ["TriggerMessage"] * 2
        task.cancel()


async def test_only_one_request_is_open_and_the_queue_is_bounded() -> None:
    """OCPP allows one open request; who waits too long, or finds too many waiting, has not asked."""
    async with street(call_timeout_s=0.3, boot_grace_s=30.0) as place, raw_charger(place) as charger:
        await until(lambda: place.endpoint.connected() == 1)
        outcomes = await asyncio.gather(*(place.endpoint.set_power(setpoint(5.0)) for _ in range(12)))
        kinds = [type(outcome) for outcome in outcomes]
        assert kinds.count(TimedOut) >= 1
        assert kinds.count(NotSent) + kinds.count(TimedOut) == 12
        calls = [orjson.loads(await charger.recv())]
        assert calls[0][2] == "SetChargingProfile"


async def test_connection_that_goes_while_waiting_times_out() -> None:
    """The charger may have taken it before the cable was pulled."""
    async with street(boot_grace_s=30.0) as place, raw_charger(place) as charger:
        await until(lambda: place.endpoint.connected() == 1)
        waiting = asyncio.create_task(place.endpoint.set_power(setpoint(5.0)))
        await charger.recv()
        charger.transport.abort()
        outcome = await waiting
        assert isinstance(outcome, TimedOut)
        await until(lambda: place.endpoint.steerable() == frozenset())


async def test_readings_come_before_the_answer_goes() -> None:
    """What a charger got an answer to it never sends again, so it is kept first."""
    async with street() as place, raw_charger(place) as charger:
        await exchange(charger, OCCUPIED)
        assert [reading.plugged for reading in place.of(ConnectorReading)] == [True]


async def test_asking_who_is_not_there_is_an_error_of_the_caller() -> None:
    """The operator's door turns it into a 404."""
    async with street() as place:
        with pytest.raises(NotFoundError):
            await place.endpoint.ask(AssetId("cp-001"), Request(action="ClearCache", payload={}))
        with pytest.raises(NotFoundError):
            await place.endpoint.refresh(AssetId("cp-001"))


def _endpoint(host: str, port: int) -> OcppEndpoint:
    return OcppEndpoint(
        host=host,
        port=port,
        charge_points={},
        tokens=(),
        sink=lambda reading: None,  # noqa: ARG005  # nothing is heard here
        clock=VirtualDomainClock(START),
    )


async def test_port_that_is_taken_is_one_clear_line() -> None:
    """Start-up says which address, and why not."""
    async with street() as place:
        with pytest.raises(StartUpError, match=str(place.endpoint.port)):
            async with _endpoint("127.0.0.1", place.endpoint.port):
                pass


def test_open_address_needs_passwords() -> None:
    """Security profile 0 is for loopback only."""
    with pytest.raises(StartUpError, match="loopback"):
        _endpoint("0.0.0.0", 0)  # noqa: S104  # refused is the point


async def test_closing_ends_every_connection() -> None:
    """Leaving the endpoint leaves nothing running."""
    async with street() as place, raw_charger(place) as charger:
        await exchange(charger, HEARTBEAT)
        await place.endpoint.__aexit__(None, None, None)
        assert place.endpoint.connected() == 0
        await charger.wait_closed()
        assert charger.close_code == 1001
        with pytest.raises(NotFoundError):
            _ = place.endpoint.port
