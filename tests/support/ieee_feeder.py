"""The IEEE European low-voltage test feeder as a site, with a charger at each of its 55 loads.

`tests/data/ieee_european_lv/README.md` says where the tables come from and under which licence.
"""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np

from controller.domain.assets import ChargePoint, Load, LoadKind, Member, Phases, Vehicle
from controller.domain.electrical import Bus, CableType, Electrical, Line, Transformer
from controller.domain.ids import AssetId, MemberId, NodeId, ean_from_number
from controller.domain.network import Limit, LimitKind, Network, Node, NodeKind
from controller.domain.site import Site
from controller.domain.units import FloatArray

FOLDER = Path(__file__).parent.parent / "data" / "ieee_european_lv"
BASE_V = 416.0 / math.sqrt(3.0)
"""Per unit of the published voltages, phase to neutral."""
SUBSTATION, FEEDER = NodeId("substation"), NodeId("feeder")
CHARGER_KW = 7.4
_MEMBER = MemberId("member")
_EAN_PREFIX = "871687100"


def table(name: str) -> list[dict[str, str]]:
    """The rows of one file."""
    with (FOLDER / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def published_v() -> FloatArray:
    """The voltages of the three phases at each load's bus in minute 566 [V], shape (55, 3)."""
    rows = table("loads_minute_566.csv")
    values = [[float(row[f"u{p}_pu"]) for p in (1, 2, 3)] for row in rows]
    return np.array(values, dtype=np.float64) * BASE_V


def ieee_site() -> Site:
    """The feeder: one cable limit behind the transformer, a home and a one-phase charger at each load.

    With the published source of 1.05 pu the busbar idles within a volt of EN 50160's upper limit.
    """
    rows = table("loads_minute_566.csv")
    loads, points, cars = [], [], []
    places: dict[AssetId, str] = {}
    for number, row in enumerate(rows, start=1):
        load, point = AssetId(row["load"]), AssetId(f"cp-{number}")
        places[load] = places[point] = row["bus"]
        loads.append(
            Load(
                id=load,
                node=FEEDER,
                ean=ean_from_number(_EAN_PREFIX, number),
                member=_MEMBER,
                kind=LoadKind.HOME,
                phases=Phases(row["phase"]),
            )
        )
        points.append(
            ChargePoint(
                id=point,
                node=FEEDER,
                ean=ean_from_number(_EAN_PREFIX, 100 + number),
                member=_MEMBER,
                charge_kw_max=CHARGER_KW,
                discharge_kw_max=CHARGER_KW,
                charge_kw_min=1.4,
                phases=Phases(row["phase"]),
            )
        )
        cars.append(
            Vehicle(
                id=AssetId(f"car-{number}"),
                member=_MEMBER,
                token=f"token-{number}",
                capacity_kwh=60.0,
                min_kwh=6.0,
                charge_kw_max=CHARGER_KW,
                discharge_kw_max=CHARGER_KW,
                discharge_opt_in=True,
                home_charge_point=point,
            )
        )
    return Site(
        name="IEEE European low-voltage test feeder",
        network=_tree(),
        members=(Member(id=_MEMBER, name="member"),),
        charge_points=tuple(points),
        vehicles=tuple(cars),
        pv=(),
        batteries=(),
        loads=tuple(loads),
        electrical=_electrical(places),
    )


def _tree() -> Network:
    substation = Node(
        id=SUBSTATION,
        parent=None,
        kind=NodeKind.TRANSFORMER,
        limits=(Limit(kind=LimitKind.TRANSFORMER, value=800.0),),
    )
    feeder = Node(
        id=FEEDER,
        parent=SUBSTATION,
        kind=NodeKind.FEEDER,
        limits=(Limit(kind=LimitKind.CABLE, value=421.0),),
    )
    return Network((substation, feeder))


def _electrical(places: dict[AssetId, str]) -> Electrical:
    lines = table("lines.csv")
    ids = sorted({row[end] for row in lines for end in ("from_bus", "to_bus")}, key=int)
    types = table("cable_types.csv")
    return Electrical(
        medium_voltage_kv=11.0,
        source_voltage_pu=1.05,
        source_short_circuit_mva=10_000.0,
        cable_types=tuple(
            CableType(
                id=row["cable"], **{name: float(value) for name, value in row.items() if name != "cable"}
            )
            for row in types
        ),
        transformers=(
            Transformer(
                bus="1",
                kva=800.0,
                short_circuit_voltage=0.0401995,
                copper_loss_kw=0.004 * 800.0,
                no_load_current=0.0,
                no_load_voltage_v=416.0,
                clock=1,
            ),
        ),
        buses=tuple(Bus(id=name, node=SUBSTATION if name == "1" else FEEDER) for name in ids),
        lines=tuple(
            Line(
                from_bus=row["from_bus"],
                to_bus=row["to_bus"],
                cable=row["cable"],
                length_m=float(row["length_m"]),
            )
            for row in lines
        ),
        places=places,
    )
