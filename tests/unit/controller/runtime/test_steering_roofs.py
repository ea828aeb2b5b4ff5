"""What the safety loop has roofs make."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from controller.domain.ids import AssetId, NodeId
from controller.domain.network import ImposedLimit
from controller.domain.telemetry import InverterReading
from controller.runtime.plan import ActivePlan
from tests.support.neighbourhood import START
from tests.support.running import Cockpit, plan_of

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


def export_limit(export_kw: float, since: datetime) -> ImposedLimit:
    """What the grid operator lets the feeder give at most."""
    return ImposedLimit(
        id="x",
        node=NodeId("f1"),
        import_kw=None,
        export_kw=export_kw,
        from_utc=since,
        to_utc=None,
        set_by="grid",
    )


def plan_of_sun(cockpit: Cockpit, available_kw: float, planned_kw: float) -> ActivePlan:
    """A plan of one quarter-hour that uses so much of what the roof could make."""
    plan, node = plan_of(cockpit, 30.0, 0.0), NodeId("f1")
    powers = {**plan.result.power_kw, AssetId(f"sun:{node}"): np.array([-planned_kw])}
    return ActivePlan(
        horizon=replace(plan.horizon, sun_kw={node: np.array([available_kw])}),
        result=replace(plan.result, power_kw=powers),
    )


@pytest.mark.parametrize(
    ("available_kw", "planned_kw", "shines_kw", "told_kw"),
    [
        (2.5, 1.5, -2.5, [-1.5]),
        (2.5, 1.5, -4.0, [-1.5]),
        (2.5, 0.0, -2.5, [0.0]),
        (2.5, 2.5, -4.0, []),
    ],
)
def test_a_roof_makes_no_more_than_the_plan_uses(
    available_kw: float, planned_kw: float, shines_kw: float, told_kw: list[float]
) -> None:
    """In kW, whatever the sun does and the inverter's 5 kW are; free where the plan uses all of it."""
    cockpit, roof = Cockpit(), AssetId("roof")
    cockpit.hear(InverterReading(asset=roof, at=START, power_kw=shines_kw))
    cockpit.meter("f1", shines_kw)
    cockpit.meter("roof", shines_kw)
    cockpit.plan = plan_of_sun(cockpit, available_kw, planned_kw)
    told = [s.power_kw for s in cockpit.decide(confirm=True).setpoints if s.asset == roof]
    assert told == pytest.approx(told_kw)


def test_a_full_car_that_is_told_to_charge_lets_no_roof_feed_in_more() -> None:
    """2 kW may flow up; the car is told 4.14 and takes nothing: the roof is turned down all the time."""
    cockpit, roof, made_kw = Cockpit(), AssetId("roof"), 5.0
    cockpit.people.limits = {"x": export_limit(2.0, START)}
    cockpit.plug(1)
    for i in range(12):
        at = START + i * 10 * SECOND
        cockpit.hear(InverterReading(asset=roof, at=at, power_kw=-made_kw, limited=made_kw < 5.0))
        for name, power_kw in (("roof", -made_kw), ("cp-1", 0.0), ("f1", -made_kw)):
            cockpit.meter(name, power_kw, at)
        decided = cockpit.decide(at, confirm=True).decisions
        made_kw = -decided[roof].power_kw
        assert decided[AssetId("cp-1")].power_kw >= 4.0
        assert made_kw <= 2.0


def test_a_car_that_charges_by_it_lets_the_roof_go() -> None:
    """The same, but the car takes what it is told: from then on the roof makes its 5 kW."""
    cockpit, roof, made_kw, taken_kw = Cockpit(), AssetId("roof"), 5.0, 0.0
    cockpit.people.limits = {"x": export_limit(2.0, START)}
    cockpit.plug(1)
    for i in range(4):
        at = START + i * 10 * SECOND
        cockpit.hear(InverterReading(asset=roof, at=at, power_kw=-made_kw, limited=made_kw < 5.0))
        for name, power_kw in (("roof", -made_kw), ("cp-1", taken_kw), ("f1", taken_kw - made_kw)):
            cockpit.meter(name, power_kw, at)
        decided = cockpit.decide(at, confirm=True).decisions
        made_kw, taken_kw = -decided[roof].power_kw, decided[AssetId("cp-1")].power_kw
    assert [made_kw, taken_kw] == pytest.approx([5.0, 4.14])


def test_a_clock_that_is_set_back_ends_no_limit() -> None:
    """By an hour: what is read counts at once, and the roof's limit of 2 kW is renewed before it runs out.

    Its inverter would else make its 5 kW again after ten minutes, for as long as the clock was wrong.
    """
    cockpit = Cockpit()
    cockpit.people.limits = {"x": export_limit(2.0, START - HOUR)}
    roof, renewed = AssetId("roof"), []
    cockpit.hear(InverterReading(asset=roof, at=START, power_kw=-5.0))
    cockpit.meter("f1", -5.0)
    cockpit.meter("roof", -5.0)
    cockpit.decide(confirm=True)
    back = START - HOUR + 60 * SECOND
    for i in range(2):
        cockpit.hear(InverterReading(asset=roof, at=back + i * SECOND, power_kw=-1.94, limited=True))
        cockpit.meter("f1", -1.94, back + i * SECOND)
        cockpit.meter("roof", -1.94, back + i * SECOND)
        sent = cockpit.decide(back + i * SECOND, confirm=True).setpoints
        renewed.append([s for s in sent if s.asset == roof])
    assert cockpit.state.meters["f1"].power_kw == -1.94
    assert [s.power_kw for s in renewed[0]] == [pytest.approx(-1.94)]
    assert cockpit.steering.confirmed[roof].at <= back + SECOND
