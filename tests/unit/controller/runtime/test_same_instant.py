"""On a clock that stands still a meter is read, then a setpoint is confirmed at the same instant."""

from __future__ import annotations

from datetime import timedelta

import pytest

from controller.domain.assets import Wishes, WishKind
from controller.domain.ids import AssetId
from tests.support.neighbourhood import START
from tests.support.running import Cockpit

CP, CAR = AssetId("cp-1"), AssetId("car-1")


def test_what_is_confirmed_at_the_instant_of_a_reading_counts_until_the_next_one() -> None:
    """The charger's meter said 0 before it was told 11 kW; a minute later it says 10.8."""
    cockpit = Cockpit()
    cockpit.plug(1)
    cockpit.people.wishes[CAR] = Wishes(asset=CAR, mode=WishKind.CHARGE_NOW)
    cockpit.meter("cp-1", 0.0)
    assert cockpit.decide(confirm=True).decisions[CP].power_kw == pytest.approx(11.0)
    for seconds in (10, 30, 50):
        at = START + timedelta(seconds=seconds)
        assert cockpit.steering.drawn_kw(cockpit.state, CP, at) == pytest.approx(11.0)
    minute = START + timedelta(seconds=60)
    cockpit.meter("cp-1", 10.8, minute)
    assert cockpit.steering.drawn_kw(cockpit.state, CP, minute) == pytest.approx(10.8)


def test_it_is_not_taken_off_a_node_meter_read_at_that_instant() -> None:
    """The feeder shows 5 kW, the car is told 11 then; the reading comes a cycle later: 5 is all unsteered."""
    cockpit = Cockpit()
    cockpit.plug(1)
    cockpit.people.wishes[CAR] = Wishes(asset=CAR, mode=WishKind.CHARGE_NOW)
    cockpit.meter("cp-1", 0.0)
    cockpit.decide(confirm=True)
    cockpit.meter("f1", 5.0)
    cycle = cockpit.decide(START + timedelta(seconds=10))
    assert cockpit.base_high_kw(cycle, "f1") == pytest.approx(5.0)
