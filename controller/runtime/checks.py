"""What is wrong with what people ask for: pure checks, every problem at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from controller.domain.assets import Booking, Vehicle
from controller.domain.errors import Problem
from controller.domain.ids import AssetId
from controller.domain.network import ImposedLimit
from controller.domain.time import utc_text

OVERLAPS_TOLD = 3
"""Of each booking so many others are named that lie in its time: a thousand could name a thousand each."""


def energy_problems(place: str, energy_kwh: float, vehicle: Vehicle) -> list[Problem]:
    """What is wrong with an energy [kWh] that somebody wants in a car."""
    if 0.0 <= energy_kwh <= vehicle.capacity_kwh:
        return []
    rule = f"must lie between 0 and the battery's {vehicle.capacity_kwh:g} kWh"
    return [Problem(place=place, rule=rule)]


def booking_problems(booking: Booking, vehicle: Vehicle) -> list[Problem]:
    """What is wrong with a booking by itself."""
    problems = []
    if not booking.from_utc < booking.to_utc:
        problems.append(Problem(place="to_utc", rule="must be after from_utc"))
    if not 0.0 <= booking.energy_kwh < float("inf"):
        problems.append(Problem(place="energy_kwh", rule="must be a finite number of at least 0"))
    if booking.departure_min_kwh is not None:
        problems += energy_problems("departure_min_kwh", booking.departure_min_kwh, vehicle)
    return problems


def booking_list_problems(
    bookings: Sequence[Booking], vehicle_of: Callable[[AssetId], Vehicle | None]
) -> list[Problem]:
    """What is wrong with bookings to be kept together, each by itself; places begin with its number.

    Args:
        bookings: The list.
        vehicle_of: The car of an id, where there is one that may be booked.
    """
    problems = []
    seen: set[str] = set()
    for number, booking in enumerate(bookings):
        at = f"bookings.{number}"
        vehicle = vehicle_of(booking.vehicle)
        if vehicle is None:
            problems.append(Problem(place=f"{at}.vehicle_id", rule="there is no such vehicle"))
        else:
            own = booking_problems(booking, vehicle)
            problems += [replace(problem, place=f"{at}.{problem.place}") for problem in own]
        if booking.id in seen:
            problems.append(Problem(place=f"{at}.id", rule="is in the list more than once"))
        seen.add(booking.id)
    return problems


def overlaps(
    bookings: Sequence[Booking],
    kept_of: Callable[[AssetId], Sequence[Booking]],
    is_own: Callable[[Booking], bool],
) -> list[str]:
    """Which bookings cannot be kept because others of their car, kept or new, lie in the same time.

    Args:
        bookings: New ones; each replaces a kept one with its id.
        kept_of: A car's kept bookings.
        is_own: Whether a kept one is of who asks; of others' only the time is told.
    """
    new_ids = {booking.id for booking in bookings}

    def named(other: Booking) -> str:
        if other.id in new_ids or is_own(other):
            return other.id
        return f"{utc_text(other.from_utc)}/{utc_text(other.to_utc)}"

    by_car: dict[AssetId, list[Booking]] = {}
    for booking in bookings:
        by_car.setdefault(booking.vehicle, []).append(booking)
    found = []
    for car, own in by_car.items():
        all_of_car = [*(one for one in kept_of(car) if one.id not in new_ids), *own]
        for booking in own:
            others = [
                named(other)
                for other in all_of_car
                if other.id != booking.id
                and other.from_utc < booking.to_utc
                and booking.from_utc < other.to_utc
            ]
            if others:
                names = ", ".join(others[:OVERLAPS_TOLD])
                more = f" and {len(others) - OVERLAPS_TOLD} more" if len(others) > OVERLAPS_TOLD else ""
                found.append(f"{booking.id}: {car} is booked already in that time: {names}{more}")
    return found


def limit_problems(limit: ImposedLimit, now: datetime) -> list[Problem]:
    """What is wrong with a grid operator's limit."""
    problems = []
    if limit.import_kw is None and limit.export_kw is None:
        problems.append(Problem(place="import_kw", rule="give import_kw, export_kw or both"))
    for place, value in (("import_kw", limit.import_kw), ("export_kw", limit.export_kw)):
        if value is not None and not 0.0 <= value < float("inf"):
            problems.append(
                Problem(place=place, rule="is a magnitude in kW and must be a finite number of at least 0")
            )
    if limit.to_utc is not None and limit.to_utc <= max(limit.from_utc, now):
        problems.append(Problem(place="to_utc", rule="must be after from_utc and lie ahead"))
    return problems
