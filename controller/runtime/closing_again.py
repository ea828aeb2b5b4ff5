"""Closing days again for suppliers: what imbalance cost on them has become known.

A year of costs is a year of days to close, which takes minutes: the door answers at once, and this works
through the days one by one. Which days are asked for is kept in the same transaction as the costs, and goes
out in the same transaction as the day's postings. So a restart finds what is still to do, and a day for which
costs came while it was being closed stays asked for.
"""

from __future__ import annotations

import asyncio
from datetime import date, datetime, timedelta

import structlog

from controller.domain.errors import ConflictError, WijkstroomError
from controller.domain.time import quarters_of_local_day
from controller.runtime.closing import Closing, PointLeftError
from controller.runtime.core import Controller

LOOK_EVERY_S = 60.0
"""How often it is looked what is asked for when nobody says so, machine time [s]."""
FAILED_AGAIN = timedelta(hours=1)
"""How long a day that could not be closed is left alone."""
_LOG = structlog.get_logger(__name__)


class ClosingAgain:
    """Works through the days that suppliers have asked for."""

    def __init__(self, controller: Controller, closing: Closing) -> None:
        self.controller = controller
        self._closing = closing
        self._wake = asyncio.Event()
        self._failed: dict[tuple[date, int], datetime] = {}
        """When a day could not be closed for what was asked."""

    async def wake(self) -> None:
        """More days are asked for."""
        self._wake.set()

    async def wait(self) -> None:
        """Waits until more days are asked for, or it is time to look."""
        try:
            async with asyncio.timeout(LOOK_EVERY_S):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def close_asked(self) -> None:
        """Closes each day that is asked for and was closed before; the others wait until they are over."""
        self._wake.clear()
        async with self.controller.store.unit() as unit:
            newest, first_at = await unit.latest_closed_day(), await unit.first_register_at()
            asked = await unit.asked_closings()
        days: dict[date, int] = {}
        for one in asked:
            days[one.day] = days.get(one.day, 0) + one.revision
        now = self.controller.clock.now()
        self._failed = {
            key: at
            for key, at in self._failed.items()
            if days.get(key[0]) == key[1] and now < at + FAILED_AGAIN
        }
        for day, revision in sorted(days.items()):
            is_due = newest is not None and day <= newest and (day, revision) not in self._failed
            if first_at is not None and is_due and not await self._close(day, first_at):
                self._failed[day, revision] = now

    async def _close(self, day: date, first_at: datetime) -> bool:
        """Closes a day; whether that went well. What does not is kept for who asked."""
        if quarters_of_local_day(day)[-1] < first_at:
            async with self.controller.store.unit() as unit:
                await unit.closings_done(await unit.asked_closings(day=day))
            return True
        now = self.controller.clock.now()
        try:
            await self._closing.close(day, first_at, now)
        except (WijkstroomError, ValueError) as error:
            _LOG.warning("a day could not be closed again", day=day.isoformat(), why=str(error))
            if not isinstance(error, PointLeftError):
                self.controller.counters.count_failure("closing", now)
            async with self.controller.store.unit() as unit:
                await unit.closings_failed(day, _told(error))
            return False
        return True


def _told(error: WijkstroomError | ValueError) -> str:
    """What a supplier may read of why a day is not closed: nothing of points, which may be another's."""
    match error:
        case PointLeftError():
            return "a point that was settled that day is in the site file no longer"
        case ConflictError():
            return str(error)
        case _:
            return "it failed: the operators see why in the controller's log"
