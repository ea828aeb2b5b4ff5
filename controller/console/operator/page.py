"""The operator's page: the neighbourhood on one screen, and the button that stops all discharge."""

from __future__ import annotations

import json

from nicegui import ui
from nicegui.events import ValueChangeEventArguments

from controller.console.live import Live, text
from controller.console.network import day_chart, node_facts, tree_html
from controller.console.operator import links, panels
from controller.console.operator.chargers import STATES, Choice, chargers_html, chosen, page_count
from controller.console.operator.pager import Pager
from controller.console.shell import PERIOD_S, Visit, card, frame
from controller.domain.errors import NotFoundError
from controller.runtime.door import StateView
from controller.texts.details import in_words

_SLOW_LOOKS = 5
"""The chart, the ledger and the events change by the quarter-hour: every so many looks are enough."""
_EVENTS = 8


class OperatorPage:
    """One open page of an operator."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._words = visit.words
        self._selected = ""
        self._choice = Choice()
        self._looks = 0
        self._chart_text = ""
        self._stopped = False

    async def build(self) -> None:
        """Makes the page and starts to look."""
        say = self._words.say
        self._frame = frame(
            self._words,
            "Operator",
            self._visit.who.label,
            links.operator_pages(self._visit.feed, self._words),
            here=links.HOME,
        )
        with ui.element("main").classes("w-page"):
            ui.html(f'<h1 class="w-sr">{say("Operator")}</h1>', sanitize=False)
            self._strip = Live(label=say("The neighbourhood now"))
            with ui.element("div").classes("w-columns"):
                with ui.element("div").classes("w-column"):
                    self._network()
                with ui.element("div").classes("w-column"):
                    with card(say("Alarms"), classes="w-alarms-card"):
                        self._alarms = Live(label=say("Alarms"), polite=True)
                    with card(say("Discharge")):
                        self._discharge()
                    with card(say("Market")):
                        self._clearing = Live()
                    with card(say("Plan")):
                        self._plan = Live()
            self._chargers_card()
            with card(say("Solar roofs and batteries")):
                self._sources = Live().classes("w-wide")
            with ui.element("div").classes("w-columns"):
                with card(say("Ledger"), classes="w-half"):
                    self._ledger = Live().classes("w-wide")
                with card(say("Who did what"), classes="w-half"):
                    self._events = Live().classes("w-wide")
        await self._look()
        ui.timer(PERIOD_S, self._look)

    def _network(self) -> None:
        say = self._words.say
        with card(say("Network")):
            self._tree = Live(label=say("Network")).classes("w-tree-box").on_press(self._pick)
            self._chart_title = Live()
            self._chart = ui.echart({"series": []}).classes("w-chart")
            self._facts = Live()

    def _discharge(self) -> None:
        say = self._words.say
        self._discharge_state = Live(polite=True)
        with ui.dialog() as self._confirm, ui.card().classes("w-dialog"):
            self._question = ui.label()
            with ui.row():
                ui.button(say("Yes"), on_click=self._switch_discharge, color="negative").props("unelevated")
                ui.button(say("No"), on_click=self._confirm.close).props("flat")
        self._button = ui.button(say("Stop all discharge"), on_click=self._ask, color="negative")
        self._button.props("unelevated no-caps").classes("w-stop")

    def _chargers_card(self) -> None:
        say = self._words.say
        with card(say("Chargers and cars")):
            with ui.element("div").classes("w-filter"):
                ui.input(label=say("Find a charger, car or node"), on_change=self._filter_words).props(
                    "outlined dense clearable debounce=250"
                )
                options = {"": say("all states"), **{key: say(name) for key, (_, name) in STATES.items()}}
                ui.select(options, value="", label=say("State"), on_change=self._filter_state).props(
                    "outlined dense"
                )
            self._chargers = Live().classes("w-wide")
            self._pager = Pager(self._words, self._turn)

    async def _look(self) -> None:
        """Renews what has changed."""
        words = self._words
        state = await self._visit.feed.state()
        if not self._selected and state.nodes:
            self._selected = next((n.id for n in state.nodes if n.kind == "feeder"), state.nodes[0].id)
        self._frame.show(state, words)
        self._strip.show(panels.strip_html(state, words))
        self._tree.show(tree_html(state.nodes, self._selected, words))
        self._alarms.show(panels.alarms_html(state.alarms, words))
        self._sources.show(panels.sources_html(state.sources, words))
        self._clearing.show(panels.clearing_html(state.latest_clearing, words))
        self._show_chargers(state)
        self._show_discharge(stopped=state.discharge_stopped)
        for node in state.nodes:
            if node.id == self._selected:
                self._facts.show(node_facts(node, words))
        if self._looks % _SLOW_LOOKS == 0:
            await self._look_slowly()
        self._looks += 1

    async def _look_slowly(self) -> None:
        door, words = self._visit.feed.door, self._words
        await self._show_chart()
        ledger = await self._visit.feed.ledger_tail()
        self._ledger.show(panels.ledger_html(ledger, words))
        self._plan.show(panels.plan_html(await door.plan(), words))
        self._events.show(panels.events_html(await door.events(limit=_EVENTS), words))

    async def _show_chart(self) -> None:
        for node in (await self._visit.feed.state()).nodes:
            if node.id == self._selected:
                points = await self._visit.feed.door.node_history(node.id)
                options = day_chart(points, self._words)
                written = json.dumps(options)
                if written != self._chart_text:
                    self._chart_text = written
                    self._chart.options.clear()
                    self._chart.options.update(options)
                    self._chart.update()
                title = self._words.say("The last 24 hours of {node}", node=node.id)
                self._chart_title.show(f"<h3>{text(title)}</h3>")

    def _show_chargers(self, state: StateView) -> None:
        fitting = chosen(state.chargers, self._choice)
        pages = page_count(len(fitting))
        page = min(self._choice.page, pages - 1)
        linked = self._visit.feed.chargers is not None
        self._chargers.show(chargers_html(fitting, page, self._words, linked=linked))
        line = self._words.say(
            "Chargers: {count} · page {page} of {pages}",
            count=self._words.number(len(fitting)),
            page=page + 1,
            pages=pages,
        )
        self._pager.show(line, back=page > 0, on=page < pages - 1)
        self._choice = Choice(words=self._choice.words, state=self._choice.state, page=page)

    def _show_discharge(self, *, stopped: bool) -> None:
        say = self._words.say
        line = say("All discharge is stopped.") if stopped else say("Cars may give power back where agreed.")
        self._discharge_state.show(f"<p>{text(('■ ' if stopped else '✓ ') + line)}</p>")
        if stopped != self._stopped:
            self._stopped = stopped
            self._button.set_text(say("Allow discharge again") if stopped else say("Stop all discharge"))

    def _ask(self) -> None:
        say = self._words.say
        question = say("Allow discharge again?") if self._stopped else say("Stop all discharge now?")
        self._question.set_text(question)
        self._confirm.open()

    async def _switch_discharge(self) -> None:
        self._confirm.close()
        await self._visit.feed.door.stop_discharge(stopped=not self._stopped, who=self._visit.who)
        self._visit.feed.forget()
        await self._look()

    async def _pick(self, pressed: dict[str, str]) -> None:
        self._selected = pressed.get("node", self._selected)
        await self._look()
        try:
            await self._show_chart()
        except NotFoundError as error:
            ui.notify(in_words(str(error), self._words), type="warning")

    async def _filter_words(self, event: ValueChangeEventArguments[str | None]) -> None:
        self._choice = Choice(words=event.value or "", state=self._choice.state)
        self._show_chargers(await self._visit.feed.state())

    async def _filter_state(self, event: ValueChangeEventArguments[str | None]) -> None:
        self._choice = Choice(words=self._choice.words, state=event.value or "")
        self._show_chargers(await self._visit.feed.state())

    async def _turn(self, by: int) -> None:
        self._choice = Choice(
            words=self._choice.words, state=self._choice.state, page=max(0, self._choice.page + by)
        )
        self._show_chargers(await self._visit.feed.state())


async def operator_page(visit: Visit) -> None:
    """Builds the page of an operator."""
    await OperatorPage(visit).build()
