"""Room for chargers that are connected and do not tell what they do."""

from __future__ import annotations

from datetime import timedelta

import pytest

from controller.domain.assets import Wishes, WishKind
from controller.domain.ids import AssetId, NodeId
from controller.domain.network import ImposedLimit
from controller.domain.setpoints import Applied, Rejected
from controller.domain.telemetry import ConnectorReading
from tests.support.neighbourhood import START
from tests.support.running import Cockpit

CP, NEIGHBOUR, CAR = AssetId("cp-1"), AssetId("cp-2"), AssetId("car-1")
LIMIT = ImposedLimit(
    id="x", node=NodeId("f1"), import_kw=20.0, export_kw=None, from_utc=START, to_utc=None, set_by="grid"
)
LEFT_KW = 20.0 * 0.97 - 1.0 - 11.0
"""Beside the home and 11 kW of a charger."""


def test_a_connection_alone_frees_nothing() -> None:
    """We were started anew, and the neighbour may still charge with the 11 kW that we told it before.

    Of 20 x 0.97 - 1 kW the car gets what is left, also once the neighbour is connected; more, once that has
    told that no car is there.
    """
    cockpit = Cockpit(mute=[NEIGHBOUR])
    cockpit.people.limits = {"x": LIMIT}
    cockpit.people.wishes[CAR] = Wishes(asset=CAR, mode=WishKind.CHARGE_NOW)
    cockpit.plug(1)
    connected = cockpit.steerable
    cockpit.steerable = connected - {NEIGHBOUR}
    given = []
    for seconds in (0, 10, 20):
        now = START + timedelta(seconds=seconds)
        if seconds == 10:
            cockpit.steerable = connected
        if seconds == 20:
            cockpit.hear(ConnectorReading(charge_point=NEIGHBOUR, at=now, plugged=False))
        given.append(cockpit.decide(now, confirm=True).decisions[CP].power_kw)
    assert given[:2] == pytest.approx([LEFT_KW, LEFT_KW])
    assert given[2] > LEFT_KW + 1.0


@pytest.mark.parametrize(("seen", "most_kw"), [("nobody", LEFT_KW), ("its own meter", 11.0)])
def test_a_charger_that_refuses_all_and_shows_nothing_may_do_anything(seen: str, most_kw: float) -> None:
    """It has a car and takes no setpoint: where no meter sees it, it may charge at full power."""
    cockpit = Cockpit()
    cockpit.people.limits = {"x": LIMIT}
    for number in (1, 2):
        cockpit.plug(number)
    cockpit.people.wishes[CAR] = Wishes(asset=CAR, mode=WishKind.CHARGE_NOW)
    if seen == "its own meter":
        cockpit.meter("cp-2", 0.0)
    given = 0.0
    for seconds in (0, 10, 20):
        now = START + timedelta(seconds=seconds)
        decided = cockpit.decide(now)
        given = decided.decisions[CP].power_kw
        for sent in decided.setpoints:
            refuses = sent.asset == NEIGHBOUR
            no = Rejected(setpoint=sent, code="Rejected", why="no")
            cockpit.steering.note(no if refuses else Applied(setpoint=sent), now)
    assert given == pytest.approx(most_kw)
