"""A resident's statements in the browser: links on the page, and the documents behind them.

The documents are plain pages of their own, to read, print and keep; who is signed in sees their own.
"""

from __future__ import annotations

from datetime import date, datetime

from babel.dates import format_date
from fastapi import FastAPI, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from controller.api.resident.statement_pages import statement_csv, statement_html
from controller.api.security import Strangers
from controller.console import session
from controller.console.live import text
from controller.domain.errors import NotFoundError
from controller.domain.time import AMSTERDAM
from controller.runtime.door import Door
from controller.runtime.statements import month_days
from controller.texts import Translator

MONTHS_SHOWN = 3
"""This month and those before it."""
_SAFE = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}


def months_html(now: datetime, words: Translator) -> str:
    """Links to the last months' statements."""
    first = now.astimezone(AMSTERDAM).date().replace(day=1)
    rows = []
    for _ in range(MONTHS_SHOWN):
        address = f"/resident/statements/{first:%Y-%m}"
        name = format_date(first, format="LLLL y", locale=words.language.value)
        rows.append(
            f'<li><a href="{address}" target="_blank">{text(name)}</a> '
            f'(<a href="{address}?format=csv">CSV</a>)</li>'
        )
        first = _month_before(first)
    return f"<ul>{''.join(rows)}</ul>"


def _month_before(first: date) -> date:
    return (
        first.replace(year=first.year - 1, month=12)
        if first.month == 1
        else first.replace(month=first.month - 1)
    )


def install(app: FastAPI, door: Door, strangers: Strangers) -> None:
    """Puts the documents on the app."""

    async def statement(request: Request, year: int, month: int) -> Response:
        words = session.words_of(request)
        who = await session.principal_of(request, strangers)
        if who is None:
            return RedirectResponse("/welcome", 303)
        if who.member is None:
            return RedirectResponse(session.PAGES[who.role], 303)
        try:
            first, last = month_days(year, month)
            view = await door.statement(member=who.member, first=first, last=last)
        except (NotFoundError, ValueError):
            return HTMLResponse(_nothing(words), 404, _SAFE)
        if request.query_params.get("format") == "csv":
            name = f'attachment; filename="wijkstroom-{first:%Y-%m}.csv"'
            return Response(
                statement_csv(view, words), media_type="text/csv", headers={"Content-Disposition": name}
            )
        return HTMLResponse(statement_html(view, words), headers=_SAFE)

    app.add_api_route(
        "/resident/statements/{year}-{month}", statement, methods=["GET"], include_in_schema=False
    )


def _nothing(words: Translator) -> str:
    line = words.say("No day of that month is settled yet. A day is settled an hour after it is over.")
    return (
        f'<!doctype html><html lang="{words.language.value}"><meta charset="utf-8"><p>{text(line)}</p></html>'
    )
