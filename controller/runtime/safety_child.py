"""The child that runs the safety cycles: see `safety_process`, which starts it and talks with it.

It waits for nobody: it reads what there is, decides when a cycle is due, and what it has to say is written
when the other side takes it. It imports no more than a cycle needs.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import resource
import select
import signal
import socket
import sys
import time
import traceback
from dataclasses import replace

from controller.runtime.guard import Guard
from controller.runtime.pace import Pace
from controller.runtime.safety_messages import (
    ALIVE,
    LENGTH,
    RECEIVE_BYTES,
    Begin,
    Decided,
    News,
    PackedDecisions,
    apply_news,
    packed,
)
from controller.runtime.steering import Cycle

ALIVE_S = 1.0
"""A child that has decided nothing for so long [s, machine] says that it lives: time may stand still."""
MEMORY_S = 0.25
"""How often at most what cycles leave behind is told [s, machine]: it takes some milliseconds."""
REAL_TIME_PRIORITY = 10
"""Where the operating system lets us, the child runs whenever it has something to do."""
REAL_TIME_MAX_S = 5.0
"""A child that computes for so long without a pause has gone astray: the operating system ends it."""
PRIORITY_GAIN = -5
"""Where real time is not granted: how much nicer to itself the child is than the controller."""
GC_THRESHOLD = (2_000, 10, 10_000)
"""Collect the young often and in small lots, the old hardly ever."""
UNSENT_MAX_BYTES = 64 << 20
"""What a controller that does not listen leaves unread; beyond it the child's answers are dropped."""


class _Wire:
    """The child's side of the socket: it never waits longer than it is told to."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._in = bytearray()
        self._out = bytearray()
        self.ended = False
        self.said_s = time.monotonic()
        """When something was put last [s, machine clock]."""

    def put(self, message: object) -> None:
        """Says something, now or as soon as the other side takes it."""
        self.said_s = time.monotonic()
        if len(self._out) < UNSENT_MAX_BYTES:
            self._out += packed(message)
            self._write()

    def exchange(self, wait_s: float) -> list[object]:
        """Reads what has come, for at most `wait_s` [s] if nothing has; sets `ended` at the end."""
        readable, writable, _ = select.select([self._sock], [self._sock] if self._out else [], [], wait_s)
        if writable:
            self._write()
        if not readable:
            return []
        with contextlib.suppress(BlockingIOError):
            received = self._sock.recv(RECEIVE_BYTES)
            self.ended = not received
            self._in += received
        return list(self._messages())

    def _messages(self) -> list[object]:
        found, at = [], 0
        while len(self._in) - at >= LENGTH.size:
            (size,) = LENGTH.unpack_from(self._in, at)
            end = at + LENGTH.size + size
            if len(self._in) < end:
                break
            found.append(pickle.loads(self._in[at + LENGTH.size : end]))  # noqa: S301  # our own parent's words
            at = end
        del self._in[:at]
        return found

    def _write(self) -> None:
        try:
            sent = self._sock.send(self._out)
        except BlockingIOError:
            return
        except OSError:
            self.ended = True
            return
        del self._out[:sent]


def serve(sock: socket.socket) -> None:
    """The child's life: begins with the first message and runs cycles until the other side closes."""
    wire = _Wire(sock)
    wire.put(ALIVE)
    messages: list[object] = []
    while not messages:
        messages = wire.exchange(1.0)
        if wire.ended:
            return
    begin, *rest = messages
    if not isinstance(begin, Begin):
        raise TypeError(f"the first message is a {type(begin).__name__}, not a Begin")
    guard = begin.guard
    if begin.memory:
        guard.steering.memory = pickle.loads(begin.memory)  # noqa: S301  # the words of the child before us
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLD)
    pace = Pace(begin.clock, begin.period_s, begin.due)
    memory = _Memory(guard)
    while not wire.ended:
        urgent = False
        for message in rest:
            urgent = _take(guard, pace, message) or urgent
        if pace.left_s() <= 0.0:
            pace.begin()
            decided = _decide(guard, pace)
            pace.end()
            wire.put(_told(pace, memory, *decided))
        elif urgent:
            # Between two that are due, and none of them: it makes no other one early or late.
            wire.put(_told(pace, memory, *_decide(guard, pace)))
        elif time.monotonic() - wire.said_s > ALIVE_S:
            wire.put(ALIVE)
        rest = wire.exchange(min(max(pace.left_s(), 0.0), ALIVE_S))


def _take(guard: Guard, pace: Pace, message: object) -> bool:
    """Takes a message in; whether it does not bear waiting for the next cycle."""
    if not isinstance(message, News):
        return False
    if message.clock is not None:
        pace.clock = message.clock
    urgent = message.people is not None and message.people.is_urgent(guard.people)
    apply_news(guard, message)
    return urgent


def _decide(guard: Guard, pace: Pace) -> tuple[Cycle | None, str]:
    """One cycle, or why it failed. One that fails sends nothing: what was sent before runs out."""
    try:
        cycle = guard.cycle(pace.clock.now())
        return replace(cycle, decisions=PackedDecisions(cycle.decisions)), ""
    except Exception:  # noqa: BLE001  # a bug must not end the loop that keeps the cables safe
        return None, traceback.format_exc()


class _Memory:
    """Packs what the cycles leave behind, now and then."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._packed_s = -MEMORY_S

    def packed(self) -> bytes | None:
        """None where it was packed a moment ago."""
        if time.monotonic() - self._packed_s < MEMORY_S:
            return None
        self._packed_s = time.monotonic()
        return pickle.dumps(self._guard.steering.memory, protocol=pickle.HIGHEST_PROTOCOL)


def _told(pace: Pace, memory: _Memory, cycle: Cycle | None, failure: str) -> Decided:
    return Decided(
        cycle=cycle,
        failure=failure,
        cycles=pace.cycles,
        due=pace.due,
        late=pace.take_late(),
        delay_ms_max=pace.delay_ms_max,
        memory=memory.packed(),
    )


def _go_first() -> None:
    """Asks the operating system to run this process before others, as far as it grants that."""
    try:
        limit_us = int(REAL_TIME_MAX_S * 1e6)
        resource.setrlimit(resource.RLIMIT_RTTIME, (limit_us, limit_us))
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(REAL_TIME_PRIORITY))
    except (AttributeError, OSError, ValueError):
        with contextlib.suppress(OSError):
            os.nice(PRIORITY_GAIN)


def _main(descriptor: int) -> None:
    # Whoever stops the controller with Ctrl-C stops this one through it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _go_first()
    # `select` takes descriptors below 1024 only, and a controller that replaces its child has a thousand
    # chargers connected already: the lowest number that is free here.
    low = os.dup(descriptor)
    os.close(descriptor)
    with socket.socket(fileno=low) as sock:
        serve(sock)


if __name__ == "__main__":
    _main(int(sys.argv[1]))
