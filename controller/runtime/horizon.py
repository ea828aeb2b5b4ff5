"""From what is known now to a dispatch problem for the next day and a half.

The steps: the rest of this quarter-hour, then quarter-hours, then half hours, then hours, all ending
on a full quarter-hour, so that each market interval of the near future is a step of its own. Loads and
sun are one fixed or curtailable entry per node. A car is a store with stays: until its next booking,
from the booking's end (plus a margin: returns are uncertain), and so on.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np

from controller.config import Settings
from controller.dispatch.inputs import (
    DispatchInputs,
    FixedInput,
    NodeInput,
    PvInput,
    Stay,
    StoreInput,
    StoreKind,
    Trip,
)
from controller.domain.assets import Battery, Departure, Vehicle
from controller.domain.ids import AssetId, NodeId
from controller.domain.site import Site
from controller.domain.time import QUARTER, quarter_start
from controller.domain.units import FloatArray
from controller.domain.v2g import V2gUse, budget_price_eur_per_kwh
from controller.forecast.departures import chance_gone, ready_steps
from controller.runtime.by_phase import phase_input
from controller.runtime.people import People
from controller.sharing_settings import SharingSettings
from controller.supplier_settings import SITE_SUPPLIER, assets_supplied, tariffs
from market.rates import store_adders

FINE_H, MIDDLE_H = 8.0, 16.0
"""Until here steps are quarter-hours; until there half hours; hours after that."""
SHORTEST_STEP_S = 30.0
"""A remainder of a quarter-hour shorter than this joins the next one."""
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


@dataclass(frozen=True, kw_only=True)
class Horizon:
    """A dispatch problem with the times that belong to it."""

    made_at: datetime
    boundaries: tuple[datetime, ...]
    """The start of each step and the end of the last, shape (T + 1,)."""
    inputs: DispatchInputs
    charge_point_of: Mapping[AssetId, AssetId]
    """Where each plugged-in car of the problem stands."""
    ready_by: Mapping[AssetId, datetime] = field(default_factory=dict)
    """When cars are to have what they need whose drivers often leave earlier than they say."""
    base_kw: Mapping[NodeId, FloatArray]
    """Forecast of the unsteered load directly under each node [kW], shape (T,)."""
    sun_kw: Mapping[NodeId, FloatArray]
    """Forecast of what roofs under each node could make [kW], magnitudes, shape (T,)."""


@dataclass(frozen=True, kw_only=True)
class HorizonFacts:
    """What the horizon is made of."""

    cars: Sequence[CarNow]
    batteries: Sequence[tuple[Battery, float | None, bool]]
    """Each battery, its energy now [kWh] (None: unknown, then it is left out), whether it may discharge."""
    base_kw: Mapping[NodeId, FloatArray]
    sun_kw: Mapping[NodeId, FloatArray]
    import_price_eur_per_kwh: FloatArray
    export_price_eur_per_kwh: FloatArray
    sun_low_share: FloatArray | float = 1.0
    """Which part of `sun_kw` import limits may count on, shape (T,)."""


def step_boundaries(now: datetime, horizon_h: float) -> tuple[datetime, ...]:
    """The boundaries of the steps from `now` on, shape (T + 1,)."""
    first = quarter_start(now) + QUARTER
    bounds = [now]
    if (first - now).total_seconds() >= SHORTEST_STEP_S:
        bounds.append(first)
        at = first
    else:
        at = first + QUARTER
        bounds.append(at)
    end = first + timedelta(hours=horizon_h)
    while at < end:
        ahead_h = (at - now).total_seconds() / 3600.0
        step = QUARTER if ahead_h < FINE_H else 2 * QUARTER if ahead_h < MIDDLE_H else 4 * QUARTER
        # A coarser step begins on a full half hour or hour.
        while (at.minute * 60) % int(step.total_seconds()) and step > QUARTER:
            step /= 2
        at += step
        bounds.append(at)
    return tuple(bounds)


def build_horizon(
    now: datetime,
    boundaries: tuple[datetime, ...],
    site: Site,
    settings: Settings,
    people: People,
    facts: HorizonFacts,
) -> Horizon:
    """The dispatch problem as seen at `now`; `facts` have one value per step of `boundaries`."""
    starts = boundaries[:-1]
    step_h = _hours(boundaries)
    base, unsure = _sums_below(site, starts, facts)
    nodes = _nodes(starts, site, settings, people, base, unsure)
    ready_by = _ready_by(boundaries, site, people, facts, nodes, base)
    stores = [
        store
        for car in facts.cars
        if (store := _car_store(car, ready_by.get(car.vehicle.id), people, boundaries, settings)) is not None
    ]
    stores += [
        _battery_store(battery, energy, len(starts), may_discharge=may)
        for battery, energy, may in facts.batteries
        if energy is not None
    ]
    loads = tuple(
        FixedInput(id=AssetId(f"load:{node}"), node=node, power_kw=power)
        for node, power in facts.base_kw.items()
    )
    sun = tuple(
        PvInput(id=AssetId(f"sun:{node}"), node=node, available_kw=power, curtailable=True)
        for node, power in facts.sun_kw.items()
    )
    places = {
        car.vehicle.id: place
        for car in facts.cars
        if (place := car.charge_point or car.vehicle.home_charge_point) is not None
    }
    inputs = DispatchInputs(
        start_utc=now,
        step_h=step_h,
        import_price_eur_per_kwh=np.maximum(facts.import_price_eur_per_kwh, facts.export_price_eur_per_kwh),
        export_price_eur_per_kwh=facts.export_price_eur_per_kwh,
        nodes=nodes,
        fixed=loads,
        pv=sun,
        stores=_with_adders(stores, site, settings.sharing, places, now),
        phases=phase_input(site, settings, loads, sun, facts.sun_low_share, places),
    )
    return Horizon(
        made_at=now,
        boundaries=boundaries,
        inputs=inputs,
        charge_point_of={
            car.vehicle.id: car.charge_point for car in facts.cars if car.charge_point is not None
        },
        ready_by=ready_by,
        base_kw=facts.base_kw,
        sun_kw=facts.sun_kw,
    )


def _with_adders(
    stores: Sequence[StoreInput],
    site: Site,
    sharing: SharingSettings,
    places: Mapping[AssetId, AssetId],
    now: datetime,
) -> tuple[StoreInput, ...]:
    """The stores with what their connections pay beside the site's own price: each has one of its own.

    That is the taxes, tariffs and fees that hold now, and what its supplier asks beyond the site's own.
    """
    supplied, margins = assets_supplied(site, sharing.suppliers), tariffs(sharing.suppliers, site.tariff)
    adders_of = {name: store_adders(sharing.rates, name, now) for name in margins}
    found = []
    for store in stores:
        supplier = supplied.get(places.get(store.id, store.id), SITE_SUPPLIER)
        own, adders = margins[supplier], adders_of[supplier]
        dearer = own.import_adder_eur_per_kwh - site.tariff.import_adder_eur_per_kwh
        better = own.export_adder_eur_per_kwh - site.tariff.export_adder_eur_per_kwh
        found.append(
            replace(
                store,
                charge_adder_eur_per_kwh=adders.charge_eur_per_kwh + dearer,
                discharge_adder_eur_per_kwh=adders.discharge_eur_per_kwh - better,
            )
        )
    return tuple(found)


def _nodes(
    starts: Sequence[datetime],
    site: Site,
    settings: Settings,
    people: People,
    base: Mapping[NodeId, FloatArray],
    unsure: Mapping[NodeId, FloatArray],
) -> tuple[NodeInput, ...]:
    """The nodes with what the plan may use of their limits.

    The sun counts in full for the cost, and nothing of it is wasted: what may not come is kept free of
    the import limit. That margin never asks for more than the limit itself does: what is there without
    any store at the expected sun stays allowed.
    """
    keep = 1.0 - settings.planning.margin_fraction
    imposed: dict[NodeId, bool] = defaultdict(bool)
    for limit in people.limits.values():
        imposed[limit.node] = True
    nodes = []
    for node in site.network.nodes:
        if imposed[node.id]:
            series = [people.limit_at(site.network, node.id, at) for at in starts]
            down = np.array([limit.import_kw for limit in series])
            up = np.array([limit.export_kw for limit in series])
        else:
            down = np.full(len(starts), node.import_limit_kw())
            up = np.full(len(starts), node.export_limit_kw())
        kept = down * keep
        careful = np.maximum(kept - unsure[node.id], np.minimum(kept, np.maximum(base[node.id], 0.0)))
        nodes.append(
            NodeInput(id=node.id, parent=node.parent, import_limit_kw=careful, export_limit_kw=up * keep)
        )
    return tuple(nodes)


def _sums_below(
    site: Site, starts: Sequence[datetime], facts: HorizonFacts
) -> tuple[dict[NodeId, FloatArray], dict[NodeId, FloatArray]]:
    """Of all under each node [kW], shape (T,): expected load less sun, and the sun that may not come."""
    base = {node.id: np.zeros(len(starts)) for node in site.network.nodes}
    unsure = {node.id: np.zeros(len(starts)) for node in site.network.nodes}
    for sums, series in (
        (base, facts.base_kw),
        (base, {node: -sun for node, sun in facts.sun_kw.items()}),
        (unsure, {node: (1.0 - facts.sun_low_share) * sun for node, sun in facts.sun_kw.items()}),
    ):
        for node, power in series.items():
            for above in site.network.paths[node]:
                sums[above] += power
    return base, unsure


def _hours(boundaries: Sequence[datetime]) -> FloatArray:
    """How long each step is [h], shape (T,)."""
    return np.array([(b - a).total_seconds() / 3600.0 for a, b in itertools.pairwise(boundaries)])


def _floor_step(boundaries: Sequence[datetime], at: datetime) -> int:
    """The last boundary at or before `at`."""
    return max(bisect_right(boundaries, at) - 1, 0)


def _ceil_step(boundaries: Sequence[datetime], at: datetime) -> int:
    """The first boundary at or after `at`; the number of boundaries beyond the end."""
    return bisect_left(boundaries, at)


def _ready_by(
    boundaries: tuple[datetime, ...],
    site: Site,
    people: People,
    facts: HorizonFacts,
    nodes: Sequence[NodeInput],
    base: Mapping[NodeId, FloatArray],
) -> dict[AssetId, datetime]:
    """When plugged-in cars are to have what their next departure needs, by price and their own past.

    Cars take their turns within what the network leaves to them. Only those are named that their past makes
    ready earlier than prices alone would.
    """
    now, step_h = boundaries[0], _hours(boundaries)
    ends_h = np.cumsum(step_h)
    wishes = []
    for car in facts.cars:
        asked = people.departures_of(car.vehicle, now)
        if car.charge_point is None or car.energy_kwh is None or not asked or car.paused:
            continue
        need_kwh = (asked[0].energy_kwh - car.energy_kwh) / car.vehicle.efficiency_charge
        if need_kwh > 0.0:
            here = ends_h <= (asked[0].at_utc - now).total_seconds() / 3600.0
            wishes.append((car, need_kwh, car.charge_kw_max * np.where(here, step_h, 0.0)))
    if not any(car.leaves_h is not None for car, _, _ in wishes):
        return {}
    at = {node.id: row for row, node in enumerate(nodes)}
    gone = [
        np.zeros(step_h.size) if c.leaves_h is None else chance_gone(c.leaves_h, ends_h) for c, _, _ in wishes
    ]
    hurried, at_ease = (
        ready_steps(
            most_kwh=np.array([most for _, _, most in wishes]),
            need_kwh=np.array([need for _, need, _ in wishes]),
            gone=chances,
            price_eur_per_kwh=facts.import_price_eur_per_kwh,
            step_h=step_h,
            room_kwh=np.array([(node.import_limit_kw - base[node.id]) * step_h for node in nodes]),
            above=[np.array([at[n] for n in site.network.paths[car.node]]) for car, _, _ in wishes],
        )
        for chances in (np.array(gone), np.zeros((len(wishes), step_h.size)))
    )
    return {
        car.vehicle.id: boundaries[first + 1]
        for (car, _, _), first, last in zip(wishes, hurried.tolist(), at_ease.tolist(), strict=True)
        if first < last and car.leaves_h is not None
    }


def _car_store(
    car: CarNow,
    ready_by: datetime | None,
    people: People,
    boundaries: tuple[datetime, ...],
    settings: Settings,
) -> StoreInput | None:
    """A car as a store; None where it is not here within the horizon."""
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


def _battery_store(battery: Battery, energy_kwh: float, steps: int, *, may_discharge: bool) -> StoreInput:
    return StoreInput(
        id=battery.id,
        node=battery.node,
        kind=StoreKind.BATTERY,
        capacity_kwh=battery.capacity_kwh,
        min_kwh=battery.min_kwh,
        initial_kwh=min(max(energy_kwh, 0.0), battery.capacity_kwh),
        final_min_kwh=min(0.5 * battery.capacity_kwh, max(energy_kwh, battery.min_kwh)),
        charge_kw_max=np.full(steps, battery.charge_kw_max),
        discharge_kw_max=np.full(steps, battery.discharge_kw_max if may_discharge else 0.0),
        efficiency_charge=battery.efficiency_charge,
        efficiency_discharge=battery.efficiency_discharge,
        wear_eur_per_kwh_discharged=battery.wear_eur_per_kwh_discharged,
        stays=(Stay(from_step=0, to_step=steps),),
    )
