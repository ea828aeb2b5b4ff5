"""The solver's own process: it may hang, crash or hand over rubbish, and the neighbourhood runs on.

The child gets the site and then problem after problem, pickled, on its standard input, and answers with
pickled plans on a pipe of its own, so that nothing a library prints can get in between. What its planner
remembers (the last plan, what the network bears) lives there and dies with it. The parent waits until the
deadline and not longer: then it kills the child, starts another and answers with the last plan clipped to
what holds now, or one by rules (`dispatch.carry`). Every plan is checked against the hard constraints before
it is handed on, whatever its status says. With each answer comes the processor time that the child has
used, which `core_fraction` sums up.

The event loop never waits for any of it: packing, unpacking, checking and the rules run in a thread.
cvxpy and the power flow are imported in the child only, which runs at a lower priority than the safety loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import pickle
import struct
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, BinaryIO, Self

import structlog

from controller.dispatch.carry import second_best
from controller.dispatch.check import check
from controller.dispatch.inputs import DispatchInputs
from controller.dispatch.result import DispatchResult
from controller.dispatch.warm import WarmStart
from controller.domain.site import Site

DEFAULT_PLANNER = "controller.powerflow.solve:live_planner"
"""What makes the child's planner from a site, as module:name; tests name troublesome ones."""
NICENESS = 19
"""The planner yields to the loops that keep limits."""
START_S = 120.0
"""Longest that a child may take to import its libraries and, once in an installation, to compile its loops
[s]; a cold disk and a busy core need most of it."""
ENTER_S = 30.0
"""Longest that the controller's start waits for it [s]; until it is there, rules make the plans."""
CHILD_SHARE = 0.85
"""Of the wait, what the child is told: the rest is for the ways there and back."""
ORPHAN_CHECK_S = 1.0
"""How often a child looks whether its parent still lives [s]."""
_LENGTH = struct.Struct("!Q")
_MOST_BYTES = 1 << 30
"""No plan is as large as this; a length above it is rubbish."""

log = structlog.get_logger(__name__)


class _ChildTroubleError(Exception):
    """The child did not give a plan; the text says why."""


class _StillStartingError(Exception):
    """The child has not imported its libraries yet; it is left to."""


class SolverProcess:
    """Owns the child; `async with` starts and ends it. One solve at a time, others queue."""

    def __init__(self, *, planner: str = DEFAULT_PLANNER, site: Site | None = None) -> None:
        """Starts nothing yet.

        Args:
            planner: What makes the child's planner.
            site: The site on whose network plans are checked; None: they are not.
        """
        self._planner_path = planner
        self._site = _packed(site)
        self._last: WarmStart | None = None
        self._child: asyncio.subprocess.Process | None = None
        self._answers: asyncio.StreamReader | None = None
        self._answers_transport: asyncio.ReadTransport | None = None
        self._one_at_a_time = asyncio.Lock()
        self._restarting: asyncio.Task[None] | None = None
        self._ready = False
        self._started_s = 0.0
        self.restarts = 0
        """How often a child had to be replaced."""
        self._born_s = time.monotonic()
        self._cpu_s = 0.0

    def core_fraction(self) -> float:
        """Processor time of planning over the machine time since this was made: its share of one core.

        What the solver's processes measured themselves: starting, reading, solving and answering. One
        that never answered counts as busy for as long as it was waited for. The work in this process
        (horizon, check, rules) is not in it.
        """
        return self._cpu_s / max(time.monotonic() - self._born_s, 1e-9)

    async def __aenter__(self) -> Self:
        """Starts the child and waits until it has imported its libraries.

        One that takes too long is no reason not to run: plans are made by rules until it is there.
        """
        await self._start()
        with contextlib.suppress(TimeoutError, OSError, EOFError, ValueError):
            async with asyncio.timeout(ENTER_S):
                await self._wait_until_ready()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the child."""
        await self._restarted()
        await self._stop()

    async def solve(self, inputs: DispatchInputs, deadline_s: float | None) -> DispatchResult:
        """A checked plan, by the solver or by rules.

        Args:
            inputs: A problem without `inputs.problems`.
            deadline_s: When there is a plan at the latest [s, machine clock], from when this one's turn came;
                None for as long as it takes (a child that ends is noticed all the same).

        Returns:
            The solver's plan, or another (`second_best`) and the reason.
        """
        async with self._one_at_a_time:
            await self._restarted()
            wait_s = None if deadline_s is None else max(0.0, deadline_s - _reserve_s(inputs, deadline_s))
            asked_s, answered_cpu_s = time.monotonic(), self._cpu_s
            try:
                result = await self._asked(inputs, wait_s)
                reason = await asyncio.to_thread(_fault, inputs, result)
            except _StillStartingError:
                reason = "the solver's process is still starting"
            except _ChildTroubleError as trouble:
                reason = str(trouble)
                if self._cpu_s == answered_cpu_s:
                    self._cpu_s += time.monotonic() - asked_s
                await self._restart()
            except asyncio.CancelledError:
                # An answer that nobody waits for would be taken for the next one's.
                await self._restart()
                raise
            if reason:
                log.warning("no_new_plan", reason=reason)
                return await asyncio.to_thread(second_best, inputs, self._last, reason)
            if not result.reason:
                self._last = WarmStart(inputs=inputs, result=result)
            return result

    async def _restarted(self) -> None:
        """Waits until a child that is being replaced has been."""
        if self._restarting is not None:
            # One that cannot be started leaves no child: the next solve finds that, and plans by rules.
            with contextlib.suppress(OSError):
                await self._restarting
            self._restarting = None

    async def _asked(self, inputs: DispatchInputs, wait_s: float | None) -> DispatchResult:
        """Sends the problem and waits for the answer."""
        child_s = None if wait_s is None else wait_s * CHILD_SHARE
        try:
            async with asyncio.timeout(wait_s):
                packed = await asyncio.to_thread(_packed, (inputs, child_s))
                await self._wait_until_ready()
                await self._send(packed)
                answer = await self._message()
                kind, value, cpu_s = await asyncio.to_thread(pickle.loads, answer)  # our own child's words
        except TimeoutError as error:
            if not self._ready and time.monotonic() - self._started_s < START_S:
                raise _StillStartingError from error
            raise _ChildTroubleError("the solver did not answer by its deadline") from error
        except (OSError, EOFError) as error:
            raise _ChildTroubleError("the solver's process ended") from error
        except (pickle.UnpicklingError, ValueError, TypeError, AttributeError) as error:
            raise _ChildTroubleError("the solver's answer cannot be read") from error
        self._cpu_s += cpu_s
        if kind != "plan":
            raise _ChildTroubleError(f"the solver failed: {value}")
        if not isinstance(value, DispatchResult):
            raise _ChildTroubleError("the solver's answer is no plan")
        return value

    async def _wait_until_ready(self) -> None:
        """The child's first message says that it has imported its libraries."""
        if not self._ready:
            await self._message()
            self._ready = True

    async def _send(self, packed: bytes) -> None:
        stdin = self._child.stdin if self._child else None
        if stdin is None:
            raise BrokenPipeError
        stdin.write(packed)
        await stdin.drain()

    async def _message(self) -> bytes:
        if self._answers is None:
            raise EOFError
        (size,) = _LENGTH.unpack(await self._answers.readexactly(_LENGTH.size))
        if size > _MOST_BYTES:
            raise ValueError(f"a message of {size} bytes")
        return await self._answers.readexactly(size)

    async def _start(self) -> None:
        reading, writing = os.pipe()
        self._started_s, self._ready = time.monotonic(), False
        try:
            self._child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                __name__,
                self._planner_path,
                str(writing),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                pass_fds=(writing,),
                # What this process can import the child can, from wherever either was started.
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
                    # Matrices of steps by steps are small: a second BLAS thread would only spin beside it.
                    "OPENBLAS_NUM_THREADS": "1",
                },
            )
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        loop = asyncio.get_running_loop()
        self._answers = asyncio.StreamReader(limit=1 << 20)
        protocol = asyncio.StreamReaderProtocol(self._answers)
        self._answers_transport, _ = await loop.connect_read_pipe(lambda: protocol, os.fdopen(reading, "rb"))
        if self._child.stdin is not None:
            self._child.stdin.write(self._site)

    async def _stop(self) -> None:
        child, transport = self._child, self._answers_transport
        self._child = self._answers = self._answers_transport = None
        if transport is not None:
            transport.close()
        if child is None:
            return
        if child.stdin is not None:
            child.stdin.close()
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()

    async def _restart(self) -> None:
        self.restarts += 1
        await self._stop()
        await self._start()


