"""Sharing keys: how a community hands out its own energy after the fact, and at which price.

In each quarter-hour at most the smaller of all feed-in and all offtake is shared; what is left over is
each point's own affair with its supplier. A key says who gets how much of it and what it costs:

| key | who gets it | price of shared energy |
|---|---|---|
| `pro_rata` | by offtake | the community's |
| `static` | fixed shares of the feed-in; what a point cannot use goes to the supplier | the community's |
| `priority` | the lower class number first, by offtake within a class | the community's |
| `mid_market_rate` | by offtake | half-way between the supplier's two prices |
| `supply_demand_ratio` | by offtake | from the import price (nothing offered) to the export price (plenty) |
| `bill_sharing` | by offtake | none: the community's bill is split by offtake, its income by feed-in |

What is given is always split by feed-in. Every split is by largest remainder; equal remainders go by the
hash of the points' names, beginning elsewhere each quarter-hour. A key of one's own is a function of the
same shape beside these in a mapping by name; `share` checks whatever it gives.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

import numpy as np

from controller.domain.units import IntArray
from market.clearing.ties import TieOrder, divided, in_group, times
from market.clearing.ties import pro_rata as split
from market.sharing.values import WHOLE_PPM, Energy, Shares, Terms, check_shares, check_size


class SharingKey(Protocol):
    """Hands out the energy of one pool."""

    def __call__(self, energy: Energy, terms: Terms) -> Shares:
        """Shares out, quarter-hour by quarter-hour; see `check_shares` for what must hold."""
        ...


def share(key: SharingKey, energy: Energy, terms: Terms) -> Shares:
    """Applies a key.

    Args:
        key: One of `KEYS`, or one of somebody else's.
        energy: What the meters counted.
        terms: Prices and what was agreed.

    Raises:
        ValueError: If energy and terms do not fit each other, or if the key breaks a rule of `check_shares`.
    """
    check_size(energy, terms)
    shares = key(energy, terms)
    check_shares(energy, shares)
    return shares


def pro_rata(energy: Energy, terms: Terms) -> Shares:
    """By offtake, at the community's price."""
    return _at_price(terms.shared_microeur_per_kwh, *_by_offtake(energy, terms))


def static(energy: Energy, terms: Terms) -> Shares:
    """Fixed shares of the feed-in, at the community's price; what a point cannot use is not handed on."""
    received, given = np.zeros_like(energy.offtake_wh), np.zeros_like(energy.feed_in_wh)
    for quarter, fed in enumerate(energy.feed_in_wh):
        order = terms.tie_order(quarter)
        entitled = divided(terms.share_ppm * int(fed.sum()), WHOLE_PPM, order)
        received[quarter] = np.minimum(entitled, energy.offtake_wh[quarter])
        given[quarter] = split(int(received[quarter].sum()), fed, order)
    return _at_price(terms.shared_microeur_per_kwh, received, given)


def priority(energy: Energy, terms: Terms) -> Shares:
    """The lower class number first, by offtake within a class; at the community's price."""
    received, given = np.zeros_like(energy.offtake_wh), np.zeros_like(energy.feed_in_wh)
    classes = [np.flatnonzero(terms.priority == number) for number in np.unique(terms.priority)]
    for quarter, total in enumerate(energy.shareable_wh.tolist()):
        order = terms.tie_order(quarter)
        left = total
        for members in classes:
            wanted = energy.offtake_wh[quarter, members]
            served = min(left, int(wanted.sum()))
            received[quarter, members] = split(served, wanted, in_group(members, order))
            left -= served
        given[quarter] = split(total, energy.feed_in_wh[quarter], order)
    return _at_price(terms.shared_microeur_per_kwh, received, given)


def mid_market_rate(energy: Energy, terms: Terms) -> Shares:
    """By offtake, half-way between what the supplier asks and what it pays.

    What is left over is the supplier's at its own price, so that a producer of more than is used, or a
    consumer of more than is made, gets the published rate's mean of the two.

    Source: Long et al., Peer-to-peer energy trading in a community microgrid, IEEE PESGM (2017).
    """
    price = (terms.import_microeur_per_kwh + terms.export_microeur_per_kwh) // 2
    return _at_price(price, *_by_offtake(energy, terms))


