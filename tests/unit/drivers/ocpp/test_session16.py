"""A session of OCPP 1.6 by hand: frames as the specification and chargers in the field write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from controller.domain.chargers import ChargerTemplate, RateUnit, TwoWay, WakeStep
from controller.domain.charging_tokens import among
from controller.domain.floor import FloorHours
from controller.domain.setpoints import Applied, PartlyApplied, Rejected
from controller.domain.telemetry import ConnectorReading, MeterReading, ObedienceReading, Reading
from controller.domain.time import utc_text
from drivers.ocpp.codec import Answer, NoticeCode, Received, Request
from drivers.ocpp.v16 import Session16, requests
from tests.support.ocpp import START, TOKENS, charge_point, setpoint

TOKEN = "NL-WST-C00000001"  # noqa: S105  # a car's public identification in the test
BOOT = (
    '[2,"19223201","BootNotification",{"chargePointVendor":"VendorX","chargePointModel":"SingleSocketCharger",'
    '"chargePointSerialNumber":"vendor.001.13.1","firmwareVersion":"0.9.87","meterType":"AVT NQC-ACDC"}]'
)
METER = (
    '[2,"m1","MeterValues",{"connectorId":1,"transactionId":%d,"meterValue":[{"timestamp":'
    '"2024-01-15T15:45:00Z","sampledValue":[{"value":"1520.5","context":"Sample.Clock","measurand":'
    '"Energy.Active.Import.Register","unit":"Wh"}]},{"timestamp":"2024-01-15T16:00:00Z","sampledValue":['
    '{"value":"7.36","context":"Sample.Periodic","measurand":"Power.Active.Import","unit":"kW"},'
    '{"value":"230.1","measurand":"Voltage","phase":"L1-N","unit":"V"},'
    '{"value":"229.9","measurand":"Voltage","phase":"L2-N","unit":"V"},'
    '{"value":"231.0","measurand":"Voltage","phase":"L3-N","unit":"V"},'
    '{"value":"2.1","measurand":"Energy.Active.Import.Register","unit":"kWh"},'
    '{"value":"48","measurand":"SoC","unit":"Percent","location":"EV"}]}]}]'
)


def _session(template: ChargerTemplate | None = None, *, discharge_kw_max: float = 0.0) -> Session16:
    return Session16(
        charge_point(discharge_kw_max=discharge_kw_max),
        verdict=among(TOKENS),
        template=template or ChargerTemplate(),
    )


def _call(action: str, payload: dict[str, Any], message_id: str = "x") -> str:
    return orjson.dumps([2, message_id, action, payload]).decode()


def _start(at: str = "2024-01-15T15:40:00Z", meter: int = 1000, tag: str = TOKEN) -> str:
    return _call("StartTransaction", {"connectorId": 1, "idTag": tag, "meterStart": meter, "timestamp": at})


def _stop(number: int, meter: int, at: str = "2024-01-15T16:00:00Z", **more: Any) -> str:
    return _call("StopTransaction", {"transactionId": number, "meterStop": meter, "timestamp": at, **more})


def _payload(received: Received) -> Any:
    kind, _, payload = orjson.loads(received.reply or "")
    assert kind == 3
    return payload


def _codes(received: Received) -> list[NoticeCode]:
    return [notice.code for notice in received.notices]


def _meters(readings: tuple[Reading, ...]) -> list[MeterReading]:
    return [reading for reading in readings if isinstance(reading, MeterReading)]


def _plugged(session: Session16) -> int:
    """Opens a transaction; gives its number."""
    number: int = _payload(session.receive(_start(), START))["transactionId"]
    return number


def test_boot_is_accepted_with_our_time() -> None:
    """The specification's own example of a BootNotification.req (1.6J, section 4.2.1)."""
    received = _session().receive(BOOT, START)
    assert received.booted
    assert received.reply == (
        '[3,"19223201",{"currentTime":"2024-01-15T16:00:00Z","interval":900,"status":"Accepted"}]'
    )


def test_start_gets_a_number_and_names_the_car() -> None:
    """We number transactions in 1.6; the register at the start counts at the charger's own time."""
    session = _session()
    received = session.receive(_start(), START)
    payload = _payload(received)
    assert payload["idTagInfo"] == {"status": "Accepted"}
    meter = _meters(received.readings)[0]
    assert (meter.import_wh, meter.at) == (1000, datetime(2024, 1, 15, 15, 40, tzinfo=UTC))
    connector = next(reading for reading in received.readings if isinstance(reading, ConnectorReading))
    assert (connector.plugged, connector.token) == (True, TOKEN)
    assert connector.transaction == str(payload["transactionId"])


