"""What every request and answer passes first: bounds on a body, safe headers, the session's cookie.

A body is read whole before anybody knows who sent it, so it is bounded in bytes and in time: else one
stranger could fill the memory, or hold a connection for as long as they like. The cookie of a browser that
came over TLS is never sent without it (RFC 6265, section 4.1.2.5).
"""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from controller.api.problems import problem_response

BODY_BYTES_MAX = 8 << 20
"""The largest body that is read: what a supplier's imbalance cost in a year takes half of it."""
BODY_S = 30.0
"""How long a body may take to come [s, machine]."""
_SESSION_S = 12 * 3600
"""How long a browser stays signed in [s]."""
_SAFE_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # The ready link carries a token in its query: no other site may learn it.
    "referrer-policy": "no-referrer",
}


class SafeHeaders:
    """Adds the headers that keep a browser from guessing, framing and telling."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _SAFE_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)


class BoundedBodies:
    """Refuses a body that is too large, and one that does not come.

    Args:
        app: What is behind it.
        bytes_max: The largest body.
        within_s: How long it may take [s, machine].
    """

    def __init__(self, app: ASGIApp, *, bytes_max: int = BODY_BYTES_MAX, within_s: float = BODY_S) -> None:
        self._app = app
        self._bytes_max = bytes_max
        self._within_s = within_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, with its body counted while it is read."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdecimal() and int(announced[:20]) > self._bytes_max:
            answer = problem_response(Request(scope), 413, self._too_large(), headers={"Connection": "close"})
            await answer(scope, receive, send)
            return
        loop = asyncio.get_running_loop()
        read, complete, ends_at = 0, False, loop.time() + self._within_s

        async def bounded() -> Message:
            nonlocal read, complete
            if complete:
                # Nothing but the end of the connection can come now, and that may take hours.
                return await receive()
            try:
                async with asyncio.timeout_at(ends_at):
                    message = await receive()
            except TimeoutError:
                detail = f"the body did not come within {self._within_s:g} s"
                raise HTTPException(408, detail, {"Connection": "close"}) from None
            read += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if read > self._bytes_max:
                raise HTTPException(413, self._too_large(), {"Connection": "close"})
            return message

        await self._app(scope, bounded, send)

    def _too_large(self) -> str:
        return f"the body is larger than {self._bytes_max} bytes: send less at once"


class Sessions:
    """Sessions in a signed cookie, which over TLS is marked as one that goes over TLS only.

    Args:
        app: What is behind it.
        secret_key: Signs the cookie.
        public_url: Where the site is reached from outside: what is asked for under that name came over TLS if
            the address says so, also where the proxy before us does not tell.
    """

    def __init__(self, app: ASGIApp, *, secret_key: str, public_url: str = "") -> None:
        self._plain, self._secure = (
            SessionMiddleware(app, secret_key, max_age=_SESSION_S, same_site="lax", https_only=secure)
            for secure in (False, True)
        )
        public = urlsplit(public_url)
        self._tls_host = public.netloc.casefold() if public.scheme == "https" else ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on with its session."""
        secure = scope["type"] in {"http", "websocket"} and self._came_over_tls(scope)
        await (self._secure if secure else self._plain)(scope, receive, send)

    def _came_over_tls(self, scope: Scope) -> bool:
        if scope.get("scheme") in {"https", "wss"}:
            return True
        host = Headers(scope=scope).get("host", "").casefold()
        return bool(self._tls_host) and host == self._tls_host