def supply_demand_ratio(energy: Energy, terms: Terms) -> Shares:
    """By offtake; the price falls from the supplier's import to its export price as more is offered.

    With ratio r = feed-in / offtake, import price b and export price s, shared energy costs
    `s * b / ((b - s) * r + s)` for r <= 1, and s beyond. With s <= 0 that has no meaning, and its limit for
    s towards 0 is taken, which is 0, or the import price where that is below 0. The floor is taken.

    Source: Liu et al., Energy-sharing model with price-based demand response for microgrids of
    peer-to-peer prosumers, IEEE Transactions on Power Systems 32 (2017).
    """
    supply, demand = energy.feed_in_wh.sum(axis=1), energy.offtake_wh.sum(axis=1)
    rows = zip(
        supply.tolist(),
        demand.tolist(),
        terms.import_microeur_per_kwh.tolist(),
        terms.export_microeur_per_kwh.tolist(),
        strict=True,
    )
    price = np.array([_ratio_price(*row) for row in rows], dtype=np.int64)
    return _at_price(price, *_by_offtake(energy, terms))


def bill_sharing(energy: Energy, terms: Terms) -> Shares:
    """The community's bill by offtake and its income by feed-in; shared energy itself costs nothing.

    Energy goes by offtake. What each then buys of the supplier is within a watt-hour of its part of the
    bill; the amounts paid here make it exact to the nano-euro.

    Source: Long et al., Peer-to-peer energy trading in a community microgrid, IEEE PESGM (2017).
    """
    received, given = _by_offtake(energy, terms)
    paid, earned = np.zeros_like(received), np.zeros_like(given)
    bought, sold = energy.offtake_wh - received, energy.feed_in_wh - given
    for quarter in range(len(received)):
        order = terms.tie_order(quarter)
        paid[quarter] = _evened(
            bought[quarter], energy.offtake_wh[quarter], int(terms.import_microeur_per_kwh[quarter]), order
        )
        earned[quarter] = _evened(
            sold[quarter], energy.feed_in_wh[quarter], int(terms.export_microeur_per_kwh[quarter]), order
        )
    return Shares(
        received_wh=received,
        given_wh=given,
        price_microeur_per_kwh=np.zeros(len(received), dtype=np.int64),
        paid_nanoeur=paid,
        # A producer whose part of the income is more than it gets of the supplier is paid the difference.
        earned_nanoeur=earned,
    )


KEYS: Mapping[str, SharingKey] = MappingProxyType(
    {
        key.__name__: key
        for key in (pro_rata, static, priority, mid_market_rate, supply_demand_ratio, bill_sharing)
    }
)
"""The keys that come with the program, by the name that a rules file uses."""


def _by_offtake(energy: Energy, terms: Terms) -> tuple[IntArray, IntArray]:
    """All that can be shared: received by offtake, given by feed-in; shape (T, N) each."""
    received, given = np.zeros_like(energy.offtake_wh), np.zeros_like(energy.feed_in_wh)
    for quarter, total in enumerate(energy.shareable_wh.tolist()):
        if total:
            order = terms.tie_order(quarter)
            received[quarter] = split(total, energy.offtake_wh[quarter], order)
            given[quarter] = split(total, energy.feed_in_wh[quarter], order)
    return received, given


def _at_price(price: IntArray, received_wh: IntArray, given_wh: IntArray) -> Shares:
    return Shares(
        received_wh=received_wh,
        given_wh=given_wh,
        price_microeur_per_kwh=price,
        paid_nanoeur=price[:, np.newaxis] * received_wh,
        earned_nanoeur=price[:, np.newaxis] * given_wh,
    )


def _ratio_price(supply_wh: int, demand_wh: int, asked: int, paid: int) -> int:
    """The price of `supply_demand_ratio` in one quarter-hour; Python's integers, so nothing overflows."""
    if supply_wh >= demand_wh:
        return paid
    if paid <= 0:
        return min(0, asked)
    return paid * asked * demand_wh // ((asked - paid) * supply_wh + paid * demand_wh)


def _evened(rest_wh: IntArray, whole_wh: IntArray, price: int, order: TieOrder) -> IntArray:
    """What each is short of its part of the pool's sum with the supplier [nano-euro], shape (N,)."""
    own = rest_wh * price
    total, whole = int(own.sum()), int(whole_wh.sum())
    return divided(times(whole_wh, total), whole, order) - own if total else -own
