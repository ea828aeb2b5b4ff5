"""The uniform-price auction at one place, on arrays: one sort, one running sum, a few masks.

Picture all orders on one line by price. Going up the line, what sellers offer grows and what buyers ask
shrinks. At a price p the energy offered at or below p, S(<=p), meets the energy asked for above p,
B(>p). Because `S(<=p) - B(>p)` equals "everything at or below p, buyers and sellers alike, less all that
buyers ask", the price where offer first covers demand is found by one running sum over *all* quantities
in price order: the first price where it reaches the buyers' total. There

    volume = min(S(<=p), B(>=p))

is the largest volume among all that are worth most: below p too little is offered, above it too little
asked. Everyone strictly better than p is filled; those at p share what is left (`ties`).

Prices that support this clearing form an interval: no lower than any filled seller or any buyer who did
not get all, no higher than any filled buyer or any seller who did not sell all. Within it nobody regrets.
On the sorted line its ends are p itself or p's neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from controller.domain.units import BoolArray, IntArray
from market.clearing.ties import TieOrder, in_group, pro_rata
from market.prices import midpoint


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
    buys = is_buy.view(np.int8)  # a product with 0 and 1 is several times faster than a mask here
    asked = int((quantity_wh * buys).sum())
    if asked in (0, int(quantity_wh.sum())):
        return _nothing(len(price))
    order = np.argsort(price)
    running = np.cumsum(quantity_wh[order])
    ladder = price[order]
    crossing = ladder[np.searchsorted(running, asked)]
    left, right = np.searchsorted(ladder, crossing), np.searchsorted(ladder, crossing, side="right")
    at_price = order[left:right]
    filled = quantity_wh * (is_buy == (price > crossing))
    filled[at_price] = 0
    sure_bought = int((filled * buys).sum())
    sure_sold = int(filled.sum()) - sure_bought
    at_price_buys = is_buy[at_price]
    bought = _Margin.of(at_price[at_price_buys], quantity_wh, sure_bought)
    sold = _Margin.of(at_price[~at_price_buys], quantity_wh, sure_sold)
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
        lowest_microeur_per_kwh=int(crossing if from_below else ladder[left - 1]),
        highest_microeur_per_kwh=int(crossing if from_above else ladder[right]),
    )


@dataclass(frozen=True, slots=True)
class _Margin:
    """One side's orders that stand exactly at the crossing price."""

    members: IntArray
    whole_wh: int
    """What they asked for or offered together."""
    sure_wh: int
    """What their side has filled before them, at better prices."""

    @classmethod
    def of(cls, members: IntArray, quantity_wh: IntArray, sure_wh: int) -> _Margin:
        return cls(members, int(quantity_wh[members].sum()), sure_wh)

    def touched(self, volume_wh: int) -> bool:
        """Whether any of them is filled: then the price cannot be on their bad side."""
        return volume_wh > self.sure_wh

    def short(self, volume_wh: int) -> bool:
        """Whether they are not filled in full: then the price cannot be on their good side."""
        return volume_wh < self.sure_wh + self.whole_wh

    def share(self, volume_wh: int, quantity_wh: IntArray, filled_wh: IntArray, tie_order: TieOrder) -> None:
        """Writes what each of them gets into `filled_wh`."""
        if self.touched(volume_wh):
            ordered = in_group(self.members, tie_order)
            filled_wh[self.members] = pro_rata(volume_wh - self.sure_wh, quantity_wh[self.members], ordered)


def _nothing(size: int) -> Auction:
    return Auction(
        filled_wh=np.zeros(size, dtype=np.int64),
        volume_wh=0,
        lowest_microeur_per_kwh=None,
        highest_microeur_per_kwh=None,
    )
