"""The rules file of `wijkstroom settle`: who takes part, at which prices, by which key and rates.

The fields stand in deploy/formats/settle.md. The reader walks the whole file and keeps every problem with its
path; where a field is wrong a harmless value stands in for it, so that the walk goes on and finds the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import numpy as np

from controller.domain.errors import InputProblemsError, Problem
from controller.domain.ids import Ean, MemberId, ean
from controller.domain.time import QUARTER, parse_utc, quarter_start
from controller.domain.units import IntArray
from market.files import parse_json
from market.orders import SUPPLIER
from market.rates import Rate, RateKind, rate_problems
from market.sharing.keys import KEYS, bill_sharing
from market.sharing.pool import Point, PoolRules, SupplyPrices
from market.sharing.values import POINT_QUARTER_WH_MAX, PRICE_MAX, WHOLE_PPM

QUARTERS_MAX = 35_136
"""At most a leap year at a time."""
QUARTER_WH_MAX = 25_000
"""What a connection carries in a quarter-hour where nothing is said [Wh]: 100 kW."""
_NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)
_REQUIRED = ("from_utc", "to_utc", "key", "suppliers", "points")
_OPTIONAL = (
    "across_suppliers",
    "share_grid_charged",
    "vat_on_neighbours",
    "shared_price_microeur_per_kwh",
    "postings_per",
    "booked_at_utc",
    "fairness_samples",
    "rates",
)


class PostingsPer(StrEnum):
    """What one posting is about."""

    QUARTER = "quarter"
    DAY = "day"
    """A local day."""
    ALL = "all"
    """The whole time that is settled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreMeter:
    """A store whose charging and discharging are metered apart."""

    meter: str
    """In the meters file; the point's own EAN where the point is nothing but the store."""
    efficiency_ppm: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MeteredPoint:
    """A point and what its meter is held against."""

    point: Point
    quarter_wh_max: int
    yearly_kwh: int | None
    store: StoreMeter | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleRules:
    """A rules file."""

    starts: tuple[datetime, ...]
    pool: PoolRules
    key_name: str
    shared_microeur_per_kwh: IntArray
    supply: Mapping[str, SupplyPrices]
    points: tuple[MeteredPoint, ...]
    """By EAN."""
    postings_per: PostingsPer
    booked_at: datetime
    fairness_samples: int
    """Orders of joining for the report on fairness; 0: no report."""


def parse_rules(text: str, source: str) -> SettleRules:
    """Reads a rules file; `source` names it in the problems.

    Raises:
        InputProblemsError: With every problem.
    """
    problems: list[Problem] = []
    content = parse_json(text, source, problems)
    rules = _Reader(problems).rules(content)
    if rules is None or problems:
        raise InputProblemsError(source, problems)
    return rules


