"""The market's and the ledger's duties in the running controller.

Before each quarter-hour the gate closes: the residents' orders, the plan's for what it steers, the
forecast's for what it does not, and the supplier's backstop are cleared inside the network's limits.
After it, when the meters have reported, trades and meters become postings. Everything is keyed by its
quarter-hour, so that a controller which was killed half-way does the rest and nothing twice.

A member with orders of their own for a quarter-hour trades on their own: nothing is ordered for what
is expected of their homes and roofs. What they then use beyond it is settled with the supplier. Of a member
with a standing instruction for their surplus, the roofs' expected surplus is ordered as it says.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog

from controller.domain.errors import ConflictError
from controller.domain.ids import AssetId, Ean, MemberId, NodeId
from controller.domain.site import Site, Tariff
from controller.domain.time import QUARTER, utc_text
from controller.domain.units import microeur_per_kwh
from controller.runtime.automatic import AutomaticOrders, Counted
from controller.runtime.backlog import MARKET_SINCE_KEY, Backlog
from controller.runtime.closing import Closing
from controller.runtime.closing_again import ClosingAgain
from controller.runtime.core import Controller
from controller.runtime.desk import OrderDesk
from controller.runtime.discharged import Tally, keep_tally, load_tally
from controller.runtime.matches import match_book
from controller.runtime.nominating import Nominating
from controller.runtime.offload import Offload
from controller.runtime.ports import RegisterRecord, UnitOfWork
from controller.runtime.sealing import Sealing
from controller.supplier_settings import SITE_SUPPLIER
from market.caps import share_caps_wh, tightest
from market.clearing import IntervalResult, clear_by, envelope_of
from market.from_plan import QuarterPrices, as_cleared, backstop_orders
from market.gifts import Gift, gifts_of, is_given
from market.links import link_caps_wh, stored_wh
from market.orders import ORDERS_AHEAD, PPM, Order, OrderSource, RefusalCode, stands
from market.rates import vat_fraction
from market.settlement import MeteredEnergy, SettlementInputs, SupplierPrices, settle, trades_of

METERS_WAIT = timedelta(minutes=8)
"""How long after a quarter-hour missing meters are waited for before they are estimated."""
METERS_FIRST = timedelta(seconds=90)
"""How long after a quarter-hour the meters are first looked at."""

_LOG = structlog.get_logger(__name__)


class Trading:
    """Market, settlement and the residents' orders of one controller."""

    def __init__(self, controller: Controller, *, offload: Offload) -> None:
        self.controller = controller
        self.latest: IntervalResult | None = None
        """The newest clearing."""
        lead = timedelta(seconds=controller.settings.market.gate_lead_s)
        self.backlog = Backlog(controller.clock, lead)
        self.due = self.backlog.due
        self.desk = OrderDesk(controller, self.backlog, self.quarter_prices)
        self.automatic = AutomaticOrders(controller.site)
        self.closing = Closing(controller, prices=self.quarter_prices, due=self.due, offload=offload)
        self.closing_again = ClosingAgain(controller, self.closing)
        self.nominating = Nominating(controller, offload=offload)
        self.sealing = Sealing(controller, offload=offload)
        self._offload = offload
        self._settle_from: datetime | None = None
        """Before it nothing can be settled; None where that is not known."""

    async def load(self) -> None:
        """Reads where the market stands."""
        async with self.controller.store.unit() as unit:
            self.latest = await unit.latest_result()
            if self.controller.settings.market.is_auction:
                await self.backlog.open(unit)
            else:
                await self.backlog.close(unit)
            self.controller.planner.discharged = await load_tally(unit)
            await self.desk.load(unit)

    async def clear_interval(self, interval: datetime) -> None:
        """Clears the quarter-hour that starts at `interval`; one that is cleared already stays as it is."""
        controller = self.controller
        async with controller.store.unit() as unit:
            if await unit.result(interval) is not None:
                self.backlog.note_cleared(interval)
                return
            own = await self._own_orders(unit, interval)
            links = {order.link.name for order in own if order.link is not None}
            # Those of later quarter-hours too: they may have been cleared where this one failed.
            ahead = controller.clock.now() + ORDERS_AHEAD + QUARTER
            stored = stored_wh(await unit.linked_fills(links, before=ahead), interval) if links else {}
        gate = self.desk.gate(interval)
        # What has lapsed stays in the book, to be reported, and gets nothing.
        lapsed = {order.order_id: 0 for order in own if not stands(order, gate)}
        quarter = self.quarter_prices(interval)
        trading = {order.member for order in own if order.order_id not in lapsed}
        instructions = self.desk.instructions.values()
        orders = [*own, *self.automatic.orders(controller.plan, quarter, instructions, trading)]
        share_ppm = round(controller.settings.market.member_share_max * PPM)
        standing = [order for order in orders if order.order_id not in lapsed]
        caps_wh = tightest(lapsed, link_caps_wh(own, stored), share_caps_wh(standing, share_ppm))
        orders += backstop_orders(quarter, orders)
        result = await self._cleared(interval, orders, caps_wh)
        async with controller.store.unit() as unit:
            # An order cancelled while we computed stays in: the gate had closed before it.
            await unit.add_orders(orders)
            await unit.add_result(result, controller.clock.now())
            await unit.put_value(MARKET_SINCE_KEY, utc_text(self.backlog.since))
        self.backlog.note_cleared(interval)
        self._settle_from = None
        if self.latest is None or self.latest.interval_start < interval:
            self.latest = result

    async def _own_orders(self, unit: UnitOfWork, interval: datetime) -> list[Order]:
        """The members' orders of a quarter-hour; those at a node that the site file has lost since lapse."""
        nodes = self.controller.site.network.by_id
        orders = await unit.orders_of_interval(interval)
        lost = [order.order_id for order in orders if order.node not in nodes]
        if lost:
            await unit.lapse_orders(lost, self.controller.clock.now(), RefusalCode.UNKNOWN_NODE)
            _LOG.warning("orders have lapsed: their node is gone", interval=utc_text(interval), orders=lost)
        return [order for order in orders if order.node in nodes]

    async def _cleared(
        self, interval: datetime, orders: Sequence[Order], caps_wh: Mapping[str, int]
    ) -> IntervalResult:
        """The clearing of a quarter-hour; one without orders is kept too, so that its meters are settled."""
        network, people = self.controller.site.network, self.controller.people
        if not orders:
            return IntervalResult(
                interval_start=interval,
                price_microeur_per_kwh={node.id: None for node in network.nodes},
                fills=(),
                congestion_rent_nanoeur=0,
                welfare_nanoeur=0,
            )
        limits: dict[NodeId, tuple[float, float]] = {}
        for node in network.nodes:
            limit = people.limit_at(network, node.id, interval)
            limits[node.id] = (limit.import_kw, limit.export_kw)
        envelope = envelope_of(network, limits_kw=limits)
        rules = self.controller.settings.market.rules
        result: IntervalResult = await self._offload(clear_by, rules, orders, envelope, caps_wh)
        return result

    async def keep_registers(self) -> None:
        """Writes the registers that have come in to the store; what it cannot take now is kept for later."""
        registers = self.controller.take_registers()
        if not registers:
            return
        tally = self._discharged(registers)
        kept = False
        try:
            async with self.controller.store.unit() as unit:
                await _add_registers(unit, registers)
                if tally is not None:
                    await keep_tally(unit, tally)
            kept = True
        finally:
            if not kept:
                self.controller.give_back(registers)
        if tally is not None:
            self.controller.planner.discharged = tally

    def _discharged(self, registers: Sequence[RegisterRecord]) -> Tally | None:
        """What cars have given back of their budgets, with these registers; None where no car has one."""
        controller = self.controller
        if all(vehicle.v2g_budget is None for vehicle in controller.site.vehicles):
            return None
        standing = {
            point.id: vehicle.id
            for point in controller.site.charge_points
            if (vehicle := controller.steering.vehicle_on(controller.state, point.id)) is not None
        }
        return controller.planner.discharged.counted(registers, standing, controller.site)

    async def settle_due(self) -> None:
        """Settles every quarter-hour whose meters are in, or have been waited for long enough."""
        await self.keep_registers()
        now = self.controller.clock.now()
        if self._settle_from is not None and now < self._settle_from:
            return
        async with self.controller.store.unit() as unit:
            unsettled = await unit.intervals_to_settle()
        waiting = [start for start in unsettled if start + QUARTER + METERS_FIRST <= now]
        if not waiting:
            # A quarter-hour that is cleared in the meantime ends this in any case.
            self._settle_from = min(unsettled, default=now) + QUARTER + METERS_FIRST
        for start in waiting:
            try:
                async with self.controller.store.unit() as unit:
                    await self._settle(unit, start, now)
            except (ConflictError, ValueError, KeyError):
                # One quarter-hour whose figures do not fit must not keep the others from being settled.
                _LOG.exception("a quarter-hour could not be settled", interval=utc_text(start))
                self.controller.counters.count_failure("settlement", self.controller.clock.now())

    def quarter_prices(self, interval: datetime, tariff: Tariff | None = None) -> QuarterPrices:
        """A supplier's prices in a quarter-hour, by its margins; without them those of the site's own."""
        controller = self.controller
        bare = float(controller.forecasts.prices.known(controller.clock.now(), [interval])[0])
        tariff = tariff or controller.site.tariff
        bought = microeur_per_kwh(bare + tariff.import_adder_eur_per_kwh)
        sold = microeur_per_kwh(bare + tariff.export_adder_eur_per_kwh)
        rates = controller.settings.sharing.rates
        return QuarterPrices(
            interval_start=interval,
            import_microeur_per_kwh=max(bought, sold),
            export_microeur_per_kwh=sold,
            placed_at=controller.clock.now(),
            vat_fraction=float(vat_fraction(rates, SITE_SUPPLIER, [interval])[0]),
        )

    async def _settle(self, unit: UnitOfWork, start: datetime, now: datetime) -> None:
        end = start + QUARTER
        result = await unit.result(start)
        if result is None:
            return
        before, after = await unit.registers_at(start), await unit.registers_at(end)
        points = list(self._allocation_points())
        missing = [asset for asset, _, _ in points if asset not in before or asset not in after]
        if missing and now < end + METERS_WAIT:
            return
        orders = await unit.orders_of_interval(start)
        traded_wh = _traded_by_asset(result, orders)
        gate = self.desk.gate(start)
        on_their_own = {
            order.member for order in orders if order.source is OrderSource.RESIDENT and stands(order, gate)
        }
        quarter = as_cleared(self.quarter_prices(start), orders)
        gifts: tuple[Gift, ...] = ()
        if any(map(is_given, orders)):
            gifts = await self._offload(_gifts, orders, result, self.controller.site)
        settlement = settle(
            SettlementInputs(
                interval_start=start,
                trades=trades_of(result, orders),
                metered=tuple(_metered(points, before, after, traded_wh, on_their_own)),
                prices=SupplierPrices(
                    import_microeur_per_kwh=quarter.import_microeur_per_kwh,
                    export_microeur_per_kwh=quarter.export_microeur_per_kwh,
                ),
                expected=frozenset(point for _, _, point in points),
                members_of={point: member for _, member, point in points},
                rent_to=self._rent_to(),
                gifts=gifts,
            ),
            booked_at=now,
        )
        if missing:
            _LOG.info("settled with estimates", interval=utc_text(start), meters=len(missing))
        await unit.add_postings(settlement.postings)
        await unit.mark_settled(start, now)
        self.automatic.learn(start, list(_counted(points, before, after)))

    def _rent_to(self) -> dict[Ean, MemberId]:
        """Among whom the congestion rent is returned: the connections of homes and buildings, by number."""
        if not self.controller.settings.market.rules.returns_rent:
            return {}
        return {load.ean: load.member for load in self.controller.site.loads}

    def _allocation_points(self) -> Iterator[tuple[AssetId, MemberId, Ean]]:
        site = self.controller.site
        groups: tuple[Sequence[Any], ...] = (site.loads, site.charge_points, site.pv, site.batteries)
        for group in groups:
            for asset in group:
                yield asset.id, asset.member, asset.ean


