"""The simulated neighbourhood: one mutable holder over pure steps.

Each step does the same things in the same order: cars leave and come, every charger's, battery's and
roof's wish becomes what physics allows, what hangs under a node is summed up the tree with the network's
losses, registers count, and the recorder writes it down. Loads and sunshine change each minute; losses
and voltages are solved each `network_every_s` and held in between.

All arrays are ordered as the tuples of `scenario.site`; nodes as `site.network.nodes`. They are for
reading: endpoints change the world by `request_*` and `limit_pv_kw` only. Two worlds with the same
scenario, weather, start, seed and requests are identical.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from controller.domain.assets import Booking
from controller.domain.ids import AssetId
from controller.domain.site import Site
from controller.domain.time import quarter_start
from controller.domain.units import FloatArray, IntArray
from sim.network import PowerFlow
from sim.physics import battery as battery_physics
from sim.physics import car as car_physics
from sim.physics.days import DaySources
from sim.recorder import QUARTER_S, DepartureRecord, Energy, Recorder
from sim.scenarios.scenario import HOUSEHOLD_TAN_PHI, Scenario, TrueTrip
from sim.scenarios.series import Weather
from sim.scenarios.trips import TripBook

_AHEAD = timedelta(hours=48)
"""The fleet announces no booking earlier than this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PluggedIn:
    """A car was plugged in."""

    charger: int
    vehicle: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PluggedOut:
    """A car left."""

    charger: int
    vehicle: int
    at: datetime


type WorldEvent = PluggedIn | PluggedOut


