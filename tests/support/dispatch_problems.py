"""Random dispatch problems: streets of cars for benches and tests, small odd ones for comparisons."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

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
from controller.dispatch.result import DispatchResult
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


def starting_at(inputs: DispatchInputs, least_kw: float) -> DispatchInputs:
    """The problem with cars of 11 kW that start at `least_kw`, both ways."""
    eleven = np.full(inputs.steps, 11.0)
    stores = (
        replace(
            store,
            charge_kw_max=eleven,
            discharge_kw_max=eleven * store.two_way,
            charge_kw_min=least_kw,
            discharge_kw_min=least_kw,
        )
        for store in inputs.stores
    )
    return replace(inputs, stores=tuple(stores))


def flat(value: float, steps: int) -> FloatArray:
    """A constant series, shape (T,)."""
    return np.full(steps, value)


def one_step_later(
    inputs: DispatchInputs, result: DispatchResult, *, changed: float = 0.05, seed: int = 7
) -> DispatchInputs:
    """The problem one step on: what the plan did in the first step has happened, some cars changed.

    The horizon moves along; its new last step is like the one a day before its end. A changed car has
    another energy than planned and another wish.
    """
    rng = np.random.default_rng(seed)

    def rolled(series: FloatArray) -> FloatArray:
        return np.roll(series, -1)

    stores = []
    for store in inputs.stores:
        energy = float(result.energy_kwh[store.id][1])
        energy = float(np.clip(energy, 0.0, store.capacity_kwh))
        other = rng.random() < changed
        if other:
            energy = float(np.clip(energy * rng.uniform(0.7, 1.3), store.min_kwh, store.capacity_kwh))
        stays = []
        for stay in store.stays:
            wish = stay.departure_min_kwh
            if other and wish is not None:
                wish = float(np.clip(wish * rng.uniform(0.8, 1.1), 0.0, 0.9 * store.capacity_kwh))
            begin, end = max(stay.from_step - 1, 0), stay.to_step - 1
            if stay.to_step == inputs.steps:
                end = inputs.steps
            if end > begin:
                stays.append(Stay(from_step=begin, to_step=end, departure_min_kwh=wish))
        stores.append(
            replace(
                store,
                initial_kwh=energy,
                stays=tuple(stays),
                trips=tuple(Trip(step=t.step - 1, energy_kwh=t.energy_kwh) for t in store.trips if t.step),
            )
        )
    return replace(
        inputs,
        start_utc=inputs.start_utc + timedelta(hours=float(inputs.step_h[0])),
        import_price_eur_per_kwh=rolled(inputs.import_price_eur_per_kwh),
        export_price_eur_per_kwh=rolled(inputs.export_price_eur_per_kwh),
        fixed=tuple(replace(load, power_kw=rolled(load.power_kw)) for load in inputs.fixed),
        pv=tuple(replace(roof, available_kw=rolled(roof.available_kw)) for roof in inputs.pv),
        stores=tuple(stores),
    )
