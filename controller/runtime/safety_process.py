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
import os
import pickle
import socket
import sys
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

import structlog

from controller.domain.setpoints import Setpoint
from controller.domain.time import DomainClock, utc_text
from controller.runtime import safety_child
from controller.runtime.core import Controller
from controller.runtime.safety_messages import (
    LENGTH,
    RECEIVE_BYTES,
    Begin,
    Decided,
    News,
    PeopleLog,
    packed,
)

START_S = 60.0
"""Longest that a child may take to import its libraries [s]."""
RETRY_S = 0.5
"""Rest after a child that could not be started [s]: the next one is tried."""
SILENT_S = 5.0
"""A child that has said nothing for so long [s, machine] hangs."""
TELL_MIN_S, TELL_MAX_S, TELL_PERIODS = 0.002, 0.05, 0.125
"""How often the child is told what has happened [s, machine]: an eighth of a period, within these."""

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
        self._memory = b""
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
                try:
                    self._child = await _Child.start()
                except (OSError, EOFError) as error:  # A timeout is an OSError.
                    _LOG.exception("the safety process does not start", error=type(error).__name__)
                    self._controller.counters.count_failure("safety", self._controller.clock.now())
                    await asyncio.sleep(RETRY_S)
                    continue
            why = await self._live(self._child, deliver)
            _LOG.error("the safety process is replaced", why=why)
            self._controller.counters.count_failure("safety", self._controller.clock.now())
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
            memory=self._memory,
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
            self._memory = self._memory if decided.memory is None else decided.memory
            counters.safety_cycles = cycles_before + decided.cycles
            counters.delay_ms_max = max(delay_ms_before, decided.delay_ms_max)
            for late in decided.late:
                counters.late_cycles += 1
                at, delay_ms = utc_text(late.at), late.delay_ms
                _LOG.warning("a safety cycle was late", what=late.what, at=at, delay_ms=delay_ms)
            if decided.cycle is None:
                _LOG.error("a safety cycle failed", error=decided.failure)
                counters.count_failure("safety", self._controller.clock.now())
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
                safety_child.__name__,
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