def test_repeated_start_gets_the_same_number() -> None:
    """A start that was not answered in time comes again (section 4.8): one transaction, not two."""
    session = _session()
    first = _plugged(session)
    again = session.receive(_start(), START + timedelta(seconds=40))
    assert _payload(again)["transactionId"] == first
    assert _codes(again) == [NoticeCode.DUPLICATE]
    assert again.readings == ()


def test_numbers_never_repeat_over_our_own_restart() -> None:
    """A fresh session, a second later, gives a number that the old one has not given."""
    numbers = {_plugged(_session())}
    for second in range(1, 4):
        received = _session().receive(_start(), START + timedelta(seconds=second))
        numbers.add(_payload(received)["transactionId"])
    queued = _session()
    for minute in range(3):
        received = queued.receive(_start(f"2024-01-15T15:4{minute}:30Z"), START + timedelta(seconds=9))
        numbers.add(_payload(received)["transactionId"])
    assert len(numbers) == 7


def test_meter_values_in_text_with_units_beside() -> None:
    """kW, kWh and quarter-hour registers, each with its own time; the car's state of charge."""
    session = _session()
    received = session.receive(METER % _plugged(session), START)
    quarter, now = _meters(received.readings)
    assert (quarter.at.minute, quarter.import_wh) == (45, 1520)
    assert (now.power_kw, now.import_wh, now.voltage_v) == (7.36, 2100, (230.1, 229.9, 231.0))
    assert session.state.car.soc_fraction == 0.48
    assert received.reply == '[3,"m1",{}]'


def test_transaction_that_we_forgot_is_known_by_its_number() -> None:
    """After our own restart the meter values name it; who started it stays unknown."""
    session = _session()
    received = session.receive(METER % 4711, START)
    connector = next(reading for reading in received.readings if isinstance(reading, ConnectorReading))
    assert (connector.plugged, connector.transaction, connector.token) == (True, "4711", None)


def test_stop_ends_and_disconnecting_unplugs() -> None:
    """Section 6.49: the reason tells whether the car still stands there."""
    session = _session()
    number = _plugged(session)
    remote = session.receive(_stop(number, 4000, reason="Remote"), START)
    assert remote.readings[-1].plugged  # type: ignore[union-attr]  # the connector comes last
    session = _session()
    number = _plugged(session)
    gone = session.receive(_stop(number, 4000, reason="EVDisconnected"), START)
    assert _meters(gone.readings)[-1].import_wh == 4000
    assert gone.readings[-1].plugged is False  # type: ignore[union-attr]  # the connector comes last


@pytest.mark.parametrize("number", [-1, 0, 999])
def test_stop_of_a_transaction_never_started_is_taken_once(number: int) -> None:
    """Libocpp 495 and 907: the id is -1 or anything, the message comes twice."""
    session = _session()
    stop = _stop(number, 5000, tag := "2024-01-15T15:50:00Z")
    first = session.receive(stop, START)
    assert _payload(first) == {}
    assert _codes(first) == [NoticeCode.UNKNOWN_TRANSACTION]
    assert _meters(first.readings)[0].import_wh == 5000
    again = session.receive(stop, START)
    assert _payload(again) == {}
    assert (_codes(again), again.readings) == ([NoticeCode.DUPLICATE], ())
    other = session.receive(_stop(number, 6000, tag.replace("50", "55")), START)
    assert _codes(other) == ([NoticeCode.UNKNOWN_TRANSACTION] if number < 1 else [NoticeCode.DUPLICATE])


def test_meter_stop_below_meter_start_is_quarantined() -> None:
    """OCPP.Core 33: no negative energy; the end is answered, the register is not believed."""
    session = _session()
    received = session.receive(_stop(_plugged(session), 400), START)
    assert _codes(received) == [NoticeCode.REGISTER_BACKWARDS]
    assert _meters(received.readings) == []
    assert session.state.registers.import_wh == 1000


def test_queue_of_an_outage_leaves_the_open_transaction_alone() -> None:
    """What is replayed of yesterday is counted for its own time; the car of today stays."""
    session = _session()
    number = _plugged(session)
    session.receive(_start("2024-01-14T08:00:00Z", 100), START)
    assert session.state.transaction == str(number)
    session.receive(_stop(-1, 700, "2024-01-14T09:00:00Z"), START)
    assert session.state.transaction == str(number)


