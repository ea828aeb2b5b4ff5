"""What charging costs at the site's sockets: the posted tariff, and the cost of a session by it.

A tariff says what a driver reads at the socket: prices with VAT in them, as whole numbers. Energy is paid by
the kWh; a session may cost something by itself; and a car that asks for no more power pays by the minute for
keeping the socket, once its grace is over. Each part is exact in nano-euro (micro-euro per kWh times Wh), and
its VAT is taken out of it without a remainder, so parts and VAT add up to the total. Only totals become
cents.

The tariff that holds when a session starts holds until it ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from controller.domain.errors import Problem
from controller.domain.units import cents_of, split_by_largest_remainder

WHOLE_PPM = 1_000_000
PRICE_MICROEUR_MAX = 1_000_000_000
"""A thousand euro: no price is above it, and sums stay far inside 64 bits."""
GRACE_MINUTES_MAX = 7 * 24 * 60
ID_LENGTH_MAX = 36
"""As long as an id may be in OCPI."""
_NANOEUR_PER_MICROEUR = 1000
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeTariff:
    """What is posted from a moment on, until the next tariff; prices include VAT."""

    id: str
    from_utc: datetime
    """A session that starts from here on pays by it."""
    energy_microeur_per_kwh: int
    vat_ppm: int
    """The rate of VAT in the prices [parts per million]."""
    session_microeur: int = 0
    """For each session."""
    idle_microeur_per_minute: int = 0
    """For each begun minute that the car asks for no power and stays, after the grace."""
    idle_grace_minutes: int = 0
    text_nl: str = ""
    """What else a driver should know, in Dutch."""
    text_en: str = ""
    """The same in English."""
    source: str = ""
    """Where the prices were decided."""


class CostPart(StrEnum):
    """What a part of the cost is for, in the order in which parts are shown."""

    ENERGY = "energy"
    SESSION = "session"
    IDLE = "idle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """An amount of money with the VAT in it."""

    nanoeur: int
    """With VAT."""
    vat_nanoeur: int

    @property
    def without_vat_nanoeur(self) -> int:
        """The amount without its VAT."""
        return self.nanoeur - self.vat_nanoeur

    @property
    def cents(self) -> int:
        """With VAT, whole cents, half up: what is paid."""
        return cents_of(self.nanoeur)

    @property
    def vat_cents(self) -> int:
        """The VAT, whole cents, half up."""
        return cents_of(self.vat_nanoeur)

    @property
    def without_vat_cents(self) -> int:
        """What is paid less the VAT that is shown, so that the three add up."""
        return self.cents - self.vat_cents


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCost:
    """What a session costs."""

    parts: Mapping[CostPart, Amount]
    """Every part, also one of 0."""
    idle_minutes: int
    """The minutes that are paid for."""

    @property
    def total(self) -> Amount:
        """The sum of the parts."""
        return Amount(
            nanoeur=sum(part.nanoeur for part in self.parts.values()),
            vat_nanoeur=sum(part.vat_nanoeur for part in self.parts.values()),
        )


def tariff_at(tariffs: Sequence[ChargeTariff], at: datetime) -> ChargeTariff | None:
    """The tariff of a session that starts at `at`; None: nothing is posted yet."""
    begun = [tariff for tariff in tariffs if tariff.from_utc <= at]
    return max(begun, key=lambda tariff: tariff.from_utc, default=None)


def session_cost(tariff: ChargeTariff, *, energy_wh: int, idle: timedelta = timedelta(0)) -> SessionCost:
    """What a session costs.

    Args:
        tariff: That held when it started.
        energy_wh: What the car took and kept [Wh], at least 0.
        idle: How long the car stayed since it last asked for power, its grace included.

    Raises:
        ValueError: If the energy or the time is below 0.
    """
    if energy_wh < 0 or idle < timedelta(0):
        raise ValueError(f"a session cannot take {energy_wh} Wh or idle for {idle}")
    minutes = idle_minutes(tariff, idle)
    gross_nanoeur = {
        CostPart.ENERGY: tariff.energy_microeur_per_kwh * energy_wh,
        CostPart.SESSION: tariff.session_microeur * _NANOEUR_PER_MICROEUR,
        CostPart.IDLE: tariff.idle_microeur_per_minute * _NANOEUR_PER_MICROEUR * minutes,
    }
    parts = {part: _with_vat(amount, tariff.vat_ppm) for part, amount in gross_nanoeur.items()}
    return SessionCost(parts=parts, idle_minutes=minutes)


def idle_minutes(tariff: ChargeTariff, idle: timedelta) -> int:
    """The minutes that are paid for: begun ones, after the grace."""
    beyond = idle - tariff.idle_grace_minutes * _MINUTE
    return max(0, -(-beyond // _MINUTE))


def without_vat_nanoeur(amount_nanoeur: int, vat_ppm: int) -> int:
    """An amount or a price without the VAT in it."""
    return _with_vat(amount_nanoeur, vat_ppm).without_vat_nanoeur


def _with_vat(amount_nanoeur: int, vat_ppm: int) -> Amount:
    _, vat_nanoeur = split_by_largest_remainder(amount_nanoeur, [WHOLE_PPM, vat_ppm])
    return Amount(nanoeur=amount_nanoeur, vat_nanoeur=vat_nanoeur)


def tariff_problems(tariffs: Sequence[ChargeTariff]) -> Iterator[Problem]:
    """What is wrong in the tariffs of a site whose values have the right types."""
    for i, tariff in enumerate(tariffs):
        place = f"tariffs[{i}]"
        if not 0 < len(tariff.id) <= ID_LENGTH_MAX or not tariff.id.isascii() or not tariff.id.isprintable():
            rule = f"must be 1 to {ID_LENGTH_MAX} printable ASCII characters, is {tariff.id!r}"
            yield Problem(place=f"{place}.id", rule=rule)
        for name, most in (
            ("energy_microeur_per_kwh", PRICE_MICROEUR_MAX),
            ("vat_ppm", WHOLE_PPM),
            ("session_microeur", PRICE_MICROEUR_MAX),
            ("idle_microeur_per_minute", PRICE_MICROEUR_MAX),
            ("idle_grace_minutes", GRACE_MINUTES_MAX),
        ):
            value = getattr(tariff, name)
            if not 0 <= value <= most:
                yield Problem(place=f"{place}.{name}", rule=f"must lie in [0, {most}], is {value}")
        if tariff.from_utc.tzinfo is None:
            yield Problem(place=f"{place}.from_utc", rule="names no time zone: write Z for UTC")
        if not tariff.source.strip():
            yield Problem(place=f"{place}.source", rule="must say where the prices were decided")
        others = tariffs[:i]
        if any(other.id.casefold() == tariff.id.casefold() for other in others):
            yield Problem(place=f"{place}.id", rule=f"{tariff.id!r} is there more than once")
        if any(other.from_utc == tariff.from_utc for other in others):
            yield Problem(place=f"{place}.from_utc", rule="another tariff begins at the same moment")
