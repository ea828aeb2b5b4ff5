"""What the allocation points of a site counted on a day, by their registers; pure.

Every home, building, roof, battery and charge point has a meter of its own. A day's meters are read at its
quarter-hours; where one is missing or cannot be, what was read of it in the days around is looked at too and
the rest is estimated by the declared rule (`market.estimates`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from controller.domain.assets import Battery, ChargePoint
from controller.domain.ids import AssetId, Ean, MemberId
from controller.domain.site import Site
from controller.domain.time import QUARTER
from controller.domain.units import BoolArray, IntArray, three_phase_kw
from controller.runtime.ports import RegisterRecord
from controller.runtime.supply_ports import SuppliedQuarter
from market.estimates import UNKNOWN, Gap, Metered, local_slots, metered
from market.prices import WH_PER_KW_QUARTER
from market.settlement import SupplierPrices

CONNECTION_MARGIN = 1.5
"""A meter may count this much more than its connection is rated for before a reading is not believed: a fuse
carries some more for a quarter-hour (IEC 60269-1 lets a gG fuse carry 1.25 times its rating for an hour)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SitePoint:
    """An allocation point of the site."""

    asset: AssetId
    """Also its meter's name."""
    ean: Ean
    member: MemberId
    quarter_wh_max: int
    yearly_kwh: int | None
    stores: bool
    """Whether it is nothing but a store: all that it feeds in, it took from the grid before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DayMeters:
    """A day's energy, T quarter-hours of N points."""

    offtake_wh: IntArray
    """Shape (T, N)."""
    feed_in_wh: IntArray
    """Shape (T, N), a magnitude."""
    estimated: BoolArray
    """Shape (T, N)."""
    known: BoolArray
    """Shape (T, N)."""
    metered: BoolArray
    """Shape (T, N): neither estimated nor unknown, or estimated within a sum that was metered."""

    def metered_whole(self, points: Sequence[SitePoint]) -> BoolArray:
        """Where all points of a point's member are metered, shape (T, N): who is settled then."""
        whole = self.metered.copy()
        members = np.array([point.member for point in points])
        for member in np.unique(members):
            whole[:, members == member] = whole[:, members == member].all(axis=1, keepdims=True)
        return whole


def site_points(site: Site) -> tuple[SitePoint, ...]:
    """The allocation points of a site, by EAN."""
    stores: tuple[ChargePoint | Battery, ...] = (*site.charge_points, *site.batteries)
    found = [
        *(
            SitePoint(
                asset=load.id,
                ean=load.ean,
                member=load.member,
                quarter_wh_max=_quarter_wh_max(three_phase_kw(load.fuse_a)),
                yearly_kwh=round(load.yearly_kwh),
                stores=False,
            )
            for load in site.loads
        ),
        *(
            SitePoint(
                asset=roof.id,
                ean=roof.ean,
                member=roof.member,
                quarter_wh_max=_quarter_wh_max(roof.rated_kw),
                yearly_kwh=None,
                stores=False,
            )
            for roof in site.pv
        ),
        *(
            SitePoint(
                asset=store.id,
                ean=store.ean,
                member=store.member,
                quarter_wh_max=_quarter_wh_max(max(store.charge_kw_max, store.discharge_kw_max)),
                yearly_kwh=None,
                stores=True,
            )
            for store in stores
        ),
    ]
    return tuple(sorted(found, key=lambda each: each.ean))


def _quarter_wh_max(rated_kw: float) -> int:
    return math.ceil(CONNECTION_MARGIN * rated_kw * WH_PER_KW_QUARTER)


