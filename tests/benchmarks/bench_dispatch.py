"""The structured solver against general ones on the same problem, and how it grows.

The yardstick is the monolithic model of formats.md (the cvxpy model in `controller.dispatch.problem`) with
HiGHS simplex, HiGHS interior point and Clarabel, each on its own; the fastest counts. It is measured up to
`YARDSTICK_CARS`; one that was several times slower than the fastest at a smaller size is left out. Times are
the whole way from problem to checked plan, compiled loops warmed up before.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass

import cvxpy as cp
import numpy as np

from controller.dispatch.check import check
from controller.dispatch.inputs import DispatchInputs
from controller.dispatch.layout import layout_of
from controller.dispatch.problem import build
from controller.dispatch.result import DispatchResult
from controller.dispatch.structured.replan import WarmStart
from controller.dispatch.structured.solve import solve_structured
from tests.support.dispatch_problems import one_step_later, street

SIZES = (50, 200, 1000, 3000, 10_000)
YARDSTICK_CARS = 1000
REPEATS = 3
HOPELESS = 4.0
"""A general solver this many times slower than the fastest is not tried on larger problems."""
SOLVERS: dict[str, dict[str, object]] = {
    "HiGHS simplex": {"solver": cp.HIGHS, "highs_options": {"solver": "simplex", "threads": 2}},
    "HiGHS interior point": {"solver": cp.HIGHS, "highs_options": {"solver": "ipm", "threads": 2}},
    "Clarabel": {"solver": cp.CLARABEL},
}


@dataclass(frozen=True, kw_only=True)
class Line:
    """One row of the table."""

    name: str
    cars: int
    seconds: float
    plan: DispatchResult
    gap: float
    memory_mib: float


def _timed(solve: Callable[[], DispatchResult | None]) -> tuple[float, DispatchResult]:
    """The shortest of a few runs [s] and the plan."""
    best, plan = np.inf, None
    for _ in range(REPEATS):
        begun = time.perf_counter()
        plan = solve()
        best = min(best, time.perf_counter() - begun)
    assert plan is not None, "the structured solver gave up on a bench problem"
    return best, plan


def _line(name: str, inputs: DispatchInputs, warm: WarmStart | None = None) -> Line:
    seconds, plan = _timed(lambda: solve_structured(inputs, warm=warm))
    breaches = check(inputs, plan)
    assert not breaches, breaches[0]
    return Line(
        name=name,
        cars=len(inputs.stores),
        seconds=seconds,
        plan=plan,
        gap=(plan.cost_eur - plan.lower_bound_eur) / inputs.cost_scale_eur,
        memory_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0,
    )


def yardstick_s(inputs: DispatchInputs, names: list[str]) -> dict[str, float]:
    """Time of general solvers on the monolithic model, building included [s]."""
    spent = {}
    for name in names:
        options = SOLVERS[name]
        begun = time.perf_counter()
        model = build(inputs, layout_of(inputs))
        model.problem.solve(**options)  # type: ignore[no-untyped-call]  # cvxpy has no types
        spent[name] = time.perf_counter() - begun
        assert model.problem.status in {cp.OPTIMAL, cp.OPTIMAL_INACCURATE}, model.problem.status
    return spent


def _table(lines: list[Line], yardstick: dict[int, float]) -> str:
    head = (
        f"{'what':<12}{'cars':>7}{'build s':>9}{'solve s':>9}{'whole s':>9}{'cost EUR':>12}{'bound EUR':>12}"
    )
    rows = [head + f"{'gap':>9}{'MiB':>7}{'yardstick s':>13}{'ratio':>8}"]
    for line in lines:
        plan, general = line.plan, yardstick.get(line.cars)
        ratio = f"{general:>13.2f}{general / line.seconds:>8.1f}" if general else f"{'':>13}{'':>8}"
        rows.append(
            f"{line.name:<12}{line.cars:>7}{plan.build_s:>9.3f}{plan.solve_s:>9.3f}{line.seconds:>9.3f}"
            f"{plan.cost_eur:>12.2f}{plan.lower_bound_eur:>12.2f}{line.gap:>9.1e}{line.memory_mib:>7.0f}{ratio}"
        )
    return "\n".join(rows)


def _growth(lines: list[Line]) -> str:
    """A plot of the time over the cars, both logarithmic, as text: one line per size, a mark per 15%."""
    cold = [line for line in lines if line.name == "cold"]
    least = min(line.seconds for line in cold)
    marks = [f"{line.cars:>7} {'#' * int(1 + np.log(line.seconds / least) / np.log(1.15))}" for line in cold]
    times = {line.cars: line.seconds for line in cold}
    tail = [f"1000 to 10000 cars: {times[10_000] / times[1000]:.1f} times"] if 10_000 in times else []
    return "\n".join(["cars    time, logarithmic", *marks, *tail])


def main() -> None:
    """Prints the table and the growth."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=SIZES[-1], help="most cars")
    parser.add_argument("--no-yardstick", action="store_true", help="leave the general solvers out")
    arguments = parser.parse_args()
    solve_structured(street(cars=30))
    lines: list[Line] = []
    yardstick: dict[int, float] = {}
    names = list(SOLVERS)
    for cars in (size for size in SIZES if size <= arguments.most):
        inputs = street(cars=cars)
        cold = _line("cold", inputs)
        later = one_step_later(inputs, cold.plan)
        warm = _line("warm", later, WarmStart(inputs=inputs, result=cold.plan))
        lines += [cold, warm]
        if cars <= YARDSTICK_CARS and not arguments.no_yardstick:
            spent = yardstick_s(inputs, names)
            yardstick[cars] = min(spent.values())
            names = [name for name in names if spent[name] < HOPELESS * yardstick[cars]]
            each = ", ".join(f"{name} {seconds:.2f}" for name, seconds in spent.items())
            print(f"{cars} cars, general solvers [s]: {each}", flush=True)  # noqa: T201  # a bench prints
    print(_table(lines, yardstick))  # noqa: T201  # a bench prints
    print(_growth(lines))  # noqa: T201  # a bench prints


if __name__ == "__main__":
    main()
