"""A real browser clicks through the console: every role, both languages, a desk and a phone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import time
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from controller.api.app import create_app
from controller.api.server import WebServer
from controller.domain.assets import WishKind
from controller.domain.instructions import LeaveAt
from controller.runtime.door import Principal
from controller.runtime.ports import Role
from controller.sharing_settings import MarketMode
from tests.support.browsing import PHONE, Browsing
from tests.support.fake_door import CAR, FakeDoor
from tests.support.fake_views import RESIDENT
from tests.support.web import open_browser

_SHOTS = Path(__file__).parent / "screenshots"


class Site(Browsing):
    """The console over a live fake street, and a browser in front of it."""

    def __init__(self, door: FakeDoor, server: WebServer, browser: Chrome) -> None:
        super().__init__(server.url, browser, _SHOTS)
        self.door = door


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One server and one browser for all."""
    door = FakeDoor(chargers=40, live=True)
    server = WebServer(
        lambda: create_app(door, storage_secret="a secret of the tests"),  # noqa: S106  # no secret
        "127.0.0.1",
        0,
    )
    server.start()
    browser = open_browser(tmp_path_factory.mktemp("chromium"))
    try:
        yield Site(door, server, browser)
    finally:
        browser.quit()
        server.stop()


def test_strangers_get_a_welcome_page_and_a_wrong_token_is_told(site: Site) -> None:
    """Without a token no page shows anything of the street; the form signs in."""
    site.browser.delete_all_cookies()
    site.browser.get(f"{site.url}/operator?lang=nl")
    site.until(lambda: site.browser.current_url.endswith("/welcome"))
    site.browser.get(f"{site.url}/?token=made-up&lang=nl")
    page = site.see("Dit token is hier niet bekend.")
    assert "Proefstraat" not in page
    site.find("#token").send_keys("operator-token")
    site.press(".w-welcome button")
    site.see("Proefstraat")
    assert "token" not in site.browser.current_url


def test_an_open_page_closes_when_its_token_is_taken_back(site: Site) -> None:
    """Nothing stays on the screen, and a press reaches nobody: the browser is led to the welcome page."""
    site.open("resident-token", "nl")
    site.see("Wat van mij is")
    holder = site.door.tokens.pop("resident-token")
    try:
        site.until(lambda: site.browser.current_url.endswith("/welcome"))
        assert "Wat van mij is" not in site.text()
    finally:
        site.door.tokens["resident-token"] = holder
    assert site.complaints() == []


def test_the_operators_page_updates_live_and_stops_all_discharge(site: Site) -> None:
    """Figures move by themselves; the stop asks first and reaches the controller."""
    site.open("operator-token", "nl")
    page = site.see("Alle saldi zijn samen precies 0.")
    for words in ("Woningen en gebouwen", "Boven de grens", "De laatste 24 uur van feeder-1", "charger-01"):
        assert words in page
    clock = site.find(".w-now").text
    power = site.find(".w-tile-value").text
    site.until(lambda: site.find(".w-now").text != clock)
    site.until(lambda: site.find(".w-tile-value").text != power)
    site.until(lambda: site.browser.find_elements(By.CSS_SELECTOR, ".w-chart canvas"))
    site.shot("operator-nl-desk")
    site.press_words("Alle teruglevering stoppen")
    site.press_words("Ja")
    site.see("Alle teruglevering is gestopt.")
    assert site.door.discharge_stopped
    site.press_words("Teruglevering weer toestaan")
    site.press_words("Ja")
    site.see("Auto’s mogen terugleveren waar dat afgesproken is.")
    assert site.complaints() == []


def test_the_operator_takes_a_token_back_and_the_last_one_stays(site: Site) -> None:
    """It asks first; the last operator's is refused with the way out, in the reader's language."""
    site.door.tokens["lost-phone"] = Principal(role=Role.RESIDENT, member=RESIDENT, label="Lost phone")
    site.open("operator-token", "nl")
    site.see("Alle teruglevering stoppen")
    site.press('a[href="/operator/tokens"]')
    site.see("Tokens die toegang geven")
    site.find(".w-filter input").send_keys("lost")
    site.see("Tokens: 1 · bladzijde 1 van 1")
    site.press_words("Intrekken …")
    site.see("Lost phone (bewoner home-7) geeft daarna nergens meer toegang toe")
    assert "lost-phone" in site.door.tokens
    site.press_words("Ja")
    site.see("Geen token past hierbij.")
    assert "lost-phone" not in site.door.tokens
    site.find(".w-filter input").send_keys(Keys.CONTROL, "a")
    site.find(".w-filter input").send_keys("olga")
    site.see("hiermee ben je aangemeld")
    site.shot("tokens-nl-desk")
    site.press_words("Intrekken …")
    site.see("Het is het token waarmee je nu bent aangemeld.")
    site.press_words("Ja")
    site.see("geef eerst een ander uit")
    assert "operator-token" in site.door.tokens
    assert site.complaints() == []


def test_the_operator_gives_out_a_token_that_is_shown_once(site: Site) -> None:
    """What is missing is said beside the form; the token works, and leaves the screen for good."""
    site.open("operator-token", "nl")
    site.see("Alle teruglevering stoppen")
    site.press('a[href="/operator/tokens"]')
    site.see("Een token uitgeven")
    site.press_words("Uitgeven")
    site.see("Kies waarvoor het token is.")
    site.choose("Waarvoor", "leverancier")
    site.find(".w-form input[aria-label='Hoe men het noemt']").send_keys("Our supplier")
    site.press_words("Uitgeven")
    site.see("Geef het veilig door: wie het heeft, komt binnen. Het staat hier maar één keer.")
    token = site.find(".w-secret code").text
    assert site.door.tokens[token] == Principal(role=Role.SUPPLIER, member=None, label="Our supplier")
    site.press_words("Ik heb het opgeschreven")
    site.until(lambda: not site.browser.find_elements(By.CSS_SELECTOR, ".w-secret"))
    site.see("Our supplier")
    assert token not in site.browser.page_source
    del site.door.tokens[token]
    assert site.complaints() == []


