"""The web server lives on a thread of its own and says clearly when it cannot start."""

from __future__ import annotations

import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from starlette.applications import Starlette

from controller.api.app import create_app
from controller.api.server import WebServer
from controller.domain.errors import StartUpError
from tests.support.fake_door import FakeDoor


def _app() -> Starlette:
    return create_app(FakeDoor(), console=False, storage_secret="a secret of the tests")  # noqa: S106  # no secret


@pytest.mark.parametrize("factory", [False, True])
def test_it_answers_after_start_and_not_after_stop(*, factory: bool) -> None:
    """Given an application or a function that makes one; a free port is found and told."""
    server = WebServer(_app if factory else _app(), "127.0.0.1", 0)
    server.start()
    try:
        assert httpx.get(f"{server.url}/api/health").json() == {"status": "ok"}
        assert any(thread.name == "web" for thread in threading.enumerate())
    finally:
        server.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{server.url}/api/health")
    assert not any(thread.name == "web" for thread in threading.enumerate())


def test_a_taken_port_is_one_clear_line() -> None:
    """It names the port and the way out, and leaves no thread behind."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StartUpError, match=f"cannot listen on 127.0.0.1:{port}: .*--port") as caught:
            WebServer(_app(), "127.0.0.1", port).start()
    assert "\n" not in str(caught.value)


def test_an_unknown_host_is_one_clear_line() -> None:
    """The name that cannot be found is in it."""
    with pytest.raises(StartUpError, match=r"cannot listen on no-such-host\.invalid"):
        WebServer(_app(), "no-such-host.invalid", 0).start()


def test_an_application_that_does_not_start_is_told() -> None:
    """Both when it cannot be built and when its start fails."""

    @asynccontextmanager
    async def broken(_: Starlette) -> AsyncIterator[None]:
        raise RuntimeError("no database")
        yield

    def unbuildable() -> Starlette:
        raise ValueError("no secret")

    with pytest.raises(StartUpError, match="no secret"):
        WebServer(unbuildable, "127.0.0.1", 0).start()
    with pytest.raises(StartUpError, match="did not start"):
        WebServer(Starlette(lifespan=broken), "127.0.0.1", 0).start()
