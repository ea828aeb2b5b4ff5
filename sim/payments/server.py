"""The simulated payment provider's server: its API, and the page on which a payer agrees."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from html import escape

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from sim.payments.provider import Reply, SimulatedPayments, Status

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>Test bank</title>
<link rel="icon" href="data:,">
<style>body{{font:18px/1.5 system-ui,sans-serif;max-width:26rem;margin:2rem auto;padding:0 1rem}}
button{{font:inherit;padding:.7rem 1.2rem;margin:.5rem .5rem 0 0;min-height:44px}}</style>
<h1>Test bank</h1><p>{text}<br><b>up to &euro; {amount}</b></p><p>No money moves here.</p>
<form method="post"><button name="answer" value="agree">Agree</button>
<button name="answer" value="refuse">Refuse</button></form></html>"""
_NOTHING = "<!doctype html><title>Test bank</title><h1>Nothing to pay</h1>"


class PaymentService:
    """The provider's books behind HTTP."""

    def __init__(self, payments: SimulatedPayments, *, api_key: str) -> None:
        """Needs its books, and what the shop has to send."""
        self._payments, self._challenge = payments, f"Bearer {api_key}"

    def app(self) -> Starlette:
        """The application."""
        return Starlette(
            routes=[
                Route("/v1/payments", self._reserve, methods=["POST"]),
                Route("/v1/payments/{payment}", self._look_up),
                Route("/v1/payments/{payment}/capture", self._capture, methods=["POST"]),
                Route("/v1/payments/{payment}/release", self._release, methods=["POST"]),
                Route("/pay/{payment}", self._page),
                Route("/pay/{payment}", self._agree, methods=["POST"]),
            ]
        )

    async def _reserve(self, request: Request) -> Response:
        body = await request.json()
        return self._answer(request, lambda: self._payments.reserve(_key(request), body))

    async def _look_up(self, request: Request) -> Response:
        return self._answer(request, lambda: self._payments.look_up(_named(request)))

    async def _capture(self, request: Request) -> Response:
        body = await request.json()
        return self._answer(request, lambda: self._payments.capture(_named(request), _key(request), body))

    async def _release(self, request: Request) -> Response:
        return self._answer(request, lambda: self._payments.release(_named(request), _key(request)))

    def _answer(self, request: Request, call: Callable[[], Reply]) -> Response:
        if request.headers.get("authorization") != self._challenge:
            return JSONResponse({"why": "send your key"}, 401)
        reply = call()
        body = dict(reply.body)
        if (path := body.pop("checkout_path", None)) is not None:
            body["checkout_url"] = f"{str(request.base_url).rstrip('/')}{path}"
        return JSONResponse(body, reply.code)

    async def _page(self, request: Request) -> Response:
        found = self._payments.payments.get(_named(request))
        if found is None or found.status is not Status.CHECKOUT:
            return HTMLResponse(_NOTHING, 404)
        amount = f"{found.amount_cents / 100:.2f}"
        return HTMLResponse(_PAGE.format(text=escape(found.text), amount=amount))

    async def _agree(self, request: Request) -> Response:
        pressed = (await request.body()).decode()
        found = self._payments.agree(_named(request), agreed=pressed == "answer=agree")
        return (
            HTMLResponse(_NOTHING, 404) if found is None else RedirectResponse(found.return_url or "/", 303)
        )


def _key(request: Request) -> str:
    return request.headers.get("idempotency-key", "")


def _named(request: Request) -> str:
    return str(request.path_params["payment"])


class _QuietServer(uvicorn.Server):
    """A server that leaves signals to who runs it, and tells when it answers."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """None are."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts as uvicorn does, then says so."""
        await super().startup(sockets)
        self.ready.set()


@asynccontextmanager
async def serve_payments(
    payments: SimulatedPayments, *, api_key: str, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[str]:
    """Serves the provider while the block runs; gives its address. Port 0 takes a free one."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    app = PaymentService(payments, api_key=api_key).app()
    server = _QuietServer(
        uvicorn.Config(
            app, log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=1
        )
    )
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await server.ready.wait()
        yield f"http://{host}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        listener.close()
