"""The table of the tokens: who has access, and no token in it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from controller.console.operator.token_form import LABEL_LENGTH_MAX, ROLES, asked
from controller.console.operator.tokens_page import fitting, question, tokens_html
from controller.domain.ids import MemberId
from controller.runtime.ports import Role, TokenRecord
from controller.texts import Language, translator
from tests.support.fake_views import START
from tests.support.markup import well_formed

_NL, _EN = translator(Language.DUTCH), translator(Language.ENGLISH)
OLGA = TokenRecord(token_hash="a1" * 32, role=Role.OPERATOR, member=None, label="Olga", created_at=START)
PHONE = TokenRecord(
    token_hash="b2" * 32,
    role=Role.RESIDENT,
    member=MemberId("home-7"),
    label="<i>phone</i>",
    created_at=START,
    used_at=START + timedelta(minutes=90),
    expires_at=START + timedelta(days=365),
)


def test_each_token_says_for_whom_since_when_used_when_and_until_when() -> None:
    """A label is only text; what is not known is a dash; one's own is marked."""
    html = well_formed(tokens_html([OLGA, PHONE], OLGA.token_hash, _NL))
    first, second = html.split("<tr>")[2:]
    for said in ("Olga", "beheerder", "maandag 15 januari 2024", "–", "nooit", "hiermee ben je aangemeld"):
        assert said in first
    for said in (
        "&lt;i&gt;phone",
        "bewoner home-7",
        "dinsdag 14 januari 2025",
        f'data-token="{PHONE.token_hash}"',
    ):
        assert said in second
    assert "aangemeld" not in second
    assert "Geen token past" in tokens_html([], "", _NL)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [("", [OLGA, PHONE]), ("HOME-7 bewoner", [PHONE]), ("a1a1", [OLGA]), ("olga home", [])],
)
def test_tokens_are_found_by_label_role_member_and_hash(wanted: str, found: list[TokenRecord]) -> None:
    """All words have to stand there, in whichever case."""
    assert fitting([OLGA, PHONE], wanted, _NL) == found


def test_who_takes_back_their_own_token_is_warned() -> None:
    """Before the page closes under their hands."""
    assert "signed in with" in question(OLGA, OLGA.token_hash, _EN)
    assert "signed in with" not in question(PHONE, OLGA.token_hash, _EN)


def test_every_role_has_a_name_in_both_languages() -> None:
    """Also one that has no page of its own."""
    for role in Role:
        html = tokens_html([replace(OLGA, role=role)], "", _NL)
        assert _NL.say(ROLES[role]) in html
        assert _NL.say(ROLES[role]) != ROLES[role]


@pytest.mark.parametrize(
    ("form", "said"),
    [
        (("", "home-7", "phone"), "waarvoor"),
        (("resident", " ", "phone"), "lid"),
        (("operator", "", "  "), "naam"),
        (("operator", "", "x" * (LABEL_LENGTH_MAX + 1)), "naam"),
    ],
)
def test_a_form_that_is_not_filled_in_is_told_so(form: tuple[str, str, str], said: str) -> None:
    """Before anything is made, in the reader's language."""
    wrong = asked(*form, words=_NL)
    assert isinstance(wrong, str)
    assert said in wrong


@pytest.mark.parametrize("role", Role)
def test_a_filled_in_form_asks_for_a_token_of_any_role(role: Role) -> None:
    """Also a supplier's; nobody in particular is nobody, not an empty name."""
    assert asked(role.value, " home-7 ", " phone ", _NL) == (role, "home-7", "phone")
    if role is not Role.RESIDENT:
        assert asked(role.value, "", "phone", _NL) == (role, None, "phone")
