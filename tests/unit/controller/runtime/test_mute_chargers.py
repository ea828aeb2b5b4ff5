"""Room for chargers that are connected again and have not told yet what they do."""

from __future__ import annotations

from datetime import timedelta

import pytest

from controller.domain.assets import Wishes, WishKind
from controller.domain.ids import AssetId, NodeId
from controller.domain.network import ImposedLimit
from controller.domain.telemetry import ConnectorReading
from tests.support.neighbourhood import START
from tests.support.running import Cockpit

CP, NEIGHBOUR, CAR = AssetId("cp-1"), AssetId("cp-2"), AssetId("car-1")


def test_a_connection_alone_frees_nothing() -> None:
    """We were started anew, and the neighbour may still charge with the 11 kW that we told it before.

    Of 20 x 0.97 - 1 kW the car gets what is left, also once the neighbour is connected; more, once that has
    told that no car is there.
    """
    cockpit = Cockpit(mute=[NEIGHBOUR])
    cockpit.people.limits = {
        "x": ImposedLimit(
            id="x",
            node=NodeId("f1"),
            import_kw=20.0,
            export_kw=None,
            from_utc=START,
            to_utc=None,
            set_by="grid",
        )
    }
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
    left_kw = 20.0 * 0.97 - 1.0 - 11.0
    assert given[:2] == pytest.approx([left_kw, left_kw])
    assert given[2] > left_kw + 1.0
