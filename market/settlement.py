"""Settlement: from trades and meters of one quarter-hour to postings.

After the quarter-hour the meters tell what was really used. What a member traded is paid at the clearing
price. What was used beyond it is bought from the supplier at the supplier's import price; what was traded
and not used, or fed in beyond it, is sold to the supplier at its export price. So each pays for its own
deviation. Price times watt-hours is whole nano-euro: there is nothing to round.

A member's allocation points are taken together. A member whose meters are not all in is not settled
against them yet: unknown is not 0. When the data come, or are corrected, the same sum is done again and
only the difference is booked: what changed is reversed and booked anew, the rest stays.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from controller.domain.ids import Ean, MemberId
from market.clearing.result import Fill, IntervalResult
from market.ledger import (
    COMMUNITY_ACCOUNT,
    MARKET_ACCOUNT,
    SUPPLIER_ACCOUNT,
    Posting,
    PostingReason,
    member_account,
    posting,
    reverse,
    standing,
)
from market.orders import SUPPLIER, Order, Side
from market.prices import amount_nanoeur


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """One filled order."""

    order_id: str
    member: MemberId
    side: Side
    filled_wh: int
    amount_nanoeur: int
    """What the member pays; negative for what it is paid."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What there is to book."""

    postings: tuple[Posting, ...]
    """Only what is new, reversals first; booking them twice changes nothing."""
    unmetered: tuple[MemberId, ...]
    """Members whose deviation waits for meter data."""
    estimated: tuple[MemberId, ...]
    """Members settled by an estimate."""


def trades_of(result: IntervalResult, orders: Iterable[Order]) -> tuple[Trade, ...]:
    """The filled orders of a clearing, by order id.

    Raises:
        KeyError: If a fill's order is not among `orders`.
    """
    by_id = {order.order_id: order for order in orders}
    return tuple(_trade(by_id[fill.order_id], fill) for fill in result.fills if fill.filled_wh)


def _trade(order: Order, fill: Fill) -> Trade:
    return Trade(
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
    by_member = _net_metered(inputs)
    unmetered = _unmetered(inputs)
    wanted = [*_trade_lines(inputs), *_deviation_lines(inputs, by_member, unmetered)]
    booked_before = Counter((entry.reason, entry.ref) for entry in previous)
    stands = {(entry.reason, entry.ref): entry for entry in standing(previous)}
    right = {line.key: line.booked(inputs, 0, booked_at) for line in wanted}
    wrong = [entry for key, entry in stands.items() if not _same(entry, right.get(key))]
    wrong_keys = {(entry.reason, entry.ref) for entry in wrong}
    fresh = [
        line.booked(inputs, booked_before[line.key], booked_at)
        for line in wanted
        if line.key not in stands or line.key in wrong_keys
    ]
    return Settlement(
        postings=(*(reverse(entry, booked_at=booked_at) for entry in wrong), *fresh),
        unmetered=tuple(sorted(unmetered)),
        estimated=tuple(sorted({point.member for point in inputs.metered if point.estimated})),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """A movement that should stand in the ledger."""

    payer: str
    receiver: str
    amount_nanoeur: int
    reason: PostingReason
    ref: str

    @property
    def key(self) -> tuple[PostingReason, str]:
        """What it is about: there is one of these per quarter-hour."""
        return self.reason, self.ref

    def booked(self, inputs: SettlementInputs, revision: int, booked_at: datetime) -> Posting:
        """The posting of it."""
        return posting(
            payer=self.payer,
            receiver=self.receiver,
            amount_nanoeur=self.amount_nanoeur,
            reason=self.reason,
            interval_start=inputs.interval_start,
            ref=self.ref,
            booked_at=booked_at,
            revision=revision,
        )


def _same(one: Posting, other: Posting | None) -> bool:
    return other is not None and (one.debit_account, one.credit_account, one.amount_nanoeur) == (
        other.debit_account,
        other.credit_account,
        other.amount_nanoeur,
    )


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


def _net_metered(inputs: SettlementInputs) -> dict[MemberId, int]:
    """Each member's consumption less production [Wh], over all its allocation points."""
    net: defaultdict[MemberId, int] = defaultdict(int)
    for point in inputs.metered:
        net[point.member] += point.import_wh - point.export_wh
    return dict(net)


def _unmetered(inputs: SettlementInputs) -> set[MemberId]:
    """Members of whom a meter, or every meter, is missing."""
    missing = (inputs.expected or frozenset()) - {point.ean for point in inputs.metered}
    owners = inputs.members_of or {}
    traders = {trade.member for trade in inputs.trades} - {SUPPLIER}
    seen = {point.member for point in inputs.metered}
    return {owners[point] for point in missing} | (traders - seen)


def _trade_lines(inputs: SettlementInputs) -> list[_Line]:
    """Buyers pay the market, the market pays sellers; what is left over is the congestion rent."""
    lines = [
        _Line(
            payer=member_account(trade.member),
            receiver=MARKET_ACCOUNT,
            amount_nanoeur=trade.amount_nanoeur,
            reason=PostingReason.TRADE,
            ref=trade.order_id,
        )
        for trade in inputs.trades
    ]
    lines.append(
        _Line(
            payer=MARKET_ACCOUNT,
            receiver=COMMUNITY_ACCOUNT,
            amount_nanoeur=sum(trade.amount_nanoeur for trade in inputs.trades),
            reason=PostingReason.RENT,
            ref="congestion",
        )
    )
    return [line for line in lines if line.amount_nanoeur]


def _deviation_lines(
    inputs: SettlementInputs, net_metered: Mapping[MemberId, int], unmetered: set[MemberId]
) -> list[_Line]:
    """What each member used beyond its trades, with the supplier."""
    traded: defaultdict[MemberId, int] = defaultdict(int)
    for trade in inputs.trades:
        traded[trade.member] += trade.filled_wh if trade.side is Side.BUY else -trade.filled_wh
    lines = []
    for member in sorted(net_metered.keys() - unmetered - {SUPPLIER}):
        beyond = net_metered[member] - traded[member]
        price, reason = (
            (inputs.prices.import_microeur_per_kwh, PostingReason.IMBALANCE_BUY)
            if beyond > 0
            else (inputs.prices.export_microeur_per_kwh, PostingReason.IMBALANCE_SELL)
        )
        lines.append(
            _Line(
                payer=member_account(member),
                receiver=SUPPLIER_ACCOUNT,
                amount_nanoeur=amount_nanoeur(price, beyond),
                reason=reason,
                ref=f"meter:{member}",
            )
        )
    return [line for line in lines if line.amount_nanoeur]
