"""The simulated charger in each version of OCPP: what it says, in which order, and its faults."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from sim.chargers.client import DIALECTS
from sim.chargers.faults import Fault
from tests.support.lines import Charger
from tests.support.ocpp import FakeSocket
from tests.support.profiles import limit, request, request_16

CAR = "NL-WST-C00000001"
VERSIONS = tuple(DIALECTS)


def test_day_in_16() -> None:
    """Boot, a car, its token asked for, meter values, its end: each by the words of 1.6."""
    charger = Charger("ocpp1.6")
    assert charger.connect() == ["BootNotification", "StatusNotification"]
    charger.socket.token = CAR
    charger.at(10)
    begin = ["StatusNotification", "Authorize", "StartTransaction", "MeterValues", "StatusNotification"]
    assert charger.talk() == begin
    charger.at(60)
    assert charger.talk() == ["MeterValues"]
    charger.socket.token = None
    charger.at(70)
    assert charger.talk() == ["StopTransaction", "StatusNotification"]
    statuses = [payload["status"] for payload in charger.of("StatusNotification")]
    assert statuses == ["Available", "Preparing", "Charging", "Available"]
    assert charger.of("StopTransaction")[0]["transactionId"] == 4711
    # Known by now, the token is not asked for again.
    charger.socket.token = CAR
    charger.at(80)
    assert charger.talk()[:2] == ["StatusNotification", "StartTransaction"]


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
def test_day_in_2(version: str) -> None:
    """The same day in transaction events; what the car says comes after its start."""
    charger = Charger(version)
    assert charger.connect() == ["BootNotification", "StatusNotification"]
    charger.socket.token = CAR
    charger.at(10)
    begin = ["StatusNotification", "TransactionEvent", "NotifyEVChargingNeeds", "TransactionEvent"]
    assert charger.talk() == begin
    charger.socket.token = None
    charger.at(70)
    charger.talk()
    events = charger.of("TransactionEvent")
    assert [event["eventType"] for event in events] == ["Started", "Updated", "Ended"]
    assert events[1]["triggerReason"] == "ChargingStateChanged"
    assert [event["seqNo"] for event in events] == [0, 1, 2]


def test_offline_session_of_16_gets_its_number_afterwards() -> None:
    """Start, quarter-hours and end wait in order; the CSMS's number is put in once it is known."""
    charger = Charger("ocpp1.6")
    charger.connect()
    charger.core.link_down()
    charger.socket.token = CAR
    for second in range(10, 3700, 10):
        charger.at(second)
    charger.socket.token = None
    charger.at(3700)
    actions = charger.connect()
    assert actions == ["StatusNotification", "StartTransaction", *["MeterValues"] * 4, "StopTransaction"]
    assert {payload["transactionId"] for payload in charger.of("MeterValues")} == {4711}
    assert charger.of("StopTransaction")[0]["transactionId"] == 4711
    assert charger.of("StartTransaction")[0]["timestamp"] == "2024-01-15T16:00:10Z"


def test_start_that_got_lost_leaves_an_end_with_minus_one() -> None:
    """The field's firmware: off line it forgets the start, and the end has no number (libocpp 495)."""
    charger = Charger("ocpp1.6", Fault.TRANSACTION_MINUS_ONE)
    charger.connect()
    charger.core.link_down()
    charger.socket.token = CAR
    charger.at(10)
    charger.socket.token = None
    charger.at(100)
    assert charger.connect() == ["StatusNotification", "StopTransaction"]
    assert charger.of("StopTransaction")[0]["transactionId"] == -1


@pytest.mark.parametrize("version", VERSIONS)
def test_profile_and_composite_in_each_version(version: str) -> None:
    """A limit of 6 kW is taken, followed, told back as composite schedule, and cleared."""
    charger = Charger(version, socket=FakeSocket(token=CAR))
    charger.connect()
    if version == "ocpp1.6":
        profile = request_16("TxProfile", [limit(6000.0)], schedule={"chargingRateUnit": "W"},
                             transactionId=4711)  # fmt: skip
        composite = {"connectorId": 1, "duration": 60, "chargingRateUnit": "W"}
        clear: dict[str, Any] = {"chargingProfilePurpose": "TxProfile"}
    else:
        profile = request(transactionId=charger.core.transaction)
        composite = {"evseId": 1, "duration": 60}
        clear = {"chargingProfileCriteria": {"chargingProfilePurpose": "TxProfile"}}
    assert charger.ask("SetChargingProfile", profile) == {"status": "Accepted"}
    assert charger.core.power_request_kw() == 6.0
    answer = charger.ask("GetCompositeSchedule", composite)
    schedule = answer.get("schedule") or answer["chargingSchedule"]
    (period,) = schedule["chargingSchedulePeriod"]
    assert period.get("limit", period.get("setpoint")) == 6000.0
    assert charger.ask("ClearChargingProfile", clear) == {"status": "Accepted"}
    assert charger.core.power_request_kw() == 4.2


