"""How far the safety loop relies on what cars told of their batteries."""

from __future__ import annotations

from datetime import timedelta

import pytest

from controller.domain.ids import AssetId
from controller.domain.telemetry import CarReading
from tests.support.neighbourhood import START
from tests.support.running import Cockpit

CP = AssetId("cp-1")


@pytest.mark.parametrize("soc", [None, 0.5])
def test_a_state_of_charge_is_as_old_as_its_reading(soc: float | None) -> None:
    """What else the car tells, and what is only told again, does not make it younger."""
    cockpit = Cockpit()
    cockpit.plug(1, soc=0.5)
    later = START + timedelta(seconds=cockpit.settings.meter_stale_s + 1.0)
    told_at = None if soc is None else START
    cockpit.hear(CarReading(charge_point=CP, at=later, soc_fraction=soc, soc_at=told_at, charge_kw_max=7.0))
    assert cockpit.state.cars[CP].charge_kw_max == 7.0
    assert cockpit.steering.energy_kwh(cockpit.state, CP, later) is None
    cockpit.hear(CarReading(charge_point=CP, at=later, soc_fraction=0.5))
    assert cockpit.steering.energy_kwh(cockpit.state, CP, later) == pytest.approx(30.0)
