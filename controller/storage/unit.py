"""The unit of work: what may be done inside one transaction, and nothing that ends it.

Each method hands a repository's function to the transaction, which runs it off the event loop. What goes
in is made a list first: a generator of the caller must not run in the store's thread.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from functools import partial

from controller.domain.assets import Booking, Wishes
from controller.domain.charge_session import ChargeSession
from controller.domain.charging_tokens import ChargingToken
from controller.domain.ids import MemberId, NodeId
from controller.domain.instructions import Instruction
from controller.domain.network import ImposedLimit
from controller.runtime.charging_ports import GuestRecord
from controller.runtime.ports import (
    ClearingRecord,
    DayRecord,
    EventRecord,
    Lockout,
    OrderRecord,
    RegisterRecord,
    SealedChunk,
    TokenRecord,
)
from controller.runtime.session_ports import SessionQuery, SessionRecord
from controller.runtime.supply_ports import AskedClosing, Nomination, NominationKind, SuppliedQuarter
from controller.storage import charging, days, grid, ledger, people, seals, sessions, supply, trading
from controller.storage.database import Transaction
from market.clearing import IntervalResult
from market.day_closing import DayPoint
from market.imbalance import ImbalanceCost
from market.ledger import Posting, PostingReason
from market.orders import Order, RefusalCode
from market.seals import PostingProof, SealedDay


class SqlUnit:
    """One transaction, as `controller.runtime.ports.UnitOfWork` describes it."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def add_orders(self, orders: Iterable[Order]) -> None:
        """Keeps orders."""
        await self._transaction.run(trading.add_orders, list(orders))

    async def cancel_order(self, order_id: str, at: datetime) -> None:
        """Marks an order as cancelled; `NotFoundError` where there is none."""
        await self._transaction.run(trading.cancel_order, order_id, at)

    async def order(self, order_id: str) -> OrderRecord | None:
        """One order."""
        return await self._transaction.run(trading.order, order_id)

    async def orders_of_interval(self, interval_start: datetime) -> Sequence[Order]:
        """The orders of a quarter-hour that are not cancelled, by id."""
        return await self._transaction.run(trading.orders_of_interval, interval_start)

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
        return await self._transaction.run(
            partial(trading.orders_of_member, filled=filled), member, limit, interval_start
        )

    async def open_orders(self, member: MemberId | None, *, since: datetime) -> Sequence[Order]:
        """A member's own orders (None: all members') from a quarter-hour on, not cancelled, not cleared."""
        return await self._transaction.run(trading.open_orders, member, since)

    async def lapse_orders(self, order_ids: Iterable[str], at: datetime, because: RefusalCode) -> None:
        """Takes orders out that can never be cleared; one that was cancelled before stays as it is."""
        await self._transaction.run(trading.lapse_orders, list(order_ids), at, because)

    async def ordered_starts(self, first: datetime, before: datetime) -> Sequence[datetime]:
        """The quarter-hours from `first` to before `before` with orders that are not cancelled."""
        return await self._transaction.run(trading.ordered_starts, first, before)

    async def cleared_starts(self, *, since: datetime) -> Sequence[datetime]:
        """The quarter-hours from one on that are cleared."""
        return await self._transaction.run(trading.cleared_starts, since)

    async def linked_fills(self, links: Collection[str], *, before: datetime) -> Sequence[tuple[Order, int]]:
        """The filled orders of the named links before a quarter-hour, and what was filled of each [Wh]."""
        return await self._transaction.run(trading.linked_fills, sorted(links), before)

    async def add_result(self, result: IntervalResult, at: datetime) -> None:
        """Keeps a quarter-hour's clearing with all its fills."""
        await self._transaction.run(trading.add_result, result, at)

    async def result(self, interval_start: datetime) -> IntervalResult | None:
        """A quarter-hour's clearing."""
        return await self._transaction.run(trading.result, interval_start)

    async def latest_result(self) -> IntervalResult | None:
        """The newest clearing."""
        return await self._transaction.run(trading.latest_result)

    async def clearings(
        self, *, after: datetime | None = None, until: datetime | None = None, limit: int = 96
    ) -> Sequence[ClearingRecord]:
        """The newest clearings between two quarter-hours (neither included), the oldest first."""
        return await self._transaction.run(trading.clearings, after, until, limit)

    async def intervals_to_settle(self) -> Sequence[datetime]:
        """The quarter-hours that were cleared and not yet marked as settled, the oldest first."""
        return await self._transaction.run(trading.intervals_to_settle)

    async def mark_settled(self, interval_start: datetime, at: datetime) -> None:
        """Marks a quarter-hour as settled; `NotFoundError` where it was not cleared."""
        await self._transaction.run(trading.mark_settled, interval_start, at)

    async def add_postings(self, postings: Iterable[Posting]) -> None:
        """Books postings; each balances by itself."""
        await self._transaction.run(ledger.add_postings, list(postings))

    async def postings(
        self, *, account: str | None = None, after_row: int = 0, limit: int = 500
    ) -> Sequence[tuple[int, Posting]]:
        """Postings in booking order with their row number, those of one account where given."""
        return await self._transaction.run(ledger.postings, account, after_row, limit)

    async def posting(self, posting_id: str) -> tuple[int, Posting] | None:
        """One posting with its row number."""
        return await self._transaction.run(ledger.posting, posting_id)

    async def add_sealed_day(self, sealed: SealedDay, chunks: Sequence[SealedChunk]) -> None:
        """Keeps a sealed day; `ConflictError` where it does not follow the newest one."""
        await self._transaction.run(seals.add_day, sealed, chunks)

    async def latest_sealed_day(self) -> DayRecord | None:
        """The newest sealed day."""
        return await self._transaction.run(seals.latest)

    async def sealed_days(self, *, after: date | None = None, limit: int = 500) -> Sequence[DayRecord]:
        """Sealed days after a day, the oldest first."""
        return await self._transaction.run(seals.days, after, limit)

    async def sealed_day(self, day: date) -> DayRecord | None:
        """One sealed day; None where it is not sealed."""
        return await self._transaction.run(seals.day, day)

    async def proof(self, posting_id: str) -> PostingProof | None:
        """A posting's proof; None where there is no such posting, or its day is not sealed yet."""
        return await self._transaction.run(seals.proof, posting_id)

    async def balances(self) -> Mapping[str, int]:
        """Each account's balance [nano-euro], debits positive; they sum to exactly 0."""
        return await self._transaction.run(ledger.balances)

    async def counts(self) -> Mapping[str, int]:
        """How many orders, fills above 0 (trades) and postings there are: keys orders, trades, postings."""
        return await self._transaction.run(trading.counts)

    async def trades_digest(self) -> str:
        """SHA-256 over all fills above 0 in the order of interval and order id."""
        return await self._transaction.run(trading.trades_digest)

    async def add_registers(self, registers: Iterable[RegisterRecord]) -> None:
        """Keeps meter registers; a real one replaces an estimated one."""
        await self._transaction.run(grid.add_registers, list(registers))

    async def registers_at(self, at: datetime) -> Mapping[str, RegisterRecord]:
        """All registers of one quarter-hour's end, by meter."""
        return await self._transaction.run(grid.registers_at, at)

    async def registers_between(
        self, first: datetime, last: datetime, *, meter: str | None = None
    ) -> Sequence[RegisterRecord]:
        """The registers from `first` to `last`, both included, of one meter where given."""
        return await self._transaction.run(days.registers_between, first, last, meter)

    async def count_registers(self, first: datetime, last: datetime) -> int:
        """How many registers there are from `first` to `last`, both included."""
        return await self._transaction.run(days.count_registers, first, last)

    async def first_register_at(self) -> datetime | None:
        """The instant of the oldest register."""
        return await self._transaction.run(days.first_register_at)

    async def put_closed_day(self, points: Iterable[DayPoint]) -> None:
        """Keeps a day's points; the same point of the same day again replaces the old."""
        await self._transaction.run(days.put_closed_day, list(points))

    async def closed_days(
        self, first: date, last: date, *, member: MemberId | None = None
    ) -> Sequence[DayPoint]:
        """The points of the days from `first` to `last`, of one member where given, by day and number."""
        return await self._transaction.run(days.closed_days, first, last, member)

    async def latest_closed_day(self) -> date | None:
        """The newest day that was closed."""
        return await self._transaction.run(days.latest_closed_day)

    async def closed_dates(self, *, since: date) -> Sequence[date]:
        """The days from `since` on that were closed."""
        return await self._transaction.run(days.closed_dates, since)

    async def unfinished_days(self, *, since: date) -> Sequence[date]:
        """The closed days from `since` on that have estimates or miss a meter, by day."""
        return await self._transaction.run(days.unfinished_days, since)

    async def put_nominations(self, nominations: Iterable[Nomination]) -> None:
        """Keeps nominations; of one kind the newer one replaces the older."""
        await self._transaction.run(supply.put_nominations, list(nominations))

    async def nominations(
        self, first: datetime, after: datetime, kind: NominationKind, *, supplier: str = ""
    ) -> Sequence[Nomination]:
        """A supplier's nominations of the quarter-hours from `first` to before `after`, in order."""
        return await self._transaction.run(supply.nominations, first, after, kind, supplier)

    async def put_supplied(self, quarters: Iterable[SuppliedQuarter]) -> None:
        """Keeps what was taken and fed in; known better, it replaces the old."""
        await self._transaction.run(supply.put_supplied, list(quarters))

    async def supplied(
        self, first: datetime, after: datetime, *, supplier: str = ""
    ) -> Sequence[SuppliedQuarter]:
        """A supplier's quarter-hours of closed days from `first` to before `after`, in order."""
        return await self._transaction.run(supply.supplied, first, after, supplier)

    async def put_imbalance_costs(
        self, costs: Mapping[datetime, ImbalanceCost], *, supplier: str = ""
    ) -> None:
        """Keeps what imbalance cost a supplier, by quarter-hour; a correction replaces the old."""
        await self._transaction.run(supply.put_imbalance_costs, dict(costs), supplier)

    async def imbalance_costs(
        self, first: datetime, after: datetime, *, supplier: str = ""
    ) -> Mapping[datetime, ImbalanceCost]:
        """What imbalance cost a supplier in the quarter-hours from `first` to before `after`."""
        return await self._transaction.run(supply.imbalance_costs, first, after, supplier)

    async def ask_closings(self, days: Iterable[date], *, supplier: str, at: datetime) -> None:
        """Keeps that days are to be closed again for a supplier."""
        await self._transaction.run(supply.ask_closings, list(days), supplier, at)

    async def asked_closings(
        self, *, day: date | None = None, supplier: str | None = None
    ) -> Sequence[AskedClosing]:
        """What is asked for and not done, by day: of one day, and of one supplier, where given."""
        return await self._transaction.run(supply.asked_closings, day, supplier)

    async def closings_done(self, done: Sequence[AskedClosing]) -> None:
        """Takes out what was asked for, but where it was asked for again since."""
        await self._transaction.run(supply.closings_done, done)

    async def closings_failed(self, day: date, why: str) -> None:
        """Keeps why a day could not be closed."""
        await self._transaction.run(supply.closings_failed, day, why)

    async def balances_between(
        self, first: datetime, after: datetime, *, but: Collection[PostingReason] = ()
    ) -> Mapping[str, int]:
        """What each account paid for the quarter-hours from `first` to before `after` [nano-euro]."""
        return await self._transaction.run(days.balances_between, first, after, but)

    async def postings_between(
        self, first: datetime, after: datetime, *, account: str | None = None
    ) -> Sequence[Posting]:
        """The postings about the quarter-hours from `first` to before `after`, in booking order."""
        return await self._transaction.run(days.postings_between, first, after, account)

    async def put_limit(self, limit: ImposedLimit) -> None:
        """Keeps a grid operator's limit."""
        await self._transaction.run(grid.put_limit, limit)

    async def end_limit(self, limit_id: str, at: datetime) -> None:
        """Withdraws a limit: it ends at `at`. `NotFoundError` where there is none."""
        await self._transaction.run(grid.end_limit, limit_id, at)

    async def limits(self, *, ending_after: datetime) -> Sequence[ImposedLimit]:
        """The limits that hold after an instant or have no end."""
        return await self._transaction.run(grid.limits, ending_after)

    async def put_lockout(self, lockout: Lockout) -> None:
        """Locks discharge out below a node."""
        await self._transaction.run(grid.put_lockout, lockout)

    async def release_lockout(self, node: NodeId) -> None:
        """Releases it; `NotFoundError` where there is none."""
        await self._transaction.run(grid.release_lockout, node)

    async def lockouts(self) -> Sequence[Lockout]:
        """The live ones."""
        return await self._transaction.run(grid.lockouts)

    async def put_bookings(self, bookings: Iterable[Booking]) -> None:
        """Keeps bookings; one with a known id replaces the old."""
        await self._transaction.run(people.put_bookings, list(bookings))

    async def delete_booking(self, booking_id: str) -> None:
        """Removes one; `NotFoundError` where there is none."""
        await self._transaction.run(people.delete_booking, booking_id)

    async def bookings(self, *, ending_after: datetime) -> Sequence[Booking]:
        """The bookings that end after an instant, by start."""
        return await self._transaction.run(people.bookings, ending_after)

    async def bookings_by_id(self, ids: Iterable[str]) -> Sequence[Booking]:
        """The bookings with these ids, past ones too; ids that nothing has are left out."""
        return await self._transaction.run(people.bookings_by_id, list(ids))

    async def put_wishes(self, wishes: Wishes) -> None:
        """Keeps what a person pressed for an asset."""
        await self._transaction.run(people.put_wishes, wishes)

    async def wishes(self) -> Sequence[Wishes]:
        """All of them."""
        return await self._transaction.run(people.wishes)

    async def add_token(self, token: TokenRecord) -> None:
        """Keeps a token's hash."""
        await self._transaction.run(people.add_token, token)

    async def token(self, token_hash: str) -> TokenRecord | None:
        """The token with that hash."""
        return await self._transaction.run(people.token, token_hash)

    async def tokens_of(self, member: MemberId) -> Sequence[TokenRecord]:
        """A member's tokens that are not taken back, the oldest first."""
        return await self._transaction.run(people.tokens_of, member)

    async def revoke_token(self, token_hash: str, at: datetime) -> None:
        """Takes a token back."""
        await self._transaction.run(people.revoke_token, token_hash, at)

    async def tokens(self) -> Sequence[TokenRecord]:
        """All that are not taken back, the ended too, by role and the oldest first."""
        return await self._transaction.run(people.tokens)

    async def count_revoked_tokens(self) -> int:
        """How many were ever taken back."""
        return await self._transaction.run(people.count_revoked_tokens)

    async def revoked_tokens(self) -> Sequence[str]:
        """The hashes of those that were ever taken back."""
        return await self._transaction.run(people.revoked_tokens)

    async def note_token_uses(self, uses: Mapping[str, datetime]) -> None:
        """Keeps when tokens were last used, by hash."""
        await self._transaction.run(people.note_token_uses, dict(uses))

    async def renew_token(self, token_hash: str, expires_at: datetime) -> None:
        """Gives a token another end."""
        await self._transaction.run(people.renew_token, token_hash, expires_at)

    async def put_charging_token(self, token: ChargingToken) -> None:
        """Keeps a token; one that is known is replaced."""
        await self._transaction.run(charging.put_charging_token, token)

    async def charging_tokens(self) -> Sequence[ChargingToken]:
        """All of them, blocked ones too, the oldest first."""
        return await self._transaction.run(charging.charging_tokens)

    async def put_guest(self, record: GuestRecord) -> None:
        """Keeps a guest's session; one that is known is replaced."""
        await self._transaction.run(charging.put_guest, record)

    async def guest(self, secret_hash: str) -> GuestRecord | None:
        """The session that a link opens."""
        return await self._transaction.run(charging.guest, secret_hash)

    async def open_guests(self) -> Sequence[GuestRecord]:
        """The sessions of which something is still to be done, by id."""
        return await self._transaction.run(charging.open_guests)

    async def drop_guests(self, *, ended_before: datetime) -> int:
        """Forgets sessions that ended before an instant; gives how many."""
        return await self._transaction.run(charging.drop_guests, ended_before)

    async def add_instruction(self, instruction: Instruction) -> None:
        """Keeps a standing instruction."""
        await self._transaction.run(people.add_instruction, instruction)

    async def end_instruction(self, instruction_id: str, at: datetime) -> None:
        """Ends one; `NotFoundError` where there is none."""
        await self._transaction.run(people.end_instruction, instruction_id, at)

    async def instructions(self) -> Sequence[Instruction]:
        """Those that have not ended, by id."""
        return await self._transaction.run(people.instructions)

    async def add_event(self, event: EventRecord) -> None:
        """Logs who did what."""
        await self._transaction.run(people.add_event, event)

    async def events(self, *, limit: int = 200) -> Sequence[EventRecord]:
        """The newest first."""
        return await self._transaction.run(people.events, limit)

    async def put_value(self, key: str, value: str) -> None:
        """Keeps one small named value (JSON text) over a restart."""
        await self._transaction.run(people.put_value, key, value)

    async def value(self, key: str) -> str | None:
        """The named value."""
        return await self._transaction.run(people.value, key)

    async def put_charge_sessions(self, records: Iterable[SessionRecord]) -> None:
        """Keeps sessions; one that is known is replaced, unless it has ended: then it stays as it is."""
        await self._transaction.run(sessions.put_charge_sessions, list(records))

    async def open_charge_sessions(self) -> Sequence[ChargeSession]:
        """Those that have not ended, by start."""
        return await self._transaction.run(sessions.open_charge_sessions)

    async def charge_session(self, session_id: str) -> SessionRecord | None:
        """One session."""
        return await self._transaction.run(sessions.charge_session, session_id)

    async def charge_sessions(
        self, query: SessionQuery, *, offset: int, limit: int
    ) -> Sequence[SessionRecord]:
        """A page of sessions, by start and id."""
        return await self._transaction.run(sessions.charge_sessions, query, offset, limit)

    async def count_charge_sessions(self, query: SessionQuery) -> int:
        """How many there are."""
        return await self._transaction.run(sessions.count_charge_sessions, query)

    async def drop_charge_sessions(self, *, ended_before: datetime) -> int:
        """Forgets sessions that ended before an instant; gives how many."""
        return await self._transaction.run(sessions.drop_charge_sessions, ended_before)
