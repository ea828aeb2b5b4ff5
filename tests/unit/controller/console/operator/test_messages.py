"""The message log in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import orjson
import pytest

from controller.console.operator.messages import local_moment, messages_html
from controller.domain.charger_tools import Direction, LoggedMessage
from controller.domain.ids import AssetId
from controller.texts import Language, translator
from tests.support.fake_views import START
from tests.support.markup import well_formed

_NL, _EN = translator(Language.DUTCH), translator(Language.ENGLISH)


def said(direction: Direction, frame: object, after_s: float = 0.0) -> LoggedMessage:
    """One message; a text goes as it is."""
    text = frame if isinstance(frame, str) else orjson.dumps(frame).decode()
    return LoggedMessage(
        charge_point=AssetId("c"), at=START + timedelta(seconds=after_s), direction=direction, text=text
    )


def test_an_answer_names_what_it_answers_and_a_line_what_it_says() -> None:
    """Requests, answers, errors and what is no frame at all, each whole underneath."""
    body = {"requestedMessage": "StatusNotification", "evse": {"id": 1}}
    html = well_formed(
        messages_html(
            [
                said(Direction.FROM_CHARGER, "[2,", 9.0),
                said(Direction.FROM_CHARGER, [4, "w2", "NotSupported", "no", {}], 3.0),
                said(Direction.FROM_CHARGER, [3, "w1", {"status": "Accepted"}], 2.0),
                said(Direction.TO_CHARGER, [2, "w1", "TriggerMessage", body], 1.0),
            ],
            _EN,
        )
    )
    for words in (
        "answer to TriggerMessage",
        "status Accepted",
        "requestedMessage StatusNotification",
        "error: NotSupported",
        "not readable",
        "Mon 15 Jan 17:35:01",
        "to the charger",
        "&quot;id&quot;: 1",
    ):
        assert words in html
    assert "naar het laadpunt" in messages_html([said(Direction.TO_CHARGER, [2, "a", "Reset", {}])], _NL)


@pytest.mark.parametrize("depth", [400, 1000, 50_000])
def test_a_frame_that_is_nested_too_deeply_is_one_line_of_the_log(depth: int) -> None:
    """The others are shown as ever."""
    deep = said(Direction.FROM_CHARGER, f'[2,"deep","Nested",{{"a":{"[" * depth}{"]" * depth}}}]')
    html = well_formed(messages_html([deep, said(Direction.TO_CHARGER, [2, "b", "Reset", {}])], _EN))
    assert "Reset" in html
    assert html.count("<details") == 2


@pytest.mark.parametrize(
    "frame",
    ["", "null", "[]", "[2]", "[2,3]", "{}", "[9,1,2]", '[3,"x"]', "[2,null,{}]", '[4,"x"]', '"<script>"'],
)
def test_any_text_is_shown_and_does_nothing(frame: str) -> None:
    """Whatever a device wrote."""
    html = well_formed(messages_html([said(Direction.FROM_CHARGER, frame)], _EN))
    assert "<script" not in html


def test_a_browsers_field_is_a_time_of_amsterdam() -> None:
    """Summer and winter; empty is none."""
    assert local_moment("2024-01-15T17:35") == datetime(2024, 1, 15, 16, 35, tzinfo=UTC)
    assert local_moment("2024-07-15T17:35") == datetime(2024, 7, 15, 15, 35, tzinfo=UTC)
    assert local_moment("") is None
    assert local_moment("soon") is None
