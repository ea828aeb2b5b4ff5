"""A session by hand: frames as a charger of OCPP 2.1 writes them, and what they bring."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from controller.domain.telemetry import CarReading, ConnectorReading, MeterReading, TransactionReading
from drivers.ocpp.codec import Answer, CallInFlightError, NoticeCode, Received, Request
from drivers.ocpp.schemas import PayloadError
from drivers.ocpp.v21 import Session21
from tests.support.ocpp import START, session

BOOT = (
    '[2,"b1","BootNotification",{"reason":"PowerUp","chargingStation":{"model":"SingleSocketCharger",'
    '"vendorName":"VendorX","firmwareVersion":"1.2.3","serialNumber":"SN-0001","modem":{"iccid":"8931"}}}]'
)
STARTED = (
    '[2,"t0","TransactionEvent",{"eventType":"Started","timestamp":"2024-01-15T15:59:30Z",'
    '"triggerReason":"CablePluggedIn","seqNo":0,"transactionInfo":{"transactionId":"AB1234",'
    '"chargingState":"EVConnected"},"evse":{"id":1,"connectorId":1},"idToken":{"idToken":'
    '"NL-WST-C00000001","type":"eMAID"},"meterValue":[{"timestamp":"2024-01-15T15:59:30Z","sampledValue":'
    '[{"value":1000,"context":"Transaction.Begin","measurand":"Energy.Active.Import.Register",'
    '"unitOfMeasure":{"unit":"Wh"}}]}]}]'
)
NEEDS = (
    '[2,"n1","NotifyEVChargingNeeds",{"evseId":1,"timestamp":"2024-01-15T15:59:40Z","chargingNeeds":'
    '{"requestedEnergyTransfer":"AC_BPT","availableEnergyTransfer":["AC_three_phase","AC_BPT"],'
    '"controlMode":"DynamicControl","mobilityNeedsMode":"EVCC","departureTime":"2024-01-16T07:00:00Z",'
    '"v2xChargingParameters":{"minChargePower":1380,"maxChargePower":3680,"maxChargePower_L2":3680,'
    '"maxChargePower_L3":3680,"minDischargePower":-1380,"maxDischargePower":-10000,'
    '"evMinEnergyRequest":5000,"evMaxEnergyRequest":30000,"evTargetEnergyRequest":20000,"targetSoC":80}}}]'
)

AC_16_A = {"energyAmount": 1, "evMinCurrent": 6, "evMaxCurrent": 16, "evMaxVoltage": 230}


def _updated(sequence: int, at: str, samples: dict[str, float], **more: Any) -> str:
    """A TransactionEvent Updated of transaction AB1234 as text."""
    values = [{"measurand": measurand, "value": value} for measurand, value in samples.items()]
    payload = {
        "eventType": "Updated",
        "timestamp": at,
        "triggerReason": "MeterValuePeriodic",
        "seqNo": sequence,
        "transactionInfo": {"transactionId": "AB1234", "chargingState": "Charging"},
        "meterValue": [{"timestamp": at, "sampledValue": values}],
        **more,
    }
    return orjson.dumps([2, f"u{sequence}", "TransactionEvent", payload]).decode()


def _ended(sequence: int, at: str, transaction: str = "AB1234", reason: str = "EVDisconnected") -> str:
    payload = {
        "eventType": "Ended",
        "timestamp": at,
        "triggerReason": "EVDeparted" if reason == "EVDisconnected" else "RemoteStop",
        "seqNo": sequence,
        "transactionInfo": {"transactionId": transaction, "stoppedReason": reason},
    }
    return orjson.dumps([2, f"e{sequence}", "TransactionEvent", payload]).decode()


def _status(status: str, at: str = "2024-01-15T16:00:00Z") -> str:
    payload = {"timestamp": at, "connectorStatus": status, "evseId": 1, "connectorId": 1}
    return orjson.dumps([2, "s1", "StatusNotification", payload]).decode()


def _plugged() -> Session21:
    """A session with transaction AB1234 open."""
    fresh = session()
    fresh.receive(BOOT, START)
    fresh.receive(STARTED, START)
    return fresh


def _codes(received: Received) -> list[NoticeCode]:
    return [notice.code for notice in received.notices]


def test_boot_is_accepted_with_our_time() -> None:
    """The charger sets its clock by the answer, and is to be laid its floor."""
    received = session().receive(BOOT, START)
    assert received.booted
    kind, message_id, payload = orjson.loads(received.reply or "")
    assert (kind, message_id) == (3, "b1")
    assert payload == {"currentTime": "2024-01-15T16:00:00Z", "interval": 900, "status": "Accepted"}


def test_heartbeat_gives_the_time() -> None:
    """Heartbeats are answered with domain time."""
    received = session().receive('[2,"h","Heartbeat",{}]', START)
    assert received.reply == '[3,"h",{"currentTime":"2024-01-15T16:00:00Z"}]'


def test_started_transaction_names_the_car() -> None:
    """A start brings the register, the connector with its token, and the silence of the car."""
    received = session().receive(STARTED, START)
    at = datetime(2024, 1, 15, 15, 59, 30, tzinfo=UTC)
    meter, _, connector, car = received.readings
    assert isinstance(meter, MeterReading)
    assert (meter.at, meter.import_wh, meter.power_kw) == (at, 1000, None)
    assert connector == ConnectorReading(
        charge_point=connector.charge_point,  # type: ignore[union-attr]  # narrowed by the equality itself
        at=at,
        plugged=True,
        token="NL-WST-C00000001",  # noqa: S106  # a car's public identification in the test
        transaction="AB1234",
    )
    assert isinstance(car, CarReading)
    assert "15118" in car.why_unknown
    assert received.reply == '[3,"t0",{"idTokenInfo":{"status":"Accepted"}}]'


def test_charging_needs_give_the_cars_limits() -> None:
    """Three phases add up, and a discharge limit is a magnitude whatever its sign (EVerest PR 1473)."""
    plugged = _plugged()
    received = plugged.receive(NEEDS, START)
    (car,) = received.readings
    assert isinstance(car, CarReading)
    assert car.charge_kw_max == pytest.approx(11.04)
    assert car.discharge_kw_max == pytest.approx(10.0)
    assert car.soc_fraction is None
    assert received.reply == '[3,"n1",{"status":"Processing"}]'


@pytest.mark.parametrize(
    ("needs", "charge_kw", "discharge_kw", "soc"),
    [
        ({"requestedEnergyTransfer": "AC_three_phase",
          "acChargingParameters": AC_16_A},
         11.04, None, None),
        ({"requestedEnergyTransfer": "AC_single_phase",
          "acChargingParameters": AC_16_A},
         3.68, None, None),
        ({"requestedEnergyTransfer": "DC_BPT",
          "dcChargingParameters": {"evMaxCurrent": 100, "evMaxVoltage": 400, "evMaxPower": 30000,
                                   "stateOfCharge": 44, "evEnergyCapacity": 58000},
          "v2xChargingParameters": {"maxChargePower": 22000, "maxDischargePower": 10000}},
         22.0, 10.0, 0.44),
        ({"requestedEnergyTransfer": "AC_three_phase", "v2xChargingParameters": {"maxDischargePower": 9000}},
         None, None, None),
    ],
)  # fmt: skip
def test_smallest_limit_counts_and_discharge_needs_its_service(
    needs: dict[str, Any], charge_kw: float | None, discharge_kw: float | None, soc: float | None
) -> None:
    """Whichever standard the car speaks; without a two-way service nothing is offered."""
    text = orjson.dumps([2, "n", "NotifyEVChargingNeeds", {"evseId": 1, "chargingNeeds": needs}]).decode()
    (car,) = session().receive(text, START).readings
    assert isinstance(car, CarReading)
    assert (car.charge_kw_max, car.discharge_kw_max, car.soc_fraction) == (charge_kw, discharge_kw, soc)


def test_a_state_of_charge_that_is_told_again_is_no_newer() -> None:
    """It was read with the meter; the car's wishes of ten minutes later say nothing of it."""
    plugged = _plugged()
    plugged.receive(_updated(1, "2024-01-15T16:00:00Z", {"SoC": 61.5}), START)
    later = NEEDS.replace("2024-01-15T15:59:40Z", "2024-01-15T16:10:00Z")
    (car,) = plugged.receive(later, START + timedelta(minutes=10)).readings
    assert isinstance(car, CarReading)
    assert (car.soc_fraction, car.soc_at) == (0.615, datetime(2024, 1, 15, 16, 0, tzinfo=UTC))
    assert car.at == START + timedelta(minutes=10)