def test_profile_of_another_transaction_is_refused_in_16() -> None:
    """The number must be that of the open transaction."""
    charger = Charger("ocpp1.6", socket=FakeSocket(token=CAR))
    charger.connect()
    profile = request_16("TxProfile", [limit(6.0)], transactionId=1)
    assert charger.ask("SetChargingProfile", profile) == {"status": "Rejected"}


def test_dynamic_schedule_is_updated() -> None:
    """K28 on the wire: the setpoint moves without a new profile."""
    charger = Charger("ocpp2.1", socket=FakeSocket(token=CAR))
    charger.connect()
    profile = request(kind="Dynamic", transactionId=charger.core.transaction)
    charger.ask("SetChargingProfile", profile)
    update = {"chargingProfileId": 1, "scheduleUpdate": {"limit": 2500.0}}
    assert charger.ask("UpdateDynamicSchedule", update) == {"status": "Accepted"}
    assert charger.core.power_request_kw() == 2.5
    wrong = {"chargingProfileId": 9, "scheduleUpdate": {"limit": 2500.0}}
    assert charger.ask("UpdateDynamicSchedule", wrong)["status"] == "Rejected"


@pytest.mark.parametrize("version", VERSIONS)
def test_stop_and_start_by_word(version: str) -> None:
    """Stopped from afar the car stands there without power; started again, with another token, it gets it."""
    charger = Charger(version, socket=FakeSocket(token=CAR))
    charger.connect()
    if version == "ocpp1.6":
        stop: tuple[str, dict[str, Any]] = ("RemoteStopTransaction", {"transactionId": 4711})
        start: tuple[str, dict[str, Any]] = ("RemoteStartTransaction", {"idTag": "guest"})
    else:
        stop = ("RequestStopTransaction", {"transactionId": charger.core.transaction})
        token = {"idToken": "guest", "type": "Central"}
        start = ("RequestStartTransaction", {"idToken": token, "remoteStartId": 1})
    assert charger.ask(*start)["status"] == "Rejected"
    assert charger.ask(*stop)["status"] == "Accepted"
    assert charger.core.power_request_kw() == 0.0
    assert charger.ask(*start)["status"] == "Accepted"
    assert charger.core.power_request_kw() == 4.2
    charger.talk()
    assert "guest" in orjson.dumps(charger.said[-3:]).decode()


@pytest.mark.parametrize("version", VERSIONS)
def test_local_list_and_settings_decide_off_line(version: str) -> None:
    """Off line a listed token charges, a blocked one does not, a stranger as the setting says."""
    charger = Charger(version)
    charger.connect()
    entries = {"good": "Accepted", "bad": "Blocked"}
    if version == "ocpp1.6":
        tokens: list[dict[str, Any]] = [
            {"idTag": token, "idTagInfo": {"status": status}} for token, status in entries.items()
        ]
        charger.ask("SendLocalList",
                    {"listVersion": 7, "updateType": "Full", "localAuthorizationList": tokens})  # fmt: skip
        assert charger.ask("GetLocalListVersion", {}) == {"listVersion": 7}
        setting = {"key": "AllowOfflineTxForUnknownId", "value": "false"}
        assert charger.ask("ChangeConfiguration", setting) == {"status": "Accepted"}
        known = charger.ask("GetConfiguration", {"key": ["AllowOfflineTxForUnknownId", "Tea"]})
        assert known["configurationKey"][0]["value"] == "false"
        assert known["unknownKey"] == ["Tea"]
    else:
        tokens = [
            {"idToken": {"idToken": token, "type": "Central"}, "idTokenInfo": {"status": status}}
            for token, status in entries.items()
        ]
        charger.ask("SendLocalList",
                    {"versionNumber": 7, "updateType": "Full", "localAuthorizationList": tokens})  # fmt: skip
        assert charger.ask("GetLocalListVersion", {}) == {"versionNumber": 7}
        setting_2 = {
            "component": {"name": "AuthCtrlr"},
            "variable": {"name": "OfflineTxForUnknownIdEnabled"},
            "attributeValue": "false",
        }
        answer = charger.ask("SetVariables", {"setVariableData": [setting_2]})
        assert answer["setVariableResult"][0]["attributeStatus"] == "Accepted"
    charger.core.link_down()
    wanted = {}
    for number, token in enumerate(("good", "bad", "stranger")):
        charger.socket.token = token
        charger.at(10 * number + 10)
        wanted[token] = charger.core.power_request_kw()
    assert wanted == {"good": 4.2, "bad": 0.0, "stranger": 0.0}


