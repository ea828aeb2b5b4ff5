"""One charger's connection: at most one request of ours open at a time, a short queue behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from websockets.asyncio.server import ServerConnection, broadcast
from websockets.exceptions import ConnectionClosed

from controller.domain.errors import WijkstroomError
from drivers.ocpp.codec import Answer, Request, Session

_WAITING_MAX = 8
"""More requests than this waiting for one charger means that it does not keep up."""


_ERRANDS_MAX = 4
"""A charger that boots faster than it takes its floor gets it that often."""


class NotSentError(WijkstroomError):
    """The request never left, so nothing has changed in the charger."""


class LinkLostError(WijkstroomError):
    """The connection went between a request and its answer: the charger may or may not have taken it."""


class Link:
    """A connection with its session, as long as it lives."""

    def __init__(
        self,
        connection: ServerConnection,
        session: Session,
        *,
        call_timeout_s: float,
        sent: Callable[[str], None],
    ) -> None:
        self.connection = connection
        self.session = session
        self.spoke = asyncio.Event()
        """Set by the charger's first message that is by the book."""
        self.certified = asyncio.Event()
        """Set when the charger has taken a certificate that we signed."""
        self.booted = False
        """Whether the charger booted on this connection."""
        self._errands: asyncio.Queue[Iterable[Request]] = asyncio.Queue(_ERRANDS_MAX)
        self.ended = False
        self._call_timeout_s = call_timeout_s
        self._sent = sent
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._answer: asyncio.Future[Answer] | None = None

    def add_errand(self, requests: Iterable[Request]) -> None:
        """Puts requests in line for who runs this connection's errands; dropped where too many wait."""
        if not self._errands.full():
            self._errands.put_nowait(requests)

    async def next_errand(self) -> Iterable[Request]:
        """Waits for the next requests that nobody else asks."""
        return await self._errands.get()

    async def ask(self, request: Request) -> Answer:
        """Waits for the turn, sends, and waits for the answer; each wait has the call's timeout.

        Raises:
            NotSentError: If the queue is full, the turn did not come, or the connection had ended.
            PayloadError: If the request breaks its schema.
            TimeoutError: If it was sent and not answered in time.
            LinkLostError: If the connection went meanwhile.
        """
        if self._waiting >= _WAITING_MAX:
            raise NotSentError(f"{self._waiting} requests wait for the charger already")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._call_timeout_s):
                await self._turn.acquire()
        except TimeoutError as error:
            raise NotSentError("the charger still owes an answer to an earlier request") from error
        finally:
            self._waiting -= 1
        try:
            return await self._exchange(request)
        finally:
            self._turn.release()

    async def _exchange(self, request: Request) -> Answer:
        if self.ended:
            raise NotSentError("the connection has ended")
        text = self.session.call(request)
        self._answer = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self._call_timeout_s):
                await self.connection.send(text)
                self._sent(text)
                return await self._answer
        except ConnectionClosed as error:
            raise LinkLostError("the connection went before the answer came") from error
        finally:
            # The session may serve a newer connection by now, whose request is not ours to give up.
            if not self.ended:
                self.session.abandon()
            self._answer = None

    async def reply(self, text: str) -> None:
        """Answers the charger; one that does not read what it is sent is waited for.

        A reply that fits goes out at once, without the machinery of a send that may have to wait: that is a
        tenth of what a message costs. On a connection that has just gone it goes nowhere, as with any send.

        Raises:
            ConnectionClosed: If it went while it was waited for.
        """
        if self.connection.transport.get_write_buffer_size() == 0:
            broadcast((self.connection,), text)
        else:
            await self.connection.send(text)

    def answered(self, answer: Answer) -> None:
        """Takes the answer to the open request."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(answer)

    def end(self) -> None:
        """The connection has ended: whoever waits hears it."""
        self.ended = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(LinkLostError("the connection went before the answer came"))