def test_car_facts_stay_until_it_leaves() -> None:
    """What the car told at plug-in stands beside each later state of charge, and leaves with it."""
    plugged = _plugged()
    plugged.receive(NEEDS, START)
    received = plugged.receive(_updated(1, "2024-01-15T16:00:00Z", {"SoC": 61.5}), START)
    car = next(reading for reading in received.readings if isinstance(reading, CarReading))
    assert (car.soc_fraction, car.discharge_kw_max) == (0.615, 10.0)
    plugged.receive(_ended(2, "2024-01-15T16:01:00Z"), START + timedelta(minutes=1))
    assert plugged.state.car.discharge_kw_max is None
    assert plugged.state.plugged is False


def test_remote_stop_leaves_the_car_plugged_in() -> None:
    """An end without a departure says nothing of the cable."""
    plugged = _plugged()
    received = plugged.receive(_ended(1, "2024-01-15T16:00:00Z", reason="Remote"), START)
    connector = received.readings[-1]
    assert isinstance(connector, ConnectorReading)
    assert (connector.plugged, connector.transaction, connector.token) == (True, None, None)


@pytest.mark.parametrize(
    ("status", "plugged"), [("Occupied", True), ("Available", False), ("Reserved", False)]
)
def test_status_tells_whether_a_car_is_there(status: str, *, plugged: bool) -> None:
    """Connector statuses become plugged or not."""
    (connector,) = session().receive(_status(status), START).readings
    assert isinstance(connector, ConnectorReading)
    assert connector.plugged is plugged


