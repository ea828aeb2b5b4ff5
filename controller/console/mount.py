"""Puts the console's pages onto the web application.

NiceGUI keeps its pages and its event loop in module state, so a process has one console; the last one
that was mounted counts.
"""

from __future__ import annotations

from fastapi import FastAPI, Request
from nicegui import core, ui
from starlette.responses import RedirectResponse, Response

from controller.console import session
from controller.console.feed import Feed
from controller.console.grid.page import grid_page
from controller.console.operator.page import operator_page
from controller.console.resident import statements
from controller.console.resident.page import resident_page
from controller.console.shell import FAVICON, Visit
from controller.console.welcome import welcome_page
from controller.runtime.door import Door
from controller.runtime.ports import Role

_BUILDERS = {
    "/operator": ({Role.OPERATOR}, operator_page),
    "/grid": ({Role.GRID}, grid_page),
    "/resident": ({Role.RESIDENT, Role.FLEET}, resident_page),
}


def mount_console(app: FastAPI, door: Door) -> None:
    """Adds the pages to an application that has a session middleware."""
    session.install(app, door)
    statements.install(app, door)
    feed = Feed(door)
    _welcome()
    for path in _BUILDERS:
        _page(path, feed)
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


def _page(path: str, feed: Feed) -> None:
    """Registers one role's page: others are led to theirs, strangers to the welcome page."""
    roles, build = _BUILDERS[path]

    @ui.page(path)
    async def page(request: Request) -> Response | None:
        words = session.words_of(request)
        who = await session.principal_of(request, feed.door)
        if who is None:
            return RedirectResponse("/welcome", 303)
        if who.role not in roles:
            return RedirectResponse(session.PAGES[who.role], 303)
        await build(Visit(who=who, words=words, feed=feed))
        return None
