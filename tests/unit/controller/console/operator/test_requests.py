"""The frequent requests fit every version; what a person writes is read or told what is wrong."""

from __future__ import annotations

import pytest

from controller.console.operator.charger_panels import fields_html, problems_html
from controller.console.operator.requests import QUICK, Quick, read_payload, written
from controller.domain.errors import InputProblemsError, Problem
from controller.texts import Language, translator
from drivers.ocpp import forms, schemas
from drivers.ocpp.desk import is_harmless
from tests.support.markup import well_formed

_NL, _EN = translator(Language.DUTCH), translator(Language.ENGLISH)
_FOLDERS = {"ocpp1.6": "v16", "ocpp2.0.1": "v201", "ocpp2.1": "v21"}


@pytest.mark.parametrize("version", _FOLDERS)
@pytest.mark.parametrize("quick", QUICK, ids=lambda quick: quick.name)
def test_every_button_sends_what_its_version_knows(quick: Quick, version: str) -> None:
    """By the schema."""
    action, payload = quick.said(version)
    assert action in forms.ours(_FOLDERS[version])
    assert schemas.violations(_FOLDERS[version], f"{action}Request", dict(payload)) == []


def test_buttons_that_only_ask_come_before_those_that_do_more() -> None:
    """So nobody unlocks by a slip."""
    for version in _FOLDERS:
        harmless = [is_harmless(quick.said(version)[0]) for quick in QUICK]
        assert harmless == [True, True, True, False, False]


def test_what_is_written_is_read_back() -> None:
    """And nothing is an empty payload."""
    payload = {"type": "OnIdle", "evseId": 1}
    assert read_payload(written(payload)) == payload
    assert read_payload("") == {}


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ('{"a": 1,\n "b": }', "payload 2:7: is not valid JSON"),
        ("[1]", "payload: must be a JSON object"),
    ],
)
def test_what_is_no_object_is_told_with_its_place(source: str, told: str) -> None:
    """Line and column."""
    with pytest.raises(InputProblemsError, match=told):
        read_payload(source)


def test_mistakes_are_told_in_the_readers_language() -> None:
    """Also those with a list of values; a rule that is not known stands as it is."""
    rules = ("is missing", "must be one of Hard, Soft", "must be a list", "is odd")
    html = well_formed(problems_html([Problem(place="payload.type", rule=rule) for rule in rules], _NL))
    for words in (
        "payload.type",
        "ontbreekt",
        "moet een van deze zijn: Hard, Soft",
        "moet een lijst zijn",
        "is odd",
    ):
        assert words in html


def test_fields_are_listed_with_what_they_may_hold() -> None:
    """Required ones are marked, in the reader's language."""
    _, fields = forms.form("v16", "Reset")
    html = well_formed(fields_html(fields, _NL))
    assert "verplicht" in html
    assert "Hard, Soft" in html
    assert "This request has no fields." in fields_html([], _EN)
