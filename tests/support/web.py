"""What the tests of the web share: a client inside the process, and a browser."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from fastapi import FastAPI

from controller.api.app import create_app
from tests.support.fake_door import FakeDoor

if TYPE_CHECKING:
    from selenium.webdriver import Chrome


def bearer(token: str, **headers: str) -> Mapping[str, str]:
    """The headers of a request with a token."""
    return {"Authorization": f"Bearer {token}", **headers}


@dataclass(frozen=True, kw_only=True)
class Api:
    """The API over a fake door, without a socket."""

    door: FakeDoor
    app: FastAPI
    client: httpx.AsyncClient

    async def call(
        self, method: str, path: str, token: str | None, body: object = None, language: str = "en"
    ) -> httpx.Response:
        """One request; `body` goes as JSON."""
        headers: dict[str, str] = {"Accept-Language": language}
        if token is not None:
            headers |= bearer(token)
        return await self.client.request(method, path, headers=headers, json=body)


def make_api(door: FakeDoor | None = None) -> Api:
    """A client of a fresh application."""
    kept = door or FakeDoor()
    app = create_app(kept, console=False, storage_secret="a secret of the tests")  # noqa: S106  # no secret
    return api_of(kept, app)


def api_of(door: FakeDoor, app: FastAPI) -> Api:
    """A client of an application."""
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    return Api(door=door, app=app, client=httpx.AsyncClient(transport=transport, base_url="http://test"))


def open_browser(profile: Path) -> Chrome:
    """Debian's Chromium without a screen.

    Args:
        profile: A folder that it may use.
    """
    # The drivers are imported here: the other tests of the web need no browser.
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    # Selenium must not look for a driver on the network: the one beside Chromium fits it.
    os.environ["SE_OFFLINE"] = "true"
    options = ChromeOptions()
    for flag in (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={profile}",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "SEVERE"})
    return Chrome(options=options, service=Service("/usr/bin/chromedriver"))


class StandingClock:
    """A machine clock that is moved by hand."""

    now_s = 0.0

    def monotonic_s(self) -> float:
        """What it was set to."""
        return self.now_s
