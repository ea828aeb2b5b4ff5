"""Rate limits: a bucket of requests for each caller, which fills again as time passes.

A member's programs share one bucket: whoever makes ten tokens asks no more than whoever made one.
"""

from __future__ import annotations

import math

BURST = 240
"""Requests that a caller may make at once: two days and a half of quarter-hours in one go."""
PER_S = 10.0
"""Requests a second after that."""
CALLERS_MAX = 10_000
"""Buckets that are remembered; when there are more, the full ones are forgotten."""


class RateLimiter:
    """Counts requests by caller."""

    def __init__(self, *, burst: int = BURST, per_s: float = PER_S) -> None:
        self._burst = burst
        self._per_s = per_s
        self._buckets: dict[str, tuple[float, float]] = {}
        """By caller: what is left, and when that was [s, machine]."""

    def take(self, caller: str, now_s: float) -> int:
        """Takes one request out of a caller's bucket.

        Args:
            caller: Who is asking.
            now_s: Machine time [s].

        Returns:
            0 where it may be made, else in how many whole seconds it may be tried again.
        """
        left = self._left(caller, now_s)
        if left < 1.0:
            return math.ceil((1.0 - left) / self._per_s)
        if len(self._buckets) >= CALLERS_MAX:
            self._buckets = {
                known: bucket
                for known, bucket in self._buckets.items()
                if self._left(known, now_s) < self._burst
            }
        self._buckets[caller] = (left - 1.0, now_s)
        return 0

    def _left(self, caller: str, now_s: float) -> float:
        left, then_s = self._buckets.get(caller, (float(self._burst), now_s))
        return min(self._burst, left + (now_s - then_s) * self._per_s)
