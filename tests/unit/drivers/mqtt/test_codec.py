"""Meter topics and payloads: what is read from them, and what is refused."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain.telemetry import MeterReading
from controller.domain.time import ScaledDomainClock
from drivers.mqtt.clock import FollowedClock
from drivers.mqtt.codec import (
    AnnouncedClock,
    MalformedError,
    decode_clock,
    decode_comparison,
    decode_meter,
    encode_clock,
    encode_comparison,
    encode_live,
    encode_register,
    live_topic,
    register_topic,
)
from tests.support.devices import START

_LIVE = "wijkstroom/meters/home-001/live"
_REGISTER = "wijkstroom/meters/home-001/register"
_AT = '"at": "2024-01-15T16:00:00Z"'


def test_live_message_per_phase() -> None:
    """Watts become kW, per phase and in sum; voltages stay."""
    payload = (
        b'{"at": "2024-01-15T17:00:00+01:00", "power_w": [1000, -250.5, 0], "voltage_v": [230, 231, 229.5]}'
    )
    reading = decode_meter(_LIVE, payload, now=START)
    assert reading == MeterReading(
        meter=reading.meter,
        at=START,
        power_kw=0.7495,
        phase_power_kw=(1.0, -0.2505, 0.0),
        voltage_v=(230.0, 231.0, 229.5),
    )
    assert reading.meter == "home-001"


def test_live_message_with_a_total() -> None:
    """A meter that knows only its total leaves the phases unknown."""
    reading = decode_meter(_LIVE, b'{"at": "2024-01-15T16:00:00Z", "power_w": 512}', now=START)
    assert (reading.power_kw, reading.phase_power_kw, reading.voltage_v) == (0.512, None, None)


def test_impossible_time_gives_way_to_ours() -> None:
    """A meter that thinks it is 1970 is believed in its watts, not in its time."""
    reading = decode_meter(_LIVE, b'{"at": "1970-01-01T00:00:00Z", "power_w": 512}', now=START)
    assert reading.at == START
    assert "off by -1705334400 s" in reading.why_unknown


@pytest.mark.parametrize("ahead_s", [3599, 7199, 120], ids=["winter time as Z", "summer time as Z", "fast"])
def test_a_value_from_the_future_is_of_now(ahead_s: int) -> None:
    """Else it would be dropped, or count as stale, for as long as the meter's clock is wrong."""
    at = START + timedelta(seconds=ahead_s)
    reading = decode_meter(_LIVE, encode_live(at, 512.0), now=START)
    assert (reading.at, reading.power_kw) == (START, 0.512)
    assert f"off by {ahead_s} s" in reading.why_unknown


def test_a_value_of_some_minutes_ago_keeps_its_time() -> None:
    """A meter that was off line tells what it measured then; a few seconds ahead are as any clock is."""
    for off_s in (-1800, -1, 30):
        at = START + timedelta(seconds=off_s)
        assert decode_meter(_LIVE, encode_live(at, 512.0), now=START).at == at


def test_register_message() -> None:
    """Whole watt-hours at a quarter-hour's end, also of some hours ago."""
    payload = b'{"at": "2024-01-15T12:15:00Z", "import_wh": 123, "export_wh": 0}'
    reading = decode_meter(_REGISTER, payload, now=START)
    assert (reading.import_wh, reading.export_wh, reading.power_kw) == (123, 0, None)


