"""Guests in the plan: a load for a while, at once, never a store that could be discharged."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from controller.domain.ids import AssetId, NodeId
from controller.domain.reasons import Reason, ReasonCode
from controller.domain.setpoints import Applied, Setpoint
from controller.domain.telemetry import CarReading, ConnectorReading, MeterReading
from controller.runtime.core import Controller
from controller.runtime.strangers import STAY, strangers_kw
from tests.support.neighbourhood import START
from tests.support.running import running

POINT, NODE = AssetId("cp-1"), NodeId("f1")
MINUTE = timedelta(minutes=1)


def _kw(controller: Controller) -> list[float]:
    now = controller.clock.now()
    starts = [now, now + STAY - MINUTE, now + STAY]
    found = strangers_kw(controller.site, controller.state, controller.steering, now, starts)
    return [float(power_kw) for power_kw in found.get(POINT, np.zeros(3))]


def _plug(controller: Controller, token: str | None, transaction: str | None = "tx-1") -> None:
    controller.receive(
        ConnectorReading(
            charge_point=POINT, at=controller.clock.now(), plugged=True, token=token, transaction=transaction
        )
    )
    controller.hear()


async def test_a_guest_is_a_load_of_full_power_for_two_hours(tmp_path: Path) -> None:
    """As far as charger and car can take it; a known car is planned by itself."""
    async with running(tmp_path) as (controller, _, _):
        assert _kw(controller) == [0.0, 0.0, 0.0]
        _plug(controller, "GUEST1", transaction=None)
        assert _kw(controller) == [0.0, 0.0, 0.0]
        _plug(controller, "GUEST1")
        assert _kw(controller) == [11.0, 11.0, 0.0]
        controller.receive(CarReading(charge_point=POINT, at=START, charge_kw_max=7.4))
        controller.hear()
        assert _kw(controller) == [7.4, 7.4, 0.0]
        _plug(controller, "token-1")
        assert _kw(controller) == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(("measured_kw", "expected_kw"), [(3.6, 3.6), (0.02, 0.0)])
async def test_a_guest_that_may_charge_is_reckoned_with_what_it_takes(
    tmp_path: Path, measured_kw: float, expected_kw: float
) -> None:
    """A slow car takes what it can; a full one nothing more."""
    async with running(tmp_path) as (controller, _, clock):
        _plug(controller, "GUEST1")
        setpoint = Setpoint(
            asset=POINT,
            power_kw=11.0,
            valid_until=START + timedelta(hours=1),
            safe_kw=0.0,
            reason=Reason(code=ReasonCode.CHARGE_NOW),
        )
        controller.note(Applied(setpoint=setpoint))
        controller.hear()
        assert _kw(controller)[0] == 11.0
        clock.advance_to(START + MINUTE)
        controller.receive(MeterReading(meter=POINT, at=clock.now(), power_kw=measured_kw))
        controller.hear()
        assert _kw(controller)[0] == pytest.approx(expected_kw)


async def test_the_plan_has_a_guest_in_its_load_and_in_no_store(tmp_path: Path) -> None:
    """So what is planned for others leaves room for it, on the phase of its charge point.

    What homes are expected to use, to buy and to count as without a meter, stays what it was.
    """
    async with running(tmp_path) as (controller, _, clock):
        before = controller.horizon(clock.now())
        _plug(controller, "GUEST1")
        horizon = controller.horizon(clock.now())
        (guest,) = (load for load in horizon.inputs.fixed if load.id == POINT)
        assert (guest.node, guest.power_kw[0], guest.power_kw[-1]) == (NODE, 11.0, 0.0)
        assert POINT not in horizon.charge_point_of.values()
        assert [
            node for node in horizon.base_kw if (horizon.base_kw[node] != before.base_kw[node]).any()
        ] == []
        assert horizon.base_kw.keys() == before.base_kw.keys()
