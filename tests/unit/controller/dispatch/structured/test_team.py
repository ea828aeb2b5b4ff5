"""Loops in parts: cut evenly, done by all, and the same to the bit on one thread and on two."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from controller.dispatch.result import DispatchResult
from controller.dispatch.structured import team
from controller.dispatch.structured.solve import solve_structured
from controller.dispatch.structured.team import Team, parts_of
from controller.dispatch.warm import WarmStart
from tests.support.dispatch_problems import one_step_later, street


def test_parts_follow_on_each_other_and_share_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every store, chain step and unknown is in one part; none has more than half and one store's steps."""
    monkeypatch.setattr(team, "WORTH_IT", 1)
    lengths = np.random.default_rng(1).integers(0, 97, 60)
    first = np.concatenate([[0], np.cumsum(lengths)])
    steps = int(first[-1])
    one, two = parts_of(first, 3 * steps + 500)
    assert (one.stores.start, one.stores.stop, two.stores.stop) == (0, two.stores.start, 60)
    assert (one.steps.stop, two.steps.stop) == (two.steps.start, steps)
    assert (one.unknowns, two.unknowns) == (
        slice(0, 3 * one.steps.stop),
        slice(3 * one.steps.stop, 3 * steps + 500),
    )
    assert first[one.edges][-1] == first[two.edges][0] == one.steps.stop
    assert abs(2 * one.steps.stop - steps) <= 2 * 96


def test_few_steps_are_one_part() -> None:
    """Handing over would take longer than the work."""
    assert len(parts_of(np.array([0, team.WORTH_IT - 1]), 3 * team.WORTH_IT)) == 1


def test_two_threads_work_at_the_same_time() -> None:
    """Each waits for the other, and the answers come in the order of the parts."""
    meeting = threading.Barrier(2, timeout=5.0)

    def work(part: int) -> int:
        meeting.wait()
        return 10 * part

    with Team(2) as pair:
        assert pair.each(work, (1, 2)) == [10, 20]


def test_an_error_in_a_part_comes_out_when_all_are_done() -> None:
    """In the first part as in the second; the other one has finished by then."""
    for failing in (1, 2):
        done: list[int] = []

        def work(part: int, failing: int = failing, done: list[int] = done) -> None:
            if part == failing:
                raise ArithmeticError
            done.append(part)

        with Team(2) as pair, pytest.raises(ArithmeticError):
            pair.each(work, (1, 2))
        assert done == [3 - failing]


def test_plans_are_the_same_on_one_thread_and_on_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """To the bit, cold and warm; and another way of cutting gives no worse a plan."""
    inputs = street(cars=120)
    whole = _plan(solve_structured(inputs))
    monkeypatch.setattr(team, "WORTH_IT", 1)
    alone, pair = (_plan(solve_structured(inputs, threads=threads)) for threads in (1, 2))
    later, warm = one_step_later(inputs, alone), WarmStart(inputs=inputs, result=alone)
    again = [_plan(solve_structured(later, warm=warm, threads=threads)) for threads in (1, 2)]
    for one, two in ((alone, pair), (again[0], again[1])):
        assert (one.cost_eur, one.lower_bound_eur) == (two.cost_eur, two.lower_bound_eur)
        assert all((one.charge_kw[name] == two.charge_kw[name]).all() for name in one.charge_kw)
    assert abs(whole.cost_eur - pair.cost_eur) < 1e-3 * inputs.cost_scale_eur


def _plan(found: DispatchResult | None) -> DispatchResult:
    assert found is not None
    return found
