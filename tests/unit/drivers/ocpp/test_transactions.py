"""What a transaction's messages tell of what was charged, in each version."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from controller.domain.charging_tokens import among
from controller.domain.telemetry import TransactionPhase, TransactionReading
from drivers.ocpp.codec import Received
from drivers.ocpp.v16 import Session16
from drivers.ocpp.v21 import Session21
from tests.support.ocpp import START, TOKENS, charge_point, session

CARD, OTHER = sorted(TOKENS)


def told(received: Received) -> TransactionReading:
    """The one transaction reading of a message."""
    (reading,) = [each for each in received.readings if isinstance(each, TransactionReading)]
    return reading


def event(kind: str, at: str, sequence: int, samples: list[dict[str, Any]], **more: Any) -> str:
    """A TransactionEvent of transaction T1."""
    info = {"transactionId": "T1"} | more.pop("info", {})
    payload = {
        "eventType": kind,
        "timestamp": at,
        "triggerReason": "Trigger",
        "seqNo": sequence,
        "transactionInfo": info,
        "meterValue": [{"timestamp": at, "sampledValue": samples}],
        **more,
    }
    return orjson.dumps([2, f"m{sequence}", "TransactionEvent", payload]).decode()


def register(import_wh: int, export_wh: int) -> list[dict[str, Any]]:
    """Both registers."""
    return [
        {"measurand": "Energy.Active.Import.Register", "value": import_wh},
        {"measurand": "Energy.Active.Export.Register", "value": export_wh},
    ]


def start(with_session: Session21, token: str = CARD) -> TransactionReading:
    """A start of T1."""
    named = {"idToken": {"idToken": token, "type": "ISO14443"}}
    text = event("Started", "2024-01-15T15:59:30Z", 0, register(1000, 200), **named)
    return told(with_session.receive(text, START))


def test_a_start_tells_who_and_from_which_registers() -> None:
    """The session's first reading."""
    reading = start(session())
    assert (reading.phase, reading.token, reading.transaction) == (TransactionPhase.STARTED, CARD, "T1")
    (at_start,) = reading.registers
    assert (at_start.import_wh, at_start.export_wh) == (1000, 200)
    assert at_start.at == datetime(2024, 1, 15, 15, 59, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("state", "asks"),
    [("Charging", True), ("SuspendedEVSE", True), ("SuspendedEV", False), ("EVConnected", None)],
)
def test_a_car_that_waits_for_us_asks_for_power(state: str, asks: object) -> None:
    """Only one that is full, or wants no more, does not."""
    plugged = session()
    start(plugged)
    text = event("Updated", "2024-01-15T16:00:00Z", 1, register(1500, 200), info={"chargingState": state})
    assert told(plugged.receive(text, START)).asks_power is asks


def test_who_ends_a_transaction_is_not_who_pays() -> None:
    """The card that started it counts, whichever ends it; and of an unknown start nothing is made up."""
    plugged = session()
    start(plugged)
    ending = {"idToken": {"idToken": OTHER, "type": "ISO14443"}, "info": {"stoppedReason": "Local"}}
    reading = told(
        plugged.receive(event("Ended", "2024-01-15T16:00:00Z", 2, register(2000, 200), **ending), START)
    )
    assert (reading.phase, reading.token, reading.reason) == (TransactionPhase.ENDED, CARD, "Local")
    ending = {"idToken": {"idToken": OTHER, "type": "ISO14443"}}
    unseen = told(
        session().receive(event("Ended", "2024-01-15T16:00:00Z", 2, register(2000, 200), **ending), START)
    )
    assert unseen.token is None


def test_a_transaction_kept_off_line_is_told_in_full() -> None:
    """Another one is open by now: who is plugged in does not change, what was charged is known."""
    plugged = session()
    start(plugged)
    old = event("Ended", "2024-01-15T14:00:00Z", 9, register(900, 100), info={"transactionId": "OLD"})
    reading = told(plugged.receive(old, START))
    assert (reading.transaction, reading.registers[0].import_wh) == ("OLD", 900)
    assert plugged.state.transaction == "T1"


def test_signed_statements_are_kept_as_they_came() -> None:
    """With the format, the method and the key where the charger sends them."""
    plugged = session()
    start(plugged)
    signed = {
        "signedMeterData": "T0NNRnx7fXx7fQ==",
        "encodingMethod": "OCMF",
        "signingMethod": "ECDSA-secp256r1-SHA256",
        "publicKey": "MFkw",
    }
    samples = [{"measurand": "Energy.Active.Import.Register", "value": 2000, "signedMeterValue": signed}]
    (kept,) = told(plugged.receive(event("Ended", "2024-01-15T16:00:00Z", 3, samples), START)).signed
    assert (kept.data, kept.encoding) == ("T0NNRnx7fXx7fQ==", "OCMF")
    assert (kept.method, kept.public_key) == ("ECDSA-secp256r1-SHA256", "MFkw")


def call16(action: str, payload: dict[str, Any]) -> str:
    """A request of a 1.6 charger."""
    return orjson.dumps([2, action, action, payload]).decode()


def test_a_transaction_of_1_6_is_told_from_start_to_end() -> None:
    """Its registers stand in start and end; the car's wish in the connector's status."""
    plugged = Session16(charge_point(), verdict=among(TOKENS))
    begun = {"connectorId": 1, "idTag": CARD, "meterStart": 1000, "timestamp": "2024-01-15T15:59:30Z"}
    reading = told(plugged.receive(call16("StartTransaction", begun), START))
    number = int(reading.transaction)
    assert (reading.phase, reading.token) == (TransactionPhase.STARTED, CARD)
    assert [each.import_wh for each in reading.registers] == [1000]
    full = {
        "connectorId": 1,
        "errorCode": "NoError",
        "status": "SuspendedEV",
        "timestamp": "2024-01-15T15:59:50Z",
    }
    assert told(plugged.receive(call16("StatusNotification", full), START)).asks_power is False
    signed = {"value": "OCMF|{}|{}", "format": "SignedData", "context": "Transaction.End"}
    ended = {
        "transactionId": number,
        "idTag": OTHER,
        "meterStop": 1500,
        "timestamp": "2024-01-15T16:00:00Z",
        "reason": "EVDisconnected",
        "transactionData": [{"timestamp": "2024-01-15T16:00:00Z", "sampledValue": [signed]}],
    }
    reading = told(plugged.receive(call16("StopTransaction", ended), START))
    assert (reading.phase, reading.token, reading.reason) == (TransactionPhase.ENDED, CARD, "EVDisconnected")
    assert [each.import_wh for each in reading.registers] == [1500]
    assert [(each.data, each.encoding) for each in reading.signed] == [("OCMF|{}|{}", "OCMF")]


def test_a_status_without_a_transaction_tells_of_none() -> None:
    """A car that is plugged in and has not begun."""
    idle = Session16(charge_point(), verdict=among(TOKENS))
    full = {
        "connectorId": 1,
        "errorCode": "NoError",
        "status": "SuspendedEV",
        "timestamp": "2024-01-15T15:59:50Z",
    }
    received = idle.receive(call16("StatusNotification", full), START)
    assert not [each for each in received.readings if isinstance(each, TransactionReading)]
