"""The part of a charger's page that sends it requests: frequent ones by a button, any other by a form."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from nicegui import ui
from nicegui.events import ValueChangeEventArguments

from controller.console.live import Live, text
from controller.console.operator import requests
from controller.console.operator.charger_panels import fields_html, problems_html
from controller.console.operator.messages import json_html
from controller.domain.charger_tools import CommandReply
from controller.domain.errors import ConflictError, InputProblemsError, NotFoundError
from controller.domain.ids import AssetId
from controller.runtime.chargers_door import ChargersDoor
from controller.runtime.door import Principal
from controller.texts import Translator
from controller.texts.details import in_words


class RequestForm:
    """The form of one charger.

    Args:
        door: The tools for chargers.
        charger: Which one.
        who: Who sends.
        words: The language.
        sent: Called after something was sent, so that the log shows it.
    """

    def __init__(
        self,
        door: ChargersDoor,
        charger: AssetId,
        *,
        who: Principal,
        words: Translator,
        sent: Callable[[], Awaitable[None]],
    ) -> None:
        self._door, self._charger, self._who, self._words, self._sent = door, charger, who, words, sent
        self._version: str | None = None
        self._pending: tuple[str, Mapping[str, Any]] = ("", {})
        self._given: Mapping[str, Any] | None = None
        """What a button fills in, in the template's place."""
        self._harmless: Mapping[str, bool] = {}

    def build(self) -> None:
        """Makes its elements where they are to stand."""
        say = self._words.say
        self._away = Live(polite=True)
        with ui.element("div") as self._all:
            with ui.element("div").classes("w-quick"):
                for quick in requests.QUICK:
                    ui.button(say(quick.name), on_click=lambda quick=quick: self._quick(quick)).props(
                        "outline no-caps"
                    )
            self._action = ui.select([], label=say("Request"), with_input=True, on_change=self._picked).props(
                "outlined dense options-dense"
            )
            self._payload = ui.textarea(label=say("Payload (JSON)")).props(
                "outlined dense autogrow spellcheck=false"
            )
            self._payload.classes("w-payload")
            with ui.element("details").classes("w-fields"):
                ui.html(text(say("Fields of the request")), sanitize=False, tag="summary")
                self._fields = Live().classes("w-wide")
            self._send = ui.button(say("Send"), on_click=self._ask).props("unelevated no-caps")
            self._wrong = Live().props("role=alert")
            self._answer = Live(label=say("Answer"), polite=True)
        with ui.dialog() as self._confirm, ui.card().classes("w-dialog"):
            self._question = ui.label()
            with ui.row():
                ui.button(say("Yes"), on_click=self._confirmed, color="negative").props("unelevated")
                ui.button(say("No"), on_click=self._confirm.close).props("flat")

    async def show(self, version: str) -> None:
        """Offers the requests of a version; empty: the charger is not connected."""
        if version == self._version:
            return
        self._version = version
        self._all.set_visibility(bool(version))
        if not version:
            line = self._words.say(
                "It is not connected, so nothing can be sent. It comes back by itself; "
                "check its power and its network."
            )
            self._away.show(f'<p class="w-warn">{text(line)}</p>')
            return
        self._away.show("")
        try:
            self._harmless = await self._door.requests(self._charger)
        except NotFoundError:
            # It went meanwhile; the next look says so.
            self._version = None
            return
        self._action.set_options(list(self._harmless))

    async def _picked(self, event: ValueChangeEventArguments[str | None]) -> None:
        """A request was chosen: its template and fields are shown, unless a button has filled them in."""
        given, self._given = self._given, None
        if not event.value:
            return
        try:
            form = await self._door.request_form(self._charger, event.value)
        except NotFoundError as error:
            self._say_wrong(in_words(str(error), self._words))
            return
        self._fields.show(fields_html(form.fields, self._words))
        self._payload.set_value(requests.written(form.template if given is None else given))
        if given is None:
            self._wrong.show("")
            self._answer.show("")

    async def _quick(self, quick: requests.Quick) -> None:
        action, payload = quick.said(self._version or "")
        if self._action.value == action:
            self._payload.set_value(requests.written(payload))
        else:
            self._given = payload
            self._action.set_value(action)
        await self._try(action, payload)

    async def _ask(self) -> None:
        if not self._action.value:
            self._say_wrong(self._words.say("Choose a request first."))
            return
        try:
            payload = requests.read_payload(self._payload.value)
        except InputProblemsError as error:
            self._wrong.show(problems_html(error.problems, self._words))
            return
        await self._try(str(self._action.value), payload)

    async def _try(self, action: str, payload: Mapping[str, Any]) -> None:
        """Sends what only asks; whatever does more waits until it is confirmed."""
        self._pending = (action, payload)
        if self._harmless.get(action, False):
            await self._send_it(action, payload, confirm=False)
            return
        self._question.set_text(
            self._words.say(
                "{action} does more than ask: it can end a session or change the charger. "
                "Send it to {charger}?",
                action=action,
                charger=self._charger,
            )
        )
        self._confirm.open()

    async def _confirmed(self) -> None:
        self._confirm.close()
        action, payload = self._pending
        await self._send_it(action, payload, confirm=True)

    async def _send_it(self, action: str, payload: Mapping[str, Any], *, confirm: bool) -> None:
        self._wrong.show("")
        self._answer.show(f'<p class="w-empty">{text(self._words.say("Waiting for the answer …"))}</p>')
        self._send.disable()
        try:
            reply = await self._door.command(self._charger, action, payload, confirm=confirm, who=self._who)
        except InputProblemsError as error:
            self._answer.show("")
            self._wrong.show(problems_html(error.problems, self._words))
        except (NotFoundError, ConflictError) as error:
            self._answer.show("")
            self._say_wrong(in_words(str(error), self._words))
        else:
            self._show_answer(reply)
        finally:
            self._send.enable()
        await self._sent()

    def _say_wrong(self, line: str) -> None:
        self._wrong.show(f'<p class="w-warn">{text(line)}</p>')

    def _show_answer(self, reply: CommandReply) -> None:
        say = self._words.say
        if reply.error:
            line = say("{action} was refused: {code}", action=reply.action, code=reply.error)
            self._say_wrong(f"{line} {reply.description}".rstrip())
            self._answer.show("")
            return
        title = say("Answer to {action}", action=reply.action)
        self._answer.show(f'<h3>{text(title)}</h3><div class="w-json">{json_html(reply.payload)}</div>')
