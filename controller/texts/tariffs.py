"""A posted tariff in words, as a driver reads it at the socket, on a page and in other parties' apps."""

from __future__ import annotations

from controller.domain.charge_tariff import ChargeTariff
from controller.domain.units import MICROEUR_PER_EUR
from controller.texts.language import Language
from controller.texts.translator import Translator

_PPM_PER_PERCENT = 10_000
_DIGITS_MIN, _DIGITS_MAX = 2, 6
"""A price is shown in cents; one that is finer in as many decimals as it has."""


def posted_text(tariff: ChargeTariff, words: Translator) -> str:
    """All prices with VAT in them, and the site's own text behind them."""
    parts = [words.say("{price} per kWh", price=_price(tariff.energy_microeur_per_kwh, words))]
    if tariff.session_microeur:
        parts.append(words.say("{price} per session", price=_price(tariff.session_microeur, words)))
    if tariff.idle_microeur_per_minute:
        parts.append(
            words.say(
                "{price} per minute from {minutes} minutes after the car asks for no more power",
                price=_price(tariff.idle_microeur_per_minute, words),
                minutes=tariff.idle_grace_minutes,
            )
        )
    whole = tariff.vat_ppm % _PPM_PER_PERCENT == 0
    vat = words.number(tariff.vat_ppm / _PPM_PER_PERCENT, digits=0 if whole else 1)
    said = words.say("{prices}, with {vat}% VAT in them.", prices=", ".join(parts), vat=vat)
    own = tariff.text_nl if words.language is Language.DUTCH else tariff.text_en
    return f"{said} {own}".strip()


def _price(microeur: int, words: Translator) -> str:
    digits = next(
        digits
        for digits in range(_DIGITS_MIN, _DIGITS_MAX + 1)
        if microeur % 10 ** (_DIGITS_MAX - digits) == 0
    )
    return f"€\N{NO-BREAK SPACE}{words.number(microeur / MICROEUR_PER_EUR, digits=digits)}"
