"""Clearing: orders of a quarter-hour become fills, prices and the congestion rent, exactly.

`clear` is the way in, `clear_by` where a site declares another mechanism or price. `auction` (one place)
and `clear_on_tree` (inside the network's limits) are the array cores beneath them.
"""

from market.clearing.auction import Auction, auction
from market.clearing.envelope import Envelope, EnvelopeNode, envelope_of, envelope_problems
from market.clearing.interval import clear
from market.clearing.mechanisms import MarketRules, Mechanism, clear_by
from market.clearing.pricing import Pricing, rent_shares
from market.clearing.result import Fill, IntervalResult
from market.clearing.tree import TreeClearing, clear_on_tree

__all__ = [
    "Auction",
    "Envelope",
    "EnvelopeNode",
    "Fill",
    "IntervalResult",
    "MarketRules",
    "Mechanism",
    "Pricing",
    "TreeClearing",
    "auction",
    "clear",
    "clear_by",
    "clear_on_tree",
    "envelope_of",
    "envelope_problems",
    "rent_shares",
]
