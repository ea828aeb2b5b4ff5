"""Expands a specification into a neighbourhood: every node, home, roof, charger and car with its truth.

What is drawn by lot (phases, cable lengths, roof sizes, a home's use) comes from the seed. Where the
specification weighs transformers and feeders, `split_by_largest_remainder` spreads the counts, so that
they sum exactly.
"""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime

import numpy as np

from controller.domain.assets import Battery, ChargePoint, Member, PvRoof, Vehicle
from controller.domain.ids import AssetId, MemberId, NodeId, ean_from_number
from controller.domain.network import Network
from controller.domain.site import Site, Tariff
from controller.domain.units import FloatArray, IntArray, split_by_largest_remainder
from sim.scenarios.build_chargers import OCPP_21, build_chargers
from sim.scenarios.build_electrical import drawings
from sim.scenarios.build_loads import LoadsBuilt, build_loads
from sim.scenarios.build_network import Tree, build_tree
from sim.scenarios.scenario import CableType, CarTruth, ChargerTruth, Electrical, PublishIntervals, Scenario
from sim.scenarios.spec import ScenarioSpec

COOPERATIVE = MemberId("coop")
FLEET = MemberId("fleet")
EAN_PREFIX = "8716946"
"""Of the simulated grid operator."""
_CHARGER_EANS, _PV_EANS, _BATTERY_EANS = 100_000, 200_000, 300_000
_INVERTER_PER_PEAK = 0.9
"""Inverters are chosen smaller than the panels' peak: in the Netherlands it is hardly ever reached."""
_PITCHED = ((40.0, 90.0), (40.0, 135.0), (40.0, 180.0), (40.0, 225.0), (40.0, 270.0))
_FLAT = ((12.0, 90.0), (12.0, 270.0), (12.0, 180.0))
_PITCHED_CHANCE = (0.15, 0.2, 0.3, 0.2, 0.15)
_FLAT_CHANCE = (0.4, 0.4, 0.2)
PRIVATE_EVERY = 6
"""Every so many cars one is a household's own that it shares."""


def build(spec: ScenarioSpec, *, seed: int, start: datetime) -> Scenario:
    """Expands a specification.

    Args:
        spec: What the scenario file says.
        seed: Decides everything that is drawn by lot.
        start: First moment of the simulation; a whole quarter-hour.

    Raises:
        ValueError: If `start` is not on a quarter-hour or names no time zone.
    """
    start = start.astimezone(UTC) if start.tzinfo else start
    if start.tzinfo is None or start.minute % 15 or start.second or start.microsecond:
        raise ValueError(f"a simulation starts at a quarter-hour with a zone, not at {start.isoformat()}")
    rng = np.random.default_rng((seed, 1))
    tree = build_tree(spec.network, rng)
    loads = build_loads(spec, tree, rng, lambda number: ean_from_number(EAN_PREFIX, number))
    high_load = _sum_upwards(tree, loads.node, loads.high_load_kw)
    charger_node, charger_point = _place_chargers(spec, tree)
    chargers = build_chargers(spec.chargers, seed=seed)
    points = _charge_points(spec, tree, charger_node, chargers)
    pv, pv_point, peak_kw = _roofs(spec, loads, rng)
    batteries, battery_point = _batteries(spec, tree)
    households = [member.id for member in loads.members if member.kind == "household"]
    vehicles, cars = _vehicles(spec, points, households, rng)
    site = _site(spec, tree, loads, points, vehicles, pv, batteries)
    electrical = Electrical(
        transformers=tree.transformers,
        feeders=tree.feeders,
        cable=CableType(),
        charger_point=charger_point,
        pv_point=pv_point,
        battery_point=battery_point,
        load_point=loads.point,
        node_point=tree.node_point,
    )
    return Scenario(
        name=spec.name,
        seed=seed,
        start_utc=start,
        site=dataclasses.replace(site, electrical=drawings(electrical, site)),
        electrical=electrical,
        loads=loads.truth,
        cars=cars,
        chargers=chargers,
        pv_peak_kw=peak_kw,
        high_load_kw=high_load,
        publish=PublishIntervals(**dataclasses.asdict(spec.publish)),
        spec_text=json.dumps(dataclasses.asdict(spec), sort_keys=True),
    )


def _site(
    spec: ScenarioSpec,
    tree: Tree,
    loads: LoadsBuilt,
    points: tuple[ChargePoint, ...],
    vehicles: tuple[Vehicle, ...],
    pv: tuple[PvRoof, ...],
    batteries: tuple[Battery, ...],
) -> Site:
    """What the controller is told."""
    return Site(
        name=spec.name,
        network=Network(tree.nodes),
        members=(
            Member(id=COOPERATIVE, name="Energy cooperative", kind="cooperative"),
            Member(id=FLEET, name="Shared cars", kind="fleet"),
            *loads.members,
        ),
        charge_points=points,
        vehicles=vehicles,
        pv=pv,
        batteries=batteries,
        loads=loads.loads,
        tariff=Tariff(
            import_adder_eur_per_kwh=spec.tariff.import_adder_eur_per_kwh,
            export_adder_eur_per_kwh=spec.tariff.export_adder_eur_per_kwh,
            source="scenario",
        ),
    )


