"""Homes and buildings: on average the standard profile, one by one appliances that switch."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from sim.physics.homes import MINUTES, building_kw, heat_pump_kw, household_kw, local_hours
from sim.physics.profiles import e1a_fraction_of_year

JANUARY_MONDAY = date(2024, 1, 15)


def test_many_homes_together_show_the_standard_profile() -> None:
    """A thousand homes use what E1A says for the day, within a few percent, and peak when it peaks."""
    power = household_kw(np.full(1500, 2500.0), JANUARY_MONDAY, seed=3)
    hours = local_hours(JANUARY_MONDAY)
    used = power.mean(axis=0)
    expected_kwh = float(e1a_fraction_of_year(JANUARY_MONDAY).sum()) * 4.0 * 2500.0
    assert used.sum() / 60.0 == pytest.approx(expected_kwh, rel=0.04)
    by_hour = [used[(hours >= h) & (hours < h + 1)].mean() for h in range(24)]
    assert int(np.argmax(by_hour)) in {17, 18, 19}
    assert by_hour[18] > 2.5 * by_hour[3]


def test_one_home_is_no_smooth_mean() -> None:
    """A single home has steps of more than a kilowatt within a minute."""
    power = household_kw(np.full(20, 2500.0), JANUARY_MONDAY, seed=3)
    steps = np.abs(np.diff(power, axis=1)).max(axis=1)
    assert np.median(steps) > 1.0
    assert power.min() >= 0.0


def test_a_day_does_not_depend_on_the_days_before() -> None:
    """Asked twice, a day is the same; with another seed it is not."""
    yearly = np.full(5, 2500.0)
    first = household_kw(yearly, JANUARY_MONDAY, seed=3)
    assert np.array_equal(first, household_kw(yearly, JANUARY_MONDAY, seed=3))
    assert not np.array_equal(first, household_kw(yearly, JANUARY_MONDAY, seed=4))


def test_heat_pump_runs_on_and_off_with_the_duty_the_cold_asks_for() -> None:
    """At 2 C a house of 0.2 kW/K needs 3 kW of heat: at a COP of 3.5 that is 43% of a 2 kW pump's time."""
    outdoor = np.full(MINUTES, 2.0)
    power = heat_pump_kw(
        rated_kw=np.full(200, 2.0),
        loss_kw_per_k=np.full(200, 0.2),
        outdoor_c=outdoor,
        day=JANUARY_MONDAY,
        seed=1,
    )
    assert set(np.unique(power)) == {0.0, 2.0}
    lift = 33.0
    performance = 6.81 - 0.121 * lift + 0.000630 * lift**2
    duty = 0.2 * 15.0 / performance / 2.0
    # Hot water adds up to 45 minutes a day, less where the pump runs anyway.
    assert duty <= power.mean() / 2.0 <= duty + 45.0 / MINUTES


def test_heat_pump_only_makes_hot_water_in_summer() -> None:
    """On a warm day 45 minutes remain."""
    power = heat_pump_kw(
        rated_kw=np.array([2.0, 0.0]),
        loss_kw_per_k=np.array([0.2, 0.0]),
        outdoor_c=np.full(MINUTES, 22.0),
        day=date(2024, 7, 1),
        seed=1,
    )
    assert power.sum(axis=1) / 60.0 == pytest.approx([2.0 * 0.75, 0.0])


def test_building_is_open_on_weekdays() -> None:
    """A school at noon uses several times what it uses at night or on Sunday."""
    weekday = building_kw(np.array([60000.0]), JANUARY_MONDAY, seed=1)[0]
    sunday = building_kw(np.array([60000.0]), date(2024, 1, 14), seed=1)[0]
    noon = slice(10 * 60, 12 * 60)
    assert weekday[noon].mean() > 4.0 * weekday[60:120].mean()
    assert weekday[noon].mean() > 4.0 * sunday[noon].mean()


@pytest.mark.parametrize(("day", "jump"), [(date(2024, 3, 31), 1.0), (date(2024, 10, 27), -1.0)])
def test_local_hours_follow_the_change_of_clocks(day: date, jump: float) -> None:
    """At 01:00 UTC local time goes on an hour (spring) or stands back (autumn)."""
    hours = local_hours(day)
    assert len(hours) == MINUTES
    assert hours[60] - hours[59] == pytest.approx(jump + 1.0 / 60.0)


def test_profile_sums_to_a_year() -> None:
    """The table's quarter-hours of a whole year sum to 1."""
    days = [date.fromordinal(date(2023, 1, 1).toordinal() + i) for i in range(365)]
    assert sum(4.0 * float(e1a_fraction_of_year(day).sum()) for day in days) == pytest.approx(1.0, rel=0.01)
