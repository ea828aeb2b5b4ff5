"""Chargers with few stack levels, over real sockets: the hours for the time without us, and setpoints."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from controller.domain.floor import NOTHING, FloorHours
from controller.domain.ids import AssetId
from controller.domain.setpoints import Applied, Rejected
from drivers.ocpp.codec import NoticeCode
from drivers.ocpp.room import AMPLE, Room, no_room, room_of
from drivers.ocpp.session import BaseSession
from drivers.ocpp.v21 import requests
from sim.chargers.client import SimulatedCharger
from tests.support.ocpp import START, FakeSocket, Street, charge_point, setpoint, street, until

CAR = "NL-WST-C00000001"
POINT = charge_point(fallback_kw=11.0)
"""Its maker lets it charge with all it has where no profile holds."""
HOURS = FloorHours(start_s=20 * 3600, length_s=3 * 3600, power_kw=4.14)
"""From 20:00 to 23:00 UTC; the tests begin at 16:00."""
FLOOR = {AssetId("cp-001"): HOURS}
VERSIONS = ("ocpp1.6", "ocpp2.0.1", "ocpp2.1")


async def _charger(place: Street, version: str, level_max: int, socket: FakeSocket) -> SimulatedCharger:
    """One with so many levels, once its floor lies."""
    charger = place.charger(socket, version=version, point=POINT)
    charger.core.manners = replace(charger.core.manners, stack_level_max=level_max)
    await until(lambda: len(charger.core.profiles) == 2)
    return charger


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("level_max", [0, 1])
async def test_a_running_transaction_has_setpoints_above_the_hours(version: str, level_max: int) -> None:
    """Taken, renewed, and after their end the charger keeps its hours as it would have without them."""
    async with street(points=[POINT], floor=FLOOR) as place:
        socket = FakeSocket(token=CAR, soc=0.1, capacity=1000.0)
        charger = await _charger(place, version, level_max, socket)
        assert socket.power == 0.0
        for power_kw in (5.0, 7.0):
            outcome = await place.endpoint.set_power(setpoint(power_kw))
            assert isinstance(outcome, Applied)
            assert socket.power == pytest.approx(power_kw, abs=0.1)
        drawn = []
        for hour, minutes in ((19, 55), (20, 11), (22, 45), (23, 5)):
            at = START.replace(hour=hour, minute=minutes)
            place.advance((at - place.clock.now()).total_seconds(), charger, step_s=60.0)
            drawn.append(socket.power)
        assert drawn == [0.0, 4.14, 4.14, 0.0]
        assert NoticeCode.PROFILE_REFUSED not in {notice.code for notice in place.endpoint.notices}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("level_max", [0, 1, 2])
async def test_a_setpoint_for_a_coming_transaction_never_takes_the_place_of_the_hours(
    version: str, level_max: int
) -> None:
    """Where both fit, both lie; else the hours are kept, the setpoint is refused and the operator told why.

    1.6 counts the profiles of a purpose with the same figure, so one with 1 has no room for a second.
    """
    scarce = level_max == 0 or (version == "ocpp1.6" and level_max == 1)
    async with street(points=[POINT], floor=FLOOR) as place:
        charger = place.charger(FakeSocket(), version=version, point=POINT)
        charger.core.manners = replace(charger.core.manners, stack_level_max=level_max)
        laid = 3 if version == "ocpp2.1" and level_max == 2 else 2
        await until(lambda: len(charger.core.profiles) == laid)
        hours = [profile for profile in charger.core.profiles if profile.recurrence]
        outcome = await place.endpoint.set_power(setpoint(5.0))
        if scarce:
            assert isinstance(outcome, Rejected)
            assert outcome.code == "OneProfile"
            assert "no transaction runs at cp-001" in outcome.why
        else:
            assert isinstance(outcome, Applied)
        assert len(hours) == 1
        assert hours[0] in charger.core.profiles
        told = [notice.code for notice in place.endpoint.notices]
        assert told == ([NoticeCode.FEW_PROFILES] if scarce else [])


async def test_hours_that_stand_where_setpoints_have_to_are_cleared() -> None:
    """A charger of level 1 that was laid hours on it: they move below, and setpoints have their place."""
    async with street(points=[POINT], floor=FLOOR) as place:
        charger = place.charger(FakeSocket(), point=POINT)
        await until(lambda: len(charger.core.profiles) == 3)
        charger.core.manners = replace(charger.core.manners, stack_level_max=1)
        charger.core.outbox.say([charger.core.dialect.boot()])
        charger.tick(START + timedelta(seconds=1))
        charger._wake.set()  # the test has spoken in the charger's place
        await until(lambda: len(charger.core.profiles) == 2)
        assert isinstance(await place.endpoint.set_power(setpoint(5.0)), Applied)


async def test_hours_that_a_charger_has_no_more_are_cleared() -> None:
    """Laid for ever by an earlier run, they would go on above the standstill that is laid now."""
    async with street(points=[POINT], floor=FLOOR) as place:
        charger = place.charger(FakeSocket(), point=POINT)
        await until(lambda: len(charger.core.profiles) == 3)
        session = place.endpoint.session_of(POINT.id)
        assert isinstance(session, BaseSession)
        session.floor = NOTHING
        charger.core.outbox.say([charger.core.dialect.boot()])
        charger.tick(START + timedelta(seconds=1))
        charger._wake.set()  # the test has spoken in the charger's place
        await until(lambda: len(charger.core.profiles) == 2)
        assert not any(profile.recurrence for profile in charger.core.profiles)


@pytest.mark.parametrize(
    ("told", "by_16", "room"),
    [
        ("0", True, Room(level_max=0, profiles=1)),
        ("1", True, Room(level_max=1, profiles=1)),
        ("8", True, Room(level_max=8, profiles=8)),
        ("0", False, Room(level_max=0, profiles=1)),
        ("1", False, Room(level_max=1, profiles=2)),
        ("9" * 500, False, Room(level_max=1000, profiles=1001)),
        ("", False, None),
        ("-1", False, None),
        ("many", True, None),
        ("\u0661", True, None),
        (None, True, None),
    ],
)
def test_what_a_charger_tells_of_its_stack(told: str | None, room: Room | None, *, by_16: bool) -> None:
    """1.6: the figure counts the profiles too; 2.x: levels from 0; what is no figure says nothing."""
    assert room_of(told, by_16=by_16) == room


def test_before_a_charger_has_told_there_is_room_for_all() -> None:
    """Hours above a standstill, setpoints above both; nothing is cleared."""
    floor = requests.floor_requests(POINT, START, HOURS)
    assert [request.action for request in floor] == ["SetChargingProfile"] * 3
    assert no_room(setpoint(5.0), None, AMPLE) is None
