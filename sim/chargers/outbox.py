"""What a charger has to say: a queue with one open call at a time, and what of it outlives the link.

Messages of a transaction are kept while the link is away, in their order, and sent again until they are
answered; after five attempts one is given up. Anything else is told anew later, or not at all.
"""

from __future__ import annotations

import time
from array import array
from collections import deque
from collections.abc import Iterable

from drivers.ocpp import frames
from sim.chargers.dialect import Dialect, Message

_QUEUE_MAX = 4096
"""About six weeks of quarter-hours."""
_ATTEMPTS_MAX = 5
"""How often an unanswered transaction message is sent before it is given up (MessageAttempts)."""
_BOOT = "BootNotification"


class Outbox:
    """One charger's messages on their way."""

    def __init__(self, dialect: Dialect, *, twice: bool = False) -> None:
        """An empty box off line.

        Args:
            dialect: Addresses what leaves.
            twice: Whether each kept message leaves once more after its answer: a fault.
        """
        self.online = False
        self.accepted = False
        """Whether the CSMS took the boot; before that nothing else is said."""
        self.numbers: dict[str, int] = {}
        """1.6: the CSMS's number of each transaction, by the charger's own name."""
        self.waited_s = array("f")
        """How long each answer took, machine time [s]."""
        self._dialect = dialect
        self._twice = twice
        self._queue: deque[Message] = deque()
        self._open: tuple[str, Message] | None = None
        self._calls = 0
        self._sent_s = 0.0

    def say(self, messages: Iterable[Message]) -> None:
        """Queues messages; off line only those that are kept. A full queue drops its oldest."""
        for message in messages:
            if not self.online and not message.kept:
                continue
            if len(self._queue) >= _QUEUE_MAX:
                self._queue.popleft()
            self._queue.append(message)

    def say_first(self, message: Message) -> None:
        """Puts a message before all that wait."""
        self._queue.appendleft(message)

    def link_up(self) -> None:
        """The socket is open."""
        self.online, self._open = True, None

    def link_down(self) -> None:
        """The socket is gone: what was open waits again, what is not worth keeping is dropped."""
        self.online = False
        if self._open is not None:
            self._queue.appendleft(self._open[1])
            self._open = None
        self._queue = deque(message for message in self._queue if message.kept)

    def has_open_call(self) -> bool:
        """Whether an answer is awaited."""
        return self._open is not None

    def has_kept_messages(self) -> bool:
        """Whether messages of transactions wait to be sent or answered."""
        return self._open is not None or any(message.kept for message in self._queue)

    def wants_to_speak(self) -> bool:
        """Whether `next_frame` may have something."""
        return self.online and self._open is None and bool(self._queue)

    def next_frame(self) -> str | None:
        """The next call to send, which is open from now on; None while one is, or nothing waits."""
        if self._open is not None or not self._queue or not self.online:
            return None
        if not self.accepted and self._queue[0].action != _BOOT:
            return None
        message = self._queue.popleft()
        self._calls += 1
        message.attempts += 1
        message_id = f"c{self._calls}"
        self._open = (message_id, message)
        self._sent_s = time.perf_counter()
        payload = self._dialect.addressed(message, self.numbers)
        return frames.call_text(message_id, message.action, payload)

    def timed_out(self) -> None:
        """No answer came: a kept message goes back to the front, anything else is given up."""
        if self._open is None:
            return
        message = self._open[1]
        self._open = None
        if message.action == _BOOT or (message.kept and message.attempts < _ATTEMPTS_MAX):
            self._queue.appendleft(message)

    def answered(self, message_id: str) -> Message | None:
        """The message that this id's answer is for; None: it is for none that is open."""
        if self._open is None or self._open[0] != message_id:
            return None
        message = self._open[1]
        self._open = None
        self.waited_s.append(time.perf_counter() - self._sent_s)
        if self._twice and message.kept and not message.repeated:
            message.repeated, message.attempts = True, 0
            self._queue.appendleft(message)
        return message
