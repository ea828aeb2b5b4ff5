"""The hours in which each charger may charge by itself, so that every node holds for days without us.

Everything here holds in the worst case that is reckoned with: the load that nobody steers at its high end,
and under each node the largest chargers, up to a fraction of their number, at their hardware's maximum
because they ignore their profiles. What a node has left beside that is shared out in time: nothing in the
evening peak, and a stretch of the night for each charger, at the least power that it can charge with.

1. Room: per node, phase and quarter-hour of the UTC day, the limit less its margin, the high load and the
   reserve for those who ignore. Where all chargers under a node fit at full power at once, it binds nobody.
2. The longest stretch that fits for everyone is sought by halving. One try places the chargers one after the
   other, the tightest path to the root first, each where its path has most left: that staggers them.
3. Then all grow in turns, a quarter-hour at a time, also beyond the night, while their path has room.

The day is cut at noon UTC, so that a night is in one piece.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from controller.domain.assets import ChargePoint
from controller.domain.floor import DAY_S, NOTHING, FloorHours
from controller.domain.ids import AssetId, NodeId
from controller.domain.network import Network
from controller.domain.units import BoolArray, FloatArray
from controller.setpoints.base_load import shares

QUARTERS = 96
QUARTER_S = DAY_S // QUARTERS
PEAK_UTC = (14 * 4, 20 * 4)
"""The evening peak in quarter-hours of the UTC day: 16 to 21 h by both summer and winter time."""
NIGHT_UTC = (20 * 4, 5 * 4)
"""The night: 21 to 7 h by both."""
NOON = QUARTERS // 2
SLACK_KW = 1e-9
"""Rounding of sums."""


@dataclass(frozen=True, kw_only=True)
class SafeFloor:
    """What chargers do without us."""

    hours: Mapping[AssetId, FloorHours]
    """Of every charger; one that fits nowhere has none."""
    crowded: Mapping[NodeId, float]
    """Nodes that the reserve and the high load alone would take over their limit, by how much [kW] at worst:
    no profile can keep these if so many chargers ignore theirs at such an hour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Charger:
    """What the search needs of one."""

    id: AssetId
    path: list[int]
    """The places of the nodes from its own up to the root."""
    need_kw: FloatArray
    """What it takes in total and on each phase, shape (4, 1)."""
    power_kw: float


def safe_floor(
    network: Network,
    points: Sequence[ChargePoint],
    high_load_kw: FloatArray,
    *,
    ignoring_fraction: float,
    margin_fraction: float,
) -> SafeFloor:
    """Shares out the hours.

    Args:
        network: The tree.
        points: The chargers. `fallback_kw` below the least that one can charge with means that it gets no
            hours; else it is its power in them.
        high_load_kw: The high end of what is not steered, under each node in the order of `network.nodes`,
            in total and per phase, per quarter-hour of the UTC day, shape (N, 4, 96).
        ignoring_fraction: Of the chargers under each node, how many ignore their profiles, in [0, 1].
        margin_fraction: Of each limit, what stays free, in [0, 1).
    """
    place = {node.id: i for i, node in enumerate(network.nodes)}
    paths = {key: [place[above] for above in path] for key, path in network.paths.items()}
    room = _room(network, points, paths, high_load_kw, ignoring_fraction, margin_fraction)
    worst = np.min(room, axis=(1, 2))
    crowded = {
        node.id: -float(kw) for node, kw in zip(network.nodes, worst.tolist(), strict=True) if kw < -SLACK_KW
    }
    room = np.roll(room, -NOON, axis=2)
    chargers = [
        _Charger(
            id=point.id,
            path=paths[point.node],
            need_kw=point.fallback_kw * shares([point.phases])[0][:, None],
            power_kw=point.fallback_kw,
        )
        for point in points
        if 0.0 < point.charge_kw_min <= point.fallback_kw <= point.charge_kw_max
    ]
    chargers.sort(key=lambda one: (float(_slack(room, one).sum()), one.id))
    stretches = _share_out(room, chargers)
    hours = {point.id: NOTHING for point in points}
    for one in chargers:
        if one.id in stretches:
            begin, end = stretches[one.id]
            hours[one.id] = FloorHours(
                start_s=(begin + NOON) % QUARTERS * QUARTER_S,
                length_s=(end - begin) * QUARTER_S,
                power_kw=one.power_kw,
            )
    return SafeFloor(hours=hours, crowded=crowded)


