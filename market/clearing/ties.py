"""Ties: orders at the same place, side and price share what there is, pro rata and in whole watt-hours.

Each gets the floor of its share. The watt-hours left over go to the largest remainders, one each; where
remainders are equal, to the order whose id has the smallest SHA-256. Nobody can gain by arriving first,
by naming an order cleverly, or by being listed early.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np

from controller.domain.units import IntArray

type TieOrder = Callable[[IntArray], IntArray]
"""Takes positions of orders, shape (k,), and gives the same positions, first in line first.

A function, so that hashes are taken only of the few orders whose remainders are equal."""

_INT64_MAX = 2**63 - 1
_SAMPLE, _MARGIN = 1024, 64
"""Values in a sample; places in it to either side of the wanted one, four standard deviations of its rank."""
_MANY = 8
"""Samples' worth of values from which on sampling is faster."""


def pro_rata(total_wh: int, quantity_wh: IntArray, tie_order: TieOrder) -> IntArray:
    """Shares a total among tied orders.

    Args:
        total_wh: What there is to share [Wh], `0 <= total_wh <= sum(quantity_wh)`.
        quantity_wh: What each asked for [Wh], shape (N,), all positive.
        tie_order: Puts positions 0..N-1 in the order in which they win an equal remainder.

    Returns:
        What each gets [Wh], shape (N,); it sums to `total_wh`, none above its quantity.
    """
    whole = int(quantity_wh.sum())
    if total_wh == whole:
        return quantity_wh.copy()
    return _whole_parts(times(quantity_wh, total_wh), whole, total_wh, tie_order)


def times(quantities: IntArray, factor: int) -> IntArray:
    """The exact products, shape (N,); `quantities` are not negative.

    A product beyond 64 bits is rare; Python's own integers (dtype object) then do the same sums, only slower.
    """
    exact = quantities if abs(factor) * int(quantities.max()) <= _INT64_MAX else quantities.astype(object)
    return exact * factor


def divided(numerators: IntArray, denominator: int, tie_order: TieOrder) -> IntArray:
    """Divides each by the same number, so that the parts sum to the floor of the divided sum.

    Args:
        numerators: What is divided, shape (N,), of any sign; Python integers (dtype object) where 64 bits
            are too few.
        denominator: Positive.
        tie_order: Puts positions 0..N-1 in the order in which they win an equal remainder.

    Returns:
        The whole parts, shape (N,): each the floor, or one more for the largest remainders.
    """
    return _whole_parts(numerators, denominator, sum(numerators.tolist()) // denominator, tie_order)


def _whole_parts(numerators: IntArray, denominator: int, total: int, tie_order: TieOrder) -> IntArray:
    """The floors of the quotients, and one more for the largest remainders until they sum to `total`."""
    floors = numerators // denominator
    remainders = floors * denominator
    np.subtract(numerators, remainders, out=remainders)
    parts = floors.astype(np.int64, copy=False)
    left = total - int(parts.sum())
    if left:
        # Each remainder is less than the denominator, so more than `left` of them are above 0: what
        # divides evenly never gets one more.
        place = len(remainders) - left
        threshold = _at_rank(remainders, place)
        above = remainders > threshold
        parts += above
        equal = np.flatnonzero(remainders == threshold)
        missing = left - int(np.count_nonzero(above))
        winners = equal if missing == len(equal) else tie_order(equal)[:missing]
        parts[winners] += 1
    return parts


def _at_rank(values: IntArray, place: int) -> int:
    """The value that stands at a place once they are sorted.

    A sorted sample tells about where it lies; only what is near there is looked at more closely.
    """
    near, below = values, 0
    if len(values) > _MANY * _SAMPLE:
        sample = np.sort(values[:: len(values) // _SAMPLE])
        middle = place * len(sample) // len(values)
        low, high = sample[max(middle - _MARGIN, 0)], sample[min(middle + _MARGIN, len(sample) - 1)]
        count = int(np.count_nonzero(values < low))
        between = values[(values >= low) & (values <= high)]
        if count <= place < count + len(between):
            near, below = between, count
    return int(np.partition(near, place - below)[place - below])


def by_hash(order_ids: Sequence[str]) -> TieOrder:
    """Ascending SHA-256 of the order's id (UTF-8)."""

    def ordered(positions: IntArray) -> IntArray:
        digests = [hashlib.sha256(order_ids[i].encode()).digest() for i in positions.tolist()]
        ranked = sorted(range(len(digests)), key=digests.__getitem__)
        return positions[np.array(ranked, dtype=np.int64)]

    return ordered


def in_turn(ranks: IntArray, turn: int) -> TieOrder:
    """By rank, beginning with another one each turn: over many quarter-hours nobody is favoured.

    Args:
        ranks: A permutation of 0..N-1, shape (N,).
        turn: Who is first: rank `turn` modulo N.
    """

    def ordered(positions: IntArray) -> IntArray:
        return positions[np.argsort((ranks[positions] - turn) % len(ranks))]

    return ordered


def in_group(members: IntArray, tie_order: TieOrder) -> TieOrder:
    """The order within a group, of one that knows the whole book.

    Args:
        members: The group's positions in the whole book, shape (M,).
        tie_order: Orders positions of the whole book.

    Returns:
        A function that orders positions within the group, 0..M-1.
    """

    def ordered(places: IntArray) -> IntArray:
        chosen = members[places]
        by_member = np.argsort(chosen)
        return places[by_member[np.searchsorted(chosen, tie_order(chosen), sorter=by_member)]]

    return ordered


def by_position(positions: IntArray) -> IntArray:
    """As they stand: for steps that stand for whole groups, where any split is as good."""
    return positions
