"""What the lines of a statement are called."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from controller.texts.translator import Translator, mark
from market.statements import LineKind

LINES: Mapping[LineKind, str] = MappingProxyType(
    {
        LineKind.SHARED_BUY: mark("Energy of neighbours"),
        LineKind.SHARED_SELL: mark("Energy given to neighbours"),
        LineKind.BOUGHT: mark("Bought in the auction"),
        LineKind.SOLD: mark("Sold in the auction"),
        LineKind.SUPPLY: mark("Bought from the supplier"),
        LineKind.FEED_IN: mark("Sold to the supplier"),
        LineKind.RENT: mark("Congestion rent returned"),
        LineKind.GIFT: mark("Surplus given to public buildings"),
        LineKind.IMBALANCE: mark("Part of the imbalance, by who caused it"),
        LineKind.ENERGY_TAX: mark("Energy tax"),
        LineKind.NETWORK: mark("Network tariff"),
        LineKind.FEED_IN_FEE: mark("Fee for feeding in"),
        LineKind.VAT: mark("VAT"),
    }
)


def line_title(kind: LineKind, words: Translator) -> str:
    """What the line is called."""
    return words.say(LINES[kind])
