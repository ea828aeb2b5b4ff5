"""What people have set, and how it reaches the loops."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from controller.domain.assets import Booking, Departure, Wishes
from controller.domain.ids import AssetId, NodeId
from controller.domain.network import ImposedLimit
from controller.domain.reasons import ReasonCode
from controller.runtime.people import People, booking_energy_kwh
from controller.runtime.ports import Lockout
from tests.support.neighbourhood import START, network, vehicle

HOUR = timedelta(hours=1)
CAR = AssetId("car-1")


def booking(start_h: float, end_h: float, wanted: float | None = None) -> Booking:
    """A trip of 12 kWh with the first car."""
    return Booking(
        id=f"{start_h}",
        vehicle=CAR,
        from_utc=START + start_h * HOUR,
        to_utc=START + end_h * HOUR,
        energy_kwh=12.0,
        departure_min_kwh=wanted,
    )


def limit(key: str, import_kw: float | None, export_kw: float | None) -> ImposedLimit:
    """A limit of the feeder from now for an hour."""
    return ImposedLimit(
        id=key,
        node=NodeId("f1"),
        import_kw=import_kw,
        export_kw=export_kw,
        from_utc=START,
        to_utc=START + HOUR,
        set_by="grid",
    )


@pytest.mark.parametrize(("wanted", "energy"), [(None, 26.0), (40.0, 40.0), (90.0, 60.0)])
def test_a_booking_asks_for_its_trip_or_for_what_it_says(wanted: float | None, energy: float) -> None:
    """Trip 12, minimum 12 and a reserve of 2 kWh; never more than the battery's 60."""
    assert booking_energy_kwh(booking(1, 2, wanted), vehicle(1)) == energy


def test_departures_come_soonest_first_and_past_wishes_are_over() -> None:
    """A booking that has begun counts still (the car is late); a wish of an hour ago does not."""
    people = People(bookings={"late": booking(-0.5, 1), "next": booking(3, 4)})
    people.wishes[CAR] = Wishes(
        asset=CAR, departure=Departure(vehicle=CAR, at_utc=START + 2 * HOUR, energy_kwh=50.0)
    )
    times = [d.at_utc - START for d in people.departures_of(vehicle(1), START)]
    assert times == [-0.5 * HOUR, 2 * HOUR, 3 * HOUR]
    later = [d.at_utc - START for d in people.departures_of(vehicle(1), START + 2 * HOUR)]
    assert later == [3 * HOUR]
    for hours in (0.0, 1.5, 2.0, 4.0):
        at = START + hours * HOUR
        soonest = next(iter(people.departures_of(vehicle(1), at)), None)
        assert people.next_departure(vehicle(1), at) == soonest


def test_the_tightest_limit_wins_in_each_direction_with_its_own_reason() -> None:
    """Import by the grid operator, export by the cable; after its end only the cable."""
    people = People(limits={"a": limit("a", 10.0, None), "b": limit("b", 20.0, 99.0)})
    held = people.limit_at(network(), NodeId("f1"), START)
    assert (held.import_kw, held.by) == (10.0, ReasonCode.GRID_OPERATOR_LIMIT)
    assert (held.export_kw, held.export_by) == (34.5, ReasonCode.NETWORK_LIMIT)
    over = people.limit_at(network(), NodeId("f1"), START + HOUR)
    assert (over.import_kw, over.by) == (34.5, ReasonCode.NETWORK_LIMIT)
    assert people.limit_at(network(), NodeId("f2"), START).import_kw == 34.5


def test_a_lockout_holds_below_its_node_and_a_persons_stop_everywhere() -> None:
    """Below f1 and not below f2; at the root for both."""
    people = People(lockouts={NodeId("f1"): Lockout(node=NodeId("f1"), set_by="dso", since=START)})
    assert people.discharge_stop(network(), NodeId("f1")) is ReasonCode.DISCHARGE_LOCKOUT
    assert people.discharge_stop(network(), NodeId("f2")) is None
    people.lockouts = {NodeId("t"): Lockout(node=NodeId("t"), set_by="dso", since=START)}
    assert people.discharge_stop(network(), NodeId("f2")) is ReasonCode.DISCHARGE_LOCKOUT
    people.discharge_stopped = True
    assert people.discharge_stop(network(), NodeId("f2")) is ReasonCode.PERSON_STOP


def test_what_is_over_is_forgotten_and_what_has_no_end_stays() -> None:
    """An hour later: the limit with an end and the booking are gone."""
    endless = replace(limit("b", 2.0, None), to_utc=None)
    people = People(bookings={"b": booking(0, 1)}, limits={"a": limit("a", 1.0, None), "b": endless})
    for half_minute in range(120):
        people.drop_past(START + half_minute * HOUR / 120)
        assert people.bookings
        assert set(people.limits) == {"a", "b"}
    people.drop_past(START + HOUR)
    assert not people.bookings
    assert set(people.limits) == {"b"}


def test_a_clock_that_leaps_ahead_and_is_put_right_costs_nobodys_limit() -> None:
    """For ten minutes our clock is a day ahead: the hour's limit holds again afterwards, and ends in time."""
    people = People(bookings={"b": booking(2, 3)}, limits={"a": limit("a", 10.0, None)})
    people.drop_past(START)
    for half_minute in range(20):
        people.drop_past(START + 24 * HOUR + half_minute * HOUR / 120)
    right = START + HOUR / 6
    people.drop_past(right)
    assert people.limit_at(network(), NodeId("f1"), right).import_kw == 10.0
    assert people.bookings
    for half_minute in range(150):
        people.drop_past(right + half_minute * HOUR / 120)
    assert not people.limits
