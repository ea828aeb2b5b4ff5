"""A session under a storm of wrong frames: it answers by the book, never fails, and stays as it was."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.domain.time import utc_text
from drivers.ocpp.frames import RpcErrorCode
from drivers.ocpp.meters import read_sample
from drivers.ocpp.v21 import Session21
from sim.chargers.dialect import Facts, Registers
from sim.chargers.v2 import Dialect21
from tests.support.ocpp import START, session

DIALECT = Dialect21(utc_text)
CODES = {code.value for code in RpcErrorCode}
ACTIONS = ("BootNotification", "MeterValues", "TransactionEvent", "StatusNotification", "Authorize", "Tea")
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


def _event(sequence: int = 1) -> dict[str, Any]:
    registers = Registers(at=START, import_wh=5000.0, export_wh=100.0, power_kw=-6.0, soc_fraction=0.4)
    facts = Facts(transaction="T", token="", at=START, moving=True, sequence=sequence, offline=False)
    samples = [(registers, "Sample.Periodic")]
    return DIALECT.updated("MeterValuePeriodic", facts, samples, named=False)[0].payload


def _open_session() -> Session21:
    """A session with a transaction, a register and a car: a state that could be spoiled."""
    fresh = session()
    fresh.receive(orjson.dumps([2, "1", "TransactionEvent", _event()]).decode(), START)
    assert fresh.state.transaction == "T"
    return fresh


def _assert_by_the_book(fresh: Session21, message: str | bytes) -> None:
    """A malformed message is answered with a known code or not at all, and leaves the state alone."""
    before = fresh.state
    received = fresh.receive(message, START)
    if received.malformed:
        assert fresh.state is before
        assert received.readings == ()
        assert received.notices
        if received.reply is not None:
            reply = orjson.loads(received.reply)
            assert reply[0] in {4, 5}
            assert reply[2] in CODES


@given(message=st.text(max_size=200) | st.binary(max_size=50))
@settings(max_examples=150, deadline=None)
def test_any_text_is_answered_by_the_book(message: str | bytes) -> None:
    """Garbage of any kind."""
    _assert_by_the_book(_open_session(), message)


@given(array=st.lists(JSON, max_size=6))
@settings(max_examples=200, deadline=None)
def test_any_array_is_answered_by_the_book(array: list[Any]) -> None:
    """JSON of the right outer form and any contents."""
    _assert_by_the_book(_open_session(), orjson.dumps(array, option=orjson.OPT_NON_STR_KEYS).decode())


@given(kind=st.integers(1, 7), action=st.sampled_from(ACTIONS), payload=JSON)
@settings(max_examples=200, deadline=None)
def test_any_payload_is_answered_by_the_book(kind: int, action: str, payload: Any) -> None:
    """Frames of a known form with any payload."""
    _assert_by_the_book(_open_session(), orjson.dumps([kind, "x", action, payload]).decode())


def _mutate(value: Any, chance: random.Random) -> Any:
    """One random wound somewhere in a JSON value."""
    wounds: list[Any] = [None, True, -1, 1e308, "", "x" * 400, [], {}, {"a": 1}, "1970-01-01T00:00:00Z"]
    if isinstance(value, dict) and value and chance.random() < 0.85:
        key = chance.choice(list(value))
        action = chance.random()
        if action < 0.2:
            return {name: part for name, part in value.items() if name != key}
        if action < 0.3:
            return {**value, f"{key}x": value[key]}
        return {**value, key: _mutate(value[key], chance)}
    if isinstance(value, list) and value and chance.random() < 0.85:
        place = chance.randrange(len(value))
        return [*value[:place], _mutate(value[place], chance), *value[place + 1 :]]
    return chance.choice(wounds)


def test_thousand_wounded_frames_leave_a_working_session() -> None:
    """Valid transaction events with one wound each; after them the session does its work as before."""
    chance = random.Random(20240115)
    fresh = _open_session()
    malformed = 0
    for number in range(1000):
        frame = _mutate([2, f"m{number}", "TransactionEvent", _event(number + 2)], chance)
        before = fresh.state
        received = fresh.receive(orjson.dumps(frame).decode(), START)
        if received.malformed:
            malformed += 1
            assert fresh.state is before
    assert malformed > 500
    later = START + timedelta(minutes=5)
    event = _event(5000)
    event["timestamp"] = event["meterValue"][0]["timestamp"] = "2024-01-15T16:05:00Z"
    received = fresh.receive(orjson.dumps([2, "end", "TransactionEvent", event]).decode(), later)
    assert received.reply == '[3,"end",{}]'
    assert fresh.state.transaction == "T"


@given(
    power_kw=st.floats(-500, 500),
    import_wh=st.floats(0, 1e12),
    export_wh=st.floats(0, 1e12),
    soc=st.floats(0, 1),
)
@settings(max_examples=200, deadline=None)
def test_what_a_charger_writes_is_what_we_read(
    power_kw: float, import_wh: float, export_wh: float, soc: float
) -> None:
    """Within the meter's resolution, in both directions."""
    registers = Registers(
        at=START, import_wh=import_wh, export_wh=export_wh, power_kw=power_kw, soc_fraction=soc
    )
    said = DIALECT.metered([(registers, "Sample.Clock")]).payload["meterValue"][0]
    sample = read_sample(said["sampledValue"], two_way=True)
    assert sample.power_kw is not None
    assert sample.import_wh is not None
    assert sample.export_wh is not None
    assert sample.soc_fraction is not None
    # 0.1 W, 1 Wh and 0.01% are what the simulated meter tells.
    assert abs(sample.power_kw - power_kw) <= 0.000_051
    assert abs(sample.import_wh - import_wh) <= 0.56
    assert abs(sample.export_wh - export_wh) <= 0.56
    assert abs(sample.soc_fraction - soc) <= 0.000_051
