"""Closing the days of the running controller: sharing, taxes and fees, corrections, and what statements show.

An hour after a local day is over its meters are read as a whole. Where energy is shared after the fact, that
is when it is settled. Where it was traded, the quarter-hours settled by estimates are settled again
with what is known now, and the day adds taxes, tariffs and fees. A day whose meters were not all in is
closed again when more have come, and once a day for two weeks: a meter that speaks again tells the sum of the
days between. Corrections are reversals and new postings, in one transaction with the sums of the day.

Everything is keyed by its day: a controller that was killed half-way closes the day again and books nothing
twice.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import batched

import numpy as np
import structlog

from controller.domain.errors import ConflictError, WijkstroomError
from controller.domain.ids import AssetId, MemberId
from controller.domain.site import Tariff
from controller.domain.time import AMSTERDAM, QUARTER, quarters_of_local_day, utc_text
from controller.domain.units import microeur_per_kwh
from controller.runtime.core import Controller
from controller.runtime.metering import DayMeters, SitePoint, read_day, site_points, supplied_quarters
from controller.runtime.offload import Offload
from controller.runtime.ports import RegisterRecord, UnitOfWork
from controller.runtime.supply_ports import Nomination, NominationKind
from controller.sharing_settings import PointTerms
from controller.supplier_settings import SITE_SUPPLIER, supplier_of, tariffs
from market.clearing import IntervalResult
from market.day_closing import ClosedDay, DayInputs, Traded, close_day
from market.from_plan import QuarterPrices, as_cleared
from market.imbalance import ImbalanceCost, imbalance_lines
from market.ledger import Posting, PostingReason, supplier_account
from market.orders import Order, Side
from market.rates import rate_problems
from market.rebooking import about, rebooked
from market.settlement import (
    MeteredEnergy,
    SettlementInputs,
    SupplierPrices,
    paid_nanoeur,
    placed_wh,
    resettle_deviations,
    trades_of,
)
from market.sharing import KEYS, Energy
from market.sharing.pool import Point, PoolInputs, PoolRules, SupplyPrices

DAY_WAIT = timedelta(hours=1)
"""How long after midnight a day is closed: the last meters are in, or late."""
AGAIN_FOR = timedelta(days=14)
"""How long a day that was closed with estimates is closed again."""
LOOK_BACK = timedelta(days=7)
"""How much of a meter's past its estimates are made from."""
PAGE = timedelta(hours=2)
"""How much of a day is read at once, so that nobody waits long for the database."""

_LOG = structlog.get_logger(__name__)


class PointLeftError(ConflictError):
    """A closed day has a point that the site file does not name any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Day:
    """What is closed."""

    day: date
    starts: tuple[datetime, ...]
    """Its quarter-hours, from the first reading on."""
    points: tuple[SitePoint, ...]
    """Each with whose it is."""
    suppliers: tuple[str, ...]
    """Who supplies each point."""

    def columns(self, supplier: str) -> list[int]:
        """Which of the points are a supplier's."""
        return [i for i, name in enumerate(self.suppliers) if name == supplier]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Quarter:
    """What was traded in a quarter-hour."""

    result: IntervalResult
    orders: Sequence[Order]


