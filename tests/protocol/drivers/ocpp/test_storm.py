"""Twelve thousand frames that no charger should send, malformed and out of order, over a real socket.

Each frame is made so that its only right answer is known: a code for a call that is wrong in one way, nothing
for an answer to nothing, an ordinary result for an event of long ago. In between stands an open transaction,
which has to be there afterwards as it was before.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
from websockets.asyncio.client import ClientConnection

from controller.domain.telemetry import ConnectorReading, MeterReading
from tests.support.ocpp import Street, patient_answer, raw_charger, street

CAR = "NL-WST-C00000001"
FRAMES = 4000
BATCH = 100
EARLIER = "2024-01-15T12:00:00Z"
NAMES_16 = {
    "FormatViolation": "FormationViolation",
    "OccurrenceConstraintViolation": "OccurenceConstraintViolation",
    "RpcFrameworkError": "GenericError",
}
"""How 1.6 spells a code."""


NO_FRAMES: tuple[Any, ...] = (
    [], [2], {"2": "x"}, 2, None, "text", [2, 5.5, "Heartbeat", {}], [2, "", "Heartbeat", {}],
    [2, "x" * 37, "Heartbeat", {}], [2, None, "Heartbeat", {}], [[2], ["x"]],
)  # fmt: skip
"""JSON whose id cannot be read."""
NO_CALLS: tuple[tuple[list[Any], str], ...] = (
    ([], "ProtocolError"),
    (["Heartbeat"], "ProtocolError"),
    (["Heartbeat", []], "TypeConstraintViolation"),
    (["Heartbeat", "none"], "TypeConstraintViolation"),
    (["Heartbeat", {}, 1], "RpcFrameworkError"),
    ([7, {}], "RpcFrameworkError"),
)
"""What stands behind a readable id, and the code of what is wrong with it."""


@dataclass(frozen=True)
class Shot:
    """A frame and its only right answer."""

    text: str
    answer: tuple[str, str] | None
    """Id and code, `ok` for a result; None: no answer."""


def _event(transaction: str = "T", sequence: int = 1, at: str = "2024-01-15T16:00:00Z") -> dict[str, Any]:
    sampled = {
        "value": 5000.0,
        "measurand": "Energy.Active.Import.Register",
        "unitOfMeasure": {"unit": "Wh"},
    }
    return {
        "eventType": "Updated",
        "timestamp": at,
        "triggerReason": "MeterValuePeriodic",
        "seqNo": sequence,
        "transactionInfo": {"transactionId": transaction, "chargingState": "Charging"},
        "evse": {"id": 1, "connectorId": 1},
        "meterValue": [{"timestamp": at, "sampledValue": [sampled]}],
    }


def _meter_values(number: int, at: str = "2024-01-15T16:00:00Z") -> dict[str, Any]:
    sampled = {"value": "5000", "measurand": "Energy.Active.Import.Register", "unit": "Wh"}
    return {
        "connectorId": 1,
        "transactionId": number,
        "meterValue": [{"timestamp": at, "sampledValue": [sampled]}],
    }


class Storm:
    """Makes shots by lot, for one version."""

    def __init__(self, version: str, number: int, seed: int) -> None:
        """`number` is what 1.6 calls the open transaction."""
        self._old = version == "ocpp1.6"
        self._number = number
        self._lot = random.Random(seed)
        self._count = 0
        self._kinds: tuple[Callable[[], Shot], ...] = (
            self._no_json,
            self._no_frame,
            self._no_payload,
            self._wounded,
            self._wounded,
            self._wounded,
            self._nested,
            self._unknown_action,
            self._not_offered,
            self._answer_to_nothing,
            self._from_long_ago,
        )

    def shot(self) -> Shot:
        """The next one."""
        self._count += 1
        return self._lot.choice(self._kinds)()

    def _id(self) -> str:
        return f"s{self._count}"

    def _coded(self, text: str, code: str, message_id: str | None = None) -> Shot:
        if message_id == "-1" and self._old:
            # 1.6 has no id for the answer to a frame whose id cannot be read.
            return Shot(text, None)
        return Shot(text, (message_id or self._id(), NAMES_16.get(code, code) if self._old else code))

    def _no_json(self) -> Shot:
        letters = "".join(self._lot.choices('[]{}",: 2ax\\\u00e9', k=self._lot.randint(1, 60)))
        return self._coded(letters + "[", "RpcFrameworkError", "-1")

    def _no_frame(self) -> Shot:
        frame = self._lot.choice(NO_FRAMES)
        return self._coded(orjson.dumps(frame).decode(), "RpcFrameworkError", "-1")

    def _no_payload(self) -> Shot:
        rest, code = self._lot.choice(NO_CALLS)
        return self._coded(orjson.dumps([2, self._id(), *rest]).decode(), code)

    def _wounded(self) -> Shot:
        """A good message with one wound that its schema cannot overlook."""
        required: tuple[str, ...]
        if self._old:
            action, body = "MeterValues", _meter_values(self._number)
            required, number, enums = ("connectorId", "meterValue"), "transactionId", ("measurand", "unit")
        else:
            action, body = "TransactionEvent", _event(sequence=self._count)
            required = ("eventType", "timestamp", "triggerReason", "seqNo", "transactionInfo")
            number, enums = "seqNo", ("measurand", "context")
        inner = body["meterValue"][0]["sampledValue"][0]
        wounds: list[tuple[str, Callable[[], object]]] = [
            ("OccurrenceConstraintViolation", lambda: body.pop(self._lot.choice(required))),
            ("OccurrenceConstraintViolation", lambda: inner.pop("value")),
            ("TypeConstraintViolation", lambda: body.update({number: "seven"})),
            ("TypeConstraintViolation", lambda: body.update(meterValue={"a": 1})),
            ("TypeConstraintViolation", lambda: inner.update(value=[1])),
            ("PropertyConstraintViolation", lambda: inner.update({self._lot.choice(enums): "Tea"})),
            ("FormatViolation", lambda: body.update(tea="please")),
            ("FormatViolation", lambda: inner.update(tea=None)),
        ]
        code, strike = self._lot.choice(wounds)
        strike()
        return self._coded(orjson.dumps([2, self._id(), action, body]).decode(), code)

    def _nested(self) -> Shot:
        """Boxes in boxes, fewer and more than any checker goes down."""
        depth = self._lot.choice([1, 60, 254, 255, 500, 900])
        payload = '{"a":' * depth + "{}" + "}" * depth
        return self._coded(f'[2,"{self._id()}","Heartbeat",{payload}]', "FormatViolation")

    def _unknown_action(self) -> Shot:
        action = self._lot.choice(["Tea", "", "heartbeat", "BootNotificationRequest", "\u0000"])
        return self._coded(orjson.dumps([2, self._id(), action, {}]).decode(), "NotImplemented")

    def _not_offered(self) -> Shot:
        """What only the CSMS may ask."""
        return self._coded(orjson.dumps([2, self._id(), "SetChargingProfile", {}]).decode(), "NotSupported")

    def _answer_to_nothing(self) -> Shot:
        frame = self._lot.choice([[3, "w999999", {}], [3, "nobody", {"status": "Accepted"}],
                                  [4, "nobody", "GenericError", "", {}], [3, 7, {}], [4, "nobody"],
                                  [3, "nobody"]])  # fmt: skip
        return Shot(orjson.dumps(frame).decode(), None)

    def _from_long_ago(self) -> Shot:
        """By the book, but of another time: another transaction's event comes after all."""
        transaction = f"OLD-{self._lot.randint(1, 5)}"
        if self._old:
            stop = {"transactionId": self._lot.randint(1, 5), "meterStop": 10, "timestamp": EARLIER}
            choices = [("StopTransaction", stop), ("MeterValues", _meter_values(3, EARLIER))]
        else:
            event = _event(transaction, self._lot.randint(0, 9), EARLIER)
            choices = [
                ("TransactionEvent", event),
                ("TransactionEvent", event | {"eventType": "Ended"}),
                ("TransactionEvent", event | {"eventType": "Started"}),
            ]
        action, body = self._lot.choice(choices)
        return self._coded(orjson.dumps([2, self._id(), action, body]).decode(), "ok")


