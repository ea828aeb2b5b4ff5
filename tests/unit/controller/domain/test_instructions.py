"""When a standing departure is due next."""

from __future__ import annotations

from datetime import UTC, datetime, time

import pytest

from controller.domain.ids import AssetId
from controller.domain.instructions import LeaveAt


@pytest.mark.parametrize(
    ("now", "weekdays", "expected"),
    [
        # A Monday in winter: 08:00 in Amsterdam is 07:00 UTC.
        (datetime(2024, 1, 15, 6, 59, tzinfo=UTC), (0,), datetime(2024, 1, 15, 7, tzinfo=UTC)),
        (datetime(2024, 1, 15, 7, 0, tzinfo=UTC), (0,), datetime(2024, 1, 22, 7, tzinfo=UTC)),
        (datetime(2024, 1, 15, 7, 0, tzinfo=UTC), (0, 2), datetime(2024, 1, 17, 7, tzinfo=UTC)),
        # The evening before, already the next day in Amsterdam.
        (datetime(2024, 1, 14, 23, 30, tzinfo=UTC), (0,), datetime(2024, 1, 15, 7, tzinfo=UTC)),
        # Summer time begins on 31 March: the same clock time an hour earlier.
        (datetime(2024, 3, 30, 12, 0, tzinfo=UTC), (6,), datetime(2024, 3, 31, 6, tzinfo=UTC)),
    ],
)
def test_next_departure(now: datetime, weekdays: tuple[int, ...], expected: datetime) -> None:
    """The first moment after now, by Amsterdam's clock."""
    leave = LeaveAt(vehicle=AssetId("car"), at_local=time(8, 0), soc_fraction=0.6, weekdays=weekdays)
    assert leave.next_departure(now) == expected
