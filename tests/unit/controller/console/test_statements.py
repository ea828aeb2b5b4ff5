"""Statements in the browser: one's own, and only for who is signed in."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import pytest
from fastapi import FastAPI
from starlette.middleware.sessions import SessionMiddleware

from controller.api.security import Strangers
from controller.console import session
from controller.console.resident.statements import install, months_html
from controller.domain.time import SystemMachineClock
from controller.texts import Language, translator
from tests.support.fake_door import FakeDoor


def browser() -> httpx.AsyncClient:
    """A browser before an application with nothing but these pages."""
    app, door = FastAPI(), FakeDoor()
    app.add_middleware(SessionMiddleware, secret_key="a secret of the tests")  # noqa: S106  # no secret
    strangers = Strangers(door, SystemMachineClock())
    session.install(app, strangers)
    install(app, door, strangers)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test")


async def signed_in(token: str) -> httpx.AsyncClient:
    """A browser that came by a ready link."""
    client = browser()
    await client.get(f"/?token={token}&lang=en")
    return client


async def test_a_resident_reads_and_saves_a_month() -> None:
    """The page for people, the table for programs."""
    client = await signed_in("resident-token")
    page = await client.get("/resident/statements/2024-01")
    assert (page.status_code, page.headers["content-security-policy"][:18]) == (200, "default-src 'none'")
    assert "Statement of January 2024" in page.text
    table = await client.get("/resident/statements/2024-01?format=csv")
    assert table.text.startswith("line,title,energy_wh")
    assert "wijkstroom-2024-01.csv" in table.headers["content-disposition"]


async def test_a_month_that_is_not_settled_says_so() -> None:
    """In words, not as an error document."""
    page = await (await signed_in("resident-token")).get("/resident/statements/2024-02")
    assert page.status_code == 404
    assert "settled yet" in page.text


@pytest.mark.parametrize(
    ("token", "where"), [("nobody's", "/welcome"), ("operator-token", "/operator"), ("grid-token", "/grid")]
)
async def test_others_are_led_to_their_own_page(token: str, where: str) -> None:
    """Strangers to the welcome page; who has no statement to where they belong."""
    page = await (await signed_in(token)).get("/resident/statements/2024-01")
    assert (page.status_code, page.headers["location"]) == (303, where)


def test_the_links_go_back_over_the_new_year() -> None:
    """Local months, the newest first."""
    html = months_html(datetime(2024, 1, 31, 23, 30, tzinfo=UTC), translator(Language.ENGLISH))
    places = [html.index(f'/resident/statements/{month}"') for month in ("2024-02", "2024-01", "2023-12")]
    assert places == sorted(places)
    assert "February 2024" in html
