"""Units and the exact conversions between them.

Physics and optimisation are floats in kW and kWh. Market and ledger are integers: Wh, micro-euro per
kWh, nano-euro; micro-euro/kWh times Wh is nano-euro, exactly.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

type FloatArray = NDArray[np.float64]
type IntArray = NDArray[np.int64]
type BoolArray = NDArray[np.bool_]

NOMINAL_VOLTAGE_V = 230.0
"""Phase to neutral, EN 50160."""
MICROEUR_PER_EUR = 1_000_000
NANOEUR_PER_EUR = 1_000_000_000
NANOEUR_PER_CENT = 10_000_000
WH_PER_KWH = 1000
W_PER_KW = 1000.0


def three_phase_kw(current_a: float, voltage_v: float = NOMINAL_VOLTAGE_V) -> float:
    """Power [kW] of three phases at `current_a` [A] each, power factor 1."""
    return 3.0 * current_a * voltage_v / W_PER_KW


def kwh_to_wh(energy_kwh: float) -> int:
    """Whole watt-hours, rounded half to even."""
    return round(energy_kwh * WH_PER_KWH)


def microeur_per_kwh(price_eur_per_kwh: float) -> int:
    """An integer price from a float one, rounded half to even."""
    return round(price_eur_per_kwh * MICROEUR_PER_EUR)


def cents_of(amount_nanoeur: int) -> int:
    """Whole cents, half up."""
    return (amount_nanoeur + NANOEUR_PER_CENT // 2) // NANOEUR_PER_CENT


def split_by_largest_remainder(total: int, weights: Sequence[int]) -> list[int]:
    """Splits an integer in proportion to non-negative integer weights, exactly.

    Each part is the floor of its share; what is left goes one by one to the largest remainders, on a
    tie to the earlier part. The parts sum to `total`, which may be negative.

    Raises:
        ValueError: If a weight is negative, or if all are 0 while the total is not.
    """
    if any(weight < 0 for weight in weights):
        raise ValueError("weights must not be negative")
    whole = sum(weights)
    if whole == 0:
        if total:
            raise ValueError("nothing to split by: every weight is 0")
        return [0] * len(weights)
    parts = [total * weight // whole for weight in weights]
    left = total - sum(parts)
    by_remainder = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % whole), i))
    for i in by_remainder[:left]:
        parts[i] += 1
    return parts
