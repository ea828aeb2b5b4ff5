"""The Shapley value: what each member's taking part is worth to the community, as a report on fairness.

A coalition is worth what its sharing saves against the supplier: in each quarter-hour the smaller of its
feed-in and its offtake, times the difference between the supplier's two prices. A member's value is what
it adds on joining, averaged over every order in which the members could join; the values sum to what all
save together. A sharing key that gives a member much less than that lives off that member.

Up to `EXACT_MAX` members all coalitions are looked at and the value is exact, in whole nano-euro by
largest remainder. Above, the mean over random orders stands for it, with its standard error.

Source: L. S. Shapley, A value for n-person games (1953); for the sampling, Castro, Gomez and Tejada,
Polynomial calculation of the Shapley value based on sampling, Computers and Operations Research 36 (2009).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from controller.domain.units import FloatArray, IntArray
from market.clearing.ties import TieOrder, divided
from market.sharing.values import Energy

EXACT_MAX = 12
"""Up to so many members every coalition is looked at: 4,096 of them."""
_BLOCK = 512
"""Quarter-hours at a time: keeps the coalitions' sums within the processor's cache and some 30 MB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fairness:
    """What each member adds."""

    value_nanoeur: IntArray
    """The Shapley value, shape (N,); sums to what all save together."""
    standard_error_nanoeur: FloatArray
    """Of the sampled value, shape (N,); 0 where it is exact."""
    exact: bool


def shapley(
    energy: Energy,
    spread_microeur_per_kwh: IntArray,
    tie_order: TieOrder,
    *,
    samples: int = 200,
    seed: int = 0,
) -> Fairness:
    """The Shapley value of each member.

    Args:
        energy: What each member's meters counted, shape (T, N), all its points together.
        spread_microeur_per_kwh: The supplier's import price less its export price, shape (T,).
        tie_order: Who wins an equal remainder.
        samples: How many orders of joining are tried where there are more than `EXACT_MAX` members.
        seed: Of the random orders; the same seed gives the same values.

    Raises:
        ValueError: If fewer than two orders are to be tried: one has no error.
    """
    if energy.offtake_wh.shape[1] <= EXACT_MAX:
        return _exact(energy, spread_microeur_per_kwh, tie_order)
    if samples < 2:
        raise ValueError("at least two orders of joining are needed to tell the error")
    return _sampled(energy, spread_microeur_per_kwh, tie_order, samples, seed)


def _exact(energy: Energy, spread: IntArray, tie_order: TieOrder) -> Fairness:
    count = energy.offtake_wh.shape[1]
    inside = (np.arange(2**count)[:, np.newaxis] >> np.arange(count)) & 1
    worth = np.zeros(2**count, dtype=np.int64)
    for begin in range(0, len(spread), _BLOCK):
        block = slice(begin, begin + _BLOCK)
        shared = np.minimum(inside @ energy.offtake_wh[block].T, inside @ energy.feed_in_wh[block].T)
        worth += shared @ spread[block]
    # Over n! orders a coalition of k comes just before a member in k! (n - k - 1)! of them.
    orders = [math.factorial(k) * math.factorial(count - k - 1) for k in range(count)]
    size = inside.sum(axis=1)
    numerators = np.zeros(count, dtype=object)
    exact = worth.astype(object)
    for member in range(count):
        without = np.flatnonzero(inside[:, member] == 0)
        gained = exact[without | (1 << member)] - exact[without]
        numerators[member] = sum(
            orders[k] * gain for k, gain in zip(size[without].tolist(), gained.tolist(), strict=True)
        )
    return Fairness(
        value_nanoeur=divided(numerators, math.factorial(count), tie_order),
        standard_error_nanoeur=np.zeros(count),
        exact=True,
    )


def _sampled(energy: Energy, spread: IntArray, tie_order: TieOrder, samples: int, seed: int) -> Fairness:
    count = energy.offtake_wh.shape[1]
    random = np.random.default_rng(seed)
    gains = np.zeros((samples, count), dtype=np.int64)
    offtake, feed_in = energy.offtake_wh.T.copy(), energy.feed_in_wh.T.copy()
    for sample in range(samples):
        joining = random.permutation(count)
        took, fed = np.zeros_like(spread), np.zeros_like(spread)
        before = 0
        for member in joining.tolist():
            took += offtake[member]
            fed += feed_in[member]
            now = int(np.minimum(took, fed) @ spread)
            gains[sample, member] = now - before
            before = now
    sums = gains.astype(object).sum(axis=0)
    return Fairness(
        value_nanoeur=divided(sums, samples, tie_order),
        standard_error_nanoeur=gains.std(axis=0, ddof=1) / math.sqrt(samples),
        exact=False,
    )
