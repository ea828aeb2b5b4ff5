"""A neighbourhood whose controller is gone: what its chargers do by themselves, day after day.

The last word before the silence was the worst: every two-way charger gives back at full power. A seeded part
of the chargers under each node ignores its profiles and charges at the hardware's maximum as long as a car
takes it. Losses are in the node powers, as a meter would see them.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from controller.config import SafetySettings
from controller.domain.ids import AssetId, NodeId
from controller.domain.reasons import Reason, ReasonCode
from controller.domain.setpoints import SAFE_TAIL, Setpoint
from controller.domain.site import Site
from controller.domain.telemetry import Reading
from controller.domain.time import QUARTER, VirtualDomainClock
from controller.domain.units import FloatArray
from controller.runtime.floor import site_floor
from controller.setpoints.safe_floor import ignoring_count
from sim.direct import DirectDevices
from sim.scenarios.build import build
from sim.scenarios.load import load_scenario
from sim.scenarios.series import read_weather
from sim.summary import count_violations, departures, limits_in_force
from sim.world import World

STEP_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Silence:
    """What happened without us."""

    violations: int
    """Nodes and quarter-hours over a limit, by the definition of the demo's summary."""
    highest_load: FloatArray
    """The highest quarter-hour of each node over its import limit, shape (N,)."""
    discharged_kwh: float
    """After the setpoints' life."""
    departures: dict[str, float | int]
    charged_kwh: float
    ignoring: int


def ignoring_chargers(site: Site, fraction: float, seed: int) -> frozenset[AssetId]:
    """Draws a fraction of the chargers, under no node more than its share rounded up."""
    paths, points = site.network.paths, site.charge_points
    under: dict[NodeId, int] = {}
    for point in points:
        for node in paths[point.node]:
            under[node] = under.get(node, 0) + 1
    room = {node: ignoring_count(fraction, count) for node, count in under.items()}
    drawn: set[AssetId] = set()
    for i in np.random.default_rng(seed).permutation(len(points)).tolist():
        path = paths[points[i].node]
        if len(drawn) < round(fraction * len(points)) and all(room[node] for node in path):
            drawn.add(points[i].id)
            for node in path:
                room[node] -= 1
    return frozenset(drawn)


def silent_days(
    name: str, start: datetime, days: float, *, seed: int = 1, ignoring_fraction: float = 0.2
) -> Silence:
    """Lets a scenario live for some days without a controller."""
    scenario = build(load_scenario(name), seed=seed, start=start)
    site, settings = scenario.site, SafetySettings()
    end = start + timedelta(days=days)
    world = World(
        scenario, weather=read_weather(None, start, end, seed=seed), start=start, seed=seed, step_s=STEP_S
    )
    clock = VirtualDomainClock(start)
    ignoring = ignoring_chargers(site, ignoring_fraction, seed)

    def drop(reading: Reading) -> None:
        """Nobody listens."""
        del reading

    devices = DirectDevices(world, drop, clock, site_floor(site, settings).hours, ignoring)
    life = timedelta(seconds=settings.setpoint_life_s)
    asyncio.run(_last_words(devices, site, start + life))
    while clock.now() < end:
        clock.advance_to(clock.now() + timedelta(seconds=STEP_S))
        devices.tick(clock.now())
    quarters = world.recorder.quarters()
    down, up = limits_in_force(site.network, (), start, len(quarters))
    # The quarter-hour in which the setpoints run out, and the safe value after them, are over by then.
    spent = -(-(life + SAFE_TAIL) // QUARTER)
    return Silence(
        violations=count_violations(quarters, down, up),
        highest_load=np.max(quarters / down, axis=0),
        discharged_kwh=sum(each.discharged for each in world.recorder.energy[spent:]),
        departures=departures(world.recorder.departures),
        charged_kwh=sum(each.charged for each in world.recorder.energy),
        ignoring=len(ignoring),
    )


async def _last_words(devices: DirectDevices, site: Site, until: datetime) -> None:
    """Every two-way charger is told to give back all it can."""
    for point in site.charge_points:
        await devices.set_power(
            Setpoint(
                asset=point.id,
                power_kw=-point.discharge_kw_max,
                valid_until=until,
                safe_kw=0.0,
                reason=Reason(code=ReasonCode.PLAN),
            )
        )
