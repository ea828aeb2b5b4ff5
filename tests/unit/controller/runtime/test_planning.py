"""What is learned of loads and sun, and what the planner is told."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from controller.domain.assets import Booking, Wishes, WishKind
from controller.domain.ids import AssetId, NodeId
from controller.domain.reasons import Reason, ReasonCode
from controller.domain.setpoints import Rejected, Setpoint
from controller.domain.telemetry import InverterReading, LinkReading, MeterReading
from controller.state.model import AHEAD_MAX
from tests.support.neighbourhood import START
from tests.support.running import running

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


async def test_an_estimate_does_not_feed_itself(tmp_path: Path) -> None:
    """Without any meter the high estimate is after an hour what it was at the start (field failure 4)."""
    async with running(tmp_path) as (controller, _, clock):
        controller.steering.memory.heard.assets.update(point.id for point in controller.site.charge_points)
        highs = []
        for _cycle in range(360):
            clock.advance_to(clock.now() + 10 * SECOND)
            base = controller.safety_cycle(clock.now()).base
            highs.append(float((base.high_kw - base.reserved_kw)[0, 0]))
        assert highs[0] > 3.0
        assert highs[-1] == pytest.approx(highs[0], rel=0.2)
        assert all(
            history.latest_kw is None for n, history in controller.forecasts.histories.items() if n != "t"
        )


async def test_a_measured_load_is_learned_and_fades_once_it_is_no_longer_seen(tmp_path: Path) -> None:
    """30 kW at the feeder are expected for the next minutes, and hours later mostly the profile again."""
    async with running(tmp_path) as (controller, _, clock):
        for _cycle in range(6):
            clock.advance_to(clock.now() + 10 * SECOND)
            controller.receive(MeterReading(meter=NodeId("f1"), at=clock.now(), power_kw=30.0))
            controller.safety_cycle(clock.now())
        history = controller.forecasts.histories[NodeId("f1")]
        # What is kept free for silent chargers is not learned.
        assert history.latest_kw == pytest.approx(30.0)
        soon, late = history.forecast_kw([clock.now() + HOUR / 60, clock.now() + 12 * HOUR]).tolist()
        assert soon == pytest.approx(30.0, rel=0.05)
        assert late < 2.0


async def test_a_sky_of_hours_ago_says_nothing_of_now(tmp_path: Path) -> None:
    """At noon the roof made half of a clear sky's; at two nobody has heard of it since."""
    noon = START.replace(hour=11)
    async with running(tmp_path, noon) as (controller, _, _clock):
        forecasts = controller.forecasts
        controller.receive(InverterReading(asset=AssetId("roof"), at=noon, power_kw=-0.5))
        controller.safety_cycle(noon)
        assert forecasts.clearness is not None
        assert 0.0 < forecasts.clearness < 1.5
        forecasts.learn_sun(controller.state, noon + 2 * HOUR)
        assert forecasts.clearness is None


async def test_readings_of_the_future_are_dropped_and_counted(tmp_path: Path) -> None:
    """A meter whose clock is a day ahead must not count as fresh until then."""
    async with running(tmp_path) as (controller, _, _clock):
        controller.receive(MeterReading(meter=NodeId("f1"), at=START + timedelta(days=1), power_kw=1.0))
        controller.receive(MeterReading(meter=NodeId("f2"), at=START + AHEAD_MAX, power_kw=1.0))
        controller.safety_cycle(START)
        assert set(controller.state.meters) == {"f2"}
        assert controller.counters.dropped_readings == 1


async def test_a_restart_brings_back_what_people_have_set(tmp_path: Path) -> None:
    """Wishes and bookings come from the store; a plan is wanted at once."""
    wish = Wishes(asset=AssetId("car-1"), mode=WishKind.PAUSE, never_discharge=True)
    trip = Booking(
        id="b", vehicle=AssetId("car-1"), from_utc=START + HOUR, to_utc=START + 2 * HOUR, energy_kwh=3.0
    )
    async with running(tmp_path) as (controller, _, _clock), controller.store.unit() as unit:
        await unit.put_wishes(wish)
        await unit.put_bookings([trip])
        await unit.put_value("discharge_stopped", "true")
    async with running(tmp_path) as (controller, _, _clock):
        assert controller.people.wishes == {AssetId("car-1"): wish}
        assert controller.people.bookings == {"b": trip}
        assert controller.people.discharge_stopped
        assert controller.replan_because


async def test_a_device_that_is_back_is_planned_for_at_once(tmp_path: Path) -> None:
    """Its first word is none of a return; after a silence what was held back for it is free again."""
    async with running(tmp_path) as (controller, _, _clock):
        controller.replan_because = ""
        for up, wanted in ((True, False), (True, False), (False, False), (True, True)):
            controller.receive(LinkReading(asset=AssetId("cp-1"), at=START, up=up))
            controller.safety_cycle(START)
            assert bool(controller.replan_because) is wanted


async def test_a_link_that_goes_down_takes_its_refusals_along(tmp_path: Path) -> None:
    """What an unreachable charger once refused is no longer of interest."""
    point = AssetId("cp-1")
    setpoint = Setpoint(
        asset=point, power_kw=0.0, valid_until=START + HOUR, safe_kw=0.0, reason=Reason(code=ReasonCode.PLAN)
    )
    async with running(tmp_path) as (controller, _, _clock):
        controller.note(Rejected(setpoint=setpoint, code="Rejected", why="no"))
        assert set(controller.refusals) == {point}
        controller.receive(LinkReading(asset=point, at=START, up=False))
        controller.safety_cycle(START)
        assert controller.refusals == {}
        assert not controller.state.connected(point)