async def _fire(connection: ClientConnection, shots: list[Shot], mark: str) -> list[tuple[str, str]]:
    """Sends a batch and gives its answers: everything that comes before the answer to a last heartbeat."""
    for shot in shots:
        await connection.send(shot.text)
    await connection.send(orjson.dumps([2, mark, "Heartbeat", {}]).decode())
    answers: list[tuple[str, str]] = []
    async with asyncio.timeout(20.0):
        while True:
            frame = orjson.loads(await connection.recv())
            if frame[0] == 2:
                # The floor, or a question of its own: answered as a patient charger does.
                await connection.send(patient_answer(frame))
            elif frame[1] == mark:
                return answers
            else:
                answers.append((frame[1], "ok" if frame[0] == 3 else frame[2]))


async def _open_transaction(connection: ClientConnection, version: str) -> int:
    """Starts the transaction that has to outlive the storm; its number in 1.6."""
    if version != "ocpp1.6":
        started = _event(sequence=0) | {
            "eventType": "Started",
            "triggerReason": "CablePluggedIn",
            "idToken": {"idToken": CAR, "type": "eMAID"},
        }
        call: list[Any] = [2, "start", "TransactionEvent", started]
    else:
        start = {"connectorId": 1, "idTag": CAR, "meterStart": 5000, "timestamp": "2024-01-15T16:00:00Z"}
        call = [2, "start", "StartTransaction", start]
    await connection.send(orjson.dumps(call).decode())
    while True:
        frame = orjson.loads(await connection.recv())
        if frame[0] == 2:
            await connection.send(patient_answer(frame))
        elif frame[1] == "start":
            assert frame[0] == 3, frame
            return int(frame[2].get("transactionId", 0))


