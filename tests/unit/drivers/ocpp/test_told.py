"""What a charger tells of itself is kept, in both spellings."""

from __future__ import annotations

from datetime import timedelta

import orjson

from controller.domain.charging_tokens import among
from drivers.ocpp.codec import NOTICE_LENGTH_MAX
from drivers.ocpp.session import BaseSession
from drivers.ocpp.told import CONNECTORS_MAX
from drivers.ocpp.v16.session import Session16
from tests.support.ocpp import START, TOKENS, charge_point, session

STATUS = {"evseId": 1, "connectorId": 1, "connectorStatus": "Available"}


def tell(told: BaseSession, action: str, payload: dict[str, object], after_s: float = 0.0) -> None:
    """One request of the charger."""
    told.receive(orjson.dumps([2, "m", action, payload]).decode(), START + timedelta(seconds=after_s))


def test_a_station_says_who_it_is_and_how_each_connector_is() -> None:
    """2.x: the newest word on each connector counts, in the order of their numbers."""
    charger = session()
    station = {"model": "W1", "vendorName": "Wijk", "firmwareVersion": "1.2.3", "serialNumber": "7"}
    tell(charger, "BootNotification", {"reason": "PowerUp", "chargingStation": station})
    for after_s, number, status in ((1.0, 2, "Faulted"), (2.0, 1, "Occupied"), (3.0, 2, "Available")):
        body = {"timestamp": "2024-01-15T16:00:00Z", "evseId": number, "connectorId": 1}
        tell(charger, "StatusNotification", {**body, "connectorStatus": status}, after_s)
    told = charger.told
    assert (told.vendor, told.model, told.serial, told.firmware) == ("Wijk", "W1", "7", "1.2.3")
    assert told.booted_at == START
    assert [(one.evse, one.status) for one in told.connectors] == [(1, "Occupied"), (2, "Available")]
    assert told.connectors[1].at == START + timedelta(seconds=3)


def test_an_older_charger_says_it_in_its_own_words() -> None:
    """1.6: prefixed names, an error code, and connector 0 for the whole."""
    charger = Session16(charge_point(), verdict=among(TOKENS))
    tell(charger, "BootNotification", {"chargePointVendor": "Oud", "chargePointModel": "O1"})
    fault = {"connectorId": 1, "status": "Faulted", "errorCode": "GroundFailure"}
    tell(charger, "StatusNotification", fault)
    tell(charger, "StatusNotification", {"connectorId": 0, "status": "Available", "errorCode": "NoError"})
    told = charger.told
    assert (told.vendor, told.model, told.firmware) == ("Oud", "O1", "")
    assert [(one.connector, one.status, one.error) for one in told.connectors] == [
        (0, "Available", ""),
        (1, "Faulted", "GroundFailure"),
    ]


def test_a_message_that_breaks_its_schema_changes_nothing() -> None:
    """Neither does one of another kind."""
    charger = session()
    before = charger.told
    tell(charger, "BootNotification", {"reason": "PowerUp"})
    tell(charger, "Heartbeat", {})
    assert charger.told is before


def test_who_tells_of_ever_new_connectors_fills_no_memory() -> None:
    """What is known of those that it has stays true."""
    charger = Session16(charge_point(), verdict=among(TOKENS))
    for number in range(3 * CONNECTORS_MAX):
        tell(
            charger,
            "StatusNotification",
            {"connectorId": number, "status": "Faulted", "errorCode": "NoError"},
        )
    tell(charger, "StatusNotification", {"connectorId": 1, "status": "Available", "errorCode": "NoError"})
    told = charger.told.connectors
    assert (len(told), told[1].status, told[2].status) == (CONNECTORS_MAX, "Available", "Faulted")


def test_what_a_charger_writes_into_a_notice_is_cut_off() -> None:
    """A time with a hundred thousand decimals, a complaint as long: notices are kept by the thousand."""
    charger = session()
    frames = (
        [5, "w1", "GenericError", "x" * 100_000, {}],
        [2, "m", "StatusNotification", {**STATUS, "timestamp": f"1970-01-01T00:00:00.{'1' * 100_000}Z"}],
    )
    for frame in frames:
        (notice,) = charger.receive(orjson.dumps(frame).decode(), START).notices
        assert len(notice.text) <= NOTICE_LENGTH_MAX
