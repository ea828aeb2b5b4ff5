"""Who charges, in a real browser: a guest with a phone, and a member with a card."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By

from controller.api.app import create_app
from controller.api.server import WebServer
from controller.domain.ids import MemberId
from controller.runtime.door import Principal
from controller.runtime.ports import Role
from tests.support.browsing import PHONE, Browsing
from tests.support.fake_door import FakeDoor
from tests.support.guests import POINT, GuestStreet, guest_street
from tests.support.web import open_browser

_SHOTS = Path(__file__).parent / "screenshots"


class _Street:
    """A street for guests on an event loop of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ready, self._loop = threading.Event(), asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._live()))
        self._thread.start()
        assert self._ready.wait(20.0)

    async def _live(self) -> None:
        async with guest_street(self._folder, checkout=True) as street:
            self.street: GuestStreet = street
            self._ready.set()
            await self._over.wait()

    def do[T](self, work: Callable[[], Awaitable[T]]) -> T:
        """Runs something on the street's loop."""

        async def run() -> T:
            return await work()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(20.0)

    def stop(self) -> None:
        """Ends the loop."""
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(10.0)
        self._loop.close()


class _Door(FakeDoor):
    """The fake street's door, opened by a member of the street with the charger."""

    async def authenticate(self, token: str) -> Principal | None:
        """Everybody is the member."""
        return Principal(role=Role.RESIDENT, member=MemberId("fleet"), label=token)


@pytest.fixture
def phone(tmp_path: Path) -> Iterator[tuple[Browsing, _Street]]:
    """A phone in front of the street's web server."""
    live = _Street(tmp_path)
    street = live.street
    server = WebServer(
        lambda: create_app(
            _Door(),
            guests=street.guests,
            charging_tokens=street.tokens,
            storage_secret="secret",  # noqa: S106  # no secret
        ),
        "127.0.0.1",
        0,
    )
    server.start()
    browser = open_browser(tmp_path / "chromium")
    try:
        yield Browsing(server.url, browser, _SHOTS), live
    finally:
        browser.quit()
        server.stop()
        live.stop()


def _open(site: Browsing, path: str) -> None:
    width, height = PHONE
    screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": True}
    site.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    site.browser.get(f"{site.url}{path}")


def _fits(site: Browsing) -> bool:
    return bool(
        site.browser.execute_script(
            "return document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        )
    )


def _see(site: Browsing, words: str) -> str:
    """Waits for words on a page that may load anew at any moment."""
    shown = "return document.body?.innerText ?? ''"
    site.until(lambda: words in site.browser.execute_script(shown))
    return str(site.browser.execute_script(shown))


def _figure(site: Browsing, name: str) -> str:
    return str(site.browser.execute_script(f"return document.getElementById('{name}')?.textContent ?? ''"))


def test_a_guest_charges_with_a_phone(phone: tuple[Browsing, _Street]) -> None:
    """Scans, chooses an amount, agrees at the bank, sees the figures move, stops, and has a receipt."""
    site, live = phone
    _open(site, f"/guest/{POINT}?lang=nl")
    page = site.see("Laden bij cp-1")
    for words in ("0,484 €/kWh", "Inclusief btw", "Je auto is aangesloten", "Betaal en laad"):
        assert words in page
    assert _fits(site)
    site.shot("guest-point-nl-phone")
    chosen = site.find("input:checked")
    assert chosen.get_attribute("value") == "2500"
    site.press("label:nth-of-type(1) input")
    site.press("form button")

    site.press("a.button")
    site.see("Test bank")
    assert "10.00" in site.text()
    site.press("button[value=agree]")
    _see(site, "Je auto laadt.")
    assert "/guest/session/" in site.browser.current_url
    live.do(lambda: live.street.charge_for(900))
    # The page may load anew at any moment: asked for by script, no element goes stale.
    site.until(lambda: _figure(site, "energy")[:1] in {"1", "2"})
    assert "kW" in _figure(site, "power")
    assert _fits(site)
    site.shot("guest-charging-nl-phone")

    site.press_words("Stop met laden")
    page = _see(site, "Dit is je bon.")
    for words in ("Stroom", "Start van de sessie", "Betaald", "waarvan btw"):
        assert words in page
    assert not site.browser.find_elements(By.CSS_SELECTOR, "form")
    site.shot("guest-receipt-nl-phone")
    (payment,) = live.street.payments.payments.values()
    assert payment.captured_cents > 100
    assert site.complaints() == []


def test_a_member_registers_a_card_and_blocks_it_when_it_is_lost(phone: tuple[Browsing, _Street]) -> None:
    """The number is shown nowhere; from the press on the card charges nothing."""
    site, live = phone
    site.open("member", "nl", PHONE)
    site.see("Passen en sleutels")
    site.find('[aria-label="Nummer van de pas"]').send_keys("04a1b2c3d4")
    site.find('[aria-label="Jouw naam ervoor"]').send_keys("sleutelbos")
    site.press_words("Aanmelden")
    page = site.see("sleutelbos")
    assert "…C3D4" in page
    assert "04A1B2C3D4" not in page.upper()
    assert live.street.tokens.accepts("04A1B2C3D4")
    site.shot("resident-cards-nl-phone")
    site.press_words("Blokkeer: hij is kwijt")
    site.see("geblokkeerd")
    assert not live.street.tokens.accepts("04A1B2C3D4")
    assert site.complaints() == []
