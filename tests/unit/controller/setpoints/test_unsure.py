"""What an unsure device may do counts, also where it had to give way to another one first."""

from __future__ import annotations

import pytest

from controller.domain.ids import AssetId, NodeId
from controller.domain.reasons import Reason, ReasonCode
from controller.setpoints.candidate import Candidate
from controller.setpoints.safety import Fitter, Room
from controller.setpoints.unsure import fit_beside_unsure
from tests.support.neighbourhood import network


def _car(name: str, want_kw: float, *, urgency: float = 0.0) -> Candidate:
    return Candidate(
        asset=AssetId(name),
        node=NodeId("f1"),
        low_kw=-11.0,
        high_kw=11.0,
        must_kw=0.0,
        want_kw=want_kw,
        min_kw=0.0,
        urgency=urgency,
        reason=Reason(code=ReasonCode.PLAN),
        safe_kw=0.0,
        drawn_kw=0.0,
    )


def _powers(cars: list[Candidate], told: dict[str, float], ceiling_kw: float) -> list[float]:
    rooms = {NodeId("f1"): Room(ceiling_kw=ceiling_kw, floor_kw=-1e9)}
    unsure = {AssetId(name): (power_kw,) for name, power_kw in told.items()}
    return [d.power_kw for d in fit_beside_unsure(Fitter(network()), cars, rooms, unsure)]


def test_who_gives_way_to_an_unsure_one_may_itself_go_on() -> None:
    """The last gives 1 of the 17.5 kW that may flow but may go on with half of it: the first gives that."""
    cars = [_car("sure", 7.0), _car("last", 1.5, urgency=-9.0), _car("stuck", 6.0)]
    assert _powers(cars, {"last": 1.0, "stuck": 9.0}, 16.5) == pytest.approx([6.5, 0.5, 6.0])


def test_room_that_an_unsure_one_leaves_is_not_given_to_another() -> None:
    """One feeds in 5 kW although it shall not, and may end that at any time: 3 is all the other may have."""
    cars = [_car("feeding", 0.0), _car("other", 11.0, urgency=-1.0)]
    assert _powers(cars, {"feeding": -5.0}, 3.0) == pytest.approx([0.0, 3.0])


def test_many_who_give_way_one_after_another_all_count() -> None:
    """Six in a row, each of which may go on with what it had: nothing is left for the one that is sure."""
    cars = [_car("sure", 6.0, urgency=9.0)]
    cars += [_car(f"unsure-{i}", 1.0 + 0.1 * i, urgency=-float(i)) for i in range(6)]
    told = {f"unsure-{i}": 1.0 for i in range(6)} | {"unsure-0": 4.0}
    powers = _powers(cars, told, 10.0)
    assert powers[0] == pytest.approx(1.0)
    assert all(power_kw >= 0.0 for power_kw in powers)
