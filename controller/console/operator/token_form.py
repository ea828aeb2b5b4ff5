"""The form that gives out a token, and the screen on which it stands once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from nicegui import ui

from controller.console.live import Live, text
from controller.console.shell import Visit
from controller.domain.errors import NotFoundError
from controller.domain.ids import MemberId
from controller.runtime.ports import Role
from controller.texts import Translator, mark
from controller.texts.details import in_words

ROLES: Mapping[Role, str] = {
    Role.OPERATOR: mark("operator"),
    Role.GRID: mark("grid operator"),
    Role.RESIDENT: mark("resident"),
    Role.FLEET: mark("fleet"),
    Role.SUPPLIER: mark("supplier"),
}
"""Source strings of the roles' names."""
LABEL_LENGTH_MAX = 80


def asked(role: str, member: str, label: str, words: Translator) -> tuple[Role, MemberId | None, str] | str:
    """What a filled-in form asks for, or what is still wrong in it.

    Args:
        role: The chosen role; empty: none yet.
        member: For whom; blanks around it do not count.
        label: What people call the token.
        words: The language.
    """
    name, whose = label.strip(), member.strip()
    if not role:
        return words.say("Choose what the token is for.")
    if role == Role.RESIDENT and not whose:
        return words.say("A resident's token opens one member's data: fill in whose.")
    if not 0 < len(name) <= LABEL_LENGTH_MAX:
        return words.say("Give it a name of 1 to {most} characters.", most=LABEL_LENGTH_MAX)
    return Role(role), MemberId(whose) if whose else None, name


class TokenForm:
    """One form on an open page of an operator.

    Args:
        visit: The open page.
        changed: Renews the list of tokens.
    """

    def __init__(self, visit: Visit, changed: Callable[[], Awaitable[None]]) -> None:
        self._visit = visit
        self._words = visit.words
        self._changed = changed
        self._token = ""
        """The token that stands on the screen."""

    def build(self) -> None:
        """Makes the form and the screen that it leads to."""
        say = self._words.say
        with ui.element("div").classes("w-form"):
            self._role = ui.select(
                {role.value: say(name) for role, name in ROLES.items()}, label=say("What for")
            ).props("outlined dense")
            self._member = ui.input(label=say("Member, fleet or supplier")).props("outlined dense")
            self._label = ui.input(label=say("What people call it")).props("outlined dense")
            ui.button(say("Give out"), on_click=self._give_out).props("unelevated no-caps")
        self._wrong = Live().props("role=alert")
        with ui.dialog().props("persistent") as self._shown, ui.card().classes("w-dialog"):
            self._screen = Live(polite=True)
            ui.button(say("Copy"), on_click=lambda: ui.clipboard.write(self._token)).props("outline no-caps")
            ui.button(say("I have written it down"), on_click=self._forget).props("unelevated no-caps")

    async def _give_out(self) -> None:
        form = asked(self._role.value or "", self._member.value, self._label.value, self._words)
        if isinstance(form, str):
            self._say_wrong(form)
            return
        role, member, label = form
        try:
            self._token = await self._visit.feed.door.create_token(
                role=role, member=member, label=label, who=self._visit.who
            )
        except NotFoundError as error:
            self._say_wrong(in_words(str(error), self._words))
            return
        self._say_wrong("")
        for field in (self._member, self._label):
            field.set_value("")
        line = self._words.say("Hand it over safely: who has it gets in. It is shown this once.")
        self._screen.show(
            f"<h2>{text(label)}</h2><p>{text(line)}</p>"
            f'<p class="w-secret"><code>{text(self._token)}</code></p>'
        )
        self._shown.open()
        await self._changed()

    def _say_wrong(self, line: str) -> None:
        self._wrong.show(f'<p class="w-warn">{text(line)}</p>' if line else "")

    def _forget(self) -> None:
        self._shown.close()
        self._token = ""
        self._screen.show("")
