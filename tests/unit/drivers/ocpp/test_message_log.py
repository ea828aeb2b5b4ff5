"""The message log: what was said is found again for some days, and secrets never are."""

from __future__ import annotations

import asyncio
import resource
from datetime import timedelta
from pathlib import Path

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from controller.domain.charger_tools import Direction
from controller.domain.ids import AssetId
from drivers.ocpp import message_log
from drivers.ocpp.message_log import HIDDEN, IN_MEMORY, MessageLog, redacted
from tests.support.ocpp import START

CP, OTHER = AssetId("cp/1"), AssetId("cp-2")
DAY = timedelta(days=1)
IN, OUT = Direction.FROM_CHARGER, Direction.TO_CHARGER


@pytest.mark.parametrize("in_memory", [True, False])
async def test_messages_are_found_by_charger_time_and_text(tmp_path: Path, *, in_memory: bool) -> None:
    """The newest of them, the oldest first; another charger's are not among them."""
    log = MessageLog(None if in_memory else tmp_path)
    for i in range(10):
        log.add(CP, START + i * DAY / 10, IN if i % 2 else OUT, f'[2,"m{i}","Heartbeat",{{}}]')
    log.add(OTHER, START, IN, '[2,"other","Heartbeat",{}]')
    every = await log.search(CP, since=START, until=START + DAY, limit=100)
    assert [message.text[4:6] for message in every] == [f"m{i}" for i in range(10)]
    assert [message.direction for message in every[:2]] == [OUT, IN]
    some = await log.search(CP, since=START + DAY / 5, until=START + DAY / 2, limit=2)
    assert [message.text[4:6] for message in some] == ["m3", "m4"]
    ways = [
        await log.search(CP, since=START, until=START + DAY, direction=direction, limit=100)
        for direction in Direction
    ]
    assert [{message.direction for message in way} for way in ways] == [{one} for one in Direction]
    assert sorted(m.at for way in ways for m in way) == [m.at for m in every]
    one = await log.search(CP, since=START, until=START + DAY, contains="m7", limit=9)
    assert [message.text[4:6] for message in one] == ["m7"]


async def test_old_days_go_and_a_broken_line_is_left_out(tmp_path: Path) -> None:
    """Two days are kept; a power cut left half a line."""
    log = MessageLog(tmp_path, keep_days=2)
    for day in range(5):
        log.add(CP, START + day * DAY, IN, f"[{day}]")
        await log.flush()
    newest = tmp_path / "cp%2F1" / f"{(START + 4 * DAY).date()}.jsonl"
    newest.write_bytes(newest.read_bytes() + b'["2024-01')
    found = await log.search(CP, since=START, until=START + 9 * DAY, limit=100)
    assert [message.text for message in found] == ["[2]", "[3]", "[4]"]


async def test_what_the_disk_does_not_take_stays_in_line(tmp_path: Path) -> None:
    """A file stands where the folder should be: the message is written once it has gone."""
    place = tmp_path / "log"
    place.write_text("", encoding="utf-8")
    log = MessageLog(place)
    log.add(CP, START, IN, "[1]")
    with pytest.raises(OSError, match="log"):
        await log.flush()
    place.unlink()
    assert [m.text for m in await log.search(CP, since=START, until=START + DAY, limit=9)] == ["[1]"]


async def test_a_disk_that_fills_half_way_doubles_and_breaks_no_line(tmp_path: Path) -> None:
    """One file is written, the next one's second line finds half a place; then there is room again."""
    log = MessageLog(tmp_path)
    log.add(CP, START, IN, "[1]")
    for number in (2, 3):
        log.add(OTHER, START, IN, f'[{number},"{"x" * 200}"]')
    log.add(CP, START, IN, "[4]")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            await log.flush()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    log.add(OTHER, START, IN, "[5]")
    for charger, firsts in ((CP, "14"), (OTHER, "235")):
        found = await log.search(charger, since=START, until=START + DAY, limit=9)
        assert "".join(message.text[1] for message in found) == firsts


async def test_where_too_many_wait_for_the_disk_the_oldest_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a portion is being refused new messages come: the newest stay."""
    monkeypatch.setattr(message_log, "WAITING_MAX", 3)
    place = tmp_path / "log"
    place.write_text("", encoding="utf-8")
    log = MessageLog(place)
    for number in range(3):
        log.add(CP, START, IN, f"[{number}]")
    writing = asyncio.create_task(log.flush())
    await asyncio.sleep(0)
    for number in (3, 4):
        log.add(CP, START, IN, f"[{number}]")
    with pytest.raises(OSError, match="log"):
        await writing
    place.unlink()
    found = await log.search(CP, since=START, until=START + DAY, limit=9)
    assert [message.text for message in found] == ["[2]", "[3]", "[4]"]


async def test_many_messages_are_written_in_portions_and_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two portions and a bit: all of them are there, the oldest first."""
    monkeypatch.setattr(message_log, "PORTION", 10)
    log = MessageLog(tmp_path)
    for i in range(25):
        log.add(CP, START, IN, f"[{i}]")
    await log.flush()
    again = MessageLog(tmp_path)
    found = await again.search(CP, since=START, until=START + DAY, limit=99)
    assert [message.text for message in found] == [f"[{i}]" for i in range(25)]


