"""One safety cycle at a time, from hand-made readings."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from controller.domain.assets import Wishes, WishKind
from controller.domain.ids import AssetId, NodeId
from controller.domain.network import ImposedLimit, Network
from controller.domain.reasons import Reason, ReasonCode
from controller.domain.setpoints import Applied, Rejected, Setpoint, TimedOut
from controller.domain.telemetry import ConnectorReading, LinkReading, ObedienceReading
from controller.runtime.ports import Lockout
from controller.setpoints.safety import Decision
from tests.support.neighbourhood import START, site
from tests.support.running import Cockpit, plan_of

SECOND = timedelta(seconds=1)
CP = AssetId("cp-1")


def imposed(node: str, *, import_kw: float | None = None, export_kw: float | None = None) -> ImposedLimit:
    """A grid operator's limit without an end."""
    return ImposedLimit(
        id="x",
        node=NodeId(node),
        import_kw=import_kw,
        export_kw=export_kw,
        from_utc=START - timedelta(hours=1),
        to_utc=None,
        set_by="grid",
    )


def setpoint(power_kw: float, *, life_s: float = 600.0) -> Setpoint:
    """A setpoint for the first charger."""
    return Setpoint(
        asset=CP,
        power_kw=power_kw,
        valid_until=START + life_s * SECOND,
        safe_kw=4.2,
        reason=Reason(code=ReasonCode.PLAN),
    )


@pytest.mark.parametrize(
    ("after_s", "kept_kw"), [(10, 11.0), (629, 11.0), (631, 4.2)], ids=["at once", "in the margin", "spent"]
)
def test_a_silent_charger_counts_as_what_it_confirmed_then_as_its_fallback(
    after_s: int, kept_kw: float
) -> None:
    """11 kW for ten minutes, 30 s of margin, then 4.2 kW (field failure 1)."""
    cockpit = Cockpit()
    cockpit.plug(1)
    cockpit.decide()
    cockpit.steering.note(Applied(setpoint=setpoint(11.0)), START)
    cockpit.steerable -= {CP}
    cycle = cockpit.decide(START + after_s * SECOND)
    assert cycle.base.reserved_kw[cockpit.place("f1"), 0] == pytest.approx(kept_kw)
    assert cycle.base.reserved_kw[cockpit.place("t"), 0] == pytest.approx(kept_kw)


@pytest.mark.parametrize("first", [11.0, 0.0])
def test_an_unanswered_setpoint_and_the_one_before_both_count(first: float) -> None:
    """Whichever of 11 and 0 kW was the last word, a charger that fell silent may draw 11."""
    cockpit = Cockpit()
    cockpit.plug(1)
    cockpit.decide()
    cockpit.steering.note(Applied(setpoint=setpoint(first)), START)
    cockpit.steering.note(TimedOut(setpoint=setpoint(11.0 - first), why="silence"), START)
    cockpit.steerable -= {CP}
    cycle = cockpit.decide(START + 20 * SECOND)
    assert cycle.base.reserved_kw[cockpit.place("f1"), 0] == pytest.approx(11.0)


def test_an_unanswered_setpoint_is_sent_again() -> None:
    """Also where the wish is back at what was confirmed before: nobody knows what the charger took."""
    cockpit = Cockpit()
    cockpit.plug(1)
    wanted = cockpit.decide(confirm=True).decisions[CP].power_kw
    assert not [s for s in cockpit.decide(START + 10 * SECOND).setpoints if s.asset == CP]
    cockpit.steering.note(TimedOut(setpoint=setpoint(7.0), why="silence"), START)
    again = [s for s in cockpit.decide(START + 20 * SECOND).setpoints if s.asset == CP]
    assert [s.power_kw for s in again] == [wanted]


def test_a_refused_setpoint_leaves_what_was_confirmed() -> None:
    """The charger said that nothing has changed in it."""
    cockpit = Cockpit()
    cockpit.plug(1)
    cockpit.decide()
    cockpit.steering.note(Applied(setpoint=setpoint(11.0)), START)
    cockpit.steering.note(Rejected(setpoint=setpoint(0.0), code="Rejected", why="no"), START)
    assert cockpit.steering.confirmed[CP].power_kw == 11.0


