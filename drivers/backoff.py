"""The pauses between attempts to connect.

Each is twice the last one. They begin anew only after a connection that held for a while: a peer that accepts
everybody and drops them at once (a broker without memory, an inverter that takes one client) is no reason to
knock five times a second for ever. And they differ, or a thousand devices behind one switch would all come
back at once.
"""

from __future__ import annotations

import random

from controller.domain.time import MachineClock, SystemMachineClock

FIRST_S = 0.2
"""The first pause at most [s, machine]."""
MOST_S = 10.0
"""The longest pause, and how long a connection has to hold for the pauses to begin anew [s, machine]."""


class Backoff:
    """Tells one connection's pauses."""

    def __init__(self, clock: MachineClock | None = None) -> None:
        """Begins with the first pause; `clock` None: the computer's own."""
        self._clock = clock or SystemMachineClock()
        self._next_s = FIRST_S
        self._up_s: float | None = None

    def connected(self) -> None:
        """The peer has accepted us."""
        self._up_s = self._clock.monotonic_s()

    def pause_s(self) -> float:
        """How long to wait before the next attempt, after one that failed or a connection that ended [s]."""
        up_s, self._up_s = self._up_s, None
        if up_s is not None and self._clock.monotonic_s() - up_s >= MOST_S:
            self._next_s = FIRST_S
        most_s, self._next_s = self._next_s, min(2.0 * self._next_s, MOST_S)
        return most_s * random.uniform(0.5, 1.0)