def ignoring_count(fraction: float, count: int) -> int:
    """How many of `count` chargers are reckoned to ignore their profiles: rounded up."""
    return math.ceil(fraction * count - SLACK_KW)


def _room(
    network: Network,
    points: Sequence[ChargePoint],
    paths: Mapping[NodeId, list[int]],
    high_load_kw: FloatArray,
    ignoring_fraction: float,
    margin_fraction: float,
) -> FloatArray:
    """What the hours may take up under each node, shape (N, 4, 96); infinite where nothing binds."""
    keep = 1.0 - margin_fraction
    limits = np.array([[node.import_limit_kw(), *[node.phase_limit_kw()] * 3] for node in network.nodes])
    room: FloatArray = limits[:, :, None] * keep - high_load_kw
    under: list[list[FloatArray]] = [[] for _ in network.nodes]
    for point in points:
        full_kw = point.charge_kw_max * shares([point.phases])[0]
        for i in paths[point.node]:
            under[i].append(full_kw)
    for i, found in enumerate(under):
        if not found:
            continue
        # The largest first, in total and on each phase by itself.
        full_kw = -np.sort(-np.array(found), axis=0)
        reserve_kw = full_kw[: ignoring_count(ignoring_fraction, len(found))].sum(axis=0)
        binds = full_kw.sum(axis=0)[:, None] > room[i] + SLACK_KW
        room[i] = np.where(binds, room[i] - reserve_kw[:, None], np.inf)
    return room


def _slack(room: FloatArray, charger: _Charger) -> FloatArray:
    """What is left on a charger's path beside its own hours, at most its full need, shape (96,)."""
    left = (room[charger.path] - charger.need_kw).min(axis=(0, 1))
    # Bounded, so that sums over the day compare where nothing binds.
    return np.minimum(left, 1e6)


def _share_out(room: FloatArray, chargers: Sequence[_Charger]) -> dict[AssetId, tuple[int, int]]:
    """The stretch (begin, end) in quarter-hours since noon of each charger that fits somewhere."""
    quarters = (np.arange(QUARTERS) + NOON) % QUARTERS
    night: BoolArray = (quarters >= NIGHT_UTC[0]) | (quarters < NIGHT_UTC[1])
    best, left = _place(room, chargers, night, 1)
    fitting = [one for one in chargers if one.id in best]
    short, long = 1, int(night.sum())
    while short < long:
        middle = (short + long + 1) // 2
        tried, rest = _place(room, fitting, night, middle)
        if len(tried) == len(fitting):
            short, best, left = middle, tried, rest
        else:
            long = middle - 1
    peak: BoolArray = (quarters >= PEAK_UTC[0]) & (quarters < PEAK_UTC[1])
    _grow(left, fitting, best, ~peak)
    return best


def _place(
    room: FloatArray, chargers: Iterable[_Charger], allowed: BoolArray, length: int
) -> tuple[dict[AssetId, tuple[int, int]], FloatArray]:
    """Places a stretch of a length for everyone for whom it fits; the stretches and the room left."""
    left = room.copy()
    stretches: dict[AssetId, tuple[int, int]] = {}
    for one in chargers:
        slack = np.where(allowed, _slack(left, one), -np.inf)
        least = np.lib.stride_tricks.sliding_window_view(slack, length).min(axis=1)
        begin = int(np.argmax(least))
        if least[begin] < -SLACK_KW:
            continue
        stretches[one.id] = (begin, begin + length)
        left[one.path, :, begin : begin + length] -= one.need_kw
    return stretches, left


def _grow(
    left: FloatArray,
    chargers: Sequence[_Charger],
    stretches: dict[AssetId, tuple[int, int]],
    allowed: BoolArray,
) -> None:
    """Lengthens the stretches in turns, a quarter-hour at a time, to the side with more room."""
    growing = list(chargers)
    while growing:
        still = []
        for one in growing:
            begin, end = stretches[one.id]
            sides = [
                (float((left[one.path, :, at] - one.need_kw[:, 0]).min()), at)
                for at in (end, begin - 1)
                if 0 <= at < QUARTERS and allowed[at]
            ]
            if not sides or max(sides)[0] < -SLACK_KW:
                continue
            at = max(sides)[1]
            left[one.path, :, at] -= one.need_kw[:, 0]
            stretches[one.id] = (min(begin, at), max(end, at + 1))
            still.append(one)
        growing = still
