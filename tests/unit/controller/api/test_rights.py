"""Every route of the API asks who is there, and lets in only whom it is for."""

from __future__ import annotations

import re

import pytest
from fastapi.routing import APIRoute

from controller.api.rate import FAILURES
from tests.support.web import StandingClock, make_api

_TOKENS = {
    "operator": "operator-token",
    "grid": "grid-token",
    "resident": "resident-token",
    "fleet": "fleet-token",
    "supplier": "supplier-token",
}
_OPEN = {"/api/health"}
_GUESTS = ("/api/guest/", "/guest/")
"""For who stands at a socket: there a secret link opens one session."""
_ENDLESS = {"/api/resident/stream"}
"""Routes whose answer never ends: whom they are for is tried elsewhere."""
_ANY_ROLE = {"/api/{path}", "/api/ledger/head", "/api/ledger/days"}


def _routes() -> list[tuple[str, str]]:
    """Every method and path of the application that is an API of ours."""
    return [
        (method, route.path_format)
        for route in make_api().app.routes
        if isinstance(route, APIRoute) and route.path not in _OPEN and not route.path.startswith(_GUESTS)
        for method in sorted(route.methods or ())
    ]


def _address(path: str) -> str:
    """A path with something in every place."""
    path = path.replace("{path}", "no/such/thing")
    return re.sub(r"\{\w+\}", "something", path)


def test_the_fixed_routes_are_there() -> None:
    """The routes that other programs rely on exist with these names."""
    routes = set(_routes())
    for method, path in (
        ("POST", "/api/resident/orders"),
        ("GET", "/api/resident/orders"),
        ("DELETE", "/api/resident/orders"),
        ("GET", "/api/resident/trades"),
        ("GET", "/api/resident/balance"),
        ("GET", "/api/resident/postings/{posting_id}/proof"),
        ("GET", "/api/operator/ledger/days/{day}"),
        ("PUT", "/api/resident/assets/{asset_id}/departure"),
        ("POST", "/api/grid/nodes/{node_id}/limits"),
        ("DELETE", "/api/grid/nodes/{node_id}/limits"),
        ("GET", "/api/grid/nodes/{node_id}/flexibility"),
        ("GET", "/api/operator/state"),
        ("GET", "/api/operator/ledger"),
        ("POST", "/api/fleet/bookings"),
        ("GET", "/metrics"),
    ):
        assert (method, path) in routes


@pytest.mark.parametrize(("method", "path"), _routes())
async def test_without_a_token_every_route_answers_401_with_a_challenge(method: str, path: str) -> None:
    """No route forgets to ask, and an unknown token is no token."""
    api = make_api()
    for token in (None, "made-up"):
        answer = await api.call(method, _address(path), token)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith('Bearer realm="wijkstroom"')
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(("method", "path"), [pair for pair in _routes() if pair[1] not in _ANY_ROLE])
async def test_other_roles_are_refused(method: str, path: str) -> None:
    """A route is for the role of its door; all others get 403, also with a body that does not fit."""
    api = make_api()
    own = "operator" if path == "/metrics" else path.split("/")[2]
    for role, token in _TOKENS.items():
        if role == own and path in _ENDLESS:
            continue
        answer = await api.call(method, _address(path), token)
        assert (answer.status_code == 403) == (role != own), (role, answer.text)


@pytest.mark.parametrize(
    ("method", "path"), [pair for pair in _routes() if pair[1].startswith("/api/resident/")]
)
async def test_every_route_of_residents_counts_what_they_ask(method: str, path: str) -> None:
    """What costs most, a statement or a proof, is not left out."""
    api = make_api()
    api.app.state.machine_clock = clock = StandingClock()
    while api.app.state.limiter.take("resident:home-7", clock.monotonic_s()) == 0:
        pass
    answer = await api.call(method, _address(path), "resident-token")
    assert (answer.status_code, answer.json()["type"]) == (429, "urn:wijkstroom:problem:too-many-requests")


async def test_who_tries_tokens_is_told_to_wait_and_who_has_one_is_not() -> None:
    """From one address; a token that has opened something goes on."""
    api = make_api()
    assert (await api.call("GET", "/api/resident/balance", "resident-token")).status_code == 200
    statuses = [
        (await api.call("GET", "/api/resident/balance", f"guess-{number}")).status_code
        for number in range(FAILURES + 5)
    ]
    assert statuses[:FAILURES] == [401] * FAILURES
    assert statuses[-1] == 429
    refused = await api.call("GET", "/metrics", "one more guess")
    assert refused.headers["content-type"] == "application/problem+json"
    assert int(refused.headers["retry-after"]) >= 1
    assert (await api.call("GET", "/api/resident/balance", "resident-token")).status_code == 200
    del api.door.tokens["resident-token"]
    assert (await api.call("GET", "/api/resident/balance", "resident-token")).status_code == 401
    assert (await api.call("GET", "/api/resident/balance", "resident-token")).status_code == 429


async def test_health_needs_no_token_and_tells_nothing() -> None:
    """A load balancer may ask."""
    answer = await make_api().call("GET", "/api/health", None)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_a_resident_sees_only_their_own() -> None:
    """Orders, trades, things and postings of home 7 stay hidden from home 8, who cannot touch them either."""
    api = make_api()
    for path in ("orders", "trades", "postings"):
        assert len((await api.call("GET", f"/api/resident/{path}", "resident-token")).json()) == 1
        assert (await api.call("GET", f"/api/resident/{path}", "neighbour-token")).json() == []
    assets = (await api.call("GET", "/api/resident/assets", "neighbour-token")).json()
    assert [asset["id"] for asset in assets] == ["home-8"]
    pressed = await api.call("PUT", "/api/resident/assets/car-1/mode", "neighbour-token", {"mode": "pause"})
    cancelled = await api.call("DELETE", "/api/resident/orders/evening-1", "neighbour-token")
    seen = await api.call("GET", "/api/resident/orders/evening-1", "neighbour-token")
    assert [pressed.status_code, cancelled.status_code, seen.status_code] == [404, 404, 404]


async def test_a_residents_token_for_nobody_is_refused() -> None:
    """A token without a member opens no one's data."""
    api = make_api()
    for path in ("assets", "reasons", "orders", "trades", "balance", "postings"):
        assert (await api.call("GET", f"/api/resident/{path}", "stray-token")).status_code == 403
