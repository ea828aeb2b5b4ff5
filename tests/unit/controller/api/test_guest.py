"""The guests' door without a login: price, session, stop, receipt; and who asks too often."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import segno
from starlette.requests import Request

from controller.api.app import create_app
from controller.api.rate import address_of
from controller.domain.guests import Stage
from controller.domain.ids import AssetId
from controller.domain.telemetry import LinkReading
from tests.support.fake_door import FakeDoor
from tests.support.guests import LIMIT_CENTS, POINT, GuestStreet, guest_street

POINT_PATH, PAGE_PATH = f"/api/guest/charge-points/{POINT}", f"/guest/{POINT}"


@asynccontextmanager
async def _client(street: GuestStreet | None) -> AsyncIterator[httpx.AsyncClient]:
    guests = None if street is None else street.guests
    app = create_app(FakeDoor(), guests=guests, console=False, storage_secret="a secret")  # noqa: S106
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://street.example") as client:
        yield client


async def test_a_guest_begins_looks_and_stops_over_the_api(tmp_path: Path) -> None:
    """Nothing but the secret opens the session, and the answers say what a receipt needs."""
    async with guest_street(tmp_path) as street, _client(street) as client:
        posted = (await client.get(POINT_PATH)).json()
        assert posted["energy_microeur_per_kwh"] == 484_000
        assert (posted["taken"], posted["plugged"], posted["reachable"]) == (False, True, True)
        opened = await client.post(f"{POINT_PATH}/sessions", json={"limit_cents": LIMIT_CENTS})
        assert opened.status_code == 201
        secret = opened.json()["secret"]
        assert opened.json()["page"] == f"http://street.example/guest/session/{secret}?lang=nl"
        await street.stage(secret, Stage.CHARGING)
        await street.charge_for(900)
        path = f"/api/guest/sessions/{secret}"
        live = (await client.get(path, headers={"Accept-Language": "en"})).json()
        assert live["stage"] == "charging"
        assert live["sentence"] == "Your car is charging."
        assert live["energy_wh"] > 1500
        assert live["cost_cents"] > 100
        assert live["power_kw"] == pytest.approx(11.0, abs=0.1)
        assert (await client.get(POINT_PATH)).json()["taken"]
        assert (await client.get(f"{path}x")).status_code == 404
        assert (await client.post(f"{path}x/stop")).status_code == 404
        assert (await client.post(f"{path}/stop")).json() == {"done": True}
        paid = await street.stage(secret, Stage.PAID)
        receipt = (await client.get(path)).json()
        assert (receipt["cost_cents"], receipt["power_kw"]) == (paid.due_cents, None)


async def test_the_pages_lead_from_the_price_to_the_receipt(tmp_path: Path) -> None:
    """In Dutch unless asked otherwise; without a script too."""
    async with guest_street(tmp_path) as street, _client(street) as client:
        page = await client.get(PAGE_PATH)
        assert "0,484\N{NO-BREAK SPACE}€/kWh" in page.text
        assert "Laden met de zon van de straat" in page.text
        assert "default-src 'none'" in page.headers["content-security-policy"]
        english = await client.get(f"{PAGE_PATH}?lang=en")
        assert "Pay and charge" in english.text
        begun = await client.post(f"{PAGE_PATH}?lang=en", content=f"limit_cents={LIMIT_CENTS}")
        assert begun.status_code == 303
        session = begun.headers["location"]
        secret = session.removeprefix("/guest/session/").removesuffix("?lang=en")
        await street.stage(secret, Stage.CHARGING)
        await street.charge_for(600)
        live = (await client.get(session)).text
        assert "Stop charging" in live
        assert 'http-equiv="refresh"' in live
        stopped = await client.post(f"/guest/session/{secret}/stop?lang=en")
        assert stopped.headers["location"] == session
        paid = await street.stage(secret, Stage.PAID)
        receipt = (await client.get(session)).text
        for said in ("Thank you. This is your receipt.", "of which VAT", paid.id, "Electricity"):
            assert said in receipt
        assert "http-equiv" not in receipt
        assert paid.token not in live + receipt


async def test_a_sockets_sticker_shows_its_own_address(tmp_path: Path) -> None:
    """As many dark modules as its address has, with the quiet zone; none for no socket."""
    async with guest_street(tmp_path) as street, _client(street) as client:
        answer = await client.get(f"{PAGE_PATH}/code.svg")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml")
        address = f"{client.base_url}{PAGE_PATH}"
        assert f"<title>{address}</title>" in answer.text
        code = segno.make_qr(address, error="m")
        width = 8 * code.symbol_size(border=4)[0]
        assert f'width="{width}" height="{width}"' in answer.text
        strokes = re.findall(r"h(\d+)", answer.text.partition('stroke="')[2])
        assert sum(map(int, strokes)) == sum(map(sum, code.matrix))
        assert (await client.get("/guest/no-such-socket/code.svg")).status_code == 404


async def test_a_sockets_name_may_hold_a_slash(tmp_path: Path) -> None:
    """The code of its sticker leads to its page, and the form there to a session."""
    async with guest_street(tmp_path, car=False) as street, _client(street) as client:
        site = street.controller.site
        yard = replace(site.charge_point_by_id[POINT], id=AssetId("yard/1?"))
        street.controller.site = replace(site, charge_points=(yard,))
        street.controller.receive(LinkReading(asset=yard.id, at=street.place.clock.now(), up=True))
        street.controller.hear()
        path = "/guest/yard%2F1%3F"
        code = await client.get(f"{path}/code.svg")
        assert (code.status_code, f"{client.base_url}{path}</title>" in code.text) == (200, True)
        page = await client.get(path)
        assert (page.status_code, f'action="{path}?lang=' in page.text) == (200, True)
        assert "you pay nothing" in (await client.post(f"{path}?lang=en", content="limit_cents=1")).text


async def test_forms_that_do_not_fit_are_refused_without_a_session(tmp_path: Path) -> None:
    """An amount that is not offered, no amount, a form that is too large, a socket that is none."""
    async with guest_street(tmp_path) as street, _client(street) as client:
        for body in ("limit_cents=1", "limit_cents=many", ""):
            answer = await client.post(f"{PAGE_PATH}?lang=en", content=body)
            assert answer.status_code == 409
            assert "you pay nothing" in answer.text
        assert (await client.post(PAGE_PATH, content="x" * 2000)).status_code == 413
        assert (await client.get("/guest/no-such-socket")).status_code == 404
        assert (await client.get("/guest/session/nothing")).status_code == 404
        wrong = await client.post(f"{POINT_PATH}/sessions", json={"limit_cents": "much"})
        assert wrong.status_code in {422, 429}
        assert not street.payments.payments


async def test_who_opens_too_often_has_to_wait(tmp_path: Path) -> None:
    """Each address has a few, then one a minute; looking is not held up by it."""
    async with guest_street(tmp_path, car=False) as street, _client(street) as client:
        answers = [
            await client.post(f"{POINT_PATH}/sessions", json={"limit_cents": LIMIT_CENTS}) for _ in range(8)
        ]
        assert answers[-1].status_code == 429
        assert int(answers[-1].headers["retry-after"]) > 0
        assert (await client.get(POINT_PATH)).status_code == 200


async def test_without_a_provider_there_are_no_guests() -> None:
    """The page says so; nothing else changes."""
    async with _client(None) as client:
        assert (await client.get(POINT_PATH)).status_code == 404
        page = await client.get(f"{PAGE_PATH}?lang=en")
        assert (page.status_code, "Guests cannot charge" in page.text) == (404, True)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::2:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
    ],
)
def test_an_address_of_ipv6_counts_as_its_network(one: str, other: str, *, same: bool) -> None:
    """Whoever has a network has billions of addresses."""
    assert (_caller(one) == _caller(other)) is same


def _caller(host: str) -> str:
    return address_of(Request({"type": "http", "client": (host, 1), "headers": []}))