def _reserve_s(inputs: DispatchInputs, deadline_s: float) -> float:
    """What is kept of a deadline for the plan by rules [s]; measured: 0.4 s for 1000 stores, 80 steps.

    A tenth of a second more is for a machine that is busy with something else at that moment.
    """
    return min(0.3 * deadline_s, 0.1 + 1e-5 * len(inputs.stores) * inputs.steps)


def _packed(value: object) -> bytes:
    body = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(body)) + body


def _fault(inputs: DispatchInputs, result: DispatchResult) -> str:
    """Why a plan cannot be used; empty where it can."""
    try:
        breaches = check(inputs, result)
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        return f"the solver's plan has no form: {error}"
    if not breaches:
        return ""
    first = breaches[0]
    return f"the solver's plan breaks {first.constraint} at {first.subject} in step {first.step}"


def _end_with_parent(parent: int) -> None:
    """Ends this process when its parent is gone, also in the middle of a solve."""
    while os.getppid() == parent:
        time.sleep(ORPHAN_CHECK_S)
    os._exit(1)


def _child_main(planner_path: str, answers: int) -> None:
    """The child's life: the site first, then problems and answers until the parent closes the pipe."""
    os.nice(NICENESS)
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    module, _, name = planner_path.partition(":")
    make: Callable[[Site | None], Callable[..., DispatchResult]]
    make = getattr(importlib.import_module(module), name)
    requests = sys.stdin.buffer
    solve = make(_read(requests, requests.read(_LENGTH.size)))
    told_s = 0.0
    with os.fdopen(answers, "wb") as out:
        _answer(out, _packed(("ready", "", 0.0)))
        while head := requests.read(_LENGTH.size):
            inputs, deadline_s = _read(requests, head)
            try:
                result = solve(inputs, deadline_s=deadline_s)
            except Exception as error:
                # The parent hears why, plans by rules and starts another child; this one is done.
                words = f"{type(error).__name__}: {error}"
                _answer(out, _packed(("error", words, time.process_time() - told_s)))
                raise
            # The first answer also tells what starting took; what packing takes comes with the next.
            used_s = time.process_time()
            _answer(out, _packed(("plan", result, used_s - told_s)))
            told_s = used_s


def _read(requests: BinaryIO, head: bytes) -> Any:
    """What the parent wrote behind a head."""
    (size,) = _LENGTH.unpack(head)
    return pickle.loads(requests.read(size))  # noqa: S301  # our own parent's words


def _answer(out: BinaryIO, packed: bytes) -> None:
    out.write(packed)
    out.flush()


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):  # the parent was killed: nobody is left to answer
        _child_main(sys.argv[1], int(sys.argv[2]))
