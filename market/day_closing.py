"""Closing a day: what every allocation point used, shared or traded on a local day, and what it owes for it.

A day is settled as a whole when it is over and its meters are in, and again whenever late readings change it.
Sharing after the fact is settled here altogether. Where trades were made beforehand, their money was booked
quarter-hour by quarter-hour; then the day adds taxes, tariffs and fees. Either way it keeps the sums that a
statement is made of, and what the day would have cost without sharing or trading.

What a member sold and did not feed in, the supplier delivers in its place, at its import price: it is a
supply like any other, with VAT (Directive 2006/112/EC, art. 2(1)(a) and 15(1): electricity is goods; Wet op
de omzetbelasting 1968, art. 3). What a member bought and did not use goes back to the supplier without, as
what is fed in does: who sells so little is under the small-business scheme (same act, art. 25).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

import numpy as np

from controller.domain.ids import Ean, MemberId
from controller.domain.units import BoolArray, IntArray
from market.ledger import Posting, PostingReason
from market.rebooking import about, rebooked
from market.sharing.pool import (
    CHARGES,
    POOL_REASONS,
    Amounts,
    PoolInputs,
    PoolRules,
    PoolSettlement,
    asked_microeur_per_kwh,
    block_amounts,
    pool_lines,
    settle_pool,
    settle_traded,
)

SUPPLIED = frozenset({PostingReason.SUPPLY, PostingReason.FEED_IN})
"""What the supplier sells and buys where nothing was traded or shared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DayPoint:
    """One allocation point's day."""

    day: date
    """Local."""
    ean: Ean
    member: MemberId
    offtake_wh: int
    """Taken from the grid."""
    feed_in_wh: int
    """Fed into it, a magnitude."""
    received_wh: int
    """Got of neighbours by the sharing key."""
    given_wh: int
    """Gave to them."""
    bought_wh: int
    """Bought beforehand, used or not."""
    sold_wh: int
    """Sold beforehand, fed in or not."""
    estimated_quarters: int
    """Quarter-hours that were estimated."""
    unsettled_quarters: int
    """Quarter-hours of which nothing is known; they are in no sum."""
    without_nanoeur: int
    """What the day would have cost without sharing or trading, by the same prices, rates and VAT."""
    sharing_nanoeur: int
    """What it costs, or would have cost, by sharing after the fact."""
    supplier: str = ""
    """Who supplied it that day; empty: the site's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traded:
    """What was traded beforehand, T quarter-hours of N points."""

    bought_wh: IntArray
    """Shape (T, N)."""
    sold_wh: IntArray
    """Shape (T, N)."""
    supplied_nanoeur: IntArray
    """What each point pays for what it bought of the supplier, shape (T, N)."""
    neighbours_nanoeur: IntArray
    """What it pays for what it bought of neighbours, shape (T, N)."""
    cleared: BoolArray
    """Shape (T,): where there was a market at all; elsewhere all energy is the supplier's."""
    settled: BoolArray
    """Shape (T, N): where meters say what was taken and fed in beyond the trades, so that it is booked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DayInputs:
    """Everything that a day is closed by."""

    day: date
    pool: PoolInputs
    """The day's quarter-hours: 92, 96 or 100."""
    estimated: BoolArray
    """Shape (T, N)."""
    known: BoolArray
    """Shape (T, N)."""
    traded: Traded | None
    """None: energy is shared after the fact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedDay:
    """What there is to book and to keep of a day."""

    postings: tuple[Posting, ...]
    """Only what is new, reversals first."""
    points: tuple[DayPoint, ...]


def close_day(
    inputs: DayInputs, rules: PoolRules, previous: Sequence[Posting], *, booked_at: datetime
) -> ClosedDay:
    """Closes a day, for the first time or again.

    Args:
        inputs: The day's energy, prices and trades.
        rules: The sharing key and the rates.
        previous: The postings so far of the day's first quarter-hour, reversals included; those of other
            settlements among them are left alone.
        booked_at: Domain time of the booking.

    Raises:
        ValueError: If shapes do not fit or the key breaks a rule.
    """
    pool, traded = inputs.pool, inputs.traded
    nothing = np.zeros_like(pool.energy.offtake_wh)
    if traded is None:
        settled = settle_pool(pool, rules)
        received, given, bought, sold = settled.received_wh, settled.given_wh, nothing, nothing
    else:
        bought, sold = traded.bought_wh, traded.sold_wh
        # Elsewhere an estimate says nothing of it: what is not booked carries neither VAT nor fee.
        waiting = traded.cleared[:, np.newaxis] & ~traded.settled
        taken, fed = pool.energy.offtake_wh, pool.energy.feed_in_wh
        used = (
            np.where(waiting, taken, np.minimum(bought, taken)),
            np.where(waiting, fed, np.minimum(sold, fed)),
        )
        taxed = traded.supplied_nanoeur + rules.vat_on_neighbours * traded.neighbours_nanoeur
        taxed = taxed + asked_microeur_per_kwh(pool) * (sold - used[1]) * traded.settled
        settled = settle_traded(pool, rules.rates, *used, taxed)
        received, given = nothing, nothing
    whole = slice(0, len(pool.starts))
    if traded is None:
        lines = list(pool_lines(pool, settled, [whole]))
    else:
        supplied = replace(settled, amounts=_without_market(settled.amounts, traded.cleared))
        lines = [
            *pool_lines(pool, settled, [whole], CHARGES),
            *pool_lines(pool, supplied, [whole], SUPPLIED),
        ]
    shared = settled if traded is None else settle_pool(pool, rules)
    columns = {
        "offtake_wh": pool.energy.offtake_wh.sum(axis=0),
        "feed_in_wh": pool.energy.feed_in_wh.sum(axis=0),
        "received_wh": received.sum(axis=0),
        "given_wh": given.sum(axis=0),
        "bought_wh": bought.sum(axis=0),
        "sold_wh": sold.sum(axis=0),
        "estimated_quarters": (inputs.estimated & inputs.known).sum(axis=0),
        "unsettled_quarters": (~inputs.known).sum(axis=0),
        "without_nanoeur": _total(settled, settled.without),
        "sharing_nanoeur": _total(shared, shared.amounts),
    }
    return ClosedDay(
        postings=tuple(rebooked(about(previous, POOL_REASONS), lines, booked_at=booked_at)),
        points=tuple(
            DayPoint(
                day=inputs.day,
                ean=point.ean,
                member=point.member,
                supplier=point.supplier,
                **{name: int(column[i]) for name, column in columns.items()},
            )
            for i, point in enumerate(pool.points)
        ),
    )


def _without_market(amounts: Amounts, cleared: BoolArray) -> Amounts:
    """What was the supplier's where nothing was cleared; elsewhere deviations were booked with the trades."""
    return {
        reason: np.where(cleared[:, np.newaxis], 0, amount) if reason in SUPPLIED else amount
        for reason, amount in amounts.items()
    }


def _total(settled: PoolSettlement, amounts: Amounts) -> IntArray:
    """What each point pays over the day, VAT included [nano-euro], shape (N,)."""
    day = block_amounts(settled, slice(0, len(settled.vat_ppm)), amounts)
    total: IntArray = np.sum(list(day.values()), axis=0)
    return total