def read_day(
    points: Sequence[SitePoint],
    starts: Sequence[datetime],
    registers: Iterable[RegisterRecord],
    around: Mapping[AssetId, Sequence[RegisterRecord]],
) -> DayMeters:
    """The energy of a day.

    Args:
        points: The N points.
        starts: The day's T quarter-hours.
        registers: The registers at their bounds.
        around: For points of which that is not enough: their registers of a longer time.
    """
    bounds = [*starts, starts[-1] + QUARTER]
    by_meter = _by_meter(registers, bounds)
    slots = local_slots(starts)
    columns = []
    for point in points:
        if point.asset in around:
            columns.append(_with_surroundings(point, starts, around[point.asset]))
            continue
        taken, fed = by_meter.get(point.asset, _nothing(len(bounds)))
        columns.append(_read(point, taken, fed, slots))
    return DayMeters(
        offtake_wh=np.stack([each.import_wh for each in columns], axis=1),
        feed_in_wh=np.stack([each.export_wh for each in columns], axis=1),
        estimated=np.stack([each.estimated for each in columns], axis=1),
        known=np.stack([each.known for each in columns], axis=1),
        metered=np.stack([_in_known_sums(each) for each in columns], axis=1),
    )


def supplied_quarters(
    supplier: str, prices: Mapping[datetime, SupplierPrices], meters: DayMeters, columns: Sequence[int]
) -> list[SuppliedQuarter]:
    """What a supplier's customers, by the columns of their points, took and fed in."""
    taken, fed = (array[:, columns].sum(axis=1).tolist() for array in (meters.offtake_wh, meters.feed_in_wh))
    complete = (~meters.estimated & meters.known)[:, columns].all(axis=1).tolist()
    return [
        SuppliedQuarter(
            interval_start=start,
            import_wh=taken[row],
            export_wh=fed[row],
            complete=complete[row],
            import_microeur_per_kwh=asked.import_microeur_per_kwh,
            export_microeur_per_kwh=asked.export_microeur_per_kwh,
            supplier=supplier,
        )
        for row, (start, asked) in enumerate(prices.items())
    ]


def _in_known_sums(read: Metered) -> BoolArray:
    fine = ~read.estimated
    for gap in read.gaps:
        fine[gap.first : gap.after] = gap.sum_known
    return fine


def _read(point: SitePoint, taken: IntArray, fed: IntArray, slots: IntArray) -> Metered:
    return metered(taken, fed, slots, quarter_wh_max=point.quarter_wh_max, yearly_kwh=point.yearly_kwh)


def _with_surroundings(
    point: SitePoint, starts: Sequence[datetime], registers: Sequence[RegisterRecord]
) -> Metered:
    """The day, cut from the longer time."""
    first = min([starts[0], *(each.at for each in registers)])
    last = max([starts[-1] + QUARTER, *(each.at for each in registers)])
    bounds = [first + i * QUARTER for i in range((last - first) // QUARTER + 1)]
    taken, fed = _by_meter(registers, bounds).get(point.asset, _nothing(len(bounds)))
    whole = _read(point, taken, fed, local_slots(bounds[:-1]))
    offset = (starts[0] - first) // QUARTER
    day = slice(offset, offset + len(starts))
    return Metered(
        import_wh=whole.import_wh[day],
        export_wh=whole.export_wh[day],
        estimated=whole.estimated[day],
        known=whole.known[day],
        gaps=tuple(_cut(whole, offset, len(starts))),
    )


def _cut(whole: Metered, offset: int, count: int) -> Iterator[Gap]:
    for gap in whole.gaps:
        first, after = max(gap.first - offset, 0), min(gap.after - offset, count)
        if first < after:
            yield replace(gap, first=first, after=after)


def _nothing(size: int) -> tuple[IntArray, IntArray]:
    return np.full(size, UNKNOWN, dtype=np.int64), np.full(size, UNKNOWN, dtype=np.int64)


def _by_meter(
    registers: Iterable[RegisterRecord], bounds: Sequence[datetime]
) -> dict[str, tuple[IntArray, IntArray]]:
    """Each meter's registers at the bounds, shape (T + 1,) each; estimated ones are left out."""
    found: dict[str, tuple[IntArray, IntArray]] = {}
    for register in registers:
        place, beside = divmod(register.at - bounds[0], QUARTER)
        if register.estimated or beside or not 0 <= place < len(bounds):
            continue
        taken, fed = found.setdefault(register.meter, _nothing(len(bounds)))
        taken[place], fed[place] = register.import_wh, register.export_wh
    return found
