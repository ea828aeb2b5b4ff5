"""What the same neighbourhood would do without the controller: three baselines on the same seed.

*Plug and charge*: full power on arrival until full. *Price following*: each car fills up in its own
cheapest quarter-hours before its departure, as an app does that knows nothing of the cable. *Fixed cap*:
plug and charge, but from 16 to 21 h local each charger gets its equal share of what the network leaves on
a cold evening. Nothing discharges, batteries idle, PV is free.

Each baseline has run for a day before the simulation starts, so that its cars stand at midnight as that
way of charging leaves them: without it all of them would begin to charge at the first moment, a peak that
no street has.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime, time, timedelta
from typing import Protocol

import numpy as np

from controller.domain.time import AMSTERDAM, QUARTER, quarter_start
from controller.domain.units import FloatArray, IntArray
from sim.physics.car import TAPER_FROM
from sim.physics.days import DaySources
from sim.scenarios.scenario import Scenario
from sim.scenarios.series import PriceSeries, Weather
from sim.scenarios.trips import WARM_UP
from sim.world import PluggedIn, World, WorldEvent

PLUG_AND_CHARGE = "plug_and_charge"
PRICE_FOLLOWING = "price_following"
FIXED_CAP = "fixed_cap"
BASELINES = (PLUG_AND_CHARGE, PRICE_FOLLOWING, FIXED_CAP)

CAP_FROM_H, CAP_TO_H = 16, 21
STEP_S = 60.0
NETWORK_EVERY_S = 300.0
"""Losses are a few percent of a quarter-hour's mean; three solutions in it are enough for a baseline."""
READY_BY = time(7, 0)
"""When a car without a booking is to be full, local time: what charging apps ask for by default."""
_MOST_AHEAD = 48 * 4
"""Quarter-hours: no departure is announced earlier."""
_MARGIN = 0.95


class Policy(Protocol):
    """Asks the chargers for power."""

    def __call__(self, world: World, events: list[WorldEvent]) -> None:
        """Sets the chargers' requests for the step that begins now, after the events of the last one."""
        ...


class BaselineRun:
    """One baseline, warmed up and standing at the scenario's start; it can be moved on bit by bit."""

    def __init__(
        self,
        name: str,
        scenario: Scenario,
        *,
        weather: Weather,
        prices: PriceSeries,
        step_s: float = STEP_S,
        sources: DaySources | None = None,
    ) -> None:
        """Takes the name of one of `BASELINES`, the length of a step [s] and loads to share between runs.

        Raises:
            KeyError: If there is no such baseline.
        """
        makers: dict[str, Callable[[], Policy]] = {
            PLUG_AND_CHARGE: lambda: _PlugAndCharge(scenario),
            PRICE_FOLLOWING: lambda: _PriceFollowing(scenario, prices),
            FIXED_CAP: lambda: _FixedCap(scenario),
        }
        self.name = name
        self._policy = makers[name]()
        self.world = World(
            scenario,
            weather=weather,
            start=scenario.start_utc - WARM_UP,
            seed=scenario.seed,
            step_s=step_s,
            network_every_s=NETWORK_EVERY_S,
            sources=sources,
        )
        self._events: list[WorldEvent] = []
        self._step = timedelta(seconds=step_s)
        self.advance(scenario.start_utc)
        self.world.open_books()

    def advance(self, to: datetime) -> None:
        """Runs all whole steps that end by `to`."""
        while self.world.now + self._step <= to:
            self._policy(self.world, self._events)
            self._events = self.world.advance(self.world.now + self._step)


class _PlugAndCharge:
    """Full power, always: an empty charger gives none and a full car takes none."""

    def __init__(self, scenario: Scenario) -> None:
        self._full_kw = np.array([point.charge_kw_max for point in scenario.site.charge_points])

    def __call__(self, world: World, events: list[WorldEvent]) -> None:  # noqa: ARG002  # a Policy
        world.request_chargers_kw(self._full_kw)


class _FixedCap:
    """Full power, but in the evening no more than an equal share of what the network leaves."""

    def __init__(self, scenario: Scenario) -> None:
        self._full_kw = np.array([point.charge_kw_max for point in scenario.site.charge_points])
        self._capped_kw = np.minimum(self._full_kw, network_share_kw(scenario))

    def __call__(self, world: World, events: list[WorldEvent]) -> None:  # noqa: ARG002  # a Policy
        hour = world.now.astimezone(AMSTERDAM).hour
        world.request_chargers_kw(self._capped_kw if CAP_FROM_H <= hour < CAP_TO_H else self._full_kw)


