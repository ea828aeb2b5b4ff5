"""Imbalance: what it costs that others used or made something else than was announced, by who caused it.

The supplier, or whoever is balance responsible for it, announces (nominates) what its customers will take in
each quarter-hour, and pays for what they took beyond it or left. It tells what a kilowatt-hour too much and
one too little cost it beyond the energy itself. The pool's deviation has one direction; its whole cost is
handed out by each member's own deviation: who deviated the same way pays for it, who deviated the other way
made it smaller and is paid as much for each watt-hour. The parts sum to the whole exactly, and nobody pays
for what others did.
"""

from __future__ import annotations

from dataclasses import dataclass

from controller.domain.units import IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class ImbalanceCost:
    """What imbalance cost in a quarter-hour, beyond the energy itself."""

    short_microeur_per_kwh: int
    """For what was taken beyond what was announced; negative where it earned something."""
    long_microeur_per_kwh: int
    """For what was announced and not taken."""


def caused_nanoeur(nominated_wh: IntArray, metered_wh: IntArray, cost: ImbalanceCost) -> IntArray:
    """What each member pays for the pool's imbalance.

    Args:
        nominated_wh: What was announced of each [Wh], positive = taken from the grid, shape (N,).
        metered_wh: What the meters say, shape (N,).
        cost: What a kilowatt-hour cost.

    Returns:
        Amounts [nano-euro], shape (N,); they sum to what the pool's deviation cost. Negative: is paid.
    """
    deviation = metered_wh - nominated_wh
    if int(deviation.sum()) >= 0:
        return deviation * cost.short_microeur_per_kwh
    return -deviation * cost.long_microeur_per_kwh
