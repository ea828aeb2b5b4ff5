"""When safety cycles are due, and which of them were late."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from controller.domain.time import DomainClock


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """A cycle that began, or will begin, more than a period after it was due."""

    what: str
    at: datetime
    delay_ms: float
    """Machine time."""


class Pace:
    """A cycle at every multiple of the period since 1970, in domain time."""

    def __init__(self, clock: DomainClock, period_s: float, due: datetime | None = None) -> None:
        """Starts counting.

        Args:
            clock: The domain clock; may be replaced when another one is announced.
            period_s: The period [s, domain].
            due: When the first cycle was due; None: at the next multiple.
        """
        self.clock = clock
        self.due = next_multiple(clock.now(), timedelta(seconds=period_s)) if due is None else due
        self.cycles = 0
        self.delay_ms_max = 0.0
        self._period = timedelta(seconds=period_s)
        self._late: list[Late] = []
        self._told = False

    def left_s(self) -> float:
        """How long until the next cycle is due [s, machine clock]; 0 or less: it is due now."""
        now = self.clock.now()
        if self.due - now > 2 * self._period:
            # A clock that was set back must not leave the network alone until it has caught up.
            self.due = next_multiple(now, self._period)
        return self.clock.machine_s(min(self.due - now, self._period))

    def begin(self) -> None:
        """A cycle begins."""
        self.cycles += 1
        delay = self.clock.now() - self.due
        self._told = delay > self._period
        if self._told:
            self._tell("it began late", delay)
        self.delay_ms_max = max(self.delay_ms_max, self.clock.machine_s(delay) * 1000.0)

    def end(self) -> None:
        """The cycle has ended; sets when the next is due.

        What was missed meanwhile is not made up for: the next cycle sees the newest state anyway. But a
        cycle that took so long has made one late, and that is told, once for each stall.
        """
        self.due += self._period
        behind = self.clock.now() - self.due
        if behind <= self._period:
            return
        if not self._told:
            self._tell("it took too long", behind)
        self.delay_ms_max = max(self.delay_ms_max, self.clock.machine_s(behind) * 1000.0)
        self.due = next_multiple(self.clock.now(), self._period)

    def take_late(self) -> tuple[Late, ...]:
        """The late ones since the last call."""
        late, self._late = tuple(self._late), []
        return late

    def _tell(self, what: str, delay: timedelta) -> None:
        self._late.append(
            Late(what=what, at=self.clock.now(), delay_ms=round(self.clock.machine_s(delay) * 1000.0, 1))
        )


def next_multiple(now: datetime, period: timedelta) -> datetime:
    """The first multiple of `period` since 1970 that is after `now`."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return epoch + ((now - epoch) // period + 1) * period
