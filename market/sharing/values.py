"""What a sharing key is given and what it gives: arrays of whole numbers, checked once.

The axes are T quarter-hours and N allocation points. Energy is in watt-hours, a price in micro-euro per
kWh, money in nano-euro. Import and export of a point stand apart and are never netted: a roof that feeds
in and a home that takes in the same quarter-hour do both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from controller.domain.units import IntArray
from market.clearing.ties import TieOrder, by_hash, in_turn

POINT_QUARTER_WH_MAX = 10**7
"""The most that one allocation point may take or feed in within a quarter-hour: 40 MW."""
PRICE_MAX = 10**8
"""The largest magnitude of a price [micro-euro/kWh]: 100 euro per kWh."""
WHOLE_PPM = 1_000_000
"""A whole, in parts per million."""
_SUM_MAX = 2**61
"""Sums of money over all points and quarter-hours stay below it, so that none leaves 64 bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy:
    """What the meters of a pool counted."""

    offtake_wh: IntArray
    """Taken from the grid [Wh], shape (T, N), never negative."""
    feed_in_wh: IntArray
    """Fed into it [Wh], shape (T, N), a magnitude."""

    def __post_init__(self) -> None:
        if self.offtake_wh.ndim != 2 or self.offtake_wh.shape != self.feed_in_wh.shape:
            raise ValueError(f"shapes differ: {self.offtake_wh.shape} and {self.feed_in_wh.shape}")
        for name in ("offtake_wh", "feed_in_wh"):
            array = getattr(self, name)
            if array.dtype != np.int64:
                raise ValueError(f"{name} must hold 64-bit integers, not {array.dtype}")
            if array.size and not (array.min() >= 0 and array.max() <= POINT_QUARTER_WH_MAX):
                raise ValueError(f"{name} must lie in [0, {POINT_QUARTER_WH_MAX}]")

    @property
    def shareable_wh(self) -> IntArray:
        """What can be shared at most: the smaller of all feed-in and all offtake, shape (T,)."""
        return np.minimum(self.feed_in_wh.sum(axis=1), self.offtake_wh.sum(axis=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a pool has agreed on, and the supplier's prices behind it."""

    import_microeur_per_kwh: IntArray
    """What the supplier asks, shape (T,)."""
    export_microeur_per_kwh: IntArray
    """What it pays, shape (T,)."""
    shared_microeur_per_kwh: IntArray
    """The community's own price of shared energy, shape (T,), for the keys that take one."""
    share_ppm: IntArray
    """Each point's fixed share of the feed-in [parts per million], shape (N,); together at most a whole."""
    priority: IntArray
    """Each point's class, shape (N,); 1 is served first."""
    ranks: IntArray
    """Each point's place in the order that settles equal remainders, shape (N,): see `ranks_of`."""
    first_turn: int = 0
    """The number of the first quarter-hour: the order of equal remainders goes round with it."""

    def __post_init__(self) -> None:
        series = (self.import_microeur_per_kwh, self.export_microeur_per_kwh, self.shared_microeur_per_kwh)
        if any(np.abs(prices).max(initial=0) > PRICE_MAX for prices in series):
            raise ValueError(f"a price is beyond {PRICE_MAX} micro-euro per kWh")
        if (self.export_microeur_per_kwh > self.import_microeur_per_kwh).any():
            raise ValueError("the supplier pays more than it asks")
        if self.share_ppm.min(initial=0) < 0 or int(self.share_ppm.sum()) > WHOLE_PPM:
            raise ValueError(f"shares must not be negative and sum to at most {WHOLE_PPM} ppm")

    def tie_order(self, quarter: int) -> TieOrder:
        """Who wins an equal remainder in the quarter-hour at position `quarter`."""
        return in_turn(self.ranks, self.first_turn + quarter)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """Who got what of whom, and at which price; all that is not shared is the supplier's."""

    received_wh: IntArray
    """What each point got of its neighbours [Wh], shape (T, N), at most its offtake."""
    given_wh: IntArray
    """What each gave to them [Wh], shape (T, N), at most its feed-in."""
    price_microeur_per_kwh: IntArray
    """The price of shared energy, shape (T,)."""
    paid_nanoeur: IntArray
    """What each point pays as a consumer, shape (T, N); negative for what it gets back."""
    earned_nanoeur: IntArray
    """What each is paid as a producer, shape (T, N)."""


def ranks_of(names: Sequence[str]) -> IntArray:
    """The place of each name in ascending SHA-256, shape (N,): no name is favoured, in whatever order."""
    ranks = np.empty(len(names), dtype=np.int64)
    ranks[by_hash(names)(np.arange(len(names)))] = np.arange(len(names))
    return ranks


def check_size(energy: Energy, terms: Terms) -> None:
    """Checks that energy and terms belong together and that no sum leaves 64 bits.

    Raises:
        ValueError: If shapes do not fit or the sums are beyond counting.
    """
    quarters, points = energy.offtake_wh.shape
    series = (terms.import_microeur_per_kwh, terms.export_microeur_per_kwh, terms.shared_microeur_per_kwh)
    if any(prices.shape != (quarters,) for prices in series):
        raise ValueError(f"prices must have shape ({quarters},)")
    if any(array.shape != (points,) for array in (terms.share_ppm, terms.priority, terms.ranks)):
        raise ValueError(f"shares, priorities and ranks must have shape ({points},)")
    price = max(int(np.abs(prices).max(initial=0)) for prices in series)
    if price * int(energy.offtake_wh.sum() + energy.feed_in_wh.sum()) > _SUM_MAX:
        raise ValueError("the sums of money are beyond counting: settle a shorter time")


def check_shares(energy: Energy, shares: Shares) -> None:
    """Checks what a key gave, whoever wrote it: no energy and no money is made.

    Raises:
        ValueError: If a point receives more than it takes or gives more than it feeds in, if the two do
            not sum to the same, or if what is paid is not what is earned.
    """
    if (shares.received_wh < 0).any() or (shares.received_wh > energy.offtake_wh).any():
        raise ValueError("a point received more than it took, or less than nothing")
    if (shares.given_wh < 0).any() or (shares.given_wh > energy.feed_in_wh).any():
        raise ValueError("a point gave more than it fed in, or less than nothing")
    if (shares.received_wh.sum(axis=1) != shares.given_wh.sum(axis=1)).any():
        raise ValueError("what is received is not what is given")
    if (shares.paid_nanoeur.sum(axis=1) != shares.earned_nanoeur.sum(axis=1)).any():
        raise ValueError("what is paid is not what is earned")