def test_stranger_who_charged_off_line_stops_when_the_csms_says_so() -> None:
    """The setting lets strangers charge off line; the answer to the kept start ends it."""
    charger = Charger("ocpp1.6")
    charger.connect()
    charger.core.link_down()
    charger.socket.token = "stranger"  # noqa: S105  # a name, not a secret
    charger.at(10)
    assert charger.core.power_request_kw() == 4.2
    charger.core.link_up()
    while (text := charger.core.outbox.next_frame()) is not None:
        _, message_id, action, _ = orjson.loads(text)
        info = {"idTagInfo": {"status": "Invalid"}, "transactionId": 5}
        payload = info if action == "StartTransaction" else {}
        charger.core.receive(orjson.dumps([3, message_id, payload]).decode())
    assert charger.core.power_request_kw() == 0.0


@pytest.mark.parametrize("version", VERSIONS)
def test_reset_ends_the_transaction_and_boots_anew(version: str) -> None:
    """After a reset the charger comes back with a boot, and the car that stands there starts again."""
    charger = Charger(version, socket=FakeSocket(token=CAR))
    charger.connect()
    kind = "Hard" if version == "ocpp1.6" else "Immediate"
    assert charger.ask("Reset", {"type": kind})["status"] == "Accepted"
    assert charger.core.restarting
    charger.core.link_down()
    charger.at(30)
    assert charger.connect()[0] == "BootNotification"
    assert charger.core.transaction is not None
    ends = [p for a, p in charger.said if a == "StopTransaction" or p.get("eventType") == "Ended"]
    assert len(ends) == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_other_requests_are_answered_by_their_schemas(version: str) -> None:
    """What an operator's tools ask."""
    charger = Charger(version, socket=FakeSocket(token=CAR))
    charger.connect()
    vendor = charger.ask("DataTransfer", {"vendorId": "v"})
    assert vendor["status"] == "UnknownVendorId"
    assert charger.ask("ClearCache", {}) == {"status": "Accepted"}
    unlock = {"connectorId": 1} if version == "ocpp1.6" else {"evseId": 1, "connectorId": 1}
    assert charger.ask("UnlockConnector", unlock)["status"] == "Unlocked"
    charger.talk()
    trigger = "MeterValues" if version == "ocpp1.6" else "TransactionEvent"
    assert charger.ask("TriggerMessage", {"requestedMessage": trigger}) == {"status": "Accepted"}
    assert charger.talk()[0] == trigger


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
def test_profiles_are_reported_as_they_came(version: str) -> None:
    """K09: what a charger holds can be asked for; a report per EVSE follows, nothing where nothing fits."""
    charger = Charger(version)
    charger.connect()
    station = request("ChargingStationMaxProfile", [limit(9000.0)], evse=0, profile_id=3)
    low = request("TxDefaultProfile", [limit(4200.0)], profile_id=2)
    for payload in (station, low):
        charger.ask("SetChargingProfile", payload)
    everything = {"requestId": 5, "chargingProfile": {}}
    assert charger.ask("GetChargingProfiles", everything) == {"status": "Accepted"}
    assert charger.talk() == ["ReportChargingProfiles"] * 2
    told = [(report["evseId"], report["chargingProfile"]) for report in charger.of("ReportChargingProfiles")]
    assert told == [(0, [station["chargingProfile"]]), (1, [low["chargingProfile"]])]
    nothing = {"requestId": 6, "chargingProfile": {"chargingProfilePurpose": "TxProfile"}}
    assert charger.ask("GetChargingProfiles", nothing) == {"status": "NoProfiles"}


@pytest.mark.parametrize("version", VERSIONS)
def test_boot_and_heartbeat_are_told_when_asked(version: str) -> None:
    """A trigger makes it introduce itself again; its status follows, as after every boot."""
    charger = Charger(version)
    charger.connect()
    for message, said in (("Heartbeat", 1), ("BootNotification", 2)):
        assert charger.ask("TriggerMessage", {"requestedMessage": message}) == {"status": "Accepted"}
        assert charger.talk()[0] == message
        assert len(charger.of(message)) == said


