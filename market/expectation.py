"""How much of what is expected comes, and what a watt-hour of it is therefore worth in the auction.

Whoever buys more than they use sells the rest back to the supplier, cheap; whoever sells more than they feed
in buys the rest, dear. So a watt-hour that is bought is worth the supplier's import price only as surely as
it will be used, and its export price otherwise; for one that is sold it is the other way round. Who orders
all that is expected at the supplier's price gains nothing where energy is short and pays for each watt-hour
too much: on a street of homes, whose quarter-hours are nothing like their mean, more than the auction brings.

An expected energy is therefore ordered in slices (`STEPS`), each at what its surest, least lucky watt-hour is
worth: the last. Filled at that price or a better one, no slice costs more on average than the same energy
does without trading.

The chances are learned: how often at least so much came of what was expected, for each asset, side and part
of the day by itself, from a declared beginning on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

STEPS = (0.4, 0.8, 1.2)
"""Where the slices end, in parts of what is expected. More of them would follow the odds closer and fill the
books: each asset has as many orders in each quarter-hour."""
FIRST_SEEN = 16
"""How many quarter-hours a beginning counts for: as many as a part of the day has."""
MEMORY = 64
"""The newest one always counts for at least one in so many: four days of a part of the day."""


@dataclass(frozen=True, slots=True)
class Chances:
    """How likely it is that at least a part of what is expected comes."""

    at_least: tuple[float, ...]
    """For each of `STEPS`, in [0, 1]: more is never likelier than less."""
    seen: int = FIRST_SEEN
    """From how many quarter-hours."""

    def learned(self, expected_wh: int, actual_wh: int) -> Chances:
        """The chances after one more quarter-hour.

        Args:
            expected_wh: What was expected [Wh], a magnitude above 0.
            actual_wh: What came [Wh], a magnitude.
        """
        seen = min(self.seen + 1, MEMORY)
        return Chances(
            at_least=tuple(
                before + ((actual_wh >= step * expected_wh) - before) / seen
                for step, before in zip(STEPS, self.at_least, strict=True)
            ),
            seen=seen,
        )


class Beginning(Enum):
    """What is held likely before anything was seen, by what kind of asset it is.

    Measured on the demonstration's street, 15 May 2024 (8,240 quarter-hours of homes, 610 of roofs, 990 of
    cars and batteries), rounded down.
    """

    LOAD = Chances((0.6, 0.25, 0.15))
    """A home or building, against its share of what its feeder is expected to use."""
    ROOF = Chances((0.95, 0.8, 0.25))
    STEERED = Chances((0.9, 0.85, 0.15))
    """A charger or battery, against its plan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """A part of an expected energy."""

    energy_wh: int
    """Above 0."""
    chance: float
    """How likely it is that its last watt-hour comes."""


def slices(energy_wh: int, chances: Chances | None) -> list[Slice]:
    """An expected energy in slices, the surest first; those with the same chance are one.

    Args:
        energy_wh: What is expected [Wh], a magnitude.
        chances: None: it is certain, which is one slice.
    """
    if energy_wh == 0:
        return []
    if chances is None:
        return [Slice(energy_wh=energy_wh, chance=1.0)]
    found: list[Slice] = []
    before = 0
    for step, chance in zip(STEPS, chances.at_least, strict=True):
        until = math.floor(step * energy_wh)
        if found and found[-1].chance == chance:
            found[-1] = Slice(energy_wh=found[-1].energy_wh + until - before, chance=chance)
        elif until > before:
            found.append(Slice(energy_wh=until - before, chance=chance))
        before = until
    return found


def most_to_pay(chance: float, asked: int, paid: int, vat_fraction: float) -> int:
    """The most a watt-hour may cost that is used with a chance [micro-euro/kWh], without VAT.

    Used it saves the supplier's price with its VAT, else it is sold to the supplier. Which part of a purchase
    carries VAT is not known before: it must not lose with VAT on all of it, nor on none.

    Args:
        chance: That it is used.
        asked: The supplier's import price [micro-euro/kWh], without VAT.
        paid: Its export price.
        vat_fraction: The VAT on what it sells.
    """
    worth = chance * asked * (1.0 + vat_fraction) + (1.0 - chance) * paid
    return math.floor(min(worth, worth / (1.0 + vat_fraction)))


def least_to_get(chance: float, asked: int, paid: int, vat_fraction: float) -> int:
    """The least that a watt-hour must bring that is fed in with a chance [micro-euro/kWh].

    Fed in it would have brought the supplier's export price, else it is bought of the supplier; arguments as
    for `most_to_pay`.
    """
    dearest = max(asked, asked * (1.0 + vat_fraction))
    return math.ceil(chance * paid + (1.0 - chance) * dearest)
