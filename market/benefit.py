"""What the auction brings each member in a year, against sharing after the fact and against neither.

Of every closed day it is known what the same meters would have cost by sharing, and what without either, by
the same prices, rates and VAT; what they did cost is booked. The differences are scaled to a year by the days
that are there, so a few winter weeks say little of a summer: the number of days stands beside them. What
taking part in the auction costs a year is taken off.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from controller.domain.ids import MemberId
from market.day_closing import DayPoint
from market.ledger import member_account

DAYS_PER_YEAR = 365


@dataclass(frozen=True, slots=True, kw_only=True)
class Benefit:
    """One member's sums over some days."""

    member: MemberId
    days: int
    paid_nanoeur: int
    """What was booked; positive: paid."""
    sharing_nanoeur: int
    """What it would have been by sharing after the fact."""
    without_nanoeur: int
    """What it would have been with neither."""
    fee_nanoeur_per_year: int
    """What taking part in the auction costs."""

    @property
    def gain_nanoeur_per_year(self) -> int:
        """What the auction brings more than sharing would, net of its fee; negative: less."""
        return self._yearly(self.sharing_nanoeur - self.paid_nanoeur) - self.fee_nanoeur_per_year

    @property
    def saving_nanoeur_per_year(self) -> int:
        """What the auction saves against having neither, net of its fee."""
        return self._yearly(self.without_nanoeur - self.paid_nanoeur) - self.fee_nanoeur_per_year

    def _yearly(self, amount_nanoeur: int) -> int:
        return amount_nanoeur * DAYS_PER_YEAR // self.days


def benefits(
    points: Iterable[DayPoint], balances_nanoeur: Mapping[str, int], fee_nanoeur_per_year: int
) -> list[Benefit]:
    """The benefit of each member who has a point on some closed day, by member.

    Args:
        points: The closed days' points.
        balances_nanoeur: What each account paid for the quarter-hours of those days, debits positive.
        fee_nanoeur_per_year: What taking part in the auction costs a member.
    """
    sharing: defaultdict[MemberId, int] = defaultdict(int)
    without: defaultdict[MemberId, int] = defaultdict(int)
    days: defaultdict[MemberId, set[date]] = defaultdict(set)
    for point in points:
        sharing[point.member] += point.sharing_nanoeur
        without[point.member] += point.without_nanoeur
        days[point.member].add(point.day)
    return [
        Benefit(
            member=member,
            days=len(days[member]),
            paid_nanoeur=balances_nanoeur.get(member_account(member), 0),
            sharing_nanoeur=sharing[member],
            without_nanoeur=without[member],
            fee_nanoeur_per_year=fee_nanoeur_per_year,
        )
        for member in sorted(days)
    ]