def _connector(place: Street) -> ConnectorReading:
    found: ConnectorReading = place.of(ConnectorReading)[-1]
    return found


@pytest.mark.parametrize("version", ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"])
async def test_storm_is_answered_by_the_book_and_changes_nothing(version: str) -> None:
    """Every frame gets its one right answer, in order; the transaction and its neighbour are untouched."""
    async with street("cp-001", "cp-002") as place, raw_charger(place, "cp-002") as neighbour:
        async with raw_charger(place, subprotocol=version) as charger:
            number = await _open_transaction(charger, version)
            before = _connector(place)
            assert before.transaction == (str(number) if number else "T")
            place.readings.clear()
            storm = Storm(version, number, seed=20240115)
            for batch in range(FRAMES // BATCH):
                shots = [storm.shot() for _ in range(BATCH)]
                answers = await _fire(charger, shots, f"mark{batch}")
                assert answers == [shot.answer for shot in shots if shot.answer is not None]
            assert place.of(ConnectorReading) == []
            # Values of long ago may be read; of the open transaction nothing was said.
            assert all(meter.at.hour == 12 for meter in place.of(MeterReading))
            body = _meter_values(number) if number else _event(sequence=FRAMES + 1)
            last = orjson.dumps([2, "last", "MeterValues" if number else "TransactionEvent", body])
            assert await _fire(charger, [Shot(last.decode(), None)], "end") == [("last", "ok")]
            assert place.of(MeterReading)[-1].import_wh == 5000
            if not number:
                after = _connector(place)
                assert (after.plugged, after.transaction) == (True, "T")
            assert place.endpoint.connected() == 2
        assert await _fire(neighbour, [], "still") == []
