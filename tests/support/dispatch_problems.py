"""Random dispatch problems: streets of cars for benches and tests, small odd ones for comparisons."""

from __future__ import annotations

from datetime import UTC, datetime

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

START_UTC = datetime(2024, 6, 3, 22, 0, tzinfo=UTC)


def street(*, cars: int, feeders: int = 8, steps: int = 96, seed: int = 1) -> DispatchInputs:
    """A day of two-way cars on feeders below one transformer that binds in the evening and at night.

    Cars drive to work by day or stay; each wants energy in the morning. The transformer carries the
    homes' peak and about a third of what the cars could draw together.
    """
    rng = np.random.default_rng(seed)
    hours = (np.arange(steps) + 0.5) * 24.0 / steps
    base = 0.10 + 0.06 * np.sin((hours - 15.0) / 24.0 * 4.0 * np.pi) + 0.02 * rng.standard_normal(steps)
    homes = 0.4 + 0.5 * np.exp(-(((hours - 19.0) / 2.5) ** 2)) + 0.2 * np.exp(-(((hours - 8.0) / 1.5) ** 2))
    sun = np.maximum(0.0, np.sin((hours - 6.0) / 14.0 * np.pi)) * (hours > 6.0) * (hours < 20.0)
    per_feeder = cars / feeders
    nodes = [_node("transformer", None, 2.8 * cars, steps)]
    fixed, roofs = [], []
    for f in range(feeders):
        nodes.append(_node(f"feeder-{f}", "transformer", 4.2 * per_feeder, steps))
        load = 0.9 * per_feeder * homes * (1.0 + 0.1 * rng.standard_normal(steps))
        fixed.append(
            FixedInput(id=AssetId(f"homes-{f}"), node=NodeId(f"feeder-{f}"), power_kw=np.maximum(load, 0.0))
        )
        roofs.append(
            PvInput(
                id=AssetId(f"roof-{f}"),
                node=NodeId(f"feeder-{f}"),
                available_kw=1.5 * per_feeder * sun,
                curtailable=True,
            )
        )
    return DispatchInputs(
        start_utc=START_UTC,
        step_h=np.full(steps, 24.0 / steps),
        import_price_eur_per_kwh=base + 0.03,
        export_price_eur_per_kwh=base - 0.03,
        nodes=tuple(nodes),
        fixed=tuple(fixed),
        pv=tuple(roofs),
        stores=tuple(_car(i, f"feeder-{i % feeders}", steps, rng) for i in range(cars)),
    )


def _node(name: str, parent: str | None, limit_kw: float, steps: int) -> NodeInput:
    return NodeInput(
        id=NodeId(name),
        parent=None if parent is None else NodeId(parent),
        import_limit_kw=np.full(steps, limit_kw),
        export_limit_kw=np.full(steps, limit_kw),
    )


def _car(number: int, node: str, steps: int, rng: np.random.Generator) -> StoreInput:
    """A car that leaves in the morning and comes back in the afternoon, or stays all day."""
    per_hour = steps / 24.0
    capacity = float(rng.choice([40.0, 52.0, 60.0, 77.0]))
    initial = capacity * float(rng.uniform(0.3, 0.7))
    power = float(rng.choice([7.4, 11.0, 11.0, 22.0]))
    leaves = int(np.clip(rng.normal(8.0, 1.0), 5.0, 11.0) * per_hour)
    returns = int(np.clip(rng.normal(17.5, 1.5), 13.0, 22.0) * per_hour)
    wish = float(min(0.9 * capacity, initial + rng.uniform(5.0, 20.0)))
    stays: tuple[Stay, ...] = (
        Stay(from_step=0, to_step=leaves, departure_min_kwh=wish),
        Stay(from_step=returns, to_step=steps),
    )
    trips: tuple[Trip, ...] = (Trip(step=leaves, energy_kwh=float(rng.uniform(3.0, 12.0))),)
    if rng.random() < 0.25:
        stays, trips = (Stay(from_step=0, to_step=steps),), ()
    return StoreInput(
        id=AssetId(f"car-{number}"),
        node=NodeId(node),
        kind=StoreKind.VEHICLE,
        capacity_kwh=capacity,
        min_kwh=0.1 * capacity,
        initial_kwh=initial,
        final_min_kwh=0.4 * capacity,
        charge_kw_max=np.full(steps, power),
        discharge_kw_max=np.full(steps, power if rng.random() < 0.8 else 0.0),
        efficiency_charge=float(rng.uniform(0.88, 0.95)),
        efficiency_discharge=float(rng.uniform(0.88, 0.95)),
        wear_eur_per_kwh_discharged=float(rng.uniform(0.01, 0.05)),
        stays=stays,
        trips=trips,
    )


def flat(value: float, steps: int) -> FloatArray:
    """A constant series, shape (T,)."""
    return np.full(steps, value)
