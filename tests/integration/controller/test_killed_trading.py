"""`kill -9` while members trade: no accepted order is lost, none is booked twice, the chain verifies.

`make bench` does the same a hundred times. Takes some ten seconds: processes start and die in it.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.support.killing import examined, trade_and_kill

KILLS = 5


def test_killed_while_trading_loses_nothing_and_books_nothing_twice(tmp_path: Path) -> None:
    """Five lives of up to one and a half seconds, at two seconds a quarter-hour."""
    log, clock = trade_and_kill(tmp_path, kills=KILLS, seed=20240115)
    left = asyncio.run(examined(tmp_path, log, clock))
    assert log.kills == KILLS
    assert log.accepted, (log, (tmp_path / "log").read_text())
    assert left.orders >= len(log.accepted)
    assert left.filled
    assert left.sealed_days