async def _add_registers(unit: UnitOfWork, registers: Sequence[RegisterRecord]) -> None:
    """Keeps registers; of a meter that says another value than before, the first one stands."""
    try:
        await unit.add_registers(registers)
    except ConflictError as error:
        _LOG.warning("registers were sent again with other values", error=str(error))
        known: dict[tuple[datetime, str], RegisterRecord] = {}
        for at in {register.at for register in registers}:
            known |= {(at, meter): record for meter, record in (await unit.registers_at(at)).items()}
        fitting = []
        for register in registers:
            before = known.setdefault((register.at, str(register.meter)), register)
            if before is register or before.estimated:
                known[register.at, str(register.meter)] = register
                fitting.append(register)
        await unit.add_registers(fitting)


def _gifts(orders: Sequence[Order], result: IntervalResult, site: Site) -> tuple[Gift, ...]:
    """What members who give their surplus hand on in a quarter-hour."""
    fills = {fill.order_id: fill for fill in result.fills}
    book = {order.order_id: order for order in orders if order.order_id in fills}
    matches = match_book(list(book.values()), result, site)
    return gifts_of(matches, book, fills, site.public_members)


def _traded_by_asset(result: IntervalResult, orders: Sequence[Order]) -> dict[str, int]:
    """What was traded for each asset [Wh], positive = bought."""
    filled = {fill.order_id: fill.filled_wh for fill in result.fills}
    traded: dict[str, int] = {}
    for order in orders:
        if order.asset and order.source is not OrderSource.RESIDENT:
            sign = 1 if order.side.value == "buy" else -1
            traded[order.asset] = traded.get(order.asset, 0) + sign * filled.get(order.order_id, 0)
    return traded


