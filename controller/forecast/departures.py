"""When drivers really leave, and by when their cars should be done, learned from earlier stays.

A driver says when they will leave and often goes earlier or later. What is learned is no formula but the
past itself: of the stays for which drivers said about the same, begun at about the same hour, those that
lasted longer than this one has lasted so far show how it may go on (`leave_times`). With them charging is a
matter of price and chance: the longer a car may take until it has what it needs, the cheaper the hours it can
choose, and the more likely its driver has gone by then. So each car is done by the step at which price and
chance together cost least (`finish_step`): a departure with something missing counts with a fixed amount,
however much is missing, for that is how drivers count.

Cars share what the network carries. Each takes its steps from what those before it left over, the one
first that is likely to leave soon and needs little: that one is quickly done, and most departures are kept
(`ready_steps`). The plan is asked for each car's step as for a departure and has all the rest of its
freedom. Among prices that are about equal it should charge early (`sooner`): a driver may go, another may
come.

A driver who said nothing is compared with others who said nothing (a stated stay of NaN).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from controller.domain.units import FloatArray, IntArray

NEAREST = 90
"""How many earlier stays are looked at: few enough to be alike, enough for chances of some percent."""
UNKNOWN = 10
"""So many made-up stays, spread over the stated one, count as long as experience is thin."""
HOUR_WEIGHT = 0.1
"""An hour between two arrivals on the clock counts as much as stated stays that differ by a tenth."""
MISSED_EUR = 8.0
"""What a departure with something missing counts for. In a replay of real drivers (the bench of departures)
96.4% of the possible departures are kept so at 48.3 EUR/MWh, against 97.6% at 41.2 where all departures are
known and 97.7% at 54.7 where everyone charges at once; 6 EUR kept 95.5% at 47.4. More keeps more and saves
less, about half a point for each EUR/MWh."""
LIKELY = 0.3
"""Chance of being gone from which on a car counts as leaving soon, where cars take their turns."""
WAITING_EUR_PER_KWH_H = 0.001
"""What an hour of waiting counts for: below what any two hours' prices differ by that are worth the wait."""
ENOUGH_KWH = 1e-6
"""A car that misses no more than this has what it needs."""


@dataclass(frozen=True, kw_only=True)
class PastStays:
    """Stays that are over."""

    stated_h: FloatArray
    """The stay that the driver stated [h], shape (n,); NaN where they said nothing."""
    stayed_h: FloatArray
    """How long they stayed [h], shape (n,)."""
    clock_h: FloatArray
    """The hour of the day at which they came [h], shape (n,)."""


def leave_times(
    past: PastStays, *, stated_h: float, stayed_h: float, clock_h: float, made_up: int = UNKNOWN
) -> FloatArray:
    """How long a car may stay in all, as equally likely values.

    Args:
        past: Stays that are over, and no others.
        stated_h: The stay that this driver stated [h]; NaN where they said nothing.
        stayed_h: How long this car has been here [h].
        clock_h: The hour of the day at which it came [h].
        made_up: How many stays are made up where experience is thin.

    Returns:
        Stays [h], ascending, all longer than `stayed_h`, shape (k,). To fewer than `NEAREST` earlier stays
        made-up ones are added, evenly spread up to the stated one. Empty where nothing is known.
    """
    alike = (np.isnan(past.stated_h) == np.isnan(stated_h)) & (past.stayed_h > stayed_h)
    stays = past.stayed_h[alike]
    if stays.size > NEAREST:
        apart_h = np.abs(past.clock_h[alike] - clock_h)
        distance = HOUR_WEIGHT * np.minimum(apart_h, 24.0 - apart_h)
        if not np.isnan(stated_h):
            # Half an hour more is little on eight hours and much on one: likeness is a matter of proportion.
            distance += np.abs(np.log(np.maximum(past.stated_h[alike], 0.1) / max(stated_h, 0.1)))
        stays = stays[np.argsort(distance, kind="stable")[:NEAREST]]
    elif stays.size < NEAREST and not np.isnan(stated_h):
        spread = stated_h * np.arange(1, made_up + 1) / max(made_up, 1)
        stays = np.concatenate([stays, spread[spread > stayed_h]])
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


