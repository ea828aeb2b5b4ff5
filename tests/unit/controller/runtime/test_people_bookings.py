"""Bookings by car: kept in step with the books, however they are changed."""

from __future__ import annotations

from datetime import timedelta

from controller.domain.assets import Booking
from controller.domain.ids import AssetId
from controller.runtime.people import People
from tests.support.neighbourhood import START

HOUR = timedelta(hours=1)


def booking(name: str, car: str, hour: int) -> Booking:
    """A booking of an hour."""
    start = START + hour * HOUR
    return Booking(id=name, vehicle=AssetId(car), from_utc=start, to_utc=start + HOUR, energy_kwh=5.0)


def test_bookings_are_told_by_car_and_in_order_of_their_start() -> None:
    """One that came later but begins earlier comes first."""
    people = People()
    for one in (booking("b", "car-1", 5), booking("a", "car-1", 2), booking("c", "car-2", 1)):
        people.put_bookings([one])
    assert [one.id for one in people.bookings_of(AssetId("car-1"))] == ["a", "b"]
    assert [one.id for one in people.bookings_of(AssetId("car-2"))] == ["c"]


def test_a_booking_that_moves_to_another_car_leaves_the_first() -> None:
    """The same id replaces what stood, also under another car."""
    people = People()
    people.put_bookings([booking("a", "car-1", 2)])
    people.put_bookings([booking("a", "car-2", 3)])
    assert people.bookings_of(AssetId("car-1")) == []
    assert [one.from_utc for one in people.bookings_of(AssetId("car-2"))] == [START + 3 * HOUR]


def test_books_that_are_replaced_as_a_whole_are_seen() -> None:
    """What is over is forgotten."""
    people = People()
    people.put_bookings([booking("a", "car-1", 2)])
    people.drop_past(START + 4 * HOUR)
    assert people.bookings_of(AssetId("car-1")) == []
