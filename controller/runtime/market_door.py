"""The market as the doors see it (`trading_door.TradingDoor`), answered by the running controller."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from controller.domain.errors import NotFoundError
from controller.domain.ids import MemberId
from controller.domain.instructions import Instruction
from controller.domain.time import utc_text
from controller.runtime.core import Controller
from controller.runtime.matches import match_book, sun_orders
from controller.runtime.ports import ClearingRecord, OrderRecord, UnitOfWork
from controller.runtime.tokens import Tokens
from controller.runtime.trading import Trading
from controller.runtime.trading_door import DepthStep, MatchView
from controller.sharing_settings import MarketMode
from market.clearing import IntervalResult
from market.orders import Order, Side


class MarketDoor(Tokens):
    """The market of a running controller."""

    def __init__(self, controller: Controller, trading: Trading, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(controller, loop)
        self.trading = trading

    def market_mode(self) -> MarketMode | None:
        """How neighbours come by each other's energy; None where nothing is settled."""
        settings = self.controller.settings.market
        return settings.mode if settings.enabled else None

    async def place_order(self, order: Order, member: MemberId) -> OrderRecord:
        """Places a member's order; the same `order_id` with the same content again changes nothing."""
        return await self._on_loop(self.trading.desk.place(order, member))

    async def place_orders(self, orders: Sequence[Order], member: MemberId) -> Sequence[OrderRecord]:
        """Places several, all or none."""
        return await self._on_loop(self.trading.desk.place_all(orders, member))

    async def change_order(self, *, order_id: str, order: Order, member: MemberId) -> OrderRecord:
        """Puts an order in the place of one whose gate has not closed."""
        return await self._on_loop(self.trading.desk.change(order_id, order, member))

    async def cancel_order(self, *, order_id: str, member: MemberId) -> None:
        """Cancels an order whose gate has not closed."""
        await self._on_loop(self.trading.desk.cancel(order_id, member))

    async def instruct(self, instruction: Instruction) -> Instruction:
        """Keeps a standing instruction."""
        return await self._on_loop(self.trading.desk.instruct(instruction))

    async def instructions(self, member: MemberId) -> Sequence[Instruction]:
        """A member's standing instructions, by id."""
        standing = self.trading.desk.instructions.values()
        return sorted((one for one in standing if one.member == member), key=lambda one: one.id)

    async def end_instruction(self, *, instruction_id: str, member: MemberId) -> None:
        """Ends one."""
        await self._on_loop(self.trading.desk.end_instruction(instruction_id, member))

    def latest_clearing(self) -> IntervalResult | None:
        """The newest clearing."""
        return self.trading.latest

    async def clearings(
        self, *, after: datetime | None, until: datetime | None, limit: int
    ) -> Sequence[ClearingRecord]:
        """The newest clearings between two quarter-hours, the oldest first."""
        return await self._in_unit(lambda unit: unit.clearings(after=after, until=until, limit=limit))

    async def depth(self, interval_start: datetime) -> Sequence[DepthStep]:
        """A cleared quarter-hour's book by side and price."""
        orders, result = await self._cleared_book(interval_start)
        filled_wh = {fill.order_id: fill.filled_wh for fill in result.fills}
        asked: Counter[tuple[Side, int]] = Counter()
        filled: Counter[tuple[Side, int]] = Counter()
        for order in orders:
            asked[order.side, order.limit_price_microeur_per_kwh] += order.quantity_wh
            filled[order.side, order.limit_price_microeur_per_kwh] += filled_wh[order.order_id]
        return [
            DepthStep(
                side=side,
                limit_price_microeur_per_kwh=price,
                quantity_wh=asked[side, price],
                filled_wh=filled[side, price],
            )
            for side, price in sorted(asked)
        ]

    async def matches(self, interval_start: datetime, member: MemberId) -> Sequence[MatchView]:
        """Whom a member's filled orders were matched with, without names."""
        orders, result = await self._cleared_book(interval_start)
        site = self.controller.site
        found = await asyncio.to_thread(match_book, orders, result, site)
        sun, social = sun_orders(orders, site), site.public_members
        by_id = {order.order_id: order for order in orders}
        return [
            MatchView(
                order_id=order_id,
                side=by_id[order_id].side,
                energy_wh=match.energy_wh,
                distance=match.distance,
                sun=match.sell_order_id in sun,
                social=by_id[match.buy_order_id].member in social,
            )
            for match in found
            for order_id in (match.buy_order_id, match.sell_order_id)
            if by_id[order_id].member == member
        ]

    async def _cleared_book(self, start: datetime) -> tuple[Sequence[Order], IntervalResult]:
        """The orders of a cleared quarter-hour, and what they got."""

        async def run(unit: UnitOfWork) -> tuple[Sequence[Order], IntervalResult]:
            result = await unit.result(start)
            if result is None:
                raise NotFoundError(f"the quarter-hour of {utc_text(start)} is not cleared")
            cleared = {fill.order_id for fill in result.fills}
            orders = await unit.orders_of_interval(start)
            return [order for order in orders if order.order_id in cleared], result

        return await self._in_unit(run)
