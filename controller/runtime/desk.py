"""The order desk: where members place, change and cancel orders and leave standing instructions.

An order that may not stand is refused with every reason at once, as codes for programs and sentences for
people. The clock is read when the desk's transaction has begun, not when the request was sent: while the
request waited the gate may have closed, and a clearing may have read the book.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from controller.domain.assets import Departure, Vehicle, Wishes
from controller.domain.errors import ConflictError, ForbiddenError, NotFoundError, WijkstroomError
from controller.domain.ids import MemberId
from controller.domain.instructions import Instruction, LeaveAt
from controller.domain.time import utc_text
from controller.runtime.backlog import Backlog
from controller.runtime.core import Controller
from controller.runtime.ports import OrderRecord, UnitOfWork
from market.from_plan import QuarterPrices
from market.ledger import member_account
from market.orders import (
    AdmissionRules,
    Order,
    OrderSource,
    Refusal,
    RefusalCode,
    exposure_nanoeur,
    gate_closes_at,
    refusals,
)

NANOEUR_PER_EUR = 10**9
ALL_ORDERS = 1_000_000
"""More than one member has in a quarter-hour."""
INSTRUCTIONS_MAX = 20
"""Standing instructions of one member."""


class OrderRefusedError(WijkstroomError):
    """An order does not stand; every reason is listed."""

    def __init__(self, refused: Sequence[Refusal]) -> None:
        self.refusals = tuple(refused)
        super().__init__("; ".join(f"{one.code.value}: {one.sentence}" for one in refused))


class OrderDesk:
    """Takes orders and instructions of one controller's members."""

    def __init__(
        self, controller: Controller, backlog: Backlog, prices: Callable[[datetime], QuarterPrices]
    ) -> None:
        self.controller = controller
        self._backlog = backlog
        self._prices = prices
        """The supplier's, of a quarter-hour."""
        self.instructions: dict[str, Instruction] = {}
        """Those that have not ended, by id; replaced as a whole."""

    async def load(self, unit: UnitOfWork) -> None:
        """Reads the standing instructions."""
        self.instructions = {one.id: one for one in await unit.instructions()}

    async def place(self, order: Order, member: MemberId | None) -> OrderRecord:
        """Places a member's own order; the same id with the same content again changes nothing.

        Raises:
            ForbiddenError: For somebody else.
            OrderRefusedError: Where it may not stand, or its id stands for another order.
        """
        own = _own(order, member)
        async with self.controller.store.unit() as unit:
            return await self._known(unit, order, own) or await self._placed(unit, order)

    async def place_all(self, orders: Sequence[Order], member: MemberId | None) -> Sequence[OrderRecord]:
        """Places several orders of a member, all or none; each that is there already stays as it is.

        Raises:
            ForbiddenError: For somebody else.
            OrderRefusedError: Where one may not stand, or its id stands for another order.
        """
        async with self.controller.store.unit() as unit:
            records = []
            for order in orders:
                own = _own(order, member)
                known = await self._known(unit, order, own)
                records.append(known or await self._placed(unit, order))
        return records

    async def change(self, order_id: str, order: Order, member: MemberId | None) -> OrderRecord:
        """Puts an order in the place of another; both or neither. Asked again, it changes nothing.

        Raises:
            ForbiddenError: For somebody else.
            NotFoundError: Where the member has no order with that id.
            OrderRefusedError: Where the old one is past its gate or cancelled, or the new one may not stand.
        """
        own = _own(order, member)
        async with self.controller.store.unit() as unit:
            done = await self._known(unit, order, own)
            if done is not None:
                return done
            old = await self._open(unit, order_id, own)
            if old.cancelled_at is not None:
                sentence = f"order {order_id!r} was cancelled: place a new one"
                raise OrderRefusedError([Refusal(code=RefusalCode.CANCELLED, sentence=sentence)])
            await unit.cancel_order(order_id, self.controller.clock.now())
            return await self._placed(unit, order)

    async def cancel(self, order_id: str, member: MemberId | None) -> None:
        """Cancels an own order whose gate has not closed.

        Raises:
            NotFoundError: Where the member has no such order.
            OrderRefusedError: After the gate.
        """
        async with self.controller.store.unit() as unit:
            known = await self._open(unit, order_id, member)
            if known.cancelled_at is None:
                await unit.cancel_order(order_id, self.controller.clock.now())

    async def instruct(self, instruction: Instruction) -> Instruction:
        """Keeps a standing instruction; the same id with the same content again changes nothing.

        Raises:
            NotFoundError: Where it is about a car that is not the member's.
            ConflictError: Where the id stands for another instruction, there are too many, or it is about
                selling and there is no auction.
        """
        if isinstance(instruction.wanted, LeaveAt):
            self._vehicle(instruction.wanted, instruction.member)
        elif not self.controller.settings.market.is_auction:
            raise ConflictError("this neighbourhood shares its energy after the fact: nothing is sold before")
        async with self.controller.store.unit() as unit:
            own = [one for one in self.instructions.values() if one.member == instruction.member]
            known = self.instructions.get(instruction.id)
            if known is None and len(own) >= INSTRUCTIONS_MAX:
                raise ConflictError(f"{INSTRUCTIONS_MAX} instructions are standing: end one first")
            await unit.add_instruction(instruction)
        standing = known or instruction
        self.instructions = {**self.instructions, standing.id: standing}
        await self.renew_departures()
        return standing

    async def end_instruction(self, instruction_id: str, member: MemberId) -> None:
        """Ends an instruction; what it ordered for quarter-hours to come is made no more.

        Raises:
            NotFoundError: Where the member has none with that id.
        """
        known = self.instructions.get(instruction_id)
        if known is None or known.member != member:
            raise NotFoundError(f"you have no instruction {instruction_id!r}")
        async with self.controller.store.unit() as unit:
            await unit.end_instruction(instruction_id, self.controller.clock.now())
        self.instructions = {key: one for key, one in self.instructions.items() if key != instruction_id}

    async def renew_departures(self) -> None:
        """Sets the next departure of every standing one, where the car has none ahead.

        What a driver asked for by hand stands until its moment has passed.
        """
        now, people = self.controller.clock.now(), self.controller.people
        renewed: dict[str, Wishes] = {}
        for instruction in sorted(self.instructions.values(), key=lambda one: one.id):
            if not isinstance(instruction.wanted, LeaveAt):
                continue
            vehicle = self.controller.site.vehicle_by_id.get(instruction.wanted.vehicle)
            if vehicle is None:
                continue  # the site file has lost the car since
            departure = Departure(
                vehicle=vehicle.id,
                at_utc=instruction.wanted.next_departure(now),
                energy_kwh=instruction.wanted.soc_fraction * vehicle.capacity_kwh,
            )
            wishes = people.wishes.get(vehicle.id, Wishes(asset=vehicle.id))
            if wishes.departure is not None and wishes.departure.at_utc > now:
                continue
            before = renewed.get(vehicle.id)
            if before is None or before.departure is None or departure.at_utc < before.departure.at_utc:
                renewed[vehicle.id] = replace(wishes, departure=departure)
        if not renewed:
            return
        async with self.controller.store.unit() as unit:
            for wishes in renewed.values():
                await unit.put_wishes(wishes)
        people.wishes = {**people.wishes, **{wishes.asset: wishes for wishes in renewed.values()}}
        self.controller.want_plan("a standing departure came up")

    def gate_lead(self) -> timedelta:
        """How long before a quarter-hour its gate closes."""
        return timedelta(seconds=self.controller.settings.market.gate_lead_s)

    def gate(self, interval: datetime) -> datetime:
        """When the gate of a quarter-hour closes."""
        return gate_closes_at(interval, self.gate_lead())

    async def _known(self, unit: UnitOfWork, order: Order, member: MemberId) -> OrderRecord | None:
        """The order that its id already stands for; None where it is free."""
        known = await unit.order(order.order_id)
        if known is None:
            return None
        if known.order.member != member:
            sentence = f"order id {order.order_id!r} is taken: choose another, a UUID for one"
        elif replace(known.order, placed_at=None) == replace(order, placed_at=None):
            return known
        else:
            sentence = f"order {order.order_id!r} stands with other content: use a new id"
        raise OrderRefusedError([Refusal(code=RefusalCode.DUPLICATE, sentence=sentence)])

    async def _placed(self, unit: UnitOfWork, order: Order) -> OrderRecord:
        now = self.controller.clock.now()
        found = refusals(order, now=now, rules=await self._rules(unit, order))
        reserved = [f"{source.value}/" for source in OrderSource]
        if any(order.order_id.startswith(prefix) for prefix in reserved):
            sentence = f"order_id must not begin with {', '.join(reserved)}: those are the controller's own"
            found.append(Refusal(code=RefusalCode.BAD_ORDER, sentence=sentence))
        if not self.controller.settings.market.is_auction:
            sentence = "this neighbourhood shares its energy after the fact: there is nothing to order"
            found.append(Refusal(code=RefusalCode.NO_AUCTION, sentence=sentence))
        if found:
            raise OrderRefusedError(found)
        placed = replace(order, placed_at=now)
        await unit.add_orders([placed])
        return OrderRecord(order=placed, cancelled_at=None, fill=None)

    async def _open(self, unit: UnitOfWork, order_id: str, member: MemberId | None) -> OrderRecord:
        """A member's order whose gate has not closed."""
        known = await unit.order(order_id)
        if known is None or known.order.member != member:
            raise NotFoundError(f"you have no order {order_id!r}")
        gate = self.gate(known.order.interval_start)
        if self.controller.clock.now() >= gate:
            sentence = f"the gate closed at {utc_text(gate)}: the order stands"
            raise OrderRefusedError([Refusal(code=RefusalCode.GATE_CLOSED, sentence=sentence)])
        return known

    async def _rules(self, unit: UnitOfWork, order: Order) -> AdmissionRules:
        site, member = self.controller.site, order.member
        groups = (site.loads, site.pv, site.batteries, site.charge_points)
        return AdmissionRules(
            gate_lead=self.gate_lead(),
            nodes={node.id for node in site.network.nodes},
            member_nodes={asset.node for group in groups for asset in group if asset.member == member},
            credit_left_nanoeur=await self._credit_left(unit, member),
            import_microeur_per_kwh=self._asked(order.interval_start) if order.interval_start.tzinfo else 0,
        )

    def _asked(self, start: datetime) -> int:
        """What the supplier asks in a quarter-hour [micro-euro/kWh]."""
        return self._prices(start).import_microeur_per_kwh

    async def _credit_left(self, unit: UnitOfWork, member: MemberId) -> int | None:
        """What a member may still commit: the limit and what they have to receive, less what may still come.

        That is open orders, and trades that are not in the balance yet, for until its meters are in a
        quarter-hour is not booked.
        """
        limit_eur = self.controller.settings.market.credit_limit_eur
        if limit_eur is None:
            return None
        owed = (await unit.balances()).get(member_account(member), 0)
        # Those count too whose quarter-hour has begun and that nobody has cleared yet.
        waiting = list(await unit.open_orders(member, since=self._backlog.since))
        for start in await unit.intervals_to_settle():
            for record in await unit.orders_of_member(
                member, limit=ALL_ORDERS, interval_start=start, filled=True
            ):
                if record.fill is not None and (price := record.fill.price_microeur_per_kwh) is not None:
                    filled_wh = record.fill.filled_wh
                    waiting.append(
                        replace(record.order, quantity_wh=filled_wh, limit_price_microeur_per_kwh=price)
                    )
        open_nanoeur = sum(exposure_nanoeur(one, self._asked(one.interval_start)) for one in waiting)
        return round(limit_eur * NANOEUR_PER_EUR) - owed - open_nanoeur

    def _vehicle(self, wanted: LeaveAt, member: MemberId) -> Vehicle:
        vehicle = self.controller.site.vehicle_by_id.get(wanted.vehicle)
        if vehicle is None or vehicle.member != member:
            raise NotFoundError(f"you have no vehicle {wanted.vehicle!r}")
        return vehicle


def _own(order: Order, member: MemberId | None) -> MemberId:
    if member is None or order.member != member:
        raise ForbiddenError("an order is placed by the member that it is for")
    return member
