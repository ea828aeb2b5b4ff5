"""Settlement: from trades and meters of one quarter-hour to postings.

After the quarter-hour the meters tell what was really used. What a member traded is paid at the clearing
price. What was taken beyond it is bought from the supplier at the supplier's import price; what was bought
and not taken is sold to it at its export price. What was fed in beyond what was sold goes to the supplier
at its export price; what was sold and not fed in is bought of it. So each pays for its own deviation. Price
times watt-hours is whole nano-euro: there is nothing to round.

Each allocation point is settled by itself, its import and its export apart, as its supplier does: what a
home takes is not made good by what a roof with a meter of its own feeds in. A trade counts for the point
that it was made for; a resident's own order counts for any of the resident's points.

A member whose meters are not all in is not settled against them yet: unknown is not 0. When the data come,
or are corrected, the same sum is done again and only the difference is booked (`rebooking`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from controller.domain.ids import Ean, MemberId
from controller.domain.units import IntArray
from market.clearing.pricing import rent_shares
from market.clearing.result import Fill, IntervalResult
from market.gifts import Gift
from market.ledger import (
    COMMUNITY_ACCOUNT,
    MARKET_ACCOUNT,
    SUPPLIER_ACCOUNT,
    Posting,
    PostingReason,
    member_account,
)
from market.orders import SUPPLIER, Order, Side
from market.prices import amount_nanoeur
from market.rebooking import Line, about, rebooked


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """One filled order."""

    order_id: str
    member: MemberId
    side: Side
    filled_wh: int
    amount_nanoeur: int
    """What the member pays; negative for what it is paid."""
    ean: Ean | None = None
    """The allocation point that it was made for; None: for the member as a whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeteredEnergy:
    """What one allocation point's meter counted in the quarter-hour."""

    member: MemberId
    ean: Ean
    import_wh: int
    """Taken from the grid [Wh], never negative."""
    export_wh: int
    """Fed into it [Wh], a magnitude."""
    estimated: bool = False
    """Whether it was estimated for want of data; replaced by a re-run when the real data come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SupplierPrices:
    """What the supplier asks and pays in the quarter-hour."""

    import_microeur_per_kwh: int
    export_microeur_per_kwh: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlementInputs:
    """Everything that one quarter-hour is settled by."""

    interval_start: datetime
    trades: tuple[Trade, ...]
    metered: tuple[MeteredEnergy, ...]
    """At most one entry per allocation point."""
    prices: SupplierPrices
    expected: frozenset[Ean] | None = None
    """The allocation points that are metered; None: those in `metered` are all there are."""
    members_of: Mapping[Ean, MemberId] | None = None
    """Whose the expected allocation points are; needed with `expected`."""
    rent_to: Mapping[Ean, MemberId] = field(default_factory=dict)
    """The connections among which the congestion rent is returned, with their members; empty: the
    community keeps it."""
    gifts: tuple[Gift, ...] = ()
    """What is handed on to public buildings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What there is to book."""

    postings: tuple[Posting, ...]
    """Only what is new, reversals first; booking them twice changes nothing."""
    unmetered: tuple[MemberId, ...]
    """Members whose deviation waits for meter data."""
    estimated: tuple[MemberId, ...]
    """Members settled by an estimate."""


def trades_of(
    result: IntervalResult, orders: Iterable[Order], points: Mapping[str, Ean] | None = None
) -> tuple[Trade, ...]:
    """The filled orders of a clearing, by order id.

    Args:
        result: The clearing.
        orders: All its orders.
        points: The allocation point of each asset that orders are made for.

    Raises:
        KeyError: If a fill's order is not among `orders`.
    """
    by_id = {order.order_id: order for order in orders}
    known = points or {}
    return tuple(
        _trade(by_id[fill.order_id], fill, known.get(by_id[fill.order_id].asset or ""))
        for fill in result.fills
        if fill.filled_wh
    )


def _trade(order: Order, fill: Fill, ean: Ean | None) -> Trade:
    return Trade(
        ean=ean,
        order_id=order.order_id,
        member=order.member,
        side=order.side,
        filled_wh=fill.filled_wh,
        amount_nanoeur=fill.amount_nanoeur,
    )


def settle(inputs: SettlementInputs, *, booked_at: datetime) -> Settlement:
    """Settles a quarter-hour for the first time.

    Args:
        inputs: Trades, meters and prices.
        booked_at: Domain time of the booking.

    Returns:
        The postings; with the market's account they sum to exactly 0.

    Raises:
        ValueError: If an allocation point is metered twice or a figure is negative.
    """
    return resettle((), inputs, booked_at=booked_at)


def resettle(previous: Sequence[Posting], inputs: SettlementInputs, *, booked_at: datetime) -> Settlement:
    """Settles a quarter-hour again, with corrected or more complete data.

    Args:
        previous: All postings of that quarter-hour so far, reversals included.
        inputs: Trades, meters and prices as they are known now.
        booked_at: Domain time of the booking.

    Returns:
        Reversals of what is no longer right and postings of what is; empty where nothing changed.

    Raises:
        ValueError: If an allocation point is metered twice, a figure is negative, or `previous` holds
            postings of another quarter-hour.
    """
    _check(previous, inputs)
    unmetered = _unmetered(inputs)
    lines = [*_trade_lines(inputs), *_deviation_lines(inputs, unmetered)]
    return Settlement(
        postings=tuple(rebooked(previous, lines, booked_at=booked_at)),
        unmetered=tuple(sorted(unmetered)),
        estimated=tuple(sorted({point.member for point in inputs.metered if point.estimated})),
    )


DEVIATIONS = frozenset({PostingReason.IMBALANCE_BUY, PostingReason.IMBALANCE_SELL})
"""What is booked by meters, not by the clearing."""


def resettle_deviations(
    previous: Sequence[Posting], inputs: SettlementInputs, *, booked_at: datetime
) -> list[Posting]:
    """Settles again what members' points took and fed in beyond their trades, where better data have come.

    Args:
        previous: All postings of that quarter-hour so far, reversals included.
        inputs: Trades and prices, and the meters of which there are data. A member with an expected point
            that is not among them is left as it stands, as is everything that is no deviation.
        booked_at: Domain time of the booking.

    Raises:
        ValueError: As for `resettle`.
    """
    _check(previous, inputs)
    unmetered = _unmetered(inputs)
    lines = list(_deviation_lines(inputs, unmetered))
    return rebooked(about(previous, DEVIATIONS, {line.ref for line in lines}), lines, booked_at=booked_at)


def _check(previous: Sequence[Posting], inputs: SettlementInputs) -> None:
    points = Counter(point.ean for point in inputs.metered)
    twice = sorted(ean for ean, count in points.items() if count > 1)
    negative = [point.ean for point in inputs.metered if point.import_wh < 0 or point.export_wh < 0]
    other = [entry.posting_id for entry in previous if entry.interval_start != inputs.interval_start]
    for found, text in (
        (twice, "metered twice"),
        (negative, "metered with a negative register"),
        (other, "posted for another quarter-hour"),
    ):
        if found:
            raise ValueError(f"{text}: {', '.join(found)}")


def _unmetered(inputs: SettlementInputs) -> set[MemberId]:
    """Members of whom a meter, or every meter, is missing."""
    missing = (inputs.expected or frozenset()) - {point.ean for point in inputs.metered}
    owners = inputs.members_of or {}
    traders = {trade.member for trade in inputs.trades} - {SUPPLIER}
    seen = {point.member for point in inputs.metered}
    return {owners[point] for point in missing} | (traders - seen)


def _trade_lines(inputs: SettlementInputs) -> list[Line]:
    """Buyers pay the market, the market pays sellers; what is left over is the congestion rent.

    It goes to the community, and from there back to the connections where that is declared.
    """
    lines = [
        Line(
            payer=member_account(trade.member),
            receiver=MARKET_ACCOUNT,
            amount_nanoeur=trade.amount_nanoeur,
            reason=PostingReason.TRADE,
            interval_start=inputs.interval_start,
            ref=trade.order_id,
        )
        for trade in inputs.trades
    ]
    rent = Line(
        payer=MARKET_ACCOUNT,
        receiver=COMMUNITY_ACCOUNT,
        amount_nanoeur=sum(trade.amount_nanoeur for trade in inputs.trades),
        reason=PostingReason.RENT,
        interval_start=inputs.interval_start,
        ref="congestion",
    )
    returned = rent_shares(rent.amount_nanoeur, list(inputs.rent_to)) if inputs.rent_to else {}
    return [
        *lines,
        rent,
        *(
            Line(
                payer=COMMUNITY_ACCOUNT,
                receiver=member_account(member),
                amount_nanoeur=returned[ean],
                reason=PostingReason.RENT,
                interval_start=inputs.interval_start,
                ref=f"returned:{ean}",
            )
            for ean, member in sorted(inputs.rent_to.items())
        ),
        *(
            Line(
                payer=member_account(gift.giver),
                receiver=member_account(gift.receiver),
                amount_nanoeur=gift.amount_nanoeur,
                reason=PostingReason.GIFT,
                interval_start=inputs.interval_start,
                ref=gift.ref,
            )
            for gift in inputs.gifts
        ),
    ]


def _deviation_lines(inputs: SettlementInputs, unmetered: set[MemberId]) -> Iterator[Line]:
    """What each allocation point took beyond what was bought for it, and fed in beyond what was sold."""
    points = [point for point in inputs.metered if point.member not in unmetered | {SUPPLIER}]
    bought = placed_wh(inputs.trades, points, Side.BUY)
    sold = placed_wh(inputs.trades, points, Side.SELL)
    prices = inputs.prices
    for point in sorted(points, key=lambda each: each.ean):
        account = member_account(point.member)
        for register, beyond in (
            ("import", point.import_wh - bought[point.ean]),
            ("export", sold[point.ean] - point.export_wh),
        ):
            # Too little fed in is made up for by the supplier like too much taken, and the other way round.
            price, reason = (
                (prices.import_microeur_per_kwh, PostingReason.IMBALANCE_BUY)
                if beyond > 0
                else (prices.export_microeur_per_kwh, PostingReason.IMBALANCE_SELL)
            )
            yield Line(
                payer=account,
                receiver=SUPPLIER_ACCOUNT,
                amount_nanoeur=amount_nanoeur(price, beyond),
                reason=reason,
                interval_start=inputs.interval_start,
                ref=f"{register}:{point.ean}",
            )


def placed_wh(trades: Iterable[Trade], points: Sequence[MeteredEnergy], side: Side) -> Counter[Ean]:
    """What was traded on one side for each allocation point [Wh].

    A trade that is for no point in particular goes to its member's points in the order of their numbers, to
    each as much as its register has beyond its own trades, and what is left over to the first. All of a
    member's points have the same prices, so the order moves no money.
    """
    placed: Counter[Ean] = Counter()
    loose: Counter[MemberId] = Counter()
    known = {point.ean for point in points}
    for trade in trades:
        if trade.side is side and trade.ean in known and trade.ean is not None:
            placed[trade.ean] += trade.filled_wh
        elif trade.side is side:
            loose[trade.member] += trade.filled_wh
    first: dict[MemberId, Ean] = {}
    for point in sorted(points, key=lambda each: each.ean):
        first.setdefault(point.member, point.ean)
        counted = point.import_wh if side is Side.BUY else point.export_wh
        taken = min(loose[point.member], max(counted - placed[point.ean], 0))
        placed[point.ean] += taken
        loose[point.member] -= taken
    for member, ean in first.items():
        placed[ean] += loose[member]
    return placed


def paid_nanoeur(
    trades: Iterable[Trade], owners: Sequence[MemberId], bought_wh: IntArray
) -> tuple[IntArray, IntArray]:
    """What each point pays for its purchases, to the supplier and to neighbours.

    The auction is one pool: nobody's purchase is of anybody in particular. What members bought beyond all
    that they sold is the supplier's, and of each purchase the same part is.

    Args:
        trades: A quarter-hour's.
        owners: The member of each point, length N.
        bought_wh: What was bought for each point (`placed_wh`), shape (N,).

    Returns:
        Two arrays [nano-euro], shape (N,) each, rounded down to whole ones.
    """
    amounts: Counter[MemberId] = Counter()
    bought: Counter[MemberId] = Counter()
    sold = 0
    for trade in trades:
        if trade.member == SUPPLIER:
            continue
        if trade.side is Side.BUY:
            amounts[trade.member] += trade.amount_nanoeur
            bought[trade.member] += trade.filled_wh
        else:
            sold += trade.filled_wh
    everything = bought.total()
    beyond = max(everything - sold, 0)
    supplied, neighbours = np.zeros_like(bought_wh), np.zeros_like(bought_wh)
    for i, (owner, wh) in enumerate(zip(owners, bought_wh.tolist(), strict=True)):
        if wh:
            whole = amounts[owner] * wh // bought[owner]
            supplied[i] = whole * beyond // everything
            neighbours[i] = whole - supplied[i]
    return supplied, neighbours
