"""The safe floor over real sockets: what a simulated charger makes of its hours, in each version."""

from __future__ import annotations

from datetime import timedelta

import pytest

from controller.domain.floor import FloorHours
from controller.domain.ids import AssetId
from drivers.ocpp.v21.requests import RANDOM_DELAY_S
from tests.support.ocpp import START, FakeSocket, charge_point, street, until

CAR = "NL-WST-C00000001"
HOUR = timedelta(hours=1)
HOURS = FloorHours(start_s=20 * 3600, length_s=3 * 3600, power_kw=4.14)
"""From 20:00 to 23:00 UTC; the tests begin at 16:00."""


@pytest.mark.parametrize("version", ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"])
@pytest.mark.parametrize("two_way", [True, False], ids=["two-way", "one-way"])
async def test_without_setpoints_a_charger_keeps_its_hours_every_day(version: str, *, two_way: bool) -> None:
    """Nothing before, the least power in them, nothing after; the day after the same. Never a discharge.

    Its maker lets it charge with all it has where no profile holds, which is at no moment.
    """
    point = charge_point(discharge_kw_max=11.0 if two_way else 0.0, fallback_kw=11.0)
    async with street(points=[point], floor={AssetId("cp-001"): HOURS}) as place:
        socket = FakeSocket(token=CAR, soc=0.1, capacity=1000.0)
        charger = place.charger(socket, version=version, point=point)
        await until(lambda: len(charger.core.profiles) == (3 if version == "ocpp2.1" else 2))
        socket.requests.clear()
        for day in range(2):
            drawn = []
            # 2.1 may begin and end later by lot; its hours end earlier by as much.
            for hour, minutes in ((19, 55), (20, 11), (22, 45), (23, 5)):
                at = START.replace(hour=hour, minute=minutes) + day * 24 * HOUR
                place.advance((at - place.clock.now()).total_seconds(), charger, step_s=60.0)
                drawn.append(socket.power)
            assert drawn == [0.0, 4.14, 4.14, 0.0]
        assert max(socket.requests) == 4.14
        assert min(socket.requests) >= 0.0
    assert RANDOM_DELAY_S <= 11 * 60