@pytest.mark.parametrize("status", ["Faulted", "Unavailable"])
def test_broken_connector_says_nothing_of_the_car(status: str) -> None:
    """Unknown is unknown: no reading is made up, the fault is noted."""
    received = session().receive(_status(status), START)
    assert received.readings == ()
    assert _codes(received) == [NoticeCode.FAULTED]


def test_authorize_knows_its_own_and_lets_guests_charge() -> None:
    """Our tokens and a guest without any are accepted, a stranger's token is not."""
    template = '[2,"a","Authorize",{"idToken":{"idToken":"%s","type":"%s"}}]'
    answers = {
        name: orjson.loads(session().receive(template % pair, START).reply or "")[2]["idTokenInfo"]["status"]
        for name, pair in {
            "ours": ("NL-WST-C00000001", "eMAID"),
            "guest": ("", "NoAuthorization"),
            "stranger": ("04A1B2C3", "ISO14443"),
        }.items()
    }
    assert answers == {"ours": "Accepted", "guest": "Accepted", "stranger": "Unknown"}


@pytest.mark.parametrize(
    ("at", "code"),
    [
        ("1970-01-01T00:03:12Z", NoticeCode.CLOCK_UNSET),
        ("2024-01-15T17:00:02Z", NoticeCode.CLOCK_LOCAL),
        ("2024-01-15T19:30:00Z", NoticeCode.CLOCK_AHEAD),
        ("2023-06-01T00:00:00Z", NoticeCode.CLOCK_BEHIND),
        ("2024-02-31T16:00:00Z", NoticeCode.CLOCK_UNREADABLE),
    ],
)
def test_wrong_clock_is_noted_and_ours_counts(at: str, code: NoticeCode) -> None:
    """Field failure 19: server time wins and the difference is kept."""
    received = session().receive(_status("Occupied", at), START)
    (connector,) = received.readings
    if code is NoticeCode.CLOCK_UNREADABLE:
        # The schema's pattern lets the 31st of February pass, the calendar does not.
        assert orjson.loads(received.reply or "")[0] == 3
    assert connector.at == START
    assert _codes(received) == [code]


def test_old_timestamp_of_an_offline_event_is_kept() -> None:
    """A queue that is replayed is no wrong clock: the event keeps its own time."""
    received = session().receive(_status("Occupied", "2024-01-15T12:00:00+01:00"), START)
    assert received.readings[0].at == datetime(2024, 1, 15, 11, 0, tzinfo=UTC)
    assert received.notices == ()


def test_duplicates_are_answered_and_bring_nothing() -> None:
    """Field failure 17: the same event twice counts once."""
    plugged = _plugged()
    text = _updated(1, "2024-01-15T16:00:00Z", {"Power.Active.Import": 5000})
    first, second = plugged.receive(text, START), plugged.receive(text, START)
    assert len(first.readings) == 3
    assert second.readings == ()
    assert _codes(second) == [NoticeCode.DUPLICATE]
    assert second.reply == '[3,"u1",{}]'
    end = _ended(2, "2024-01-15T16:00:30Z")
    plugged.receive(end, START)
    assert _codes(plugged.receive(end, START)) == [NoticeCode.DUPLICATE]


def test_events_of_a_charger_that_never_counts_are_no_duplicates() -> None:
    """A virtual charge point numbers every event 0: its meter values and its end count all the same."""
    plugged = session()
    plugged.receive(STARTED, START)
    for second in (10, 20):
        at = START + timedelta(seconds=second)
        text = _updated(0, f"2024-01-15T16:00:{second}Z", {"Power.Active.Import": 5000})
        assert _codes(plugged.receive(text, at)) == []
    end = plugged.receive(_ended(0, "2024-01-15T16:00:30Z"), START + timedelta(seconds=30))
    assert _codes(end) == []
    assert plugged.state.transaction is None


