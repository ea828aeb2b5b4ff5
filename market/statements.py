"""Statements: what a member used, made, shared and traded in some days, and what it came to.

Made of the days as they were closed and of the postings that stand for them, so a correction of an old day
shows in its own month when it is asked for again. Beside each sum stands what the same meters would have cost
without sharing or trading, by the same prices, rates and VAT.

Everywhere else but on the record of a charge session money is whole nano-euro. Here it becomes cents: the
total is rounded half up, and the lines are rounded so that they add up to it (largest remainder).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from controller.domain.ids import MemberId
from controller.domain.units import NANOEUR_PER_CENT, cents_of
from market.day_closing import DayPoint
from market.ledger import NO_ENERGY_BILL, Posting, PostingReason, member_account, standing
from market.rates import Rate


class LineKind(StrEnum):
    """What a line of a statement is about, in the order in which they stand."""

    SHARED_BUY = "shared_buy"
    """Neighbours' energy by the sharing key."""
    SHARED_SELL = "shared_sell"
    """Energy given to neighbours by the sharing key."""
    BOUGHT = "bought"
    """Bought in the auction."""
    SOLD = "sold"
    """Sold in the auction."""
    SUPPLY = "supply"
    """Bought from the supplier."""
    FEED_IN = "feed_in"
    """Sold to the supplier."""
    RENT = "rent"
    """Congestion rent returned."""
    GIFT = "gift"
    """What given surplus earned: handed on, or received."""
    IMBALANCE = "imbalance"
    """A part of what imbalance cost."""
    ENERGY_TAX = "energy_tax"
    NETWORK = "network"
    FEED_IN_FEE = "feed_in_fee"
    VAT = "vat"


