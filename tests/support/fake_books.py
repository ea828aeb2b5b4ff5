"""What the fake street shows of orders, trades and the ledger: two postings on a sealed day."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import date, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from controller.domain.errors import ConflictError, NotFoundError
from controller.domain.ids import MemberId
from controller.runtime.door import LedgerHead, LedgerView
from controller.runtime.ports import OrderRecord
from controller.runtime.trading_door import TradeView
from controller.storage.ledger_key import FileKey
from market.ledger import Posting, member_account
from market.seals import (
    PostingProof,
    SealedDay,
    chunk_of,
    ledger_day,
    posting_line,
    prove,
    seal_day,
    seal_line,
)
from tests.support.fake_views import cleared_order, fake_postings


class FakeBooks:
    """The part of a door that reads the books."""

    def __init__(self) -> None:
        super().__init__()
        self.kept_orders: dict[str, OrderRecord] = {"evening-1": cleared_order()}
        self.key = FileKey(Ed25519PrivateKey.from_private_bytes(bytes(32)))
        self.sealed = True
        """Whether the day of the postings is sealed."""

    async def order_book(self, interval_start: datetime | None) -> Sequence[OrderRecord]:
        """All orders of that quarter-hour."""
        records = list(self.kept_orders.values())
        return [item for item in records if interval_start in {None, item.order.interval_start}]

    async def ledger(self, *, account: str | None, after_row: int, limit: int) -> LedgerView:
        """Two postings."""
        rows = [(row, posting) for row, posting in enumerate(fake_postings(), 1) if row > after_row]
        chosen = [
            (row, posting)
            for row, posting in rows
            if account is None or account in {posting.debit_account, posting.credit_account}
        ]
        balances = {"member:home-7": 83_000_001, "supplier": -90_000_000, "community": 6_999_999}
        return LedgerView(balances_nanoeur=balances, postings=chosen[:limit])

    async def orders(self, member: MemberId, *, limit: int = 200) -> Sequence[OrderRecord]:
        """A member's own."""
        return [record for record in self.kept_orders.values() if record.order.member == member][:limit]

    async def order(self, order_id: str, member: MemberId) -> OrderRecord:
        """One of them."""
        record = self.kept_orders.get(order_id)
        if record is None or record.order.member != member:
            raise NotFoundError(f"you have no order {order_id!r}")
        return record

    async def trades(self, member: MemberId) -> Sequence[TradeView]:
        """A member's fills."""
        return [
            TradeView(order=record.order, fill=record.fill)
            for record in await self.orders(member)
            if record.fill is not None
        ]

    async def balance_nanoeur(self, member: MemberId) -> int:
        """What the member has to pay."""
        return -83_000_001 if member == "home-7" else 0

    async def postings(self, member: MemberId) -> Sequence[tuple[int, Posting]]:
        """A member's postings."""
        account = member_account(member)
        return [
            (row, posting)
            for row, posting in enumerate(fake_postings(), 1)
            if account in {posting.debit_account, posting.credit_account}
        ]

    async def posting_proof(self, *, posting_id: str, member: MemberId) -> PostingProof:
        """The proof of an own posting."""
        for row, posting in await self.postings(member):
            if posting.posting_id == posting_id:
                if not self.sealed:
                    raise ConflictError(f"its day, {ledger_day(posting.booked_at)}, is not sealed yet")
                return prove(row - 1, fake_postings(), [chunk_of(fake_postings()).root], self._day())
        raise NotFoundError(f"you have no posting {posting_id!r}")

    async def ledger_head(self) -> LedgerHead:
        """The key and the sealed day."""
        return LedgerHead(public_key=self.key.public_key, newest=self._day() if self.sealed else None)

    async def sealed_days(self, *, after: date | None, limit: int) -> Sequence[SealedDay]:
        """One day, or none."""
        days = [self._day()] if self.sealed else []
        return [day for day in days if after is None or day.seal.day > after][:limit]

    async def ledger_file(self, day: date) -> AsyncIterator[bytes]:
        """The file of the sealed day."""
        if not self.sealed or day != self._day().seal.day:
            raise NotFoundError(f"{day} is not sealed, or nothing had been booked by then")
        return self._pieces()

    async def _pieces(self) -> AsyncIterator[bytes]:
        yield seal_line(self._day())
        for posting in fake_postings():
            yield posting_line(posting)

    def _day(self) -> SealedDay:
        postings = fake_postings()
        return seal_day(ledger_day(postings[0].booked_at), [chunk_of(postings)], None, self.key)