def test_end_of_a_transaction_never_started_is_taken_once() -> None:
    """Field failure 17: transaction -1 after an offline start is accepted, kept and flagged."""
    fresh = session()
    received = fresh.receive(_ended(5, "2024-01-15T15:00:00Z", transaction="-1"), START)
    assert _codes(received) == [NoticeCode.UNKNOWN_TRANSACTION]
    assert received.reply == '[3,"e5",{}]'
    assert _codes(fresh.receive(_ended(5, "2024-01-15T15:00:00Z", transaction="-1"), START)) == [
        NoticeCode.DUPLICATE
    ]


def test_end_that_comes_after_its_connector_was_told_to_be_free_is_no_stranger() -> None:
    """Back on line a charger tells its connector first and the kept end after it; its start was seen."""
    plugged = _plugged()
    assert _codes(plugged.receive(_status("Available", "2024-01-15T16:00:00Z"), START)) == []
    end = _ended(2, "2024-01-15T15:59:50Z")
    assert _codes(plugged.receive(end, START)) == []
    assert plugged.state.plugged is False
    assert plugged.state.transaction is None
    assert _codes(plugged.receive(end, START)) == [NoticeCode.DUPLICATE]


def test_late_replay_of_an_earlier_transaction_does_not_close_the_open_one() -> None:
    """What happened before says nothing of now: only what it was."""
    plugged = _plugged()
    received = plugged.receive(_ended(9, "2024-01-15T14:00:00Z", transaction="OLD"), START)
    (told,) = received.readings
    assert isinstance(told, TransactionReading)
    assert told.transaction == "OLD"
    assert plugged.state.transaction == "AB1234"
    assert plugged.state.plugged is True


def test_new_transaction_takes_over_when_the_end_was_lost() -> None:
    """A start while one is open: the newer one counts, and the earlier car's facts are gone."""
    plugged = _plugged()
    plugged.receive(NEEDS, START)
    newer = STARTED.replace("AB1234", "CD5678").replace("15:59:30", "15:59:50")
    plugged.receive(newer, START)
    assert plugged.state.transaction == "CD5678"
    assert plugged.state.car.charge_kw_max is None


def test_register_that_falls_is_quarantined() -> None:
    """Field failure 18: a falling register is unknown with a reason, never energy."""
    plugged = _plugged()
    received = plugged.receive(
        _updated(
            1, "2024-01-15T16:00:00Z", {"Energy.Active.Import.Register": 400, "Power.Active.Import": 9000}
        ),
        START,
    )
    meter = received.readings[0]
    assert isinstance(meter, MeterReading)
    assert meter.import_wh is None
    assert "fell from 1000 to 400" in meter.why_unknown
    assert meter.power_kw == 9.0
    assert _codes(received) == [NoticeCode.REGISTER_BACKWARDS]


def test_register_that_leaps_is_quarantined_and_does_not_spoil_what_follows() -> None:
    """One corrupt value is unknown; the right values after it are taken as if it had not been."""
    plugged = _plugged()
    leap = plugged.receive(_updated(1, "2024-01-15T16:00:00Z", {"Energy.Active.Import.Register": 9e9}), START)
    assert _codes(leap) == [NoticeCode.REGISTER_LEAPS]
    right = plugged.receive(
        _updated(2, "2024-01-15T16:00:30Z", {"Energy.Active.Import.Register": 1180}), START
    )
    assert isinstance(right.readings[0], MeterReading)
    assert right.readings[0].import_wh == 1180


def test_older_register_of_a_replay_is_no_fall() -> None:
    """A register from before is lower by right."""
    plugged = _plugged()
    text = _updated(1, "2024-01-15T15:45:00Z", {"Energy.Active.Import.Register": 900}, offline=True)
    received = plugged.receive(text, START)
    assert isinstance(received.readings[0], MeterReading)
    assert received.readings[0].import_wh == 900
    assert received.notices == ()


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ('[2,"x","BootNotification",{"reason":"PowerUp"}]', "OccurrenceConstraintViolation"),
        ('[2,"x","Heartbeat",{"extra":1}]', "FormatViolation"),
        ('[2,"x","MeterValues",{"evseId":"1","meterValue":[]}]', "TypeConstraintViolation"),
        ('[2,"x","StartTransaction",{"connectorId":1}]', "NotImplemented"),
        ('[2,"x","VatNumberValidation",{"vatNumber":"1"}]', "NotSupported"),
        ('[7,"x","Heartbeat",{}]', "MessageTypeNotSupported"),
        ("garbage", "RpcFrameworkError"),
    ],
)
def test_illegal_message_is_answered_and_leaves_the_state_alone(frame: str, code: str) -> None:
    """The book's code goes back, and the very same state stands."""
    plugged = _plugged()
    before = plugged.state
    received = plugged.receive(frame, START)
    assert received.malformed
    assert received.readings == ()
    reply = orjson.loads(received.reply or "")
    assert (reply[0], reply[2]) == (4, code)
    assert plugged.state is before


