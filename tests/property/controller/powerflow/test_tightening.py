"""Tightening ends, never loosens, and leaves a plan that keeps the hard constraints of the tree as it was."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.dispatch.check import check
from controller.dispatch.fallback import fallback
from controller.dispatch.inputs import DispatchInputs
from controller.dispatch.result import DispatchResult
from controller.powerflow.check import check_flow
from controller.powerflow.replan import MOST_ROUNDS, plan_that_holds
from tests.support.cable import cable_model
from tests.support.dispatch import load, node, problem, roof, store

STEPS = 3
MODELS = {length: cable_model(length) for length in (100.0, 600.0, 1200.0)}

powers = st.floats(0.0, 60.0).map(lambda value: round(value, 2))


@settings(max_examples=30, deadline=None)
@given(
    length=st.sampled_from(sorted(MODELS)),
    home_kw=st.lists(powers, min_size=STEPS, max_size=STEPS),
    sun_kw=powers,
    car_kw=powers,
    initial_kwh=st.floats(0.0, 60.0),
)
def test_rounds_end_and_limits_only_fall(
    length: float, home_kw: list[float], sun_kw: float, car_kw: float, initial_kwh: float
) -> None:
    """With plans by rules, which charge as fast as the tree allows: the hardest planner to hold back."""
    model = MODELS[length]
    cars = [
        store(
            f"car-{i}",
            "f1" if i < 3 else "f2",
            STEPS,
            initial_kwh=initial_kwh,
            final_min_kwh=55.0,
            charge_kw_max=car_kw,
            discharge_kw_max=car_kw,
        )
        for i in (1, 2, 3)
    ]
    inputs = problem(
        STEPS,
        [node("t", None, 380.0, STEPS), node("f1", "t", 138.0, STEPS), node("f2", "t", 138.0, STEPS)],
        fixed=[load("home", "f1", home_kw, STEPS)],
        pv=[roof("roof", "f1", sun_kw, STEPS)],
        stores=cars,
    )
    asked: list[DispatchInputs] = []

    def rules(tree: DispatchInputs, _: float | None) -> DispatchResult:
        asked.append(tree)
        return fallback(tree, "asked for")

    made = plan_that_holds(inputs, model, rules)
    assert len(asked) <= MOST_ROUNDS + 1
    for before, after in pairwise(asked):
        for old, new in zip(before.nodes, after.nodes, strict=True):
            assert (new.import_limit_kw <= old.import_limit_kw).all()
            assert (new.export_limit_kw <= old.export_limit_kw).all()
            assert (new.import_limit_kw >= 0.0).all()
            assert (new.export_limit_kw >= 0.0).all()
    assert check(inputs, made) == []
    assert made.findings == check_flow(inputs, made, model)
    first = check_flow(inputs, rules(inputs, None), model)
    assert sum(f.severity for f in made.findings) <= sum(f.severity for f in first)
