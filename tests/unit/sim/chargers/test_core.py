"""The simulated charger without a socket: its queue, its samples, its manners off line."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import orjson
import pytest

from sim.chargers.client import DIALECTS
from sim.chargers.core import ChargerCore
from tests.support.ocpp import START, FakeSocket, charge_point

CAR = "NL-WST-C00000001"


def _core(
    socket: FakeSocket, *, booted: bool = True, version: str = "ocpp2.1", **options: Any
) -> ChargerCore:
    """A charger that has ticked once; booted and on line unless told otherwise."""
    core = ChargerCore(charge_point(fallback_kw=4.2), socket, dialect=DIALECTS[version], **options)
    core.tick(START)
    if booted:
        core.link_up()
        assert _next(core)[2] == "BootNotification"
        _answer(core, {"status": "Accepted", "currentTime": "2024-01-15T16:00:00Z", "interval": 900})
        _drain(core)
    return core


def _next(core: ChargerCore) -> Any:
    """The next call, decoded; None where nothing waits."""
    text = core.outbox.next_frame()
    return None if text is None else orjson.loads(text)


def _answer(core: ChargerCore, payload: dict[str, Any]) -> None:
    """Answers the open call."""
    assert core.outbox.has_open_call()
    core.receive(orjson.dumps([3, f"c{core.outbox._calls}", payload]).decode())


def _drain(core: ChargerCore) -> list[Any]:
    """Sends and answers everything that waits."""
    calls = []
    while (call := _next(core)) is not None:
        calls.append(call)
        _answer(core, {})
    return calls


def test_nothing_is_said_before_the_boot_is_accepted() -> None:
    """A pending station keeps its messages and asks again."""
    core = _core(FakeSocket(token=CAR), booted=False)
    core.link_up()
    assert _next(core)[2] == "BootNotification"
    assert _next(core) is None
    _answer(core, {"status": "Pending", "currentTime": "2024-01-15T16:00:00Z", "interval": 1})
    assert _next(core)[2] == "BootNotification"
    _answer(core, {"status": "Accepted", "currentTime": "2024-01-15T16:00:00Z", "interval": 1})
    assert [call[2] for call in _drain(core)] == [
        "StatusNotification",
        "TransactionEvent",
        "NotifyEVChargingNeeds",
    ]


def test_transaction_event_is_sent_again_until_it_is_answered() -> None:
    """An event without an answer goes back to the front; after five attempts it is given up."""
    socket = FakeSocket()
    core = _core(socket)
    socket.token = CAR
    core.tick(START + timedelta(seconds=10))
    assert _next(core)[2] == "StatusNotification"
    core.outbox.timed_out()
    first = _next(core)
    assert first[2] == "TransactionEvent"
    for _ in range(4):
        core.outbox.timed_out()
        assert _next(core)[3] == first[3]
    core.outbox.timed_out()
    assert _next(core)[2] == "NotifyEVChargingNeeds"


def test_call_that_was_open_when_the_link_fell_is_sent_again() -> None:
    """Start and change of state survive the link; what is stale by then is said anew."""
    socket = FakeSocket()
    core = _core(socket)
    socket.token = CAR
    core.tick(START + timedelta(seconds=10))
    assert _next(core)[2] == "StatusNotification"
    _answer(core, {})
    assert _next(core)[2] == "TransactionEvent"
    core.link_down()
    core.link_up()
    assert [call[2] for call in _drain(core)] == [
        "StatusNotification",
        "TransactionEvent",
        "TransactionEvent",
        "NotifyEVChargingNeeds",
    ]


def test_without_any_profile_the_charger_does_its_fallback() -> None:
    """Its maker's default holds until somebody tells it otherwise."""
    socket = FakeSocket(token=CAR)
    core = _core(socket)
    assert core.power_request_kw() == 4.2
    assert socket.requests[-1] == 4.2


def test_samples_are_spread_and_carry_the_quarter_hour() -> None:
    """The boundary's registers ride on the charger's own next sample, dated at the boundary."""
    socket = FakeSocket(token=CAR)
    core = _core(socket, phase_fraction=0.5)
    said: list[tuple[int, Any]] = []
    for second in range(10, 1000, 10):
        core.tick(START + timedelta(seconds=second))
        said.extend((second, call) for call in _drain(core))
    events = [(second, call[3]) for second, call in said if call[2] == "TransactionEvent"]
    assert {second % 60 for second, event in events if event["triggerReason"] == "MeterValuePeriodic"} == {30}
    clocked = [(second, event) for second, event in events if event["triggerReason"] == "MeterValueClock"]
    assert [second for second, _ in clocked] == [930]
    first, second_value = clocked[0][1]["meterValue"]
    assert first["timestamp"] == "2024-01-15T16:15:00Z"
    assert {value["context"] for value in first["sampledValue"]} == {"Sample.Clock"}
    assert second_value["timestamp"] == "2024-01-15T16:15:30Z"