@pytest.mark.parametrize(
    "frame",
    [
        '[3,"nobody-asked",{}]',
        '[4,"nobody-asked","GenericError","",{}]',
        '[5,"b1","FormatViolation","your answer",{}]',
        '[6,"s","NotifyPeriodicEventStream",{"id":1}]',
        '[6,"s","Heartbeat",{}]',
        '[3,"broken"]',
    ],
)
def test_wrong_answers_get_no_answer(frame: str) -> None:
    """Only a call is answered: two parties that correct each other's answers would never end."""
    received = session().receive(frame, START)
    assert received.reply is None
    assert received.notices


def test_event_stream_is_taken() -> None:
    """2.1's one unanswered message is valid."""
    frame = (
        '[6,"s","NotifyPeriodicEventStream",{"id":1,"pending":0,"basetime":"2024-01-15T16:00:00Z",'
        '"data":[{"t":1,"v":"2"}]}]'
    )
    assert session().receive(frame, START) == Received()


def test_one_request_at_a_time() -> None:
    """A second request while one is open is our own fault, and changes nothing."""
    fresh = session()
    power = {"component": {"name": "EVSE"}, "variable": {"name": "Power"}}
    request = Request(action="GetVariables", payload={"getVariableData": [power]})
    text = fresh.call(request)
    with pytest.raises(CallInFlightError):
        fresh.call(request)
    message_id = orjson.loads(text)[1]
    answer = {"getVariableResult": [{"attributeStatus": "Accepted", "attributeValue": "11000", **power}]}
    received = fresh.receive(orjson.dumps([3, message_id, answer]).decode(), START)
    assert received.answer == Answer(action="GetVariables", payload=answer)
    assert fresh.call(request)


def test_request_that_breaks_its_schema_is_not_sent() -> None:
    """Validation is on in both directions."""
    fresh = session()
    with pytest.raises(PayloadError):
        fresh.call(Request(action="TriggerMessage", payload={"requestedMessage": "Tea"}))
    assert fresh.call(Request(action="ClearCache", payload={}))


def test_answer_that_breaks_its_schema_is_complained_of() -> None:
    """A wrong answer gets a CALLRESULTERROR, and who waits gets an error."""
    fresh = session()
    message_id = orjson.loads(fresh.call(Request(action="ClearCache", payload={})))[1]
    received = fresh.receive(f'[3,"{message_id}",{{"status":"Perhaps"}}]', START)
    assert orjson.loads(received.reply or "")[:3] == [5, message_id, "PropertyConstraintViolation"]
    assert received.answer is not None
    assert received.answer.error == "PropertyConstraintViolation"


def test_error_answer_reaches_who_asked_and_late_ones_do_not() -> None:
    """A CALLERROR is an answer; after giving up it is noted only."""
    fresh = session()
    message_id = orjson.loads(fresh.call(Request(action="ClearCache", payload={})))[1]
    received = fresh.receive(f'[4,"{message_id}","NotSupported","no cache",{{}}]', START)
    assert received.answer == Answer(
        action="ClearCache", payload={}, error="NotSupported", description="no cache"
    )
    message_id = orjson.loads(fresh.call(Request(action="ClearCache", payload={})))[1]
    fresh.abandon()
    late = fresh.receive(f'[3,"{message_id}",{{"status":"Accepted"}}]', START)
    assert late.answer is None
    assert _codes(late) == [NoticeCode.UNEXPECTED_ANSWER]


def test_what_only_2_1_asks_is_answered_by_its_book() -> None:
    """Priority is taken note of; new values for a dynamic profile are not ours to give, as we set none."""
    found = session()
    notify = {"transactionId": "T1", "activated": True}
    reply = found.receive(orjson.dumps([2, "a", "NotifyPriorityCharging", notify]).decode(), START).reply
    assert orjson.loads(reply or "") == [3, "a", {}]
    pull = {"chargingProfileId": 9}
    reply = found.receive(orjson.dumps([2, "b", "PullDynamicScheduleUpdate", pull]).decode(), START).reply
    assert orjson.loads(reply or "")[2]["status"] == "Rejected"