def _counted(
    points: Sequence[tuple[AssetId, MemberId, Ean]],
    before: Mapping[str, RegisterRecord],
    after: Mapping[str, RegisterRecord],
) -> Iterator[Counted]:
    """What the meters counted that are there and ran forwards."""
    for asset, _, _ in points:
        first, last = before.get(asset), after.get(asset)
        if first is None or last is None or first.estimated or last.estimated:
            continue
        taken, fed = last.import_wh - first.import_wh, last.export_wh - first.export_wh
        if taken >= 0 and fed >= 0:
            yield Counted(asset=asset, import_wh=taken, export_wh=fed)


def _metered(
    points: Sequence[tuple[AssetId, MemberId, Ean]],
    before: Mapping[str, RegisterRecord],
    after: Mapping[str, RegisterRecord],
    traded_wh: Mapping[str, int],
    on_their_own: Collection[MemberId],
) -> Iterator[MeteredEnergy]:
    """What each allocation point took and fed in.

    A meter that is missing, or that ran backwards, is estimated by what was traded for it: its owner
    then has no deviation to pay for until the real figures are in. Members who trade on their own have
    no trades by allocation point to estimate from: theirs stays unknown, and so does their deviation.
    """
    for asset, member, point in points:
        first, last = before.get(asset), after.get(asset)
        if first is not None and last is not None:
            taken, fed = last.import_wh - first.import_wh, last.export_wh - first.export_wh
            if taken >= 0 and fed >= 0:
                yield MeteredEnergy(member=member, ean=point, import_wh=taken, export_wh=fed)
                continue
        if member in on_their_own:
            continue
        traded = traded_wh.get(asset, 0)
        yield MeteredEnergy(
            member=member, ean=point, import_wh=max(traded, 0), export_wh=max(-traded, 0), estimated=True
        )