def test_car_near_full_tells_its_lower_limit() -> None:
    """Limits are told anew when they moved, not with every sample."""
    socket = FakeSocket(token=CAR)
    core = _core(socket)
    told: list[float] = []
    for second, limit_kw in ((60, 11.0), (120, 10.8), (180, 6.0), (240, 6.0), (300, 11.0)):
        socket.charge_kw_max = limit_kw
        core.tick(START + timedelta(seconds=second))
        told.extend(
            call[3]["chargingNeeds"]["v2xChargingParameters"]["maxChargePower"]
            for call in _drain(core)
            if call[2] == "NotifyEVChargingNeeds"
        )
    assert told == [6000.0, 11_000.0]


def test_idle_charger_tells_its_meter_now_and_then() -> None:
    """Without a car a sample every five minutes, so that its meter does not go stale."""
    core = _core(FakeSocket())
    actions: list[str] = []
    for second in range(10, 1810, 10):
        core.tick(START + timedelta(seconds=second))
        actions.extend(call[2] for call in _drain(core))
    assert actions == ["MeterValues"] * 6


def test_offline_only_quarter_hours_and_ends_are_kept() -> None:
    """A long outage fills no memory, and settlement misses nothing."""
    socket = FakeSocket(token=CAR)
    core = _core(socket)
    core.link_down()
    for second in range(10, 3700, 10):
        core.tick(START + timedelta(seconds=second))
    socket.token = None
    core.tick(START + timedelta(seconds=3700))
    core.link_up()
    events = [call[3] for call in _drain(core) if call[2] == "TransactionEvent"]
    assert [event["eventType"] for event in events] == ["Updated"] * 4 + ["Ended"]
    assert all(event["offline"] for event in events)
    assert [event["seqNo"] for event in events] == sorted(event["seqNo"] for event in events)


@pytest.mark.parametrize(
    ("action", "payload", "expected"),
    [
        ("ClearChargingProfile", {"chargingProfileId": 9}, {"status": "Unknown"}),
        ("TriggerMessage", {"requestedMessage": "MeterValues"}, {"status": "Accepted"}),
        ("TriggerMessage", {"requestedMessage": "TransactionEvent"}, {"status": "Rejected"}),
        ("TriggerMessage", {"requestedMessage": "LogStatusNotification"}, {"status": "NotImplemented"}),
        ("RequestStopTransaction", {"transactionId": "T"}, {"status": "Rejected"}),
        ("GetTransactionStatus", {}, {"messagesInQueue": False}),
        ("GetCompositeSchedule", {"duration": 60, "evseId": 2}, {"status": "Rejected"}),
    ],
)
def test_requests_are_answered(action: str, payload: dict[str, Any], expected: dict[str, Any]) -> None:
    """What the CSMS asks of an idle charger."""
    core = _core(FakeSocket())
    reply = orjson.loads(core.receive(orjson.dumps([2, "q", action, payload]).decode()) or "")
    assert reply == [3, "q", expected]


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ('[2,"q","GetReport",{"requestId":1}]', "NotSupported"),
        ('[2,"q","Tea",{}]', "NotImplemented"),
        ('[2,"q","TriggerMessage",{}]', "OccurrenceConstraintViolation"),
        ("{}", "RpcFrameworkError"),
    ],
)
def test_what_it_cannot_do_is_a_call_error(frame: str, code: str) -> None:
    """The charger answers by the book too."""
    assert orjson.loads(_core(FakeSocket()).receive(frame) or "")[2] == code


def test_a_car_without_identification_waits_until_somebody_starts_it() -> None:
    """A guest's car is plugged in and takes nothing; a start from afar names who pays."""
    socket = FakeSocket(token="")  # no identification
    core = _core(socket)
    assert core.transaction is None
    assert core.begin_by_word("GUEST1")
    started = next(call for call in _drain(core) if call[2] == "TransactionEvent")
    assert started[3]["idToken"]["idToken"] == "GUEST1"
