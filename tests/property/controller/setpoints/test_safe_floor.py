"""The safe floor: no node over its limit in the worst case reckoned with, whoever ignores us, at any hour."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.domain.assets import ChargePoint, Phases
from controller.domain.floor import DAY_S, FloorHours
from controller.domain.ids import AssetId, NodeId, ean_from_number
from controller.domain.network import Limit, LimitKind, Network, Node, NodeKind
from controller.domain.units import FloatArray
from controller.setpoints.base_load import shares
from controller.setpoints.safe_floor import QUARTERS, SafeFloor, ignoring_count, safe_floor
from tests.support.neighbourhood import charge_point

MARGIN = 0.03
MIDNIGHT = datetime(2024, 1, 15, tzinfo=UTC)


def node(name: str, parent: str | None, kind: LimitKind, value: float) -> Node:
    """A node with one limit."""
    limits = (Limit(kind=kind, value=value),)
    above = None if parent is None else NodeId(parent)
    return Node(id=NodeId(name), parent=above, kind=NodeKind.FEEDER, limits=limits)


def charger(number: int, at: str, *, kw: float = 11.0, phases: Phases = Phases.THREE) -> ChargePoint:
    """A charger at a node."""
    least = 4.14 if phases is Phases.THREE else 1.38
    return ChargePoint(
        id=AssetId(f"cp-{number}"),
        node=NodeId(at),
        ean=ean_from_number("871687100", number),
        member=charge_point(1, at).member,
        charge_kw_max=kw,
        discharge_kw_max=0.0,
        charge_kw_min=least,
        phases=phases,
        fallback_kw=least,
    )


def by_quarter(hours: FloorHours) -> FloatArray:
    """The power in each quarter-hour of the UTC day [kW], shape (96,)."""
    return np.array([hours.kw_at(MIDNIGHT + timedelta(minutes=15 * i)) for i in range(QUARTERS)])


@st.composite
def districts(draw: st.DrawFn) -> tuple[Network, list[ChargePoint], FloatArray]:
    """A transformer with feeders and poles, chargers anywhere, and a load per node, phase and quarter."""
    nodes = [node("t", None, LimitKind.TRANSFORMER, draw(st.floats(20.0, 300.0)))]
    for f in range(draw(st.integers(1, 3))):
        nodes.append(node(f"f{f}", "t", LimitKind.CABLE, draw(st.floats(16.0, 200.0))))
        nodes += [
            node(f"p{f}{p}", f"f{f}", LimitKind.FUSE, draw(st.sampled_from([16.0, 25.0, 35.0])))
            for p in range(draw(st.integers(0, 2)))
        ]
    names = [each.id for each in nodes[1:]]
    points = [
        charger(
            i,
            draw(st.sampled_from(names)),
            kw=draw(st.sampled_from([7.4, 11.0, 22.0])),
            phases=draw(st.sampled_from([Phases.THREE, Phases.THREE, Phases.L2, Phases.UNKNOWN])),
        )
        for i in range(1, draw(st.integers(2, 14)))
    ]
    network = Network(tuple(nodes))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    high = rng.uniform(0.0, draw(st.floats(0.0, 20.0)), (len(nodes), 1, QUARTERS))
    high = high * np.array([1.0, 0.4, 0.3, 0.3])[:, None]
    for i in range(len(nodes) - 1, 0, -1):
        parent = nodes[i].parent
        assert parent is not None
        high[[each.id for each in nodes].index(parent)] += high[i]
    return network, points, high


def worst_kw(network: Network, points: list[ChargePoint], floor: SafeFloor, fraction: float) -> FloatArray:
    """The most that the chargers under each node draw if a fraction of them ignores us, (N, 4, 96)."""
    worst = np.zeros((len(network.nodes), 4, QUARTERS))
    for i, each in enumerate(network.nodes):
        under = [point for point in points if each.id in network.paths[point.node]]
        if not under:
            continue
        share = shares([point.phases for point in under])
        own = np.array([by_quarter(floor.hours[point.id]) for point in under])
        own_kw = own[:, None, :] * share[:, :, None]
        full_kw = np.array([point.charge_kw_max for point in under])[:, None] * share
        more = -np.sort(own_kw - full_kw[:, :, None], axis=0)
        worst[i] = own_kw.sum(axis=0) + more[: ignoring_count(fraction, len(under))].sum(axis=0)
    return worst


@settings(max_examples=60, deadline=None)
@given(district=districts(), fraction=st.sampled_from([0.0, 0.2, 0.5]))
def test_no_node_is_overloaded_by_hours_of_ours(
    district: tuple[Network, list[ChargePoint], FloatArray], fraction: float
) -> None:
    """Wherever the hours give anything, even the worst choice of who ignores fits beside the high load.

    Computed here by sorting at each quarter-hour, not by the reserve that the search keeps.
    """
    network, points, high = district
    floor = safe_floor(network, points, high, ignoring_fraction=fraction, margin_fraction=MARGIN)
    worst = worst_kw(network, points, floor, fraction)
    given_kw = worst_kw(network, points, floor, 0.0)
    limits = np.array([[n.import_limit_kw(), *[n.phase_limit_kw()] * 3] for n in network.nodes])
    over = high + worst > limits[:, :, None] * (1.0 - MARGIN) + 1e-6
    assert not np.any(over & (given_kw > 0.0))
    crowded = {network.nodes[i].id for i in np.flatnonzero(over.any(axis=(1, 2)))}
    assert crowded <= set(floor.crowded)


@settings(max_examples=40, deadline=None)
@given(district=districts())
def test_nothing_in_the_evening_peak_and_never_below_the_least(
    district: tuple[Network, list[ChargePoint], FloatArray],
) -> None:
    """16 to 21 h by both times of the year; one stretch a day, at the least power or nothing."""
    network, points, high = district
    floor = safe_floor(network, points, high, ignoring_fraction=0.2, margin_fraction=MARGIN)
    assert set(floor.hours) == {point.id for point in points}
    for point in points:
        power = by_quarter(floor.hours[point.id])
        assert not power[14 * 4 : 20 * 4].any()
        assert set(power.tolist()) <= {0.0, point.charge_kw_min}
        begins = sum(before < after for before, after in pairwise([*power, power[0]]))
        assert begins <= 1


def test_two_sockets_share_the_night_of_their_pole() -> None:
    """Beside one that ignores at 11 kW a fuse of 25 A holds one of them at 4.14 kW: they take turns."""
    network = Network((node("t", None, LimitKind.TRANSFORMER, 400.0), node("p", "t", LimitKind.FUSE, 25.0)))
    points = [charger(1, "p"), charger(2, "p")]
    floor = safe_floor(
        network, points, np.zeros((2, 4, QUARTERS)), ignoring_fraction=0.2, margin_fraction=MARGIN
    )
    first, second = (by_quarter(floor.hours[point.id]) for point in points)
    assert not np.any((first > 0.0) & (second > 0.0))
    night = np.r_[80:96, 0:20]
    assert first[night].any()
    assert second[night].any()
    assert (first + second)[night].sum() == pytest.approx(36 * 4.14)
    assert floor.crowded == {}


def test_a_charger_whose_fallback_is_below_its_least_stands_still() -> None:
    """2 kW on three phases cannot be charged with: it becomes 0."""
    network = Network((node("t", None, LimitKind.TRANSFORMER, 400.0),))
    point = charge_point(1, "t")
    low = ChargePoint(
        id=point.id,
        node=point.node,
        ean=point.ean,
        member=point.member,
        charge_kw_max=11.0,
        discharge_kw_max=11.0,
        fallback_kw=2.0,
    )
    floor = safe_floor(
        network, [low], np.zeros((1, 4, QUARTERS)), ignoring_fraction=0.2, margin_fraction=MARGIN
    )
    assert floor.hours[low.id].length_s == 0


@given(
    start_s=st.integers(0, DAY_S - 1),
    length_s=st.integers(0, DAY_S),
    from_s=st.integers(0, 3 * DAY_S),
    span_s=st.integers(0, DAY_S - 1),
    inside=st.floats(0.0, 1.0, exclude_max=True),
)
def test_extremes_of_a_span_bound_every_instant_in_it(
    start_s: int, length_s: int, from_s: int, span_s: int, inside: float
) -> None:
    """Least and most hold at its begin and anywhere within."""
    hours = FloorHours(start_s=start_s, length_s=length_s, power_kw=4.14)
    begin = MIDNIGHT + timedelta(seconds=from_s)
    end = begin + timedelta(seconds=span_s)
    at = begin + timedelta(seconds=int(inside * span_s))
    assert hours.least_kw(begin, end) <= hours.kw_at(at) <= hours.most_kw(begin, end)
    assert timedelta(0) <= begin - hours.begin_before(begin) < timedelta(days=1)
    assert hours.length_s == 0 or hours.kw_at(hours.begin_before(begin)) == 4.14
