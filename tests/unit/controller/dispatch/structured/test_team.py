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
    """Every store, chain step and unknown is in one part; parts differ by one store's steps at most."""
    monkeypatch.setattr(team, "WORTH_IT", 1)
    lengths = np.random.default_rng(1).integers(0, 97, 60)
    first = np.concatenate([[0], np.cumsum(lengths)])
    steps = int(first[-1])
    parts = parts_of(first, 3 * steps + 500)
    assert len(parts) == team.PARTS
    for name, size in (("stores", 60), ("steps", steps), ("unknowns", 3 * steps + 500)):
        cuts = [getattr(part, name) for part in parts]
        assert np.concatenate([np.arange(size)[cut] for cut in cuts]).tolist() == list(range(size))
    for part in parts:
        assert (first[part.edges][0], first[part.edges][-1]) == (part.steps.start, part.steps.stop)
        assert part.unknowns.start == 3 * part.steps.start
        assert abs(team.PARTS * (part.steps.stop - part.steps.start) - steps) <= team.PARTS * 96


def test_what_lies_behind_the_stores_is_in_one_part_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the last store alone is longer than all parts but one, and some parts have no store."""
    monkeypatch.setattr(team, "WORTH_IT", 1)
    parts = parts_of(np.array([0, 1, 400]), 1500)
    assert np.concatenate([np.arange(1500)[part.unknowns] for part in parts]).tolist() == list(range(1500))


def test_few_steps_are_one_part() -> None:
    """Handing over would take longer than the work."""
    assert len(parts_of(np.array([0, team.WORTH_IT - 1]), 3 * team.WORTH_IT)) == 1


def test_two_threads_work_at_the_same_time() -> None:
    """Each waits for the other, and the answers come in the order of the parts."""
    meeting = threading.Barrier(2, timeout=30.0)

    def work(part: int) -> int:
        meeting.wait()
        return 10 * part

    with Team(2) as pair:
        assert pair.each(work, (1, 2, 3, 4)) == [10, 20, 30, 40]


def test_nobody_waits_for_a_thread_that_comes_too_late() -> None:
    """While the only helper is held up elsewhere, one thread does all parts."""
    held = threading.Event()
    with Team(2) as pair:
        assert pair._pool is not None
        pair._pool.submit(held.wait, 5.0)
        try:
            assert pair.each(lambda part: (part, threading.get_ident()), (1, 2, 3)) == [
                (part, threading.get_ident()) for part in (1, 2, 3)
            ]
            assert not held.is_set()
        finally:
            held.set()


def test_an_error_in_a_part_comes_out_when_nobody_works_any_more() -> None:
    """Whoever had that part: by then the other one has finished its own, and no further part is begun."""
    meeting = threading.Barrier(2, timeout=30.0)
    for failing in (1, 2):
        done: list[int] = []

        def work(part: int, failing: int = failing, done: list[int] = done) -> None:
            meeting.wait()
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
