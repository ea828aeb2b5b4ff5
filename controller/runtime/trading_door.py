"""What the doors can see and do in the market: a part of `door.Door`.

Before a gate closes nobody sees anything of its quarter-hour but their own orders. After the clearing all see
the same at the same time: prices, volume, and the book by price without names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from controller.domain.ids import MemberId
from controller.domain.instructions import Instruction
from controller.runtime.ports import ClearingRecord, OrderRecord, TokenRecord
from controller.sharing_settings import MarketMode
from market.clearing import Fill, IntervalResult
from market.matching import Distance
from market.orders import Order, Side


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthStep:
    """What was asked, or offered, at one price."""

    side: Side
    limit_price_microeur_per_kwh: int
    quantity_wh: int
    filled_wh: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchView:
    """Where the energy of one of a member's orders came from or went to."""

    order_id: str
    side: Side
    energy_wh: int
    distance: Distance
    sun: bool
    """Whether a roof made it."""
    social: bool
    """Whether a public building used it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeView:
    """One fill of a member's order."""

    order: Order
    fill: Fill


class TradingDoor(Protocol):
    """The market of the running controller."""

    def market_mode(self) -> MarketMode | None:
        """How neighbours come by each other's energy; None where nothing is settled."""
        ...

    async def place_order(self, order: Order, member: MemberId) -> OrderRecord:
        """Places a member's order; the same `order_id` with the same content again changes nothing."""
        ...

    async def place_orders(self, orders: Sequence[Order], member: MemberId) -> Sequence[OrderRecord]:
        """Places several, all or none."""
        ...

    async def change_order(self, *, order_id: str, order: Order, member: MemberId) -> OrderRecord:
        """Puts an order in the place of one whose gate has not closed; both or neither."""
        ...

    async def cancel_order(self, *, order_id: str, member: MemberId) -> None:
        """Cancels an order whose gate has not closed."""
        ...

    async def instruct(self, instruction: Instruction) -> Instruction:
        """Keeps a standing instruction; the same id with the same content again changes nothing."""
        ...

    async def instructions(self, member: MemberId) -> Sequence[Instruction]:
        """A member's standing instructions."""
        ...

    async def end_instruction(self, *, instruction_id: str, member: MemberId) -> None:
        """Ends one."""
        ...

    async def own_tokens(self, member: MemberId) -> Sequence[TokenRecord]:
        """A member's tokens that are not taken back."""
        ...

    async def revoke_own_token(self, *, token_hash: str, member: MemberId) -> None:
        """Takes a member's token back, from now on; the start of its hash will do where no other has it."""
        ...

    async def renew_own_token(self, *, token_hash: str, member: MemberId) -> datetime:
        """Lets a member's token live its whole life again; its new end. Named as when it is taken back."""
        ...

    def latest_clearing(self) -> IntervalResult | None:
        """The newest clearing, at once: it may be asked for as often as one likes."""
        ...

    async def clearings(
        self, *, after: datetime | None, until: datetime | None, limit: int
    ) -> Sequence[ClearingRecord]:
        """The newest clearings between two quarter-hours (neither included), the oldest first."""
        ...

    async def own_fills(self, interval_start: datetime, member: MemberId) -> Sequence[TradeView]:
        """What was filled of a member's own orders of a cleared quarter-hour."""
        ...

    async def depth(self, interval_start: datetime) -> Sequence[DepthStep]:
        """A cleared quarter-hour's book by side and price; `NotFoundError` before it is cleared."""
        ...

    async def matches(self, interval_start: datetime, member: MemberId) -> Sequence[MatchView]:
        """Whom a member's filled orders were matched with; `NotFoundError` before it is cleared."""
        ...
