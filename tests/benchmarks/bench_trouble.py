"""Solvers that hang, crash, give up or answer nonsense: is there a safe plan within the deadline each time?

Each request goes to a `SolverProcess` whose child misbehaves; the kinds take turns. A plan is safe if `check`
finds no breach of a hard constraint in it; it is late by what the answer took beyond the deadline. A child
that was killed is replaced: how long until the new one is ready is measured too, since until then
plans come from rules. Every request waits for a child that is ready, so that each trouble really happens.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import structlog

from controller.dispatch.check import check
from controller.runtime.solver_process import START_S, SolverProcess
from tests.support.dispatch import random_problem

REQUESTS = 500
DEADLINE_S = 1.0
"""Of each request; the controller's own is longer."""
STEPS = range(12, 18)
"""`by_turns` takes another kind of trouble for each number of steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of one request."""

    reason: str
    safe: bool
    late_s: float
    """Beyond the deadline [s]; negative where it was in time."""
    replaced_s: float
    """Until the next child was ready [s]; 0 where it was not replaced."""


async def _ask(solver: SolverProcess, seed: int) -> Answer:
    inputs = random_problem(seed, cars=6, steps=STEPS[seed % len(STEPS)])
    restarts, begun = solver.restarts, time.monotonic()
    plan = await solver.solve(inputs, DEADLINE_S)
    late_s = time.monotonic() - begun - DEADLINE_S
    begun = time.monotonic()
    async with asyncio.timeout(START_S):
        await solver._wait_until_ready()
    return Answer(
        reason=plan.reason,
        safe=not check(inputs, plan),
        late_s=late_s,
        replaced_s=time.monotonic() - begun if solver.restarts > restarts else 0.0,
    )


async def _all() -> list[Answer]:
    async with SolverProcess(planner="tests.support.solver_trouble:by_turns") as solver:
        return [await _ask(solver, seed) for seed in range(REQUESTS)]


@contextlib.contextmanager
def _quiet_children() -> Iterator[None]:
    """Children inherit the standard error; theirs say what is known: that they were made to fail."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def main() -> None:
    """Prints how many plans were safe and in time, and what the worst was."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())  # 500 warnings are the point here
    with _quiet_children():
        answers = asyncio.run(_all())
    late = [answer for answer in answers if answer.late_s > 0.0]
    replaced = [answer.replaced_s for answer in answers if answer.replaced_s]
    lines = [
        f"requests {REQUESTS}, seeds 0 to {REQUESTS - 1}, deadline {DEADLINE_S} s",
        f"safe plans {sum(answer.safe for answer in answers)}",
        f"within the deadline {REQUESTS - len(late)}",
        f"worst lateness {1000.0 * max(a.late_s for a in answers):.0f} ms (negative: time to spare)",
        f"children replaced {len(replaced)}",
        f"ready again after {np.median(replaced):.2f} s (median), {max(replaced):.2f} s (worst)",
        "because:",
    ]
    causes = Counter(answer.reason.split(" at ")[0] for answer in answers)
    lines += [f"{count:>6}  {cause}" for cause, count in causes.most_common()]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
