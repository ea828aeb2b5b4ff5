"""Frames recorded from a charge point that this project did not write, replayed through the sessions.

The simulated charger shares the drivers' frames and schemas, so a fault in them could cancel itself out;
these frames are from outside. See tests/data/ocpp_virtual_charge_point/README.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from controller.domain.charging_tokens import among
from controller.domain.telemetry import ConnectorReading, MeterReading, Reading
from drivers.ocpp.codec import Answer, Notice, NoticeCode, Request
from drivers.ocpp.session import BaseSession
from drivers.ocpp.v16 import Session16
from drivers.ocpp.v21 import Session21
from drivers.ocpp.v201 import Session201
from tests.support.ocpp import TOKENS, charge_point

RECORDS = Path(__file__).parents[3] / "data" / "ocpp_virtual_charge_point"
SESSIONS: dict[str, type[BaseSession]] = {
    "ocpp1.6": Session16,
    "ocpp2.0.1": Session201,
    "ocpp2.1": Session21,
    "ocpp2.1-two-way": Session21,
}
REQUEST, RESULT = 2, 3


@dataclass
class Replay:
    """What a session makes of a record."""

    readings: list[Reading] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    transactions: set[str] = field(default_factory=set)


def _without_time(frame: Any) -> Any:
    """Our clock is read a moment after the frame was seen."""
    payload = {name: value for name, value in frame[2].items() if name != "currentTime"}
    return [*frame[:2], payload]


def replay(name: str) -> Replay:
    """Plays a record; each frame of ours must be the one that the session makes today."""
    session = SESSIONS[name](
        charge_point("vcp-1", discharge_kw_max=11.0 if "two-way" in name else 0.0),
        verdict=among(TOKENS),
    )
    found = Replay()
    replies: dict[str, Any] = {}
    for line in (RECORDS / f"{name}.jsonl").read_bytes().splitlines():
        entry = orjson.loads(line)
        frame = entry["frame"]
        if entry["from"] == "charger":
            received = session.receive(orjson.dumps(frame).decode(), datetime.fromisoformat(entry["at"]))
            found.readings += received.readings
            found.notices += received.notices
            if received.answer is not None:
                found.answers.append(received.answer)
            if received.reply is not None:
                replies[frame[1]] = orjson.loads(received.reply)
            if session.state.transaction is not None:
                found.transactions.add(session.state.transaction)
        elif frame[0] == REQUEST:
            text = session.call(Request(action=frame[2], payload=frame[3]))
            assert orjson.loads(text) == frame
        else:
            assert frame[0] == RESULT
            assert _without_time(replies.pop(frame[1])) == _without_time(frame)
    assert replies == {}
    assert session.state.transaction is None
    return found


@pytest.mark.parametrize("name", SESSIONS)
def test_recorded_session_is_understood(name: str) -> None:
    """One transaction with its token, two meter values within it, everything that was asked accepted."""
    found = replay(name)
    assert len(found.transactions) == 1
    (transaction,) = found.transactions
    connectors = [reading for reading in found.readings if isinstance(reading, ConnectorReading)]
    assert not connectors[0].plugged
    assert not connectors[-1].plugged
    charging = [reading for reading in connectors if reading.transaction == transaction]
    assert {reading.token for reading in charging} == {"NL-WST-C00000001"}
    meters = [reading for reading in found.readings if isinstance(reading, MeterReading)]
    assert len(meters) == 4
    assert meters[0].import_wh == 0
    assert {answer.payload["status"] for answer in found.answers} == {"Accepted"}
    assert [answer.action for answer in found.answers].count("SetChargingProfile") == 3


@pytest.mark.parametrize(
    ("name", "registers_wh", "codes"),
    [
        # By hand from the record: 0.15039 and 0.30058 kWh, and a stop at 341 Wh.
        ("ocpp1.6", [0, 150, 301, 341], []),
        # It says kWh where it counts Wh: 150 kWh cannot flow in 15 s. The last value has no unit, so Wh.
        ("ocpp2.0.1", [0, None, None, 341], [NoticeCode.REGISTER_LEAPS] * 2),
        # Its last value is 0.34 without a unit: 0.34 Wh by the standard, less than before.
        ("ocpp2.1", [0, 150, 300, None], [NoticeCode.REGISTER_BACKWARDS]),
        ("ocpp2.1-two-way", [0, 150, 300, None], [NoticeCode.REGISTER_BACKWARDS]),
    ],
)
def test_registers_that_cannot_be_are_no_energy(
    name: str, registers_wh: list[int | None], codes: list[NoticeCode]
) -> None:
    """A foreign charger's slips with units do not become money."""
    found = replay(name)
    meters = [reading for reading in found.readings if isinstance(reading, MeterReading)]
    assert [reading.import_wh for reading in meters] == registers_wh
    assert [notice.code for notice in found.notices] == codes
