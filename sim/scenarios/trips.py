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
_CANDIDATES = 8
"""So many are drawn to find as many as wanted that do not overlap."""
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
        shape = (cars, _CANDIDATES)
        wanted = rng.binomial(MOST_PER_DAY, self._scenario.cars.bookings_per_day / MOST_PER_DAY, cars)
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
        for car in np.flatnonzero(wanted):
            taken: list[tuple[datetime, datetime, dict[str, float]]] = []
            for i in range(_CANDIDATES):
                draw = {name: float(value[car, i]) for name, value in draws.items()}
                begin, end = _booked(day, draw)
                free = begin >= self._free_from[car]
                if free and all(begin >= other[1] + GAP or end + GAP <= other[0] for other in taken):
                    taken.append((begin, end, draw))
                if len(taken) == wanted[car]:
                    break
            for number, (begin, end, draw) in enumerate(sorted(taken, key=lambda item: item[0])):
                self._add(f"{day:%Y%m%d}-{number + 1}", int(car), begin, end, draw)

    def _add(self, name: str, car: int, begin: datetime, end: datetime, draw: dict[str, float]) -> None:
        """Writes a booking down with what happens, unless it was all over before anyone looks."""
        self._free_from[car] = end + GAP
        vehicle = self._scenario.site.vehicles[car]
        hours = (end - begin) / timedelta(hours=1)
        energy = session_energy_kwh(draw["quantile"], int(draw["return_h"]), public=bool(draw["public"]))
        energy = max(1.0, min(energy, _MOST_OF_CAPACITY * vehicle.capacity_kwh, _KW_DRIVING * hours))
        need = min(_NEED_FACTOR * energy + vehicle.min_kwh, _NEED_MOST_OF_CAPACITY * vehicle.capacity_kwh)
        leaves = _second(begin + timedelta(minutes=draw["leave_min"]))
        returns = _second(max(end + timedelta(minutes=draw["return_min"]), leaves + QUARTER))
        plugs = _second(returns + timedelta(minutes=draw["plug_min"]))
        if plugs <= self._since:
            return
        self.trips.append(
            TrueTrip(
                vehicle=car,
                booking=Booking(
                    id=f"booking-{vehicle.id}-{name}",
                    vehicle=vehicle.id,
                    from_utc=begin,
                    to_utc=end,
                    energy_kwh=round(energy, 2),
                    departure_min_kwh=round(need, 2),
                ),
                announced_utc=max(self._since, _second(begin - timedelta(hours=draw["ahead_h"]))),
                leaves_utc=leaves,
                returns_utc=returns,
                plugs_utc=plugs,
                energy_kwh=round(energy * draw["energy_factor"], 3),
            )
        )


def _booked(day: date, draw: dict[str, float]) -> tuple[datetime, datetime]:
    """From when to when a candidate books the car, UTC, on quarter-hours."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=AMSTERDAM)
    end = quarter_start((midnight + timedelta(hours=draw["return_h"])).astimezone(UTC))
    return quarter_start(end - timedelta(hours=draw["duration_h"])), end


def _second(at: datetime) -> datetime:
    """The whole second at or after `at`: trips are events of a clock people read."""
    return at if at.microsecond == 0 else at.replace(microsecond=0) + timedelta(seconds=1)
