"""The default street asks nothing impossible: a simple rule without any foresight of loads keeps it whole.

It is the yardstick of the scenario, not of the controller: where even this rule failed, a broken limit or
departure would say nothing about control.
"""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from controller.domain.units import FloatArray
from sim.scenarios import Weather, build, load_scenario
from sim.summary import count_violations, departures, limits_in_force
from sim.world import World
from tests.support.sim import START

STEP_S = 180.0
QUARTERS = 96


def by_urgency(run: World) -> FloatArray:
    """Full power for the most urgent car of a pole, what is left for the other; only what bookings need."""
    left = {node.id: node.import_limit_kw() for node in run.site.network.nodes}
    waiting = []
    for charger in np.flatnonzero(run.vehicle_at >= 0).tolist():
        vehicle = int(run.vehicle_at[charger])
        trip = run.next_trip(vehicle)
        need = 0.0 if trip is None else (trip.booking.departure_min_kwh or 0.0) - run.soc_kwh[vehicle]
        if trip is not None and need > 0.02:
            hours = (trip.booking.from_utc - run.now).total_seconds() / 3600.0
            waiting.append((hours - need / 11.0, charger))
    request = np.zeros(len(run.vehicle_at))
    for _, charger in sorted(waiting):
        node = run.site.charge_points[charger].node
        power = min(11.0, left[node])
        if power >= 4.14:
            request[charger] = power
            left[node] -= power
    return request


@pytest.mark.parametrize("seed", [1, 2])
def test_a_rule_of_thumb_keeps_limits_and_departures(seed: int) -> None:
    """No node over its limit in any quarter-hour, every possible departure kept, voltages in their band."""
    street = build(load_scenario("street"), seed=seed, start=START)
    run = World(street, weather=Weather(seed=seed), start=START, seed=seed, step_s=STEP_S)
    while len(run.recorder.node_kw) < QUARTERS:
        run.request_chargers_kw(by_urgency(run))
        run.advance(run.now + timedelta(seconds=STEP_S))
    down, up = limits_in_force(street.site.network, [], START, QUARTERS)
    assert count_violations(run.recorder.quarters(), down, up) == 0
    kept = departures(run.recorder.departures)
    assert kept["total"] >= 20
    assert kept["kept"] == kept["possible"] >= kept["total"] - 1
    assert 207.0 < run.recorder.voltage_min_v <= run.recorder.voltage_max_v < 253.0
