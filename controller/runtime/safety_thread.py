"""The safety loop's own thread, so that nothing the event loop is busy with can make a cycle late.

At a quarter-hour's end a hundred messages may wait in the event loop, and a market is cleared and
settled. None of that may hold up the cycle that keeps the cables safe. So it runs beside the event
loop: it takes what the drivers have put into the inbox, decides, and hands the setpoints back to the
event loop, which sends them. It shares with the event loop only values that are replaced as a whole,
and queues.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import structlog

from controller.domain.setpoints import Setpoint
from controller.domain.time import utc_text
from controller.runtime.core import Controller

_LOG = structlog.get_logger(__name__)

CYCLE_SWITCH_S = 0.005
"""The interpreter's switch interval while a cycle runs."""
STOP_S = 10.0
"""How long a cycle that runs may take to end when the loops stop."""


class SafetyThread:
    """Runs the safety cycles of a controller until it is stopped."""

    def __init__(
        self,
        controller: Controller,
        *,
        deliver: Callable[[Sequence[Setpoint]], None],
    ) -> None:
        """Describes it; `start` starts it.

        Args:
            controller: Whose cycles.
            deliver: Takes the setpoints of a cycle; called on this thread.
        """
        self._controller = controller
        self._deliver = deliver
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._cycles, name="safety", daemon=True)

    def start(self) -> None:
        """Starts the cycles."""
        self._thread.start()

    def stop(self) -> None:
        """Ends them; a cycle that runs ends first."""
        self._stop.set()
        self._thread.join(STOP_S)

    def _cycles(self) -> None:
        clock, counters = self._controller.clock, self._controller.counters
        period = timedelta(seconds=self._controller.settings.safety.period_s)
        due = next_multiple(clock.now(), period)
        while True:
            if due - clock.now() > 2 * period:
                # A clock that was set back must not leave the network alone until it has caught up.
                due = next_multiple(clock.now(), period)
            left_s = clock.machine_s(min(due - clock.now(), period))
            if left_s > 0.0:
                if self._stop.wait(left_s):
                    return
                continue
            if self._stop.is_set():
                return
            delay = clock.now() - due
            counters.delay_ms_max = max(counters.delay_ms_max, clock.machine_s(delay) * 1000.0)
            late = delay > period
            if late:
                self._tell_late("it began late", delay)
            self._cycle()
            due += period
            behind = clock.now() - due
            if behind > period:
                # What was missed is not made up for: the next cycle sees the newest state anyway. But a
                # cycle that took so long has made one late, and that is told (once for each stall).
                if not late:
                    self._tell_late("it took too long", behind)
                counters.delay_ms_max = max(counters.delay_ms_max, clock.machine_s(behind) * 1000.0)
                due = next_multiple(clock.now(), period)

    def _tell_late(self, what: str, delay: timedelta) -> None:
        clock, counters = self._controller.clock, self._controller.counters
        counters.late_cycles += 1
        ms = round(clock.machine_s(delay) * 1000.0, 1)
        _LOG.warning("a safety cycle was late", what=what, at=utc_text(clock.now()), delay_ms=ms)

    def _cycle(self) -> None:
        """One cycle. One that fails sends nothing: what was sent before runs out."""
        before_s = sys.getswitchinterval()
        # Other threads ask for the interpreter after this time: longer than a cycle takes, so that it is not
        # cut into slices with a wait after each.
        sys.setswitchinterval(CYCLE_SWITCH_S)
        try:
            cycle = self._controller.safety_cycle(self._controller.clock.now())
        except Exception:  # noqa: BLE001  # a bug must not end the loop that keeps the cables safe
            _LOG.exception("a safety cycle failed")
            self._controller.counters.count_failure("safety")
            return
        finally:
            sys.setswitchinterval(before_s)
        if cycle.setpoints:
            self._deliver(cycle.setpoints)


def next_multiple(now: datetime, period: timedelta) -> datetime:
    """The first multiple of `period` since 1970 that is after `now`."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return epoch + ((now - epoch) // period + 1) * period
