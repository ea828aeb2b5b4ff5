"""What the doors read of orders, trades and the ledger; all of it stands in the store.

A resident is shown what concerns their own account, and of a sealed day the one posting that they ask for.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import date, datetime, timedelta

from controller.domain.errors import ConflictError, NotFoundError
from controller.domain.ids import MemberId
from controller.domain.time import utc_text
from controller.runtime.door import LedgerHead, LedgerView
from controller.runtime.on_loop import OnLoop
from controller.runtime.ports import DayRecord, OrderRecord, UnitOfWork
from controller.runtime.sealing import SEAL_AFTER
from controller.runtime.trading_door import TradeView
from market.ledger import Posting, member_account
from market.orders import gate_closes_at
from market.seals import (
    CHUNK_LEAVES,
    PostingProof,
    SealedDay,
    day_end,
    ledger_day,
    posting_line,
    seal_line,
)


class Books(OnLoop):
    """The books of a running controller."""

    async def order_book(self, interval_start: datetime | None) -> Sequence[OrderRecord]:
        """All orders of a quarter-hour; None: the newest cleared one. Before its gate the book is sealed."""
        lead = timedelta(seconds=self.controller.settings.market.gate_lead_s)
        if interval_start is not None and self.controller.clock.now() < (
            gate := gate_closes_at(interval_start, lead)
        ):
            raise ConflictError(f"the book is sealed until its gate closes at {utc_text(gate)}")

        async def run(unit: UnitOfWork) -> Sequence[OrderRecord]:
            start = interval_start
            result = await unit.latest_result() if start is None else await unit.result(start)
            if start is None:
                if result is None:
                    return []
                start = result.interval_start
            fills = {fill.order_id: fill for fill in result.fills} if result is not None else {}
            orders = await unit.orders_of_interval(start)
            return [OrderRecord(order=o, cancelled_at=None, fill=fills.get(o.order_id)) for o in orders]

        return await self._in_unit(run)

    async def orders(self, member: MemberId, *, limit: int = 200) -> Sequence[OrderRecord]:
        """A member's own orders, the newest quarter-hour first."""
        return await self._in_unit(lambda unit: unit.orders_of_member(member, limit=limit))

    async def order(self, order_id: str, member: MemberId) -> OrderRecord:
        """One of a member's own orders."""
        record = await self._in_unit(lambda unit: unit.order(order_id))
        if record is None or record.order.member != member:
            raise NotFoundError(f"you have no order {order_id!r}")
        return record

    async def trades(self, member: MemberId) -> Sequence[TradeView]:
        """A member's fills."""
        return _fills(await self._in_unit(lambda unit: unit.orders_of_member(member, filled=True)))

    async def own_fills(self, interval_start: datetime, member: MemberId) -> Sequence[TradeView]:
        """What was filled of a member's own orders of a cleared quarter-hour."""
        return _fills(
            await self._in_unit(
                lambda unit: unit.orders_of_member(member, interval_start=interval_start, filled=True)
            )
        )

    async def ledger(self, *, account: str | None, after_row: int, limit: int) -> LedgerView:
        """Balances and a page of postings."""

        async def run(unit: UnitOfWork) -> LedgerView:
            return LedgerView(
                balances_nanoeur=await unit.balances(),
                postings=await unit.postings(account=account, after_row=after_row, limit=limit),
            )

        return await self._in_unit(run)

    async def balance_nanoeur(self, member: MemberId) -> int:
        """What a member has to receive (positive) or to pay (negative)."""

        async def run(unit: UnitOfWork) -> int:
            return -(await unit.balances()).get(member_account(member), 0)

        return await self._in_unit(run)

    async def postings(self, member: MemberId) -> Sequence[tuple[int, Posting]]:
        """A member's postings."""
        return await self._in_unit(lambda unit: unit.postings(account=member_account(member)))

    async def posting_proof(self, *, posting_id: str, member: MemberId) -> PostingProof:
        """The proof that a member's posting is in its sealed day."""

        async def run(unit: UnitOfWork) -> PostingProof:
            found = await unit.posting(posting_id)
            own = member_account(member)
            if found is None or own not in {found[1].debit_account, found[1].credit_account}:
                raise NotFoundError(f"you have no posting {posting_id!r}")
            proof = await unit.proof(posting_id)
            if proof is None:
                day = ledger_day(found[1].booked_at)
                at = utc_text(day_end(day) + SEAL_AFTER)
                raise ConflictError(f"its day, {day}, is not sealed yet: ask again after {at}")
            return proof

        return await self._in_unit(run)

    async def ledger_head(self) -> LedgerHead:
        """The public key and the newest sealed day."""
        key = await asyncio.to_thread(self.controller.store.ledger_key)
        newest = await self._in_unit(lambda unit: unit.latest_sealed_day())
        return LedgerHead(public_key=key.public_key, newest=None if newest is None else newest.sealed)

    async def sealed_days(self, *, after: date | None, limit: int) -> Sequence[SealedDay]:
        """Sealed days after a day, the oldest first."""
        found = await self._in_unit(lambda unit: unit.sealed_days(after=after, limit=limit))
        return [record.sealed for record in found]

    async def ledger_file(self, day: date) -> AsyncIterator[bytes]:
        """A sealed day as a ledger file, in pieces; `NotFoundError` where it is not sealed."""
        record = await self._in_unit(lambda unit: unit.sealed_day(day))
        if record is None:
            raise NotFoundError(f"{day} is not sealed, or nothing had been booked by then")
        return self._pieces(record)

    async def _pieces(self, record: DayRecord) -> AsyncIterator[bytes]:
        yield seal_line(record.sealed)
        row = record.after_row
        while row < record.last_row:
            page = await self._page(row)
            yield b"".join([posting_line(posting) for number, posting in page if number <= record.last_row])
            row = page[-1][0]

    async def _page(self, after_row: int) -> Sequence[tuple[int, Posting]]:
        return await self._in_unit(lambda unit: unit.postings(after_row=after_row, limit=CHUNK_LEAVES))


def _fills(records: Sequence[OrderRecord]) -> list[TradeView]:
    return [TradeView(order=record.order, fill=record.fill) for record in records if record.fill is not None]
