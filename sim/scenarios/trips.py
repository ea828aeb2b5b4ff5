"""Bookings of the shared cars, and what really happens.

A car has none, one or more bookings a day. When they end follows ElaadNL's distribution of arrivals on
weekdays and in weekends, what they take its distribution of energy per session; how long they last is a
lognormal around four hours, as round trips with shared cars are. The driver comes up to ten minutes late
for the car, is back some time around the booked end, and now and then forgets to plug in for a while.

Bookings are drawn day by day (local) from (seed, day), in order, because a car can only leave after it
came back. The book is drawn as far ahead as anyone asks.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np

from controller.domain.assets import Booking
from controller.domain.time import AMSTERDAM, QUARTER, quarter_start
from sim.physics.profiles import arrivals_by_hour, session_energy_kwh
from sim.scenarios.scenario import Scenario, TrueTrip

MOST_PER_DAY = 3
GAP = timedelta(minutes=120)
"""At least this lies between two bookings of a car: the latest return and the longest forgetting fit in."""
WARM_UP = timedelta(days=1)
"""How long before a scenario's start a world may begin."""
_LATEST_RETURN_MIN = 75.0
_EARLIEST_RETURN_MIN = -60.0
_FORGETS = 0.04
_KW_DRIVING = 11.0
"""More than 60 km/h on average does not fit into a city's bookings: the energy a trip can take per hour."""
_MOST_OF_CAPACITY = 0.6
_NEED_FACTOR = 1.15
_NEED_MOST_OF_CAPACITY = 0.9


class TripBook:
    """All trips drawn so far. `trips` only grows."""

    def __init__(self, scenario: Scenario, since: datetime) -> None:
        """Opens the book.

        Args:
            scenario: Its start anchors the drawing, so that a warm-up sees the same trips.
            since: Trips that were over by then are left out; at most `WARM_UP` before the scenario's start.
        """
        self._scenario = scenario
        self._since = since
        local_start = scenario.start_utc.astimezone(AMSTERDAM).date()
        self._next_day = local_start - WARM_UP - timedelta(days=1)
        self._free_from = [datetime.min.replace(tzinfo=UTC)] * len(scenario.site.vehicles)
        self.trips: list[TrueTrip] = []

    def draw_until(self, at: datetime) -> None:
        """Draws every booking that begins before `at`."""
        # A booking that ends on the day after may begin today.
        last = at.astimezone(AMSTERDAM).date() + timedelta(days=1)
        while self._next_day <= last:
            self._draw_day(self._next_day)
            self._next_day += timedelta(days=1)

    def _draw_day(self, day: date) -> None:
        rng = np.random.default_rng((self._scenario.seed, 41, day.toordinal()))
        cars = len(self._scenario.site.vehicles)
        shape = (cars, MOST_PER_DAY)
        wanted = rng.random(shape) < self._scenario.cars.bookings_per_day / MOST_PER_DAY
        hour = np.searchsorted(np.cumsum(arrivals_by_hour(day)), rng.random(shape), side="right")
        draws = {
            "return_h": np.minimum(hour, 23) + rng.random(shape),
            "duration_h": np.clip(rng.lognormal(np.log(4.0), 0.6, shape), 1.0, 12.0),
            "quantile": rng.random(shape),
            "public": rng.random(shape) < 0.5,
            "leave_min": rng.uniform(0.0, 10.0, shape),
            "return_min": np.clip(rng.normal(5.0, 22.0, shape), _EARLIEST_RETURN_MIN, _LATEST_RETURN_MIN),
            "plug_min": np.where(
                rng.random(shape) < _FORGETS, rng.uniform(20.0, 40.0, shape), rng.uniform(1.0, 5.0, shape)
            ),
            "energy_factor": np.clip(rng.lognormal(0.0, 0.12, shape), 0.6, 1.3),
            "ahead_h": rng.uniform(12.0, 48.0, shape),
        }
        for car in range(cars):
            order = sorted(
                (i for i in range(MOST_PER_DAY) if wanted[car, i]), key=lambda i: draws["return_h"][car, i]
            )
            for i in order:
                trip = self._trip(day, car, i, {name: float(value[car, i]) for name, value in draws.items()})
                if trip is not None:
                    self.trips.append(trip)

    def _trip(self, day: date, car: int, number: int, draw: dict[str, float]) -> TrueTrip | None:
        """One trip, or None where the car is still away or the trip was over before the start."""
        start = self._since
        midnight = datetime(day.year, day.month, day.day, tzinfo=AMSTERDAM)
        booked_to = quarter_start((midnight + timedelta(hours=draw["return_h"])).astimezone(UTC))
        booked_from = quarter_start(booked_to - timedelta(hours=draw["duration_h"]))
        if booked_from < self._free_from[car]:
            return None
        vehicle = self._scenario.site.vehicles[car]
        hours = (booked_to - booked_from) / timedelta(hours=1)
        energy = session_energy_kwh(draw["quantile"], public=bool(draw["public"]))
        energy = max(1.0, min(energy, _MOST_OF_CAPACITY * vehicle.capacity_kwh, _KW_DRIVING * hours))
        need = min(_NEED_FACTOR * energy + vehicle.min_kwh, _NEED_MOST_OF_CAPACITY * vehicle.capacity_kwh)
        leaves = _second(booked_from + timedelta(minutes=draw["leave_min"]))
        returns = _second(max(booked_to + timedelta(minutes=draw["return_min"]), leaves + QUARTER))
        plugs = _second(returns + timedelta(minutes=draw["plug_min"]))
        self._free_from[car] = booked_to + GAP
        if plugs <= start:
            return None
        return TrueTrip(
            vehicle=car,
            booking=Booking(
                id=f"booking-{vehicle.id}-{day:%Y%m%d}-{number + 1}",
                vehicle=vehicle.id,
                from_utc=booked_from,
                to_utc=booked_to,
                energy_kwh=round(energy, 2),
                departure_min_kwh=round(need, 2),
            ),
            announced_utc=max(start, _second(booked_from - timedelta(hours=draw["ahead_h"]))),
            leaves_utc=leaves,
            returns_utc=returns,
            plugs_utc=plugs,
            energy_kwh=round(energy * draw["energy_factor"], 3),
        )


def _second(at: datetime) -> datetime:
    """The whole second at or after `at`: trips are events of a clock people read."""
    return at if at.microsecond == 0 else at.replace(microsecond=0) + timedelta(seconds=1)
