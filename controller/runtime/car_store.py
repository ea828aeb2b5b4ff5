"""How a car becomes a store of the dispatch problem: its stays and trips, its wishes with their margins."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np

from controller.config import Settings
from controller.dispatch.inputs import Stay, StoreInput, StoreKind, Trip
from controller.domain.assets import Departure, Vehicle
from controller.domain.ids import AssetId, NodeId
from controller.domain.units import FloatArray
from controller.domain.v2g import V2gUse, budget_price_eur_per_kwh
from controller.runtime.people import People

WORTHLESS_EUR_PER_KWH = 10.0
"""A discharge that costs this much beside the energy is none: node prices end here (formats.md)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CarNow:
    """One car as the planner sees it."""

    vehicle: Vehicle
    charge_point: AssetId | None
    """Where it is plugged in now; None: it is away."""
    node: NodeId
    """Where it is, or where it will be when it comes back."""
    charge_kw_max: float
    discharge_kw_max: float
    """0 where discharge is not allowed."""
    energy_kwh: float | None
    """Now, or when last seen; None: unknown."""
    paused: bool
    charge_now: bool
    v2g_use: V2gUse = field(default_factory=V2gUse)
    """What it has given back of its lifetime budget."""
    leaves_h: FloatArray | None = None
    """In how many hours it may leave by its own past, as equally likely values; None: not known."""


def car_store(
    car: CarNow,
    ready_by: datetime | None,
    people: People,
    boundaries: tuple[datetime, ...],
    settings: Settings,
) -> StoreInput | None:
    """A car as a store of the dispatch problem.

    Args:
        car: The car as it is now.
        ready_by: When it is to have what its next departure needs, where its past makes that earlier.
        people: Bookings, wishes and departures.
        boundaries: The start of each step and the end of the last, shape (T + 1,).
        settings: Margins in energy [kWh] and time [s].

    Returns:
        None where the car is not here within the horizon.
    """
    steps = len(boundaries) - 1
    vehicle = car.vehicle
    departures = people.departures_of(vehicle, boundaries[0])
    stays, trips = _calendar(car, departures, people, boundaries, settings)
    if not stays:
        return None
    known = car.energy_kwh is not None
    energy = min(max(car.energy_kwh if car.energy_kwh is not None else 0.0, 0.0), vehicle.capacity_kwh)
    budget_price = 0.0
    if vehicle.v2g_budget is not None:
        scarce = budget_price_eur_per_kwh(vehicle.v2g_budget, car.v2g_use, boundaries[0])
        budget_price = math.inf if scarce is None else scarce
    two_way = vehicle.discharge_opt_in and known and not car.paused and budget_price < WORTHLESS_EUR_PER_KWH
    charge = np.full(steps, 0.0 if car.paused else car.charge_kw_max)
    discharge = np.full(steps, car.discharge_kw_max if two_way else 0.0)
    early = timedelta(seconds=settings.planning.early_departure_s)
    stays = _early(stays, trips, boundaries, early, energy, car, ready_by)
    final = settings.planning.final_fraction * vehicle.capacity_kwh
    if car.charge_now and not car.paused:
        discharge[:] = 0.0
    return StoreInput(
        id=vehicle.id,
        node=car.node,
        kind=StoreKind.VEHICLE,
        capacity_kwh=vehicle.capacity_kwh,
        # Of a car of which nothing is known nobody can say that it is below its minimum: it waits for the
        # plan's hours instead of buying what may be in it already.
        min_kwh=min(vehicle.min_kwh, vehicle.capacity_kwh) if known else 0.0,
        initial_kwh=energy,
        final_min_kwh=min(final, vehicle.capacity_kwh),
        charge_kw_max=charge,
        discharge_kw_max=discharge,
        efficiency_charge=vehicle.efficiency_charge,
        efficiency_discharge=vehicle.efficiency_discharge,
        wear_eur_per_kwh_discharged=vehicle.wear_eur_per_kwh_discharged + (budget_price if two_way else 0.0),
        stays=tuple(stays),
        trips=tuple(trips),
        place=car.charge_point,
    )


