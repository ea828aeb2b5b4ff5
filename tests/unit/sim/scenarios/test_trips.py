"""Bookings: nobody is in two places, announcements are in time, the day looks like ElaadNL's."""

from __future__ import annotations

import itertools
from collections import defaultdict
from datetime import timedelta

import numpy as np
import pytest

from controller.domain.time import AMSTERDAM
from sim.physics.profiles import arrivals_by_hour, session_energy_kwh
from sim.scenarios.scenario import TrueTrip
from sim.scenarios.trips import TripBook
from tests.support.sim import START, scenario


@pytest.fixture(scope="module")
def trips() -> list[TrueTrip]:
    """Two weeks of sixty cars."""
    book = TripBook(scenario(chargers__count=60, cars__count=60), START)
    book.draw_until(START + timedelta(days=14))
    return book.trips


def test_a_car_is_back_and_plugged_before_it_leaves_again(trips: list[TrueTrip]) -> None:
    """Leave, return, plug in, leave: in this order, always."""
    by_car: dict[int, list[TrueTrip]] = defaultdict(list)
    for trip in trips:
        by_car[trip.vehicle].append(trip)
    for own in by_car.values():
        own.sort(key=lambda trip: trip.leaves_utc)
        for before, after in itertools.pairwise(own):
            assert before.plugs_utc < after.leaves_utc
    assert all(trip.leaves_utc < trip.returns_utc < trip.plugs_utc for trip in trips)


def test_drivers_come_up_to_ten_minutes_late_and_never_early(trips: list[TrueTrip]) -> None:
    """The car is there at the booked start, with what was asked for."""
    late = [trip.leaves_utc - trip.booking.from_utc for trip in trips]
    assert min(late) >= timedelta(0)
    assert max(late) <= timedelta(minutes=10)


def test_bookings_are_announced_half_a_day_ahead_or_at_the_start(trips: list[TrueTrip]) -> None:
    """Between 12 and 48 hours ahead."""
    for trip in trips:
        ahead = trip.booking.from_utc - trip.announced_utc
        assert ahead <= timedelta(hours=48)
        assert trip.announced_utc == START or ahead >= timedelta(hours=12) - timedelta(seconds=1)


def test_return_and_energy_are_uncertain(trips: list[TrueTrip]) -> None:
    """Some come early, some late, some need more than they booked; what they ask for is what they need."""
    early = [trip.returns_utc < trip.booking.to_utc for trip in trips]
    more = [trip.energy_kwh > trip.booking.energy_kwh for trip in trips]
    assert 0.2 < np.mean(early) < 0.8
    assert 0.2 < np.mean(more) < 0.8
    assert all((trip.booking.departure_min_kwh or 0.0) > trip.booking.energy_kwh for trip in trips)


def test_as_many_bookings_as_the_scenario_says(trips: list[TrueTrip]) -> None:
    """1.2 a car and day, overlaps notwithstanding."""
    whole = [trip for trip in trips if trip.booking.from_utc >= START + timedelta(days=1)]
    whole = [trip for trip in whole if trip.booking.from_utc < START + timedelta(days=13)]
    assert len(whole) / (60.0 * 12.0) == pytest.approx(1.2, rel=0.12)


def test_cars_come_home_when_dutch_cars_do(trips: list[TrueTrip]) -> None:
    """Most weekday arrivals fall between 16 and 23 h local."""
    ends = [trip.booking.to_utc.astimezone(AMSTERDAM) for trip in trips]
    weekday = [end.hour for end in ends if end.weekday() < 5]
    evening = np.mean([16 <= hour < 23 for hour in weekday])
    assert 0.45 < evening < 0.75


def test_drawing_in_pieces_is_drawing_at_once() -> None:
    """The book is the same however far ahead one looks at a time."""
    at_once, in_pieces = (TripBook(scenario(), START) for _ in range(2))
    at_once.draw_until(START + timedelta(days=5))
    for hours in range(0, 121, 7):
        in_pieces.draw_until(START + timedelta(hours=hours))
    in_pieces.draw_until(START + timedelta(days=5))
    assert at_once.trips == in_pieces.trips


def test_a_warm_up_sees_the_same_trips() -> None:
    """A book opened a day earlier has the same bookings from the start on."""
    plain, warm = TripBook(scenario(), START), TripBook(scenario(), START - timedelta(days=1))
    for book in (plain, warm):
        book.draw_until(START + timedelta(days=2))
    after = [trip.booking for trip in warm.trips if trip.plugs_utc > START]
    assert after == [trip.booking for trip in plain.trips]


def test_tables_keep_their_means() -> None:
    """Arrivals sum to 1; the energy's mean over the arrivals is that of the session table."""
    monday = START.astimezone(AMSTERDAM).date()
    assert arrivals_by_hour(monday).sum() == pytest.approx(1.0)
    quantiles = np.linspace(0.0, 1.0, 201)
    evening = np.mean([session_energy_kwh(q, 20, public=False) for q in quantiles])
    noon = np.mean([session_energy_kwh(q, 11, public=False) for q in quantiles])
    assert evening / noon == pytest.approx(29.1 / 14.8)
