"""Sharing after the fact: who got whose energy by the meters, at which price, exactly.

`share` applies one of `KEYS`, `shapley` says how fair the outcome is. Arrays in, arrays out.
"""

from market.sharing.keys import KEYS, SharingKey, share
from market.sharing.shapley import Fairness, shapley
from market.sharing.values import Energy, Shares, Terms, ranks_of

__all__ = ["KEYS", "Energy", "Fairness", "Shares", "SharingKey", "Terms", "ranks_of", "shapley", "share"]
