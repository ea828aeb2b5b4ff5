"""Long loops shared out to two threads.

Stores do not see each other and unknowns hardly do, so every loop over them is done in parts. Where the parts
are cut depends on the problem alone and what they sum up is added in their order: the result is the same to
the bit whoever did which part, and when. Compiled loops and numpy's own let go of Python's lock.

A busy machine may let a thread wait for milliseconds, longer than a loop takes. So nobody waits for a second
thread to begin: each takes the next part that is left, and one that comes too late finds none.

The threads inherit the priority of the process: a running controller's solver stays below its safety loop.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from threading import Lock
from types import TracebackType
from typing import Self

import numpy as np

from controller.domain.units import IntArray

WORTH_IT = 50_000
"""Chain steps (700 cars over a day) from which on loops are done in parts. A second thread took a sixth off
cold plans of 1000 cars; on a machine whose two processors were busy it cost up to a seventh. Re-plans are
smaller: there the parts cost more than they bring."""
PARTS = 4
"""Parts of a loop."""
THREADS = 2
"""Threads, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of all stores, and their unknowns."""

    stores: slice
    """Which stores."""
    edges: slice
    """The same for arrays that have one place more than there are stores."""
    steps: slice
    """Their chain steps."""
    unknowns: slice
    """Their unknowns; the last part has those behind the stores' too."""


def parts_of(first: IntArray, size: int) -> tuple[Part, ...]:
    """Cuts the stores into parts of about as many chain steps.

    Args:
        first: Where each store's chain steps begin, shape (S + 1,).
        size: How many unknowns there are.
    """
    stores, steps = first.size - 1, int(first[-1])
    count = PARTS if steps >= WORTH_IT else 1
    inner = np.searchsorted(first, steps * np.arange(1, count) / count).tolist()
    cuts = [0, *inner, stores]
    ends = [*(3 * first[inner]).tolist(), size]
    return tuple(
        Part(
            stores=slice(begin, end),
            edges=slice(begin, end + 1),
            steps=slice(int(first[begin]), int(first[end])),
            unknowns=slice(3 * int(first[begin]), unknown),
        )
        for (begin, end), unknown in zip(pairwise(cuts), ends, strict=True)
    )


class Team:
    """Does a loop's parts; with one thread one after the other."""

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(max_workers=threads - 1) if threads > 1 else None
        self._helpers = threads - 1

    def each[Work, Done](self, work: Callable[[Work], Done], parts: tuple[Work, ...]) -> list[Done]:
        """What the work makes of each part, in their order."""
        if self._pool is None or len(parts) == 1:
            return [work(part) for part in parts]
        left, lock = deque(range(len(parts))), Lock()
        done: dict[int, Done] = {}

        def take_parts() -> None:
            while True:
                with lock:
                    if not left:
                        return
                    place = left.popleft()
                done[place] = work(parts[place])

        helpers = [self._pool.submit(take_parts) for _ in range(self._helpers)]
        try:
            take_parts()
        finally:
            with lock:
                left.clear()
            # One that never came is not waited for, one that is at a part is: nobody writes after this.
            for helper in helpers:
                if not helper.cancel():
                    helper.result()
        return [done[place] for place in range(len(parts))]

    def __enter__(self) -> Self:
        """The team."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Sends the threads home."""
        if self._pool is not None:
            self._pool.shutdown()


ALONE = Team(1)
"""No second thread."""


def threads_here() -> int:
    """How many threads this process may run beside each other, `THREADS` at most."""
    # Only Linux tells which processors a process is held to.
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(THREADS, processors or 1)
