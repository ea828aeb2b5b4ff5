"""The message log in words: each frame as a line with what it says, and whole underneath. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from controller.console.live import text
from controller.console.operator.panels import table_html
from controller.domain.charger_tools import Direction, LoggedMessage
from controller.domain.time import AMSTERDAM
from controller.texts import Translator

PAGE_ROWS = 20
PAGES_MAX = 200
"""The log gives at most so many pages; who wants older ones narrows the span."""
_TELLING = (
    "eventType",
    "triggerReason",
    "status",
    "connectorStatus",
    "errorCode",
    "reason",
    "stoppedReason",
    "requestedMessage",
    "type",
    "meterStart",
    "meterStop",
    "connectorId",
    "evseId",
)
"""The fields that a line shows, in this order."""
_CALL, _RESULT, _ERROR, _RESULT_ERROR, _SEND = 2, 3, 4, 5, 6


def messages_html(messages: Sequence[LoggedMessage], words: Translator) -> str:
    """A table of messages, in the order in which they are given."""
    asked = _actions(messages)
    return table_html(
        [words.say("When"), words.say("Who"), words.say("What")],
        [_cells(message, asked, words) for message in messages],
        empty=words.say("No message fits."),
        caption=words.say("Messages"),
    )


def _cells(message: LoggedMessage, asked: Mapping[str, str], words: Translator) -> list[str]:
    outward = message.direction is Direction.TO_CHARGER
    who = words.say("to the charger") if outward else words.say("from the charger")
    frame = _frame(message.text)
    title = words.say("not readable") if frame is None else _title(frame, asked, words)
    gist = "" if frame is None else " · ".join(_gist(frame))
    whole = message.text if frame is None else _written(frame)
    local = message.at.astimezone(AMSTERDAM)
    shown = f"<b>{text(title)}</b> <small>{text(gist)}</small>"
    return [
        f"<time>{text(words.moment(message.at))}:{local:%S}</time>",
        f'<span class="w-way" aria-hidden="true">{"→" if outward else "←"}</span> {text(who)}',
        f'<details class="w-frame"><summary>{shown}</summary><pre>{text(whole)}</pre></details>',
    ]


def json_html(value: object) -> str:
    """A value as indented JSON."""
    return f"<pre>{text(_written(value))}</pre>"


def _written(value: object) -> str:
    """A value as indented JSON; one that is nested deeper than Python writes, as a word."""
    try:
        return json.dumps(value, indent=2, ensure_ascii=False)
    except RecursionError:
        return "[…]"


def _actions(messages: Sequence[LoggedMessage]) -> dict[str, str]:
    """The request's name by message id: answers do not say what they answer."""
    found: dict[str, str] = {}
    for message in messages:
        frame = _frame(message.text)
        if frame is not None and frame[0] in {_CALL, _SEND} and len(frame) > 2:
            found[str(frame[1])] = str(frame[2])
    return found


def _frame(written: str) -> list[Any] | None:
    """A frame as JSON; None where it is none."""
    try:
        frame = json.loads(written)
    except (ValueError, RecursionError):
        return None
    return frame if isinstance(frame, list) and len(frame) > 1 else None


def _title(frame: list[Any], asked: Mapping[str, str], words: Translator) -> str:
    action = asked.get(str(frame[1]), "")
    match frame[0]:
        case 2 | 6 if len(frame) > 2:
            return str(frame[2])
        case 3:
            return words.say("answer to {action}", action=action) if action else words.say("answer")
        case 4 | 5:
            return words.say("error: {code}", code=frame[2] if len(frame) > 2 else "")
        case _:
            return words.say("not readable")


def _gist(frame: list[Any]) -> list[str]:
    """The telling fields of a payload with their values."""
    payload = next((part for part in frame[2:] if isinstance(part, dict)), {})
    return [
        f"{name} {payload[name]}"
        for name in _TELLING
        if isinstance(payload.get(name), str | int | float) and payload[name] != ""
    ]


def local_moment(written: str | None) -> datetime | None:
    """A date and time as a browser's field gives it, of Amsterdam; None where it is none."""
    try:
        moment = datetime.fromisoformat(written or "")
    except ValueError:
        return None
    return moment.replace(tzinfo=AMSTERDAM)
