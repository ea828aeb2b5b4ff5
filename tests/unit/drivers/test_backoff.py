"""Pauses between attempts to connect grow until a connection holds."""

from __future__ import annotations

from drivers.backoff import FIRST_S, MOST_S, Backoff


class _Watch:
    """A machine clock to set."""

    def __init__(self) -> None:
        self.at_s = 0.0

    def monotonic_s(self) -> float:
        return self.at_s


def test_pauses_grow_up_to_the_longest() -> None:
    """Each is up to twice the last one and at least half of what it may be."""
    backoff = Backoff(_Watch())
    most_s = FIRST_S
    for _ in range(12):
        assert 0.5 * most_s <= backoff.pause_s() <= most_s
        most_s = min(2.0 * most_s, MOST_S)
    assert most_s == MOST_S


def test_only_a_connection_that_held_begins_them_anew() -> None:
    """One that was accepted and dropped after a second did not."""
    watch = _Watch()
    backoff = Backoff(watch)
    for _ in range(10):
        backoff.connected()
        watch.at_s += 1.0
        last_s = backoff.pause_s()
    assert last_s >= 0.5 * MOST_S
    backoff.connected()
    watch.at_s += MOST_S
    assert backoff.pause_s() <= FIRST_S