def test_memory_is_bounded() -> None:
    """Without a folder the newest stay."""
    log = MessageLog()
    for i in range(IN_MEMORY + 3):
        log.add(CP, START, IN, f"[{i}]")
    found = asyncio.run(log.search(CP, since=START, until=START + DAY, limit=IN_MEMORY * 2))
    assert (len(found), found[0].text) == (IN_MEMORY, "[3]")


@given(secret=st.text(st.characters(exclude_categories=["Cs"]), min_size=6).filter(lambda s: HIDDEN not in s))
@pytest.mark.parametrize(
    "place",
    ["1.6", "1.6 answer", "2.x", "basicAuthPassword", "apn", "vpn key", "vpn password", "1.6 reordered"],
)
def test_secrets_are_redacted_wherever_they_stand(place: str, secret: str) -> None:
    """In every message of the standard that carries one, whatever characters it has."""
    payloads = {
        "1.6": {"key": "AuthorizationKey", "value": secret},
        "1.6 reordered": {"value": secret, "key": "AuthorizationKey"},
        "1.6 answer": {"configurationKey": [{"key": "AuthorizationKey", "readonly": False, "value": secret}]},
        "2.x": {
            "setVariableData": [
                {
                    "attributeValue": secret,
                    "component": {"name": "SecurityCtrlr"},
                    "variable": {"name": "BasicAuthPassword"},
                }
            ]
        },
        "basicAuthPassword": {"connectionData": {"basicAuthPassword": secret}},
        "apn": {"connectionData": {"apn": {"apnPassword": secret}}},
        "vpn key": {"connectionData": {"vpn": {"server": "s", "user": "u", "key": secret, "type": "IPSec"}}},
        "vpn password": {"connectionData": {"vpn": {"server": "s", "user": "u", "password": secret}}},
    }
    # A secret that is some other word of its message would be found there.
    others = _leaves([2, "", "", payloads[place]])
    assume(others.count(secret) == 1)
    frame = orjson.dumps([2, "", "", payloads[place]]).decode()
    found = redacted(frame)
    assert HIDDEN in orjson.dumps(orjson.loads(found)).decode()
    assert secret not in _leaves(orjson.loads(found))


def _leaves(value: object) -> list[object]:
    if isinstance(value, dict):
        return [leaf for part in value.values() for leaf in _leaves(part)]
    if isinstance(value, list):
        return [leaf for part in value for leaf in _leaves(part)]
    return [value]


@pytest.mark.parametrize("depth", [300, 1000])
async def test_a_frame_that_is_nested_too_deeply_is_hidden_and_the_others_are_written(
    tmp_path: Path, depth: int
) -> None:
    """Deeper than JSON is written, and than Python goes: no charger may end the writing for all of them."""
    log = MessageLog(tmp_path)
    log.add(CP, START, IN, f'[2,"x","DataTransfer",{{"password":"s3cret","a":{"[" * depth}{"]" * depth}}}]')
    log.add(OTHER, START, IN, "[2]")
    await log.flush()
    for charger, text in ((CP, HIDDEN), (OTHER, "[2]")):
        (found,) = await log.search(charger, since=START, until=START + DAY, limit=9)
        assert found.text == text


def test_a_password_in_an_address_and_a_broken_frame_are_hidden_too() -> None:
    """An upload to ftp://user:password@host; a frame that breaks off after naming a secret."""
    assert redacted('{"location":"ftp://me:s3cret@host/x"}') == f'{{"location":"ftp://me:{HIDDEN}@host/x"}}'
    assert redacted('[2,"x","ChangeConfiguration",{"key":"AuthorizationKey","value":"s3c') == HIDDEN
    plain = '[2,"x","Heartbeat",{}]'
    assert redacted(plain) == plain


@pytest.mark.parametrize(
    "frame",
    [
        '[2,"1","Authorize",{"idTag":"04A1B2C3D4"}]',
        '[2,"1","TransactionEvent",{"idToken":{"idToken": "04A1B2C3D4","type":"ISO14443"}}]',
        '[2,"1","SendLocalList",{"localAuthorizationList":[{"idTag":"04A1B2C3D4"},{"idTag":"04A1B2C3D4"}]}]',
        '[3,"1",{"idTagInfo":{"status":"Accepted","parentIdTag":"04A1B2C3D4"}}]',
        '[2,"1","Authorize",{"idToken":{"additionalInfo":[{"additionalIdToken":"04A1B2C3D4","type":"x"}]}}]',
    ],
)
def test_a_token_shows_its_end_alone(frame: str) -> None:
    """Whoever reads the log can follow a card and cannot copy it; doing it twice hides no more."""
    shown = redacted(frame)
    assert shown == frame.replace("04A1B2C3D4", "…C3D4")
    assert redacted(shown) == shown
