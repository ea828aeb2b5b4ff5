"""What the loops need kept: the store and its unit of work, as Protocols that `controller.storage` fulfils.

One unit of work is one transaction: it commits when its block ends and rolls back when the block
raises. Nothing else commits.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Protocol

from controller.domain.assets import Booking, Wishes
from controller.domain.ids import AssetId, MemberId, NodeId
from controller.domain.instructions import Instruction
from controller.domain.network import ImposedLimit
from controller.runtime.charging_ports import ChargingUnit
from controller.runtime.session_ports import SessionsUnit
from controller.runtime.supply_ports import SupplyUnit
from market.clearing import Fill, IntervalResult
from market.day_closing import DayPoint
from market.ledger import Posting, PostingReason
from market.orders import Order, RefusalCode
from market.seals import LedgerKey, PostingProof, SealedDay


class Role(StrEnum):
    """Who may use which door."""

    OPERATOR = "operator"
    GRID = "grid"
    RESIDENT = "resident"
    FLEET = "fleet"
    SUPPLIER = "supplier"
    """The supplier and its balance responsible party."""


class Scope(StrEnum):
    """What a token that a member made for a program may do."""

    READ = "read"
    """Look at all that is the member's."""
    ORDERS = "orders"
    """Place, change and cancel orders and standing instructions."""
    DEVICES = "devices"
    """The buttons and departures of cars."""


TOKEN_LIFE = timedelta(days=365)
"""How long a resident's token opens anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRecord:
    """A bearer token, of which only the hash is kept."""

    token_hash: str
    """SHA-256, hexadecimal."""
    role: Role
    member: MemberId | None
    """Whose data a resident's token opens."""
    label: str
    created_at: datetime
    scopes: frozenset[Scope] | None = None
    """None: everything that the role may do."""
    expires_at: datetime | None = None
    """From then on it opens nothing, by the computer's own time; None: it has no end."""
    used_at: datetime | None = None
    """When it last opened something, by the computer's own time and written down now and then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterRecord:
    """What a meter's registers stood at on a quarter-hour."""

    meter: AssetId | NodeId
    at: datetime
    """The quarter-hour's end, UTC."""
    import_wh: int
    export_wh: int
    estimated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRecord:
    """An order and what became of it."""

    order: Order
    cancelled_at: datetime | None
    fill: Fill | None
    """None until its interval is cleared."""
    lapsed_because: RefusalCode | None = None
    """Why it will never be cleared, where that is so and its member did not cancel it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearingRecord:
    """What everybody may know of a cleared quarter-hour."""

    interval_start: datetime
    price_microeur_per_kwh: Mapping[NodeId, int | None]
    """By place; None where nothing was filled."""
    volume_wh: int
    """What was bought, which is what was sold."""
    congestion_rent_nanoeur: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lockout:
    """No discharge below a node until a person releases it."""

    node: NodeId
    set_by: str
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRecord:
    """Somebody did or changed something: the log of who did what."""

    at: datetime
    who: str
    what: str
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DayRecord:
    """A sealed day, and which rows of the ledger are its postings."""

    sealed: SealedDay
    after_row: int
    """Its postings are the rows after this one ..."""
    last_row: int
    """... up to this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedChunk:
    """A piece of a sealed day."""

    last_row: int
    """The row number of its last posting."""
    root: bytes
    """Over its postings."""


