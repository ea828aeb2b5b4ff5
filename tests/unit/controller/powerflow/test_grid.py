"""The power flow against hand calculation, the simulator's own and the published IEEE feeder."""

from __future__ import annotations

import numpy as np
import pytest

from controller.domain.assets import Phases
from controller.domain.ids import AssetId
from controller.domain.units import FloatArray
from controller.powerflow.grid import Flows
from controller.powerflow.placement import flow_model
from sim.network import PowerFlow
from sim.scenarios import build, load_scenario
from tests.support.cable import CABLE, F1, cable_model
from tests.support.dispatch import load, node, problem, store
from tests.support.ieee_feeder import ieee_site, published_v, table
from tests.support.sim import START

LENGTH_KM = 0.5


def solved(phase_kw: list[float]) -> Flows:
    """The long cable with a load at its end."""
    grid = cable_model(LENGTH_KM * 1000.0).grid
    power: FloatArray = np.zeros((1, 3, len(phase_kw)))
    power[0, grid.bus_index["end-1"]] = phase_kw
    return grid.solve(power, np.zeros_like(power))


@pytest.mark.parametrize("load_kw", [[20.0, 20.0, 20.0], [60.0]])
def test_balanced_load_by_hand(load_kw: list[float]) -> None:
    """60 kW at unity power factor: I = P / 3U and the drop is I (R + jX); by phases and as one."""
    flow = solved(load_kw)
    busbar, end = flow.voltage_v[0, 0, 0], flow.voltage_v[0, 1, 0]
    current = 20_000.0 / end
    drop = np.hypot(
        end + current * CABLE.r1_ohm_per_km * LENGTH_KM, current * CABLE.x1_ohm_per_km * LENGTH_KM
    )
    assert busbar == pytest.approx(drop, rel=1e-6)
    assert flow.current_a[0, 0, 0] == pytest.approx(current, rel=1e-6)
    through_kw = 60.0 + 3.0 * current**2 * CABLE.r1_ohm_per_km * LENGTH_KM / 1000.0
    assert flow.transformer_kva[0, 0] == pytest.approx(through_kw, rel=0.02)


def test_near_the_most_that_a_cable_carries() -> None:
    """340 kW over 500 m, where only Newton-Raphson still finds the voltage: the drop by hand again."""
    grid = cable_model().grid
    power = np.zeros((2, 3, 1))
    power[:, 1, 0] = [60.0, 340.0]
    flow = grid.solve(power, np.zeros_like(power))
    assert flow.converged.all()
    busbar, end = flow.voltage_v[1, 0, 0], flow.voltage_v[1, 1, 0]
    current = 340_000.0 / 3.0 / end
    drop = np.hypot(
        end + current * CABLE.r1_ohm_per_km * LENGTH_KM, current * CABLE.x1_ohm_per_km * LENGTH_KM
    )
    assert busbar == pytest.approx(drop, rel=1e-6)


def test_the_transformer_by_hand() -> None:
    """400 V less the drop over its short circuit impedance: 4% at 400 kVA, 1% of it resistive."""
    flow = solved([60.0])
    current = float(flow.current_a[0, 0, 0])
    base_ohm = 400.0**2 / 400_000.0
    r = 4.0 / 400.0 * base_ohm
    x = np.sqrt((0.04 * base_ohm) ** 2 - r**2)
    busbar = float(flow.voltage_v[0, 0, 0])
    assert np.hypot(busbar + current * r, current * x) == pytest.approx(400.0 / np.sqrt(3.0), rel=2e-3)


def test_single_phase_load_by_hand() -> None:
    """One phase and the neutral: the loop's impedance is (z0 + 2 z1) / 3; the others are lifted."""
    flow = solved([5.0, 0.0, 0.0])
    loop_r = (CABLE.r0_ohm_per_km + 2.0 * CABLE.r1_ohm_per_km) / 3.0 * LENGTH_KM
    drop = flow.voltage_v[0, 0] - flow.voltage_v[0, 1]
    assert drop[0] == pytest.approx(5000.0 / flow.voltage_v[0, 1, 0] * loop_r, rel=0.02)
    assert drop[1] < 0.0
    assert drop[2] < 0.0


def test_a_load_beyond_the_network_is_told() -> None:
    """No voltage carries 3 MW over 500 m; the other scenarios of the batch are solved all the same."""
    grid = cable_model().grid
    power = np.zeros((2, 3, 1))
    power[:, 1, 0] = [60.0, 3000.0]
    flow = grid.solve(power, np.zeros_like(power))
    assert flow.converged.tolist() == [True, False]
    assert flow.voltage_v[0] == pytest.approx(solved([60.0]).voltage_v[0])
    assert np.isfinite(flow.voltage_v).all()


