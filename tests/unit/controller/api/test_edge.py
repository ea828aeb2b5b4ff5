"""What every request passes first: a body's bounds, and a cookie that keeps to TLS."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Iterable
from typing import cast

import httpx
import itsdangerous
import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Message, Receive, Scope, Send

from controller.api.app import create_app
from controller.api.edge import BODY_BYTES_MAX, BoundedBodies, Sessions
from controller.api.server import WebServer
from tests.support.fake_door import FakeDoor
from tests.support.web import Api, bearer, make_api

_ORDERS = "/api/resident/orders"
_SECRET = "a secret of the tests"  # noqa: S105  # no secret


async def _sent(api: Api, body: bytes | AsyncIterator[bytes], token: str) -> httpx.Response:
    headers = {**bearer(token), "Content-Type": "application/json", "Accept-Language": "nl"}
    return await api.client.post(_ORDERS, content=body, headers=headers)


async def _in_pieces(count: int) -> AsyncIterator[bytes]:
    """A body whose length is told nowhere."""
    for _ in range(count):
        yield b" " * 65536


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("token", ["resident-token", "nobody's"])
async def test_a_body_that_is_too_large_is_refused_whoever_sends_it(*, told: bool, token: str) -> None:
    """Before it is read where its length is told, else as soon as it is too much; the way out is said."""
    api = make_api()
    body = b" " * (BODY_BYTES_MAX + 1) if told else _in_pieces(BODY_BYTES_MAX // 65536 + 1)
    answer = await _sent(api, body, token)
    assert (answer.status_code, answer.headers["connection"]) == (413, "close")
    assert answer.json()["type"] == "urn:wijkstroom:problem:too-large"
    assert "stuur minder tegelijk" in answer.json()["detail"]
    assert api.door.calls == []


async def test_the_largest_body_is_read() -> None:
    """It is no order, and is told so."""
    answer = await _sent(make_api(), b" " * (BODY_BYTES_MAX - 2) + b"[]", "resident-token")
    assert answer.status_code == 422


async def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    """What comes in drops ends in time too; an answer that takes longer than its body may is not cut off."""
    seen: list[int] = []

    async def app(scope: Scope, receive: Receive, _send: Send) -> None:
        request = Request(scope, receive)
        seen.append(len(await request.body()))
        assert (await request.receive())["type"] == "http.disconnect"

    async def drops() -> Message:
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": b"x", "more_body": True}

    scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
    bounded = BoundedBodies(app, within_s=1.0)
    with pytest.raises(Exception, match="did not come within"):
        await bounded(scope, drops, _unsent)
    assert seen == []
    whole: list[Message] = [{"type": "http.request", "body": b"xy", "more_body": False}]

    async def late_end() -> Message:
        if whole:
            return whole.pop()
        await asyncio.sleep(1.2)
        return {"type": "http.disconnect"}

    await bounded(scope, late_end, _unsent)
    assert seen == [2]


async def _unsent(message: Message) -> None:
    raise AssertionError(f"nothing is answered: {message}")


def test_a_slow_body_is_refused_over_a_socket() -> None:
    """With a problem document; the program that sends it is let go."""
    app = create_app(FakeDoor(), console=False, storage_secret=_SECRET)
    for middleware in app.user_middleware:
        if cast("object", middleware.cls) is BoundedBodies:
            middleware.kwargs["within_s"] = 0.2
    server = WebServer(app, "127.0.0.1", 0)
    server.start()
    try:
        answer = httpx.post(
            f"{server.url}{_ORDERS}",
            headers=bearer("resident-token"),
            content=_slow(),
        )
        assert (answer.status_code, answer.json()["title"]) == (408, "Het verzoek kwam niet op tijd")
    finally:
        server.stop()


def _slow() -> Iterable[bytes]:
    """Half a body, and nothing more for a second."""
    yield b"{"
    time.sleep(1.0)
    yield b'"'


def _signing_in(public_url: str = "") -> FastAPI:
    """An application that puts something into the session."""
    app = FastAPI()
    app.add_middleware(Sessions, secret_key=_SECRET, public_url=public_url)

    @app.get("/")
    async def sign_in(request: Request) -> Response:
        request.session["token"] = "mine"  # noqa: S105  # no token
        return PlainTextResponse("in")

    return app


@pytest.mark.parametrize(
    ("asked", "public_url", "secure"),
    [
        ("http://127.0.0.1:8080/", "", False),
        ("https://wijk.example/", "", True),
        ("http://wijk.example/", "https://wijk.example", True),
        ("http://WIJK.example/", "https://wijk.example/", True),
        ("http://wijk.example/", "http://wijk.example", False),
        # On the local network, past the proxy: a cookie for TLS only would lock the operator out.
        ("http://192.0.2.7:8080/", "https://wijk.example", False),
    ],
)
async def test_the_cookie_goes_over_tls_only_where_it_came_so(
    asked: str, public_url: str, *, secure: bool
) -> None:
    """By the request's own scheme, or by the site's public address where that says https."""
    transport = httpx.ASGITransport(app=_signing_in(public_url))
    async with httpx.AsyncClient(transport=transport) as client:
        cookie = (await client.get(asked)).headers["set-cookie"]
    assert ("; secure" in cookie) == secure
    assert "httponly; samesite=lax" in cookie
    value = cookie.partition("=")[2].partition(";")[0]
    content = itsdangerous.TimestampSigner(_SECRET).unsign(value)
    assert json.loads(base64.b64decode(content)) == {"token": "mine"}


@pytest.mark.parametrize(
    ("trusted", "secure"), [((), False), (("127.0.0.1",), True), (("192.0.2.0/24",), False)]
)
def test_a_proxys_word_counts_only_where_the_site_trusts_it(
    trusted: tuple[str, ...], *, secure: bool
) -> None:
    """Anybody can send such headers."""
    server = WebServer(_signing_in(), "127.0.0.1", 0, trusted_proxies=trusted)
    server.start()
    try:
        answer = httpx.get(
            server.url, headers={"X-Forwarded-Proto": "https", "X-Forwarded-For": "198.51.100.7"}
        )
    finally:
        server.stop()
    assert ("; secure" in answer.headers["set-cookie"]) == secure