def test_a_charger_never_heard_of_since_the_start_may_do_anything_it_was_told_before() -> None:
    """After a restart an old setpoint may still hold: its rating counts, then its fallback."""
    cockpit = Cockpit()
    cockpit.steerable -= {CP}
    f1 = cockpit.place("f1")
    assert cockpit.decide().base.reserved_kw[f1, 0] == pytest.approx(11.0)
    assert cockpit.decide(START + 700 * SECOND).base.reserved_kw[f1, 0] == pytest.approx(4.2)


def test_a_charger_that_ever_ignored_a_profile_counts_in_full_when_it_is_silent() -> None:
    """Its hardware's maximum, for good: what it was told last says nothing (field failures 1 and 16)."""
    cockpit = Cockpit()
    cockpit.plug(1)
    cockpit.decide(confirm=True)
    cockpit.hear(ObedienceReading(charge_point=CP, at=START, ignores=True))
    cockpit.hear(ObedienceReading(charge_point=CP, at=START + SECOND, ignores=False))
    cockpit.steerable -= {CP}
    late = cockpit.decide(START + timedelta(hours=2))
    assert late.base.reserved_kw[cockpit.place("f1"), 0] == pytest.approx(11.0)


def test_others_get_no_power_that_a_disobedient_charger_may_take() -> None:
    """It draws 5 kW against its word: 11 stay free for it, and what its neighbour gets is for sure.

    The feeder bears 34.5 kW x 0.97; its meter shows 25 kW, of which the two chargers draw 5 and 0.
    """
    cockpit = Cockpit()
    for number in (1, 2):
        cockpit.plug(number)
        car = AssetId(f"car-{number}")
        cockpit.people.wishes[car] = Wishes(asset=car, mode=WishKind.CHARGE_NOW)
    cockpit.meter("f1", 25.0)
    cockpit.meter("cp-1", 5.0)
    cockpit.meter("cp-2", 0.0)
    both = cockpit.decide().decisions
    assert both[CP].power_kw + both[AssetId("cp-2")].power_kw >= 11.0
    cockpit.hear(ObedienceReading(charge_point=CP, at=START, ignores=True))
    cycle = cockpit.decide()
    assert cycle.decisions[CP] == Decision(
        asset=CP, power_kw=0.0, reason=Reason(code=ReasonCode.IGNORES_PROFILE, subject=CP)
    )
    assert 0.0 in {s.power_kw for s in cycle.setpoints if s.asset == CP}
    # 2.5 kW are left for it, which is less than it can charge with.
    assert cycle.decisions[AssetId("cp-2")].power_kw == 0.0
    cockpit.hear(ObedienceReading(charge_point=CP, at=START + SECOND, ignores=False))
    after = cockpit.decide(START + SECOND).decisions
    assert after[CP].power_kw + after[AssetId("cp-2")].power_kw >= 11.0


@pytest.mark.parametrize(("metered_kw", "told_kw"), [(30.0, 0.0), (40.0, -6.535)])
def test_nobody_gives_back_for_what_a_silent_charger_might_draw(metered_kw: float, told_kw: float) -> None:
    """Its 11 kW keep others from charging; they discharge for what the feeder's live meter shows alone.

    The feeder bears 34.5 kW x 0.97 = 33.465: with 30 there is room, with 40 there are 6.535 too many.
    """
    cockpit = Cockpit()
    cockpit.plug(1)
    cockpit.plug(2)
    car = AssetId("car-2")
    cockpit.people.wishes[car] = Wishes(asset=car, mode=WishKind.CHARGE_NOW)
    cockpit.decide(confirm=True)
    cockpit.steering.note(Applied(setpoint=setpoint(11.0)), START)
    cockpit.steerable -= {CP}
    cockpit.meter("f1", metered_kw)
    cockpit.meter("cp-2", 0.0)
    cycle = cockpit.decide(START + SECOND)
    assert cycle.base.reserved_kw[cockpit.place("f1"), 0] == pytest.approx(11.0)
    assert cycle.decisions[AssetId("cp-2")].power_kw == pytest.approx(told_kw)


