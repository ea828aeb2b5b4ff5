"""When a device is polled next, in domain time: a pure decision.

Polls of many devices are spread over the interval by a phase of their own. Each device is read once more
just after every quarter-hour's end, so that the registers at the boundary are known closely.
"""

from __future__ import annotations

import zlib
from datetime import UTC, datetime, timedelta

from controller.domain.time import QUARTER, quarter_start

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
BOUNDARY_LAG_MIN = timedelta(seconds=1)
"""A poll at the very boundary could still be a hair before it."""
BOUNDARY_SPREAD = timedelta(seconds=9)
"""All devices are read within 10 s after the boundary, not all at once."""


def phase_of(name: str) -> float:
    """A fixed part of an interval, in [0, 1), that differs from device to device."""
    return zlib.crc32(name.encode()) / 2**32


def next_poll(now: datetime, *, interval: timedelta, phase: float) -> datetime:
    """The first moment after `now` at which to poll.

    Args:
        now: Domain time.
        interval: Between regular polls.
        phase: In [0, 1): this device's share of the interval and of the spread.

    Returns:
        A moment later than `now`.
    """
    first = _EPOCH + phase * interval
    regular = first + ((now - first) // interval + 1) * interval
    lag = BOUNDARY_LAG_MIN + phase * BOUNDARY_SPREAD
    quarter = quarter_start(now)
    at_boundary = quarter + lag if quarter + lag > now else quarter + QUARTER + lag
    return min(regular, at_boundary)
