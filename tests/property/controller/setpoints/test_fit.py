"""Whatever the devices want and the limits are: every limit that can be kept is kept."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.domain.ids import AssetId, NodeId
from controller.domain.reasons import Reason, ReasonCode
from controller.setpoints.candidate import Candidate
from controller.setpoints.safety import Room, fit
from tests.support.neighbourhood import network

NODES = ("t", "f1", "f2")
EPSILON_KW = 1e-6
"""Rounding of sums of some tens of kW."""


@st.composite
def candidates(draw: st.DrawFn) -> Candidate:
    """A charger, a battery or a roof with a window around its wish."""
    number = draw(st.integers(0, 10**6))
    production = draw(st.booleans()) and draw(st.booleans())
    low = -draw(st.floats(0.0, 11.0)) if production or draw(st.booleans()) else 0.0
    high = 0.0 if production else draw(st.sampled_from([0.0, 4.14, 7.4, 11.0]))
    minimum = 0.0 if production else draw(st.sampled_from([0.0, 4.14]))
    if minimum and -low < minimum:
        low = 0.0
    want = draw(st.floats(low, high)) if high > low else low
    if 0.0 < abs(want) < minimum:
        want = 0.0
    must = draw(st.sampled_from([0.0, max(want, 0.0)]))
    return Candidate(
        asset=AssetId(f"a-{number}"),
        node=NodeId(draw(st.sampled_from(NODES))),
        low_kw=low,
        high_kw=high,
        must_kw=must,
        want_kw=want,
        min_kw=minimum,
        urgency=draw(st.floats(-100.0, 0.0)),
        reason=Reason(code=ReasonCode.PLAN),
        safe_kw=0.0,
        production=production,
    )


@given(
    st.lists(candidates(), min_size=1, max_size=12, unique_by=lambda c: c.asset),
    st.tuples(st.floats(0.0, 60.0), st.floats(0.0, 40.0), st.floats(0.0, 40.0)),
)
@settings(max_examples=200, deadline=None)
def test_import_limits_are_kept_and_windows_never_left(
    given_candidates: list[Candidate], ceilings: tuple[float, float, float]
) -> None:
    """With ceilings of at least 0 everything can rest, so every ceiling can be kept."""
    tree = network()
    rooms = {
        NodeId(name): Room(ceiling_kw=ceiling, floor_kw=-1e9)
        for name, ceiling in zip(NODES, ceilings, strict=True)
    }
    decided = fit(given_candidates, rooms, tree)
    for candidate, decision in zip(given_candidates, decided, strict=True):
        low, high = min(candidate.low_kw, 0.0), max(candidate.high_kw, 0.0)
        assert low - EPSILON_KW <= decision.power_kw <= high + EPSILON_KW
        magnitude = abs(decision.power_kw)
        assert magnitude < EPSILON_KW or magnitude >= candidate.min_kw - EPSILON_KW
    for name, ceiling in zip(NODES, ceilings, strict=True):
        total = sum(
            decision.power_kw
            for candidate, decision in zip(given_candidates, decided, strict=True)
            if NodeId(name) in tree.paths[candidate.node]
        )
        assert total <= ceiling + EPSILON_KW


@given(st.lists(candidates(), min_size=1, max_size=10, unique_by=lambda c: c.asset), st.floats(0.0, 30.0))
@settings(max_examples=100, deadline=None)
def test_roofs_and_discharge_give_way_to_an_export_limit(
    given_candidates: list[Candidate], up_kw: float
) -> None:
    """Export is brought inside by less discharge, more charging, and less sun."""
    rooms = {NodeId("t"): Room(ceiling_kw=1e9, floor_kw=-up_kw)}
    decided = fit(given_candidates, rooms, network())
    assert sum(decision.power_kw for decision in decided) >= -up_kw - EPSILON_KW


@given(st.integers(1, 6), st.floats(0.0, 66.0))
def test_as_many_get_the_minimum_as_fit(count: int, ceiling: float) -> None:
    """Six equal cars, each wanting 11 kW: nobody is left between 0 and 4.14 kW."""
    wishes = [
        Candidate(
            asset=AssetId(f"a-{i}"),
            node=NodeId("f1"),
            low_kw=0.0,
            high_kw=11.0,
            must_kw=0.0,
            want_kw=11.0,
            min_kw=4.14,
            urgency=-float(i),
            reason=Reason(code=ReasonCode.PLAN),
            safe_kw=0.0,
        )
        for i in range(count)
    ]
    decided = np.array(
        [d.power_kw for d in fit(wishes, {NodeId("f1"): Room(ceiling_kw=ceiling, floor_kw=0.0)}, network())]
    )
    assert decided.sum() <= ceiling + EPSILON_KW
    assert decided.sum() >= min(ceiling, 11.0 * count) - 4.14 - EPSILON_KW
    assert ((decided < EPSILON_KW) | (decided >= 4.14 - EPSILON_KW)).all()
