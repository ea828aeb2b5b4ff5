"""The settings of sharing after the fact, and of what is charged beside energy.

Both hold for every site: where energy is traded beforehand, rates are charged all the same. A figure of a tax
or a tariff has no default; it comes from the site file, with the day from which it holds and its source.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from controller.domain.errors import Problem
from controller.domain.ids import Ean
from controller.domain.units import MICROEUR_PER_EUR
from controller.supplier_settings import SupplierSettings
from market.rates import Rate, rate_problems
from market.sharing.keys import KEYS, bill_sharing, static
from market.sharing.values import PRICE_MAX, WHOLE_PPM

PRIORITY_MAX = 1_000_000


class MarketMode(StrEnum):
    """How neighbours come by each other's energy."""

    SHARING = "sharing"
    """After the fact, by a key: what the meters say was made and used at the same time."""
    AUCTION = "auction"
    """Beforehand, in an auction every quarter-hour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PointTerms:
    """What is agreed on of one allocation point, for the keys that ask for it."""

    ean: Ean
    share_ppm: int = 0
    """For the key `static`: its part of all feed-in, in millionths; of a point that is not named, none."""
    priority: int = 1
    """For the key `priority`: its class, 1 is served first; of a point that is not named, 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharingTerms:
    """What the community has agreed on how energy is shared."""

    key: str = "mid_market_rate"
    """Who gets how much, and at which price: `market.sharing.keys`."""
    shared_price_eur_per_kwh: float = 0.0
    """The community's own price, for the keys that take one."""
    points: tuple[PointTerms, ...] = ()
    """For the keys `static` and `priority`."""
    share_grid_charged: bool = False
    """Whether what a battery or car took from the grid may be shared when it is fed in again."""
    across_suppliers: bool = False
    """Whether customers of different suppliers share with one another."""
    vat_on_neighbours: bool = False
    """Whether VAT is on what members buy of one another, shared or traded: false where those who sell are
    under no duty of VAT, true where the supplier or organiser buys and sells it in a name of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharingChange(SharingTerms):
    """What holds from a day on, in place of everything that was agreed on before."""

    from_day: date
    """Local."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharingSettings(SharingTerms):
    """What the community has agreed on from the beginning, what changed when, and what is charged."""

    changes: tuple[SharingChange, ...] = ()
    """Days before a change are closed, and closed again, by what held then."""
    rates: tuple[Rate, ...] = ()
    """Taxes, tariffs and fees; a kind that is not there is not charged."""
    suppliers: tuple[SupplierSettings, ...] = ()
    """Where there are several; absent: the one whose margins stand in `[tariff]`."""

    def terms_on(self, day: date) -> SharingTerms:
        """What is agreed on for a local day."""
        begun = [change for change in self.changes if change.from_day <= day]
        return max(begun, key=lambda change: change.from_day, default=self)


def sharing_problems(sharing: SharingSettings, points: Collection[Ean]) -> Iterator[Problem]:
    """What is wrong between settings that are well-formed.

    Args:
        sharing: The settings.
        points: The site's allocation points.
    """
    place = "settings.sharing"
    yield from _terms_problems(sharing, place, points, several=bool(sharing.suppliers))
    days = [change.from_day for change in sharing.changes]
    for i, change in enumerate(sharing.changes):
        where = f"{place}.changes[{i}]"
        yield from _terms_problems(change, where, points, several=bool(sharing.suppliers))
        if change.from_day in days[:i]:
            rule = f"another change holds from {change.from_day} on"
            yield Problem(place=f"{where}.from_day", rule=rule)
    for i, rate in enumerate(sharing.rates):
        for name, at in (("from_utc", rate.from_utc), ("to_utc", rate.to_utc)):
            if at is not None and at.tzinfo is None:
                yield Problem(place=f"{place}.rates[{i}].{name}", rule="names no time zone: write Z for UTC")
                return
        if rate.supplier and rate.supplier not in {supplier.id for supplier in sharing.suppliers}:
            rule = f"there is no supplier {rate.supplier!r} in settings.sharing.suppliers"
            yield Problem(place=f"{place}.rates[{i}].supplier", rule=rule)
    for problem in rate_problems(sharing.rates):
        yield Problem(place=f"{place}.{problem.place}", rule=problem.rule, way_out=problem.way_out)


def _terms_problems(
    terms: SharingTerms, place: str, points: Collection[Ean], *, several: bool
) -> Iterator[Problem]:
    """What is wrong with terms at a place of the site file, where there are several suppliers or one."""
    if terms.key not in KEYS:
        yield Problem(place=f"{place}.key", rule=f"must be one of {', '.join(KEYS)}, is {terms.key!r}")
    yield from _point_problems(terms, place, points)
    price = terms.shared_price_eur_per_kwh
    if not (math.isfinite(price) and abs(price) * MICROEUR_PER_EUR <= PRICE_MAX):
        limit = PRICE_MAX // MICROEUR_PER_EUR
        yield Problem(
            place=f"{place}.shared_price_eur_per_kwh", rule=f"must lie within +-{limit}, is {price}"
        )
    if terms.across_suppliers and several and KEYS.get(terms.key) is bill_sharing:
        rule = "one bill cannot be shared by customers of several suppliers"
        yield Problem(place=f"{place}.across_suppliers", rule=rule)


def _point_problems(terms: SharingTerms, place: str, points: Collection[Ean]) -> Iterator[Problem]:
    """What is wrong with what is agreed on of single points."""
    named = [point.ean for point in terms.points]
    for i, point in enumerate(terms.points):
        where = f"{place}.points[{i}]"
        if point.ean not in points:
            yield Problem(place=f"{where}.ean", rule=f"there is no allocation point {point.ean}")
        elif point.ean in named[:i]:
            yield Problem(place=f"{where}.ean", rule=f"{point.ean} is there more than once")
        if not 0 <= point.share_ppm <= WHOLE_PPM:
            rule = f"must lie in [0, {WHOLE_PPM}], is {point.share_ppm}"
            yield Problem(place=f"{where}.share_ppm", rule=rule)
        if not 1 <= point.priority <= PRIORITY_MAX:
            rule = f"must lie in [1, {PRIORITY_MAX}], is {point.priority}"
            yield Problem(place=f"{where}.priority", rule=rule)
    together = sum(point.share_ppm for point in terms.points)
    if together > WHOLE_PPM:
        rule = f"the shares add up to {together}, of {WHOLE_PPM}"
        yield Problem(place=f"{place}.points", rule=rule)
    if KEYS.get(terms.key) is static and together <= 0:
        rule = "the key static shares by share_ppm, and no point has one: nothing would be shared"
        yield Problem(place=f"{place}.points", rule=rule)
