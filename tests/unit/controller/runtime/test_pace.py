"""When cycles are due and which were late, on a clock moved by hand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from controller.runtime.pace import Pace, next_multiple
from tests.support.neighbourhood import START

SPEED = 600.0
PERIOD = timedelta(seconds=10)


@dataclass
class HandClock:
    """A clock of 600 times real time that moves when told."""

    at: datetime = START

    def now(self) -> datetime:
        """Where it stands."""
        return self.at

    def machine_s(self, span: timedelta) -> float:
        """Machine seconds of a span."""
        return span.total_seconds() / SPEED


def test_cycles_are_due_at_multiples_of_the_period() -> None:
    """From 3 s past a multiple 7 s are left: 12 ms of the machine's."""
    clock = HandClock(START + timedelta(seconds=3))
    assert Pace(clock, 10.0).left_s() == 7.0 / SPEED
    assert next_multiple(START, PERIOD) == START + PERIOD


def test_a_cycle_that_begins_within_a_period_is_not_late() -> None:
    """10 s after it was due is the last moment; the delay is remembered in machine time."""
    clock = HandClock()
    pace = Pace(clock, 10.0)
    clock.at = START + 2 * PERIOD
    pace.begin()
    pace.end()
    assert pace.take_late() == ()
    assert abs(pace.delay_ms_max - 10.0 / SPEED * 1000.0) < 1e-9
    assert pace.left_s() == 0.0


def test_a_stall_is_told_once_and_not_made_up_for() -> None:
    """A cycle that takes 55 s makes the next one late; five periods were missed and are left out."""
    clock = HandClock()
    pace = Pace(clock, 10.0)
    clock.at = START + PERIOD
    pace.begin()
    clock.at += timedelta(seconds=55)
    pace.end()
    (late,) = pace.take_late()
    assert (late.what, late.delay_ms) == ("it took too long", 75.0)
    assert pace.due == START + 7 * PERIOD
    clock.at = pace.due
    pace.begin()
    pace.end()
    assert pace.take_late() == ()
    assert pace.cycles == 2


def test_the_gap_before_a_replacement_counts_as_late() -> None:
    """The new one begins with what was due when the old one ended."""
    clock = HandClock(START + timedelta(seconds=40))
    pace = Pace(clock, 10.0, START + PERIOD)
    assert pace.left_s() < 0.0
    pace.begin()
    pace.end()
    (late,) = pace.take_late()
    assert late.what == "it began late"


def test_a_clock_that_is_set_back_does_not_leave_the_network_alone() -> None:
    """An hour back: the next cycle is due within a period."""
    clock = HandClock()
    pace = Pace(clock, 10.0)
    clock.at = START - timedelta(hours=1)
    assert 0.0 < pace.left_s() <= 10.0 / SPEED
