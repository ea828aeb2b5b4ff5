"""The solver's process in trouble: there is always a plan, in time, and it keeps the limits."""

from __future__ import annotations

import asyncio
import time

import pytest

from controller.dispatch.carry import METHOD
from controller.dispatch.check import check
from controller.dispatch.inputs import DispatchInputs
from controller.powerflow.result import CheckedPlan
from controller.runtime.solver_process import SolverProcess
from tests.support.cable import cable_site
from tests.support.dispatch import load, node, problem, random_problem, store

TROUBLE = "tests.support.solver_trouble"


def _problem(steps: int = 4) -> DispatchInputs:
    return problem(
        steps,
        [node("root", None, 12.0, steps)],
        stores=[store("car", "root", steps, final_min_kwh=40.0)],
        fixed=[load("home", "root", 4.0, steps)],
    )


async def test_a_real_plan_comes_from_the_child() -> None:
    """The default child solves with cvxpy and its plan is optimal."""
    async with SolverProcess() as solver:
        result = await solver.solve(_problem(), 20.0)
        again = await solver.solve(_problem(), None)
    assert result.status == "optimal"
    # Importing cvxpy alone takes the child a good part of a second of processor time.
    assert 0.02 < solver.core_fraction() < 2.0
    assert again.cost_eur == pytest.approx(result.cost_eur)
    assert solver.restarts == 0


async def test_a_child_that_sleeps_on_counts_as_busy_until_it_is_killed() -> None:
    """Nobody knows what a killed child used: the wait for it is the most that it can have been."""
    async with SolverProcess(planner=f"{TROUBLE}:hang") as solver:
        assert solver.core_fraction() == 0.0
        await solver.solve(_problem(), 0.5)
        assert 0.0 < solver.core_fraction() <= 1.0


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("hang", "deadline"),
        ("crash", "process ended"),
        ("raises", "infeasible"),
        ("nonsense", "breaks charge_limit"),
        ("not_a_number", "breaks finite"),
        ("no_plan", "is no plan"),
    ],
)
async def test_trouble_gives_the_plan_by_rules_with_its_reason(kind: str, words: str) -> None:
    """Whatever the child does, the answer is a safe plan that says why it is one by rules."""
    async with SolverProcess(planner=f"{TROUBLE}:{kind}") as solver:
        result = await solver.solve(_problem(), 0.5)
    assert result.status == "fallback"
    assert words in result.reason
    assert check(_problem(), result) == []


async def test_the_last_plan_is_followed_when_the_next_one_does_not_come() -> None:
    """A child that hangs on the second problem: what it said to the first holds on, and says why."""
    async with SolverProcess(planner=f"{TROUBLE}:sound_then_hang") as solver:
        first = await solver.solve(_problem(), 20.0)
        later = await solver.solve(_problem(), 0.5)
        again = await solver.solve(_problem(), 20.0)
    assert (first.status, first.reason) == ("feasible", "")
    assert (later.status, later.method) == ("feasible", METHOD)
    assert "deadline" in later.reason
    assert check(_problem(), later) == []
    assert again.reason == ""


async def test_the_child_checks_its_plans_on_the_cables_of_a_site() -> None:
    """The site crosses to the child; the plan comes back with what the power flow says of it."""
    steps = 4
    inputs = problem(
        steps,
        [node("t", None, 380.0, steps), node("f1", "t", 138.0, steps), node("f2", "t", 138.0, steps)],
        stores=[store("car-1", "f1", steps, charge_kw_max=120.0, capacity_kwh=200.0, final_min_kwh=140.0)],
        buy=[0.3, 0.1, 0.3, 0.3],
    )
    async with SolverProcess(site=cable_site(900.0)) as solver:
        plan = await solver.solve(inputs, 60.0)
    assert isinstance(plan, CheckedPlan)
    assert plan.rounds >= 1
    assert plan.findings == ()


async def test_twenty_troubles_in_a_row_give_twenty_safe_plans_in_time() -> None:
    """Hang, crash, failure and nonsense by turns, with a short deadline: each plan is safe and in time."""
    deadline_s = 0.4
    async with SolverProcess(planner=f"{TROUBLE}:by_turns") as solver:
        for seed in range(20):
            inputs = random_problem(seed, steps=3 + seed % 6)
            start = time.monotonic()
            result = await solver.solve(inputs, deadline_s)
            # Asserted is that nothing waits for the child; the room is for a busy machine.
            assert time.monotonic() - start < deadline_s + 2.0
            assert result.status == "fallback"
            assert check(inputs, result) == []


async def test_the_event_loop_goes_on_while_the_child_hangs() -> None:
    """A hanging solver holds up nobody: a ticker keeps its pace."""
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.02)
            ticks += 1

    async with SolverProcess(planner=f"{TROUBLE}:hang") as solver, asyncio.TaskGroup() as group:
        ticker = group.create_task(tick())
        await solver.solve(_problem(), 1.0)
        ticker.cancel()
    assert ticks >= 10


async def test_after_a_crash_the_next_plan_comes_from_a_new_child() -> None:
    """The child that replaces a killed one answers as if nothing had happened."""
    async with SolverProcess(planner=f"{TROUBLE}:sound") as solver:
        assert solver._child is not None
        solver._child.kill()
        first = await solver.solve(_problem(), 10.0)
        second = await solver.solve(_problem(), 10.0)
    assert first.status == "fallback"
    assert second.status == "feasible"
    assert solver.restarts == 1


async def test_a_cancelled_request_does_not_leave_its_answer_to_the_next() -> None:
    """Who cancels gets no plan, and the next one gets their own."""
    async with SolverProcess(planner=f"{TROUBLE}:sound") as solver:
        task = asyncio.create_task(solver.solve(_problem(steps=5), 10.0))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        result = await solver.solve(_problem(steps=3), 10.0)
    assert len(result.charge_kw["car"]) == 3  # type: ignore[index]  # AssetId is a str at run time
