"""Whatever is asked of a car, energy is conserved and no bound is broken."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.physics.car import CarArrays, energy_when_alone, flow_kw, stored_after

FRACTION = st.floats(0.0, 1.0)


@settings(max_examples=200, deadline=None)
@given(
    capacity=st.floats(10.0, 120.0),
    stored=FRACTION,
    charge_max=st.floats(4.14, 22.0),
    discharge_max=st.floats(0.0, 22.0),
    requests=st.lists(st.floats(-50.0, 50.0), min_size=1, max_size=20),
    step_s=st.sampled_from([1.0, 10.0, 60.0, 900.0]),
)
def test_any_requests_keep_every_bound(
    capacity: float,
    stored: float,
    charge_max: float,
    discharge_max: float,
    requests: list[float],
    step_s: float,
) -> None:
    """Energy stays in [0, capacity], power in its bounds, and what is stored is what flowed less losses."""
    one = np.ones(1)
    car = CarArrays(
        capacity_kwh=capacity * one,
        charge_kw_max=charge_max * one,
        discharge_kw_max=discharge_max * one,
        charge_kw_min=4.14 * one,
        efficiency_charge=0.93 * one,
        efficiency_discharge=0.93 * one,
    )
    energy = stored * capacity * one
    hours = step_s / 3600.0
    for request in requests:
        power = flow_kw(car, energy, request * one, hours)
        after = stored_after(car, energy, power, hours)
        assert power[0] == 0.0 or -discharge_max <= power[0] < 0.0 or 4.14 - 1e-6 <= power[0] <= charge_max
        assert power[0] * request >= 0.0
        assert abs(power[0]) <= abs(request) + 1e-9
        assert 0.0 <= after[0] <= capacity
        flowed = hours * (0.93 * max(power[0], 0.0) - max(-power[0], 0.0) / 0.93)
        assert abs(after[0] - energy[0] - flowed) < 1e-9
        energy = after


@settings(max_examples=100, deadline=None)
@given(stored=FRACTION, hours=st.floats(0.0, 12.0), more=st.floats(0.0, 3.0))
def test_alone_it_only_fills_up(stored: float, hours: float, more: float) -> None:
    """More time never gives less, and never more than the capacity or than full power could."""

    def alone(time_h: float) -> float:
        return energy_when_alone(
            stored_kwh=stored * 50.0,
            hours=time_h,
            capacity_kwh=50.0,
            charge_kw_max=11.0,
            charge_kw_min=4.14,
            efficiency=0.93,
        )

    assert stored * 50.0 - 1e-9 <= alone(hours) <= alone(hours + more) + 1e-9
    assert alone(hours) <= min(50.0, stored * 50.0 + 0.93 * 11.0 * hours) + 1e-9
