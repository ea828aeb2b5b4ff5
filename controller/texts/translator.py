"""The translator: one per language, made once, that turns source strings and figures into text.

The catalogue is a `.po` file, compiled in memory, so that no generated file has to be kept. A text
without a translation comes out in English; a test sees to it that there is none.
"""

from __future__ import annotations

import io
from datetime import datetime
from functools import cache
from importlib.resources import files

from babel.dates import format_date, format_datetime, format_time
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_currency, format_decimal, format_percent
from babel.support import Translations

from controller.domain.time import AMSTERDAM
from controller.domain.units import MICROEUR_PER_EUR, NANOEUR_PER_EUR, WH_PER_KWH
from controller.texts.language import Language

UNKNOWN = "–"
"""What stands where a figure is not known: never 0."""


def mark(message: str) -> str:
    """Marks a source string for translation where it stands; `Translator.say` translates it later."""
    return message


def _catalogue(language: Language) -> Translations:
    """Reads the `.po` of a language into gettext translations."""
    source = files("controller.texts") / "locale" / language.value / "LC_MESSAGES" / "wijkstroom.po"
    with source.open("rb") as stream:
        catalogue = read_po(stream, locale=language.value)
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Translations(fp=compiled)


class Translator:
    """Texts and figures in one language."""

    def __init__(self, language: Language) -> None:
        self.language = language
        """What it speaks."""
        # English needs no catalogue: the source strings are English. en_GB writes 24-hour times and
        # day before month, as people here expect also in English.
        self._locale = {"nl": "nl_NL", "en": "en_GB"}[language.value]
        self._translations = None if language is Language.ENGLISH else _catalogue(language)

    def say(self, message: str, /, **figures: object) -> str:
        """The text of a source string, with its figures filled in by name."""
        text = message if self._translations is None else self._translations.gettext(message)
        return text.format(**figures) if figures else text

    def number(self, value: float | None, *, digits: int = 0) -> str:
        """A number with `digits` decimals; a dash where it is not known."""
        if value is None or value != value:  # noqa: PLR0124  # NaN is the one that differs from itself
            return UNKNOWN
        if value in (float("inf"), float("-inf")):
            return "∞" if value > 0 else "−∞"
        rounded = round(value, digits) + 0.0  # minus zero is zero
        return format_decimal(
            rounded, format="#,##0." + "0" * digits if digits else "#,##0", locale=self._locale
        )

    def quantity(self, value: float | None, unit: str, *, digits: int = 1) -> str:
        """A number with its unit, kept together by a no-break space."""
        if value is None or value != value:  # noqa: PLR0124  # NaN is the one that differs from itself
            return UNKNOWN
        return f"{self.number(value, digits=digits)}\N{NO-BREAK SPACE}{unit}"

    def power(self, power_kw: float | None) -> str:
        """A power, given in [kW]."""
        return self.quantity(power_kw, "kW")

    def energy(self, energy_kwh: float | None) -> str:
        """An energy, given in [kWh]."""
        return self.quantity(energy_kwh, "kWh")

    def energy_wh(self, energy_wh: int) -> str:
        """An energy of the market, given in [Wh], shown in kWh."""
        return self.quantity(energy_wh / WH_PER_KWH, "kWh", digits=2)

    def percent(self, fraction: float | None) -> str:
        """A fraction as a percentage."""
        return UNKNOWN if fraction is None else format_percent(fraction, format="0%", locale=self._locale)

    def money(self, amount_nanoeur: int) -> str:
        """An amount, given in [nano-euro], shown in cents (half to even); the books keep every nano-euro."""
        return format_currency(amount_nanoeur / NANOEUR_PER_EUR, "EUR", locale=self._locale)

    def price(self, price_microeur_per_kwh: int | None) -> str:
        """A market price, given in [micro-euro per kWh], shown in euro per kWh."""
        if price_microeur_per_kwh is None:
            return UNKNOWN
        return self.price_eur(price_microeur_per_kwh / MICROEUR_PER_EUR)

    def price_eur(self, price_eur_per_kwh: float | None) -> str:
        """A price, given in [EUR per kWh]."""
        return self.quantity(price_eur_per_kwh, "€/kWh", digits=3)

    def clock(self, at: datetime | None, *, seconds: bool = False) -> str:
        """The time of day in Amsterdam; in the hour that comes twice, which of the two it is."""
        if at is None:
            return UNKNOWN
        local = at.astimezone(AMSTERDAM)
        shown = format_time(local, format="HH:mm:ss" if seconds else "HH:mm", locale=self._locale)
        return shown + self._which(local)

    def moment(self, at: datetime | None) -> str:
        """Weekday and time in Amsterdam, short: `ma 15 jan 16:30`, `zo 25 okt 02:30 wintertijd`."""
        if at is None:
            return UNKNOWN
        local = at.astimezone(AMSTERDAM)
        return format_datetime(local, format="EEE d MMM HH:mm", locale=self._locale) + self._which(local)

    def _which(self, local: datetime) -> str:
        """Which of the two moments with the same clock time it is; empty for any other."""
        if local.utcoffset() == local.replace(fold=1 - local.fold).utcoffset():
            return ""
        return f" {self.say('winter time') if local.fold else self.say('summer time')}"

    def day(self, at: datetime) -> str:
        """The date in Amsterdam, in full."""
        return format_date(at.astimezone(AMSTERDAM).date(), format="full", locale=self._locale)


@cache
def translator(language: Language) -> Translator:
    """The translator of a language, made once."""
    return Translator(language)
