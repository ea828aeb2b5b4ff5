"""The web server: uvicorn on a thread and an event loop of its own.

The controller's loops must never wait for a page, so nothing of a request runs on their thread. The
port is bound before the thread starts: where it is taken, the caller learns it at once and in one line.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Sequence

import uvicorn
from starlette.applications import Starlette

from controller.domain.errors import StartUpError

_START_TIMEOUT_S = 60.0
"""Building the console imports its library, which takes seconds on a busy machine."""
_STOP_TIMEOUT_S = 5.0
_BACKLOG = 512


class WebServer:
    """Serves one ASGI application from a thread.

    Args:
        app: The application, or a function that builds it: then also its imports happen on the thread.
        host: Address to listen on.
        port: Port to listen on; 0 takes any free one.
        trusted_proxies: Addresses and networks of reverse proxies, whose word on who asks and whether by TLS
            is believed. Anybody can send such headers: from elsewhere they count for nothing.
    """

    def __init__(
        self,
        app: Starlette | Callable[[], Starlette],
        host: str,
        port: int,
        *,
        trusted_proxies: Sequence[str] = (),
    ) -> None:
        self._app = app
        self._host = host
        self._port = port
        self._trusted_proxies = list(trusted_proxies)
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._port

    @property
    def url(self) -> str:
        """The address for a browser on this machine."""
        host = "127.0.0.1" if self._host in {"", "0.0.0.0", "::"} else self._host  # noqa: S104  # shown only
        return f"http://{host}:{self._port}"

    def start(self) -> None:
        """Listens; returns once requests are answered.

        Raises:
            StartUpError: If the port is taken or not ours to take, or the application does not start.
        """
        listener = self._listen()
        self._thread = threading.Thread(target=self._run, args=(listener,), name="web", daemon=True)
        self._thread.start()
        if not self._ready.wait(_START_TIMEOUT_S):
            raise StartUpError(f"the web server was not up after {_START_TIMEOUT_S:g} s")
        if self._failure is not None:
            raise StartUpError(f"the web server did not start: {self._failure}") from self._failure

    def stop(self) -> None:
        """Stops and waits for the thread; open connections get a moment, then they are cut."""
        if self._server is None or self._thread is None:
            return
        self._server.should_exit = True
        self._thread.join(_STOP_TIMEOUT_S)
        if self._thread.is_alive():
            self._server.force_exit = True
            self._thread.join(_STOP_TIMEOUT_S)

    def _listen(self) -> socket.socket:
        try:
            family = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)[0][0]
            listener = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:
            raise StartUpError(f"cannot listen on {self._host}: {error.strerror or error}") from error
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self._host, self._port))
            listener.listen(_BACKLOG)
        except OSError as error:
            listener.close()
            raise StartUpError(
                f"cannot listen on {self._host}:{self._port}: {error.strerror or error}; "
                "stop what uses the port or choose another with --port"
            ) from error
        self._port = listener.getsockname()[1]
        return listener

    def _run(self, listener: socket.socket) -> None:
        try:
            asyncio.run(self._serve_and_tell(listener))
        finally:
            listener.close()
            self._ready.set()

    async def _serve_and_tell(self, listener: socket.socket) -> None:
        """Serves; what goes wrong is handed to who waits in `start`."""
        (outcome,) = await asyncio.gather(self._serve(listener), return_exceptions=True)
        self._failure = outcome

    async def _serve(self, listener: socket.socket) -> None:
        app = self._app if isinstance(self._app, Starlette) else self._app()
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            lifespan="on",
            timeout_graceful_shutdown=2,
            proxy_headers=bool(self._trusted_proxies),
            forwarded_allow_ips=self._trusted_proxies,
        )
        self._server = _ReadyServer(config, self._ready)
        await self._server.serve(sockets=[listener])


class _ReadyServer(uvicorn.Server):
    """A server that tells when it answers."""

    def __init__(self, config: uvicorn.Config, ready: threading.Event) -> None:
        super().__init__(config)
        self._ready_event = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts as uvicorn does, then says so.

        Raises:
            StartUpError: If the application's own start fails, for which uvicorn would leave the program.
        """
        try:
            await super().startup(sockets)
        except SystemExit as leave:
            raise StartUpError("the application did not start; its log says why") from leave
        if self.started:
            self._ready_event.set()
