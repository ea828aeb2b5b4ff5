"""A member's cards on their page: nothing in full, and a fleet's list has an end."""

from __future__ import annotations

from datetime import timedelta

from controller.console.resident.charging import SHOWN_MAX, tokens_html
from controller.domain.charging_tokens import ChargingToken, TokenKind, handle_of
from controller.domain.ids import MemberId
from controller.texts import Language, translator
from tests.support.neighbourhood import START

_WORDS = translator(Language.ENGLISH)


def _card(number: int, *, blocked: bool = False) -> ChargingToken:
    token = f"04AABBCC{number:04d}"
    return ChargingToken(
        token=token,
        handle=handle_of(token),
        member=MemberId("anna"),
        kind=TokenKind.CARD,
        label=f"<ring {number}>",
        vehicle=None,
        created_at=START,
        blocked_at=START + timedelta(minutes=1) if blocked else None,
    )


def test_a_card_shows_its_end_and_the_button_that_fits() -> None:
    """A blocked one can be allowed again, another one be blocked."""
    page = tokens_html([_card(1), _card(2, blocked=True)], _WORDS)
    assert "04AABBCC" not in page
    assert "…0001" in page
    assert "&lt;ring 1&gt;" in page
    assert page.count("Block: it is lost") == page.count("Allow again") == 1


def test_a_long_list_is_cut_and_says_so() -> None:
    """A thousand rows would be made anew with every look."""
    page = tokens_html([_card(number) for number in range(SHOWN_MAX + 3)], _WORDS)
    assert page.count("Block: it is lost") == SHOWN_MAX
    assert "3 more are not shown here." in page
