"""What the browser tests share: opening a page as somebody, finding and pressing, pictures, complaints."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

PHONE = (390, 844)
DESK = (1440, 1000)
_WAIT_S = 15.0


class Browsing:
    """A browser in front of a console.

    Args:
        url: The console's address.
        browser: The browser.
        shots: Where pictures go.
    """

    def __init__(self, url: str, browser: Chrome, shots: Path) -> None:
        self.url = url
        self.browser = browser
        self._shots = shots

    def open(self, token: str, language: str, size: tuple[int, int] = DESK) -> None:
        """Follows a role's ready link in a language on a screen of a size."""
        width, height = size
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == PHONE}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        self.browser.get(f"{self.url}/?token={token}&lang={language}")

    def see(self, words: str) -> str:
        """Waits until the page shows some words; gives the page's text."""
        self.until(lambda: words in self.text())
        return self.text()

    def text(self) -> str:
        """What the page shows."""
        return self.browser.find_element(By.TAG_NAME, "body").text

    def until(self, condition: Callable[[], object]) -> None:
        """Waits for something."""
        WebDriverWait(self.browser, _WAIT_S, poll_frequency=0.1).until(lambda _: condition())

    def find(self, css: str) -> WebElement:
        """Waits for an element that is there."""
        self.until(lambda: self.browser.find_elements(By.CSS_SELECTOR, css))
        return self.browser.find_element(By.CSS_SELECTOR, css)

    def press(self, css: str) -> None:
        """Presses an element, by script: a sticky bar may lie over it."""
        self.browser.execute_script("arguments[0].click()", self.find(css))

    def press_words(self, words: str) -> None:
        """Presses the button with these words."""
        path = f"//button[contains(normalize-space(.), '{words}')]"
        self.until(lambda: self.browser.find_elements(By.XPATH, path))
        self.browser.execute_script("arguments[0].click()", self.browser.find_element(By.XPATH, path))

    def choose(self, label: str, option: str) -> None:
        """Picks an option of a list by keyboard and mouse, as a person does."""
        field = self.find(f'[aria-label="{label}"]')
        self.browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", field)
        field.click()
        item = f"div[contains(@class,'q-item')][starts-with(normalize-space(.), '{option}')]"
        path = f"//div[contains(@class,'q-menu')]//{item}"
        self.until(lambda: self.browser.find_elements(By.XPATH, path))
        self.browser.find_element(By.XPATH, path).click()

    def shot(self, name: str) -> None:
        """Keeps a picture of the whole page."""
        self._shots.mkdir(exist_ok=True)
        size = self.browser.execute_script(
            "return [document.documentElement.clientWidth, document.documentElement.scrollHeight]"
        )
        screen = {"width": size[0], "height": min(size[1], 3000), "deviceScaleFactor": 1, "mobile": False}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        self.until(lambda: self.browser.execute_script("return document.readyState === 'complete'"))
        assert self.browser.save_screenshot(str(self._shots / f"{name}.png"))

    def complaints(self) -> list[str]:
        """What the browser's console complained of since the last look."""
        return [entry["message"] for entry in self.browser.get_log("browser")]  # type: ignore[no-untyped-call]  # selenium types it not

    def overflow_px(self) -> int:
        """By how much the page is wider than the screen [px]."""
        script = "const e = document.documentElement; return e.scrollWidth - e.clientWidth"
        return int(self.browser.execute_script(script))
