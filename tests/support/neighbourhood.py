"""A small neighbourhood for the controller's tests: one transformer, two feeders, four chargers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from controller.domain.assets import Battery, ChargePoint, Load, LoadKind, Member, Phases, PvRoof, Vehicle
from controller.domain.ids import AssetId, MemberId, NodeId, ean_from_number
from controller.domain.network import Limit, LimitKind, Network, Node, NodeKind
from controller.domain.site import Site

START = datetime(2024, 1, 15, 17, 0, tzinfo=UTC)
EAN_PREFIX = "871687100"


def network(feeder_a: float = 50.0, kva: float = 100.0) -> Network:
    """A transformer with two feeders."""
    transformer = Node(
        id=NodeId("t"),
        parent=None,
        kind=NodeKind.TRANSFORMER,
        limits=(Limit(kind=LimitKind.TRANSFORMER, value=kva),),
        metered=True,
    )
    feeder = Node(
        id=NodeId("f1"),
        parent=NodeId("t"),
        kind=NodeKind.FEEDER,
        limits=(Limit(kind=LimitKind.CABLE, value=feeder_a),),
        metered=True,
    )
    return Network((transformer, feeder, replace(feeder, id=NodeId("f2"))))


def charge_point(number: int, node: str) -> ChargePoint:
    """A two-way charger of 11 kW."""
    return ChargePoint(
        id=AssetId(f"cp-{number}"),
        node=NodeId(node),
        ean=ean_from_number(EAN_PREFIX, number),
        member=MemberId("coop"),
        charge_kw_max=11.0,
        discharge_kw_max=11.0,
        fallback_kw=4.2,
    )


def vehicle(number: int) -> Vehicle:
    """A shared car of 60 kWh that may be discharged."""
    return Vehicle(
        id=AssetId(f"car-{number}"),
        member=MemberId("fleet"),
        token=f"token-{number}",
        capacity_kwh=60.0,
        min_kwh=12.0,
        charge_kw_max=11.0,
        discharge_kw_max=11.0,
        discharge_opt_in=True,
        home_charge_point=AssetId(f"cp-{number}"),
    )


def site(feeder_a: float = 50.0) -> Site:
    """Four chargers and cars, a home, a school, a roof and a battery."""
    return Site(
        name="test street",
        network=network(feeder_a),
        members=tuple(
            Member(id=MemberId(name), name=name, kind=kind)
            for name, kind in (
                ("coop", "cooperative"),
                ("fleet", "fleet"),
                ("m-home", "household"),
                ("m-school", "public_building"),
            )
        ),
        charge_points=tuple(charge_point(i, "f1" if i <= 2 else "f2") for i in (1, 2, 3, 4)),
        vehicles=tuple(vehicle(i) for i in (1, 2, 3, 4)),
        pv=(
            PvRoof(
                id=AssetId("roof"),
                node=NodeId("f1"),
                ean=ean_from_number(EAN_PREFIX, 30),
                member=MemberId("m-home"),
                rated_kw=5.0,
            ),
        ),
        batteries=(
            Battery(
                id=AssetId("battery"),
                node=NodeId("t"),
                ean=ean_from_number(EAN_PREFIX, 31),
                member=MemberId("coop"),
                capacity_kwh=100.0,
                min_kwh=10.0,
                charge_kw_max=20.0,
                discharge_kw_max=20.0,
            ),
        ),
        loads=(
            Load(
                id=AssetId("home"),
                node=NodeId("f1"),
                ean=ean_from_number(EAN_PREFIX, 20),
                member=MemberId("m-home"),
                kind=LoadKind.HOME,
                phases=Phases.L1,
            ),
            Load(
                id=AssetId("school"),
                node=NodeId("f2"),
                ean=ean_from_number(EAN_PREFIX, 21),
                member=MemberId("m-school"),
                kind=LoadKind.PUBLIC_BUILDING,
                phases=Phases.THREE,
                yearly_kwh=20000.0,
            ),
        ),
    )