@pytest.mark.parametrize(
    ("status", "plugged"),
    [("Available", False), ("Preparing", True), ("Charging", True), ("SuspendedEV", True),
     ("SuspendedEVSE", True), ("Finishing", True), ("Reserved", False)],
)  # fmt: skip
def test_status_tells_whether_a_car_is_there(status: str, *, plugged: bool) -> None:
    """Every status of section 7.7 that says it; the time may be left out."""
    text = _call("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": status})
    (connector,) = _session().receive(text, START).readings
    assert isinstance(connector, ConnectorReading)
    assert (connector.plugged, connector.at) == (plugged, START)


def test_broken_connector_and_the_station_itself_say_nothing_of_the_car() -> None:
    """Unknown is unknown."""
    faulted = {"connectorId": 1, "errorCode": "GroundFailure", "status": "Faulted"}
    received = _session().receive(_call("StatusNotification", faulted), START)
    assert (received.readings, _codes(received)) == ((), [NoticeCode.FAULTED])
    station = {"connectorId": 0, "errorCode": "NoError", "status": "Available"}
    assert _session().receive(_call("StatusNotification", station), START).readings == ()


def test_strangers_token_is_invalid() -> None:
    """1.6 has no `Unknown`."""
    received = _session().receive(_call("Authorize", {"idTag": "stranger"}), START)
    assert _payload(received) == {"idTagInfo": {"status": "Invalid"}}
    assert _codes(received) == [NoticeCode.UNKNOWN_TOKEN]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('[2,"x","Heartbeat",{"a":1}]', "FormationViolation"),
        ('[2,"x","StartTransaction",{"connectorId":1}]', "OccurenceConstraintViolation"),
        ('[2,"x","Tea",{}]', "NotImplemented"),
        ('[2,"x","TransactionEvent",{}]', "NotImplemented"),
        ('[2,"x","RemoteStartTransaction",{}]', "NotSupported"),
        ('[2,"x"]', "ProtocolError"),
    ],
)
def test_errors_are_spelt_as_in_1_6(text: str, code: str) -> None:
    """Table 7 of 1.6J has its own codes, and its own spelling."""
    received = _session().receive(text, START)
    assert orjson.loads(received.reply or "")[2] == code
    assert received.malformed


def test_unknown_message_type_is_ignored() -> None:
    """1.6J, section 4.1.3: a message of a type that is not known is to be ignored."""
    received = _session().receive('[6,"x","Heartbeat",{}]', START)
    assert (received.reply, received.malformed) == (None, True)


def test_setpoint_is_a_limit_whose_next_period_is_safe() -> None:
    """The whole frame, worked from section 5.16 and the schema."""
    session = _session()
    number = _plugged(session)
    request = session.power_request(setpoint(7.04, life_s=600, safe_kw=4.2), START)
    assert isinstance(request, Request)
    assert request.payload == {
        "connectorId": 1,
        "csChargingProfiles": {
            "chargingProfileId": 3,
            "transactionId": number,
            "stackLevel": 1,
            "chargingProfilePurpose": "TxProfile",
            "chargingProfileKind": "Absolute",
            "validFrom": "2024-01-15T15:55:00Z",
            "validTo": "2024-01-15T16:25:00Z",
            "chargingSchedule": {
                "startSchedule": "2024-01-15T15:55:00Z",
                "chargingRateUnit": "W",
                "chargingSchedulePeriod": [
                    {"startPeriod": 0, "limit": 7040.0},
                    {"startPeriod": 900, "limit": 4200.0},
                ],
            },
        },
    }
    assert session.call(request).startswith('[2,"w1","SetChargingProfile"')


def test_hours_of_the_night_are_a_daily_schedule() -> None:
    """Section 3.13.2: a recurring profile counts its periods from a start that comes back every day."""
    hours = FloorHours(start_s=22 * 3600, length_s=5 * 3600, power_kw=4.14)
    session = Session16(charge_point(), verdict=among(TOKENS), floor=hours)
    _, default = session.floor_requests(START)
    profile = default.payload["csChargingProfiles"]
    assert (profile["chargingProfileKind"], profile["recurrencyKind"]) == ("Recurring", "Daily")
    assert profile["chargingSchedule"] == {
        "startSchedule": "2024-01-14T22:00:00Z",
        "chargingRateUnit": "W",
        "chargingSchedulePeriod": [
            {"startPeriod": 0, "limit": 4140.0},
            {"startPeriod": 18_000, "limit": 0.0},
        ],
    }
    session.call(default)


