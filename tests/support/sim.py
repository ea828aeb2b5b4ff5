"""Small scenarios for the simulator's tests: a corner of a street that runs in milliseconds."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

from sim.scenarios import Scenario, Weather, build
from sim.scenarios.load import parse_scenario
from sim.world import World

START = datetime(2024, 1, 14, 23, 0, tzinfo=UTC)
"""Midnight in Utrecht, a Monday."""

_CORNER: dict[str, Any] = {
    "name": "corner",
    "network": {
        "transformers": 1,
        "transformer_kva": 100,
        "feeders_per_transformer": 2,
        "feeder_a": 80,
        "points_per_feeder": 2,
        "poles_per_feeder": 1,
        "pole_fuse_a": 25,
    },
    "chargers": {"count": 4},
    "cars": {"count": 4},
    "homes": {"count": 8},
    "pv": {"roofs": 2, "area_m2": 60},
    "buildings": [{"id": "school-1", "yearly_kwh": 20000}],
    "batteries": [{"id": "battery-1", "capacity_kwh": 20.0, "power_kw": 10.0}],
}


def corner(**changes: Any) -> dict[str, Any]:
    """A scenario's document; `network__feeder_a=40` changes `[network] feeder_a`."""
    document = copy.deepcopy(_CORNER)
    for path, value in changes.items():
        *tables, name = path.split("__")
        table = document
        for step in tables:
            table = table[step]
        table[name] = value
    return document


def scenario(seed: int = 1, start: datetime = START, **changes: Any) -> Scenario:
    """The corner, built."""
    return build(parse_scenario(corner(**changes), "corner"), seed=seed, start=start)


def world(built: Scenario | None = None, *, step_s: float = 10.0) -> World:
    """A world of the corner with the built-in weather."""
    built = built or scenario()
    weather = Weather(seed=built.seed)
    return World(built, weather=weather, start=built.start_utc, seed=built.seed, step_s=step_s)
