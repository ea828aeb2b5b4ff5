"""Small dispatch problems for tests: by hand with few words, and random ones of every kind."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

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
from controller.domain.ids import AssetId, NodeId
from controller.domain.units import FloatArray

type Series = float | Sequence[float] | FloatArray

START = datetime(2024, 6, 3, 22, 0, tzinfo=UTC)


def series(value: Series, steps: int) -> FloatArray:
    """A number or a series as an array of `steps` values."""
    return np.array(np.broadcast_to(np.asarray(value, dtype=np.float64), (steps,)))


def node(
    node_id: str, parent: str | None, limit_kw: Series, steps: int, export_kw: Series | None = None
) -> NodeInput:
    """A node with one limit both ways unless told otherwise."""
    return NodeInput(
        id=NodeId(node_id),
        parent=None if parent is None else NodeId(parent),
        import_limit_kw=series(limit_kw, steps),
        export_limit_kw=series(limit_kw if export_kw is None else export_kw, steps),
    )


def load(name: str, at: str, power_kw: Series, steps: int) -> FixedInput:
    """A fixed load."""
    return FixedInput(id=AssetId(name), node=NodeId(at), power_kw=series(power_kw, steps))


def roof(name: str, at: str, available_kw: Series, steps: int, *, curtailable: bool = True) -> PvInput:
    """A PV roof."""
    return PvInput(
        id=AssetId(name), node=NodeId(at), available_kw=series(available_kw, steps), curtailable=curtailable
    )


def store(name: str, at: str, steps: int, **changes: Any) -> StoreInput:
    """A two-way car of 60 kWh, half full, that is there all the time and wants nothing; with changes."""
    values: dict[str, Any] = {
        "kind": StoreKind.VEHICLE,
        "capacity_kwh": 60.0,
        "min_kwh": 6.0,
        "initial_kwh": 30.0,
        "final_min_kwh": 0.0,
        "charge_kw_max": 10.0,
        "discharge_kw_max": 10.0,
        "efficiency_charge": 1.0,
        "efficiency_discharge": 1.0,
        "stays": (Stay(from_step=0, to_step=steps),),
        "trips": (),
        **changes,
    }
    for name_of_series in ("charge_kw_max", "discharge_kw_max"):
        values[name_of_series] = series(values[name_of_series], steps)
    return StoreInput(id=AssetId(name), node=NodeId(at), **values)


def problem(
    steps: int,
    nodes: Sequence[NodeInput],
    *,
    stores: Sequence[StoreInput] = (),
    fixed: Sequence[FixedInput] = (),
    pv: Sequence[PvInput] = (),
    buy: Series = 0.2,
    sell: Series = 0.1,
    step_h: Series = 1.0,
) -> DispatchInputs:
    """A problem with steps of an hour unless told otherwise."""
    return DispatchInputs(
        start_utc=START,
        step_h=series(step_h, steps),
        import_price_eur_per_kwh=series(buy, steps),
        export_price_eur_per_kwh=series(sell, steps),
        nodes=tuple(nodes),
        fixed=tuple(fixed),
        pv=tuple(pv),
        stores=tuple(stores),
    )


def random_problem(
    seed: int, *, cars: int = 3, steps: int = 6, minimum_powers: bool = True
) -> DispatchInputs:
    """A random forest, prices (negative ones too), wishes (impossible ones too), trips and minimum powers."""
    rng = np.random.default_rng(seed)
    step_h = float(rng.choice([0.25, 0.5, 1.0]))
    buy = rng.uniform(-0.2, 0.4, steps)
    nodes = [node("root-0", None, rng.uniform(15, 60), steps, rng.uniform(5, 60))]
    if rng.random() < 0.2:
        nodes.append(node("root-1", None, rng.uniform(15, 60), steps))
    for i in range(int(rng.integers(0, 4))):
        above = nodes[int(rng.integers(0, len(nodes)))].id
        nodes.append(node(f"node-{i}", above, rng.uniform(8, 40), steps, rng.uniform(4, 40)))
    places = [str(n.id) for n in nodes]

    def place() -> str:
        return str(rng.choice(places))

    return problem(
        steps,
        nodes,
        stores=[
            _random_store(rng, f"car-{i}", place(), steps, minimum_powers=minimum_powers) for i in range(cars)
        ],
        fixed=[load(f"load-{i}", place(), rng.uniform(-8, 14, steps), steps) for i in range(len(places))],
        pv=[roof("roof-0", place(), rng.uniform(0, 12, steps), steps, curtailable=bool(rng.random() < 0.7))],
        buy=buy,
        sell=buy - rng.choice([0.0, 0.05]) * rng.random(steps),
        step_h=step_h,
    )


def _random_store(
    rng: np.random.Generator, name: str, at: str, steps: int, *, minimum_powers: bool
) -> StoreInput:
    capacity = float(rng.uniform(8, 40))
    leave = int(rng.integers(1, steps + 1))
    back = int(rng.integers(leave, steps + 1))
    stays = [Stay(from_step=0, to_step=leave, departure_min_kwh=float(rng.uniform(0, capacity)))]
    trips = []
    if back < steps:
        stays.append(Stay(from_step=back, to_step=steps))
    if back > leave:
        trips.append(
            Trip(step=int(rng.integers(leave, back)), energy_kwh=float(rng.uniform(0, 0.8 * capacity)))
        )
    two_way = rng.random() < 0.7
    minimum = minimum_powers and rng.random() < 0.5
    return store(
        name,
        at,
        steps,
        capacity_kwh=capacity,
        min_kwh=float(rng.uniform(0, 0.4 * capacity)),
        initial_kwh=float(rng.uniform(0, capacity)),
        final_min_kwh=float(rng.uniform(0, capacity)),
        charge_kw_max=float(rng.uniform(5, 12)),
        discharge_kw_max=float(rng.uniform(5, 12)) if two_way else 0.0,
        charge_kw_min=4.1 if minimum else 0.0,
        discharge_kw_min=3.0 if minimum and rng.random() < 0.5 else 0.0,
        efficiency_charge=float(rng.uniform(0.85, 1.0)),
        efficiency_discharge=float(rng.uniform(0.85, 1.0)),
        wear_eur_per_kwh_discharged=float(rng.choice([0.0, 0.03])),
        charge_adder_eur_per_kwh=float(rng.choice([0.0, 0.05])),
        discharge_adder_eur_per_kwh=float(rng.choice([0.0, 0.02])),
        standby_kw=float(rng.choice([0.0, 0.1])),
        stays=tuple(stays),
        trips=tuple(trips),
    )