@dataclass(frozen=True, kw_only=True)
class Finish:
    """Until when a car takes to get what it needs, and in which steps."""

    step: int
    """By the end of this step it has it; T - 1 where it cannot within the horizon."""
    taken_kwh: FloatArray
    """What it takes in each step [kWh], shape (T,)."""


def finish(
    *, most_kwh: FloatArray, need_kwh: float, gone: FloatArray, price_eur_per_kwh: FloatArray
) -> Finish:
    """The cheapest way to what a car needs, with the chance that it is too late.

    For each step by which the car could be done, the cheapest steps until then cost so much, and the driver
    has left by then so often; the least sum counts. A car that cannot be done takes all it can.

    Args:
        most_kwh: What it can take in each step [kWh], shape (T,).
        need_kwh: What it needs [kWh].
        gone: The chance that it has left by the end of each step, never falling, shape (T,).
        price_eur_per_kwh: Price in each step [EUR/kWh], shape (T,).
    """
    steps = most_kwh.size
    first = int(np.searchsorted(np.cumsum(most_kwh), need_kwh - ENOUGH_KWH))
    if first >= steps:
        return Finish(step=steps - 1, taken_kwh=most_kwh.copy())
    order = np.argsort(price_eur_per_kwh, kind="stable")
    # One row for each step by which it could be done: the steps until then, the cheapest first.
    lasts = np.arange(first, steps)
    usable = np.where(order <= lasts[:, None], most_kwh[order], 0.0)
    taken = np.clip(need_kwh - (np.cumsum(usable, axis=1) - usable), 0.0, usable)
    best = int(np.argmin(taken @ price_eur_per_kwh[order] + MISSED_EUR * gone[lasts]))
    spread = np.zeros(steps)
    spread[order] = taken[best]
    return Finish(step=int(lasts[best]), taken_kwh=spread)


def ready_steps(
    *,
    most_kwh: FloatArray,
    need_kwh: FloatArray,
    gone: FloatArray,
    price_eur_per_kwh: FloatArray,
    step_h: FloatArray,
    room_kwh: FloatArray,
    above: Sequence[IntArray],
) -> IntArray:
    """By the end of which step each car should have what it needs.

    Args:
        most_kwh: What each car can take in each step [kWh], shape (S, T); 0 where it will not be here.
        need_kwh: What each is to get in all [kWh], shape (S,).
        gone: The chance that each has left by the end of each step, shape (S, T).
        price_eur_per_kwh: Price in each step [EUR/kWh], shape (T,).
        step_h: Length of each step [h], shape (T,).
        room_kwh: What each node has left for cars in each step [kWh], shape (N, T).
        above: For each car the nodes that it loads, its own and all above it.

    Returns:
        Shape (S,); T where it cannot be done with what those before it left over.
    """
    steps = step_h.size
    left, ready = np.maximum(room_kwh, 0.0), np.full(need_kwh.size, steps)
    price = sooner(price_eur_per_kwh, step_h)
    stays_h = (gone < LIKELY) @ step_h
    power_kw = np.maximum((most_kwh / step_h).max(axis=1, initial=0.0), ENOUGH_KWH)
    turns = np.argsort(stays_h + need_kwh / power_kw, kind="stable")
    for car in turns.tolist():
        most = np.minimum(most_kwh[car], left[above[car]].min(axis=0, initial=np.inf))
        done = finish(most_kwh=most, need_kwh=float(need_kwh[car]), gone=gone[car], price_eur_per_kwh=price)
        left[above[car]] = np.maximum(left[above[car]] - done.taken_kwh, 0.0)
        if done.taken_kwh.sum() >= need_kwh[car] - ENOUGH_KWH:
            ready[car] = done.step
    return ready


def sooner(price_eur_per_kwh: FloatArray, step_h: FloatArray) -> FloatArray:
    """Prices with a little on top for every hour of waiting [EUR/kWh], shape (T,).

    Args:
        price_eur_per_kwh: Prices [EUR/kWh], shape (T,).
        step_h: Length of each step [h], shape (T,).
    """
    return price_eur_per_kwh + WAITING_EUR_PER_KWH_H * (np.cumsum(step_h) - step_h)
