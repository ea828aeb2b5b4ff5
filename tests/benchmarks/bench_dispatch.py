"""The structured solver against general ones on the same problem, and how it grows.

The yardstick is the monolithic model of formats.md (the cvxpy model in `controller.dispatch.problem`) with
HiGHS simplex, HiGHS interior point and Clarabel, each on its own; the fastest counts. Every line has its own:
the warm lines (one step later, 5% of the cars changed) are compared with the general solvers on that changed
problem. It is measured up to `YARDSTICK_CARS`; a solver that was several times slower than the fastest at a
smaller size is left out. Times are the whole way from problem to checked plan, compiled loops warmed up
before; memory is the highest of the process during a line. The lines `4.1 kW` are cars that start at that
power: no general solver is tried on them, and their gap is against the bound without minimum powers. The
solver's constants were chosen on seeds 1 to 4; the others are there to show that they do not only fit those.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cvxpy as cp
import numpy as np

from controller.dispatch.check import check
from controller.dispatch.inputs import DispatchInputs
from controller.dispatch.layout import layout_of
from controller.dispatch.problem import build
from controller.dispatch.result import DispatchResult
from controller.dispatch.structured.solve import solve_structured
from controller.dispatch.warm import WarmStart
from controller.domain.assets import THREE_PHASE_MIN_KW
from tests.benchmarks.plot import write_growth
from tests.support.dispatch_problems import one_step_later, starting_at, street

SEEDS_OF = {50: (1, 3), 200: (1, 3), 1000: (1, 2, 3, 4, 5), 3000: (1,), 10_000: (1, 3)}
"""Seeds of the problems of each size."""
YARDSTICK_CARS = 1000
STARTING_CARS = 1000
"""Cars up to which minimum powers are measured."""
REPEATS, REPEATS_LARGE = 3, 1
"""Runs of which the shortest counts, up to `YARDSTICK_CARS` and beyond."""
PLOT = Path("bench-out") / "dispatch-growth.svg"
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
    seed: int
    cars: int
    seconds: float
    plan: DispatchResult
    gap: float
    memory_mib: float
    general_s: dict[str, float]
    """Time of each general solver [s]; empty where none was tried."""

    def row(self) -> str:
        """The row's text."""
        plan, ratio = self.plan, f"{'':>13}{'':>8}"
        if self.general_s:
            yardstick = min(self.general_s.values())
            ratio = f"{yardstick:>13.2f}{yardstick / self.seconds:>8.1f}"
        return (
            f"{self.name:<6}{self.seed:>5}{self.cars:>7}{plan.build_s:>9.3f}{plan.solve_s:>9.3f}"
            f"{self.seconds:>9.3f}{plan.cost_eur:>12.2f}{plan.lower_bound_eur:>12.2f}{self.gap:>9.1e}"
            f"{self.memory_mib:>7.0f}{ratio}"
        )


HEAD = (
    f"{'what':<6}{'seed':>5}{'cars':>7}{'build s':>9}{'solve s':>9}{'whole s':>9}{'cost EUR':>12}"
    f"{'bound EUR':>12}{'gap':>9}{'MiB':>7}{'yardstick s':>13}{'ratio':>8}"
)


class Bench:
    """The runs, and which general solvers are still worth a try."""

    def __init__(self, *, yardstick: bool) -> None:
        self.lines: list[Line] = []
        self._general = list(SOLVERS) if yardstick else []

    def run(self, cars: int, seed: int) -> None:
        """Measures one problem, cold, one step later, and with minimum powers."""
        inputs = street(cars=cars, seed=seed)
        cold = self._line("cold", seed, inputs)
        if cold is not None:
            self._line("warm", seed, one_step_later(inputs, cold), WarmStart(inputs=inputs, result=cold))
        if cars <= STARTING_CARS:
            self._line("4.1 kW", seed, starting_at(inputs, THREE_PHASE_MIN_KW), general=False)

    def _line(
        self,
        name: str,
        seed: int,
        inputs: DispatchInputs,
        warm: WarmStart | None = None,
        *,
        general: bool = True,
    ) -> DispatchResult | None:
        cars = len(inputs.stores)
        _forget_peak()
        repeats = REPEATS if cars <= YARDSTICK_CARS else REPEATS_LARGE
        seconds, plan = _timed(lambda: solve_structured(inputs, warm=warm), repeats)
        memory_mib = _peak_mib()
        if plan is None:
            sys.stdout.write(f"{name:<6}{seed:>5}{cars:>7}  gave up after {seconds:.1f} s\n")
            return None
        breaches = check(inputs, plan)
        assert not breaches, breaches[0]
        general_s = yardstick_s(inputs, self._general) if general and cars <= YARDSTICK_CARS else {}
        line = Line(
            name=name,
            seed=seed,
            cars=cars,
            seconds=seconds,
            plan=plan,
            gap=(plan.cost_eur - plan.lower_bound_eur) / inputs.cost_scale_eur,
            memory_mib=memory_mib,
            general_s=general_s,
        )
        self.lines.append(line)
        each = ", ".join(f"{solver} {spent:.2f}" for solver, spent in general_s.items())
        sys.stdout.write(line.row() + (f"   {each}" if each else "") + "\n")
        sys.stdout.flush()
        fastest = min(general_s.values(), default=np.inf)
        self._general = [s for s in self._general if general_s.get(s, 0.0) < HOPELESS * fastest]
        return plan

    def growth(self) -> str:
        """Writes the plot; how the time grows with the cars, for each seed that has both sizes."""
        series: dict[str, list[tuple[int, float]]] = {}
        for line in self.lines:
            series.setdefault(f"{line.name}, seed {line.seed}", []).append((line.cars, line.seconds))
        both = {name: points for name, points in series.items() if {1000, 10_000} <= {n for n, _ in points}}
        if not both:
            return ""
        write_growth(PLOT, both)
        told = []
        for name, points in both.items():
            times = dict(points)
            told.append(f"{name}: 1000 to 10000 cars {times[10_000] / times[1000]:.1f} times the time")
        return "\n".join([*told, f"plot: {PLOT}", ""])


def _timed(solve: Callable[[], DispatchResult | None], repeats: int) -> tuple[float, DispatchResult | None]:
    """The shortest of a few runs [s] and the plan, None where the solver gave up."""
    best, plan = np.inf, None
    for _ in range(repeats):
        begun = time.perf_counter()
        plan = solve()
        best = min(best, time.perf_counter() - begun)
    return best, plan


def _forget_peak() -> None:
    """Sets the process's peak of resident memory back to what it has now (proc(5), clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _peak_mib() -> float:
    """The peak of resident memory since then [MiB]."""
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (peak,) = (line.split()[1] for line in status if line.startswith("VmHWM:"))
    return int(peak) / 1024.0


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


def main() -> None:
    """Prints the table and the growth."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=max(SEEDS_OF), help="most cars")
    parser.add_argument("--no-yardstick", action="store_true", help="leave the general solvers out")
    arguments = parser.parse_args()
    solve_structured(street(cars=30))
    bench = Bench(yardstick=not arguments.no_yardstick)
    sys.stdout.write(HEAD + "   general solvers [s]\n")
    for cars, seeds in SEEDS_OF.items():
        for seed in seeds if cars <= arguments.most else ():
            bench.run(cars, seed)
    sys.stdout.write(bench.growth())


if __name__ == "__main__":
    main()
