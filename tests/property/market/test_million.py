"""A million random postings, some at negative prices, some taken back: money is neither made nor lost.

Takes some ten seconds: every posting is made, added up and checked by the ledger's own functions, and
added up once more by numpy.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from market.ledger import MARKET_ACCOUNT, Posting, PostingReason, assert_balanced, balances, posting, reverse
from tests.support.market import QUARTER_AT_NOON

BATCHES = 100
TRADES = 4_520
"""Each is paid to the market's account and paid out of it: two postings. A ninth of both is taken back."""
MEMBERS = 500
AMOUNT_MAX = 2**40


def random_quarter(random: np.random.Generator, number: int, expected: NDArray[np.int64]) -> list[Posting]:
    """The postings of a quarter-hour; `expected` (one entry a member) moves along."""
    start = QUARTER_AT_NOON + timedelta(minutes=15) * number
    common: dict[str, Any] = {
        "reason": PostingReason.TRADE,
        "interval_start": start,
        "booked_at": start + timedelta(hours=1),
    }
    payers = random.integers(0, MEMBERS, TRADES)
    receivers = random.integers(0, MEMBERS, TRADES)
    amounts = random.integers(-AMOUNT_MAX, AMOUNT_MAX, TRADES)
    taken_back = random.random(TRADES) < 1 / 9
    made = []
    for i, (payer, receiver, amount, back) in enumerate(
        zip(payers.tolist(), receivers.tolist(), amounts.tolist(), taken_back.tolist(), strict=True)
    ):
        pair = [
            posting(
                payer=f"member:{payer}",
                receiver=MARKET_ACCOUNT,
                amount_nanoeur=amount,
                ref=f"buy-{i}",
                **common,
            ),
            posting(
                payer=MARKET_ACCOUNT,
                receiver=f"member:{receiver}",
                amount_nanoeur=amount,
                ref=f"sell-{i}",
                **common,
            ),
        ]
        made += pair
        if back:
            made += [reverse(one, booked_at=one.booked_at) for one in pair]
    np.add.at(expected, payers, np.where(taken_back, 0, amounts))
    np.subtract.at(expected, receivers, np.where(taken_back, 0, amounts))
    return made


def test_a_million_random_postings_make_no_money() -> None:
    """Each quarter-hour's books balance by themselves, and all together are what numpy adds up."""
    random = np.random.default_rng(20240115)
    expected = np.zeros(MEMBERS, dtype=np.int64)
    totals: dict[str, int] = {}
    ids: set[str] = set()
    count = 0
    for number in range(BATCHES):
        made = random_quarter(random, number, expected)
        assert_balanced(made)
        for account, amount in balances(made).items():
            totals[account] = totals.get(account, 0) + amount
        ids.update(one.posting_id for one in made)
        count += len(made)
    assert count == len(ids) >= 1_000_000
    assert sum(totals.values()) == 0
    assert totals.pop(MARKET_ACCOUNT) == 0
    assert totals == {f"member:{i}": int(amount) for i, amount in enumerate(expected)}