def test_plan_changes_wait_when_a_charger_has_had_its_messages() -> None:
    """Its budget is spent: a new plan waits for the renewal, a person's stop does not."""
    cockpit = Cockpit(setpoints_per_day=1)
    cockpit.plug(1)
    sent = []
    for i in range(60):
        now = START + i * SECOND
        cockpit.plan = plan_of(cockpit, 31.0 + i % 2, 5.0, at=START)
        sent += [s for s in cockpit.decide(now, confirm=True).setpoints if s.asset == CP]
    assert 40 <= len(sent) <= 42
    later = START + 345 * SECOND
    assert [s for s in cockpit.decide(later, confirm=True).setpoints if s.asset == CP]
    car = AssetId("car-1")
    cockpit.people.wishes[car] = Wishes(asset=car, mode=WishKind.PAUSE)
    paused = [s for s in cockpit.decide(later + SECOND).setpoints if s.asset == CP]
    assert [s.power_kw for s in paused] == [0.0]


def test_a_silent_charger_may_feed_in_and_a_silent_roof_does() -> None:
    """Without a node meter both count against export; with one, what it shows counts."""
    cockpit = Cockpit()
    cockpit.plug(1)
    cockpit.decide()
    cockpit.steering.note(Applied(setpoint=setpoint(-11.0)), START)
    cockpit.steerable -= {CP, AssetId("roof")}
    assert cockpit.base_low_kw(cockpit.decide(START + 10 * SECOND), "f1") == pytest.approx(-11.0 - 5.0)
    cockpit.meter("f1", 3.0, START + 100 * SECOND)
    low = [cockpit.base_low_kw(cockpit.decide(START + i * 10 * SECOND), "f1") for i in range(10, 22)]
    # The recent mean fades out within a minute or two.
    assert low[0] < 0.0
    assert low[-1] > 0.0


def test_a_single_phase_charger_that_is_silent_counts_on_its_phase() -> None:
    """4.2 kW of unknown phase counts in full on each."""
    from controller.domain.assets import Phases

    base = site()
    points = (replace(base.charge_points[0], phases=Phases.L2), *base.charge_points[1:])
    cockpit = Cockpit(of=replace(base, charge_points=points))
    cockpit.decide()
    cockpit.steerable -= {CP}
    kept = cockpit.decide(START + 5 * SECOND).base.reserved_kw[cockpit.place("f1")]
    assert kept.tolist() == pytest.approx([4.2, 0.0, 4.2, 0.0])


def test_without_any_meter_loads_count_at_their_high_end() -> None:
    """Home 1 and school 4 kW; for export as nothing at all."""
    cockpit = Cockpit()
    cycle = cockpit.decide()
    assert cockpit.base_high_kw(cycle, "t") == pytest.approx(5.0)
    assert cockpit.base_low_kw(cycle, "t") == 0.0
    assert cycle.base.observed_fraction[cockpit.place("t")] == 0.0


def test_a_stale_load_meter_never_counts_below_its_last_value() -> None:
    """The school's meter said 20 kW an hour ago; its forecast says at most 4."""
    cockpit = Cockpit()
    cockpit.meter("school", 20.0, START - timedelta(hours=1))
    assert cockpit.base_high_kw(cockpit.decide(), "f2") == pytest.approx(20.0)


def test_a_live_node_meter_overrides_the_sum_and_a_stale_one_never_counts_for_less() -> None:
    """30 kW while it is live and after it has fallen silent, though the loads below say 1 (failure 4)."""
    cockpit = Cockpit()
    cockpit.meter("f1", 30.0)
    assert cockpit.base_high_kw(cockpit.decide(), "f1") == pytest.approx(30.0)
    later = START + timedelta(minutes=30)
    cycle = cockpit.decide(later)
    assert cockpit.base_high_kw(cycle, "f1") == pytest.approx(30.0)
    assert cycle.base.observed_fraction[cockpit.place("f1")] == 0.0


