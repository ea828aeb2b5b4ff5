"""Where the API and the console listen, and whose word on callers is believed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from ipaddress import ip_network

from controller.domain.errors import Problem


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings:
    """Where the API and the console listen."""

    host: str = "127.0.0.1"
    port: int = 8080
    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks of reverse proxies: their word on who asks, and whether by TLS, is believed."""


def web_problems(web: WebSettings) -> Iterator[Problem]:
    """What is wrong in the settings of the web."""
    for i, proxy in enumerate(web.trusted_proxies):
        if not _is_network(proxy):
            rule = f"must be an address or a network like 127.0.0.1 or 10.0.0.0/24, is {proxy!r}"
            yield Problem(place=f"settings.web.trusted_proxies[{i}]", rule=rule)


def _is_network(text: str) -> bool:
    try:
        ip_network(text)
    except ValueError:
        return False
    return True
