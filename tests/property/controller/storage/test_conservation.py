"""Whatever is booked, in whatever batches, however often, with failures between: money is conserved."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from market.ledger import Posting
from tests.support.storage import make_posting, opened

ACCOUNTS = ("market", "member:anna", "member:bart", "supplier", "community")

_POSTINGS = st.builds(
    lambda number, debit, step, amount: make_posting(
        # The same number is the same posting in all it says, as with ids made from content.
        f"{number}-{debit}-{step}-{amount}",
        debit=ACCOUNTS[debit],
        credit=ACCOUNTS[(debit + step) % len(ACCOUNTS)],
        amount_nanoeur=amount,
    ),
    st.integers(0, 3),
    st.integers(0, len(ACCOUNTS) - 1),
    st.integers(1, len(ACCOUNTS) - 1),
    st.one_of(st.integers(0, 3), st.integers(0, 2**60)),
)
_BATCHES = st.lists(
    st.tuples(st.lists(_POSTINGS, max_size=6), st.sampled_from(["commit", "fail", "restart"])), max_size=6
)


class _StopError(Exception):
    """A failure in the middle of a unit."""


@settings(max_examples=30, deadline=None)
@given(batches=_BATCHES)
def test_balances_are_those_of_the_distinct_committed_postings(
    batches: list[tuple[list[Posting], str]],
) -> None:
    """Compared with a dictionary that adds up each posting once; the sum is exactly 0."""
    with TemporaryDirectory() as folder:
        asyncio.run(_run(Path(folder) / "wijk.sqlite3", batches))


def _stop_if(failing: bool) -> None:  # noqa: FBT001  # reads as a sentence
    if failing:
        raise _StopError


async def _run(path: Path, batches: list[tuple[list[Posting], str]]) -> None:
    expected: dict[str, Posting] = {}
    remaining = list(batches)
    while True:
        async with opened(path) as store:
            while remaining:
                postings, end = remaining.pop(0)
                try:
                    async with store.unit() as unit:
                        await unit.add_postings(postings)
                        _stop_if(end == "fail")
                except _StopError:
                    continue
                for posting in postings:
                    expected.setdefault(posting.posting_id, posting)
                if end == "restart":
                    break
            async with store.unit() as unit:
                assert await unit.balances() == _added_up(expected)
                assert [posting for _, posting in await unit.postings()] == list(expected.values())
        if not remaining:
            return


def _added_up(postings: dict[str, Posting]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for posting in postings.values():
        total[posting.debit_account] += posting.amount_nanoeur
        total[posting.credit_account] -= posting.amount_nanoeur
    assert sum(total.values()) == 0
    return dict(total)
