"""A car's lifetime budget for giving back, and what a kWh of it is worth now.

A maker may warrant a battery for so many kWh and hours of discharge beside its driving. What is used
today is not there later, so it has a price: a shadow price, on top of wear. The rule looks at the pace.
Of the budget the share `r` is left, of the life it has to last the share `s`. At `s / r = 1` the rest lasts
exactly; at 2 the rest is used up twice as fast as its life passes. The price is

    scarcity_eur_per_kwh * max(0, s / r - 1)

which is 0 for a car that is on its pace or slower, rises the more the budget runs ahead of the life, and
has no bound as the budget ends: then nothing is discharged. It needs no forecast and settles by itself:
the dearer discharge is, the fewer hours pay for it, and `s` falls while `r` stands. Where both energy and
hours are limited, the scarcer of the two decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from controller.domain.errors import Problem

TYPICAL_SPREAD_EUR_PER_KWH = 0.08
"""Four dearest less four cheapest hours of a day: median of the Dutch day-ahead prices 2023 to 2025.

A car that is used twice too fast then discharges on days with more than the usual spread only.
"""
YEAR = timedelta(days=365.25)


@dataclass(frozen=True, slots=True, kw_only=True)
class V2gBudget:
    """What a car may give back in its life, counted from a day on."""

    energy_kwh: float | None = None
    """Discharged at the AC side [kWh]; None: no limit of energy."""
    hours: float | None = None
    """Time spent discharging [h]; None: no limit of time."""
    used_kwh: float = 0.0
    """Used before `since` [kWh]."""
    used_h: float = 0.0
    """Used before `since` [h]."""
    since: date
    """From this day on the meters count."""
    life_years: float
    """How long from `since` on the rest of the budget has to last [years]."""
    scarcity_eur_per_kwh: float = TYPICAL_SPREAD_EUR_PER_KWH
    """The price of a kWh where the rest is used twice as fast as its life passes [EUR/kWh]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class V2gUse:
    """What a car's meters saw it give back since its budget began."""

    energy_kwh: float = 0.0
    hours: float = 0.0
    """Quarter-hours in which it gave back, each counted in full [h]."""


def budget_left_fraction(budget: V2gBudget, use: V2gUse) -> float:
    """The share of the budget that was left on its first day and still is: 1 is all, 0 none."""
    shares = [1.0]
    for whole, before, since in (
        (budget.energy_kwh, budget.used_kwh, use.energy_kwh),
        (budget.hours, budget.used_h, use.hours),
    ):
        if whole is not None:
            first = whole - before
            shares.append(max(0.0, 1.0 - since / first) if first > 0.0 else 0.0)
    return min(shares)


def budget_price_eur_per_kwh(budget: V2gBudget, use: V2gUse, now: datetime) -> float | None:
    """What a discharged kWh (AC side) takes from the budget, in money.

    Args:
        budget: The budget with its life.
        use: What was used of it since its first day.
        now: The moment.

    Returns:
        Price [EUR/kWh], never negative, the higher the more is used and the lower the more of the life has
        passed; None where nothing is left: no discharge.
    """
    left = budget_left_fraction(budget, use)
    if left <= 0.0:
        return None
    first_day = datetime(budget.since.year, budget.since.month, budget.since.day, tzinfo=UTC)
    life_left = min(1.0, max(0.0, 1.0 - (now - first_day) / (budget.life_years * YEAR)))
    return budget.scarcity_eur_per_kwh * max(0.0, life_left / left - 1.0)


def budget_problems(place: str, budget: V2gBudget) -> Iterator[Problem]:
    """What is wrong with a budget; `place` is the path to it."""
    if budget.energy_kwh is None and budget.hours is None:
        yield Problem(place=place, rule="limits nothing: give energy_kwh, hours or both")
    for name in ("energy_kwh", "hours", "used_kwh", "used_h", "scarcity_eur_per_kwh"):
        value = getattr(budget, name)
        if value is not None and not 0 <= value < float("inf"):
            rule = f"must be a finite number of at least 0, is {value}"
            yield Problem(place=f"{place}.{name}", rule=rule)
    if not 0 < budget.life_years < float("inf"):
        rule = f"must be a finite number of more than 0, is {budget.life_years}"
        yield Problem(place=f"{place}.life_years", rule=rule)