def test_what_is_taken_up_after_a_meter_was_read_makes_no_room() -> None:
    """20 of 34.5 kW are in use when the feeder's meter is lost: one car gets 11, and nobody gets more for it.

    Not in the two minutes in which that reading counts as live, nor after them.
    """
    cockpit = Cockpit()
    cockpit.meter("f1", 20.0)
    for number in (1, 2):
        cockpit.plug(number)
        car = AssetId(f"car-{number}")
        cockpit.people.wishes[car] = Wishes(asset=car, mode=WishKind.CHARGE_NOW)
    for i in range(40):
        told = cockpit.decide(START + i * 10 * SECOND, confirm=True).decisions
        assert 11.0 <= told[CP].power_kw + told[AssetId("cp-2")].power_kw <= 33.465 - 20.0


def test_a_chargers_stale_meter_takes_nothing_off_the_feeders() -> None:
    """It said 11 kW half an hour ago and no setpoint holds: the feeder's 20 kW may all be the homes'."""
    cockpit = Cockpit()
    late = START + timedelta(minutes=30)
    for number in (1, 2):
        cockpit.plug(number)
        car = AssetId(f"car-{number}")
        cockpit.people.wishes[car] = Wishes(asset=car, mode=WishKind.CHARGE_NOW)
    cockpit.meter("cp-1", 11.0)
    cockpit.meter("f1", 20.0, late)
    told = cockpit.decide(late).decisions
    assert told[CP].power_kw + told[AssetId("cp-2")].power_kw <= 33.465 - 20.0


@pytest.mark.parametrize("again", [False, True], ids=["once", "and a cycle in between"])
def test_what_is_taken_up_right_after_a_meter_was_read_makes_no_room(*, again: bool) -> None:
    """As before, but the last reading is from between the cycle and the car's confirmation.

    It is heard after that, and shows the 20 kW that were there without the car.
    """
    cockpit = Cockpit()
    cockpit.meter("f1", 20.0, START - 5 * SECOND)
    for number in (1, 2):
        cockpit.plug(number)
        car = AssetId(f"car-{number}")
        cockpit.people.wishes[car] = Wishes(asset=car, mode=WishKind.CHARGE_NOW)
    for sent in cockpit.decide().setpoints:
        cockpit.steering.note(Applied(setpoint=sent), START + 0.5 * SECOND)
    if again:
        cockpit.decide(START + SECOND, confirm=True)
    cockpit.meter("f1", 20.0, START + 0.2 * SECOND)
    for i in range(1, 40):
        told = cockpit.decide(START + i * 10 * SECOND, confirm=True).decisions
        assert 11.0 <= told[CP].power_kw + told[AssetId("cp-2")].power_kw <= 33.465 - 20.0


def test_a_stale_meter_makes_nobody_discharge() -> None:
    """The feeder's meter shows 40 kW, 6.535 too many, and falls silent: from then on nobody gives back.

    Nor for the school's 40 kW of an hour ago; nobody charges either.
    """
    cockpit = Cockpit()
    cockpit.plug(1)
    cockpit.plug(3)
    cockpit.meter("f1", 40.0)
    cockpit.meter("school", 40.0, START - timedelta(hours=1))
    told = cockpit.decide(confirm=True).decisions
    assert told[CP].power_kw == pytest.approx(-6.535)
    assert told[AssetId("cp-3")].power_kw == 0.0
    for minutes in range(3, 8):
        told = cockpit.decide(START + timedelta(minutes=minutes), confirm=True).decisions
    assert (told[CP].power_kw, told[AssetId("cp-3")].power_kw) == (0.0, 0.0)