def _calendar(
    car: CarNow,
    departures: Sequence[Departure],
    people: People,
    boundaries: tuple[datetime, ...],
    settings: Settings,
) -> tuple[list[Stay], list[Trip]]:
    """Stays and trips; every trip lies between two stays, in at least one step of its own."""
    steps = len(boundaries) - 1
    capacity = car.vehicle.capacity_kwh
    margin = settings.planning.departure_margin_kwh
    late_by = timedelta(seconds=settings.planning.return_margin_s)
    now = boundaries[0]
    own = [b for b in people.bookings_of(car.vehicle.id) if b.to_utc > now and b.from_utc < boundaries[-1]]
    wanted: dict[datetime, float] = {}
    for departure in departures:
        energy_kwh = min(departure.energy_kwh + margin, capacity)
        wanted[departure.at_utc] = max(energy_kwh, wanted.get(departure.at_utc, 0.0))
    booked = {booking.from_utc for booking in own}
    stays: list[Stay] = []
    trips: list[Trip] = []
    here = 0
    if car.charge_point is None:
        back = own[0].to_utc if own and own[0].from_utc <= now else now
        here = _ceil_step(boundaries, back + late_by)
        if own and own[0].from_utc <= now:
            own = own[1:]
    for booking in own:
        leave = max(
            _floor_step(boundaries, booking.from_utc),
            here + (1 if car.charge_point is not None and here == 0 else 0),
        )
        if leave > here:
            early = [(at, wanted[at]) for at in sorted(wanted) if at < booking.from_utc and at not in booked]
            split, here = _split(boundaries, early, here, leave)
            stays += split
            stays.append(Stay(from_step=here, to_step=leave, departure_min_kwh=wanted.get(booking.from_utc)))
        away = max(leave, here)
        here = max(_ceil_step(boundaries, booking.to_utc + late_by), away + 1)
        if away < steps:
            trips.append(Trip(step=min(max(here - 1, away), steps - 1), energy_kwh=booking.energy_kwh))
        if here >= steps:
            return stays, trips
    late = [(at, energy) for at, energy in sorted(wanted.items()) if at not in booked]
    split, here = _split(boundaries, late, here, steps)
    stays += split
    if here < steps:
        stays.append(Stay(from_step=here, to_step=steps))
    return stays, trips


def _split(
    boundaries: Sequence[datetime], departures: Sequence[tuple[datetime, float]], here: int, until: int
) -> tuple[list[Stay], int]:
    """Ends stays at a driver's own departures (no booking) without taking the car out of the plan.

    Returns:
        The stays that end before `until`, and the step from which the last one goes on.
    """
    stays = []
    for at, energy in departures:
        step = max(_floor_step(boundaries, at), 1)
        if here < step < until:
            stays.append(Stay(from_step=here, to_step=step, departure_min_kwh=energy))
            here = step
    return stays, here


def _early(
    stays: Sequence[Stay],
    trips: Sequence[Trip],
    boundaries: Sequence[datetime],
    early: timedelta,
    energy_kwh: float,
    car: CarNow,
    ready_by: datetime | None,
) -> list[Stay]:
    """Splits each stay that ends in a departure: what the car can have, it has some time before.

    The next one earlier still where the car's own past says so (`ready_by`).

    Asked is no more than the car could have by then alone, so that a margin is no broken promise.
    """
    vehicle, found = car.vehicle, []
    efficient_kw = 0.0 if car.paused else car.charge_kw_max * vehicle.efficiency_charge
    could_kwh, driven = energy_kwh, 0
    for stay in stays:
        while driven < len(trips) and trips[driven].step < stay.from_step:
            could_kwh -= trips[driven].energy_kwh
            driven += 1
        step = _floor_step(boundaries, boundaries[stay.to_step] - early)
        wish, begin = stay.departure_min_kwh, stay.from_step
        if wish is not None and ready_by is not None:
            step, ready_by = min(step, _floor_step(boundaries, ready_by)), None
        if wish is not None and begin < step < stay.to_step:
            hours = (boundaries[step] - boundaries[begin]).total_seconds() / 3600.0
            reach_kwh = max(0.0, could_kwh + efficient_kw * hours)
            found.append(Stay(from_step=begin, to_step=step, departure_min_kwh=min(wish, reach_kwh)))
            begin = step
        found.append(Stay(from_step=begin, to_step=stay.to_step, departure_min_kwh=wish))
        hours = (boundaries[stay.to_step] - boundaries[stay.from_step]).total_seconds() / 3600.0
        could_kwh = min(vehicle.capacity_kwh, could_kwh + efficient_kw * hours)
    return found


def _floor_step(boundaries: Sequence[datetime], at: datetime) -> int:
    """The last boundary at or before `at`."""
    return max(bisect_right(boundaries, at) - 1, 0)


def _ceil_step(boundaries: Sequence[datetime], at: datetime) -> int:
    """The first boundary at or after `at`; the number of boundaries beyond the end."""
    return bisect_left(boundaries, at)
