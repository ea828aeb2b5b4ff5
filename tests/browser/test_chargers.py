"""An operator works on chargers with a real browser: real sockets and simulated chargers behind the pages."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from controller.domain.ids import AssetId
from tests.support.browsing import PHONE, Browsing
from tests.support.charger_yard import COUNT, VERSIONS, Yard, charger_yard
from tests.support.web import open_browser

_SHOTS = Path(__file__).parent / "screenshots"


class Tools(Browsing):
    """The console over chargers that are really connected, and a browser in front of it."""

    def __init__(self, yard: Yard, browser: Chrome) -> None:
        super().__init__(yard.url, browser, _SHOTS)
        self.yard = yard

    def visit(self, page: str, language: str = "en") -> None:
        """Opens one of the operator's pages."""
        self.open(self.yard.token, language)
        self.browser.get(f"{self.url}{page}")


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tools]:
    """One yard and one browser for all."""
    with charger_yard(tmp_path_factory.mktemp("yard")) as yard:
        browser = open_browser(tmp_path_factory.mktemp("chromium"))
        try:
            yield Tools(yard, browser)
        finally:
            browser.quit()


def test_a_troubled_charger_is_found(tools: Tools) -> None:
    """Those in trouble come first; a search, a node and a state of health narrow the list down."""
    tools.visit("/operator/chargers", "nl")
    page = tools.see(f"Laadpunten: {COUNT} · bladzijde 1 van 2")
    assert page.index("cp-5 f1") < page.index("cp-29 f2")
    assert "cp-1 f1" not in page
    tools.see("nooit gehoord")
    tools.shot("chargers-nl-desk")
    tools.choose("Netpunt", "f2")
    tools.see("Laadpunten: 20 · bladzijde 1 van 1")
    tools.choose("Gezondheid", "gezond")
    tools.see("Geen laadpunt voldoet.")
    tools.choose("Netpunt", "alle netpunten")
    page = tools.see(f"Laadpunten: {len(VERSIONS)} · bladzijde 1 van 1")
    assert "OCPP 1.6" in page
    tools.find(".w-filter input").send_keys("cp-3")
    page = tools.see("Laadpunten: 1 · bladzijde 1 van 1")
    assert "1/1: bezet" in page
    tools.browser.find_element(By.LINK_TEXT, "cp-3").click()
    page = tools.see("Met dit laadpunt is niets mis.")
    assert "OCPP 2.0.1" in page
    assert "Uit zichzelf" in page
    assert tools.complaints() == []


def test_a_trigger_is_sent_and_its_answer_and_log_line_are_seen(tools: Tools) -> None:
    """By a button, in the words of each version; the status that it triggers comes in the log too."""
    for number in (1, 2):
        tools.visit(f"/operator/chargers/cp-{number}")
        tools.press_words("Ask for its status")
        tools.see("Answer to TriggerMessage")
        assert '"status": "Accepted"' in tools.find(".w-json pre").text
        tools.find('[aria-label="Contains"]').send_keys("TriggerMessage")
        tools.until(lambda: "answer to" not in tools.find('[aria-label="Message log"]').text)
        line = tools.find('[aria-label="Message log"] .w-frame summary')
        assert "TriggerMessage" in line.text
        line.click()
        assert "requestedMessage" in tools.find('[aria-label="Message log"] .w-frame[open] pre').text
    assert tools.complaints() == []


def test_a_request_is_written_with_its_template_and_mistakes_name_their_field(tools: Tools) -> None:
    """A template to begin with; a wrong value, a field that nobody knows, and what is no JSON at all."""
    tools.visit("/operator/chargers/cp-1")
    tools.choose("Request", "GetVariables")
    payload = tools.find('textarea[aria-label="Payload (JSON)"]')
    tools.until(lambda: "getVariableData" in (payload.get_attribute("value") or ""))
    for source, told in (
        (
            '{"getVariableData": [{"component": {"name": 1}}], "x": 2}',
            "payload.getVariableData[0].variable is missing",
        ),
        ("{", "is not valid JSON"),
    ):
        payload.send_keys(Keys.CONTROL, "a")
        payload.send_keys(source)
        tools.press_words("Send")
        page = tools.see(told)
    assert "The request was not sent." in page
    assert tools.complaints() == []


def test_a_dangerous_request_is_confirmed_first(tools: Tools) -> None:
    """Nothing leaves before the answer is yes; no is no."""
    tools.visit("/operator/chargers/cp-4")
    tools.press_words("Unlock the plug")
    tools.see("UnlockConnector does more than ask")
    tools.shot("charger-confirm-en-desk")
    tools.press_words("No")
    tools.until(lambda: "UnlockConnector does more than ask" not in tools.text())
    assert "UnlockConnector" not in tools.find('[aria-label="Message log"]').text
    tools.press_words("Unlock the plug")
    tools.press_words("Yes")
    tools.see("Answer to UnlockConnector")
    tools.until(lambda: "UnlockConnector" in tools.find('[aria-label="Message log"]').text)
    tools.shot("charger-en-desk")
    assert tools.complaints() == []


def test_a_charger_gets_a_new_password_after_a_question(tools: Tools) -> None:
    """It takes it by its own protocol, and nobody sees it: not in the log either."""
    tools.visit("/operator/chargers/cp-3")
    tools.see("Its security profile is 1.")
    tools.press_words("Give it a new password")
    tools.see("The old one counts until it has used the new one.")
    before = tools.yard.endpoint.gate.known(AssetId("cp-3")).coming_sha256
    tools.press_words("Yes")
    tools.see("It took the new password.")
    assert tools.yard.endpoint.gate.known(AssetId("cp-3")).coming_sha256 != before
    tools.find('[aria-label="Contains"]').send_keys("BasicAuthPassword")
    tools.until(lambda: "SetVariables" in tools.find('[aria-label="Message log"]').text)
    tools.find('[aria-label="Message log"] .w-frame summary').click()
    assert '"attributeValue": "***"' in tools.browser.page_source.replace("&quot;", '"')
    assert tools.complaints() == []


