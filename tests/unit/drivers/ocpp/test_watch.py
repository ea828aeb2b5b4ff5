"""What the meter shows of a charger's obedience."""

from __future__ import annotations

from datetime import timedelta

import pytest

from drivers.ocpp.watch import Finding, Watch
from tests.support.ocpp import START

END = START + timedelta(hours=1)


def _findings(watch: Watch, powers_kw: list[float], *, every_s: float = 60.0) -> list[Finding | None]:
    return [
        watch.measured(power_kw, START + timedelta(seconds=every_s * (number + 1)))
        for number, power_kw in enumerate(powers_kw)
    ]


@pytest.mark.parametrize(
    ("told_kw", "powers_kw", "found"),
    [
        (5.0, [11.0, 11.0, 11.0, 11.0], [None, None, Finding.IGNORES, None]),
        (0.0, [11.0, 11.0, 11.0], [None, None, Finding.IGNORES]),
        # A car may do less, and the meter is not exact.
        (5.0, [0.0, 3.0, 5.2, 5.4], [None] * 4),
        # Twice and then obedient is no habit.
        (5.0, [11.0, 11.0, 5.0, 11.0, 11.0], [None] * 5),
        (5.0, [-3.0, -3.0, -3.0], [None, None, Finding.IGNORES]),
        (-6.0, [-9.0, -9.0, -9.0], [None, None, Finding.IGNORES]),
        (-6.0, [-6.0, -2.0, 0.0], [None] * 3),
        (-6.0, [4.0, 4.0, 4.0], [None, None, Finding.IGNORES]),
    ],
)
def test_three_samples_beyond_the_setpoint_are_disobedience(
    told_kw: float, powers_kw: list[float], found: list[Finding | None]
) -> None:
    """Either direction; told once."""
    watch = Watch(120.0)
    watch.confirmed(told_kw, START, END)
    assert _findings(watch, powers_kw) == found


def test_a_charger_that_follows_again_is_told_once() -> None:
    """Three samples within its setpoint on end; then it may ignore anew."""
    watch = Watch(120.0)
    watch.confirmed(5.0, START, END)
    ignores, follows = Finding.IGNORES, Finding.FOLLOWS
    samples = [(11.0, None), (11.0, None), (11.0, ignores), (5.0, None), (5.0, None), (11.0, None)]
    samples += [(5.0, None), (5.0, None), (5.0, follows), (5.0, None)]
    samples += [(11.0, None), (11.0, None), (11.0, ignores)]
    assert _findings(watch, [power_kw for power_kw, _ in samples]) == [found for _, found in samples]
    assert watch.forget()
    assert not watch.forget()


def test_samples_before_it_settled_or_after_its_end_say_nothing() -> None:
    """Electronics need seconds to follow, and a setpoint that ran out binds nobody."""
    watch = Watch(120.0)
    watch.confirmed(0.0, START, START + timedelta(minutes=2))
    assert _findings(watch, [11.0] * 4, every_s=5.0) == [None] * 4
    assert watch.measured(11.0, START + timedelta(minutes=3)) is None


def test_renewing_the_same_setpoint_does_not_hide_disobedience() -> None:
    """A renewal each minute would otherwise keep every sample in its settling time."""
    watch = Watch(120.0)
    found = []
    for minute in range(4):
        at = START + timedelta(minutes=minute)
        watch.confirmed(4.2, at, END)
        found.append(watch.measured(11.0, at + timedelta(seconds=20)))
    assert Finding.IGNORES in found


def test_ever_new_setpoints_do_not_hide_disobedience() -> None:
    """A crowded feeder's charger is told a little more or less every ten seconds, and draws 11 kW."""
    watch = Watch(120.0)
    found = []
    for i in range(12):
        at = START + timedelta(seconds=10 * i)
        watch.confirmed(5.0 + 0.4 * (i % 3), at, END)
        found.append(watch.measured(11.0, at + timedelta(seconds=5)))
    assert found.count(Finding.IGNORES) == 1


def test_on_the_way_from_one_setpoint_to_another_it_may_be_at_each() -> None:
    """Told 11, 0, 11 and 0 kW within a minute, it is at what it was told before."""
    watch = Watch(120.0)
    watch.confirmed(11.0, START, END)
    for i in range(1, 12):
        at = START + timedelta(seconds=60 + 20 * i)
        watch.confirmed(11.0 * (i % 2), at, END)
        assert watch.measured(11.0 * ((i + 1) % 2), at + timedelta(seconds=1)) is None


def test_sleeping_car_is_noticed_once_after_a_pause() -> None:
    """After the pause ended and its time passed; a car that woke up by itself is none."""
    watch = Watch(120.0)
    watch.confirmed(0.0, START, END)
    watch.confirmed(7.0, START + timedelta(minutes=10), END)
    at = START + timedelta(minutes=11)
    assert watch.measured(0.0, at) is None
    assert watch.measured(0.0, at + timedelta(minutes=1)) is Finding.ASLEEP
    assert watch.measured(0.0, at + timedelta(minutes=2)) is None
    watch.confirmed(0.0, at + timedelta(minutes=3), END)
    watch.confirmed(7.0, at + timedelta(minutes=4), END)
    assert watch.measured(6.9, at + timedelta(minutes=5)) is None
    assert watch.measured(0.0, at + timedelta(minutes=20)) is None


def test_car_that_left_is_expected_nothing_of() -> None:
    """The next one starts with a clean sheet."""
    watch = Watch(120.0)
    watch.confirmed(0.0, START, END)
    watch.forget()
    assert _findings(watch, [11.0] * 4) == [None] * 4
