"""The part of a charger's page about how it gets in: a new password, a higher security profile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from nicegui import ui

from controller.console.live import Live, text
from controller.domain.charger_tools import SecurityRaise
from controller.domain.errors import ConflictError, NotFoundError
from controller.domain.ids import AssetId
from controller.runtime.chargers_door import ChargersDoor
from controller.runtime.door import Principal
from controller.texts import Translator
from controller.texts.details import in_words

HIGHEST_PROFILE = 3
_INTERFACES = tuple(f"{kind}{number}" for kind in ("Wired", "Wireless") for number in range(4))
"""What OCPP 2.x calls a charger's network interfaces."""


def profile_name(profile: int, words: Translator) -> str:
    """A security profile in words."""
    names = {
        1: words.say("1: a password"),
        2: words.say("2: a password, encrypted"),
        3: words.say("3: a certificate of its own"),
    }
    return names[profile]


def raised_html(raised: SecurityRaise, words: Translator) -> str:
    """How far a charger followed, step by step."""
    steps = "".join(f'<li lang="en">{text(step)}</li>' for step in raised.steps)
    if raised.stopped:
        line = words.say("It stopped at security profile {profile}.", profile=raised.reached)
        head = f'<p class="w-warn">{text(line)} {text(in_words(raised.stopped, words))}</p>'
    else:
        line = words.say(
            "It is at security profile {profile} and does not come lower.", profile=raised.reached
        )
        head = f'<p class="w-calm">✓ {text(line)}</p>'
    return f'{head}<ol class="w-lines">{steps}</ol>'


class AccessForm:
    """The forms of one charger.

    Args:
        door: The tools for chargers.
        charger: Which one.
        who: Who acts.
        words: The language.
        done: Called after something was sent, so that the page shows it.
    """

    def __init__(
        self,
        door: ChargersDoor,
        charger: AssetId,
        *,
        who: Principal,
        words: Translator,
        done: Callable[[], Awaitable[None]],
    ) -> None:
        self._door, self._charger, self._who, self._words, self._done = door, charger, who, words, done
        self._shown: tuple[bool, int] | None = None
        self._meant: Callable[[], Awaitable[None]] | None = None

    def build(self) -> None:
        """Makes its elements where they are to stand."""
        say = self._words.say
        self._now = Live()
        with ui.element("div") as self._all:
            with ui.element("div").classes("w-form w-form-one") as self._raising:
                self._profile = ui.select({}, label=say("Raise it to security profile"))
                self._interface = ui.select(
                    list(_INTERFACES), value=_INTERFACES[0], label=say("Network interface (2.x)")
                )
                self._url = ui.input(label=say("Encrypted address (2.x; empty: as it reaches us)"))
                for field in (self._profile, self._interface, self._url):
                    field.props("outlined dense")
                ui.button(say("Raise it"), on_click=self._ask_raise).props("outline no-caps")
            ui.button(say("Give it a new password"), on_click=self._ask_password).props("flat no-caps")
            self._told = Live(polite=True)
        with ui.dialog() as self._confirm, ui.card().classes("w-dialog"):
            self._question = ui.label()
            with ui.row():
                ui.button(say("Yes"), on_click=self._confirmed, color="negative").props("unelevated")
                ui.button(say("No"), on_click=self._confirm.close).props("flat")

    def show(self, profile: int, *, connected: bool) -> None:
        """Offers what is above a charger's profile, while it is connected."""
        if self._shown == (connected, profile):
            return
        self._shown = (connected, profile)
        line = self._words.say("Its security profile is {profile}.", profile=profile)
        self._now.show(f"<p>{text(line)}</p>")
        higher = {
            number: profile_name(number, self._words) for number in range(profile + 1, HIGHEST_PROFILE + 1)
        }
        self._profile.set_options(higher, value=next(iter(higher), None))
        self._raising.set_visibility(bool(higher))
        self._all.set_visibility(connected)

    def _ask_raise(self) -> None:
        self._ask(
            self._words.say(
                "{charger} starts anew after each step, and never comes in lower again. Raise it?",
                charger=self._charger,
            ),
            self._raise,
        )

    def _ask_password(self) -> None:
        self._ask(
            self._words.say(
                "{charger} gets a new password that nobody sees. "
                "The old one counts until it has used the new one.",
                charger=self._charger,
            ),
            self._rotate,
        )

    def _ask(self, question: str, meant: Callable[[], Awaitable[None]]) -> None:
        self._meant = meant
        self._question.set_text(question)
        self._confirm.open()

    async def _confirmed(self) -> None:
        self._confirm.close()
        meant, self._meant = self._meant, None
        if meant is None:
            return
        wait = self._words.say("Waiting for the charger; this can take minutes …")
        self._told.show(f'<p class="w-empty">{text(wait)}</p>')
        try:
            await meant()
        except (NotFoundError, ConflictError) as error:
            self._told.show(f'<p class="w-warn">{text(in_words(str(error), self._words))}</p>')
        await self._done()

    async def _raise(self) -> None:
        raised = await self._door.raise_security(
            self._charger,
            int(self._profile.value or 0),
            url=self._url.value or "",
            interface=str(self._interface.value),
            who=self._who,
        )
        self._told.show(raised_html(raised, self._words))

    async def _rotate(self) -> None:
        await self._door.rotate_password(self._charger, self._who)
        line = self._words.say("It took the new password.")
        self._told.show(f'<p class="w-calm">✓ {text(line)}</p>')
