"""A program that books for ever and tells after each commit: the durability test kills it.

`python -m tests.support.storage_writer FILE`. Unit number n puts three postings, one order and one named
value; after the commit it prints n. A unit that is there already is written again, as after a crash.
"""

from __future__ import annotations

import asyncio
import sys
from itertools import count
from pathlib import Path

from tests.support.storage import make_order, make_posting, opened

POSTINGS_A_UNIT = 3
"""A number that shows a torn unit."""


async def main(path: Path) -> None:
    """Writes until it is killed."""
    async with opened(path) as store:
        for number in count(1):
            async with store.unit() as unit:
                await unit.add_orders([make_order(f"o{number}")])
                for part in range(POSTINGS_A_UNIT):
                    await unit.add_postings([make_posting(f"{number}.{part}", amount_nanoeur=number)])
                await unit.put_value("last", str(number))
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