@pytest.mark.parametrize(
    ("topic", "payload", "why"),
    [
        (_LIVE, "", "no JSON"),
        (_LIVE, "\xff\xfe", "no JSON"),
        (_LIVE, "[1]", "not a JSON object"),
        (_LIVE, " " * 3000, "bytes are more than"),
        (_LIVE, f"{{{_AT}}}", "'power_w' is missing"),
        (_LIVE, f'{{{_AT}, "power_w": true}}', "'power_w' is missing or no number"),
        (_LIVE, f'{{{_AT}, "power_w": "7"}}', "'power_w' is missing or no number"),
        (_LIVE, f'{{{_AT}, "power_w": 1e300}}', "which cannot be"),
        (_LIVE, f'{{{_AT}, "power_w": NaN}}', "no JSON"),
        (_LIVE, f'{{{_AT}, "power_w": [1, 2]}}', "three in all"),
        (_LIVE, f'{{{_AT}, "power_w": 1, "voltage_v": 230}}', "three in all"),
        (_LIVE, f'{{{_AT}, "power_w": 1, "voltage_v": [230, null, 1]}}', "no number"),
        (_LIVE, '{"power_w": 1}', "'at' is missing"),
        (_LIVE, '{"at": "yesterday", "power_w": 1}', "'at'"),
        (_LIVE, '{"at": "2024-01-15T16:00:00", "power_w": 1}', "no time zone"),
        (_LIVE, '{"at": "0001-01-01T00:00:00+14:00", "power_w": 1}', "'at'"),
        (_REGISTER, f'{{{_AT}, "import_wh": 1}}', "'export_wh'"),
        (_REGISTER, f'{{{_AT}, "import_wh": 1.5, "export_wh": 0}}', "'import_wh'"),
        (_REGISTER, f'{{{_AT}, "import_wh": -1, "export_wh": 0}}', "'import_wh'"),
        (_REGISTER, '{"at": "2024-01-15T16:01:00Z", "import_wh": 1, "export_wh": 0}', "end of a quarter"),
        (_REGISTER, '{"at": "2031-01-15T16:00:00Z", "import_wh": 1, "export_wh": 0}', "future"),
        ("wijkstroom/meters/a/b/live", "{}", "no meter's topic"),
        ("wijkstroom/meters/a/other", "{}", "no meter's topic"),
        ("other/meters/a/live", "{}", "no meter's topic"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_reason(topic: str, payload: str, why: str) -> None:
    """Nothing is guessed: the message is refused whole."""
    with pytest.raises(MalformedError, match=why):
        decode_meter(topic, payload.encode("latin-1"), now=START)


@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(["at", "power_w", "import_wh", "x"]), inner)
        ),
    ).map(lambda value: json.dumps(value).encode())
)
def test_no_payload_does_anything_but_be_read_or_refused(payload: bytes) -> None:
    """Whatever comes in, the only exception is the refusal."""
    for topic in (_LIVE, _REGISTER):
        with contextlib.suppress(MalformedError):
            assert decode_meter(topic, payload, now=START).meter == "home-001"
    with contextlib.suppress(MalformedError):
        assert decode_clock(payload).clock.speed > 0


def test_what_is_encoded_reads_back() -> None:
    """The simulator's messages are readable, to the watt."""
    live = decode_meter(
        live_topic("m"), encode_live(START, [1000.4, 0.0, -3.0], [230.04, 230.0, 1.0]), now=START
    )
    assert live.phase_power_kw == (1.0, 0.0, -0.003)
    assert live.voltage_v == (230.0, 230.0, 1.0)
    register = decode_meter(register_topic("m"), encode_register(START, 5, 6), now=START)
    assert (register.at, register.import_wh, register.export_wh) == (START, 5, 6)


def test_clock_reads_back_and_is_checked() -> None:
    """The three values and whether it runs; a speed of 0 or a missing field is refused."""
    clock = ScaledDomainClock(anchor_domain=START, anchor_unix_s=1.5e9, speed=600.0)
    announced = AnnouncedClock(clock=clock, running=True)
    assert decode_clock(encode_clock(announced)) == announced
    fields = json.loads(encode_clock(announced))
    for changed in ({"speed": 0}, {"running": None}, {"anchor_unix_s": "x"}, {"anchor_domain": 5}):
        with pytest.raises(MalformedError):
            decode_clock(json.dumps(fields | changed).encode())


async def test_followed_clock_stands_until_it_is_told_to_run() -> None:
    """Before, time is the anchor; after, it is never before the anchor and moves at the announced speed."""
    waiting = ScaledDomainClock(anchor_domain=START, anchor_unix_s=0.0, speed=600.0)
    clock = FollowedClock(AnnouncedClock(clock=waiting, running=False))
    assert clock.now() == START
    assert clock.machine_s(timedelta(seconds=60)) == pytest.approx(0.1)
    future_s = (datetime.now(UTC) + timedelta(hours=1)).timestamp()
    soon = ScaledDomainClock(anchor_domain=START, anchor_unix_s=future_s, speed=600.0)
    clock.follow(AnnouncedClock(clock=soon, running=True))
    await clock.running()
    assert clock.now() == START
    long_ago = ScaledDomainClock(anchor_domain=START, anchor_unix_s=future_s - 7200.0, speed=600.0)
    clock.follow(AnnouncedClock(clock=long_ago, running=True))
    assert clock.now() > START + timedelta(days=24)


def test_comparison_reads_back_and_is_checked() -> None:
    """What nodes would draw without control, by node and baseline; anything but numbers is refused."""
    comparison = {"feeder-1-1": {"plug_and_charge": 81.25, "fixed_cap": -3.0}}
    assert decode_comparison(encode_comparison(comparison)) == comparison
    for payload in (b"[]", b'{"feeder-1-1": 5}', b'{"feeder-1-1": {"fixed_cap": "much"}}'):
        with pytest.raises(MalformedError):
            decode_comparison(payload)
