"""Closing days again for suppliers: what imbalance cost on them has become known.

A year of costs is a year of days to close, which takes minutes: the door answers at once, and this works
through the days one by one. Which days are asked for is kept in the same transaction as the costs, and goes
out in the same transaction as the day's postings. So a restart finds what is still to do, and a day for which
costs came while it was being closed stays asked for. One of whose points the site file has lost stays as it
was closed: that is said once, and with that site file it is not tried again.
"""

from __future__ import annotations

import asyncio
from datetime import date, datetime, timedelta

import structlog

from controller.domain.errors import ConflictError, WijkstroomError
from controller.domain.time import quarters_of_local_day
from controller.runtime.closing import Closing, PointLeftError
from controller.runtime.core import Controller
from controller.runtime.ports import EventRecord

LOOK_EVERY_S = 60.0
"""How often it is looked what is asked for when nobody says so, machine time [s]."""
FAILED_AGAIN = timedelta(hours=1)
"""How long a day that could not be closed is left alone."""
POINT_LEFT = "a point that was settled that day is in the site file no longer"
"""What suppliers are told."""
WAY_OUT = "To have it booked, put the point back into the site file and start again."
_LOG = structlog.get_logger(__name__)


class ClosingAgain:
    """Works through the days that suppliers have asked for."""

    def __init__(self, controller: Controller, closing: Closing) -> None:
        self.controller = controller
        self._closing = closing
        self._wake = asyncio.Event()
        self._failed: dict[tuple[date, int], datetime | None] = {}
        """Until when a day is left alone that could not be closed for what was asked; None: until more is
        asked, or a start with another site file."""

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
            if days.get(key[0]) == key[1] and (at is None or now < at)
        }
        for day, revision in sorted(days.items()):
            is_due = newest is not None and day <= newest and (day, revision) not in self._failed
            if first_at is None or not is_due:
                continue
            try:
                await self._close(day, first_at, now)
            except PointLeftError as error:
                # Points leave and come back with the site file, which is read at the start.
                self._failed[day, revision] = None
                await self._not_again(day, error, {one.why for one in asked if one.day == day})
            except (WijkstroomError, ValueError) as error:
                _LOG.warning("a day could not be closed again", day=day.isoformat(), why=str(error))
                self.controller.counters.count_failure("closing", now)
                self._failed[day, revision] = now + FAILED_AGAIN
                await self._keep_why(day, _told(error))

    async def _close(self, day: date, first_at: datetime, now: datetime) -> None:
        """Closes a day; one before the first reading of all is done with."""
        if quarters_of_local_day(day)[-1] < first_at:
            async with self.controller.store.unit() as unit:
                await unit.closings_done(await unit.asked_closings(day=day))
            return
        await self._closing.close(day, first_at, now)

    async def _keep_why(self, day: date, why: str) -> None:
        async with self.controller.store.unit() as unit:
            await unit.closings_failed(day, why)

    async def _not_again(self, day: date, error: PointLeftError, known: set[str]) -> None:
        """Tells suppliers, and operators once, that a day stays as it was closed."""
        await self._keep_why(day, POINT_LEFT)
        if known == {POINT_LEFT}:
            return
        _LOG.warning("a day stays as it was closed, and is not tried again", why=str(error), way_out=WAY_OUT)
        event = EventRecord(
            at=self.controller.clock.now(),
            who="settlement",
            what=f"{error}. What was told of that day since is not booked. {WAY_OUT}",
            subject=day.isoformat(),
        )
        async with self.controller.store.unit() as unit:
            await unit.add_event(event)


def _told(error: WijkstroomError | ValueError) -> str:
    """What a supplier may read of why a day is not closed: nothing of points, which may be another's."""
    match error:
        case ConflictError():
            return str(error)
        case _:
            return "it failed: the operators see why in the controller's log"