def test_the_operator_picks_a_node_and_finds_a_charger(site: Site) -> None:
    """A press on a node shows its day; the focus stays where it was through the updates."""
    site.open("operator-token", "en")
    site.see("All balances sum to exactly 0.")
    site.find('[data-node="feeder-2"]').send_keys("\n")
    site.see("The last 24 hours of feeder-2")
    clock = site.find(".w-now").text
    site.until(lambda: site.find(".w-now").text != clock)
    focused = "return document.activeElement.dataset.node || ''"
    assert site.browser.execute_script(focused) == "feeder-2"
    site.see("Chargers: 40 · page 1 of 4")
    site.press('[aria-label="Next page"]')
    site.see("Chargers: 40 · page 2 of 4")
    site.find(".w-filter input").send_keys("charger-33")
    site.see("Chargers: 1 · page 1 of 1")
    assert "car-33" in site.text()


def test_the_grid_operator_sets_and_withdraws_a_limit(site: Site) -> None:
    """The limit reaches the controller, shows on the node, and goes again; the lock-out too."""
    site.open("grid-token", "nl")
    site.see("Op dit punt is geen grens gesteld.")
    site.find('[aria-label="Afname hoogstens (kW)"]').send_keys("80")
    site.press_words("Grens stellen")
    page = site.see("De grens is gesteld.")
    site.until(lambda: len(site.door.imposed) == 1)
    assert site.door.imposed[0].import_kw == 80.0
    assert "grens van de netbeheerder" in page
    site.shot("grid-nl-desk")
    site.press_words("Intrekken")
    site.see("Op dit punt is geen grens gesteld.")
    site.press_words("Teruglevering blokkeren")
    site.see("Geblokkeerd totdat iemand het vrijgeeft.")
    site.press_words("Blokkade opheffen")
    site.until(lambda: not site.door.locked)
    assert site.complaints() == []


def test_a_resident_presses_buttons_and_trades(site: Site) -> None:
    """Charge now, never discharge, a departure and an order, each with its effect."""
    site.open("resident-token", "nl")
    page = site.see("te betalen")
    assert "komt deze auto 3,2" in page
    assert "Wat van mij is" in page
    site.press('[data-mode="charge_now"]')
    site.until(lambda: site.find('[data-mode="charge_now"]').get_attribute("aria-pressed") == "true")
    site.press('[data-act="never"]')
    site.until(lambda: site.find('[data-act="never"]').get_attribute("aria-pressed") == "true")
    wishes = site.door.kept_wishes[CAR]
    assert (wishes.mode, wishes.never_discharge) == (WishKind.CHARGE_NOW, True)
    site.press_words("Vertrek vastleggen")
    site.see("di 16 jan 07:30, 48,0")
    site.press_words("Order plaatsen")
    site.see("Je order is geplaatst.")
    assert len(site.door.kept_orders) == 2
    site.press_words("Annuleren")
    site.see("Je order is geannuleerd.")
    site.press_words("Elke dag")
    site.see("car-1 vertrekt om 08:00 met 60%, elke dag")
    assert [one.wanted for one in site.door.standing.values()] == [
        LeaveAt(vehicle=CAR, at_local=time(8, 0), soc_fraction=0.6)
    ]
    site.press_words("Beëindigen")
    site.see("Je hebt geen vaste opdrachten.")
    site.shot("resident-nl-desk")
    assert site.complaints() == []


def test_nobody_orders_where_energy_is_shared_after_the_fact(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page says so in the place of forms that would be refused; a car's departure can still be left."""
    monkeypatch.setattr(site.door, "mode", MarketMode.SHARING)
    site.open("resident-token", "nl")
    page = site.see("Jouw wijk deelt haar stroom achteraf")
    site.see("Je hebt geen vaste opdrachten.")
    for forms in ("Order plaatsen", "Mijn orders", "Mijn handel", "Verkoop mijn overschot", "Laatste prijs"):
        assert forms not in page
    site.press_words("Elke dag")
    site.see("car-1 vertrekt om 08:00")
    site.press_words("Beëindigen")
    site.see("Je hebt geen vaste opdrachten.")
    assert site.complaints() == []


@pytest.mark.parametrize(
    ("token", "name", "words"),
    [
        ("operator-token", "operator", "Over its limit"),
        ("grid-token", "grid", "Set a limit"),
        ("resident-token", "resident", "Charge now"),
    ],
)
def test_every_page_is_readable_on_a_phone_in_english(site: Site, token: str, name: str, words: str) -> None:
    """Nothing sticks out of a screen of 390 pixels."""
    site.open(token, "en", PHONE)
    site.see(words)
    assert site.overflow_px() <= 0
    assert site.browser.execute_script("return document.documentElement.lang") == "en"
    site.shot(f"{name}-en-phone")
    assert site.complaints() == []


def test_a_role_is_led_to_its_own_page_and_can_leave(site: Site) -> None:
    """A resident cannot open the operator's page; after signing out nothing is open."""
    site.open("resident-token", "nl")
    site.browser.get(f"{site.url}/operator")
    site.until(lambda: site.browser.current_url.endswith("/resident"))
    site.press_words("Afmelden")
    site.until(lambda: site.browser.current_url.endswith("/welcome"))
    site.browser.get(f"{site.url}/resident")
    site.until(lambda: site.browser.current_url.endswith("/welcome"))
    assert "Proefstraat" not in site.text()