def test_floor_is_maximum_and_low_default_on_level_0() -> None:
    """`ChargePointMaxProfile` belongs to connector 0 (section 3.13.1)."""
    session = _session()
    most, default = session.floor_requests(START)
    assert most.payload["connectorId"] == 0
    assert most.payload["csChargingProfiles"]["chargingProfilePurpose"] == "ChargePointMaxProfile"
    assert default.payload["csChargingProfiles"]["stackLevel"] == 0
    limits = [
        request.payload["csChargingProfiles"]["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"]
        for request in (most, default)
    ]
    assert limits == [11000.0, 0.0]
    for request in (most, default, *session.state_requests()):
        session.call(request)
        session.abandon()


def test_discharge_without_a_template_is_refused_with_its_reason() -> None:
    """The reference: two-way 1.6 only where a template says how; the refusal is no silence."""
    refused = _session(discharge_kw_max=11.0).power_request(setpoint(-5.0), START)
    assert isinstance(refused, Rejected)
    assert refused.code == "OneWay"
    assert "template" in refused.why


def test_negative_limit_by_template() -> None:
    """A make that discharges on a limit below 0, in amperes over three phases, rounded towards 0."""
    template = ChargerTemplate(unit=RateUnit.AMPERES, two_way=TwoWay.NEGATIVE_LIMIT, send_phases=True)
    session = _session(template, discharge_kw_max=11.0)
    request = session.power_request(setpoint(-5.0, safe_kw=0.0), START)
    assert isinstance(request, Request)
    schedule = request.payload["csChargingProfiles"]["chargingSchedule"]
    assert schedule["chargingRateUnit"] == "A"
    # 5000 W / (3 x 230 V) = 7.246 A.
    assert schedule["chargingSchedulePeriod"] == [
        {"startPeriod": 0, "limit": -7.2, "numberPhases": 3},
        {"startPeriod": 1200, "limit": 0.0, "numberPhases": 3},
    ]
    session.call(request)


def test_data_transfer_by_template() -> None:
    """A maker's own message, its words filled in, its answer an outcome."""
    template = ChargerTemplate(
        two_way=TwoWay.DATA_TRANSFER,
        vendor_id="com.example.v2g",
        message_id="Setpoint",
        data='{"p":{watts},"safe":{safe_watts},"until":"{until}"}',
    )
    session = _session(template, discharge_kw_max=10.0)
    wanted = setpoint(-12.0, safe_kw=4.2)
    request = session.power_request(wanted, START)
    assert isinstance(request, Request)
    assert request.payload == {
        "vendorId": "com.example.v2g",
        "messageId": "Setpoint",
        "data": '{"p":-10000,"safe":4200,"until":"2024-01-15T16:15:00Z"}',
    }
    session.call(request)
    accepted = Answer(action="DataTransfer", payload={"status": "Accepted"})
    outcome = session.power_outcome(wanted, accepted, START)
    assert isinstance(outcome, PartlyApplied)
    assert outcome.power_kw == -10.0
    unknown = Answer(action="DataTransfer", payload={"status": "UnknownVendorId"})
    refused = session.power_outcome(wanted, unknown, START)
    assert isinstance(refused, Rejected)
    assert (refused.code, "UnknownVendorId" in refused.why) == ("UnknownVendorId", True)


@pytest.mark.parametrize(
    ("template", "power_kw", "limit", "applied_kw"),
    [
        # 11 kW / 690 V = 15.94 A: rounded down, so the fuse never sees more than was asked.
        (ChargerTemplate(unit=RateUnit.AMPERES), 11.0, 15.9, 10.971),
        (ChargerTemplate(unit=RateUnit.AMPERES, phases=1), 3.68, 16.0, 3.68),
        # Below 6 A there is no charging: a pause, said as 0.
        (ChargerTemplate(unit=RateUnit.AMPERES, min_a=6.0), 4.0, 0.0, 0.0),
        (ChargerTemplate(unit=RateUnit.AMPERES, min_a=6.0), 4.14, 6.0, 4.14),
        # A make that refuses 0: 1 A is a pause as well.
        (ChargerTemplate(unit=RateUnit.AMPERES, min_a=6.0, zero_limit=1.0), 0.0, 1.0, 0.0),
        # A floor for cars that do not wake up: never below 6 A.
        (ChargerTemplate(unit=RateUnit.AMPERES, min_a=6.0, zero_limit=6.0), 0.0, 6.0, 4.14),
        (ChargerTemplate(min_a=6.0, zero_limit=500.0), 3.0, 500.0, 0.0),
    ],
)
def test_limits_as_the_template_wants_them(
    template: ChargerTemplate, power_kw: float, limit: float, applied_kw: float
) -> None:
    """What is said, and what the outcome says that it comes to."""
    session = _session(template)
    wanted = setpoint(power_kw)
    request = session.power_request(wanted, START)
    assert isinstance(request, Request)
    periods = request.payload["csChargingProfiles"]["chargingSchedule"]["chargingSchedulePeriod"]
    assert periods[0]["limit"] == limit
    session.call(request)
    accepted = Answer(action="SetChargingProfile", payload={"status": "Accepted"})
    outcome = session.power_outcome(wanted, accepted, START)
    assert isinstance(outcome, Applied | PartlyApplied)
    told_kw = outcome.power_kw if isinstance(outcome, PartlyApplied) else power_kw
    assert told_kw == pytest.approx(applied_kw, abs=template.unit_kw / 10)


