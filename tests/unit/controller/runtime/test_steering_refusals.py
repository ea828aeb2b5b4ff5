"""What the safety loop does with a device that refuses its setpoints."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest

from controller.domain.assets import Wishes, WishKind
from controller.domain.ids import AssetId, NodeId
from controller.domain.network import ImposedLimit
from controller.domain.setpoints import Applied, NotSent, Outcome, Rejected, Setpoint, TimedOut
from controller.domain.telemetry import ConnectorReading, LinkReading
from controller.runtime.restraint import BURST
from tests.support.neighbourhood import START
from tests.support.running import Cockpit, plan_of

CP, NEIGHBOUR = AssetId("cp-1"), AssetId("cp-2")
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


def test_a_persons_stop_is_asked_at_once_where_the_plans_own_was_refused() -> None:
    """The plan wants 0 and is refused for minutes; then the driver presses 'pause': 0 again, but a must.

    Asked again every half minute at least, for as long as it is refused.
    """
    cockpit = Cockpit()
    cockpit.plan = plan_of(cockpit, 30.0, 0.0)
    assert refused_for(cockpit, 20) == [0, 1, 2, 4, 8, 16]
    cockpit.people.wishes[AssetId("car-1")] = Wishes(asset=AssetId("car-1"), mode=WishKind.PAUSE)
    found = []
    for cycle in range(20, 40):
        if (setpoint := asked(cockpit, cycle)) is not None:
            assert setpoint.power_kw == 0.0
            found.append(cycle)
            no = Rejected(setpoint=setpoint, code="Rejected", why="no")
            cockpit.steering.note(no, START + cycle * CYCLE)
    assert found[0] == 20
    assert max(b - a for a, b in pairwise(found)) == 3


def test_a_charger_that_was_never_asked_has_refused_nothing() -> None:
    """Its line was full of other requests: it is asked again in the next cycle, and no message is counted."""
    cockpit = Cockpit(setpoints_per_day=0)
    cycles = BURST + 5
    for cycle in range(cycles):
        cockpit.plug(1, START + cycle * CYCLE)
        sent = asked(cockpit, cycle)
        assert sent is not None
        busy = cycle < cycles - 1
        outcome = NotSent(setpoint=sent, why="busy") if busy else Applied(setpoint=sent)
        cockpit.steering.note(outcome, START + cycle * CYCLE)
    cockpit.plan = plan_of(cockpit, 40.0, 11.0)
    assert asked(cockpit, cycles) is not None


@pytest.mark.parametrize("answer", ["no", "silence", "never asked"])
def test_others_get_no_power_that_a_refusing_charger_goes_on_taking(answer: str) -> None:
    """Two cars charge at 11 kW when 20 kW are imposed; one takes its lower setpoint, the other does not.

    Of the 20 x 0.97 - 1 kW of the home, 11 are gone until it takes something; then all is shared again.
    """
    cockpit = Cockpit()
    for number in (1, 2):
        cockpit.plug(number)
        car = AssetId(f"car-{number}")
        cockpit.people.wishes[car] = Wishes(asset=car, mode=WishKind.CHARGE_NOW)
    both = cockpit.decide(confirm=True).decisions
    assert both[CP].power_kw == both[NEIGHBOUR].power_kw == pytest.approx(11.0)
    limit = ImposedLimit(
        id="x",
        node=NodeId("f1"),
        import_kw=20.0,
        export_kw=None,
        from_utc=START,
        to_utc=None,
        set_by="grid",
    )
    cockpit.people.limits = {"x": limit}
    first = cockpit.decide(START + CYCLE)
    lower = next(s for s in first.setpoints if s.power_kw < 11.0)
    other = NEIGHBOUR if lower.asset == CP else CP
    outcomes: dict[str, Outcome] = {
        "no": Rejected(setpoint=lower, code="Rejected", why="no"),
        "silence": TimedOut(setpoint=lower, why="silence"),
        "never asked": NotSent(setpoint=lower, why="busy"),
    }
    cockpit.steering.note(outcomes[answer], START + CYCLE)
    second = cockpit.decide(START + 2 * CYCLE)
    assert second.decisions[lower.asset].power_kw < 11.0
    assert second.decisions[other].power_kw == pytest.approx(20.0 * 0.97 - 1.0 - 11.0)
    cockpit.steering.note(Applied(setpoint=lower), START + 2 * CYCLE)
    third = cockpit.decide(START + 3 * CYCLE)
    assert third.decisions[other].power_kw > second.decisions[other].power_kw + 1.0


def test_a_charger_that_never_answers_takes_no_room_for_ever() -> None:
    """Told 11 kW, then 0 in each cycle, it draws nothing: after the ten minutes of the 11 kW it is let be.

    Until then its neighbour has to leave them free.
    """
    cockpit = Cockpit()
    for number in (1, 2):
        cockpit.plug(number)
        car = AssetId(f"car-{number}")
        cockpit.people.wishes[car] = Wishes(asset=car, mode=WishKind.CHARGE_NOW)
    cockpit.people.limits = {
        "x": ImposedLimit(
            id="x",
            node=NodeId("f1"),
            import_kw=13.0,
            export_kw=None,
            from_utc=START + CYCLE,
            to_utc=None,
            set_by="grid",
        )
    }
    given = []
    for cycle in range(66):
        now = START + cycle * CYCLE
        if cycle == 1:
            cockpit.people.wishes[AssetId("car-1")] = Wishes(asset=AssetId("car-1"), mode=WishKind.PAUSE)
        cockpit.meter("cp-1", 0.0, now)
        decided = cockpit.decide(now)
        for sent in decided.setpoints:
            silent = sent.asset == CP
            outcome = TimedOut(setpoint=sent, why="silence") if silent else Applied(setpoint=sent)
            cockpit.steering.note(outcome, now)
        given.append(decided.decisions[NEIGHBOUR].power_kw)
    assert given[1:60] == [0.0] * 59
    assert given[60:] == pytest.approx([11.0] * 6)
