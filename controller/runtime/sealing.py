"""Seals the ledger's finished days, one after the other.

A day is read in small pieces, each in a unit of its own, so that nobody waits long for the database, and
hashed where it holds nobody up. One last unit writes the seal with all that belongs to it. A controller
that is killed before that has sealed nothing, and reads the day again; after it, everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from itertools import takewhile

import structlog

from controller.runtime.core import Controller
from controller.runtime.offload import Offload
from controller.runtime.ports import SealedChunk, UnitOfWork
from market.ledger import Posting
from market.seals import CHUNK_LEAVES, Chunk, LedgerKey, SealedDay, chunk_of, day_end, ledger_day, seal_day

SEAL_AFTER = timedelta(minutes=15)
"""How long after a day's end it is sealed: a booking that was begun before midnight is written by then.
Meters that come later change nothing, because what they bring is booked on the day on which it is found."""

_LOG = structlog.get_logger(__name__)


class Sealing:
    """The seals of one controller's ledger."""

    def __init__(self, controller: Controller, *, offload: Offload) -> None:
        self._controller = controller
        self._offload = offload
        self._next_at: datetime | None = None
        """When the next day can be sealed; None where that is not known yet."""

    async def seal_due(self) -> None:
        """Seals every day that is over and not sealed.

        Raises:
            WijkstroomError: If the key cannot be read, or the store fails; what is sealed stays sealed.
        """
        now = self._controller.clock.now()
        if self._next_at is not None and now < self._next_at:
            return
        async with self._controller.store.unit() as unit:
            day = await _next_day(unit)
        if day is None:
            return
        while day_end(day) + SEAL_AFTER <= now:
            await self._seal(day)
            day += timedelta(days=1)
        self._next_at = day_end(day) + SEAL_AFTER

    async def _seal(self, day: date) -> None:
        store = self._controller.store
        async with store.unit() as unit:
            newest = await unit.latest_sealed_day()
        key: LedgerKey = await self._offload(store.ledger_key)
        chunks: list[Chunk] = []
        kept: list[SealedChunk] = []
        row = 0 if newest is None else newest.last_row
        full = True
        while full:
            async with store.unit() as unit:
                page = await unit.postings(after_row=row, limit=CHUNK_LEAVES)
            of_day = _leading(page, day)
            full = len(of_day) == CHUNK_LEAVES
            if of_day:
                row = of_day[-1][0]
                chunk: Chunk = await self._offload(chunk_of, [posting for _, posting in of_day])
                chunks.append(chunk)
                kept.append(SealedChunk(last_row=row, root=chunk.root))
        before = None if newest is None else newest.sealed.seal
        sealed: SealedDay = await self._offload(seal_day, day, chunks, before, key)
        async with store.unit() as unit:
            await unit.add_sealed_day(sealed, kept)
        _LOG.info("a day of the ledger is sealed", day=str(day), postings=sealed.seal.postings)


async def _next_day(unit: UnitOfWork) -> date | None:
    """The first day that is not sealed; None in an empty ledger."""
    newest = await unit.latest_sealed_day()
    if newest is not None:
        return newest.sealed.seal.day + timedelta(days=1)
    first = await unit.postings(limit=1)
    return ledger_day(first[0][1].booked_at) if first else None


def _leading(page: Sequence[tuple[int, Posting]], day: date) -> list[tuple[int, Posting]]:
    """The postings of a page up to the first of another day; days follow each other in the ledger."""
    return list(takewhile(lambda numbered: ledger_day(numbered[1].booked_at) == day, page))
