"""Time: quarter-hours, the local day, and the two clocks.

UTC inside, Europe/Amsterdam where people or grid operators read it. A local day has 92, 96 or 100
quarter-hours. The domain clock (simulated in the demo) rules steps, prices, expiry and everything in
protocol messages; the machine clock rules I/O timeouts, the solver's deadline and measurements.
Nothing else reads the time.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
QUARTER = timedelta(minutes=15)
QUARTER_H = 0.25


class DomainClock(Protocol):
    """The time in the neighbourhood."""

    def now(self) -> datetime:
        """Now, UTC."""
        ...

    def machine_s(self, span: timedelta) -> float:
        """How long [s] a span of domain time lasts on the machine clock."""
        ...


class MachineClock(Protocol):
    """The computer's own time, which no simulation moves."""

    def monotonic_s(self) -> float:
        """Seconds since some fixed moment."""
        ...


class SystemMachineClock:
    """The machine clock of a real run."""

    def monotonic_s(self) -> float:
        """Seconds since some fixed moment."""
        return time.monotonic()


class SystemDomainClock:
    """The domain clock of a real neighbourhood: the computer's UTC time."""

    def now(self) -> datetime:
        """Now, UTC."""
        return datetime.now(UTC)

    def machine_s(self, span: timedelta) -> float:
        """Domain and machine time run alike."""
        return span.total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaledDomainClock:
    """A domain clock that runs `speed` times as fast as the machine's, from an anchor all processes share.

    The simulator owns it; a controller that joins reads the three values and computes the same time.
    """

    anchor_domain: datetime
    """Domain time at the anchor, UTC."""
    anchor_unix_s: float
    """The computer's Unix time at the anchor [s]."""
    speed: float
    """Domain seconds per machine second."""

    def now(self) -> datetime:
        """Now, UTC."""
        return self.anchor_domain + timedelta(seconds=(time.time() - self.anchor_unix_s) * self.speed)

    def machine_s(self, span: timedelta) -> float:
        """How long [s] a span of domain time lasts on the machine clock."""
        return span.total_seconds() / self.speed


class VirtualDomainClock:
    """A domain clock that stands still until it is moved: direct mode and tests."""

    def __init__(self, start: datetime) -> None:
        self._now = start

    def now(self) -> datetime:
        """Now, UTC."""
        return self._now

    def machine_s(self, span: timedelta) -> float:  # noqa: ARG002  # virtual time costs none
        """Virtual time takes no machine time."""
        return 0.0

    def advance_to(self, at: datetime) -> None:
        """Moves to `at`.

        Raises:
            ValueError: If that lies in the past.
        """
        if at < self._now:
            raise ValueError(
                f"the clock stands at {self._now.isoformat()} and cannot go back to {at.isoformat()}"
            )
        self._now = at


async def sleep_until(clock: DomainClock, at: datetime) -> None:
    """Sleeps until the domain clock reaches `at` (to the timer's precision); returns at once where it has."""
    left = clock.machine_s(at - clock.now())
    if left > 0:
        await asyncio.sleep(left)


def quarter_start(at: datetime) -> datetime:
    """The start of the quarter-hour that `at` lies in; keeps the time zone."""
    return at.replace(minute=at.minute // 15 * 15, second=0, microsecond=0)


def quarters_of_local_day(day: date) -> tuple[datetime, ...]:
    """The starts (UTC) of the quarter-hours of a day in Amsterdam: 92, 96 or 100 of them."""
    first = datetime(day.year, day.month, day.day, tzinfo=AMSTERDAM).astimezone(UTC)
    after = day + timedelta(days=1)
    last = datetime(after.year, after.month, after.day, tzinfo=AMSTERDAM).astimezone(UTC)
    return tuple(first + i * QUARTER for i in range((last - first) // QUARTER))


def parse_utc(text: str) -> datetime:
    """Reads an ISO 8601 instant with a zone and gives it in UTC.

    Raises:
        ValueError: If it is no instant or names no zone.
    """
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text!r} names no time zone: write Z for UTC")
    return at.astimezone(UTC)


def utc_text(at: datetime) -> str:
    """ISO 8601 with Z, to the second; with microseconds where there are any."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
