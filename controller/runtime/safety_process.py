"""The safety loop's own process, so that nothing the controller is busy with can make a cycle late.

At a quarter-hour's end a hundred messages may wait in the event loop, a market is cleared and settled, a
plan's problem is built, a page is drawn. None of that may hold up the cycle that keeps the cables safe. So
a child runs it: it has a copy of the `Guard`, is told every reading, outcome, plan and button as they
come, decides at its own pace and answers with the setpoints, which the controller's event loop sends.

The child waits for nobody: it reads what there is, decides when a cycle is due, and what it has to say is
written when the other side takes it. It ends when the controller does. One that ends by itself, or that
has not decided anything for long, is replaced by one that begins with all that is known.
"""

from __future__ import annotations

import asyncio
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
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Self

import structlog

from controller.domain.setpoints import Setpoint
from controller.domain.time import DomainClock, utc_text
from controller.runtime.core import Controller
from controller.runtime.guard import Guard
from controller.runtime.pace import Pace
from controller.runtime.safety_messages import (
    LENGTH,
    Begin,
    Decided,
    News,
    PackedDecisions,
    PeopleLog,
    apply_news,
    packed,
)

START_S = 60.0
"""Longest that a child may take to import its libraries [s]."""
ALIVE_S = 1.0
"""A child that has decided nothing for so long [s, machine] says that it lives: time may stand still."""
SILENT_S = 5.0
"""A child that has said nothing for so long [s, machine] hangs."""
TELL_MIN_S, TELL_MAX_S, TELL_PERIODS = 0.002, 0.05, 0.125
"""How often the child is told what has happened [s, machine]: an eighth of a period, within these."""
REAL_TIME_PRIORITY = 10
"""Where the operating system lets us, the child runs whenever it has something to do."""
REAL_TIME_MAX_S = 5.0
"""A child that computes for so long without a pause has gone astray: the operating system ends it."""
PRIORITY_GAIN = -5
"""Where real time is not granted: how much nicer to itself the child is than the controller."""
GC_THRESHOLD = (2_000, 10, 10_000)
"""Collect the young often and in small lots, the old hardly ever."""
ALIVE = "alive"
RECEIVE_BYTES = 1 << 20
UNSENT_MAX_BYTES = 64 << 20
"""What a controller that does not listen leaves unread; beyond it the child's answers are dropped."""

_LOG = structlog.get_logger(__name__)


