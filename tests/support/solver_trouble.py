"""Makers of planners that misbehave, for `SolverProcess(planner="tests.support.solver_trouble:hang")`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from controller.dispatch.fallback import fallback
from controller.dispatch.inputs import DispatchInputs
from controller.dispatch.result import DispatchResult
from controller.domain.site import Site

type Planner = Callable[..., object]
type Maker = Callable[[Site | None], Planner]


def _maker(planner: Planner) -> Maker:
    """Makes the same planner for every site."""

    def make(site: Site | None) -> Planner:
        del site
        return planner

    return make


def _sound(inputs: DispatchInputs, *, deadline_s: float | None) -> DispatchResult:
    """A sound answer without a solver: rules, said to be feasible."""
    del deadline_s
    return replace(fallback(inputs, "rules"), status="feasible", reason="")


def _hang(inputs: DispatchInputs, *, deadline_s: float | None) -> DispatchResult:
    """Never answers."""
    del inputs, deadline_s
    while True:
        time.sleep(1.0)


def _crash(inputs: DispatchInputs, *, deadline_s: float | None) -> DispatchResult:
    """Takes the whole process down."""
    del inputs, deadline_s
    os._exit(11)


def _raises(inputs: DispatchInputs, *, deadline_s: float | None) -> DispatchResult:
    """Says that there is no solution."""
    del inputs, deadline_s
    raise RuntimeError("the problem is infeasible")


def _nonsense(inputs: DispatchInputs, *, deadline_s: float | None) -> DispatchResult:
    """Charges everything with a thousand times what it can and calls it optimal."""
    good = _sound(inputs, deadline_s=deadline_s)
    charge = {name: np.full(inputs.steps, 1e4) for name in good.charge_kw}
    return replace(good, status="optimal", charge_kw=charge)


def _not_a_number(inputs: DispatchInputs, *, deadline_s: float | None) -> DispatchResult:
    """Gives NaN with a good status."""
    good = _sound(inputs, deadline_s=deadline_s)
    power = {name: np.full(inputs.steps, np.nan) for name in good.charge_kw}
    return replace(good, status="optimal", charge_kw=power, discharge_kw=power)


def _no_plan(inputs: DispatchInputs, *, deadline_s: float | None) -> object:
    """Answers with something else."""
    del inputs, deadline_s
    return {"status": "optimal"}


def _by_turns(inputs: DispatchInputs, *, deadline_s: float | None) -> object:
    """Another kind of trouble for each number of steps."""
    kinds = (_hang, _crash, _raises, _nonsense, _not_a_number, _no_plan)
    return kinds[inputs.steps % len(kinds)](inputs, deadline_s=deadline_s)


def _sound_then_hang() -> Planner:
    plans = 0

    def plan(inputs: DispatchInputs, *, deadline_s: float | None) -> DispatchResult:
        nonlocal plans
        plans += 1
        return _sound(inputs, deadline_s=deadline_s) if plans == 1 else _hang(inputs, deadline_s=deadline_s)

    return plan


sound, hang, crash, raises = _maker(_sound), _maker(_hang), _maker(_crash), _maker(_raises)
nonsense, not_a_number, no_plan = _maker(_nonsense), _maker(_not_a_number), _maker(_no_plan)
by_turns = _maker(_by_turns)
sound_then_hang = _maker(_sound_then_hang())