class World:
    """The simulated neighbourhood. C charge points, V cars, R roofs, B batteries, L loads, N nodes."""

    def __init__(
        self,
        scenario: Scenario,
        *,
        weather: Weather,
        start: datetime,
        seed: int,
        step_s: float = 10.0,
        network_every_s: float = 60.0,
        sources: DaySources | None = None,
    ) -> None:
        """Sets the neighbourhood up at `start`.

        Args:
            scenario: What stands where.
            weather: Radiation and temperature.
            start: First moment; the scenario's own, or before it for a warm-up.
            seed: The scenario's own; both are given so that nobody mixes two up.
            step_s: Length of a step [s]; divides 60 or is a multiple of it, and divides 900.
            network_every_s: How often losses and voltages are solved [s].
            sources: Loads and sun of the same scenario and weather, shared with another world; None: its own.

        Raises:
            ValueError: If the seed is not the scenario's, the start is after the scenario's or on no
                quarter-hour, or the step does not fit one.
        """
        if start > scenario.start_utc or start != quarter_start(start) or seed != scenario.seed:
            raise ValueError("the scenario was built for another start or seed")
        if QUARTER_S % step_s or (step_s < 60.0 and 60.0 % step_s):
            raise ValueError(f"a step of {step_s:g} s does not fit into a minute and a quarter-hour")
        self.scenario = scenario
        self.site: Site = scenario.site
        self.step_s = step_s
        self._start = start.astimezone(UTC)
        self._elapsed_s = 0.0
        self.now = self._start
        """The moment up to which the world has advanced, UTC."""
        self._network_every_s = network_every_s
        self._sources = sources or DaySources(scenario, weather)
        self._flow = PowerFlow(scenario.electrical, len(self.site.network.nodes))
        self._index()
        self._state()
        self._book = TripBook(scenario, self._start)
        self._trips_seen = 0
        self._drawn_until = self._start
        self._trip_events: list[tuple[datetime, int, int]] = []
        self._unannounced: list[tuple[datetime, int]] = []
        self._trips_of: list[list[TrueTrip]] = [[] for _ in self.site.vehicles]
        self._draw(start + _AHEAD)
        self._plug_all()
        self._minute(self._start)
        self._solve_network()
        self._sum_nodes()

    # ---- what endpoints may do -----------------------------------------------------------------

    def request_charger_kw(self, i: int, power_kw: float) -> None:
        """What a charger's electronics asks for from now on (+ charge, - discharge).

        It falls back to 0 when the car leaves: a contactor opens, and the next car starts from nothing.
        """
        self._charger_request_kw[i] = power_kw

    def request_chargers_kw(self, power_kw: FloatArray) -> None:
        """The same for all at once, shape (C,)."""
        self._charger_request_kw[:] = power_kw

    def request_battery_kw(self, i: int, power_kw: float) -> None:
        """What a battery is asked to take (+) or give (-) from now on."""
        self._battery_request_kw[i] = power_kw

    def limit_pv_kw(self, i: int, limit_kw: float | None) -> None:
        """The most a roof may produce from now on, a magnitude; None frees it."""
        self._pv_limit_kw[i] = np.inf if limit_kw is None else max(limit_kw, 0.0)

    def trips_announced(self, until: datetime) -> list[Booking]:
        """The bookings that the fleet tells by `until`, each one once, in the order of their announcement."""
        self._draw(until + _AHEAD)
        told: list[Booking] = []
        while self._unannounced and self._unannounced[0][0] <= until:
            _, number = heapq.heappop(self._unannounced)
            told.append(self._book.trips[number].booking)
        return told

    def advance(self, to: datetime) -> list[WorldEvent]:
        """Runs all whole steps that end by `to`, and tells which cars came and went."""
        events: list[WorldEvent] = []
        steps = int(((to - self._start).total_seconds() - self._elapsed_s) // self.step_s)
        for _ in range(steps):
            self._step(events)
        return events

    # ---- what endpoints may ask ----------------------------------------------------------------

    def car_charge_kw_max(self, vehicle: int) -> float:
        """What a plugged car would take now [kW], taper included; 0 while it is away."""
        charger = int(self.charger_of[vehicle])
        if charger < 0:
            return 0.0
        pair = self._pairs(np.array([charger]), np.array([vehicle]))
        return float(car_physics.charge_limit_kw(pair, self.soc_kwh[[vehicle]])[0])

    def car_discharge_kw_max(self, vehicle: int) -> float:
        """What a plugged car would give now [kW], a magnitude; 0 while it is away or empty."""
        charger = int(self.charger_of[vehicle])
        reserve = car_physics.DISCHARGE_RESERVE * self._capacity_kwh[vehicle]
        if charger < 0 or self.soc_kwh[vehicle] <= reserve:
            return 0.0
        return float(min(self._charger_discharge_max[charger], self._car_discharge_max[vehicle]))

    def next_trip(self, vehicle: int) -> TrueTrip | None:
        """The next trip of a car that has not begun, within two days; for baselines and checks."""
        now = self.now
        self._draw(now + _AHEAD)
        return next((trip for trip in self._trips_of[vehicle] if trip.leaves_utc > now), None)

    def open_books(self) -> None:
        """Starts recording anew from this moment, which is a quarter-hour: what was before was a warm-up."""
        self.recorder = Recorder(len(self.site.network.nodes), self._held_kwh())

    def _held_kwh(self) -> float:
        return float(self.soc_kwh.sum() + self.battery_kwh.sum())

    # ---- setting up ----------------------------------------------------------------------------

    def _index(self) -> None:
        """Constants of the assets as arrays, and where each hangs."""
        site = self.site
        node = {item.id: i for i, item in enumerate(site.network.nodes)}
        count = len(site.network.nodes)
        self._is_under = np.zeros((count, count))
        for node_id, path in site.network.paths.items():
            for above in path:
                self._is_under[node[above], node[node_id]] = 1.0
        self.roots: IntArray = np.array(
            [i for i, item in enumerate(site.network.nodes) if item.parent is None], dtype=np.int64
        )
        self._charger_node = _ints(node[item.node] for item in site.charge_points)
        self._pv_node = _ints(node[item.node] for item in site.pv)
        self._battery_node = _ints(node[item.node] for item in site.batteries)
        self._load_node = _ints(node[item.node] for item in site.loads)
        self._charger_charge_max = _floats(item.charge_kw_max for item in site.charge_points)
        self._charger_discharge_max = _floats(item.discharge_kw_max for item in site.charge_points)
        self._charger_charge_min = _floats(item.charge_kw_min for item in site.charge_points)
        self._capacity_kwh = _floats(item.capacity_kwh for item in site.vehicles)
        self._car_charge_max = _floats(item.charge_kw_max for item in site.vehicles)
        self._car_discharge_max = _floats(item.discharge_kw_max for item in site.vehicles)
        self._efficiency_charge = _floats(item.efficiency_charge for item in site.vehicles)
        self._efficiency_discharge = _floats(item.efficiency_discharge for item in site.vehicles)
        self._car_wear = _floats(item.wear_eur_per_kwh_discharged for item in site.vehicles)
        self._battery_wear = _floats(item.wear_eur_per_kwh_discharged for item in site.batteries)
        self._batteries = battery_physics.BatteryArrays(
            capacity_kwh=_floats(item.capacity_kwh for item in site.batteries),
            charge_kw_max=_floats(item.charge_kw_max for item in site.batteries),
            discharge_kw_max=_floats(item.discharge_kw_max for item in site.batteries),
            efficiency_charge=_floats(item.efficiency_charge for item in site.batteries),
            efficiency_discharge=_floats(item.efficiency_discharge for item in site.batteries),
        )
        self.vehicle_index: dict[AssetId, int] = {item.id: i for i, item in enumerate(site.vehicles)}

    def _state(self) -> None:
        """Everything that moves."""
        site = self.site
        chargers, cars, roofs = len(site.charge_points), len(site.vehicles), len(site.pv)
        batteries, loads, nodes = len(site.batteries), len(site.loads), len(site.network.nodes)
        self.vehicle_at: IntArray = np.full(chargers, -1, dtype=np.int64)
        """(C,) the vehicle on each charger or -1."""
        self.charger_of: IntArray = np.full(cars, -1, dtype=np.int64)
        """(V,) the charger of each vehicle or -1."""
        self.soc_kwh: FloatArray = self.scenario.cars.initial_soc * self._capacity_kwh
        """(V,) energy in the battery; while away, that at departure."""
        self.charger_kw: FloatArray = np.zeros(chargers)
        self.charger_import_wh: FloatArray = np.zeros(chargers)
        self.charger_export_wh: FloatArray = np.zeros(chargers)
        self.pv_kw: FloatArray = np.zeros(roofs)
        """(R,) never positive."""
        self.pv_available_kw: FloatArray = np.zeros(roofs)
        """(R,) a magnitude."""
        self.pv_export_wh: FloatArray = np.zeros(roofs)
        self.battery_kw: FloatArray = np.zeros(batteries)
        self.battery_kwh: FloatArray = 0.5 * self._batteries.capacity_kwh
        self.battery_import_wh: FloatArray = np.zeros(batteries)
        self.battery_export_wh: FloatArray = np.zeros(batteries)
        self.load_phase_kw: FloatArray = np.zeros((loads, 3))
        self.load_import_wh: FloatArray = np.zeros(loads)
        self.load_export_wh: FloatArray = np.zeros(loads)
        self.node_phase_kw: FloatArray = np.zeros((nodes, 3))
        """(N, 3) losses included, positive = flowing down."""
        self.node_import_wh: FloatArray = np.zeros(nodes)
        self.node_export_wh: FloatArray = np.zeros(nodes)
        self.voltage_v: FloatArray = np.zeros((nodes, 3))
        self.open_books()
        self._charger_request_kw = np.zeros(chargers)
        self._battery_request_kw = np.zeros(batteries)
        self._pv_limit_kw = np.full(roofs, np.inf)
        self._plugged: tuple[IntArray, IntArray, car_physics.CarArrays] | None = None
        """The chargers with a car, these cars and what the pairs can do; None where it is to be made anew."""
        self._plugged_at: list[datetime] = [self._start] * cars
        self._plugged_kwh = self.soc_kwh.copy()
        self._load_node_kw = np.zeros((nodes, 3))
        self._load_kw = np.zeros(loads)
        self._loss_kw = np.zeros((nodes, 3))

    def _plug_all(self) -> None:
        """Every car stands at its place, but those that are on a trip already."""
        away = {trip.vehicle: trip for trip in self._book.trips if trip.leaves_utc <= self._start}
        for vehicle, charger in enumerate(self.scenario.cars.home_charger):
            if vehicle in away:
                # It left with what its driver had asked for, before anyone here looked.
                need = away[vehicle].booking.departure_min_kwh or 0.0
                self.soc_kwh[vehicle] = max(self.soc_kwh[vehicle], need)
            elif charger >= 0:
                self._connect(vehicle, int(charger), self._start)

    # ---- trips ---------------------------------------------------------------------------------

    def _draw(self, until: datetime) -> None:
        """Takes the trips that begin before `until` into the calendar, and an hour more."""
        if until <= self._drawn_until:
            return
        until += timedelta(hours=1)
        self._drawn_until = until
        self._book.draw_until(until)
        for number in range(self._trips_seen, len(self._book.trips)):
            trip = self._book.trips[number]
            self._trips_of[trip.vehicle].append(trip)
            heapq.heappush(self._unannounced, (trip.announced_utc, number))
            if trip.leaves_utc > self._start:
                heapq.heappush(self._trip_events, (trip.leaves_utc, number, 0))
            if trip.returns_utc > self._start:
                heapq.heappush(self._trip_events, (trip.returns_utc, number, 1))
            heapq.heappush(self._trip_events, (trip.plugs_utc, number, 2))
        self._trips_seen = len(self._book.trips)

    def _travel(self, now: datetime, events: list[WorldEvent]) -> None:
        """Lets everything happen that was due by `now`."""
        self._draw(now + timedelta(hours=24))
        while self._trip_events and self._trip_events[0][0] <= now:
            _, number, what = heapq.heappop(self._trip_events)
            trip = self._book.trips[number]
            vehicle = trip.vehicle
            if what == 0:
                self._leave(trip, now, events)
            elif what == 1:
                floor = car_physics.DISCHARGE_RESERVE * self._capacity_kwh[vehicle]
                left = float(self.soc_kwh[vehicle]) - trip.energy_kwh
                self.recorder.elsewhere_kwh += max(0.0, float(floor) - left)
                self.soc_kwh[vehicle] = max(left, floor)
            else:
                charger = int(self.scenario.cars.home_charger[vehicle])
                self._connect(vehicle, charger, now)
                events.append(PluggedIn(charger=charger, vehicle=vehicle, at=now))

    def _connect(self, vehicle: int, charger: int, now: datetime) -> None:
        self.vehicle_at[charger] = vehicle
        self.charger_of[vehicle] = charger
        self._plugged = None
        self._plugged_at[vehicle] = now
        self._plugged_kwh[vehicle] = self.soc_kwh[vehicle]

    def _leave(self, trip: TrueTrip, now: datetime, events: list[WorldEvent]) -> None:
        vehicle = trip.vehicle
        charger = int(self.charger_of[vehicle])
        hours = (now - self._plugged_at[vehicle]).total_seconds() / 3600.0
        self.recorder.departures.append(
            DepartureRecord(
                vehicle=vehicle,
                booking=trip.booking.id,
                at=now,
                need_kwh=trip.booking.departure_min_kwh or 0.0,
                energy_kwh=float(self.soc_kwh[vehicle]),
                alone_kwh=car_physics.energy_when_alone(
                    stored_kwh=float(self._plugged_kwh[vehicle]),
                    hours=hours,
                    capacity_kwh=float(self._capacity_kwh[vehicle]),
                    charge_kw_max=float(
                        min(self._charger_charge_max[charger], self._car_charge_max[vehicle])
                    ),
                    charge_kw_min=float(self._charger_charge_min[charger]),
                    efficiency=float(self._efficiency_charge[vehicle]),
                ),
            )
        )
        self.vehicle_at[charger] = -1
        self.charger_of[vehicle] = -1
        self._plugged = None
        self._charger_request_kw[charger] = 0.0
        events.append(PluggedOut(charger=charger, vehicle=vehicle, at=now))

    # ---- one step ------------------------------------------------------------------------------

    def _step(self, events: list[WorldEvent]) -> None:
        now = self.now
        dt_h = self.step_s / 3600.0
        self._travel(now, events)
        if self._elapsed_s % 60.0 == 0.0:
            self._minute(now)
        charged, discharged, wear = self._flow_storage(dt_h)
        self.pv_kw = -np.minimum(self.pv_available_kw, self._pv_limit_kw)
        if self._elapsed_s % self._network_every_s == 0.0:
            self._solve_network()
        self._sum_nodes()
        node_kw = self.node_phase_kw.sum(axis=1)
        self._count(node_kw, dt_h)
        full = self.recorder.step(
            node_kw,
            Energy(
                loads=float(self._load_kw.sum()) * dt_h,
                produced=-float(self.pv_kw.sum()) * dt_h,
                charged=charged,
                discharged=discharged,
                losses=float(self._loss_kw.sum()) * dt_h,
                wear_eur=wear,
            ),
            self.step_s,
        )
        self._elapsed_s += self.step_s
        self.now = self._start + timedelta(seconds=self._elapsed_s)
        if full:
            self.recorder.close_quarter(self._held_kwh())

    def _minute(self, now: datetime) -> None:
        """Loads and sunshine of the minute."""
        day, minute = now.date(), now.hour * 60 + now.minute
        self.load_phase_kw = self._sources.load_phase_kw(day, minute)
        self.pv_available_kw = self._sources.pv_available_kw(day, minute)
        self._load_kw = self.load_phase_kw.sum(axis=1)
        self._load_node_kw = _by_place(self._load_node, self.load_phase_kw, len(self._load_node_kw))

    def _flow_storage(self, dt_h: float) -> tuple[float, float, float]:
        """Cars and batteries; gives what was charged and discharged [kWh] and the wear [EUR]."""
        if self._plugged is None:
            chargers = np.flatnonzero(self.vehicle_at >= 0)
            cars = self.vehicle_at[chargers]
            self._plugged = (chargers, cars, self._pairs(chargers, cars))
        chargers, cars, pairs = self._plugged
        stored = self.soc_kwh[cars]
        power = car_physics.flow_kw(pairs, stored, self._charger_request_kw[chargers], dt_h)
        self.soc_kwh[cars] = car_physics.stored_after(pairs, stored, power, dt_h)
        self.charger_kw = np.zeros(len(self.vehicle_at))
        self.charger_kw[chargers] = power
        self.battery_kw = battery_physics.flow_kw(
            self._batteries, self.battery_kwh, self._battery_request_kw, dt_h
        )
        self.battery_kwh = battery_physics.stored_after(
            self._batteries, self.battery_kwh, self.battery_kw, dt_h
        )
        charged = np.maximum(power, 0.0).sum() + np.maximum(self.battery_kw, 0.0).sum()
        out_cars, out_batteries = np.maximum(-power, 0.0), np.maximum(-self.battery_kw, 0.0)
        wear = out_cars @ self._car_wear[cars] + out_batteries @ self._battery_wear
        discharged = out_cars.sum() + out_batteries.sum()
        return float(charged) * dt_h, float(discharged) * dt_h, float(wear) * dt_h

    def _pairs(self, chargers: IntArray, cars: IntArray) -> car_physics.CarArrays:
        return car_physics.CarArrays(
            capacity_kwh=self._capacity_kwh[cars],
            charge_kw_max=np.minimum(self._charger_charge_max[chargers], self._car_charge_max[cars]),
            discharge_kw_max=np.minimum(self._charger_discharge_max[chargers], self._car_discharge_max[cars]),
            charge_kw_min=self._charger_charge_min[chargers],
            efficiency_charge=self._efficiency_charge[cars],
            efficiency_discharge=self._efficiency_discharge[cars],
        )

    def _sum_nodes(self) -> None:
        """What flows into each node and phase: all below it, and the losses on the way."""
        nodes = len(self._load_node_kw)
        balanced = np.bincount(self._charger_node, weights=self.charger_kw, minlength=nodes)
        balanced = balanced + np.bincount(self._pv_node, weights=self.pv_kw, minlength=nodes)
        balanced = balanced + np.bincount(self._battery_node, weights=self.battery_kw, minlength=nodes)
        direct = self._load_node_kw + self._loss_kw + (balanced / 3.0)[:, None]
        self.node_phase_kw = self._is_under @ direct

    def _solve_network(self) -> None:
        """Losses and voltages of this moment."""
        data = self.scenario.electrical
        points = sum(cable.points for cable in data.feeders)
        loads = _by_place(data.load_point, self.load_phase_kw, points)
        balanced = np.bincount(data.charger_point, weights=self.charger_kw, minlength=points)
        balanced = balanced + np.bincount(data.pv_point, weights=self.pv_kw, minlength=points)
        balanced = balanced + np.bincount(data.battery_point, weights=self.battery_kw, minlength=points)
        flow = self._flow.solve(loads + (balanced / 3.0)[:, None], HOUSEHOLD_TAN_PHI * loads)
        self._loss_kw = flow.loss_kw
        self.voltage_v = flow.voltage_v
        self.recorder.voltages(flow.voltage_v)

    def _count(self, node_kw: FloatArray, dt_h: float) -> None:
        """Lets every register run."""
        wh = dt_h * 1000.0
        self.charger_import_wh += np.maximum(self.charger_kw, 0.0) * wh
        self.charger_export_wh += np.maximum(-self.charger_kw, 0.0) * wh
        self.pv_export_wh -= self.pv_kw * wh
        self.battery_import_wh += np.maximum(self.battery_kw, 0.0) * wh
        self.battery_export_wh += np.maximum(-self.battery_kw, 0.0) * wh
        self.load_import_wh += self._load_kw * wh
        self.node_import_wh += np.maximum(node_kw, 0.0) * wh
        self.node_export_wh += np.maximum(-node_kw, 0.0) * wh


def _ints(values: Iterable[int]) -> IntArray:
    return np.array(list(values), dtype=np.int64)


def _floats(values: Iterable[float]) -> FloatArray:
    return np.array(list(values), dtype=np.float64)


def _by_place(place: IntArray, phase_kw: FloatArray, places: int) -> FloatArray:
    """Sums per place and phase, shape (places, 3)."""
    return np.stack([np.bincount(place, weights=phase_kw[:, p], minlength=places) for p in range(3)], axis=1)
