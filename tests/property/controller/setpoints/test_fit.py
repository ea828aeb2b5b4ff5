"""Whatever the devices want and the limits are: every limit that can be kept is kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.domain.ids import AssetId, NodeId
from controller.domain.reasons import Reason, ReasonCode
from controller.setpoints.candidate import Candidate
from controller.setpoints.rows import RowBook
from controller.setpoints.safety import Fitter, Room
from controller.setpoints.unsure import SLACK_KW, fit_beside_unsure
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
    decided = Fitter(tree).fit(given_candidates, rooms)
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
    decided = Fitter(network()).fit(given_candidates, rooms)
    assert sum(decision.power_kw for decision in decided) >= -up_kw - EPSILON_KW


@given(
    st.lists(candidates(), min_size=1, max_size=10, unique_by=lambda c: c.asset),
    st.lists(st.floats(0.0, 1.0), min_size=10, max_size=10),
    st.lists(st.tuples(st.floats(0.0, 40.0), st.floats(-40.0, 30.0)), min_size=3, max_size=3),
)
@settings(max_examples=300, deadline=None)
def test_an_export_limit_is_kept_by_no_charging_beyond_an_import_limit(
    given_candidates: list[Candidate], fed_in: list[float], spans: list[tuple[float, float]]
) -> None:
    """Floors anywhere, also such as ask for charging: no ceiling is broken for them.

    What is fed in makes room only as far as it is already.
    """
    tree = network()
    devices = [
        replace(c, drawn_kw=part * c.low_kw) for c, part in zip(given_candidates, fed_in, strict=False)
    ]
    rooms = {
        NodeId(name): Room(ceiling_kw=ceiling, floor_kw=min(floor, ceiling))
        for name, (ceiling, floor) in zip(NODES, spans, strict=True)
    }
    decided = Fitter(tree).fit(devices, rooms)
    for device, decision in zip(devices, decided, strict=True):
        magnitude = abs(decision.power_kw)
        assert magnitude < EPSILON_KW or magnitude >= device.min_kw - EPSILON_KW
    for name, (ceiling, _) in zip(NODES, spans, strict=True):
        counted = sum(
            max(decision.power_kw, device.drawn_kw)
            for device, decision in zip(devices, decided, strict=True)
            if NodeId(name) in tree.paths[device.node]
        )
        assert counted <= ceiling + 1e-5


@given(
    st.lists(candidates(), min_size=1, max_size=12, unique_by=lambda c: c.asset),
    st.lists(st.none() | st.floats(-11.0, 11.0), min_size=12, max_size=12),
    st.tuples(st.floats(0.0, 60.0), st.floats(0.0, 40.0), st.floats(0.0, 40.0)),
)
@settings(max_examples=200, deadline=None)
def test_what_the_unsure_may_do_is_nobodys_room(
    given_candidates: list[Candidate], told: list[float | None], ceilings: tuple[float, float, float]
) -> None:
    """Whoever else charges has room beside it; nobody discharges for it; it is told its own all the same."""
    tree = network()
    devices = [replace(c, drawn_kw=0.0) for c in given_candidates]
    unsure = {d.asset: (kw,) for d, kw in zip(devices, told, strict=False) if kw is not None}
    rooms = {
        NodeId(name): Room(ceiling_kw=ceiling, floor_kw=-1e9)
        for name, ceiling in zip(NODES, ceilings, strict=True)
    }
    without = Fitter(tree).fit(devices, rooms)
    decided = fit_beside_unsure(Fitter(tree), devices, rooms, unsure)
    for device, decision, alone in zip(devices, decided, without, strict=True):
        assert device.asset not in unsure or decision.power_kw <= max(alone.power_kw, 0.0) + EPSILON_KW
        assert decision.power_kw >= min(alone.power_kw, 0.0) - EPSILON_KW
    for name, ceiling in zip(NODES, ceilings, strict=True):
        under = [
            (device, decision.power_kw)
            for device, decision in zip(devices, decided, strict=True)
            if NodeId(name) in tree.paths[device.node]
        ]
        may_kw = [
            max(kw, 0.0, 0.0 if device.production else unsure.get(device.asset, (0.0,))[0])
            for device, kw in under
        ]
        charging = [kw for device, kw in under if kw > EPSILON_KW and device.asset not in unsure]
        assert not charging or sum(may_kw) <= ceiling + len(devices) * SLACK_KW


def test_a_discharge_that_has_to_end_takes_along_what_was_charged_by_it() -> None:
    """Nothing may pass either way. One car gives 5 kW; for one that takes 1 it cannot give 1, but 4.14."""
    giving = replace(a_car(1), low_kw=-5.0, want_kw=-5.0, high_kw=0.0, drawn_kw=-5.0)
    taking = replace(a_car(2), want_kw=1.0, min_kw=0.0)
    rooms = {NodeId("f1"): Room(ceiling_kw=0.0, floor_kw=0.0)}
    assert [d.power_kw for d in Fitter(network()).fit([giving, taking], rooms)] == [0.0, 0.0]


def test_too_much_sun_charges_cars_up_to_their_own_feeders_limit() -> None:
    """22 kW are to be taken up above a feeder that carries 12: 12 are, by both cars alike."""
    cars = [a_car(1), a_car(2)]
    rooms = {
        NodeId("t"): Room(ceiling_kw=1e3, floor_kw=22.0),
        NodeId("f1"): Room(ceiling_kw=12.0, floor_kw=-1e3),
    }
    assert [d.power_kw for d in Fitter(network()).fit(cars, rooms)] == [6.0, 6.0]


def a_car(number: int) -> Candidate:
    """One that wants nothing and may charge with 4.14 to 11 kW."""
    return Candidate(
        asset=AssetId(f"a-{number}"),
        node=NodeId("f1"),
        low_kw=0.0,
        high_kw=11.0,
        must_kw=0.0,
        want_kw=0.0,
        min_kw=4.14,
        urgency=-float(number),
        reason=Reason(code=ReasonCode.PLAN),
        safe_kw=0.0,
    )


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
    rooms = {NodeId("f1"): Room(ceiling_kw=ceiling, floor_kw=0.0)}
    decided = np.array([d.power_kw for d in Fitter(network()).fit(wishes, rooms)])
    assert decided.sum() <= ceiling + EPSILON_KW
    assert decided.sum() >= min(ceiling, 11.0 * count) - 4.14 - EPSILON_KW
    assert ((decided < EPSILON_KW) | (decided >= 4.14 - EPSILON_KW)).all()


@given(
    st.lists(
        st.tuples(
            st.lists(candidates(), max_size=8, unique_by=lambda c: c.asset),
            st.lists(st.tuples(st.floats(-5.0, 60.0), st.floats(-40.0, 5.0)), min_size=3, max_size=3),
            st.sets(st.sampled_from(NODES)),
        ),
        min_size=2,
        max_size=4,
    )
)
@settings(max_examples=100, deadline=None)
def test_what_is_kept_from_fit_to_fit_changes_none(
    fits: list[tuple[list[Candidate], list[tuple[float, float]], set[str]]],
) -> None:
    """Devices, limited nodes and phases change in between: as if each fit were the first."""
    kept = Fitter(network())
    for devices, spans, per_phase in fits:
        rooms = {}
        for name, (ceiling, floor) in zip(NODES, spans, strict=True):
            phased = name in per_phase
            rooms[NodeId(name)] = Room(
                ceiling_kw=ceiling,
                floor_kw=floor,
                phase_ceiling_kw=(ceiling / 3.0,) * 3 if phased else None,
                phase_floor_kw=(floor / 3.0,) * 3 if phased else None,
            )
        limited = {name: rooms[name] for name in rooms if name != "f2" or len(devices) % 2}
        assert kept.fit(devices, limited) == Fitter(network()).fit(devices, limited)


@given(st.lists(candidates(), min_size=1, max_size=8), st.sets(st.sampled_from(NODES)))
def test_rows_sum_what_lies_below(devices: list[Candidate], per_phase: set[str]) -> None:
    """Against a sum by hand along the paths; a three-phase device counts a third on each phase."""
    tree = network()
    limited = {NodeId(name): name in per_phase for name in NODES}
    rows = RowBook(tree).rows([(c.node, c.phases) for c in devices], limited)
    summed = iter(rows.sums(np.array([c.want_kw for c in devices])).tolist())
    for node in rows.nodes:
        below = sum(c.want_kw for c in devices if node in tree.paths[c.node])
        assert abs(next(summed) - below) < EPSILON_KW
        for _ in range(3 if limited[node] else 0):
            assert abs(next(summed) - below / 3.0) < EPSILON_KW
    assert next(summed, None) is None