class _PriceFollowing:
    """Each car in its own cheapest quarter-hours; decided anew each quarter-hour and on arrival."""

    def __init__(self, scenario: Scenario, prices: PriceSeries) -> None:
        self._full_kw = np.array([point.charge_kw_max for point in scenario.site.charge_points])
        self._prices = prices
        self._wanted_kw = np.zeros(len(self._full_kw))
        self._ahead: FloatArray = np.zeros(0)
        self._decided: datetime | None = None

    def __call__(self, world: World, events: list[WorldEvent]) -> None:
        quarter = quarter_start(world.now)
        if quarter != self._decided:
            self._decided = quarter
            self._ahead = self._prices.values(quarter, _MOST_AHEAD)
            self._decide(world, np.flatnonzero(world.vehicle_at >= 0))
        else:
            arrived = [event.charger for event in events if isinstance(event, PluggedIn)]
            self._decide(world, np.array(arrived, dtype=np.int64))
        world.request_chargers_kw(self._wanted_kw)

    def _decide(self, world: World, chargers: IntArray) -> None:
        now = world.now
        quarter, ready_by = quarter_start(now), next_ready_by(now)
        for charger in chargers:
            vehicle = int(world.vehicle_at[charger])
            if vehicle < 0:
                continue
            car = world.site.vehicles[vehicle]
            trip = world.next_trip(vehicle)
            booked = trip is not None and trip.announced_utc <= now
            leaves = trip.booking.from_utc if trip is not None and booked else ready_by
            hours = hours_to_full(
                missing_kwh=car.capacity_kwh - float(world.soc_kwh[vehicle]),
                capacity_kwh=car.capacity_kwh,
                power_kw=min(float(self._full_kw[charger]), car.charge_kw_max),
                efficiency=car.efficiency_charge,
            )
            window = self._ahead[: max(1, (leaves - quarter) // QUARTER)]
            wanted = is_among_cheapest(window, math.ceil(hours * 4.0))
            self._wanted_kw[charger] = self._full_kw[charger] if wanted else 0.0


def is_among_cheapest(prices: FloatArray, count: int) -> bool:
    """Whether the first quarter-hour of a window is among its `count` cheapest; on a tie the earlier one is.

    Args:
        prices: From now to the window's end, shape (T,), T >= 1.
        count: How many are needed.
    """
    return int((prices[1:] < prices[0]).sum()) < count


def hours_to_full(*, missing_kwh: float, capacity_kwh: float, power_kw: float, efficiency: float) -> float:
    """How long a car reckons to charge until full [h]; the last stretch takes half as long again (taper)."""
    slow = min(missing_kwh, (1.0 - TAPER_FROM) * capacity_kwh)
    return (missing_kwh + 0.5 * slow) / (power_kw * efficiency)


def next_ready_by(now: datetime) -> datetime:
    """The next 7 o'clock local that is at least a quarter-hour away."""
    local = now.astimezone(AMSTERDAM)
    day = local.date()
    while True:
        at = datetime.combine(day, READY_BY, tzinfo=AMSTERDAM).astimezone(now.tzinfo)
        if at >= now + QUARTER:
            return at
        day += timedelta(days=1)


def network_share_kw(scenario: Scenario) -> FloatArray:
    """Each charger's equal share of what every node above it leaves on a cold evening [kW], shape (C,).

    A share below the least charging power lets the charger stand still: there is nothing to alternate with.
    """
    network = scenario.site.network
    index = {node.id: i for i, node in enumerate(network.nodes)}
    paths = [[index[n] for n in network.paths[point.node]] for point in scenario.site.charge_points]
    under = np.bincount([n for path in paths for n in path], minlength=len(network.nodes))
    limit = np.array([node.import_limit_kw() for node in network.nodes])
    share = np.maximum(limit * _MARGIN - scenario.high_load_kw, 0.0) / np.maximum(under, 1)
    return np.array([min(share[n] for n in path) for path in paths], dtype=np.float64)