def test_live_meters_of_loads_are_reason_enough_to_discharge() -> None:
    """The school shows 40 kW now on a feeder of 34.5 kW without a meter of its own: the car gives 6.5.

    Once, though the feeder as a whole and each of its phases is over.
    """
    cockpit = Cockpit()
    cockpit.plug(3)
    cockpit.meter("school", 40.0)
    assert cockpit.decide().decisions[AssetId("cp-3")].power_kw == pytest.approx(-6.535)


def test_a_live_meter_above_a_stale_one_decides() -> None:
    """The transformer's meter is live: its own row does not care for the feeder's."""
    cockpit = Cockpit()
    cockpit.meter("f1", 30.0, START - timedelta(hours=1))
    cockpit.meter("t", 8.0)
    cycle = cockpit.decide()
    assert cockpit.base_high_kw(cycle, "t") == pytest.approx(8.0)
    assert cockpit.base_high_kw(cycle, "f1") == pytest.approx(1.0)


def test_a_meter_dated_far_ahead_is_not_fresh_for_ever() -> None:
    """A clock that is a year ahead: its reading counts for nothing."""
    cockpit = Cockpit()
    cockpit.meter("f1", 0.5, START + timedelta(days=365))
    assert cockpit.base_high_kw(cockpit.decide(), "f1") == pytest.approx(1.0)


def test_all_chargers_share_a_feeder_in_one_cycle() -> None:
    """34.5 kW x 0.97 less 20 kW of homes leaves 13.5, and both are told in one cycle (failure 7)."""
    cockpit = Cockpit()
    for number in (1, 2):
        cockpit.plug(number)
        cockpit.people.wishes[AssetId(f"car-{number}")] = Wishes(
            asset=AssetId(f"car-{number}"), mode=WishKind.CHARGE_NOW
        )
    cockpit.meter("f1", 20.0)
    cycle = cockpit.decide()
    powers = [cycle.decisions[AssetId(f"cp-{n}")].power_kw for n in (1, 2)]
    assert sum(powers) <= 34.5 * 0.97 - 20.0 + 1e-6
    assert sum(powers) >= 11.0
    assert len({s.asset for s in cycle.setpoints} & {"cp-1", "cp-2"}) == 2


def test_the_grid_operators_limit_binds_with_its_reason() -> None:
    """6 kW on the feeder: less the margin and the home, 4.8 kW are left for the car that wants 11."""
    cockpit = Cockpit()
    cockpit.plug(1)
    cockpit.people.wishes[AssetId("car-1")] = Wishes(asset=AssetId("car-1"), mode=WishKind.CHARGE_NOW)
    cockpit.people.limits = {"x": imposed("f1", import_kw=6.0)}
    decision = cockpit.decide().decisions[CP]
    assert decision.power_kw == pytest.approx(6.0 * 0.97 - 1.0)
    assert decision.reason.code is ReasonCode.GRID_OPERATOR_LIMIT
    assert (decision.reason.subject, decision.reason.value) == ("f1", 6.0)


def test_a_limit_on_a_node_without_limits_of_its_own_binds() -> None:
    """The root has none: an imposed import limit of 6 kW is one all the same."""
    base = site()
    nodes = tuple(replace(node, limits=()) if node.parent is None else node for node in base.network.nodes)
    cockpit = Cockpit(of=replace(base, network=Network(nodes)))
    cockpit.plug(1)
    cockpit.people.wishes[AssetId("car-1")] = Wishes(asset=AssetId("car-1"), mode=WishKind.CHARGE_NOW)
    cockpit.people.limits = {"x": imposed("t", import_kw=12.0)}
    decision = cockpit.decide().decisions[CP]
    assert decision.power_kw <= 12.0 * 0.97 - 5.0 + 1e-6
    assert decision.reason.code is ReasonCode.GRID_OPERATOR_LIMIT


def test_an_export_limit_binds_discharge_and_names_itself() -> None:
    """The plan discharges 11 kW, 5 kW may go up and the home uses nothing for certain."""
    cockpit = Cockpit()
    cockpit.plug(1)
    cockpit.plan = plan_of(cockpit, 26.0, -11.0)
    assert cockpit.decide().decisions[CP].power_kw < -10.0
    cockpit.people.limits = {"x": imposed("f1", export_kw=5.0)}
    decision = cockpit.decide(START + SECOND).decisions[CP]
    assert decision.power_kw >= -5.0 * 0.97 - 1e-6
    assert decision.reason.code is ReasonCode.GRID_OPERATOR_LIMIT
    assert decision.reason.value == 5.0


