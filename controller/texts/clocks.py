"""The times that people write: a clock time means the next moment when it is that late in Amsterdam."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

from controller.domain.time import AMSTERDAM


def next_local(clock: time, now: datetime) -> datetime:
    """The next moment at which it is `clock` in Amsterdam.

    Args:
        clock: A time of day.
        now: The present moment.

    Returns:
        UTC, after `now`. In the hour that summer time skips it is that much later on the clock; in the
        hour that comes twice it is the first one, or the second where the first is past.
    """
    today = now.astimezone(AMSTERDAM).date()
    moments = [
        datetime.combine(today + timedelta(days=days), clock.replace(fold=fold), tzinfo=AMSTERDAM).astimezone(
            UTC
        )
        for days in (0, 1, 2)
        for fold in (0, 1)
    ]
    # In the skipped hour the two readings come out in the other order, hence the minimum.
    return min(moment for moment in moments if moment > now)
