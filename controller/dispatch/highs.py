"""Runs a cvxpy model on HiGHS, again and again: each stage starts from the basis of the one before.

cvxpy compiles the model into matrices and applies the parameters; between two stages only costs, row
bounds and column bounds change, so they are changed in place and the simplex goes on from where it stood.
cvxpy's own interface would hand the whole problem over anew each time, and asks for a dual ray (another
solve) whenever a stage is infeasible.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import cvxpy
import highspy
import numpy as np

from controller.dispatch.problem import Model
from controller.domain.units import FloatArray

cp: Any = cvxpy
_highspy: Any = highspy
INTERIOR_POINT_COLUMNS = 20_000
"""From here on the first solve is by interior point and crossover: at 300 cars and 96 steps (80,000 columns)
it took 3.4 s against 7.5 s of the simplex, at 50 cars they are alike. Later solves start from its basis."""
FEASIBILITY, MIXED_FEASIBILITY = 1e-10, 1e-9
"""By how much a row may be broken [kW, kWh], without and with whole numbers: far below the room of a cap, or
caps cut off good answers."""
MIP_GAP_ABSOLUTE = 1e-9
"""Totals are asked for to 1e-6 kWh (formats.md), costs are of the order of euros."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Solved:
    """Values and bounds are in the model; `proven` where nothing better exists within the tolerances."""

    value: float
    bound: float
    """No solution of this stage has a lower objective."""
    proven: bool


@dataclass(frozen=True, slots=True)
class Infeasible:
    """No solution keeps the constraints and caps."""


@dataclass(frozen=True, slots=True)
class OutOfTime:
    """The deadline came before any solution."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The solver gave up."""

    status: str


type Outcome = Solved | Infeasible | OutOfTime | Failed


class Deadline:
    """A moment on the machine clock, or none."""

    def __init__(self, seconds: float | None) -> None:
        self._end = None if seconds is None else time.monotonic() + seconds

    def left_s(self) -> float:
        """What is left [s]; infinity without a deadline."""
        return float("inf") if self._end is None else self._end - time.monotonic()

    def part(self, share: float, most_s: float) -> Deadline:
        """An earlier one: a share of what is left, at most `most_s` [s]."""
        return Deadline(min(share * self.left_s(), most_s))


