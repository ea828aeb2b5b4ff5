"""A problem document says what was wrong in the language that was asked for."""

from __future__ import annotations

import pytest

from tests.support.web import make_api

_RESIDENT = "resident-token"


@pytest.mark.parametrize(
    ("path", "token", "dutch", "english"),
    [
        (
            "/api/resident/orders/none",
            _RESIDENT,
            "je hebt geen order 'none'",
            "you have no order 'none'",
        ),
        (
            "/api/operator/state",
            _RESIDENT,
            "hiervoor is een token met de rol operator nodig; het jouwe heeft de rol resident",
            "this needs a token of role operator; yours is of role resident",
        ),
        ("/api/resident/assets", "made-up", "het token is niet bekend", "the token is not known"),
        (
            "/api/resident/assets",
            "stray-token",
            "dit token hoort bij geen lid",
            "this token belongs to no member",
        ),
        ("/api/nothing", _RESIDENT, "/api/nothing bestaat niet", "there is no /api/nothing"),
    ],
)
async def test_the_detail_follows_accept_language(path: str, token: str, dutch: str, english: str) -> None:
    """A stranger, a wrong role, and what is not there."""
    api = make_api()
    said = {}
    for language in ("nl", "en"):
        answer = await api.call("GET", path, token, language=language)
        assert answer.status_code >= 400
        assert answer.headers["content-language"] == language
        said[language] = answer.json()["detail"]
    assert said == {"nl": dutch, "en": english}