def test_commands_fit_the_schema() -> None:
    """Every request that 1.6 is asked with passes its own schema."""
    commands = [
        requests.clear_profiles(purpose="TxProfile"),
        requests.composite_schedule(3600, unit="A"),
        requests.get_configuration(),
        requests.get_configuration(["MeterValueSampleInterval"]),
        requests.change_configuration("ClockAlignedDataInterval", "900"),
        requests.remote_start(TOKEN),
        requests.remote_stop("17"),
        requests.reset(at_once=True),
        requests.reset(at_once=False),
        requests.unlock(),
        *(requests.wake_request(step) for step in WakeStep),
    ]
    session = _session()
    for command in commands:
        assert f'"{command.action}"' in session.call(command)
        session.abandon()


def test_configuration_is_read() -> None:
    """Known keys with their values, unknown ones as None."""
    payload = {
        "configurationKey": [{"key": "HeartbeatInterval", "readonly": False, "value": "900"}],
        "unknownKey": ["Tea"],
    }
    answer = Answer(action="GetConfiguration", payload=payload)
    assert requests.read_configuration(answer) == {"HeartbeatInterval": "900", "Tea": None}


def test_disobedience_becomes_a_reading_and_ends_with_the_car() -> None:
    """Accepted and ignored (evcc 31597, steve 1192): three samples of 11 kW after 5 were taken."""
    session = _session()
    accepted = Answer(action="SetChargingProfile", payload={"status": "Accepted"})
    session.power_outcome(setpoint(5.0, life_s=3600.0), accepted, START)
    found: list[Reading] = []
    for minute in (1, 2, 3, 4):
        at = START + timedelta(minutes=minute)
        value = {"measurand": "Power.Active.Import", "unit": "W", "value": "11000"}
        values = {"connectorId": 1, "meterValue": [{"timestamp": utc_text(at), "sampledValue": [value]}]}
        found += session.receive(orjson.dumps([2, f"m{minute}", "MeterValues", values]).decode(), at).readings
    at = START + timedelta(minutes=5)
    status = {"connectorId": 1, "errorCode": "NoError", "status": "Available", "timestamp": utc_text(at)}
    found += session.receive(orjson.dumps([2, "s", "StatusNotification", status]).decode(), at).readings
    told = [(each.at, each.ignores) for each in found if isinstance(each, ObedienceReading)]
    assert told == [(START + timedelta(minutes=3), True), (at, False)]


@pytest.mark.parametrize("written", ["7.0", "7e0", "7"])
def test_a_number_is_that_number_however_json_writes_it(written: str) -> None:
    """JSON knows one kind of number; after our restart the charger is steered by the one that it names."""
    session = _session()
    received = session.receive((METER % 7).replace('"transactionId":7', f'"transactionId":{written}'), START)
    assert not received.malformed
    assert session.open_transaction == "7"
    request = session.power_request(setpoint(3.0), START)
    assert isinstance(request, Request)
    assert request.payload["csChargingProfiles"]["transactionId"] == 7
    session.call(request)
    stop = _stop(7, 2100).replace('"transactionId":7', f'"transactionId":{written}')
    session.receive(stop, START)
    assert session.state.open is None
    assert session.ended_transactions == ("7",)


def test_a_number_that_nobody_gave_is_no_transaction() -> None:
    """The charger is steered all the same."""
    session = _session()
    session.receive((METER % 7).replace('"transactionId":7', '"transactionId":1e25'), START)
    assert session.open_transaction is None
    request = session.power_request(setpoint(3.0), START)
    assert isinstance(request, Request)
    session.call(request)
