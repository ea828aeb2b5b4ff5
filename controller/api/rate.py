"""Rate limits: a bucket of requests for each caller, which fills again as time passes.

A member's programs share one bucket: whoever makes ten tokens asks no more than whoever made one. Who comes
with tokens that open nothing is held by network address: each costs a look into the store.
"""

from __future__ import annotations

import math
from ipaddress import ip_address, ip_network

from starlette.requests import HTTPConnection

BURST = 240
"""Requests that a caller may make at once: two days and a half of quarter-hours in one go."""
PER_S = 10.0
"""Requests a second after that."""
CALLERS_MAX = 10_000
"""Buckets that are remembered; when there are more, the full ones are forgotten, then the oldest."""
FAILURES = 60
"""Tokens that open nothing, from one network address at once."""
FAILURES_PER_S = 1.0
"""And a second after that."""


def address_of(request: HTTPConnection) -> str:
    """Who asks, as far as a network address tells: of IPv6 the network that one customer has."""
    host = "" if request.client is None else request.client.host
    try:
        address = ip_address(host)
    except ValueError:
        return host
    return str(ip_network((address, 64), strict=False)) if address.version == 6 else host


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
        wait_s = self.wait_s(caller, now_s)
        if wait_s:
            return wait_s
        left = self._left(caller, now_s)
        # Put in anew, so that the buckets stand in the order of their last use.
        self._buckets.pop(caller, None)
        if len(self._buckets) >= CALLERS_MAX:
            self._forget(now_s)
        self._buckets[caller] = (left - 1.0, now_s)
        return 0

    def wait_s(self, caller: str, now_s: float) -> int:
        """In how many whole seconds a caller may ask; 0: now. Takes nothing.

        Args:
            caller: Who is asking.
            now_s: Machine time [s].
        """
        left = self._left(caller, now_s)
        return math.ceil((1.0 - left) / self._per_s) if left < 1.0 else 0

    def _forget(self, now_s: float) -> None:
        """Full buckets go; where too few were full, the quarter that was used longest ago goes as well."""
        kept = [
            (known, bucket)
            for known, bucket in self._buckets.items()
            if self._left(known, now_s) < self._burst
        ]
        self._buckets = dict(kept[-(CALLERS_MAX * 3 // 4) :])

    def _left(self, caller: str, now_s: float) -> float:
        left, then_s = self._buckets.get(caller, (float(self._burst), now_s))
        return min(self._burst, left + (now_s - then_s) * self._per_s)
