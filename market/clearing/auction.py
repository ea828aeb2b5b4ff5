"""The uniform-price auction at one place, on arrays: a search for one price, then a few masks.

Picture all orders on one line by price. Going up the line, what sellers offer grows and what buyers ask
shrinks. At a price p the energy offered at or below p, S(<=p), meets the energy asked for above p,
B(>p). Because `S(<=p) - B(>p)` equals "everything at or below p, buyers and sellers alike, less all that
buyers ask", the price where offer first covers demand is the first below which lies, with itself, as much
as all buyers ask together: a weighted quantile, for which the orders need not be sorted (`_crossing`). There

    volume = min(S(<=p), B(>=p))

is the largest volume among all that are worth most: below p too little is offered, above it too little
asked. Everyone strictly better than p is filled; those at p share what is left (`ties`).

Prices that support this clearing form an interval: no lower than any filled seller or any buyer who did
not get all, no higher than any filled buyer or any seller who did not sell all. Within it nobody regrets.
Its ends are p itself or the next limit prices below and above p.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np

from controller.domain.units import BoolArray, IntArray
from market.clearing.ties import TieOrder, in_group, pro_rata
from market.prices import midpoint

_SAMPLE = 1024
"""About how many prices are sorted to search among: ten passes over the orders, and few are left between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Auction:
    """What the auction at one place came to."""

    filled_wh: IntArray
    """Per order [Wh], shape (N,)."""
    volume_wh: int
    """What was bought, and sold."""
    lowest_microeur_per_kwh: int | None
    """The lowest supporting price; None where nothing was filled."""
    highest_microeur_per_kwh: int | None
    """The highest supporting price; None where nothing was filled."""

    @property
    def price_microeur_per_kwh(self) -> int | None:
        """The uniform price: the floor of the midpoint of the supporting ones."""
        if self.lowest_microeur_per_kwh is None or self.highest_microeur_per_kwh is None:
            return None
        return midpoint(self.lowest_microeur_per_kwh, self.highest_microeur_per_kwh)


def auction(
    is_buy: BoolArray, price_microeur_per_kwh: IntArray, quantity_wh: IntArray, tie_order: TieOrder
) -> Auction:
    """Clears one interval at one place.

    Args:
        is_buy: True for buyers, shape (N,).
        price_microeur_per_kwh: Limit prices, shape (N,).
        quantity_wh: Positive quantities [Wh], shape (N,); their sum fits in 62 bits.
        tie_order: Who is first among equal remainders.

    Returns:
        Fills, volume and the interval of supporting prices.
    """
    price = price_microeur_per_kwh
    asked = _sum_where(quantity_wh, is_buy)
    if asked in (0, int(quantity_wh.sum())):
        return _nothing(len(price))
    crossing = _crossing(price, quantity_wh, asked)
    above, at_crossing = price > crossing, price == crossing
    filled = quantity_wh * ((is_buy == above) & ~at_crossing).view(np.int8)
    sure_bought = _sum_where(filled, is_buy)
    sure_sold = int(filled.sum()) - sure_bought
    bought = _Margin.of(at_crossing & is_buy, quantity_wh, sure_bought)
    sold = _Margin.of(at_crossing & ~is_buy, quantity_wh, sure_sold)
    volume = min(sure_bought + bought.whole_wh, sure_sold + sold.whole_wh)
    if volume == 0:
        return _nothing(len(price))
    for margin in (bought, sold):
        margin.share(volume, quantity_wh, filled, tie_order)
    from_below = sold.touched(volume) or bought.short(volume)
    from_above = bought.touched(volume) or sold.short(volume)
    return Auction(
        filled_wh=filled,
        volume_wh=volume,
        lowest_microeur_per_kwh=crossing if from_below else int(price[price < crossing].max()),
        highest_microeur_per_kwh=crossing if from_above else int(price[above].min()),
    )


def _crossing(price: IntArray, quantity_wh: IntArray, asked_wh: int) -> int:
    """The lowest limit price p such that the orders at or below p add up to at least `asked_wh`.

    A sorted sample of the prices is searched by halves, with one pass over all orders each time; only the
    orders between two neighbours of the sample are sorted.

    Args:
        price: Limit prices, shape (N,).
        quantity_wh: Quantities [Wh], shape (N,).
        asked_wh: From 1 to the sum of the quantities.

    Returns:
        The price.
    """

    def up_to(limit: int) -> int:
        return _sum_where(quantity_wh, price <= limit)

    sample = np.unique(price[:: 1 + len(price) // _SAMPLE])
    place = bisect_left(sample, asked_wh, key=up_to)
    within = np.ones(len(price), dtype=np.bool_)
    lower_wh = 0
    if place > 0:
        lower_wh = up_to(sample[place - 1])
        within &= price > sample[place - 1]
    if place < len(sample):
        between = within & (price < sample[place])
        if not between.any():
            return int(sample[place])
        within &= price <= sample[place]
    prices, quantities = price[within], quantity_wh[within]
    order = np.argsort(prices)
    return int(prices[order[np.searchsorted(np.cumsum(quantities[order]), asked_wh - lower_wh)]])


@dataclass(frozen=True, slots=True)
class _Margin:
    """One side's orders that stand exactly at the crossing price."""

    members: BoolArray
    """Which orders these are, shape (N,)."""
    whole_wh: int
    """What they asked for or offered together."""
    sure_wh: int
    """What their side has filled before them, at better prices."""

    @classmethod
    def of(cls, members: BoolArray, quantity_wh: IntArray, sure_wh: int) -> _Margin:
        return cls(members, _sum_where(quantity_wh, members), sure_wh)

    def touched(self, volume_wh: int) -> bool:
        """Whether any of them is filled: then the price cannot be on their bad side."""
        return volume_wh > self.sure_wh

    def short(self, volume_wh: int) -> bool:
        """Whether they are not filled in full: then the price cannot be on their good side."""
        return volume_wh < self.sure_wh + self.whole_wh

    def share(self, volume_wh: int, quantity_wh: IntArray, filled_wh: IntArray, tie_order: TieOrder) -> None:
        """Writes what each of them gets into `filled_wh`, where they have nothing yet."""
        if not self.short(volume_wh):
            filled_wh += quantity_wh * self.members.view(np.int8)
        elif self.touched(volume_wh):
            members = np.flatnonzero(self.members)
            ordered = in_group(members, tie_order)
            filled_wh[members] = pro_rata(volume_wh - self.sure_wh, quantity_wh[members], ordered)


def _sum_where(quantity_wh: IntArray, chosen: BoolArray) -> int:
    """The sum of some quantities, by products with 0 and 1: several times faster than a mask, and no copy."""
    return int(np.einsum("i,i->", quantity_wh, chosen.view(np.int8)))


def _nothing(size: int) -> Auction:
    return Auction(
        filled_wh=np.zeros(size, dtype=np.int64),
        volume_wh=0,
        lowest_microeur_per_kwh=None,
        highest_microeur_per_kwh=None,
    )
