"""What people ask for is checked in bounded words."""

from __future__ import annotations

from datetime import timedelta

from controller.domain.assets import Booking
from controller.domain.ids import AssetId
from controller.runtime.checks import OVERLAPS_TOLD, overlaps
from tests.support.neighbourhood import START


def test_a_booking_in_the_way_of_many_names_some_of_them() -> None:
    """Five at once: each names three of the four others, and how many more there are."""
    same = [
        Booking(
            id=f"b{i}",
            vehicle=AssetId("car-1"),
            from_utc=START,
            to_utc=START + timedelta(hours=1),
            energy_kwh=5.0,
        )
        for i in range(OVERLAPS_TOLD + 2)
    ]
    told = overlaps(same, lambda _: [], lambda _: True)
    assert told[0] == "b0: car-1 is booked already in that time: b1, b2, b3 and 1 more"
    assert (
        overlaps(same[:2], lambda _: [], lambda _: True)[1] == "b1: car-1 is booked already in that time: b0"
    )
