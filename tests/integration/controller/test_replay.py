"""The log played again gives the same ledger, to the byte.

The log is what people and meters said: the residents' orders and the registers. It is read out of one
database and goes into an empty one, whose controller does its work anew.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from controller.domain.ids import MemberId, NodeId
from controller.runtime.books import Books
from controller.runtime.core import Controller
from controller.runtime.ports import RegisterRecord
from controller.runtime.sealing import SEAL_AFTER
from controller.runtime.trading import METERS_WAIT
from market.orders import Order, Side
from market.seals import day_end, ledger_day
from market.verify_file import run_verify
from tests.support.neighbourhood import START
from tests.support.running import QUARTER, registers, running

MEMBERS = {"m-home": "f1", "m-school": "f2"}
QUARTERS = 3

_ORDERS = st.lists(
    st.tuples(
        st.integers(0, QUARTERS - 1),
        st.sampled_from(sorted(MEMBERS)),
        st.sampled_from(list(Side)),
        st.integers(1, 3000),
        st.integers(-50_000, 400_000),
    ),
    max_size=12,
)
_METERED = st.lists(
    st.tuples(st.integers(1, 3000), st.integers(0, 3000)), min_size=QUARTERS, max_size=QUARTERS
)

type Log = tuple[Sequence[Order], Sequence[RegisterRecord]]
"""What people and meters said."""


def log_of(rows: list[tuple[int, str, Side, int, int]], metered: list[tuple[int, int]]) -> Log:
    """Orders for the coming quarter-hours, and the registers of the home and the school at their ends."""
    orders = [
        Order(
            order_id=f"order-{number}",
            member=MemberId(member),
            node=NodeId(MEMBERS[member]),
            side=side,
            quantity_wh=quantity,
            limit_price_microeur_per_kwh=price,
            interval_start=START + (quarter + 1) * QUARTER,
            placed_at=START,
        )
        for number, (quarter, member, side, quantity, price) in enumerate(rows)
    ]
    home = school = 0
    found = registers(START + QUARTER)
    for number, (by_home, by_school) in enumerate(metered):
        home, school = home + by_home, school + by_school
        found += registers(START + (number + 2) * QUARTER, home=(home, 0), school=(school, by_home))
    return orders, found


async def run(folder: Path, log: Log) -> tuple[bytes, Log]:
    """Trades, settles and seals a log on an empty database; the day's ledger file, and the log as kept."""
    orders, found = log
    ends = [START + (number + 1) * QUARTER for number in range(QUARTERS + 1)]
    async with running(folder) as (controller, trading, clock):
        async with controller.store.unit() as unit:
            await unit.add_orders(orders)
            await unit.add_registers(found)
        for start in ends[:-1]:
            clock.advance_to(start - timedelta(minutes=1))
            await trading.clear_interval(start)
            await trading.settle_due()
        clock.advance_to(ends[-1] + METERS_WAIT)
        await trading.settle_due()
        day = ledger_day(START)
        clock.advance_to(day_end(day) + SEAL_AFTER)
        await trading.sealing.seal_due()
        kept = await kept_log(controller)
        books = Books(controller, asyncio.get_running_loop())
        return b"".join([piece async for piece in await books.ledger_file(day)]), kept


async def kept_log(controller: Controller) -> Log:
    """What people and meters said, as the database has it."""
    orders: list[Order] = []
    found: list[RegisterRecord] = []
    async with controller.store.unit() as unit:
        for member in MEMBERS:
            orders += [record.order for record in await unit.orders_of_member(MemberId(member))]
        for number in range(QUARTERS + 1):
            found += (await unit.registers_at(START + (number + 1) * QUARTER)).values()
    return orders, found


@settings(max_examples=12, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(rows=_ORDERS, metered=_METERED)
def test_the_log_played_again_gives_identical_bytes(
    rows: list[tuple[int, str, Side, int, int]], metered: list[tuple[int, int]]
) -> None:
    """Postings, hashes, root and signature, with the same key; also where the log comes in another order."""
    with TemporaryDirectory() as text:
        first, second = Path(text) / "first", Path(text) / "second"
        first.mkdir()
        second.mkdir()
        before, log = asyncio.run(run(first, log_of(rows, metered)))
        shutil.copy(first / "test.sqlite3.key", second)
        after, _ = asyncio.run(run(second, log))
        assert after == before
        (first / "ledger").write_bytes(before)
        assert run_verify([first / "ledger"])