class Closing:
    """Closes the days of one controller."""

    def __init__(
        self,
        controller: Controller,
        *,
        prices: Callable[[datetime, Tariff], QuarterPrices],
        due: Callable[[], Sequence[datetime]],
        offload: Offload,
    ) -> None:
        self.controller = controller
        self._prices = prices
        self._due = due
        self._offload = offload
        self._points = site_points(controller.site)
        suppliers = controller.settings.sharing.suppliers
        self._tariffs = tariffs(suppliers, controller.site.tariff)
        self._supplier_of = supplier_of(suppliers)
        """Who supplies each point now that is in somebody's list."""
        self._one_at_a_time = asyncio.Lock()
        self._read: dict[date, int] = {}
        """How many registers there were when a day that is not finished was last closed."""
        self._left: set[date] = set()
        """Days that stay as they were closed: the site file has lost a point of theirs."""

    async def close_due(self) -> None:
        """Closes every day that is over, and again those whose meters have come since."""
        now = self.controller.clock.now()
        over = (now - DAY_WAIT).astimezone(AMSTERDAM).date() - timedelta(days=1)
        async with self.controller.store.unit() as unit:
            newest, first_at = await unit.latest_closed_day(), await unit.first_register_at()
        if first_at is None or not self._points:
            return
        since = over - AGAIN_FOR
        begin = first_at.astimezone(AMSTERDAM).date()
        if newest is not None:
            begin = max(begin, min(newest + timedelta(days=1), since))
        async with self.controller.store.unit() as unit:
            closed = set(await unit.closed_dates(since=begin))
        days = [begin + timedelta(days=i) for i in range((over - begin).days + 1)]
        # Also one that could not be closed when it was over, while later ones were.
        fresh = [each for each in days if each not in closed]
        for each in fresh:
            await self._guarded(each, first_at, now)
        async with self.controller.store.unit() as unit:
            done = {*fresh, *self._left}
            unfinished = [each for each in await unit.unfinished_days(since=since) if each not in done]
            changed = [each for each in unfinished if await self._has_more(unit, each)]
        for each in unfinished if fresh else changed:
            await self._guarded(each, first_at, now)
        self._read = {each: count for each, count in self._read.items() if each >= since}

    async def _has_more(self, unit: UnitOfWork, day: date) -> bool:
        starts = quarters_of_local_day(day)
        return await unit.count_registers(starts[0], starts[-1] + QUARTER) != self._read.get(day)

    async def _guarded(self, day: date, first_at: datetime, now: datetime) -> None:
        """Closes a day; one whose figures do not fit must not keep the others from being closed."""
        try:
            await self.close(day, first_at, now)
        except PointLeftError as error:
            self._left.add(day)
            _LOG.info("a day is not closed again", why=str(error))
        except (WijkstroomError, ValueError) as error:
            _LOG.warning("a day could not be closed", day=day.isoformat(), why=str(error))
            self.controller.counters.count_failure("closing", now)

    async def close(self, day: date, first_at: datetime, now: datetime) -> None:
        """Closes a day, for the first time or again, one at a time.

        Args:
            day: A local day that is over.
            first_at: The oldest reading of all.
            now: Domain time.

        Raises:
            PointLeftError: Where a point of it has left the site file since.
            WijkstroomError: Where it cannot be closed now.
            ValueError: Where its figures do not fit.
        """
        async with self._one_at_a_time:
            await self._close_whole(day, first_at, now)

    async def _close_whole(self, day: date, first_at: datetime, now: datetime) -> None:
        starts = tuple(start for start in quarters_of_local_day(day) if start >= first_at)
        if not starts:
            return
        async with self.controller.store.unit() as unit:
            # Before anything else is read: what is told meanwhile is asked for once more.
            asked_for = await unit.asked_closings(day=day)
        rules = self._rules(day, starts)
        whole = await self._day(day, starts)
        names = sorted(set(whole.suppliers))
        registers = await self._registers(starts)
        meters = await self._meters(starts, registers, now)
        if waiting := [start for start in self._due() if starts[0] <= start <= starts[-1]]:
            raise ConflictError(f"the quarter-hour of {utc_text(waiting[0])} is not cleared yet")
        # What was done that day counts, not what the site file says now.
        quarters = await self._quarters(starts) or None
        asked = {name: await self._supplier_prices(starts, name, quarters) for name in names}
        inputs: DayInputs = await self._offload(self._inputs, whole, asked, meters, quarters)
        async with self.controller.store.unit() as unit:
            booked = await unit.postings_between(starts[0], starts[0] + QUARTER)
        closed: ClosedDay = await self._offload(_closed, inputs, rules, booked, now)
        again: list[Posting] = []
        if quarters is not None:
            # Where there is an auction there is one supplier: the site's own.
            own = asked.get(SITE_SUPPLIER) or await self._supplier_prices(starts, SITE_SUPPLIER, quarters)
            again += await self._corrections(whole, own, meters, quarters, now)
        again += await self._imbalance(whole, meters, now)
        async with self.controller.store.unit() as unit:
            await unit.add_postings([*closed.postings, *again])
            await unit.put_closed_day(closed.points)
            await unit.closings_done(asked_for)
            await unit.put_supplied(
                [
                    quarter
                    for name, prices in asked.items()
                    for quarter in supplied_quarters(name, prices, meters, whole.columns(name))
                ]
            )
        self._read[day] = len(registers)
        _LOG.info("closed a day", day=day.isoformat(), postings=len(closed.postings), corrected=len(again))

    def _rules(self, day: date, starts: Sequence[datetime]) -> PoolRules:
        """What the pool had agreed on for that day.

        Raises:
            ConflictError: Where a rate does not hold until the day's end, or not without a gap.
        """
        sharing = self.controller.settings.sharing
        problems = list(rate_problems(sharing.rates, starts[0], starts[-1] + QUARTER, may_begin=True))
        if problems:
            raise ConflictError(f"settings.sharing: {'; '.join(map(str, problems))}")
        terms = sharing.terms_on(day)
        return PoolRules(
            key=KEYS[terms.key],
            across_suppliers=terms.across_suppliers,
            share_grid_charged=terms.share_grid_charged,
            vat_on_neighbours=terms.vat_on_neighbours,
            rates=sharing.rates,
        )

    async def _day(self, day: date, starts: tuple[datetime, ...]) -> _Day:
        """Whose each point was and who supplied it: as when the day was first closed, else as it is now.

        Raises:
            PointLeftError: Where one has left the site file since: what others shared with it would change.
        """
        async with self.controller.store.unit() as unit:
            kept = {point.ean: point for point in await unit.closed_days(day, day)}
        if gone := kept.keys() - {point.ean for point in self._points}:
            raise PointLeftError(f"{day} stays as it was closed: {min(gone)} is in the site file no longer")
        points, suppliers = [], []
        for point in self._points:
            then = kept.get(point.ean)
            points.append(point if then is None else replace(point, member=then.member))
            now = self._supplier_of.get(point.ean, SITE_SUPPLIER)
            suppliers.append(now if then is None else then.supplier)
        return _Day(day=day, starts=starts, points=tuple(points), suppliers=tuple(suppliers))

    async def _supplier_prices(
        self, starts: Sequence[datetime], supplier: str, quarters: Mapping[datetime, _Quarter] | None
    ) -> dict[datetime, SupplierPrices]:
        """What a supplier asked and paid in each quarter-hour: as it was when the day was first closed.

        Later the prices of that day may be known no more, and others would stand in for them. What was
        cleared is settled by the prices that stand in its book.
        """
        async with self.controller.store.unit() as unit:
            supplied = await unit.supplied(starts[0], starts[-1] + QUARTER, supplier=supplier)
        kept = {
            each.interval_start: SupplierPrices(
                import_microeur_per_kwh=each.import_microeur_per_kwh,
                export_microeur_per_kwh=each.export_microeur_per_kwh,
            )
            for each in supplied
        }
        cleared = quarters if quarters is not None and supplier == SITE_SUPPLIER else {}
        return {
            start: kept.get(start) or self._prices_of(start, supplier, cleared.get(start)) for start in starts
        }

    def _prices_of(self, start: datetime, supplier: str, quarter: _Quarter | None) -> SupplierPrices:
        # One that the site file has lost since asks what the site's own does.
        prices = self._prices(start, self._tariffs.get(supplier, self._tariffs[SITE_SUPPLIER]))
        if quarter is not None:
            prices = as_cleared(prices, quarter.orders)
        return SupplierPrices(
            import_microeur_per_kwh=prices.import_microeur_per_kwh,
            export_microeur_per_kwh=prices.export_microeur_per_kwh,
        )

    async def _registers(self, starts: Sequence[datetime]) -> list[RegisterRecord]:
        """The day's registers, a page at a time."""
        found: list[RegisterRecord] = []
        first, last = starts[0], starts[-1] + QUARTER
        while first <= last:
            async with self.controller.store.unit() as unit:
                found += await unit.registers_between(first, min(first + PAGE - QUARTER, last))
            first += PAGE
        return found

    async def _meters(
        self, starts: Sequence[datetime], registers: Sequence[RegisterRecord], now: datetime
    ) -> DayMeters:
        """The day's energy; of meters with a gap the days around are read too."""
        meters: DayMeters = await self._offload(read_day, self._points, starts, registers, {})
        around: dict[AssetId, Sequence[RegisterRecord]] = {}
        for column in np.flatnonzero(meters.estimated.any(axis=0)).tolist():
            point = self._points[column]
            until = min(now, starts[-1] + QUARTER + AGAIN_FOR)
            async with self.controller.store.unit() as unit:
                around[point.asset] = await unit.registers_between(
                    starts[0] - LOOK_BACK, until, meter=point.asset
                )
        if around:
            meters = await self._offload(read_day, self._points, starts, registers, around)
        return meters

    async def _quarters(self, starts: Sequence[datetime]) -> dict[datetime, _Quarter]:
        """What was traded, by quarter-hour; one that was not cleared is not there."""
        found = {}
        for page in batched(starts, PAGE // QUARTER):
            async with self.controller.store.unit() as unit:
                for start in page:
                    result = await unit.result(start)
                    if result is not None:
                        found[start] = _Quarter(result=result, orders=await unit.orders_of_interval(start))
        return found

    def _inputs(
        self,
        whole: _Day,
        asked: dict[str, dict[datetime, SupplierPrices]],
        meters: DayMeters,
        quarters: dict[datetime, _Quarter] | None,
    ) -> DayInputs:
        starts, stores = whole.starts, np.array([point.stores for point in self._points])
        terms = self.controller.settings.sharing.terms_on(whole.day)
        agreed = {point.ean: point for point in terms.points}
        shared = microeur_per_kwh(terms.shared_price_eur_per_kwh)
        return DayInputs(
            day=whole.day,
            pool=PoolInputs(
                points=tuple(
                    _point(point, supplier, agreed.get(point.ean, PointTerms(ean=point.ean)))
                    for point, supplier in zip(whole.points, whole.suppliers, strict=True)
                ),
                starts=starts,
                energy=Energy(offtake_wh=meters.offtake_wh, feed_in_wh=meters.feed_in_wh),
                grid_charged_wh=meters.feed_in_wh * stores,
                supply={name: _supply_prices(list(prices.values())) for name, prices in asked.items()},
                shared_microeur_per_kwh=np.full(len(starts), shared, dtype=np.int64),
            ),
            estimated=meters.estimated,
            known=meters.known,
            traded=None if quarters is None else _traded(whole, meters, quarters),
        )

    async def _corrections(
        self,
        whole: _Day,
        prices: dict[datetime, SupplierPrices],
        meters: DayMeters,
        quarters: dict[datetime, _Quarter],
        now: datetime,
    ) -> list[Posting]:
        """The quarter-hours that were settled by estimates, settled again by what the meters say now.

        A quarter-hour that nobody has settled yet is left to who settles it first.
        """
        async with self.controller.store.unit() as unit:
            waiting = set(await unit.intervals_to_settle())
        owners = {point.ean: point.member for point in whole.points}
        found: list[Posting] = []
        for row, (start, asked) in enumerate(prices.items()):
            quarter = quarters.get(start)
            if quarter is None or start in waiting:
                continue
            async with self.controller.store.unit() as unit:
                booked = await unit.postings_between(start, start + QUARTER)
            inputs = SettlementInputs(
                interval_start=start,
                trades=trades_of(quarter.result, quarter.orders),
                metered=_metered(whole.points, meters, row, np.flatnonzero(meters.metered[row]).tolist()),
                prices=asked,
                expected=frozenset(owners),
                members_of=owners,
            )
            found += await self._offload(_corrected, booked, inputs, now)
        return found

    async def _imbalance(self, whole: _Day, meters: DayMeters, now: datetime) -> list[Posting]:
        """What imbalance cost, by who caused it, where a supplier has told it and knows all its points."""
        first, after = whole.starts[0], whole.starts[-1] + QUARTER
        found: list[Posting] = []
        for supplier in sorted(set(whole.suppliers)):
            async with self.controller.store.unit() as unit:
                costs = await unit.imbalance_costs(first, after, supplier=supplier)
                told = (
                    await unit.nominations(first, after, NominationKind.INTRADAY, supplier=supplier)
                    if costs
                    else ()
                )
            columns = whole.columns(supplier)
            for nomination in told:
                start = nomination.interval_start
                row = (start - first) // QUARTER
                if start not in costs or not meters.known[row, columns].all():
                    continue
                metered: Counter[MemberId] = Counter()
                for i in columns:
                    net_wh = int(meters.offtake_wh[row, i] - meters.feed_in_wh[row, i])
                    metered[whole.points[i].member] += net_wh
                async with self.controller.store.unit() as unit:
                    booked = await unit.postings_between(start, start + QUARTER)
                found += await self._offload(
                    _caused, booked, nomination, metered, costs[start], supplier, now
                )
        return found


def _point(point: SitePoint, supplier: str, agreed: PointTerms) -> Point:
    return Point(
        ean=point.ean,
        member=point.member,
        supplier=supplier,
        share_ppm=agreed.share_ppm,
        priority=agreed.priority,
    )


def _traded(whole: _Day, meters: DayMeters, quarters: dict[datetime, _Quarter]) -> Traded:
    """What was traded for each point [Wh], as the settlement of the quarter-hour counts it."""
    bought, sold = np.zeros_like(meters.offtake_wh), np.zeros_like(meters.feed_in_wh)
    supplied, neighbours = np.zeros_like(bought), np.zeros_like(bought)
    for row, start in enumerate(whole.starts):
        quarter = quarters.get(start)
        if quarter is None:
            continue
        trades = trades_of(quarter.result, quarter.orders)
        metered = _metered(whole.points, meters, row, range(len(whole.points)))
        for side, array in ((Side.BUY, bought), (Side.SELL, sold)):
            placed = placed_wh(trades, metered, side)
            array[row] = [placed[point.ean] for point in whole.points]
        owners = [point.member for point in whole.points]
        supplied[row], neighbours[row] = paid_nanoeur(trades, owners, bought[row])
    cleared = np.array([start in quarters for start in whole.starts])
    return Traded(
        bought_wh=bought,
        sold_wh=sold,
        supplied_nanoeur=supplied,
        neighbours_nanoeur=neighbours,
        cleared=cleared,
        settled=meters.metered_whole(whole.points),
    )


def _metered(
    points: Sequence[SitePoint], meters: DayMeters, row: int, columns: Sequence[int]
) -> tuple[MeteredEnergy, ...]:
    return tuple(
        MeteredEnergy(
            member=points[i].member,
            ean=points[i].ean,
            import_wh=int(meters.offtake_wh[row, i]),
            export_wh=int(meters.feed_in_wh[row, i]),
            estimated=bool(meters.estimated[row, i]),
        )
        for i in columns
    )


def _supply_prices(asked: Sequence[SupplierPrices]) -> SupplyPrices:
    return SupplyPrices(
        import_microeur_per_kwh=np.array([each.import_microeur_per_kwh for each in asked]),
        export_microeur_per_kwh=np.array([each.export_microeur_per_kwh for each in asked]),
    )


def _closed(inputs: DayInputs, rules: PoolRules, booked: Sequence[Posting], now: datetime) -> ClosedDay:
    return close_day(inputs, rules, booked, booked_at=now)


def _corrected(booked: Sequence[Posting], inputs: SettlementInputs, now: datetime) -> list[Posting]:
    return resettle_deviations(booked, inputs, booked_at=now)


def _caused(
    booked: Sequence[Posting],
    told: Nomination,
    metered: Mapping[MemberId, int],
    cost: ImbalanceCost,
    supplier: str,
    now: datetime,
) -> list[Posting]:
    lines = imbalance_lines(told.interval_start, told.net_wh, metered, cost, supplier)
    # By account and not by reference: older books have other references.
    own = about(booked, {PostingReason.IMBALANCE}, account=supplier_account(supplier))
    return rebooked(own, lines, booked_at=now)