@pytest.mark.parametrize("how", ["lockout", "stop", "never", "no opt-in", "unknown", "stale", "not offered"])
def test_nothing_is_discharged_against_a_stop(how: str) -> None:
    """The plan wants 11 kW out of the car; every single one of these forbids it."""
    base = site()
    if how == "no opt-in":
        cars = (replace(base.vehicles[0], discharge_opt_in=False), *base.vehicles[1:])
        base = replace(base, vehicles=cars)
    cockpit = Cockpit(of=base)
    age = timedelta(hours=1) if how == "stale" else timedelta()
    cockpit.plug(1, START - age, soc=None if how == "unknown" else 0.5)
    if how == "not offered":
        car = cockpit.state.cars["cp-1"]
        cockpit.guard.state = replace(cockpit.state, cars={"cp-1": replace(car, discharge_kw_max=None)})
    if how == "lockout":
        cockpit.people.lockouts = {NodeId("t"): Lockout(node=NodeId("t"), set_by="dso", since=START)}
    cockpit.people.discharge_stopped = how == "stop"
    if how == "never":
        cockpit.people.wishes[AssetId("car-1")] = Wishes(asset=AssetId("car-1"), never_discharge=True)
    cockpit.plan = plan_of(cockpit, 26.0, -11.0)
    # Also where an overload would call for it.
    cockpit.meter("f1", 100.0)
    assert cockpit.decide().decisions[CP].power_kw >= 0.0


def test_a_pause_stands_above_a_departure_and_the_need_for_load() -> None:
    """Neither a car that is late nor too much sun makes a paused car charge, now or when we fall silent."""
    cockpit = Cockpit()
    cockpit.plug(1)
    cockpit.people.wishes[AssetId("car-1")] = Wishes(asset=AssetId("car-1"), mode=WishKind.PAUSE)
    cockpit.meter("f1", -100.0)
    cycle = cockpit.decide()
    assert cycle.decisions[CP].power_kw == 0.0
    assert cycle.decisions[CP].reason.code is ReasonCode.PERSON_STOP
    sent = next(s for s in cycle.setpoints if s.asset == CP)
    assert (sent.power_kw, sent.safe_kw) == (0.0, 0.0)


def test_a_setpoint_is_renewed_at_half_its_life_and_small_changes_send_nothing() -> None:
    """10 minutes of life: silence until 5, then the same again; 0.1 kW towards the plan is no message."""
    cockpit = Cockpit()
    cockpit.plug(1)
    cockpit.plan = plan_of(cockpit, 31.0, 5.0)
    first = cockpit.decide(confirm=True)
    assert [s for s in first.setpoints if s.asset == CP]
    cockpit.plan = plan_of(cockpit, 31.02, 5.0)
    assert not [s for s in cockpit.decide(START + 10 * SECOND).setpoints if s.asset == CP]
    cockpit.plan = None
    cockpit = Cockpit()
    cockpit.plug(1)
    cockpit.decide(confirm=True)
    assert not [s for s in cockpit.decide(START + 299 * SECOND).setpoints if s.asset == CP]
    assert [s for s in cockpit.decide(START + 300 * SECOND).setpoints if s.asset == CP]


def test_a_renewal_does_not_make_an_old_setpoint_newer_than_the_meter() -> None:
    """A tapering car draws 3 of 11 kW: the renewal must not count as 11 again."""
    cockpit = Cockpit()
    cockpit.plug(1)
    cockpit.steering.note(Applied(setpoint=setpoint(11.0)), START)
    cockpit.meter("cp-1", 3.0, START + 60 * SECOND)
    cockpit.steering.note(Applied(setpoint=setpoint(11.0, life_s=900.0)), START + 61 * SECOND)
    assert cockpit.steering.drawn_kw(cockpit.state, CP, START + 62 * SECOND) == 3.0
    cockpit.steering.note(Applied(setpoint=setpoint(5.0)), START + 63 * SECOND)
    assert cockpit.steering.drawn_kw(cockpit.state, CP, START + 64 * SECOND) == 5.0


