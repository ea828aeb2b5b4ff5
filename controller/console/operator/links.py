"""The addresses of the operator's pages."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from controller.console.feed import Feed
from controller.console.live import text
from controller.texts import Translator

HOME = "/operator"
CHARGERS = "/operator/chargers"
WAITING = "/operator/waiting"
TOKENS = "/operator/tokens"
CHARGER_PATTERN = "/operator/chargers/{charger_id:path}"
"""A charge point's id may hold a slash."""


def charger_address(charger: str) -> str:
    """The page of one charger."""
    return f"{CHARGERS}/{quote(charger, safe='')}"


def guest_address(charger: str) -> str:
    """The page behind the code on a charger's sticker."""
    return f"/guest/{quote(charger, safe='')}"


def operator_pages(feed: Feed, words: Translator) -> Sequence[tuple[str, str]]:
    """The pages that stand in the bar on top: those of chargers only where there are tools for them."""
    home, tokens = (HOME, words.say("Neighbourhood")), (TOKENS, words.say("Tokens"))
    if feed.chargers is None:
        return (home, tokens)
    return (home, (CHARGERS, words.say("Chargers")), (WAITING, words.say("Waiting chargers")), tokens)


def charger_link(charger: str) -> str:
    """A charger's name that leads to its page, as HTML."""
    return f'<a href="{text(charger_address(charger))}"><b>{text(charger)}</b></a>'
