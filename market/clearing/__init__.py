"""Clearing: orders of a quarter-hour become fills, prices and the congestion rent, exactly.

`clear` is the way in. `auction` (one place) and `clear_on_tree` (inside the network's limits) are the
array cores beneath it.
"""

from market.clearing.auction import Auction, auction
from market.clearing.envelope import Envelope, EnvelopeNode, envelope_of, envelope_problems
from market.clearing.interval import clear
from market.clearing.result import Fill, IntervalResult
from market.clearing.tree import TreeClearing, clear_on_tree

__all__ = [
    "Auction",
    "Envelope",
    "EnvelopeNode",
    "Fill",
    "IntervalResult",
    "TreeClearing",
    "auction",
    "clear",
    "clear_on_tree",
    "envelope_of",
    "envelope_problems",
]