@pytest.mark.parametrize("event", ["another transaction", "a new link"])
def test_who_may_have_lost_its_setpoint_gets_it_again(event: str) -> None:
    """A profile ends with its transaction; a charger that reconnects may have started anew."""
    cockpit = Cockpit()
    cockpit.plug(1)
    cockpit.decide(confirm=True)
    later = START + 20 * SECOND
    if event == "a new link":
        cockpit.hear(LinkReading(asset=CP, at=later, up=True))
    else:
        cockpit.hear(ConnectorReading(charge_point=CP, at=later, plugged=False))
        cockpit.decide(later)
        cockpit.plug(1, later, tx="tx-2")
    assert [s for s in cockpit.decide(later + SECOND, confirm=True).setpoints if s.asset == CP]
    assert not [s for s in cockpit.decide(later + 9 * SECOND).setpoints if s.asset == CP]


def test_phases_bind_by_themselves() -> None:
    """L1 is full and the total is not: a three-phase car gets what L1 leaves (field failure 8)."""
    cockpit = Cockpit()
    cockpit.plug(1)
    cockpit.people.wishes[AssetId("car-1")] = Wishes(asset=AssetId("car-1"), mode=WishKind.CHARGE_NOW)
    cockpit.meter("f1", 12.0, phases=(9.0, 2.0, 1.0))
    power = cockpit.decide().decisions[CP].power_kw
    assert power / 3.0 <= 11.5 * 0.97 - 9.0 + 1e-6
    assert power > 0.0


def test_sun_that_nobody_has_seen_makes_no_room() -> None:
    """A roof of 5 kW without a reading, and one that shows 2 kW: 0 and 2 kW more for the car."""
    cockpit = Cockpit()
    cockpit.plug(1)
    cockpit.people.wishes[AssetId("car-1")] = Wishes(asset=AssetId("car-1"), mode=WishKind.CHARGE_NOW)
    cockpit.people.limits = {"x": imposed("f1", import_kw=8.0)}
    assert cockpit.decide().decisions[CP].power_kw == pytest.approx(8.0 * 0.97 - 1.0)
    cockpit.meter("roof", -2.0)
    assert cockpit.decide().decisions[CP].power_kw == pytest.approx(8.0 * 0.97 - 1.0 + 2.0)


def test_a_discharge_that_is_refused_makes_no_room() -> None:
    """Car 1 shall discharge 11 kW and does not: car 2 gets what there is without it (field failure 11)."""
    cockpit = Cockpit()
    cockpit.plug(1)
    cockpit.plug(2)
    cockpit.people.wishes[AssetId("car-2")] = Wishes(asset=AssetId("car-2"), mode=WishKind.CHARGE_NOW)
    cockpit.people.limits = {"x": imposed("f1", import_kw=8.0)}
    cockpit.plan = plan_of(cockpit, 26.0, -11.0)
    cycle = cockpit.decide()
    assert cycle.decisions[CP].power_kw < -10.0
    assert cycle.decisions[AssetId("cp-2")].power_kw == pytest.approx(8.0 * 0.97 - 1.0)
    cockpit.steering.note(Applied(setpoint=next(s for s in cycle.setpoints if s.asset == CP)), START)
    later = cockpit.decide(START + SECOND)
    assert later.decisions[AssetId("cp-2")].power_kw == pytest.approx(11.0)


def test_every_decision_is_a_number() -> None:
    """Whatever is missing: no charger, roof or battery is told something that is none."""
    cockpit = Cockpit()
    cockpit.plug(1, soc=None)
    cycle = cockpit.decide()
    assert np.isfinite([d.power_kw for d in cycle.decisions.values()]).all()
