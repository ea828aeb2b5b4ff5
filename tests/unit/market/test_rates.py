"""Rates hold from a day to a day; gaps and overlaps are mistakes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from controller.domain.time import QUARTER
from market.rates import Rate, RateKind, rate_at, rate_problems

START = datetime(2024, 6, 1, tzinfo=UTC)
END = START + timedelta(days=2)
NOON = START + timedelta(hours=12)


def tax(value: int, begin: datetime, end: datetime | None = None, *, supplier: str = "") -> Rate:
    """An energy tax."""
    return Rate(
        kind=RateKind.ENERGY_TAX, value=value, from_utc=begin, to_utc=end, supplier=supplier, source="law"
    )


def rules(*rates: Rate) -> list[str]:
    """What is wrong with them for two days, in words."""
    return [str(problem) for problem in rate_problems(rates, START, END)]


def test_a_rate_changes_on_the_quarter_hour() -> None:
    """The old one up to noon, the new one from noon on."""
    rates = (tax(100, START, NOON), tax(120, NOON))
    starts = [NOON - QUARTER, NOON, NOON + QUARTER]
    assert rules(*rates) == []
    assert rate_at(rates, RateKind.ENERGY_TAX, "north", starts).tolist() == [100, 120, 120]


def test_a_suppliers_own_rate_goes_before_everybodys() -> None:
    """Only for its customers and only while it holds, in whichever order they stand."""
    rates = (tax(90, START, NOON, supplier="north"), tax(100, START))
    starts = [START, NOON]
    assert rules(*rates) == []
    assert rate_at(rates, RateKind.ENERGY_TAX, "north", starts).tolist() == [90, 100]
    assert rate_at(rates, RateKind.ENERGY_TAX, "south", starts).tolist() == [100, 100]


def test_a_kind_that_is_not_there_is_not_charged() -> None:
    """0, and no problem."""
    assert rate_at((tax(100, START),), RateKind.NETWORK, "north", [START]).tolist() == [0]


@pytest.mark.parametrize(
    ("rates", "problem"),
    [
        ([tax(1, NOON)], "rates[0].from_utc: no energy_tax rate holds from 2024-06-01T00:00:00Z on"),
        ([tax(1, START, NOON)], "rates[0].to_utc: no energy_tax rate holds from 2024-06-01T12:00:00Z on"),
        (
            [tax(1, START, NOON), tax(2, NOON + QUARTER)],
            "rates[1].from_utc: no energy_tax rate holds from 2024-06-01T12:00:00Z on",
        ),
        ([tax(1, START), tax(2, NOON)], "rates[1].from_utc: another energy_tax rate still holds then"),
        ([tax(2, NOON), tax(1, START)], "rates[0].from_utc: another energy_tax rate still holds then"),
        ([tax(-1, START)], "rates[0].value: must lie in [0, 100000000]"),
        ([tax(1, START, START)], "rates[0].to_utc: must lie after from_utc"),
        (
            [tax(1, START - timedelta(seconds=1))],
            "rates[0].from_utc: must be the start of a quarter-hour",
        ),
    ],
)
def test_what_is_wrong_is_said(rates: list[Rate], problem: str) -> None:
    """Each by its place."""
    assert problem in rules(*rates)


def test_a_rate_without_a_source_is_refused() -> None:
    """A figure of the law has a place where it is written."""
    assert rules(Rate(kind=RateKind.VAT, value=210_000, from_utc=START, source=" ")) == [
        "rates[0].source: must say where the rate is written"
    ]


def test_rates_outside_the_time_do_not_matter() -> None:
    """An older gap is nobody's business now."""
    old = tax(1, START - timedelta(days=20), START - timedelta(days=10))
    assert rules(old, tax(2, START - timedelta(days=5))) == []


def test_without_a_time_only_what_lies_between_rates_is_looked_at() -> None:
    """A tax that begins later and one that has ended are fine; a gap and an overlap are not."""
    fine = [tax(1, NOON, NOON + QUARTER), tax(2, NOON + QUARTER, END)]
    assert list(rate_problems(fine)) == []
    gap = [tax(1, START, NOON), tax(2, NOON + QUARTER)]
    overlap = [tax(1, START), tax(2, NOON)]
    assert [len(list(rate_problems(rates))) for rates in (gap, overlap)] == [1, 1]
