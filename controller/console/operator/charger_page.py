"""The page of one charger: how it is, what it was told, what was said, and a form to ask it anything."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from nicegui import ui

from controller.api.guest.code import site_address
from controller.console.live import Live, text
from controller.console.operator import charger_panels as panels
from controller.console.operator import links, messages
from controller.console.operator.access_form import AccessForm
from controller.console.operator.fleet import Row, rows_of
from controller.console.operator.pager import Pager
from controller.console.operator.request_form import RequestForm
from controller.console.shell import PERIOD_S, Visit, card, frame
from controller.domain.charger_tools import Direction
from controller.domain.errors import NotFoundError
from controller.domain.ids import AssetId
from controller.runtime.chargers_door import ChargersDoor

_FIRST, _LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Which messages somebody wants to see."""

    contains: str = ""
    since: datetime | None = None
    until: datetime | None = None
    direction: Direction | None = None
    page: int = 0
    """Counted from the newest."""


class ChargerPage:
    """One open page of an operator."""

    def __init__(self, visit: Visit, door: ChargersDoor) -> None:
        self._visit = visit
        self._words = visit.words
        self._door = door
        self._charger = AssetId(visit.place["charger_id"])
        self._search = Search()
        self._known: tuple[str, ...] | None = None

    async def build(self) -> None:
        """Makes the page and starts to look."""
        say = self._words.say
        pages = links.operator_pages(self._visit.feed, self._words)
        self._frame = frame(self._words, "Charger", self._visit.who.label, pages)
        with ui.element("main").classes("w-page"):
            back = f'<a href="{links.CHARGERS}">‹ {text(say("All chargers"))}</a>'
            ui.html(f'<p>{back}</p><h1 class="w-title">{text(self._charger)}</h1>', sanitize=False)
            if await self._row() is None:
                line = say("There is no charger called {charger}.", charger=self._charger)
                ui.html(f'<p class="w-warn" role="alert">{text(line)}</p>', sanitize=False)
                return
            with ui.element("div").classes("w-columns"):
                with ui.element("div").classes("w-column"):
                    with card(say("Health")):
                        self._health = Live(label=say("Health"), polite=True)
                    with card(say("Setpoint and own hours")):
                        self._told = Live()
                    with card(say("Connectors")):
                        self._connectors = Live().classes("w-wide")
                    with card(say("What it is")):
                        self._plate = Live()
                with ui.element("div").classes("w-column"):
                    with card(say("Send a request")):
                        self._form = RequestForm(
                            self._door,
                            self._charger,
                            who=self._visit.who,
                            words=self._words,
                            sent=self._show_messages,
                        )
                        self._form.build()
                    with card(say("How it gets in")):
                        self._access = AccessForm(
                            self._door,
                            self._charger,
                            who=self._visit.who,
                            words=self._words,
                            done=self._show_messages,
                        )
                        self._access.build()
                    if await self._visit.feed.guests_at(self._charger):
                        address = site_address(self._visit.feed.public_url, self._visit.asked_at)
                        with card(say("Guests")):
                            ui.html(panels.guest_html(self._charger, self._words, address), sanitize=False)
            self._timeline_card()
            self._log_card()
        await self._look()
        await self._show_messages()
        ui.timer(PERIOD_S, self._look)

    def _timeline_card(self) -> None:
        say = self._words.say
        with card(say("Timeline of a transaction")):
            with ui.element("div").classes("w-filter"):
                self._transaction = ui.select(
                    [], label=say("Transaction"), with_input=True, new_value_mode="add-unique"
                ).props("outlined dense")
                ui.button(say("Show the timeline"), on_click=self._show_timeline).props("outline no-caps")
            self._timeline = Live(label=say("Timeline of a transaction")).classes("w-wide")

    def _log_card(self) -> None:
        say = self._words.say
        ways = {
            "": say("both ways"),
            Direction.FROM_CHARGER.value: say("from the charger"),
            Direction.TO_CHARGER.value: say("to the charger"),
        }
        with card(say("Message log")):
            with ui.element("div").classes("w-filter w-filter-four"):
                self._contains = ui.input(label=say("Contains"), on_change=self._searched)
                self._contains.props("outlined dense clearable debounce=300")
                self._way = ui.select(ways, value="", label=say("Direction"), on_change=self._searched)
                self._since = ui.input(label=say("From"), on_change=self._searched)
                self._until = ui.input(label=say("Until"), on_change=self._searched)
                for field in (self._since, self._until):
                    field.props('type="datetime-local" stack-label')
                for part in (self._way, self._since, self._until):
                    part.props("outlined dense")
            self._log = Live(label=say("Message log")).classes("w-wide")
            self._pager = Pager(self._words, self._turn)
            ui.button(say("Look again"), on_click=self._show_messages).props("flat no-caps")
            note = say("Passwords and keys are hidden. Times are those of the site.")
            ui.html(f'<p class="w-legend">{text(note)}</p>', sanitize=False)

    async def _row(self) -> Row | None:
        state, seen = await self._visit.feed.state(), await self._visit.feed.overview()
        views = [view for view in state.chargers if view.id == self._charger]
        return next(iter(rows_of(views, seen)), None)

    async def _look(self) -> None:
        """Renews what has changed."""
        words = self._words
        state, row = await self._visit.feed.state(), await self._row()
        self._frame.show(state, words)
        if row is None:
            return
        self._health.show(panels.ailments_html(row, words))
        self._told.show(panels.told_html(row, state.now, words))
        self._connectors.show(panels.connectors_table_html(row, words))
        self._plate.show(panels.plate_html(row, words))
        await self._form.show(row.seen.health.version)
        self._access.show(row.seen.facts.security_profile, connected=bool(row.seen.health.version))
        known = tuple(row.seen.facts.transactions)
        if known != self._known:
            self._known = known
            chosen = self._transaction.value or next(iter(known), None)
            self._transaction.set_options(
                list(dict.fromkeys([*known, *([chosen] if chosen else [])])), value=chosen
            )

    async def _show_timeline(self) -> None:
        words, transaction = self._words, str(self._transaction.value or "")
        try:
            found = await self._door.timeline(self._charger, transaction)
        except NotFoundError:
            line = words.say(
                "The message log knows no transaction {name} of this charger. "
                "It may be older than the log is kept.",
                name=transaction,
            )
            self._timeline.show(f'<p class="w-warn" role="alert">{text(line)}</p>')
            return
        self._timeline.show(messages.messages_html(found, words))

    async def _searched(self) -> None:
        self._search = Search(
            contains=self._contains.value or "",
            since=messages.local_moment(self._since.value),
            until=messages.local_moment(self._until.value),
            direction=Direction(self._way.value) if self._way.value else None,
        )
        await self._show_messages()

    async def _turn(self, by: int) -> None:
        self._search = replace(self._search, page=max(0, self._search.page + by))
        await self._show_messages()

    async def _show_messages(self) -> None:
        """The newest first; as many are read as pages are turned, so that nothing is skipped between two."""
        search, size = self._search, messages.PAGE_ROWS
        found = await self._door.messages(
            self._charger,
            since=search.since or _FIRST,
            until=search.until or _LAST,
            contains=search.contains,
            direction=search.direction,
            limit=(search.page + 1) * size + 1,
        )
        newest_first = list(found)[::-1]
        shown = newest_first[search.page * size : (search.page + 1) * size]
        self._log.show(messages.messages_html(shown, self._words))
        more = len(newest_first) > (search.page + 1) * size and search.page + 1 < messages.PAGES_MAX
        line = self._words.say("page {page}, the newest first", page=search.page + 1)
        self._pager.show(line, back=search.page > 0, on=more)


async def charger_page(visit: Visit) -> None:
    """Builds the page of one charger."""
    door = visit.feed.chargers
    if door is not None:
        await ChargerPage(visit, door).build()
