"""Which quarter-hours are still to be cleared, however long nobody was there.

Whoever placed an order has a claim on its clearing: a quarter-hour with orders is cleared however old it is.
Of those without any only the last week is cleared after an absence, so that their meters are settled by the
quarter-hour; older ones are settled when their day is closed. What failed is found again:
where the market goes on is kept as the first quarter-hour that is not cleared, not as the last that is.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import structlog

from controller.domain.time import QUARTER, DomainClock, parse_utc, quarter_start, utc_text
from controller.runtime.ports import UnitOfWork
from market.orders import RefusalCode

CATCH_UP_MAX = timedelta(days=7)
"""How far back quarter-hours without orders are cleared that nobody cleared in time."""
MARKET_SINCE_KEY = "market_since"
"""The named value with a quarter-hour before which none waits to be cleared; empty where is no market."""
PROGRESS_EVERY = 96
"""After how many quarter-hours that were caught up it is told how many are left."""
_EVER = datetime(1970, 1, 1, tzinfo=UTC)

_LOG = structlog.get_logger(__name__)


class Backlog:
    """The quarter-hours of one controller's market that are not cleared."""

    def __init__(self, clock: DomainClock, gate_lead: timedelta) -> None:
        self._clock = clock
        self._gate_lead = gate_lead
        self._first: datetime | None = None
        """From here on all are cleared, with orders or without; None where there is no market."""
        self._done: set[datetime] = set()
        """Those after it that are."""
        self._owed: set[datetime] = set()
        """Those before it that hold orders."""

    async def open(self, unit: UnitOfWork) -> None:
        """Reads where the market goes on, or begins it: orders are accepted from now on."""
        closed = self._newest_closed()
        kept, latest = await unit.value(MARKET_SINCE_KEY), await unit.latest_result()
        if kept:
            since = parse_utc(kept)
        elif kept is None and latest is not None:
            # A database from before this was kept goes on where it was.
            since = latest.interval_start + QUARTER
        else:
            since = closed + QUARTER
        cleared = set(await unit.cleared_starts(since=since))
        self._first = max(since, closed - CATCH_UP_MAX)
        self._owed = set(await unit.ordered_starts(since, self._first)) - cleared
        self._done = {start for start in cleared if start >= self._first}
        self._advance()
        await unit.put_value(MARKET_SINCE_KEY, utc_text(self.since))
        waiting = len(self.due())
        if waiting > 1:
            _LOG.warning("quarter-hours wait to be cleared", waiting=waiting, since=utc_text(self.since))

    async def close(self, unit: UnitOfWork) -> None:
        """Ends the market: what is settled otherwise from now on is never cleared; no order stays open."""
        kept = await unit.value(MARKET_SINCE_KEY)
        if kept != "":
            left = await unit.open_orders(None, since=parse_utc(kept) if kept else _EVER)
            lapsed = [order.order_id for order in left]
            await unit.lapse_orders(lapsed, self._clock.now(), RefusalCode.NO_AUCTION)
            if lapsed:
                _LOG.warning("orders have lapsed: the site has no auction any more", orders=len(lapsed))
        await unit.put_value(MARKET_SINCE_KEY, "")

    @property
    def since(self) -> datetime:
        """No quarter-hour before this one waits to be cleared."""
        first = self._first or quarter_start(self._clock.now())
        return min(self._owed, default=first)

    def due(self) -> list[datetime]:
        """The quarter-hours whose gate has closed and that are not cleared, the oldest first.

        The oldest first, because what a later leg of linked orders may sell hangs on the earlier ones.
        """
        if self._first is None:
            return []
        count = (self._newest_closed() - self._first) // QUARTER + 1
        starts = [self._first + number * QUARTER for number in range(count)]
        return sorted(self._owed) + [start for start in starts if start not in self._done]

    def note_cleared(self, interval: datetime) -> None:
        """Takes off a quarter-hour that is cleared."""
        self._owed.discard(interval)
        self._done.add(interval)
        self._advance()
        waiting = len(self.due())
        if waiting and waiting % PROGRESS_EVERY == 0:
            _LOG.info("catching up", waiting=waiting, cleared=utc_text(interval))

    def _newest_closed(self) -> datetime:
        return quarter_start(self._clock.now() + self._gate_lead)

    def _advance(self) -> None:
        while self._first is not None and self._first in self._done:
            self._done.remove(self._first)
            self._first += QUARTER