class _Reader:
    """Walks through the content of a rules file."""

    def __init__(self, problems: list[Problem]) -> None:
        self._problems = problems
        self._quarters = 0
        """How many there are to settle; 0 while that is not known: then no length is held against it."""

    def rules(self, content: Any) -> SettleRules | None:
        """The whole file; None where it is no object."""
        fields = self._object("file", content, _REQUIRED, _OPTIONAL)
        if fields is None:
            return None
        start, end = self._instant(fields, "from_utc"), self._instant(fields, "to_utc")
        if start is not None and end is not None:
            self._quarters = max((end - start) // QUARTER, 0)
            if not 0 < self._quarters <= QUARTERS_MAX:
                self._wrong("to_utc", f"must lie after from_utc, at most {QUARTERS_MAX} quarter-hours")
                self._quarters = 0
        start, end = start or _NO_TIME, end or _NO_TIME
        name = fields.get("key", "")
        if name not in KEYS:
            self._wrong("key", f"must be one of {', '.join(KEYS)}, not {name!r:.40}")
            name = "pro_rata"
        supply = self._suppliers(fields)
        points = self._points(fields, supply)
        across = self._flag(fields, "across_suppliers")
        if across and KEYS[name] is bill_sharing and len({p.point.supplier for p in points}) > 1:
            self._wrong("across_suppliers", "one bill cannot be shared by customers of several suppliers")
        rates = [
            rate for path, item in self._items(fields, "rates") if (rate := self._rate(path, item, supply))
        ]
        if self._quarters and len(rates) == len(fields.get("rates", ())):
            self._problems.extend(rate_problems(rates, start, end))
        booked_at = self._instant(fields, "booked_at_utc") if "booked_at_utc" in fields else end
        return SettleRules(
            starts=tuple(start + i * QUARTER for i in range(self._quarters)),
            pool=PoolRules(
                key=KEYS[name],
                across_suppliers=across,
                share_grid_charged=self._flag(fields, "share_grid_charged"),
                vat_on_neighbours=self._flag(fields, "vat_on_neighbours"),
                rates=tuple(rates),
            ),
            key_name=name,
            shared_microeur_per_kwh=self._series("", fields, "shared_price_microeur_per_kwh"),
            supply=supply,
            points=points,
            postings_per=self._choice(fields, "postings_per", PostingsPer, PostingsPer.DAY),
            booked_at=booked_at or end,
            fairness_samples=self._integer("", fields, "fairness_samples", 0, 100_000, 0),
        )

    def _suppliers(self, fields: Mapping[str, Any]) -> dict[str, SupplyPrices]:
        supply: dict[str, SupplyPrices] = {}
        series = ("import_microeur_per_kwh", "export_microeur_per_kwh")
        for path, item in self._items(fields, "suppliers"):
            found = self._object(path, item, ("id", *series))
            if found is None:
                continue
            name = self._text(path, found, "id")
            if name in supply:
                self._wrong(f"{path}.id", f"{name!r} is there more than once")
            asked, paid = (self._series(path, found, each) for each in series)
            above = np.flatnonzero(paid > asked).tolist()
            if above:
                place = f"{path}.export_microeur_per_kwh"
                self._wrong(place, f"must not be above the import price, and is in quarter-hour {above[0]}")
            supply[name] = SupplyPrices(import_microeur_per_kwh=asked, export_microeur_per_kwh=paid)
        if fields.get("suppliers") == []:
            self._wrong("suppliers", "must have at least one supplier")
        return supply

    def _points(
        self, fields: Mapping[str, Any], supply: Mapping[str, SupplyPrices]
    ) -> tuple[MeteredPoint, ...]:
        found = [
            (path, point)
            for path, item in self._items(fields, "points")
            if (point := self._point(path, item, supply)) is not None
        ]
        if fields.get("points") == []:
            self._wrong("points", "must have at least one point")
        counts = Counter(point.point.ean for _, point in found)
        for path, point in found:
            if counts[point.point.ean] > 1:
                self._wrong(f"{path}.ean", f"{point.point.ean} is there more than once")
        stores = Counter(point.store.meter for _, point in found if point.store)
        for path, point in found:
            if point.store and (
                stores[point.store.meter] > 1
                or (point.store.meter != point.point.ean and point.store.meter in counts)
            ):
                self._wrong(f"{path}.store.meter", f"{point.store.meter!r} is another's meter too")
        carried: Counter[str] = Counter()
        for path, point in found:
            member = point.point.member
            before, carried[member] = carried[member], carried[member] + point.quarter_wh_max
            if before <= POINT_QUARTER_WH_MAX < carried[member]:
                rule = f"the points of {member} together carry more than {POINT_QUARTER_WH_MAX} Wh"
                self._wrong(f"{path}.quarter_wh_max", rule)
        if sum(point.point.share_ppm for _, point in found) > WHOLE_PPM:
            self._wrong("points", f"the shares sum to more than {WHOLE_PPM} ppm")
        return tuple(sorted((point for _, point in found), key=lambda each: each.point.ean))

    def _point(self, path: str, item: Any, supply: Mapping[str, SupplyPrices]) -> MeteredPoint | None:
        fields = self._object(
            path,
            item,
            ("ean", "member", "supplier"),
            ("share_ppm", "priority", "quarter_wh_max", "yearly_kwh", "store"),
        )
        if fields is None:
            return None
        number = self._text(path, fields, "ean")
        if number:
            try:
                ean(number)
            except ValueError as error:
                self._wrong(f"{path}.ean", str(error))
        member = self._text(path, fields, "member")
        if member == SUPPLIER:
            self._wrong(f"{path}.member", f"{SUPPLIER!r} is the supplier's own name in the books")
        supplier = self._text(path, fields, "supplier")
        if supplier and supplier not in supply:
            self._wrong(f"{path}.supplier", f"there is no supplier {supplier!r}")
        return MeteredPoint(
            point=Point(
                ean=Ean(number),
                member=MemberId(member),
                supplier=supplier,
                share_ppm=self._integer(path, fields, "share_ppm", 0, WHOLE_PPM, 0),
                priority=self._integer(path, fields, "priority", 1, 1_000_000, 1),
            ),
            quarter_wh_max=self._integer(
                path, fields, "quarter_wh_max", 1, POINT_QUARTER_WH_MAX, QUARTER_WH_MAX
            ),
            yearly_kwh=(
                self._integer(path, fields, "yearly_kwh", 0, 10**8, 0) if "yearly_kwh" in fields else None
            ),
            store=self._store(f"{path}.store", fields["store"]) if "store" in fields else None,
        )

    def _store(self, path: str, item: Any) -> StoreMeter | None:
        fields = self._object(path, item, ("meter", "efficiency_ppm"))
        if fields is None:
            return None
        return StoreMeter(
            meter=self._text(path, fields, "meter"),
            efficiency_ppm=self._integer(path, fields, "efficiency_ppm", 1, WHOLE_PPM, WHOLE_PPM),
        )

    def _rate(self, path: str, item: Any, supply: Mapping[str, SupplyPrices]) -> Rate | None:
        before = len(self._problems)
        fields = self._object(path, item, ("kind", "value", "from_utc", "source"), ("to_utc", "supplier"))
        if fields is None:
            return None
        if fields.get("to_utc", 0) is None:
            del fields["to_utc"]
        start = self._instant(fields, "from_utc", path)
        end = self._instant(fields, "to_utc", path) if "to_utc" in fields else None
        kind = self._choice(fields, "kind", RateKind, RateKind.VAT, path)
        value = self._integer(path, fields, "value", 0, PRICE_MAX, 0)
        supplier = self._text(path, fields, "supplier") if "supplier" in fields else ""
        if supplier and supplier not in supply:
            self._wrong(f"{path}.supplier", f"there is no supplier {supplier!r}")
        source = self._text(path, fields, "source")
        if start is None or len(self._problems) > before:
            return None
        return Rate(kind=kind, value=value, from_utc=start, to_utc=end, supplier=supplier, source=source)

    def _wrong(self, place: str, rule: str) -> None:
        self._problems.append(Problem(place=place, rule=rule))

    def _object(
        self, path: str, item: Any, required: Sequence[str], optional: Sequence[str] = ()
    ) -> dict[str, Any] | None:
        if not isinstance(item, dict):
            self._wrong(path, "must be an object")
            return None
        prefix = "" if path == "file" else f"{path}."
        for name in item:
            if name not in {*required, *optional}:
                self._wrong(f"{prefix}{name}", "unknown field")
        for name in required:
            if name not in item:
                self._wrong(f"{prefix}{name}", "is missing")
        return dict(item)

    def _items(self, fields: Mapping[str, Any], name: str) -> Iterator[tuple[str, Any]]:
        items = fields.get(name, [])
        if not isinstance(items, list):
            self._wrong(name, "must be a list")
            return
        yield from ((f"{name}[{i}]", item) for i, item in enumerate(items))

    def _text(self, path: str, fields: Mapping[str, Any], name: str) -> str:
        value = fields.get(name)
        if name in fields and not (isinstance(value, str) and value.strip()):
            self._wrong(f"{path}.{name}", "must be a text that is not empty")
        return value if isinstance(value, str) else ""

    def _flag(self, fields: Mapping[str, Any], name: str) -> bool:
        value = fields.get(name, False)
        if not isinstance(value, bool):
            self._wrong(name, "must be true or false")
        return value is True

    def _choice[E: StrEnum](
        self, fields: Mapping[str, Any], name: str, kind: Callable[[str], E], default: E, path: str = ""
    ) -> E:
        value = fields.get(name, default)
        try:
            return kind(value)
        except ValueError:
            known = ", ".join(type(default))
            self._wrong(_under(path, name), f"must be one of {known}, not {value!r:.40}")
            return default

    def _integer(
        self, path: str, fields: Mapping[str, Any], name: str, lowest: int, highest: int, default: int
    ) -> int:
        value = fields.get(name, default)
        if _is_integer(value) and lowest <= value <= highest:
            return int(value)
        if name in fields:
            self._wrong(_under(path, name), f"must be a whole number from {lowest} to {highest}")
        return default

    def _instant(self, fields: Mapping[str, Any], name: str, path: str = "") -> datetime | None:
        value = fields.get(name)
        if name not in fields:
            return None
        try:
            at = parse_utc(value) if isinstance(value, str) else None
        except ValueError:
            at = None
        if at is None:
            self._wrong(_under(path, name), "must be an instant like 2024-05-31T22:00Z")
        elif at != quarter_start(at):
            self._wrong(_under(path, name), "must be the start of a quarter-hour")
        return at

    def _series(self, path: str, fields: Mapping[str, Any], name: str) -> IntArray:
        """A price in each quarter-hour [micro-euro/kWh], shape (T,): one number, or one for each."""
        value, place = fields.get(name, 0), _under(path, name)
        values = value if isinstance(value, list) else [value] * max(self._quarters, 1)
        wrong = [i for i, each in enumerate(values) if not (_is_integer(each) and abs(each) <= PRICE_MAX)]
        if isinstance(value, list):
            for i in wrong:
                self._wrong(f"{place}[{i}]", f"must be a whole number within +-{PRICE_MAX}")
            if self._quarters and len(values) != self._quarters:
                self._wrong(place, f"has {len(values)} values for {self._quarters} quarter-hours")
                wrong = [0]
        elif wrong:
            self._wrong(place, f"must be a whole number within +-{PRICE_MAX}, or a list of them")
        return np.array([0] if wrong or not self._quarters else values, dtype=np.int64)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _under(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def blocks_of(starts: Sequence[datetime], per: PostingsPer, day_of: Callable[[datetime], Any]) -> list[slice]:
    """Which quarter-hours one posting is about, as positions.

    Args:
        starts: The quarter-hours.
        per: What a posting is about.
        day_of: The local day of an instant.
    """
    match per:
        case PostingsPer.QUARTER:
            bounds = list(range(len(starts)))
        case PostingsPer.DAY:
            days = [day_of(start) for start in starts]
            bounds = [i for i in range(len(days)) if not i or days[i] != days[i - 1]]
        case PostingsPer.ALL:
            bounds = [0]
    return [slice(a, b) for a, b in zip(bounds, [*bounds[1:], len(starts)], strict=True)]