# Faults.


@pytest.mark.parametrize("version", VERSIONS)
def test_ignoring_charger_takes_every_profile_and_does_its_most(version: str) -> None:
    """Accepted is not obeyed."""
    charger = Charger(version, Fault.IGNORES_PROFILES, socket=FakeSocket(token=CAR))
    charger.connect()
    profile = (
        request_16("TxProfile", [limit(0.0)]) if version == "ocpp1.6"
        else request(periods=[limit(0.0)], transactionId=charger.core.transaction)
    )  # fmt: skip
    assert charger.ask("SetChargingProfile", profile)["status"] == "Accepted"
    assert charger.core.power_request_kw() == 11.0


def test_charger_that_refuses_zero() -> None:
    """A limit of 0 is rejected, one of a tenth is not."""
    charger = Charger("ocpp1.6", Fault.REFUSES_ZERO, socket=FakeSocket(token=CAR))
    charger.connect()
    zero, tenth = (request_16("TxProfile", [limit(value)]) for value in (0.0, 0.1))
    assert charger.ask("SetChargingProfile", zero) == {"status": "Rejected"}
    assert charger.ask("SetChargingProfile", tenth) == {"status": "Accepted"}


def test_charger_that_drops_its_profiles_off_line() -> None:
    """On line it follows, off line it does its most."""
    charger = Charger("ocpp1.6", Fault.DROPS_PROFILES_OFFLINE, socket=FakeSocket(token=CAR))
    charger.connect()
    charger.ask("SetChargingProfile", request_16("TxProfile", [limit(10.0)]))
    assert charger.core.power_request_kw() == 6.9
    charger.core.link_down()
    charger.at(10)
    assert charger.core.power_request_kw() == 11.0


@pytest.mark.parametrize(
    ("fault", "text"),
    [(Fault.CLOCK_1970, "1970-01-15T16:00:10Z"), (Fault.CLOCK_LOCAL, "2024-01-15T17:00:10Z")],
)
def test_clock_that_is_wrong(fault: Fault, text: str) -> None:
    """It dates wrongly, and acts at the right time."""
    charger = Charger("ocpp1.6", fault)
    charger.connect()
    charger.socket.token = CAR
    charger.at(10)
    charger.talk()
    assert charger.of("StartTransaction")[0]["timestamp"] == text


@pytest.mark.parametrize("version", VERSIONS)
def test_duplicates_are_only_of_transactions(version: str) -> None:
    """Start and end leave twice with the same words, a status once."""
    charger = Charger(version, Fault.DUPLICATES, socket=FakeSocket(token=CAR))
    charger.connect()
    kept = [payload for action, payload in charger.said if action in {"StartTransaction", "TransactionEvent"}]
    assert len(kept) == 2
    assert kept[0] == kept[1]
    assert len(charger.of("StatusNotification")) == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_meter_that_ends_below_its_start(version: str) -> None:
    """The last register of the transaction is 1 kWh below its first."""
    charger = Charger(version, Fault.METER_BACKWARDS, socket=FakeSocket(token=CAR))
    charger.connect()
    charger.socket.token = None
    charger.at(100)
    charger.talk()
    if version == "ocpp1.6":
        assert charger.of("StopTransaction")[0]["meterStop"] == 99_000
    else:
        last = charger.of("TransactionEvent")[-1]["meterValue"][-1]["sampledValue"][2]
        assert last["value"] == 99_000.0


def test_sleeping_car_wakes_when_the_pilot_comes_back() -> None:
    """After a pause it takes nothing, until the socket was out of service and in again."""
    charger = Charger("ocpp1.6", Fault.CAR_SLEEPS, socket=FakeSocket(token=CAR))
    charger.connect()
    charger.ask("SetChargingProfile", request_16("TxProfile", [limit(0.0)]))
    charger.ask("SetChargingProfile", request_16("TxProfile", [limit(10.0)]))
    assert charger.socket.power == 0.0
    for kind in ("Inoperative", "Operative"):
        charger.ask("ChangeAvailability", {"connectorId": 1, "type": kind})
    assert charger.socket.power == 6.9


def test_charger_without_manners_says_nothing_on_connecting() -> None:
    """No boot, no status: whoever wants to know must ask."""
    charger = Charger("ocpp2.1", Fault.NO_BOOT)
    assert charger.connect() == []
    charger.core.link_down()
    assert charger.connect() == []