def _place_chargers(spec: ScenarioSpec, tree: Tree) -> tuple[IntArray, IntArray]:
    """The node and the point of each charge point, shape (C,) each; heavy feeders get fewer."""
    per_feeder = split_by_largest_remainder(spec.chargers.count, list(tree.charger_weights))
    nodes: list[int] = []
    points: list[int] = []
    for feeder, count in enumerate(per_feeder):
        poles = tree.poles[feeder]
        for i in range(count):
            if poles:
                pole = poles[i * len(poles) // count]
                nodes.append(pole)
                points.append(int(tree.node_point[pole]))
            else:
                nodes.append(tree.feeders[feeder].node)
                points.append(tree.first_point(feeder) + i % tree.feeders[feeder].points)
    return np.array(nodes, dtype=np.int64), np.array(points, dtype=np.int64)


def _charge_points(
    spec: ScenarioSpec, tree: Tree, node: IntArray, chargers: tuple[ChargerTruth, ...]
) -> tuple[ChargePoint, ...]:
    width = _width(len(node), 3)
    return tuple(
        ChargePoint(
            id=AssetId(f"cp-{i + 1:0{width}d}"),
            node=tree.nodes[int(node[i])].id,
            ean=ean_from_number(EAN_PREFIX, _CHARGER_EANS + i),
            member=COOPERATIVE,
            charge_kw_max=spec.chargers.charge_kw,
            # Before 2.1 there is no word for discharge.
            discharge_kw_max=spec.chargers.discharge_kw if truth.version == OCPP_21 else 0.0,
        )
        for i, truth in enumerate(chargers)
    )


def _sum_upwards(tree: Tree, node: IntArray, value: FloatArray) -> FloatArray:
    """What assets at `node` sum to under every node, shape (N,)."""
    direct = np.bincount(node, weights=value, minlength=len(tree.nodes))
    return np.asarray(tree.is_under @ direct, dtype=np.float64)


def _roofs(
    spec: ScenarioSpec, loads: LoadsBuilt, rng: np.random.Generator
) -> tuple[tuple[PvRoof, ...], IntArray, FloatArray]:
    """Roofs: first on the public buildings, the rest on homes at even distances."""
    count = spec.pv.roofs
    if count == 0:
        return (), np.zeros(0, dtype=np.int64), np.zeros(0)
    hosts = loads.roof_hosts(count)
    on_building = np.array([loads.is_building(host) for host in hosts])
    size = rng.lognormal(0.0, 0.35, count) * np.where(on_building, 4.0, 1.0)
    area = spec.pv.area_m2 * size / size.sum()
    width = _width(count, 2)
    roofs = []
    for i, host in enumerate(hosts):
        flat = on_building[i] or rng.random() < 0.3
        table, chance = (_FLAT, _FLAT_CHANCE) if flat else (_PITCHED, _PITCHED_CHANCE)
        tilt, azimuth = table[int(rng.choice(len(table), p=chance))]
        load = loads.loads[host]
        roofs.append(
            PvRoof(
                id=AssetId(f"roof-{i + 1:0{width}d}"),
                node=load.node,
                ean=ean_from_number(EAN_PREFIX, _PV_EANS + i),
                member=load.member,
                rated_kw=round(float(area[i]) * spec.pv.kw_per_m2 * _INVERTER_PER_PEAK, 2),
                area_m2=round(float(area[i]), 2),
                tilt_deg=tilt,
                azimuth_deg=azimuth,
            )
        )
    return tuple(roofs), loads.point[hosts], area * spec.pv.kw_per_m2


def _batteries(spec: ScenarioSpec, tree: Tree) -> tuple[tuple[Battery, ...], IntArray]:
    """Batteries stand at the busbar's end of feeders at even distances."""
    count = len(spec.batteries)
    feeders = [i * len(tree.feeders) // max(count, 1) for i in range(count)]
    batteries = tuple(
        Battery(
            id=AssetId(item.id),
            node=NodeId(tree.nodes[tree.feeders[feeder].node].id),
            ean=ean_from_number(EAN_PREFIX, _BATTERY_EANS + i),
            member=COOPERATIVE,
            capacity_kwh=item.capacity_kwh,
            min_kwh=round(0.1 * item.capacity_kwh, 3),
            charge_kw_max=item.power_kw,
            discharge_kw_max=item.power_kw,
        )
        for i, (item, feeder) in enumerate(zip(spec.batteries, feeders, strict=True))
    )
    return batteries, np.array([tree.first_point(feeder) for feeder in feeders], dtype=np.int64)


def _vehicles(
    spec: ScenarioSpec, points: tuple[ChargePoint, ...], households: list[MemberId], rng: np.random.Generator
) -> tuple[tuple[Vehicle, ...], CarTruth]:
    """The shared cars. Every sixth belongs to a household that shares it with its neighbours."""
    cars = spec.cars
    width = _width(cars.count, 3)
    capacity = rng.choice(np.array(cars.capacity_kwh), cars.count)
    opted_in = rng.random(cars.count) < cars.opt_in_fraction
    vehicles = tuple(
        Vehicle(
            id=AssetId(f"car-{i + 1:0{width}d}"),
            member=households[i] if i % PRIVATE_EVERY == 0 and i < len(households) else FLEET,
            token=f"NLWIJC{i + 1:08d}",
            capacity_kwh=float(capacity[i]),
            min_kwh=round(cars.min_fraction * float(capacity[i]), 3),
            charge_kw_max=cars.charge_kw,
            discharge_kw_max=cars.discharge_kw,
            discharge_opt_in=bool(opted_in[i]),
            home_charge_point=points[i].id,
            shared=True,
        )
        for i in range(cars.count)
    )
    truth = CarTruth(
        initial_soc=rng.uniform(0.4, 0.95, cars.count),
        home_charger=np.arange(cars.count, dtype=np.int64),
        bookings_per_day=cars.bookings_per_day,
    )
    return vehicles, truth


def _width(count: int, least: int) -> int:
    return max(least, len(str(count)))