def test_a_transaction_is_told_from_its_start(tools: Tools) -> None:
    """The running one is chosen already; the timeline has its start."""
    tools.visit("/operator/chargers/cp-1")
    tools.see("Nothing is wrong with this charger.")
    tools.press_words("Show the timeline")
    tools.until(lambda: "eventType Started" in tools.find('[aria-label="Timeline of a transaction"]').text)
    assert tools.complaints() == []


def test_a_silent_charger_says_that_nothing_can_be_sent(tools: Tools) -> None:
    """With the way out, in place of a form; a name that nobody has is told as well."""
    tools.visit("/operator/chargers/cp-9", "nl")
    page = tools.see("Het is niet verbonden, dus er kan niets verstuurd worden.")
    assert "Status opvragen" not in page
    tools.visit("/operator/chargers/cp-99", "nl")
    tools.see("Er is geen laadpunt met de naam cp-99.")
    assert tools.complaints() == []


def test_a_stranger_is_let_in_and_another_is_refused(tools: Tools) -> None:
    """The password is shown once; who was refused knocks in vain until it may wait again."""
    for identity in ("SN-77", "SN-78", "SN-78"):
        tools.yard.run(tools.yard.knock(identity))
    tools.visit("/operator/waiting")
    page = tools.see("SN-77")
    assert page.index("SN-78") < page.index("SN-77")
    tools.shot("waiting-en-desk")
    tools.press('[data-act="refuse"][data-identity="SN-78"]')
    tools.see("It is refused, and stays off the list")
    tools.yard.run(tools.yard.knock("SN-78"))
    tools.press('[data-act="admit"][data-identity="SN-77"]')
    tools.see("Let SN-77 in")
    tools.press_words("Let it in")
    tools.see("Choose a charge point first.")
    tools.choose("As which charge point", "cp-5 ·")
    tools.press_words("Let it in")
    tools.see("SN-77 is let in as cp-5")
    password = tools.find(".w-secret code").text
    assert len(password) == 32
    tools.shot("waiting-password-en-desk")
    tools.press_words("I have written it down")
    tools.until(lambda: password not in tools.browser.page_source)
    tools.see("Nobody waits.")
    assert tools.yard.endpoint.gate.identity_of(AssetId("cp-5")) == "SN-77"
    tools.press('[data-act="forgive"]')
    tools.see("Nobody was refused.")
    tools.yard.run(tools.yard.knock("SN-78"))
    tools.until(lambda: "SN-78" in tools.find('[aria-label="Waiting chargers"]').text)
    assert tools.complaints() == []


_NAMELESS = """
return [...document.querySelectorAll('main :is(button, input, select, textarea, summary, a)')]
  .filter((e) => e.offsetParent !== null)
  .filter((e) => !(e.innerText.trim() || e.getAttribute('aria-label') || (e.labels && e.labels.length)))
  .map((e) => e.outerHTML.slice(0, 200))
"""
"""The controls that have no name."""
_LINE_PX = 12
"""Controls whose tops differ by less stand in one line."""
_FOCUS = """
const e = document.activeElement;
return e.closest('main') ? e.getBoundingClientRect().top + window.scrollY : null;
"""


@pytest.mark.parametrize(
    "page", ["/operator/chargers", "/operator/chargers/cp-1", "/operator/waiting", "/operator/tokens"]
)
def test_every_control_has_a_name_and_the_keyboard_reaches_it_in_reading_order(
    tools: Tools, page: str
) -> None:
    """On a phone, where all stands in one column: the focus only goes down the page."""
    tools.open(tools.yard.token, "en", PHONE)
    tools.browser.get(f"{tools.url}{page}")
    tools.find("main h1")
    tools.until(lambda: "test street" in tools.text())
    assert tools.browser.execute_script(_NAMELESS) == []
    body = tools.find("body")
    places: list[float] = []
    for _ in range(18):
        body.send_keys(Keys.TAB)
        body = tools.browser.switch_to.active_element
        if body.tag_name == "body":
            break
        place = tools.browser.execute_script(_FOCUS)
        places += [] if place is None else [float(place)]
    assert all(later > earlier - _LINE_PX for earlier, later in pairwise(places))
    assert page == "/operator/waiting" or len(places) > 8


def test_only_operators_open_these_pages(tools: Tools) -> None:
    """A resident is led to the own page."""
    tools.open(tools.yard.resident_token, "en")
    for page in ("/operator/chargers", "/operator/chargers/cp-1", "/operator/waiting"):
        tools.browser.get(f"{tools.url}{page}")
        tools.until(lambda: tools.browser.current_url.endswith("/resident"))
        assert "/operator" not in tools.browser.current_url


@pytest.mark.parametrize(
    ("page", "name", "words"),
    [
        ("/operator/chargers", "chargers", "Chargers: 40"),
        ("/operator/chargers/cp-1", "charger", "Ask for its status"),
        ("/operator/waiting", "waiting", "Waiting chargers"),
        ("/operator/tokens", "tokens", "Tokens that open something"),
    ],
)
def test_every_page_is_readable_on_a_phone(tools: Tools, page: str, name: str, words: str) -> None:
    """Nothing sticks out of a screen of 390 pixels."""
    tools.open(tools.yard.token, "en", PHONE)
    tools.browser.get(f"{tools.url}{page}")
    tools.see(words)
    assert tools.overflow_px() <= 0
    tools.shot(f"{name}-en-phone")
    assert tools.complaints() == []