def test_no_load_at_all_has_a_solution() -> None:
    """Every bus has the busbar's voltage."""
    grid = cable_model().grid
    flow = grid.solve(np.zeros((2, 3, 1)), np.zeros((2, 3, 1)))
    assert flow.voltage_v == pytest.approx(400.0 / np.sqrt(3.0), rel=1e-3)


def test_the_simulator_and_the_controller_agree_on_the_street() -> None:
    """The site's drawings give the voltages of the simulated physics, phase by phase."""
    scenario = build(load_scenario("street"), seed=1, start=START)
    model = flow_model(scenario.site)
    assert model is not None
    points = sum(cable.points for cable in scenario.electrical.feeders)
    power = np.random.default_rng(1).uniform(-2.0, 5.0, (points, 3))
    truth = PowerFlow(scenario.electrical, len(scenario.site.network.nodes)).solve(power, 0.2 * power)
    at = [i for i, name in enumerate(model.grid.bus_index) if "/" in name]
    ours = np.zeros((1, len(model.grid.bus_index), 3))
    ours[0, at] = power
    flow = model.grid.solve(ours, 0.2 * ours)
    point = scenario.electrical.node_point
    assert flow.voltage_v[0, at][point[point >= 0]] == pytest.approx(truth.voltage_v[point >= 0], abs=1e-6)
    places = [model.hooks[charger.id][0].bus for charger in scenario.site.charge_points]
    assert places == [at[i] for i in scenario.electrical.charger_point.tolist()]


def test_the_published_feeder() -> None:
    """The IEEE European feeder in its peak minute, against pandapower's three-phase solution.

    The two model the transformer's zero sequence differently, which shifts a phase by at most 0.15 V, the
    same at every bus; along the cables they agree within 5 mV.
    """
    model = flow_model(ieee_site())
    assert model is not None
    rows = table("loads_minute_566.csv")
    power = np.zeros((1, len(model.grid.bus_index), 3))
    reactive = np.zeros_like(power)
    at = [model.grid.bus_index[row["bus"]] for row in rows]
    for bus, row in zip(at, rows, strict=True):
        power[0, bus, int(row["phase"][1]) - 1] += float(row["power_kw"])
        reactive[0, bus, int(row["phase"][1]) - 1] += float(row["reactive_kvar"])
    difference = model.grid.solve(power, reactive).voltage_v[0, at] - published_v()
    assert np.abs(difference).max() < 0.2
    assert np.abs(difference - difference.mean(axis=0)).max() < 0.005


def test_a_load_of_unknown_phase_may_be_on_any() -> None:
    """The lowest voltage is that of the phase it is on, wherever that is; the highest that of the others."""
    steps = 1
    inputs = problem(steps, [node("t", None, 400.0, steps), node("f1", "t", 100.0, steps)])
    worst = []
    for phases in (Phases.UNKNOWN, Phases.L1, Phases.L2, Phases.L3, Phases.THREE):
        asked = problem(
            steps, inputs.nodes, fixed=[load("home", "f1", 6.0, steps)], stores=[store("cp-3", "f2", steps)]
        )
        found = cable_model(phases=phases).wiring(asked).extremes(np.array([[6.0, 0.0]]))
        worst.append((found.low_v[0, 1], found.high_v[0, 1], found.current_a[0, 0]))
    unknown, *single, three = worst
    for phase in single:
        assert unknown == pytest.approx(phase, rel=1e-4)
    assert unknown[0] < three[0]
    assert unknown[2] == pytest.approx(3.0 * three[2], rel=0.05)


def test_a_lump_of_loads_lies_where_its_members_are() -> None:
    """What the planner sums per node is spread by yearly use; what is unsaid over the node's buses."""
    model = cable_model()
    assert [(hook.bus, hook.phases, hook.share) for hook in model.loads_at[F1]] == [(1, Phases.L1, 1.0)]
    inputs = problem(
        1,
        [node("t", None, 400.0, 1), node("f1", "t", 100.0, 1)],
        fixed=[load("load:f1", "f1", 3.0, 1), load("load:t", "t", 1.0, 1)],
        stores=[store("car-3", "f2", 1)],
    )
    rows = model.wiring(inputs).rows
    assert [[hook.bus for hook in row] for row in rows] == [[1], [0], [2]]
    assert model.hooks[AssetId("car-3")] == model.hooks[AssetId("cp-3")]
