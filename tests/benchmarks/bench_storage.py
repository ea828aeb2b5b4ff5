"""How long the store takes for the quarter-hours of a whole district (the size of `lombok`).

Each line is one quarter-hour, in four units of work as the loops write them, fsync included.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from controller.runtime.ports import UnitOfWork
from controller.storage import SqlStore
from tests.support.storage import START, QuarterHour, lombok_quarter, opened

QUARTERS = 8
STEPS = ("orders", "clearing", "postings", "registers")


async def _write(unit: UnitOfWork, quarter: QuarterHour, step: str) -> None:
    match step:
        case "orders":
            await unit.add_orders(quarter.orders)
        case "clearing":
            await unit.add_result(quarter.result, START)
        case "postings":
            await unit.add_postings(quarter.postings)
        case _:
            await unit.add_registers(quarter.registers)


async def _quarter_ms(store: SqlStore, quarter: QuarterHour) -> list[float]:
    spent = []
    for step in STEPS:
        before = time.perf_counter()
        async with store.unit() as unit:
            await _write(unit, quarter, step)
        spent.append((time.perf_counter() - before) * 1e3)
    return spent


async def _run(path: Path) -> list[str]:
    lines = ["quarter  " + "".join(f"{step + ' ms':>14}" for step in STEPS) + f"{'total ms':>14}"]
    async with opened(path) as store:
        for number in range(QUARTERS):
            spent = await _quarter_ms(store, lombok_quarter(number))
            lines.append(f"{number:<9}" + "".join(f"{ms:>14.0f}" for ms in [*spent, sum(spent)]))
    before = time.perf_counter()
    async with opened(path):
        lines.append(f"opened again, ledger added up: {(time.perf_counter() - before) * 1e3:.0f} ms")
    return lines


def main() -> None:
    """Prints the table."""
    with TemporaryDirectory() as folder:
        print("\n".join(asyncio.run(_run(Path(folder) / "bench.sqlite3"))))  # noqa: T201  # a bench prints


if __name__ == "__main__":
    main()
