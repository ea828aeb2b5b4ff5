"""When drivers really leave, and what their cars should have by when, learned from earlier stays.

A driver says when they will leave and often goes earlier or later. What is learned is no formula but the
past itself: of the stays for which drivers said about the same, those that lasted longer than this one
has lasted so far show how it may go on (`leave_times`). With them charging is a matter of price and chance:
energy planned for a step is lost to a driver who has gone by then. So a step counts with its price, if
the car is still there, and with what a missing kWh is worth, if it is not (`safe_levels`).

Cars share what the network carries. Each takes its steps from what those before it left over, the one
with the least need first: that one is quickly done, and most departures are kept. The levels of energy that
follow fit the network together; the plan is asked for them as for departures and has all the rest of its
freedom. Among prices that are about equal it should charge early (`sooner`): a driver may go, another may
come.

A driver who said nothing is compared with others who said nothing (a stated stay of NaN).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from controller.domain.units import FloatArray, IntArray

NEAREST = 150
"""How many earlier stays are looked at: few enough to be alike, enough for chances of a percent."""
UNKNOWN = 10
"""So many made-up stays, spread over the stated one, count as long as experience is thin."""
MISSING_EUR_PER_KWH = 0.25
"""What a kWh that a driver lacks counts for. Measured on the first 35 days of a replay of real drivers (the
bench of departures): 95% of the possible departures kept, with 46% of the saving over charging at once that
knowing the real departures would give; less keeps fewer and saves more."""
WAITING_EUR_PER_KWH_H = 0.001
"""What an hour of waiting counts for: below what any two hours' prices differ by that are worth the wait."""
LEVEL_KWH = 1e-6
"""Levels closer than this are one."""


@dataclass(frozen=True, kw_only=True)
class PastStays:
    """Stays that are over."""

    stated_h: FloatArray
    """The stay that the driver stated [h], shape (n,); NaN where they said nothing."""
    stayed_h: FloatArray
    """How long they stayed [h], shape (n,)."""


def leave_times(past: PastStays, *, stated_h: float, stayed_h: float) -> FloatArray:
    """How long a car may stay in all, as equally likely values.

    Args:
        past: Stays that are over, and no others.
        stated_h: The stay that this driver stated [h]; NaN where they said nothing.
        stayed_h: How long this car has been here [h].

    Returns:
        Stays [h], ascending, all longer than `stayed_h`, shape (k,). To fewer than `NEAREST` earlier stays
        `UNKNOWN` are added, evenly spread up to the stated one. Empty where nothing is known.
    """
    alike = (np.isnan(past.stated_h) == np.isnan(stated_h)) & (past.stayed_h > stayed_h)
    stays, stated = past.stayed_h[alike], past.stated_h[alike]
    if not np.isnan(stated_h) and stays.size > NEAREST:
        # Half an hour more is little on eight hours and much on one: likeness is a matter of proportion.
        distance = np.abs(np.log(np.maximum(stated, 0.1) / max(stated_h, 0.1)))
        stays = stays[np.argsort(distance, kind="stable")[:NEAREST]]
    if stays.size < NEAREST and not np.isnan(stated_h):
        made_up = stated_h * np.arange(1, UNKNOWN + 1) / UNKNOWN
        stays = np.concatenate([stays, made_up[made_up > stayed_h]])
    return np.sort(stays)


def chance_gone(stays_h: FloatArray, at_h: FloatArray) -> FloatArray:
    """The chance that a car has left by given times.

    Args:
        stays_h: From `leave_times` [h], ascending, shape (k,).
        at_h: Times since the arrival [h], shape (T,).

    Returns:
        Between 0 and 1, shape (T,); 0 where nothing is known.
    """
    if not stays_h.size:
        return np.zeros(at_h.shape)
    return np.searchsorted(stays_h, at_h, side="left") / stays_h.size


def safe_levels(
    *,
    most_kwh: FloatArray,
    need_kwh: FloatArray,
    gone: FloatArray,
    price_eur_per_kwh: FloatArray,
    room_kwh: FloatArray,
    above: Sequence[IntArray],
) -> FloatArray:
    """How much each car should have got by the end of each step.

    Args:
        most_kwh: What each car can take in each step [kWh], shape (S, T); 0 where it will not be here.
        need_kwh: What each is to get in all [kWh], shape (S,).
        gone: The chance that each has left by the end of each step, shape (S, T).
        price_eur_per_kwh: Price in each step [EUR/kWh], shape (T,).
        room_kwh: What each node has left for cars in each step [kWh], shape (N, T).
        above: For each car the nodes that it loads, its own and all above it.

    Returns:
        Energy since now [kWh], shape (S, T), never falling, at most the need; the cars' sum stays within the
        room of every node and step.
    """
    left, levels = np.maximum(room_kwh, 0.0), np.zeros(most_kwh.shape)
    for car in np.argsort(need_kwh, kind="stable").tolist():
        most = np.minimum(most_kwh[car], left[above[car]].min(axis=0, initial=np.inf))
        rank = price_eur_per_kwh * (1.0 - gone[car]) + MISSING_EUR_PER_KWH * gone[car]
        order = np.argsort(rank, kind="stable")
        before = np.concatenate([[0.0], np.cumsum(most[order])[:-1]])
        taken = np.zeros(most.shape)
        taken[order] = np.clip(need_kwh[car] - before, 0.0, most[order])
        left[above[car]] = np.maximum(left[above[car]] - taken, 0.0)
        levels[car] = np.cumsum(taken)
    return levels


def waypoints(levels_kwh: FloatArray) -> list[tuple[int, float]]:
    """The ends of the spells in which one car charges: what it should have at the start of which step.

    Args:
        levels_kwh: One row of `safe_levels`, shape (T,).

    Returns:
        Steps in 1..T, ascending, and energies since now [kWh].
    """
    rises = np.diff(levels_kwh, prepend=0.0) > LEVEL_KWH
    ends = np.flatnonzero(rises & ~np.append(rises[1:], False))
    return [(int(step) + 1, float(levels_kwh[step])) for step in ends]


def sooner(price_eur_per_kwh: FloatArray, step_h: FloatArray) -> FloatArray:
    """Prices with a little on top for every hour of waiting [EUR/kWh], shape (T,).

    Args:
        price_eur_per_kwh: Prices [EUR/kWh], shape (T,).
        step_h: Length of each step [h], shape (T,).
    """
    return price_eur_per_kwh + WAITING_EUR_PER_KWH_H * (np.cumsum(step_h) - step_h)
