"""From what is known now to a dispatch problem for the next day and a half.

The steps: the rest of this quarter-hour, then quarter-hours, then half hours, then hours, all ending
on a full quarter-hour, so that each market interval of the near future is a step of its own. Loads and
sun are one entry per node, and another one for roofs that nobody can turn down. A car is a store with stays:
until its next booking, from the booking's end (plus a margin: returns are uncertain), and so on.
"""

from __future__ import annotations

import itertools
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
)
from controller.domain.assets import Battery, PvRoof
from controller.domain.ids import AssetId, NodeId
from controller.domain.site import Site
from controller.domain.time import AMSTERDAM, QUARTER, quarter_start
from controller.domain.units import FloatArray
from controller.forecast.departures import chance_gone, ready_steps
from controller.runtime.by_phase import phase_input
from controller.runtime.car_store import CarNow, car_store
from controller.runtime.people import People
from controller.supplier_settings import SITE_SUPPLIER, assets_supplied, tariffs
from market.rates import charges, vat_fraction

FINE_H, MIDDLE_H = 8.0, 16.0
"""Until here steps are quarter-hours; until there half hours; hours after that."""
SHORTEST_STEP_S = 30.0
"""A remainder of a quarter-hour shorter than this joins the next one."""


@dataclass(frozen=True, kw_only=True)
class Horizon:
    """A dispatch problem with the times that belong to it."""

    made_at: datetime
    boundaries: tuple[datetime, ...]
    """The start of each step and the end of the last, shape (T + 1,)."""
    inputs: DispatchInputs
    charge_point_of: Mapping[AssetId, AssetId]
    """Where each plugged-in car of the problem stands."""
    vat_fraction: FloatArray
    """The VAT that is in the import prices, as a part of the price without it, shape (T,)."""
    ready_by: Mapping[AssetId, datetime] = field(default_factory=dict)
    """When cars are to have what they need whose drivers often leave earlier than they say."""
    base_kw: Mapping[NodeId, FloatArray]
    """Forecast of the unsteered load directly under each node [kW], shape (T,)."""
    sun_kw: Mapping[NodeId, FloatArray]
    """Forecast of what the roofs under each node that can be turned down could make [kW], magnitudes,
    shape (T,)."""
    turnable_kw: Mapping[NodeId, float]
    """What those are rated together."""
    stuck: frozenset[AssetId]
    """The other roofs."""

    def sun_entry(self, roof: PvRoof) -> AssetId:
        """The entry of the problem that a roof is a part of."""
        return sun_entry(roof.node, stuck=roof.id in self.stuck)


@dataclass(frozen=True, kw_only=True)
class HorizonFacts:
    """What the horizon is made of."""

    cars: Sequence[CarNow]
    batteries: Sequence[tuple[Battery, float | None, bool]]
    """Each battery, its energy now [kWh] (None: unknown, then it is left out), whether it may discharge."""
    base_kw: Mapping[NodeId, FloatArray]
    sun_kw: Mapping[NodeId, FloatArray]
    """What roofs can make that can be turned down."""
    import_price_eur_per_kwh: FloatArray
    """What the site's own supplier asks, shape (T,), without VAT."""
    export_price_eur_per_kwh: FloatArray
    """What it pays, shape (T,): what residents feed in carries no VAT."""
    sun_low_share: FloatArray | float = 1.0
    """Which part of the sun import limits may count on, shape (T,)."""
    stuck: frozenset[AssetId] = frozenset()
    """Roofs that cannot be turned down: they have no means for it, or nobody reaches them."""
    stuck_sun_kw: Mapping[NodeId, FloatArray] = field(default_factory=dict)
    """What those can make [kW], shape (T,); not in `sun_kw`."""
    strangers_kw: Mapping[AssetId, FloatArray] = field(default_factory=dict)
    """What cars that the site does not know draw at charge points [kW], shape (T,); not in `base_kw`."""


@dataclass(frozen=True, kw_only=True)
class _Prices:
    """What the site's own supplier asks."""

    starts: Sequence[datetime]
    """Of the steps."""
    bare: FloatArray
    """Without VAT [EUR/kWh], shape (T,)."""
    fee: FloatArray
    """Its fee, with VAT, that is in what the pool gets for its feed-in [EUR/kWh], shape (T,)."""


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
    rates = settings.sharing.rates
    vat = vat_fraction(rates, SITE_SUPPLIER, starts)
    fee = charges(rates, SITE_SUPPLIER, starts).feed_in_fee * (1.0 + vat)
    prices = _Prices(
        starts=starts,
        bare=facts.import_price_eur_per_kwh,
        fee=fee if _shares_stored(settings, now) else np.zeros_like(fee),
    )
    facts = replace(
        facts,
        import_price_eur_per_kwh=facts.import_price_eur_per_kwh * (1.0 + vat),
        export_price_eur_per_kwh=facts.export_price_eur_per_kwh - prices.fee,
    )
    base, unsure = _sums_below(site, starts, facts)
    nodes = _nodes(starts, site, settings, people, base, unsure)
    ready_by = _ready_by(boundaries, site, people, facts, nodes, base)
    stores = _stores(boundaries, settings, people, facts, ready_by)
    loads = tuple(
        FixedInput(id=AssetId(f"load:{node}"), node=node, power_kw=power)
        for node, power in facts.base_kw.items()
    ) + tuple(
        FixedInput(id=point, node=site.charge_point_by_id[point].node, power_kw=power)
        for point, power in facts.strangers_kw.items()
    )
    sun = tuple(
        PvInput(id=sun_entry(node, stuck=stuck), node=node, available_kw=power, curtailable=not stuck)
        for stuck, sums in ((False, facts.sun_kw), (True, facts.stuck_sun_kw))
        for node, power in sums.items()
    )
    turnable_kw: dict[NodeId, float] = defaultdict(float)
    for roof in site.pv:
        if roof.id not in facts.stuck:
            turnable_kw[roof.node] += roof.rated_kw
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
        stores=_with_adders(stores, site, settings, places, prices),
        phases=phase_input(site, settings, loads, sun, facts.stuck, facts.sun_low_share, places, len(starts)),
    )
    return Horizon(
        made_at=now,
        boundaries=boundaries,
        inputs=inputs,
        charge_point_of={
            car.vehicle.id: car.charge_point for car in facts.cars if car.charge_point is not None
        },
        vat_fraction=vat,
        ready_by=ready_by,
        base_kw=facts.base_kw,
        sun_kw=facts.sun_kw,
        turnable_kw=dict(turnable_kw),
        stuck=facts.stuck,
    )


