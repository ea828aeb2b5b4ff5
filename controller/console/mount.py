"""Puts the console's pages onto the web application.

NiceGUI keeps its pages and its event loop in module state, so a process has one console; the last one
that was mounted counts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import cast

from fastapi import FastAPI, Request
from nicegui import core, ui
from starlette.responses import RedirectResponse, Response

from controller.api.security import Strangers
from controller.console import session
from controller.console.feed import Feed
from controller.console.grid.page import grid_page
from controller.console.operator import links
from controller.console.operator.admissions_page import admissions_page
from controller.console.operator.charger_page import charger_page
from controller.console.operator.chargers_page import chargers_page
from controller.console.operator.page import operator_page
from controller.console.operator.tokens_page import tokens_page
from controller.console.resident import statements
from controller.console.resident.page import resident_page
from controller.console.shell import FAVICON, PERIOD_S, Visit
from controller.console.welcome import welcome_page
from controller.runtime.chargers_door import ChargersDoor
from controller.runtime.charging_tokens import ChargingTokens
from controller.runtime.door import Door
from controller.runtime.guests import Guests
from controller.runtime.ports import Role
from controller.runtime.tokens import token_hash

_BUILD_S = 15.0
"""How long a page may take to be made [s]: on a busy machine the library's own 3 s end in an error."""
type _Builder = tuple[set[Role], Callable[[Visit], Awaitable[None]]]
"""Who may see a page, and what makes it."""
_BUILDERS: Mapping[str, _Builder] = {
    links.HOME: ({Role.OPERATOR}, operator_page),
    links.TOKENS: ({Role.OPERATOR}, tokens_page),
    "/grid": ({Role.GRID}, grid_page),
    "/resident": ({Role.RESIDENT, Role.FLEET}, resident_page),
}
_CHARGER_BUILDERS: Mapping[str, _Builder] = {
    links.CHARGERS: ({Role.OPERATOR}, chargers_page),
    links.WAITING: ({Role.OPERATOR}, admissions_page),
    links.CHARGER_PATTERN: ({Role.OPERATOR}, charger_page),
}
"""The pages of the operator's tools for chargers."""


def mount_console(
    app: FastAPI,
    door: Door,
    chargers: ChargersDoor | None = None,
    charging_tokens: ChargingTokens | None = None,
    guests: Guests | None = None,
) -> None:
    """Adds the pages to an application that has a session middleware.

    Args:
        app: The application.
        door: The running controller.
        chargers: The operator's tools for chargers; without them their pages are not there.
        charging_tokens: Who may charge; without them residents have no list of their cards.
        guests: Those who charge without a contract; without them no charger has a code for its sticker.
    """
    strangers = cast("Strangers", app.state.strangers)
    session.install(app, strangers)
    statements.install(app, door, strangers)
    feed = Feed(door, chargers=chargers, charging_tokens=charging_tokens, guests=guests)
    _welcome()
    for path, builder in _BUILDERS.items():
        _page(path, builder, feed, strangers)
    for path, builder in _CHARGER_BUILDERS.items() if chargers is not None else ():
        _page(path, builder, feed, strangers)
    # Middleware cannot be added to an application that has answered before: a second console in one
    # process starts from a clean stack.
    core.app.middleware_stack = None
    core.app.user_middleware.clear()
    ui.run_with(
        app,
        title="Wijkstroom",
        favicon=FAVICON,
        tailwind=False,
        show_welcome_message=False,
        reconnect_timeout=10.0,
    )


def _welcome() -> None:
    @ui.page("/welcome")
    def welcome(request: Request) -> None:
        welcome_page(session.words_of(request), unknown="unknown" in request.query_params)


def _page(path: str, builder: _Builder, feed: Feed, strangers: Strangers) -> None:
    """Registers one role's page: others are led to theirs, strangers to the welcome page."""
    roles, build = builder

    @ui.page(path, response_timeout=_BUILD_S)
    async def page(request: Request) -> Response | None:
        words = session.words_of(request)
        who = await session.principal_of(request, strangers)
        if who is None:
            return RedirectResponse("/welcome", 303)
        if who.role not in roles:
            return RedirectResponse(session.PAGES[who.role], 303)
        _close_with_the_token(session.standing(request, feed.door, who))
        own = token_hash(request.session["token"])
        await build(
            Visit(
                who=who,
                words=words,
                feed=feed,
                place=request.path_params,
                own_token=own,
                asked_at=str(request.base_url),
            )
        )
        return None


def _close_with_the_token(stands: Callable[[], Awaitable[bool]]) -> None:
    """Empties an open page within a look after its token was taken back or has ended, and leads away."""
    client = ui.context.client

    async def look() -> None:
        if not await stands():
            ui.navigate.to("/")
            # Without elements nothing is shown, renewed or pressed any more, whatever the browser does.
            client.remove_all_elements()

    ui.timer(PERIOD_S, look)
