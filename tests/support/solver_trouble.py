"""Solvers that misbehave, by name for `SolverProcess(solve="tests.support.solver_trouble:hang")`."""

from __future__ import annotations

import os
import time
from dataclasses import replace

import numpy as np

from controller.dispatch.fallback import fallback
from controller.dispatch.inputs import DispatchInputs
from controller.dispatch.result import DispatchResult


def sound(inputs: DispatchInputs, *, deadline_s: float | None) -> DispatchResult:
    """A sound answer without a solver: rules, said to be feasible."""
    del deadline_s
    return replace(fallback(inputs, "rules"), status="feasible", reason="")


def hang(inputs: DispatchInputs, *, deadline_s: float | None) -> DispatchResult:
    """Never answers."""
    del inputs, deadline_s
    while True:
        time.sleep(1.0)


def crash(inputs: DispatchInputs, *, deadline_s: float | None) -> DispatchResult:
    """Takes the whole process down."""
    del inputs, deadline_s
    os._exit(11)


def raises(inputs: DispatchInputs, *, deadline_s: float | None) -> DispatchResult:
    """Says that there is no solution."""
    del inputs, deadline_s
    raise RuntimeError("the problem is infeasible")


def nonsense(inputs: DispatchInputs, *, deadline_s: float | None) -> DispatchResult:
    """Charges everything with a thousand times what it can and calls it optimal."""
    good = sound(inputs, deadline_s=deadline_s)
    charge = {name: np.full(inputs.steps, 1e4) for name in good.charge_kw}
    return replace(good, status="optimal", charge_kw=charge)


def not_a_number(inputs: DispatchInputs, *, deadline_s: float | None) -> DispatchResult:
    """Gives NaN with a good status."""
    good = sound(inputs, deadline_s=deadline_s)
    power = {name: np.full(inputs.steps, np.nan) for name in good.charge_kw}
    return replace(good, status="optimal", charge_kw=power, discharge_kw=power)


def no_plan(inputs: DispatchInputs, *, deadline_s: float | None) -> object:
    """Answers with something else."""
    del inputs, deadline_s
    return {"status": "optimal"}


def by_turns(inputs: DispatchInputs, *, deadline_s: float | None) -> object:
    """Another kind of trouble for each number of steps."""
    kinds = (hang, crash, raises, nonsense, not_a_number, no_plan)
    return kinds[inputs.steps % len(kinds)](inputs, deadline_s=deadline_s)
