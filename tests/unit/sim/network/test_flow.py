"""The power flow against cases worked by hand: one transformer, one cable, one load at its end."""

from __future__ import annotations

import numpy as np
import pytest

from controller.domain.units import FloatArray
from sim.network import Flow, PowerFlow
from sim.scenarios.scenario import CableType, Electrical, FeederCable, TransformerData

CABLE = CableType(r1_ohm_per_km=0.2, x1_ohm_per_km=0.08, r0_ohm_per_km=0.8, x0_ohm_per_km=0.32)
LENGTH_KM = 0.5
NONE = np.zeros(0, dtype=np.int64)


def electrical(points: int = 1) -> Electrical:
    """A transformer of 400 kVA (node 0) and a feeder of 500 m (node 1)."""
    return Electrical(
        transformers=(
            TransformerData(
                node=0, kva=400.0, copper_loss_kw=4.6, no_load_loss_kw=0.61, no_load_current=0.01
            ),
        ),
        feeders=(FeederCable(node=1, transformer=0, length_m=LENGTH_KM * 1000.0, points=points),),
        cable=CABLE,
        charger_point=NONE,
        pv_point=NONE,
        battery_point=NONE,
        load_point=NONE,
        node_point=np.array([-1, points - 1], dtype=np.int64),
    )


def solve(power_kw: list[float]) -> Flow:
    """Solves the two nodes for a load at the far end."""
    power: FloatArray = np.array([power_kw])
    return PowerFlow(electrical(), 2).solve(power, np.zeros((1, 3)))


def test_balanced_load_by_hand() -> None:
    """60 kW at unity power factor: I = P / 3U, the drop is I (R + jX), the loss 3 I^2 R."""
    flow = solve([20.0, 20.0, 20.0])
    busbar, end = flow.voltage_v[0, 0], flow.voltage_v[1, 0]
    resistance, reactance = CABLE.r1_ohm_per_km * LENGTH_KM, CABLE.x1_ohm_per_km * LENGTH_KM
    current = 20_000.0 / end
    assert busbar == pytest.approx(np.hypot(end + current * resistance, current * reactance), rel=1e-6)
    assert flow.loss_kw[1] == pytest.approx(np.full(3, current**2 * resistance / 1000.0), rel=1e-5)
    assert flow.converged


def test_single_phase_load_by_hand() -> None:
    """One phase and the neutral: the loop's impedance is (z0 + 2 z1) / 3, and it alone drops."""
    flow = solve([5.0, 0.0, 0.0])
    loop_r = (CABLE.r0_ohm_per_km + 2.0 * CABLE.r1_ohm_per_km) / 3.0 * LENGTH_KM
    current = 5000.0 / flow.voltage_v[1, 0]
    assert flow.loss_kw[1].sum() == pytest.approx(current**2 * loop_r / 1000.0, rel=1e-4)
    drop = flow.voltage_v[0] - flow.voltage_v[1]
    assert drop[0] == pytest.approx(current * loop_r, rel=0.02)
    # The neutral's shift lifts the other two by about half of the coupled drop.
    assert drop[1] < 0.0
    assert drop[2] < 0.0


def test_transformer_without_load_loses_its_iron_loss() -> None:
    """610 W at nominal voltage, with the square of the voltage."""
    flow = solve([0.0, 0.0, 0.0])
    per_unit = flow.voltage_v[0, 0] * np.sqrt(3.0) / 400.0
    assert flow.loss_kw[0].sum() == pytest.approx(0.61 * per_unit**2, rel=0.01)


def test_transformer_loses_copper_with_the_square_of_the_load() -> None:
    """Twice the current loses four times the copper: pk (S / Sn)^2."""
    idle, half, full = (solve([kw, kw, kw]) for kw in (0.0, 15.0, 30.0))
    copper = [float(flow.loss_kw[0].sum() - idle.loss_kw[0].sum()) for flow in (half, full)]
    throughput = [3.0 * kw + float(flow.loss_kw[1].sum()) for kw, flow in ((15.0, half), (30.0, full))]
    assert copper[1] / copper[0] == pytest.approx((throughput[1] / throughput[0]) ** 2, rel=0.02)
    assert copper[1] == pytest.approx(4.6 * (throughput[1] / 400.0) ** 2, rel=0.08)


def test_feeding_in_lifts_the_far_end() -> None:
    """PV pushes power up: the far end is above the busbar, and losses stay positive."""
    flow = solve([-15.0, -15.0, -15.0])
    assert np.all(flow.voltage_v[1] > flow.voltage_v[0])
    assert np.all(flow.loss_kw[1] > 0.0)


def test_a_load_beyond_the_network_still_gives_figures() -> None:
    """No voltage carries 3 MW over 500 m: the linear method answers, and it is said."""
    flow = solve([1000.0, 1000.0, 1000.0])
    assert not flow.converged
    assert np.isfinite(flow.loss_kw).all()
    assert np.isfinite(flow.voltage_v).all()


def test_spreading_the_load_along_the_cable_loses_less() -> None:
    """The same power at four points loses less than at the far end alone."""
    at_end = solve([20.0, 20.0, 20.0])
    spread = PowerFlow(electrical(4), 2).solve(np.full((4, 3), 5.0), np.zeros((4, 3)))
    assert 0.3 < spread.loss_kw[1].sum() / at_end.loss_kw[1].sum() < 0.6