class UnitOfWork(ChargingUnit, SessionsUnit, SupplyUnit, Protocol):
    """One transaction.

    Adding the same id with the same content again does nothing; with other content it raises `ConflictError`.
    """

    async def add_orders(self, orders: Iterable[Order]) -> None:
        """Keeps orders."""
        ...

    async def cancel_order(self, order_id: str, at: datetime) -> None:
        """Marks an order as cancelled; `NotFoundError` where there is none."""
        ...

    async def order(self, order_id: str) -> OrderRecord | None:
        """One order."""
        ...

    async def orders_of_interval(self, interval_start: datetime) -> Sequence[Order]:
        """The orders of a quarter-hour that are not cancelled, by id."""
        ...

    async def orders_of_member(
        self,
        member: MemberId,
        *,
        limit: int = 200,
        interval_start: datetime | None = None,
        filled: bool = False,
    ) -> Sequence[OrderRecord]:
        """A member's own orders, made by hand or by an instruction, the newest interval first.

        Those of one quarter-hour where it is given, and only filled ones where that is asked.
        """
        ...

    async def open_orders(self, member: MemberId | None, *, since: datetime) -> Sequence[Order]:
        """A member's own orders (None: all members') from a quarter-hour on, not cancelled, not cleared."""
        ...

    async def lapse_orders(self, order_ids: Iterable[str], at: datetime, because: RefusalCode) -> None:
        """Takes orders out that can never be cleared; one that was cancelled before stays as it is."""
        ...

    async def ordered_starts(self, first: datetime, before: datetime) -> Sequence[datetime]:
        """The quarter-hours from `first` to before `before` with orders that are not cancelled."""
        ...

    async def cleared_starts(self, *, since: datetime) -> Sequence[datetime]:
        """The quarter-hours from one on that are cleared."""
        ...

    async def linked_fills(self, links: Collection[str], *, before: datetime) -> Sequence[tuple[Order, int]]:
        """The filled orders of the named links before a quarter-hour, and what was filled of each [Wh]."""
        ...

    async def add_result(self, result: IntervalResult, at: datetime) -> None:
        """Keeps a quarter-hour's clearing with all its fills."""
        ...

    async def result(self, interval_start: datetime) -> IntervalResult | None:
        """A quarter-hour's clearing."""
        ...

    async def latest_result(self) -> IntervalResult | None:
        """The newest clearing."""
        ...

    async def clearings(
        self, *, after: datetime | None = None, until: datetime | None = None, limit: int = 96
    ) -> Sequence[ClearingRecord]:
        """The newest clearings between two quarter-hours (neither included), the oldest first."""
        ...

    async def intervals_to_settle(self) -> Sequence[datetime]:
        """The quarter-hours that were cleared and not yet marked as settled, the oldest first."""
        ...

    async def mark_settled(self, interval_start: datetime, at: datetime) -> None:
        """Marks a quarter-hour as settled."""
        ...

    async def add_postings(self, postings: Iterable[Posting]) -> None:
        """Books postings; each balances by itself."""
        ...

    async def postings(
        self, *, account: str | None = None, after_row: int = 0, limit: int = 500
    ) -> Sequence[tuple[int, Posting]]:
        """Postings in booking order with their row number, those of one account where given."""
        ...

    async def posting(self, posting_id: str) -> tuple[int, Posting] | None:
        """One posting with its row number."""
        ...

    async def add_sealed_day(self, sealed: SealedDay, chunks: Sequence[SealedChunk]) -> None:
        """Keeps a sealed day; `ConflictError` where it does not follow the newest one."""
        ...

    async def latest_sealed_day(self) -> DayRecord | None:
        """The newest sealed day."""
        ...

    async def sealed_days(self, *, after: date | None = None, limit: int = 500) -> Sequence[DayRecord]:
        """Sealed days after a day, the oldest first."""
        ...

    async def sealed_day(self, day: date) -> DayRecord | None:
        """One sealed day; None where it is not sealed."""
        ...

    async def proof(self, posting_id: str) -> PostingProof | None:
        """A posting's proof; None where there is no such posting, or its day is not sealed yet."""
        ...

    async def balances(self) -> Mapping[str, int]:
        """Each account's balance [nano-euro], debits positive; they sum to exactly 0."""
        ...

    async def counts(self) -> Mapping[str, int]:
        """How many orders, fills above 0 (trades) and postings there are: keys orders, trades, postings."""
        ...

    async def trades_digest(self) -> str:
        """SHA-256 over all fills above 0 in the order of interval and order id."""
        ...

    async def add_registers(self, registers: Iterable[RegisterRecord]) -> None:
        """Keeps meter registers; a real one replaces an estimated one."""
        ...

    async def registers_at(self, at: datetime) -> Mapping[str, RegisterRecord]:
        """All registers of one quarter-hour's end, by meter."""
        ...

    async def registers_between(
        self, first: datetime, last: datetime, *, meter: str | None = None
    ) -> Sequence[RegisterRecord]:
        """The registers from `first` to `last`, both included, of one meter where given."""
        ...

    async def count_registers(self, first: datetime, last: datetime) -> int:
        """How many registers there are from `first` to `last`, both included."""
        ...

    async def first_register_at(self) -> datetime | None:
        """The instant of the oldest register."""
        ...

    async def put_closed_day(self, points: Iterable[DayPoint]) -> None:
        """Keeps a day's points; the same point of the same day again replaces the old."""
        ...

    async def closed_days(
        self, first: date, last: date, *, member: MemberId | None = None
    ) -> Sequence[DayPoint]:
        """The points of the days from `first` to `last`, of one member where given, by day and number."""
        ...

    async def latest_closed_day(self) -> date | None:
        """The newest day that was closed."""
        ...

    async def closed_dates(self, *, since: date) -> Sequence[date]:
        """The days from `since` on that were closed."""
        ...

    async def unfinished_days(self, *, since: date) -> Sequence[date]:
        """The closed days from `since` on that have estimates or miss a meter, by day."""
        ...

    async def balances_between(
        self, first: datetime, after: datetime, *, but: Collection[PostingReason] = ()
    ) -> Mapping[str, int]:
        """What each account paid for the quarter-hours from `first` to before `after` [nano-euro].

        Postings for one of the reasons in `but` are left out.
        """
        ...

    async def postings_between(
        self, first: datetime, after: datetime, *, account: str | None = None
    ) -> Sequence[Posting]:
        """The postings about the quarter-hours from `first` to before `after`, in booking order."""
        ...

    async def put_limit(self, limit: ImposedLimit) -> None:
        """Keeps a grid operator's limit."""
        ...

    async def end_limit(self, limit_id: str, at: datetime) -> None:
        """Withdraws a limit: it ends at `at`. `NotFoundError` where there is none."""
        ...

    async def limits(self, *, ending_after: datetime) -> Sequence[ImposedLimit]:
        """The limits that hold after an instant or have no end."""
        ...

    async def put_lockout(self, lockout: Lockout) -> None:
        """Locks discharge out below a node."""
        ...

    async def release_lockout(self, node: NodeId) -> None:
        """Releases it; `NotFoundError` where there is none."""
        ...

    async def lockouts(self) -> Sequence[Lockout]:
        """The live ones."""
        ...

    async def put_bookings(self, bookings: Iterable[Booking]) -> None:
        """Keeps bookings; one with a known id replaces the old."""
        ...

    async def delete_booking(self, booking_id: str) -> None:
        """Removes one; `NotFoundError` where there is none."""
        ...

    async def bookings(self, *, ending_after: datetime) -> Sequence[Booking]:
        """The bookings that end after an instant, by start."""
        ...

    async def bookings_by_id(self, ids: Iterable[str]) -> Sequence[Booking]:
        """The bookings with these ids, past ones too; ids that nothing has are left out."""
        ...

    async def put_wishes(self, wishes: Wishes) -> None:
        """Keeps what a person pressed for an asset."""
        ...

    async def wishes(self) -> Sequence[Wishes]:
        """All of them."""
        ...

    async def add_token(self, token: TokenRecord) -> None:
        """Keeps a token's hash."""
        ...

    async def token(self, token_hash: str) -> TokenRecord | None:
        """The token with that hash; None also for one that was taken back."""
        ...

    async def tokens_of(self, member: MemberId) -> Sequence[TokenRecord]:
        """A member's tokens that are not taken back, the oldest first."""
        ...

    async def tokens(self) -> Sequence[TokenRecord]:
        """All that are not taken back, the ended too, by role and the oldest first."""
        ...

    async def revoke_token(self, token_hash: str, at: datetime) -> None:
        """Takes a token back."""
        ...

    async def count_revoked_tokens(self) -> int:
        """How many were ever taken back."""
        ...

    async def revoked_tokens(self) -> Sequence[str]:
        """The hashes of those that were ever taken back."""
        ...

    async def note_token_uses(self, uses: Mapping[str, datetime]) -> None:
        """Keeps when tokens were last used, by hash."""
        ...

    async def renew_token(self, token_hash: str, expires_at: datetime) -> None:
        """Gives a token another end."""
        ...

    async def add_instruction(self, instruction: Instruction) -> None:
        """Keeps a standing instruction."""
        ...

    async def end_instruction(self, instruction_id: str, at: datetime) -> None:
        """Ends one; `NotFoundError` where there is none."""
        ...

    async def instructions(self) -> Sequence[Instruction]:
        """Those that have not ended, by id."""
        ...

    async def add_event(self, event: EventRecord) -> None:
        """Logs who did what."""
        ...

    async def events(self, *, limit: int = 200) -> Sequence[EventRecord]:
        """The newest first."""
        ...

    async def put_value(self, key: str, value: str) -> None:
        """Keeps one small named value (JSON text) over a restart."""
        ...

    async def value(self, key: str) -> str | None:
        """The named value."""
        ...


class Store(Protocol):
    """The database."""

    def unit(self) -> AbstractAsyncContextManager[UnitOfWork]:
        """A transaction that may write."""
        ...

    def ledger_key(self) -> LedgerKey:
        """The key that signs the ledger's days; reads a file, so call it off the event loop."""
        ...

    async def close(self) -> None:
        """Closes every connection."""
        ...