class Runner:
    """One model on one HiGHS instance."""

    def __init__(self, model: Model, *, threads: int = 1) -> None:
        self.model = model
        self.solve_s = 0.0
        """Time spent inside HiGHS [s]."""
        self._highs: Any = _highspy.Highs()
        self._loaded: dict[str, Any] | None = None
        self._has_basis = False
        for name, value in {
            "output_flag": False,
            "threads": threads,
            "random_seed": 0,
            "mip_rel_gap": 1e-6,
            "mip_abs_gap": MIP_GAP_ABSOLUTE,
            "mip_feasibility_tolerance": MIXED_FEASIBILITY,
            "primal_feasibility_tolerance": FEASIBILITY,
        }.items():
            self._highs.setOptionValue(name, value)

    def set_option(self, name: str, value: Any) -> None:
        """Sets an option of HiGHS."""
        self._highs.setOptionValue(name, value)

    @contextmanager
    def options(self, **values: Any) -> Iterator[None]:
        """Sets options of HiGHS for a while."""
        before = {name: self._highs.getOptionValue(name)[1] for name in values}
        for name, value in values.items():
            self._highs.setOptionValue(name, value)
        yield
        for name, value in before.items():
            self._highs.setOptionValue(name, value)

    def run(self, deadline: Deadline) -> Outcome:
        """Solves with the parameters as they stand; a solution's values and duals are then in the model."""
        if deadline.left_s() <= 0.0:
            return OutOfTime()
        data, chain, inverse = self.model.problem.get_problem_data(cp.HIGHS)
        self._load(data)
        self._highs.setOptionValue("time_limit", self._highs.getRunTime() + min(deadline.left_s(), 1e7))
        mixed = bool(data["bool_vars_idx"])
        interior = not mixed and not self._has_basis and data["c"].size >= INTERIOR_POINT_COLUMNS
        self._highs.setOptionValue("solver", "ipm" if interior else "choose")
        start = time.perf_counter()
        self._highs.run()
        self.solve_s += time.perf_counter() - start
        status = self._highs.getModelStatus()
        info, kinds = self._highs.getInfo(), highspy.HighsModelStatus
        found = info.primal_solution_status == int(highspy.SolutionStatus.kSolutionStatusFeasible)
        if status == kinds.kInfeasible:
            return Infeasible()
        stopped = status in {kinds.kTimeLimit, kinds.kIterationLimit, kinds.kSolutionLimit}
        self._has_basis = status == kinds.kOptimal
        if status != kinds.kOptimal and not (stopped and found and mixed):
            return OutOfTime() if stopped else Failed(self._highs.modelStatusToString(status))
        results = {
            "solution": self._highs.getSolution(),
            "info": info,
            "model_status": "kOptimal",
            "run_time": self._highs.getRunTime(),
        }
        self.model.problem.unpack_results(results, chain, inverse)
        value = float(info.objective_function_value) + float(inverse[-1].get("offset", 0.0))
        bound = value - float(info.objective_function_value) + float(info.mip_dual_bound) if mixed else value
        return Solved(value=value, bound=min(bound, value), proven=status == kinds.kOptimal)

    def _load(self, data: dict[str, Any]) -> None:
        """Hands the compiled problem over, or only what changed since the last time."""
        matrix, dims = data["A"].tocsc(), data["dims"]
        infinity = self._highs.inf
        upper = np.minimum(np.asarray(data["b"], dtype=np.float64), infinity)
        upper[upper >= 1e20] = infinity
        lower = np.concatenate([upper[: dims.zero], np.full(upper.size - dims.zero, -infinity)])
        columns = matrix.shape[1]
        low = np.full(columns, -infinity) if data["lower_bounds"] is None else np.array(data["lower_bounds"])
        high = np.full(columns, infinity) if data["upper_bounds"] is None else np.array(data["upper_bounds"])
        for place in data["bool_vars_idx"]:
            low[place], high[place] = max(low[place], 0.0), min(high[place], 1.0)
        new = {"cost": np.asarray(data["c"]), "lower": lower, "upper": upper, "low": low, "high": high}
        mixed = bool(data["bool_vars_idx"])
        if mixed:
            # A mixed-integer solve starts clean: what is left of the last one would steer it.
            self._highs.clearSolver()
        if self._loaded is None or mixed or not _same_matrix(self._loaded["matrix"], matrix):
            self._highs.passModel(_highs_model(matrix, new, data["bool_vars_idx"]))
        else:
            self._change(new, self._loaded)
        self._loaded = {**new, "matrix": matrix}

    def _change(self, new: dict[str, FloatArray], old: dict[str, Any]) -> None:
        everything = np.arange(new["cost"].size, dtype=np.int32)
        if not np.array_equal(new["cost"], old["cost"]):
            self._highs.changeColsCost(everything.size, everything, new["cost"])
        if not (np.array_equal(new["low"], old["low"]) and np.array_equal(new["high"], old["high"])):
            self._highs.changeColsBounds(everything.size, everything, new["low"], new["high"])
        differing = np.flatnonzero((new["upper"] != old["upper"]) | (new["lower"] != old["lower"]))
        for row in differing.tolist():
            self._highs.changeRowBounds(row, float(new["lower"][row]), float(new["upper"][row]))


def _same_matrix(one: Any, other: Any) -> bool:
    return (
        one.shape == other.shape
        and one.nnz == other.nnz
        and bool(np.array_equal(one.indptr, other.indptr))
        and bool(np.array_equal(one.indices, other.indices))
        and bool(np.array_equal(one.data, other.data))
    )


def _highs_model(matrix: Any, values: dict[str, FloatArray], integers: list[int]) -> highspy.HighsModel:
    model = highspy.HighsModel()
    lp = model.lp_
    lp.num_row_, lp.num_col_ = matrix.shape
    lp.col_cost_ = values["cost"]
    lp.row_lower_, lp.row_upper_ = values["lower"], values["upper"]
    lp.col_lower_, lp.col_upper_ = values["low"], values["high"]
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_ = matrix.indptr
    lp.a_matrix_.index_ = matrix.indices
    lp.a_matrix_.value_ = matrix.data
    if integers:
        kinds = [highspy.HighsVarType.kContinuous] * int(matrix.shape[1])
        for place in integers:
            kinds[place] = highspy.HighsVarType.kInteger
        lp.integrality_ = kinds
    return model
