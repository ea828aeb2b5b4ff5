"""A controller that is killed in the middle: what it said was kept is kept, nothing is there twice."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.storage import START, opened
from tests.support.storage_writer import POSTINGS_A_UNIT

ROOT = Path(__file__).parents[4]
"""The repository: the child imports from here."""


def _write_and_kill(path: Path, units: int) -> int:
    """Starts the writer, kills it (`kill -9`) once it told of `units` more units, gives the last it told."""
    command = [sys.executable, "-m", "tests.support.storage_writer", str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        told = [int(writer.stdout.readline()) for _ in range(units)]
        writer.kill()
        told += [int(line) for line in writer.stdout if line.endswith("\n")]
        assert writer.wait() == -signal.SIGKILL
    return told[-1]


@pytest.mark.parametrize("units", [1, 37])
async def test_killed_in_the_middle_keeps_what_was_committed_and_no_half_unit(
    tmp_path: Path, units: int
) -> None:
    """Killed twice; the second life repeats the first one's ids and goes on behind them."""
    path = tmp_path / "wijk.sqlite3"
    kept = 0
    for least in (units, 2 * units):
        told = max(kept, _write_and_kill(path, least))
        async with opened(path) as store, store.unit() as unit:
            counts = await unit.counts()
            balances = await unit.balances()
            orders = await unit.orders_of_interval(START)
        kept = counts["orders"]
        # The kill may come between a commit and the line that tells of it.
        assert told <= kept <= told + 1
        assert counts["postings"] == POSTINGS_A_UNIT * kept
        assert {order.order_id for order in orders} == {f"o{number}" for number in range(1, kept + 1)}
        owed = POSTINGS_A_UNIT * kept * (kept + 1) // 2
        assert balances == {"market": -owed, "member:anna": owed}