def sun_entry(node: NodeId, *, stuck: bool) -> AssetId:
    """The entry of a node's roofs: of those that can be turned down, or of those that are stuck."""
    return AssetId(f"stuck-sun:{node}" if stuck else f"sun:{node}")


def _stores(
    boundaries: tuple[datetime, ...],
    settings: Settings,
    people: People,
    facts: HorizonFacts,
    ready_by: Mapping[AssetId, datetime],
) -> list[StoreInput]:
    """Cars that are here within the horizon, and batteries whose charge is known."""
    cars = (car_store(car, ready_by.get(car.vehicle.id), people, boundaries, settings) for car in facts.cars)
    batteries = (
        _battery_store(battery, energy, len(boundaries) - 1, may_discharge=may)
        for battery, energy, may in facts.batteries
        if energy is not None
    )
    return [*(store for store in cars if store is not None), *batteries]


def _with_adders(
    stores: Sequence[StoreInput],
    site: Site,
    settings: Settings,
    places: Mapping[AssetId, AssetId],
    prices: _Prices,
) -> tuple[StoreInput, ...]:
    """The stores with what their connections pay beside the site's own price: each has one of its own.

    That is taxes, tariffs and refunds as they hold in each step, and what the connection's supplier asks
    beyond the site's own, each with the VAT of who sells. Who reclaims VAT charges without any: the pool's
    price has it, so it is taken off again. VAT on neighbours is as the rules say, whoever sells.

    Source: Wet op de omzetbelasting 1968, art. 8 (VAT is on the whole price, not on a margin) and art. 15 (a
    business deducts what it was billed).
    """
    sharing = settings.sharing
    supplied, margins = assets_supplied(site, sharing.suppliers), tariffs(sharing.suppliers, site.tariff)
    vat_of = {name: vat_fraction(sharing.rates, name, prices.starts) for name in margins}
    charged = {name: charges(sharing.rates, name, prices.starts) for name in margins}
    fee_of = {name: charged[name].feed_in_fee * (1.0 + vat_of[name]) for name in margins}
    reclaiming = _reclaiming(site)
    found = []
    for store in stores:
        place = places.get(store.id, store.id)
        name = supplied.get(place, SITE_SUPPLIER)
        vat = np.zeros_like(prices.bare) if place in reclaiming else vat_of[name]
        beyond = margins[name].import_adder_eur_per_kwh - site.tariff.import_adder_eur_per_kwh
        asked = (prices.bare + beyond) * (1.0 + vat) - prices.bare * (1.0 + vat_of[SITE_SUPPLIER])
        better = margins[name].export_adder_eur_per_kwh - site.tariff.export_adder_eur_per_kwh
        found.append(
            replace(
                store,
                charge_adder_eur_per_kwh=asked + charged[name].taken * (1.0 + vat),
                discharge_adder_eur_per_kwh=fee_of[name]
                - prices.fee
                - charged[name].refund * (1.0 + vat)
                - better,
            )
        )
    return tuple(found)


def _reclaiming(site: Site) -> set[AssetId]:
    """Charge points and batteries of members who get VAT back."""
    members = {member.id for member in site.members if member.reclaims_vat}
    return {
        asset.id
        for group in (site.charge_points, site.batteries)
        for asset in group
        if asset.member in members
    }


def _shares_stored(settings: Settings, at: datetime) -> bool:
    """Whether what a store took from the grid goes to neighbours: traded always, shared where that is agreed.

    Then the supplier's fee is on what the pool as a whole feeds in. Where it does not, the supplier buys all
    that stores feed in, and its fee is on that; on a roof's surplus it is too, which the plan leaves out.
    """
    terms = settings.sharing.terms_on(at.astimezone(AMSTERDAM).date())
    return settings.market.is_auction or terms.share_grid_charged


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
    places = site.charge_point_by_id
    sun = [*facts.sun_kw.items(), *facts.stuck_sun_kw.items()]
    for sums, series in (
        (base, list(facts.base_kw.items())),
        (base, [(places[point].node, power) for point, power in facts.strangers_kw.items()]),
        (base, [(node, -sun_kw) for node, sun_kw in sun]),
        (unsure, [(node, (1.0 - facts.sun_low_share) * sun_kw) for node, sun_kw in sun]),
    ):
        for node, power in series:
            for above in site.network.paths[node]:
                sums[above] += power
    return base, unsure


def _hours(boundaries: Sequence[datetime]) -> FloatArray:
    """How long each step is [h], shape (T,)."""
    return np.array([(b - a).total_seconds() / 3600.0 for a, b in itertools.pairwise(boundaries)])


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
