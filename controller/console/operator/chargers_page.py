"""The page of all charge points: find the one that has trouble."""

from __future__ import annotations

from dataclasses import replace

from nicegui import ui
from nicegui.events import ValueChangeEventArguments

from controller.console.live import Live, text
from controller.console.operator import fleet, links
from controller.console.operator.pager import Pager
from controller.console.shell import PERIOD_S, Visit, card, frame
from controller.texts.chargers import AILMENTS

_VERSIONS = ("ocpp2.1", "ocpp2.0.1", "ocpp1.6")


class ChargersPage:
    """One open page of an operator."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._words = visit.words
        self._choice = fleet.Choice()

    async def build(self) -> None:
        """Makes the page and starts to look."""
        say, visit = self._words.say, self._visit
        pages = links.operator_pages(visit.feed, self._words)
        self._frame = frame(self._words, "Chargers", visit.who.label, pages, here=links.CHARGERS)
        state = await visit.feed.state()
        with ui.element("main").classes("w-page"):
            ui.html(f'<h1 class="w-title">{text(say("Chargers"))}</h1>', sanitize=False)
            self._summary = Live(label=say("The chargers in short"))
            with card(say("All charge points")):
                self._filters([str(node.id) for node in state.nodes])
                self._table = Live(label=say("Chargers")).classes("w-wide")
                self._pager = Pager(self._words, self._turn)
        await self._look()
        ui.timer(PERIOD_S, self._look)

    def _filters(self, nodes: list[str]) -> None:
        say = self._words.say
        health = {
            "": say("any health"),
            fleet.ANY_TROUBLE: say("any trouble"),
            **{ailment.value: say(told.title) for ailment, told in AILMENTS.items()},
            fleet.HEALTHY: say("healthy"),
        }
        versions = {
            "": say("all versions"),
            **{name: fleet.version_name(name, self._words) for name in _VERSIONS},
        }
        versions[fleet.OFF_LINE] = say("not connected")
        with ui.element("div").classes("w-filter w-filter-four"):
            ui.input(label=say("Find a charger, car, make or firmware"), on_change=self._find).props(
                "outlined dense clearable debounce=250"
            )
            for options, label, field in (
                ({"": say("all nodes"), **{node: node for node in nodes}}, say("Node"), "node"),
                (health, say("Health"), "health"),
                (versions, say("Version"), "version"),
            ):
                ui.select(
                    options,
                    value="",
                    label=label,
                    on_change=lambda event, field=field: self._narrow(event, field),
                ).props("outlined dense")

    async def _find(self, event: ValueChangeEventArguments[str | None]) -> None:
        self._choice = replace(self._choice, words=event.value or "", page=0)
        await self._look()

    async def _narrow(self, event: ValueChangeEventArguments[str | None], field: str) -> None:
        self._choice = replace(self._choice, **{field: event.value or ""}, page=0)
        await self._look()

    async def _turn(self, by: int) -> None:
        self._choice = replace(self._choice, page=max(0, self._choice.page + by))
        await self._look()

    async def _look(self) -> None:
        """Renews what has changed."""
        words, feed = self._words, self._visit.feed
        state = await feed.state()
        rows = fleet.rows_of(state.chargers, await feed.overview())
        fitting = fleet.chosen(rows, self._choice, state.nodes)
        pages = fleet.page_count(len(fitting))
        page = min(self._choice.page, pages - 1)
        self._frame.show(state, words)
        self._summary.show(fleet.summary_html(rows, words))
        self._table.show(fleet.fleet_html(fitting, page, words))
        line = words.say(
            "Chargers: {count} · page {page} of {pages}",
            count=words.number(len(fitting)),
            page=page + 1,
            pages=pages,
        )
        self._pager.show(line, back=page > 0, on=page < pages - 1)


async def chargers_page(visit: Visit) -> None:
    """Builds the page of all charge points."""
    await ChargersPage(visit).build()
