"""A hundred kills (`kill -9`) at random moments while members trade; what was lost or doubled: nothing.

It ends with an error where an accepted order is lost, one is booked twice or the chain does not verify.
"""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog

from tests.support.killing import examined, trade_and_kill

KILLS = 100


def main() -> None:
    """Kills, looks and tells."""
    # Hundreds of quarter-hours are caught up at the end: their log is not the bench's.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    seed = time.time_ns()
    with TemporaryDirectory() as folder:
        log, clock = trade_and_kill(Path(folder), kills=KILLS, seed=seed)
        left = asyncio.run(examined(Path(folder), log, clock))
    refused = ", ".join(f"{count} with {status}" for status, count in sorted(log.refused.items())) or "none"
    lines = [
        f"{log.kills} kills (seed {seed}); {log.answering} of these lives had come to answer",
        f"{len(log.accepted)} orders accepted, refused: {refused}, no answer to {len(log.unanswered)}",
        f"{left.orders} of them found, {left.filled} filled and booked once, {left.postings} postings",
        f"{left.sealed_days} sealed days verify; {len(log.seals)} seals are those that were told before",
    ]
    print("\n".join(lines))  # noqa: T201  # a bench prints


if __name__ == "__main__":
    main()
