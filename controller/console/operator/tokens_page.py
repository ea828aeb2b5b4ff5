"""The page of the tokens: who has access, since when, used when; and taking it back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from nicegui import ui
from nicegui.events import ValueChangeEventArguments

from controller.console.forms import told
from controller.console.live import Live, text
from controller.console.operator import links
from controller.console.operator.pager import Pager
from controller.console.operator.panels import press_html, table_html
from controller.console.operator.token_form import ROLES, TokenForm
from controller.console.shell import PERIOD_S, Visit, card, frame
from controller.runtime.ports import TokenRecord
from controller.runtime.tokens import HASH_SHOWN
from controller.texts import Translator
from controller.texts.translator import UNKNOWN

PAGE_ROWS = 25
_SLOW_LOOKS = 5
"""All tokens are read from the store: every so many looks are enough."""


def fitting(tokens: Sequence[TokenRecord], wanted: str, words: Translator) -> list[TokenRecord]:
    """The tokens in which all of some words stand: in the label, the role, for whom, or the hash.

    Args:
        tokens: All of them.
        wanted: Words with blanks between them; none: all tokens.
        words: The language of the roles' names.
    """
    parts = wanted.casefold().split()
    return [
        token
        for token in tokens
        if all(part in f"{_who(token, words)} {token.label} {token.token_hash}".casefold() for part in parts)
    ]


def tokens_html(tokens: Sequence[TokenRecord], own: str, words: Translator) -> str:
    """A table of tokens, each with a button that takes it back.

    Args:
        tokens: The tokens.
        own: The hash of the one with which the page was opened.
        words: The language.
    """
    say = words.say
    rows = [
        [
            _name(token, own, words),
            text(_who(token, words)),
            text(words.day(token.created_at)),
            text(_moment(token.used_at, words)),
            text(say("never") if token.expires_at is None else words.day(token.expires_at)),
            press_html("take", "token", token.token_hash, say("Take back …")),
        ]
        for token in tokens
    ]
    return table_html(
        [say("Token"), say("For whom"), say("Made"), say("Last used"), say("Ends"), say("Decide")],
        rows,
        empty=say("No token fits."),
        caption=say("Tokens"),
    )


def question(token: TokenRecord, own: str, words: Translator) -> str:
    """What is asked before a token is taken back."""
    line = words.say(
        "{label} ({who}) opens nothing from then on; open pages close. Take it back?",
        label=token.label,
        who=_who(token, words),
    )
    return f"{line} {words.say('It is the one you are signed in with.')}" if token.token_hash == own else line


def _name(token: TokenRecord, own: str, words: Translator) -> str:
    shown = f"<b>{text(token.label)}</b> <small><code>{token.token_hash[:HASH_SHOWN]}</code></small>"
    if token.token_hash != own:
        return shown
    return f"{shown} <small>{text(words.say('you are signed in with it'))}</small>"


def _who(token: TokenRecord, words: Translator) -> str:
    """The role, and for whom."""
    role = words.say(ROLES[token.role])
    return role if token.member is None else f"{role} {token.member}"


def _moment(at: datetime | None, words: Translator) -> str:
    return UNKNOWN if at is None else f"{words.day(at)} {words.clock(at)}"


class TokensPage:
    """One open page of an operator."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._words = visit.words
        self._tokens: Sequence[TokenRecord] = ()
        self._wanted = ""
        self._page = 0
        self._looks = 0
        self._meant: TokenRecord | None = None
        """The token of which is asked whether it is to be taken back."""

    async def build(self) -> None:
        """Makes the page and starts to look."""
        say = self._words.say
        pages = links.operator_pages(self._visit.feed, self._words)
        self._frame = frame(self._words, "Tokens", self._visit.who.label, pages, here=links.TOKENS)
        with ui.element("main").classes("w-page"):
            ui.html(f'<h1 class="w-title">{text(say("Tokens"))}</h1>', sanitize=False)
            intro = say(
                "Whoever holds one of these tokens gets in. The tokens themselves are kept nowhere: each is "
                "named by the start of its hash."
            )
            ui.html(f'<p class="w-lead">{text(intro)}</p>', sanitize=False)
            with card(say("Give out a token")):
                TokenForm(self._visit, self._look_slowly).build()
            with card(say("Tokens that open something")):
                with ui.element("div").classes("w-filter"):
                    ui.input(label=say("Find a token, role or member"), on_change=self._filter).props(
                        "outlined dense clearable debounce=250"
                    )
                self._list = Live(label=say("Tokens")).classes("w-wide").on_press(self._pressed)
                self._pager = Pager(self._words, self._turn)
        with ui.dialog() as self._confirm, ui.card().classes("w-dialog"):
            self._question = ui.label()
            with ui.row():
                ui.button(say("Yes"), on_click=self._take, color="negative").props("unelevated")
                ui.button(say("No"), on_click=self._confirm.close).props("flat")
        await self._look()
        ui.timer(PERIOD_S, self._look)

    async def _look(self) -> None:
        """Renews what has changed."""
        self._frame.show(await self._visit.feed.state(), self._words)
        if self._looks % _SLOW_LOOKS == 0:
            await self._look_slowly()
        self._looks += 1

    async def _look_slowly(self) -> None:
        self._tokens = await self._visit.feed.door.living_tokens()
        self._show()

    def _show(self) -> None:
        found = fitting(self._tokens, self._wanted, self._words)
        count = max(1, -(-len(found) // PAGE_ROWS))
        self._page = min(self._page, count - 1)
        shown = found[self._page * PAGE_ROWS : (self._page + 1) * PAGE_ROWS]
        self._list.show(tokens_html(shown, self._visit.own_token, self._words))
        line = self._words.say(
            "Tokens: {count} · page {page} of {pages}",
            count=self._words.number(len(found)),
            page=self._page + 1,
            pages=count,
        )
        self._pager.show(line, back=self._page > 0, on=self._page < count - 1)

    def _filter(self, event: ValueChangeEventArguments[str | None]) -> None:
        self._wanted, self._page = event.value or "", 0
        self._show()

    async def _turn(self, by: int) -> None:
        self._page = max(0, self._page + by)
        self._show()

    def _pressed(self, pressed: dict[str, str]) -> None:
        found = [token for token in self._tokens if token.token_hash == pressed.get("token")]
        if found:
            self._meant = found[0]
            self._question.set_text(question(found[0], self._visit.own_token, self._words))
            self._confirm.open()

    async def _take(self) -> None:
        self._confirm.close()
        token, self._meant = self._meant, None
        if token is None:
            return
        async with told(self._words, "It opens nothing any more."):
            await self._visit.feed.door.take_token_back(token_hash=token.token_hash, who=self._visit.who)
        await self._look_slowly()


async def tokens_page(visit: Visit) -> None:
    """Builds the page of the tokens."""
    await TokensPage(visit).build()
