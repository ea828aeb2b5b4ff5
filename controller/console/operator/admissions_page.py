"""The page of the chargers that knocked and are not known: let them in, or keep them off the list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nicegui import ui

from controller.console.forms import told
from controller.console.live import Live, text
from controller.console.operator import links
from controller.console.operator.panels import press_html, table_html
from controller.console.shell import PERIOD_S, Visit, card, frame
from controller.domain.errors import ConflictError, NotFoundError
from controller.domain.ids import AssetId
from controller.runtime.chargers_door import ChargersDoor
from controller.texts import Translator
from controller.texts.details import in_words


def waiting_html(waiting: Mapping[str, int], words: Translator) -> str:
    """Who knocked, the most eager first, with what may be done about it."""
    rows = [
        [
            f"<b>{text(identity)}</b>",
            text(words.number(knocks)),
            press_html("admit", "identity", identity, words.say("Let in …"))
            + " "
            + press_html("refuse", "identity", identity, words.say("Refuse")),
        ]
        for identity, knocks in sorted(waiting.items(), key=lambda pair: (-pair[1], pair[0]))
    ]
    return table_html(
        [words.say("Connects as"), words.say("Knocks"), words.say("Decide")],
        rows,
        empty=words.say("Nobody waits."),
        caption=words.say("Waiting chargers"),
    )


def refused_html(refused: Sequence[str], words: Translator) -> str:
    """Who was refused, the latest first."""
    rows = [
        [f"<b>{text(name)}</b>", press_html("forgive", "identity", name, words.say("Let it wait again"))]
        for name in reversed(refused)
    ]
    return table_html(
        [words.say("Connects as"), words.say("Decide")],
        rows,
        empty=words.say("Nobody was refused."),
        caption=words.say("Refused chargers"),
    )


class AdmissionsPage:
    """One open page of an operator."""

    def __init__(self, visit: Visit, door: ChargersDoor) -> None:
        self._visit = visit
        self._words = visit.words
        self._door = door
        self._identity = ""
        self._secret = ""
        """The password that stands on the screen."""

    async def build(self) -> None:
        """Makes the page and starts to look."""
        say = self._words.say
        pages = links.operator_pages(self._visit.feed, self._words)
        self._frame = frame(self._words, "Waiting chargers", self._visit.who.label, pages, here=links.WAITING)
        with ui.element("main").classes("w-page"):
            ui.html(f'<h1 class="w-title">{text(say("Waiting chargers"))}</h1>', sanitize=False)
            intro = say(
                "These knocked under a name that the site does not know. Let one in as a charge point of "
                "the site: that gives it its node, its limits and the template of its make."
            )
            ui.html(f'<p class="w-lead">{text(intro)}</p>', sanitize=False)
            with card(say("Waiting")):
                self._waiting = Live(label=say("Waiting chargers"), polite=True).classes("w-wide")
                self._waiting.on_press(self._pressed)
            with card(say("Refused")):
                self._refused = Live(label=say("Refused chargers")).classes("w-wide").on_press(self._pressed)
        self._admit_dialog()
        self._password_dialog()
        await self._look()
        ui.timer(PERIOD_S, self._look)

    def _admit_dialog(self) -> None:
        say = self._words.say
        with ui.dialog() as self._admit, ui.card().classes("w-dialog"):
            self._title = ui.label().classes("w-dialog-title")
            self._points = ui.select(
                {},
                label=say("As which charge point"),
                with_input=True,
                on_change=self._calm,
            ).props("outlined dense")
            warning = say("The device that had this place until now is shown out.")
            ui.html(f'<p class="w-legend">{text(warning)}</p>', sanitize=False)
            self._wrong = Live().props("role=alert")
            with ui.row():
                ui.button(say("Let it in"), on_click=self._let_in).props("unelevated no-caps")
                ui.button(say("Cancel"), on_click=self._admit.close).props("flat no-caps")

    def _password_dialog(self) -> None:
        say = self._words.say
        with ui.dialog().props("persistent") as self._shown, ui.card().classes("w-dialog"):
            self._password = Live(polite=True)
            self._copy = ui.button(say("Copy"), on_click=lambda: ui.clipboard.write(self._secret)).props(
                "outline no-caps"
            )
            ui.button(say("I have written it down"), on_click=self._forget).props("unelevated no-caps")

    async def _look(self) -> None:
        """Renews what has changed."""
        self._frame.show(await self._visit.feed.state(), self._words)
        self._waiting.show(waiting_html(await self._door.waiting(), self._words))
        self._refused.show(refused_html(await self._door.refused(), self._words))

    async def _pressed(self, pressed: dict[str, str]) -> None:
        identity = pressed.get("identity", "")
        match pressed.get("act"):
            case "admit":
                await self._ask(identity)
            case "refuse":
                async with told(
                    self._words, "It is refused, and stays off the list however often it knocks."
                ):
                    await self._door.refuse(identity, self._visit.who)
            case "forgive":
                async with told(self._words, "It waits again when it knocks the next time."):
                    await self._door.forgive(identity, self._visit.who)
        await self._look()

    async def _ask(self, identity: str) -> None:
        """Which charge point it is: those that nobody is connected as come first."""
        say = self._words.say
        self._identity = identity
        overview = (await self._visit.feed.overview()).values()
        nodes = {view.id: view.node for view in (await self._visit.feed.state()).chargers}
        free_first = sorted(overview, key=lambda each: bool(each.health.version))
        self._points.set_options(
            {
                each.facts.charge_point: say(
                    "{charger} · node {node} · template {template}",
                    charger=each.facts.charge_point,
                    node=nodes.get(each.facts.charge_point, ""),
                    template=each.template or say("by its specification"),
                )
                + (f" · {say('connected')}" if each.health.version else "")
                for each in free_first
            },
            value=None,
        )
        self._title.set_text(say("Let {identity} in", identity=identity))
        self._wrong.show("")
        self._admit.open()

    def _calm(self) -> None:
        self._wrong.show("")

    async def _let_in(self) -> None:
        say = self._words.say
        if not self._points.value:
            self._say_wrong(say("Choose a charge point first."))
            return
        charger = AssetId(str(self._points.value))
        try:
            password = await self._door.admit(self._identity, charger, self._visit.who)
        except (NotFoundError, ConflictError) as error:
            self._say_wrong(in_words(str(error), self._words))
            return
        self._admit.close()
        self._show_password(charger, password)
        self._visit.feed.forget()
        await self._look()

    def _say_wrong(self, line: str) -> None:
        self._wrong.show(f'<p class="w-warn">{text(line)}</p>')

    def _show_password(self, charger: AssetId, password: str) -> None:
        say = self._words.say
        title = say("{identity} is let in as {charger}", identity=self._identity, charger=charger)
        if password:
            line = say("Put this password into the charger now. It is shown this once.")
            body = f'<p>{text(line)}</p><p class="w-secret"><code>{text(password)}</code></p>'
        else:
            body = f"<p>{text(say('It needs no password on this connection.'))}</p>"
        self._password.show(f"<h2>{text(title)}</h2>{body}")
        self._copy.set_visibility(bool(password))
        self._secret = password
        self._shown.open()

    def _forget(self) -> None:
        self._shown.close()
        self._secret = ""
        self._password.show("")


async def admissions_page(visit: Visit) -> None:
    """Builds the page of the waiting chargers."""
    door = visit.feed.chargers
    if door is not None:
        await AdmissionsPage(visit, door).build()
