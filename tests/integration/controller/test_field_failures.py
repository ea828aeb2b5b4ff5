"""Field failures whose cure is the safety loop's decision: simulated chargers with the fault, real sockets.

A test's name begins with its row. The other rows stand in tests/protocol/drivers/ocpp/test_field_failures.py.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from controller.domain.ids import AssetId
from controller.domain.setpoints import SAFE_TAIL, NotSent
from controller.runtime.silence import RESERVE_MARGIN_S
from sim.chargers.faults import Fault
from tests.support.field import AWAY, PERIOD_S, field
from tests.support.neighbourhood import site
from tests.support.ocpp import setpoint
from tests.support.running import Cockpit, plan_of

FEEDER_A = 25.0
"""17.25 kW: two cars of 11 kW and a home do not fit."""
FLOOR_KW = 4.2


def _cockpit(**safety: Any) -> Cockpit:
    return Cockpit(of=site(FEEDER_A), load_kw={"home": 1.0, "school": 0.0}, **safety)


@pytest.mark.parametrize("metered", [True, False])
async def test_01_silent_charger_keeps_its_last_setpoint_reserved_until_it_has_run_out(
    *, metered: bool
) -> None:
    """Lbbrhzn/ocpp 492: 0 A was sent to a charger that had dropped off, and the breaker opened.

    Here nothing is believed to be sent, and the other car gets no more than what is left beside the silent
    one's last setpoint; only when that is over, and a margin longer, it gets more.
    """
    cockpit = _cockpit()
    async with field(cockpit, cp_1=AWAY) as place:
        place.metered = metered
        first = place.plug(1)
        await place.run(30)
        assert first.power == 11.0
        await place.lose(1)
        assert isinstance(await place.place.endpoint.set_power(setpoint(0.0, asset="cp-1")), NotSent)
        second = place.plug(2)
        life_s = cockpit.settings.setpoint_life_s
        most_kw = -11.0
        for _ in range(int((life_s - 60) / PERIOD_S)):
            await place.run(PERIOD_S)
            assert first.power == 11.0
            assert place.flow_kw <= place.limit_kw
            most_kw = max(most_kw, second.power)
        await place.run(RESERVE_MARGIN_S + 120)
        assert first.power == FLOOR_KW
        assert second.power > most_kw
        assert place.flow_kw <= place.limit_kw


async def test_01_silent_charger_that_ever_ignored_its_profile_counts_in_full() -> None:
    """Who was seen to ignore a profile may do anything once it is not heard any more."""
    cockpit = _cockpit()
    async with field(cockpit, cp_1={"faults": [Fault.IGNORES_PROFILES], **AWAY}) as place:
        socket = place.plug(1, charge_now=False)
        await place.run(300)
        assert socket.power == 11.0
        assert AssetId("cp-1") in cockpit.state.obedience
        await place.lose(1)
        later = cockpit.settings.setpoint_life_s + RESERVE_MARGIN_S + 60
        place.place.clock.advance_to(place.place.clock.now() + timedelta(seconds=later))
        cycle = await place.cycle()
        assert cycle.base.reserved_kw[cockpit.place("f1"), 0] == pytest.approx(11.0)


async def test_02_profile_does_not_outlive_the_link_for_long() -> None:
    """Libocpp 781: OCPP obliges a charger to keep a stale profile for ever. Ours end by themselves."""
    cockpit = _cockpit()
    async with field(cockpit, cp_1=AWAY) as place:
        socket = place.plug(1)
        await place.run(30)
        assert socket.power == 11.0
        await place.lose(1)
        charger = place.chargers[1]
        end = place.place.clock.now() + timedelta(seconds=cockpit.settings.setpoint_life_s) + SAFE_TAIL
        assert charger.power_request(end) == FLOOR_KW
        assert charger.power_request(end + timedelta(days=3)) == FLOOR_KW
        assert {profile.purpose for profile in charger.core.profiles} >= {
            "ChargingStationMaxProfile",
            "TxDefaultProfile",
        }


async def test_02_charger_that_drops_its_profile_off_line_is_met_by_the_feeders_meter() -> None:
    """Go-eCharger 217: off line it resumes at full power. The others make room within two cycles."""
    cockpit = _cockpit()
    async with field(cockpit, cp_1={"faults": [Fault.DROPS_PROFILES_OFFLINE], **AWAY}) as place:
        faulty, second = place.plug(1), place.plug(2)
        await place.run(60)
        assert place.flow_kw <= place.limit_kw
        assert faulty.power < 11.0
        before_kw = second.power
        await place.lose(1)
        assert faulty.power == 11.0
        await place.run(2 * PERIOD_S)
        assert second.power < before_kw
        assert place.flow_kw <= place.limit_kw


async def test_03_where_no_setpoint_is_valid_the_floor_holds_and_not_the_makers_maximum() -> None:
    """Libocpp assumed 48 A where no profile was valid. Below every setpoint lies an endless default."""
    cockpit = _cockpit()
    maker = replace(cockpit.site.charge_points[0], fallback_kw=11.0)
    async with field(cockpit, cp_1={"point": maker, **AWAY}) as place:
        place.plug(1)
        await place.run(30)
        await place.lose(1)
        charger = place.chargers[1]
        later = place.place.clock.now() + timedelta(days=2)
        assert charger.power_request(later) == FLOOR_KW
        assert charger.core.composite(later).source == "TxDefaultProfile"


async def test_04_charging_begins_with_no_more_than_what_is_free() -> None:
    """Evcc 26380: set to 13.8 A with 6.8 A free. The first setpoint knows what flows already."""
    cockpit = _cockpit()
    async with field(cockpit) as place:
        place.base_kw = 12.0
        await place.cycle()
        socket = place.plug(1)
        for _ in range(6):
            await place.run(PERIOD_S)
            assert place.flow_kw <= place.limit_kw
        assert max(socket.requests) <= place.limit_kw - 12.0
        assert socket.power > 0.0


async def test_04_lost_meter_leaves_nothing_running_that_did_not_fit() -> None:
    """Evcc 14248: a lost meter left 3 x 16 A running. It counts as no less than its last."""
    cockpit = _cockpit()
    async with field(cockpit) as place:
        place.base_kw = 12.0
        await place.cycle()
        socket = place.plug(1)
        await place.run(60)
        place.metered = False
        for _ in range(60):
            await place.run(PERIOD_S)
            assert place.flow_kw <= place.limit_kw
        assert max(socket.requests) <= place.limit_kw - 12.0


async def test_12_discharge_is_no_more_than_the_car_can() -> None:
    """EVerest PR 2703: 11 kW was offered where less is possible. The smaller of all limits counts."""
    cockpit = _cockpit()
    async with field(cockpit, cp_1={"faults": [Fault.DISCHARGE_SIGN]}) as place:
        socket = place.plug(1, charge_now=False)
        socket.discharge_kw_max = 5.0
        await place.run(60)
        cockpit.plan = plan_of(cockpit, 20.0, -11.0, at=place.place.clock.now())
        cycle = await place.run(PERIOD_S)
        assert cycle.decisions[AssetId("cp-1")].power_kw == pytest.approx(-5.0)
        assert socket.power == pytest.approx(-5.0)