class SafetyProcess:
    """Owns the child: `async with` starts it, `run` lets it run the safety cycles of a controller."""

    def __init__(self, controller: Controller, *, clock: Callable[[], DomainClock] | None = None) -> None:
        """Describes it.

        Args:
            controller: Whose cycles.
            clock: Gives the clock in a form that can cross to another process; None: the controller's own.
        """
        self._controller = controller
        self._clock: Callable[[], DomainClock] = clock or (lambda: controller.clock)
        self._child: _Child | None = None
        self._last: Decided | None = None
        self.restarts = 0
        """How often a child had to be replaced."""

    async def __aenter__(self) -> Self:
        """Starts the child and waits until it has imported its libraries."""
        self._child = await _Child.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the child."""
        if self._child is not None:
            await self._child.stop()
            self._child = None

    async def run(self, deliver: Callable[[Sequence[Setpoint]], None]) -> None:
        """Keeps cycles running until cancelled; `deliver` takes the setpoints of each."""
        while True:
            if self._child is None:
                self._child = await _Child.start()
            why = await self._live(self._child, deliver)
            _LOG.error("the safety process is replaced", why=why)
            self._controller.counters.count_failure("safety")
            self.restarts += 1
            await self._child.stop()
            self._child = None

    async def _live(self, child: _Child, deliver: Callable[[Sequence[Setpoint]], None]) -> str:
        """Talks with a child until it must be replaced; gives why."""
        controller = self._controller
        controller.hear()
        people, clock = PeopleLog(controller.people), self._clock()
        begin = Begin(
            guard=controller.guard,
            clock=clock,
            period_s=controller.settings.safety.period_s,
            due=None if self._last is None else self._last.due,
        )
        child.send(begin)
        child.heard_s = time.monotonic()
        before = (controller.counters.safety_cycles, controller.counters.delay_ms_max)
        tasks = {
            asyncio.create_task(self._tell(child, people, clock)),
            asyncio.create_task(self._listen(child, deliver, *before)),
        }
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return next(iter(done)).result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _tell(self, child: _Child, people: PeopleLog, clock: DomainClock) -> str:
        """Tells the child what happens, until it hangs."""
        controller = self._controller
        period_s = controller.settings.safety.period_s
        steerable, guide = controller.guard.steerable, controller.guard.guide
        while True:
            readings, outcomes = controller.hear()
            guard, told = controller.guard, clock
            clock = self._clock()
            news = News(
                at=clock.now(),
                readings=readings,
                outcomes=outcomes,
                steerable=guard.steerable if guard.steerable != steerable else None,
                guide=guard.guide if guard.guide is not guide else None,
                people=people.change(),
                clock=clock if clock is not told else None,
            )
            steerable, guide = guard.steerable, guard.guide
            if not news.is_empty():
                child.send(news)
            period_machine_s = period_s / controller.speed
            if time.monotonic() - child.heard_s > SILENT_S:
                return f"it has said nothing for {SILENT_S:g} s"
            await asyncio.sleep(min(max(TELL_PERIODS * period_machine_s, TELL_MIN_S), TELL_MAX_S))

    async def _listen(
        self,
        child: _Child,
        deliver: Callable[[Sequence[Setpoint]], None],
        cycles_before: int,
        delay_ms_before: float,
    ) -> str:
        """Takes what the child decides, until it ends."""
        counters = self._controller.counters
        while True:
            try:
                decided = await child.receive()
            except (OSError, EOFError, pickle.UnpicklingError, ValueError) as error:
                return f"it ended ({type(error).__name__})"
            if not isinstance(decided, Decided):
                continue
            self._last = decided
            counters.safety_cycles = cycles_before + decided.cycles
            counters.delay_ms_max = max(delay_ms_before, decided.delay_ms_max)
            for late in decided.late:
                counters.late_cycles += 1
                at, delay_ms = utc_text(late.at), late.delay_ms
                _LOG.warning("a safety cycle was late", what=late.what, at=at, delay_ms=delay_ms)
            if decided.cycle is None:
                _LOG.error("a safety cycle failed", error=decided.failure)
                counters.count_failure("safety")
                continue
            self._controller.take_cycle(decided.cycle)
            if decided.cycle.setpoints:
                deliver(decided.cycle.setpoints)


class _Child:
    """One child and the socket to it, as the controller sees them."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self.heard_s = time.monotonic()
        """When it last said something [s, machine clock]."""

    @classmethod
    async def start(cls) -> _Child:
        """Starts one and waits until it has imported its libraries.

        Raises:
            TimeoutError: If that takes longer than `START_S`.
            OSError: If it cannot be started.
        """
        ours, theirs = socket.socketpair()
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                __name__,
                str(theirs.fileno()),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
                    "OPENBLAS_NUM_THREADS": "1",
                },
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        reader, writer = await asyncio.open_connection(sock=ours, limit=RECEIVE_BYTES)
        child = cls(process, reader, writer)
        try:
            async with asyncio.timeout(START_S):
                await child.receive()
        except BaseException:
            await child.stop()
            raise
        return child

    def send(self, message: object) -> None:
        """Sends something; never waits. What a child that hangs leaves unread ends with it."""
        self._writer.write(packed(message))

    async def receive(self) -> object:
        """The child's next message.

        Raises:
            EOFError: If it ended.
        """
        (size,) = LENGTH.unpack(await self._reader.readexactly(LENGTH.size))
        body = await self._reader.readexactly(size)
        self.heard_s = time.monotonic()
        return pickle.loads(body)  # noqa: S301  # our own child's words

    async def stop(self) -> None:
        """Ends it."""
        self._writer.close()
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()


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
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLD)
    pace = Pace(begin.clock, begin.period_s, begin.due)
    while not wire.ended:
        for message in rest:
            _take(guard, pace, message)
        if pace.left_s() <= 0.0:
            wire.put(_cycle(guard, pace))
        elif time.monotonic() - wire.said_s > ALIVE_S:
            wire.put(ALIVE)
        rest = wire.exchange(min(max(pace.left_s(), 0.0), ALIVE_S))


def _take(guard: Guard, pace: Pace, message: object) -> None:
    if isinstance(message, News):
        if message.clock is not None:
            pace.clock = message.clock
        apply_news(guard, message)


def _cycle(guard: Guard, pace: Pace) -> Decided:
    """One cycle. One that fails sends nothing: what was sent before runs out."""
    pace.begin()
    cycle, failure = None, ""
    try:
        cycle = guard.cycle(pace.clock.now())
        cycle = replace(cycle, decisions=PackedDecisions(cycle.decisions))
    except Exception:  # noqa: BLE001  # a bug must not end the loop that keeps the cables safe
        failure = traceback.format_exc()
    pace.end()
    return Decided(
        cycle=cycle,
        failure=failure,
        cycles=pace.cycles,
        due=pace.due,
        late=pace.take_late(),
        delay_ms_max=pace.delay_ms_max,
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
    with socket.socket(fileno=descriptor) as sock:
        serve(sock)


if __name__ == "__main__":
    _main(int(sys.argv[1]))
