"""The suppliers of a site: who they are, what they ask on top of the day-ahead price, which points they have.

A site without a list has one supplier, without a name, whose margins stand in `[tariff]`. In a site with a
list every allocation point that is in nobody's belongs to that one still. Customers share with customers of
their own supplier, unless the community has agreed otherwise (`across_suppliers`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from controller.domain.errors import Problem
from controller.domain.ids import AssetId, Ean
from controller.domain.site import Site, Tariff

SITE_SUPPLIER = ""
"""The supplier whose margins stand in `[tariff]`."""
_PLACE = "settings.sharing.suppliers"
_MARGIN_EUR_PER_KWH_MAX = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SupplierSettings:
    """One of several suppliers."""

    id: str
    """In its tokens, in rates of its own and in the books."""
    import_adder_eur_per_kwh: float
    """Its margin on what is bought."""
    export_adder_eur_per_kwh: float
    """Its margin on what is fed in; negative where it keeps some."""
    points: tuple[Ean, ...]
    """The allocation points that it supplies."""
    source: str
    """Where its margins are written."""


def supplier_of(suppliers: Sequence[SupplierSettings]) -> Mapping[Ean, str]:
    """Who supplies each allocation point that is in somebody's list; the others are the site's own."""
    return {point: supplier.id for supplier in suppliers for point in supplier.points}


def assets_supplied(site: Site, suppliers: Sequence[SupplierSettings]) -> dict[AssetId, str]:
    """Who supplies each asset that has an allocation point."""
    named = supplier_of(suppliers)
    groups = (site.loads, site.charge_points, site.pv, site.batteries)
    return {asset.id: named.get(asset.ean, SITE_SUPPLIER) for group in groups for asset in group}


def tariffs(suppliers: Sequence[SupplierSettings], own: Tariff) -> dict[str, Tariff]:
    """Every supplier's margins, by id, the site's own first."""
    named = {
        each.id: Tariff(
            import_adder_eur_per_kwh=each.import_adder_eur_per_kwh,
            export_adder_eur_per_kwh=each.export_adder_eur_per_kwh,
            source=each.source,
        )
        for each in suppliers
    }
    return {SITE_SUPPLIER: own, **named}


def supplier_problems(
    suppliers: Sequence[SupplierSettings], points: Collection[Ean], *, is_auction: bool
) -> Iterator[Problem]:
    """What is wrong with the suppliers of a site.

    Args:
        suppliers: Well-formed.
        points: The site's allocation points.
        is_auction: Whether quarter-hours are cleared beforehand.
    """
    if suppliers and is_auction:
        rule = "an auction has one supplier's prices behind it: leave them out, or share after the fact"
        yield Problem(place=_PLACE, rule=rule)
    ids, supplied = Counter(each.id for each in suppliers), Counter(p for s in suppliers for p in s.points)
    for i, supplier in enumerate(suppliers):
        place = f"{_PLACE}[{i}]"
        if not supplier.id.strip():
            yield Problem(place=f"{place}.id", rule="must not be empty")
        elif ids[supplier.id] > 1:
            yield Problem(place=f"{place}.id", rule=f"{supplier.id!r} is there more than once")
        if not supplier.source.strip():
            yield Problem(place=f"{place}.source", rule="must say where the margins are written")
        for name in ("import_adder_eur_per_kwh", "export_adder_eur_per_kwh"):
            value = getattr(supplier, name)
            if not (math.isfinite(value) and abs(value) <= _MARGIN_EUR_PER_KWH_MAX):
                rule = f"must lie within +-{_MARGIN_EUR_PER_KWH_MAX:g}, is {value}"
                yield Problem(place=f"{place}.{name}", rule=rule)
        for point in supplier.points:
            if point not in points:
                yield Problem(place=f"{place}.points", rule=f"there is no allocation point {point}")
            elif supplied[point] > 1:
                yield Problem(place=f"{place}.points", rule=f"{point} is supplied more than once")