CHARGES = (LineKind.ENERGY_TAX, LineKind.NETWORK, LineKind.FEED_IN_FEE, LineKind.VAT)
"""Taxes, tariffs and fees: they stand apart from the energy."""
_KINDS = {
    PostingReason.SHARED_BUY: LineKind.SHARED_BUY,
    PostingReason.SHARED_SELL: LineKind.SHARED_SELL,
    PostingReason.SUPPLY: LineKind.SUPPLY,
    PostingReason.IMBALANCE_BUY: LineKind.SUPPLY,
    PostingReason.FEED_IN: LineKind.FEED_IN,
    PostingReason.IMBALANCE_SELL: LineKind.FEED_IN,
    PostingReason.RENT: LineKind.RENT,
    PostingReason.GIFT: LineKind.GIFT,
    PostingReason.IMBALANCE: LineKind.IMBALANCE,
    PostingReason.ENERGY_TAX: LineKind.ENERGY_TAX,
    PostingReason.NETWORK: LineKind.NETWORK,
    PostingReason.FEED_IN_FEE: LineKind.FEED_IN_FEE,
    PostingReason.VAT: LineKind.VAT,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line."""

    kind: LineKind
    energy_wh: int | None
    """None where it is about no energy."""
    amount_nanoeur: int
    """Positive: to be paid; negative: to be received."""
    cents: int
    """The same on the statement."""

    @property
    def price_microeur_per_kwh(self) -> int | None:
        """The mean price, rounded; None where there is no energy."""
        return round(abs(self.amount_nanoeur) / self.energy_wh) if self.energy_wh else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A member's statement over some local days."""

    member: MemberId
    first: date
    last: date
    used_wh: int
    """Taken from the grid, neighbours' energy included."""
    made_wh: int
    """Fed into it."""
    lines: tuple[Line, ...]
    """Those that are about something, in order."""
    total_nanoeur: int
    without_nanoeur: int
    """What it would have been without sharing or trading."""
    sharing_nanoeur: int
    """What it is, or would have been, by sharing after the fact."""
    days: int
    """How many days are closed, of those the statement is about."""
    estimated_quarters: int
    """Quarter-hours of a meter that were estimated."""
    unsettled_quarters: int
    """Quarter-hours of a meter of which nothing is known."""
    rates: tuple[Rate, ...]
    """What was charged beside energy, and where that is written."""

    @property
    def total_cents(self) -> int:
        """The total on the statement."""
        return sum(line.cents for line in self.lines)

    @property
    def without_cents(self) -> int:
        """What it would have been without sharing or trading."""
        return cents_of(self.without_nanoeur)

    @property
    def sharing_cents(self) -> int:
        """What it is, or would have been, by sharing after the fact."""
        return cents_of(self.sharing_nanoeur)

    @property
    def is_traded(self) -> bool:
        """Whether something was traded beforehand, so that sharing would have been another way."""
        return any(line.kind in {LineKind.BOUGHT, LineKind.SOLD} for line in self.lines)


def invoice_cents(amounts_nanoeur: Sequence[int]) -> list[int]:
    """The amounts in cents, so that they add up to the rounded total; each is off by less than a cent.

    Args:
        amounts_nanoeur: The lines' exact amounts.
    """
    floors = [amount // NANOEUR_PER_CENT for amount in amounts_nanoeur]
    left = cents_of(sum(amounts_nanoeur)) - sum(floors)
    largest = sorted(range(len(floors)), key=lambda i: (floors[i] * NANOEUR_PER_CENT - amounts_nanoeur[i], i))
    for i in largest[:left]:
        floors[i] += 1
    return floors


_SUMMED = (
    "offtake_wh",
    "feed_in_wh",
    "received_wh",
    "given_wh",
    "bought_wh",
    "sold_wh",
    "estimated_quarters",
    "unsettled_quarters",
    "without_nanoeur",
    "sharing_nanoeur",
)
"""What a statement adds up of its days' points."""


def make_statement(
    member: MemberId,
    first: date,
    last: date,
    points: Iterable[DayPoint],
    postings: Iterable[Posting],
    rates: Sequence[Rate] = (),
) -> Statement:
    """A member's statement.

    Args:
        member: Whose.
        first: The first local day.
        last: The last one.
        points: The member's points on the closed days among them.
        postings: All postings of the member's account about the quarter-hours of those days.
        rates: The rates that held then.
    """
    kept = list(points)
    sums = {name: sum(getattr(point, name) for point in kept) for name in _SUMMED}
    amounts = _amounts(postings, member_account(member))
    energy = _energy(sums)
    kinds = [kind for kind in LineKind if amounts.get(kind) or (energy.get(kind) and kind not in CHARGES)]
    cents = invoice_cents([amounts.get(kind, 0) for kind in kinds])
    return Statement(
        member=member,
        first=first,
        last=last,
        used_wh=sums["offtake_wh"],
        made_wh=sums["feed_in_wh"],
        lines=tuple(
            Line(
                kind=kind,
                energy_wh=energy.get(kind),
                amount_nanoeur=amounts.get(kind, 0),
                cents=cents[i],
            )
            for i, kind in enumerate(kinds)
        ),
        total_nanoeur=sum(amounts.values()),
        without_nanoeur=sums["without_nanoeur"],
        sharing_nanoeur=sums["sharing_nanoeur"],
        days=len({point.day for point in kept}),
        estimated_quarters=sums["estimated_quarters"],
        unsettled_quarters=sums["unsettled_quarters"],
        rates=tuple(rates),
    )


def _amounts(postings: Iterable[Posting], account: str) -> dict[LineKind, int]:
    """What stands, by kind of line [nano-euro]; positive: paid."""
    amounts: dict[LineKind, int] = {}
    for entry in standing(postings):
        if entry.reason in NO_ENERGY_BILL:
            continue
        paid = entry.amount_nanoeur if entry.debit_account == account else -entry.amount_nanoeur
        if entry.reason is PostingReason.TRADE:
            # What was bought at a negative price counts with what was sold.
            kind = LineKind.BOUGHT if paid >= 0 else LineKind.SOLD
        else:
            kind = _KINDS[entry.reason]
        amounts[kind] = amounts.get(kind, 0) + paid
    return amounts


def _energy(sums: Mapping[str, int]) -> dict[LineKind, int]:
    """The energy of each kind of line that is about energy [Wh].

    Where there were trades, what the supplier sold and bought is deviations from them, of both kinds at once.
    """
    energy = {
        LineKind.SHARED_BUY: sums["received_wh"],
        LineKind.SHARED_SELL: sums["given_wh"],
        LineKind.BOUGHT: sums["bought_wh"],
        LineKind.SOLD: sums["sold_wh"],
        LineKind.ENERGY_TAX: sums["offtake_wh"],
        LineKind.NETWORK: sums["offtake_wh"],
    }
    if not sums["bought_wh"] and not sums["sold_wh"]:
        energy[LineKind.SUPPLY] = sums["offtake_wh"] - sums["received_wh"]
        energy[LineKind.FEED_IN] = sums["feed_in_wh"] - sums["given_wh"]
    return energy


def amount_of(statement: Statement, *kinds: LineKind) -> int:
    """What the lines of some kinds come to [nano-euro]."""
    return sum(line.amount_nanoeur for line in statement.lines if line.kind in kinds)
