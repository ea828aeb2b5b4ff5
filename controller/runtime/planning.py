"""What the planner is told: forecasts of loads and sun, the cars and batteries as they stand now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from controller.config import Settings
from controller.domain.assets import PvRoof, Vehicle, WishKind
from controller.domain.ids import AssetId, NodeId
from controller.domain.site import Site
from controller.domain.time import AMSTERDAM, QUARTER, quarter_start
from controller.domain.units import FloatArray
from controller.domain.v2g import V2gUse
from controller.forecast.loads import NodeLoadHistory
from controller.forecast.prices import PriceBook
from controller.forecast.sun import clear_sky_fraction, clearness_ahead, low_share
from controller.runtime.car_store import CarNow
from controller.runtime.discharged import Tally
from controller.runtime.horizon import Horizon, HorizonFacts, build_horizon, step_boundaries
from controller.runtime.people import People, booking_energy_kwh
from controller.runtime.stays import StayBook
from controller.runtime.steering import Steering
from controller.runtime.strangers import strangers_kw
from controller.setpoints.base_load import BaseLoad
from controller.state import NeighbourhoodState
from controller.state.model import is_stale

OBSERVED_MIN_FRACTION = 0.9
"""Of a load less observed than this nothing is learned: an estimate that fed itself would run away."""
SKY_STALE_S = 3600.0
"""The sky of an hour ago [s] is not the sky of now."""
CLEAR_ENOUGH_FRACTION = 0.05
"""Below this clear-sky output the measured ratio says nothing."""


@dataclass
class Forecasts:
    """What is learned of loads and sun, and the prices."""

    site: Site
    prices: PriceBook
    histories: dict[NodeId, NodeLoadHistory] = field(default_factory=dict)
    clearness: float | None = None
    _quarter: datetime | None = None
    _sum_kw: dict[NodeId, float] = field(default_factory=dict)
    _counts: dict[NodeId, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        yearly: dict[NodeId, float] = defaultdict(float)
        for load in self.site.loads:
            yearly[load.node] += load.yearly_kwh
        self.histories = {
            node.id: NodeLoadHistory(yearly_kwh=yearly[node.id]) for node in self.site.network.nodes
        }

    def learn(self, base: BaseLoad, now: datetime) -> None:
        """Takes in the unsteered load of one safety cycle, where it is measured.

        A full quarter-hour goes into the history.
        """
        own = own_load_kw(self.site, base)
        quarter = quarter_start(now)
        if self._quarter is not None and quarter != self._quarter:
            for node, total in self._sum_kw.items():
                self.histories[node].learn(self._quarter, total / self._counts[node])
            self._sum_kw, self._counts = {}, {}
        self._quarter = quarter
        for node, power in own.items():
            self._sum_kw[node] = self._sum_kw.get(node, 0.0) + power
            self._counts[node] = self._counts.get(node, 0) + 1
            self.histories[node].see(power, now)

    def learn_sun(self, state: NeighbourhoodState, now: datetime) -> None:
        """Compares what the roofs make with a clear sky."""
        measured, clear = 0.0, 0.0
        for roof in self.site.pv:
            reading = state.inverters.get(roof.id)
            if reading is None or reading.power_kw is None or reading.limited:
                continue
            if is_stale(reading.at, now, SKY_STALE_S):
                continue
            fraction = float(self._clear(roof.tilt_deg, roof.azimuth_deg, [reading.at])[0])
            if fraction >= CLEAR_ENOUGH_FRACTION:
                measured -= reading.power_kw
                clear += roof.rated_kw * fraction
        self.clearness = min(measured / clear, 1.5) if clear > 0.0 else None

    def sun_kw(
        self, now: datetime, starts: Sequence[datetime], roofs: Sequence[PvRoof]
    ) -> dict[NodeId, FloatArray]:
        """What these roofs under each node will be able to make [kW], shape (T,), magnitudes."""
        hours = np.array([(at - now).total_seconds() / 3600.0 for at in starts])
        clearness = clearness_ahead(self.clearness, hours, now.astimezone(AMSTERDAM).month)
        # A street's roofs lie in a handful of ways.
        clear = {
            lie: self._clear(*lie, starts) for lie in {(roof.tilt_deg, roof.azimuth_deg) for roof in roofs}
        }
        found: dict[NodeId, FloatArray] = {}
        for roof in roofs:
            power = roof.rated_kw * clear[roof.tilt_deg, roof.azimuth_deg] * clearness
            power = np.minimum(power, roof.rated_kw)
            found[roof.node] = found[roof.node] + power if roof.node in found else power
        return found

    def sun_low_share(self, now: datetime, starts: Sequence[datetime], low_fraction: float) -> FloatArray:
        """Which part of the sun limits may count on, shape (T,)."""
        hours = np.array([(at - now).total_seconds() / 3600.0 for at in starts])
        return low_share(self.clearness, hours, low_fraction)

    def base_kw(self, starts: Sequence[datetime]) -> dict[NodeId, FloatArray]:
        """The unsteered load directly under each node [kW], shape (T,)."""
        return {
            node: history.forecast_kw(starts)
            for node, history in self.histories.items()
            if history.yearly_kwh > 0.0 or history.latest_kw
        }

    def _clear(self, tilt_deg: float, azimuth_deg: float, starts: Sequence[datetime]) -> FloatArray:
        where = self.site.location
        return clear_sky_fraction(where.latitude_deg, where.longitude_deg, tilt_deg, azimuth_deg, starts)


def own_load_kw(site: Site, base: BaseLoad) -> dict[NodeId, float]:
    """The unsteered load directly under each node: its own less its children's [kW].

    Only of nodes of which it is measured, and without what is kept free for silent devices.
    """
    mean = (base.high_kw[:, 0] - base.reserved_kw[:, 0] + base.low_kw[:, 0]) / 2.0
    place = {node.id: i for i, node in enumerate(site.network.nodes)}
    own = {node.id: float(mean[place[node.id]]) for node in site.network.nodes}
    own_unknown: set[NodeId] = set()
    unknown = {
        n.id for n in site.network.nodes if base.observed_fraction[place[n.id]] < OBSERVED_MIN_FRACTION
    }
    for node in site.network.nodes:
        if node.parent is not None:
            own[node.parent] -= float(mean[place[node.id]])
            if node.id in unknown:
                own_unknown.add(node.parent)
    return {node: power for node, power in own.items() if node not in unknown | own_unknown}


@dataclass
class Planner:
    """Makes the horizon from everything that is known."""

    site: Site
    settings: Settings
    forecasts: Forecasts
    discharged: Tally = field(default_factory=Tally)
    """What cars have given back of their lifetime budgets; replaced as a whole."""
    stays: StayBook = field(default_factory=StayBook)
    """How long cars stayed."""

    def horizon(
        self, state: NeighbourhoodState, people: People, steering: Steering, now: datetime
    ) -> Horizon:
        """The dispatch problem as seen at `now`."""
        boundaries = step_boundaries(now, self.settings.planning.horizon_h)
        starts = boundaries[:-1]
        mid = [at + min(QUARTER, after - at) / 2 for at, after in zip(starts, boundaries[1:], strict=True)]
        bare = self.forecasts.prices.known(now, starts)
        tariff = self.site.tariff
        turnable = [roof for roof in self.site.pv if _turnable(roof, state)]
        stuck = [roof for roof in self.site.pv if not _turnable(roof, state)]
        facts = HorizonFacts(
            cars=self._cars(state, people, steering, now),
            batteries=[
                (
                    battery,
                    None
                    if (reading := state.storages.get(battery.id)) is None or reading.soc_fraction is None
                    else reading.soc_fraction * battery.capacity_kwh,
                    people.discharge_stop(self.site.network, battery.node) is None,
                )
                for battery in self.site.batteries
            ],
            base_kw=self.forecasts.base_kw(mid),
            strangers_kw=strangers_kw(self.site, state, steering, now, starts),
            sun_kw=self.forecasts.sun_kw(now, mid, turnable),
            stuck=frozenset(roof.id for roof in stuck),
            stuck_sun_kw=self.forecasts.sun_kw(now, mid, stuck),
            sun_low_share=self.forecasts.sun_low_share(now, mid, self.settings.planning.sun_low_fraction),
            import_price_eur_per_kwh=bare + tariff.import_adder_eur_per_kwh,
            export_price_eur_per_kwh=bare + tariff.export_adder_eur_per_kwh,
        )
        return build_horizon(now, boundaries, self.site, self.settings, people, facts)

    def _cars(
        self, state: NeighbourhoodState, people: People, steering: Steering, now: datetime
    ) -> list[CarNow]:
        standing: dict[AssetId, AssetId] = {}
        for point in self.site.charge_points:
            vehicle = steering.vehicle_on(state, point.id)
            if vehicle is not None:
                standing[vehicle.id] = point.id
        cars = []
        for vehicle in self.site.vehicles:
            point_id = standing.get(vehicle.id)
            place = point_id if point_id is not None else vehicle.home_charge_point
            if place is None:
                continue
            point = self.site.charge_point_by_id[place]
            wish = people.wishes.get(vehicle.id)
            own = self.stays.cars.get(vehicle.id)
            energy = (
                steering.energy_kwh(state, place, now)
                if point_id is not None
                else steering.seen_kwh.get(vehicle.id, _left_with_kwh(vehicle, people, now))
            )
            never = wish is not None and wish.never_discharge
            stopped = never or people.discharge_stop(self.site.network, point.node) is not None
            cars.append(
                CarNow(
                    vehicle=vehicle,
                    charge_point=point_id,
                    node=point.node,
                    charge_kw_max=min(point.charge_kw_max, vehicle.charge_kw_max),
                    discharge_kw_max=0.0
                    if stopped
                    else min(point.discharge_kw_max, vehicle.discharge_kw_max),
                    energy_kwh=energy,
                    paused=wish is not None and wish.mode is WishKind.PAUSE,
                    charge_now=wish is not None and wish.mode is WishKind.CHARGE_NOW,
                    v2g_use=self.discharged.use.get(vehicle.id, V2gUse()),
                    leaves_h=None if own is None or point_id is None else own.leaves_h(now),
                )
            )
        return cars


def _turnable(roof: PvRoof, state: NeighbourhoodState) -> bool:
    """Whether a plan may turn a roof down: its inverter takes limits, and is connected."""
    link = state.links.get(roof.id)
    return roof.curtailable and link is not None and link.up


def _left_with_kwh(vehicle: Vehicle, people: People, now: datetime) -> float | None:
    """What a car that was away before anyone here looked is taken to have left with: what was asked [kWh].

    None where nothing was. Once it is back and plugged in, it tells itself.
    """
    under_way = [
        booking for booking in people.bookings_of(vehicle.id) if booking.from_utc <= now < booking.to_utc
    ]
    return booking_energy_kwh(under_way[0], vehicle) if under_way else None
