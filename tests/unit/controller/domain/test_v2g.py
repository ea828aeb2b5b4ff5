"""A car's lifetime budget: by hand, and its properties."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain.v2g import (
    YEAR,
    V2gBudget,
    V2gUse,
    budget_left_fraction,
    budget_price_eur_per_kwh,
    budget_problems,
)

SINCE = datetime(2024, 1, 1, tzinfo=UTC)
BUDGET = V2gBudget(energy_kwh=10_000.0, hours=4_000.0, since=date(2024, 1, 1), life_years=10.0)
"""The figures that a German maker publishes for its two-way cars."""

used_kwh = st.floats(0.0, 12_000.0)
used_h = st.floats(0.0, 5_000.0)
years = st.floats(-1.0, 12.0)


@pytest.mark.parametrize(
    ("energy_kwh", "passed_years", "price"),
    [
        (0.0, 0.0, 0.0),
        (1_000.0, 1.0, 0.0),  # on its pace
        (500.0, 5.0, 0.0),  # far behind it
        (5_000.0, 0.0, 0.08),  # half is used on the first day: the rest goes twice too fast
        (9_000.0, 5.0, 0.08 * (0.5 / 0.1 - 1.0)),
        (9_999.0, 10.0, 0.0),  # its life is over: what is left is nobody's loss
        (10_000.0, 5.0, None),
        (11_000.0, 5.0, None),
    ],
)
def test_the_price_compares_what_is_left_with_the_life_that_is_left(
    energy_kwh: float, passed_years: float, price: float | None
) -> None:
    """By hand: scarcity times (share of life left over share of budget left, less 1)."""
    now = SINCE + passed_years * YEAR
    found = budget_price_eur_per_kwh(BUDGET, V2gUse(energy_kwh=energy_kwh), now)
    assert found is None if price is None else found == pytest.approx(price, abs=1e-9)


def test_the_scarcer_of_energy_and_hours_decides() -> None:
    """A tenth of the energy and half of the hours: half is left."""
    assert budget_left_fraction(BUDGET, V2gUse(energy_kwh=1_000.0, hours=2_000.0)) == pytest.approx(0.5)
    assert budget_left_fraction(BUDGET, V2gUse(energy_kwh=6_000.0, hours=2_000.0)) == pytest.approx(0.4)


def test_what_was_used_before_is_not_there_to_last() -> None:
    """Half was used before the first day: the other half is the whole that its life is compared with."""
    half = replace(BUDGET, used_kwh=5_000.0)
    assert budget_price_eur_per_kwh(half, V2gUse(), SINCE) == 0.0
    assert budget_left_fraction(half, V2gUse(energy_kwh=2_500.0)) == pytest.approx(0.5)
    spent = replace(BUDGET, used_h=4_000.0)
    assert budget_price_eur_per_kwh(spent, V2gUse(), SINCE) is None


@given(used_kwh, used_h, used_kwh, used_h, years)
def test_using_more_never_makes_it_cheaper(
    kwh: float, hours: float, more_kwh: float, more_h: float, passed: float
) -> None:
    """Monotone in both kinds of use, never negative, and for ever gone once it is."""
    now = SINCE + passed * YEAR
    less = budget_price_eur_per_kwh(BUDGET, V2gUse(energy_kwh=kwh, hours=hours), now)
    more = budget_price_eur_per_kwh(BUDGET, V2gUse(energy_kwh=kwh + more_kwh, hours=hours + more_h), now)
    if less is None:
        assert more is None
    else:
        assert less >= 0.0
        assert more is None or more >= less


@given(used_kwh, used_h, years, st.floats(0.0, 5.0))
def test_time_that_passes_without_use_makes_it_cheaper(
    kwh: float, hours: float, passed: float, later: float
) -> None:
    """The rest has less long to last."""
    use = V2gUse(energy_kwh=kwh, hours=hours)
    now = budget_price_eur_per_kwh(BUDGET, use, SINCE + passed * YEAR)
    then = budget_price_eur_per_kwh(BUDGET, use, SINCE + (passed + later) * YEAR)
    assert (now is None) == (then is None)
    assert now is None or then is None or then <= now + 1e-12


def test_all_that_is_wrong_is_told() -> None:
    """No limit at all, negative figures, no life."""
    wrong = V2gBudget(used_kwh=-1.0, since=date(2024, 1, 1), life_years=0.0)
    places = [problem.place for problem in budget_problems("vehicles[2].v2g_budget", wrong)]
    assert places == [
        "vehicles[2].v2g_budget",
        "vehicles[2].v2g_budget.used_kwh",
        "vehicles[2].v2g_budget.life_years",
    ]
    assert list(budget_problems("x", BUDGET)) == []


def test_a_day_in_the_future_counts_as_the_first() -> None:
    """Its life cannot be longer than whole."""
    use = V2gUse(energy_kwh=5_000.0)
    early = budget_price_eur_per_kwh(BUDGET, use, SINCE - timedelta(days=400))
    assert early == budget_price_eur_per_kwh(BUDGET, use, SINCE)
