"""Integer money and energy of the market, and the only places where a float may become one.

Energy is whole watt-hours, a price whole micro-euro per kWh. Their product is whole nano-euro, exactly
(1e-6 EUR/kWh x 1e-3 kWh = 1e-9 EUR), so trading never rounds: cents appear on the invoice only.
"""

from __future__ import annotations

import math
from decimal import Decimal

from controller.domain.units import microeur_per_kwh

WH_PER_KW_QUARTER = 250
"""One kilowatt over a quarter-hour."""
PRICE_MICROEUR_PER_KWH_MAX = 10**12
"""The largest magnitude of a price that is taken (a million euro per kWh): keeps sums inside 64 bits."""
QUANTITY_WH_MAX = 10**15
"""The largest quantity of one order (a terawatt-hour)."""
INTERVAL_QUANTITY_WH_MAX = 2**61
"""The most that all orders of one interval may add up to: half of that again still fits 64 bits."""


def amount_nanoeur(price_microeur_per_kwh: int, energy_wh: int) -> int:
    """What `energy_wh` costs [nano-euro], exactly."""
    return price_microeur_per_kwh * energy_wh


def price_from_eur(price_eur_per_kwh: float) -> int:
    """A price [micro-euro/kWh] from a float one [EUR/kWh], half to even.

    Raises:
        ValueError: If it is not finite or beyond what the market takes.
    """
    if not math.isfinite(price_eur_per_kwh):
        raise ValueError(f"{price_eur_per_kwh} is no price")
    price = microeur_per_kwh(price_eur_per_kwh)
    if abs(price) > PRICE_MICROEUR_PER_KWH_MAX:
        raise ValueError(f"{price_eur_per_kwh} EUR/kWh is beyond what the market takes")
    return price


def midpoint(lowest: int, highest: int) -> int:
    """The floor of the midpoint of two integer prices, also for negative ones."""
    return (lowest + highest) // 2


def quarter_capacity_wh(limit_kw: Decimal | float) -> int | None:
    """The whole watt-hours that a limit [kW] lets through in a quarter-hour; None where it is infinite.

    A float is taken by its shortest decimal text, as it stands in a file: 32.3 kW is 8075 Wh, where
    the product of binary floats would fall just short of it.

    Raises:
        ValueError: If the limit is negative or no number.
    """
    exact = limit_kw if isinstance(limit_kw, Decimal) else Decimal(repr(float(limit_kw)))
    if exact.is_nan() or exact < 0:
        raise ValueError(f"{limit_kw} is no limit")
    if exact.is_infinite():
        return None
    return math.floor(exact * WH_PER_KW_QUARTER)


def eur_text(amount: int) -> str:
    """Nano-euro as euro with all nine decimals, for people who check sums: `-0.012345678`."""
    sign = "-" if amount < 0 else ""
    return f"{sign}{abs(amount) // 10**9}.{abs(amount) % 10**9:09d}"
