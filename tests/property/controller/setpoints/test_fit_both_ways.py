"""Import and export limits together, per phase, beside devices that may not take what they are told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.domain.assets import Phases
from controller.domain.ids import AssetId, NodeId
from controller.domain.reasons import Reason, ReasonCode
from controller.setpoints.candidate import Candidate
from controller.setpoints.rows import SHARE
from controller.setpoints.safety import Decision, Fitter, Room
from controller.setpoints.unsure import SLACK_KW, fit_beside_unsure
from tests.support.neighbourhood import network

NODES = ("t", "f1", "f2")
EPSILON_KW = 1e-5
"""Rounding of sums of some tens of kW."""


@st.composite
def devices(draw: st.DrawFn) -> list[Candidate]:
    """Cars, batteries and roofs that do something now and want something else."""
    return [_device(draw, number) for number in range(draw(st.integers(1, 8)))]


def _device(draw: st.DrawFn, number: int) -> Candidate:
    roof = draw(st.integers(0, 3)) == 0
    low = -draw(st.sampled_from([0.0, 3.0, 7.4, 11.0]))
    high = 0.0 if roof else draw(st.sampled_from([0.0, 4.14, 11.0]))
    fixed = roof and draw(st.booleans())
    minimum = 0.0 if roof else draw(st.sampled_from([0.0, 4.14]))
    low = 0.0 if -low < minimum else low
    want = low if roof else draw(st.sampled_from([low, 0.0, high, draw(st.floats(low, high))]))
    want = 0.0 if abs(want) < minimum else want
    return Candidate(
        asset=AssetId(f"a-{number}"),
        node=NodeId(draw(st.sampled_from(NODES))),
        low_kw=low,
        high_kw=low if fixed else high,
        must_kw=draw(st.sampled_from([0.0, max(want, 0.0)])),
        want_kw=want,
        min_kw=minimum,
        urgency=draw(st.floats(-100.0, 0.0)),
        reason=Reason(code=ReasonCode.PLAN),
        safe_kw=0.0,
        phases=draw(st.sampled_from(Phases)),
        production=roof,
        drawn_kw=low if fixed else draw(st.sampled_from([low, 0.0, high, draw(st.floats(low, high))])),
    )


@st.composite
def all_rooms(draw: st.DrawFn, *, both_ways_kw: float = 0.0) -> dict[NodeId, Room]:
    """Some loads alone are over a limit; its two ways are so far apart at least, on a phase by half."""
    found = {}
    for name in NODES:
        ceiling = draw(st.floats(-5.0, 50.0))
        floor = min(draw(st.floats(-40.0, 10.0)), ceiling - both_ways_kw)
        phased = draw(st.booleans())
        ceilings = [draw(st.floats(-2.0, 20.0)) for _ in range(3)]
        floors = [min(draw(st.floats(-15.0, 3.0)), most - both_ways_kw / 2.0) for most in ceilings]
        found[NodeId(name)] = Room(
            ceiling_kw=ceiling,
            floor_kw=floor,
            phase_ceiling_kw=(ceilings[0], ceilings[1], ceilings[2]) if phased else None,
            phase_floor_kw=(floors[0], floors[1], floors[2]) if phased else None,
        )
    return found


told_powers = st.dictionaries(
    st.integers(0, 7), st.lists(st.sampled_from([-11.0, -3.0, 0.0, 4.14, 11.0]), max_size=2), max_size=3
)


@dataclass(frozen=True)
class _Row:
    """One limit, and how much of each device counts in it."""

    ceiling_kw: float
    floor_kw: float
    weight: Sequence[float]

    def sum_kw(self, powers: Sequence[float]) -> float:
        return sum(share * kw for share, kw in zip(self.weight, powers, strict=True))


def _rows(found: Sequence[Candidate], rooms: Mapping[NodeId, Room]) -> Iterator[_Row]:
    tree = network()
    for node, room in rooms.items():
        below = [float(node in tree.paths[one.node]) for one in found]
        yield _Row(room.ceiling_kw, room.floor_kw, below)
        for phase in range(3):
            if room.phase_ceiling_kw is not None and room.phase_floor_kw is not None:
                shares = [part * SHARE[one.phases][phase] for part, one in zip(below, found, strict=True)]
                yield _Row(room.phase_ceiling_kw[phase], room.phase_floor_kw[phase], shares)


def _least_kw(one: Candidate, power_kw: float, told: Sequence[float] | None) -> float:
    """What it may feed in at most, by what is known."""
    if told is None:
        return min(power_kw, max(one.drawn_kw, 0.0))
    return min(power_kw, one.drawn_kw, *([] if one.production else told))


def _most_kw(one: Candidate, power_kw: float, told: Sequence[float] | None) -> float:
    """What it may draw at most."""
    if told is None:
        return max(power_kw, min(one.drawn_kw, 0.0))
    return max(power_kw, one.drawn_kw, *told)


@dataclass(frozen=True)
class _Fitted:
    """What came out, and what each may do by it."""

    power: list[float]
    least: list[float]
    most: list[float]
    rows: list[_Row]
    sure: list[int]


def _fitted(
    found: Sequence[Candidate], rooms: Mapping[NodeId, Room], given_told: Mapping[int, list[float]]
) -> _Fitted:
    told = {place: kw for place, kw in given_told.items() if place < len(found)}
    unsure = {found[place].asset: tuple(kw) for place, kw in told.items()}
    decided = fit_beside_unsure(Fitter(network()), found, rooms, unsure)
    _inside_windows(found, decided)
    power = [decision.power_kw for decision in decided]
    return _Fitted(
        power=power,
        least=[_least_kw(one, kw, told.get(i)) for i, (one, kw) in enumerate(zip(found, power, strict=True))],
        most=[_most_kw(one, kw, told.get(i)) for i, (one, kw) in enumerate(zip(found, power, strict=True))],
        rows=list(_rows(found, rooms)),
        sure=[i for i in range(len(found)) if i not in told],
    )


@given(devices(), all_rooms(), told_powers)
@settings(max_examples=300, deadline=None)
def test_nobody_charges_over_a_ceiling_whoever_is_unsure(
    found: list[Candidate], rooms: dict[NodeId, Room], told: dict[int, list[float]]
) -> None:
    """Where an import limit is over, whoever takes what it is told does not charge."""
    fitted = _fitted(found, rooms, told)
    for row in fitted.rows:
        if row.sum_kw(fitted.most) > row.ceiling_kw + EPSILON_KW + len(found) * SLACK_KW:
            assert all(fitted.power[i] <= EPSILON_KW for i in fitted.sure if row.weight[i] > 0.0)


@given(devices(), all_rooms(both_ways_kw=8.0), told_powers)
@settings(max_examples=300, deadline=None)
def test_nobody_feeds_in_over_a_limit_whoever_is_unsure(
    found: list[Candidate], rooms: dict[NodeId, Room], told: dict[int, list[float]]
) -> None:
    """Where an export limit is over, none of them could feed in less without breaking an import limit."""
    fitted = _fitted(found, rooms, told)
    slack_kw = EPSILON_KW + len(found) * SLACK_KW
    for row in fitted.rows:
        short_kw = row.floor_kw - row.sum_kw(fitted.least)
        for i in fitted.sure:
            if short_kw <= slack_kw or row.weight[i] == 0.0:
                continue
            could_kw = max(found[i].high_kw if found[i].production else 0.0, fitted.power[i])
            if min(could_kw - fitted.power[i], short_kw / row.weight[i]) <= slack_kw:
                continue
            raised = [*fitted.most[:i], _most_kw(found[i], could_kw, None), *fitted.most[i + 1 :]]
            assert any(
                other.weight[i] > 0.0 and other.sum_kw(raised) > other.ceiling_kw - slack_kw
                for other in fitted.rows
            )


def _inside_windows(found: Sequence[Candidate], decided: Sequence[Decision]) -> None:
    for one, decision in zip(found, decided, strict=True):
        low, high = min(one.low_kw, 0.0), max(one.high_kw, 0.0)
        assert low - EPSILON_KW <= decision.power_kw <= high + EPSILON_KW
        magnitude = abs(decision.power_kw)
        assert magnitude < EPSILON_KW or magnitude >= one.min_kw - EPSILON_KW


@given(devices(), all_rooms(), told_powers)
@settings(max_examples=200, deadline=None)
def test_nobody_discharges_for_what_an_unsure_device_may_draw(
    found: list[Candidate], rooms: dict[NodeId, Room], told: dict[int, list[float]]
) -> None:
    """It may draw nothing at all; with the floors out of the way nobody charges for it either."""
    deep = {
        node: replace(
            room, floor_kw=-1e9, phase_floor_kw=None if room.phase_floor_kw is None else (-1e9, -1e9, -1e9)
        )
        for node, room in rooms.items()
    }
    unsure = {found[place].asset: tuple(kw) for place, kw in told.items() if place < len(found)}
    alone = Fitter(network()).fit(found, deep)
    decided = fit_beside_unsure(Fitter(network()), found, deep, unsure)
    for one, before, after in zip(found, alone, decided, strict=True):
        assert after.power_kw >= min(before.power_kw, 0.0) - EPSILON_KW
        assert one.production or after.power_kw <= max(before.power_kw, 0.0) + EPSILON_KW
