"""What is wrong with what people ask for: pure checks, every problem at once."""

from __future__ import annotations

from datetime import datetime

from controller.domain.assets import Booking, Vehicle
from controller.domain.errors import Problem
from controller.domain.network import ImposedLimit


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
