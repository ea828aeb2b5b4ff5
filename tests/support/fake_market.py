"""What the fake street shows of the market, and what it takes: orders, instructions, tokens."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from controller.domain.errors import ConflictError, NotFoundError
from controller.domain.ids import MemberId
from controller.domain.instructions import Instruction
from controller.domain.time import QUARTER
from controller.runtime.desk import OrderRefusedError
from controller.runtime.door import Principal
from controller.runtime.ports import TOKEN_LIFE, ClearingRecord, OrderRecord, Role, Scope, TokenRecord
from controller.runtime.trading_door import DepthStep, MatchView, TradeView
from controller.sharing_settings import MarketMode
from market.clearing import IntervalResult
from market.matching import Distance
from market.orders import Order, Refusal, RefusalCode, Side
from tests.support.fake_books import FakeBooks
from tests.support.fake_views import START, clearing


class FakeMarket(FakeBooks):
    """The part of a door that trades."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.calls: list[tuple[str, object]] = []
        """What was asked for, in order."""
        self.tokens: dict[str, Principal] = {}
        self.ends: dict[str, datetime] = {}
        """When tokens that were made end."""
        self.standing: dict[str, Instruction] = {}
        self.results: list[IntervalResult] = [clearing(START)]
        """What was cleared, the oldest first."""
        self.mode: MarketMode | None = MarketMode.AUCTION

    def market_mode(self) -> MarketMode | None:
        """An auction, until it is said otherwise."""
        return self.mode

    async def create_token(
        self,
        *,
        role: Role,
        member: MemberId | None,
        label: str,
        who: Principal,
        scopes: frozenset[Scope] | None = None,
        life: timedelta = TOKEN_LIFE,
    ) -> str:
        """A token that works from now on."""
        self.calls.append(("create_token", (role.value, label, who.label)))
        token = f"made-{len(self.tokens)}"
        self.tokens[token] = Principal(role=role, member=member, label=label, scopes=scopes)
        self.ends[token] = START + life
        return token

    async def living_tokens(self) -> Sequence[TokenRecord]:
        """All, by role."""
        return sorted(
            (self._record(token, holder) for token, holder in self.tokens.items()), key=lambda one: one.role
        )

    async def take_token_back(self, *, token_hash: str, who: Principal) -> None:
        """It opens nothing from now on; the last operator's stays."""
        self.calls.append(("take_token_back", (token_hash, who.label)))
        operators = [token for token, holder in self.tokens.items() if holder.role is Role.OPERATOR]
        for token in self.tokens:
            if _hash(token).startswith(token_hash):
                if operators == [token]:
                    raise ConflictError(
                        "this is the last token of an operator: give out another one first and take this "
                        "one back with that, or use 'a command' on the controller's machine"
                    )
                del self.tokens[token]
                return
        raise NotFoundError(f"there is no token {token_hash!r}")

    def _record(self, token: str, holder: Principal) -> TokenRecord:
        return TokenRecord(
            token_hash=_hash(token),
            role=holder.role,
            member=holder.member,
            label=holder.label,
            created_at=START,
            scopes=holder.scopes,
            expires_at=self.ends.get(token),
        )

    async def own_tokens(self, member: MemberId) -> Sequence[TokenRecord]:
        """A member's."""
        return [
            self._record(token, holder) for token, holder in self.tokens.items() if holder.member == member
        ]

    async def revoke_own_token(self, *, token_hash: str, member: MemberId) -> None:
        """It opens nothing from now on."""
        for token, holder in self.tokens.items():
            if holder.member == member and _hash(token).startswith(token_hash):
                del self.tokens[token]
                return
        raise NotFoundError(f"you have no token {token_hash!r}")

    async def renew_own_token(self, *, token_hash: str, member: MemberId) -> datetime:
        """A year from now."""
        for token, holder in self.tokens.items():
            if holder.member == member and _hash(token).startswith(token_hash):
                self.ends[token] = self.now + TOKEN_LIFE
                return self.ends[token]
        raise NotFoundError(f"you have no token {token_hash!r}")

    async def place_order(self, order: Order, member: MemberId) -> OrderRecord:
        """Keeps it; the gate of a quarter-hour that has begun is closed."""
        self.calls.append(("place_order", (order.order_id, member)))
        kept = self.kept_orders.get(order.order_id)
        if kept is not None and replace(kept.order, placed_at=None) != order:
            _refuse(RefusalCode.DUPLICATE, f"order {order.order_id!r} stands with other content")
        if order.interval_start <= self.now:
            _refuse(RefusalCode.GATE_CLOSED, "the gate of that quarter-hour is closed")
        record = OrderRecord(order=replace(order, placed_at=self.now), cancelled_at=None, fill=None)
        self.kept_orders[order.order_id] = record
        return record

    async def place_orders(self, orders: Sequence[Order], member: MemberId) -> Sequence[OrderRecord]:
        """Places several, all or none."""
        return [await self.place_order(order, member) for order in orders]

    async def change_order(self, *, order_id: str, order: Order, member: MemberId) -> OrderRecord:
        """Cancels the one and keeps the other."""
        await self.cancel_order(order_id=order_id, member=member)
        return await self.place_order(order, member)

    async def cancel_order(self, *, order_id: str, member: MemberId) -> None:
        """Cancels it."""
        record = self.kept_orders.get(order_id)
        if record is None or record.order.member != member:
            raise NotFoundError(f"you have no order {order_id!r}")
        if record.fill is not None:
            _refuse(RefusalCode.GATE_CLOSED, "the gate of that quarter-hour is closed")
        self.kept_orders[order_id] = replace(record, cancelled_at=self.now)

    async def instruct(self, instruction: Instruction) -> Instruction:
        """Keeps it."""
        return self.standing.setdefault(instruction.id, instruction)

    async def instructions(self, member: MemberId) -> Sequence[Instruction]:
        """A member's."""
        return [one for one in self.standing.values() if one.member == member]

    async def end_instruction(self, *, instruction_id: str, member: MemberId) -> None:
        """Ends it."""
        if instruction_id not in {one.id for one in await self.instructions(member)}:
            raise NotFoundError(f"you have no instruction {instruction_id!r}")
        del self.standing[instruction_id]

    def latest_clearing(self) -> IntervalResult | None:
        """The newest."""
        return self.results[-1] if self.results else None

    async def clearings(
        self, *, after: datetime | None, until: datetime | None, limit: int
    ) -> Sequence[ClearingRecord]:
        """Those between."""
        return [
            ClearingRecord(
                interval_start=result.interval_start,
                price_microeur_per_kwh=result.price_microeur_per_kwh,
                volume_wh=450,
                congestion_rent_nanoeur=result.congestion_rent_nanoeur,
            )
            for result in self.results
            if (after is None or result.interval_start > after)
            and (until is None or result.interval_start < until)
        ][-limit:]

    async def own_fills(self, interval_start: datetime, member: MemberId) -> Sequence[TradeView]:
        """A member's fills of that quarter-hour."""
        return [view for view in await self.trades(member) if view.order.interval_start == interval_start]

    async def depth(self, interval_start: datetime) -> Sequence[DepthStep]:
        """One step a side."""
        self._cleared(interval_start)
        return [
            DepthStep(side=side, limit_price_microeur_per_kwh=price, quantity_wh=500, filled_wh=450)
            for side, price in ((Side.BUY, 220_000), (Side.SELL, 90_000))
        ]

    async def matches(self, interval_start: datetime, member: MemberId) -> Sequence[MatchView]:
        """Home 7 had sun of the street."""
        self._cleared(interval_start)
        match = MatchView(
            order_id="evening-1",
            side=Side.BUY,
            energy_wh=450,
            distance=Distance.STREET,
            sun=True,
            social=False,
        )
        return [match] if member == "home-7" else []

    def clear_next(self) -> None:
        """The quarter-hour after the newest is cleared."""
        newest = self.results[-1]
        self.results.append(replace(newest, interval_start=newest.interval_start + QUARTER))

    def _cleared(self, interval_start: datetime) -> None:
        if interval_start not in {result.interval_start for result in self.results}:
            raise NotFoundError("that quarter-hour is not cleared")


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _refuse(code: RefusalCode, sentence: str) -> None:
    raise OrderRefusedError([Refusal(code=code, sentence=sentence)])
