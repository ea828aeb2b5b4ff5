"""Whose clock counts: a charger's timestamp where it can be right, else ours.

A charger replays what it queued while offline, so an old timestamp is no fault. One that lies in the
future, before 2020 or longer ago than any queue lasts is: the field knows clocks that start at 1970
(MicroOcpp 311) and local time labelled Z (steve 136). Then our time stands in its place, and a notice
keeps the difference.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from controller.domain.time import AMSTERDAM
from drivers.ocpp.codec import Notice, NoticeCode

_FIRST_YEAR = 2000
"""Year of a clock that was never set: 1970, or a maker's own epoch up to here."""
_AHEAD_TOLERANCE = timedelta(seconds=60)
"""Chargers synchronise on our heartbeat; a minute is many times what drifts in a day."""
_LOCAL_TOLERANCE = timedelta(seconds=90)
_QUEUE_LIFE = timedelta(days=30)
"""No transaction queue in the field keeps events for longer."""


def settle_time(text: str, now: datetime, charge_point: str) -> tuple[datetime, Notice | None]:
    """The time of something that a charger dated.

    Args:
        text: As in the message, ISO 8601 with a zone.
        now: Domain time, UTC.
        charge_point: For the notice.

    Returns:
        The charger's time in UTC, or `now` and the notice that says why not.
    """
    try:
        at = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return now, _notice(charge_point, now, NoticeCode.CLOCK_UNREADABLE, f"{text!r} is no time")
    ahead = at - now
    if at.year <= _FIRST_YEAR < now.year:
        code, why = NoticeCode.CLOCK_UNSET, "its clock was never set"
    elif ahead > _AHEAD_TOLERANCE:
        offset = now.astimezone(AMSTERDAM).utcoffset()
        if offset and abs(ahead - offset) <= _LOCAL_TOLERANCE:
            code, why = NoticeCode.CLOCK_LOCAL, "that is local time labelled as UTC"
        else:
            code, why = NoticeCode.CLOCK_AHEAD, f"its clock is {ahead.total_seconds():.0f} s ahead"
    elif -ahead > _QUEUE_LIFE:
        code, why = NoticeCode.CLOCK_BEHIND, f"its clock is {-ahead.days} days behind"
    else:
        return at, None
    return now, _notice(charge_point, now, code, f"{text} while it is {now.isoformat()}: {why}")


def _notice(charge_point: str, now: datetime, code: NoticeCode, text: str) -> Notice:
    return Notice(charge_point=charge_point, at=now, code=code, text=text)
