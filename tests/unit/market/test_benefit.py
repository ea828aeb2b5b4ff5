"""What the auction brings, scaled to a year and net of its fee."""

from __future__ import annotations

from datetime import date

from controller.domain.ids import Ean, MemberId
from market.benefit import Benefit, benefits
from market.day_closing import DayPoint


def point(day: int, member: str, sharing: int, without: int, ean: str = "e") -> DayPoint:
    """A day's point, of which only the money matters."""
    return DayPoint(
        day=date(2024, 6, day),
        ean=Ean(ean),
        member=MemberId(member),
        offtake_wh=0,
        feed_in_wh=0,
        received_wh=0,
        given_wh=0,
        bought_wh=0,
        sold_wh=0,
        estimated_quarters=0,
        unsettled_quarters=0,
        without_nanoeur=without,
        sharing_nanoeur=sharing,
    )


def test_two_days_of_two_members() -> None:
    """Ann would have paid 100 + 90 by sharing, 130 + 120 without, and paid 150; Bob has two points.

    Ann gains (190 - 150) x 365 / 2 - 300 = 7,000 a year, and saves (250 - 150) x 365 / 2 - 300 = 17,950.
    """
    points = [
        point(1, "ann", 100, 130),
        point(2, "ann", 90, 120),
        point(1, "bob", -10, -5),
        point(1, "bob", -20, -5, ean="f"),
    ]
    ann, bob = benefits(points, {"member:ann": 150, "member:bob": -25, "supplier": -125}, 300)
    assert (ann.days, ann.gain_nanoeur_per_year, ann.saving_nanoeur_per_year) == (2, 7_000, 17_950)
    assert bob == Benefit(
        member=MemberId("bob"),
        days=1,
        paid_nanoeur=-25,
        sharing_nanoeur=-30,
        without_nanoeur=-10,
        fee_nanoeur_per_year=300,
    )
    assert bob.gain_nanoeur_per_year == -5 * 365 - 300


def test_who_has_no_closed_day_is_not_there() -> None:
    """There is nothing to scale to a year."""
    assert benefits([], {"member:ann": 5}, 0) == []
