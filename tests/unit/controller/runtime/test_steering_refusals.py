"""What the safety loop does with a device that refuses its setpoints."""

from __future__ import annotations

from datetime import timedelta

import pytest

from controller.domain.ids import AssetId
from controller.domain.setpoints import Applied, Rejected, Setpoint
from controller.domain.telemetry import ConnectorReading, LinkReading
from tests.support.neighbourhood import START
from tests.support.running import Cockpit

CP = AssetId("cp-1")
CYCLE = timedelta(seconds=10)


def asked(cockpit: Cockpit, cycle: int) -> Setpoint | None:
    """What the charger is told in a cycle."""
    sent = [s for s in cockpit.decide(START + cycle * CYCLE).setpoints if s.asset == CP]
    return sent[0] if sent else None


def refused_for(cockpit: Cockpit, cycles: int) -> list[int]:
    """The cycles in which a charger is asked that refuses each time."""
    found = []
    for cycle in range(cycles):
        cockpit.plug(1, START + cycle * CYCLE)
        if (setpoint := asked(cockpit, cycle)) is not None:
            found.append(cycle)
            cockpit.steering.note(
                Rejected(setpoint=setpoint, code="Rejected", why="no"), START + cycle * CYCLE
            )
    return found


def test_a_charger_that_refuses_is_asked_less_and_less_often() -> None:
    """It would wear its memory and spend its data bundle on 8,640 refusals a day."""
    assert refused_for(Cockpit(), 20) == [0, 1, 2, 4, 8, 16]


@pytest.mark.parametrize("event", ["another car", "a new link", "it took one"])
def test_it_is_asked_at_once_when_it_may_think_otherwise(event: str) -> None:
    """Each of these may have been the cause."""
    cockpit = Cockpit()
    assert refused_for(cockpit, 11)[-1] == 8
    later = START + 11 * CYCLE
    assert asked(cockpit, 11) is None
    if event == "another car":
        cockpit.hear(ConnectorReading(charge_point=CP, at=later, plugged=False))
        cockpit.plug(1, later, tx="another")
    elif event == "a new link":
        cockpit.hear(LinkReading(asset=CP, at=later, up=False))
        cockpit.hear(LinkReading(asset=CP, at=later, up=True))
    else:
        refused = cockpit.decide(START).setpoints[0]
        short = Setpoint(
            asset=CP, power_kw=1.0, valid_until=later + CYCLE, safe_kw=0.0, reason=refused.reason
        )
        cockpit.steering.note(Applied(setpoint=short), later)
    assert asked(cockpit, 12) is not None
