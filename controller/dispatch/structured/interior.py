"""The interior point: Mehrotra's predictor-corrector on a `Program`.

One iteration:

1. the Newton system is factored (`newton`);
2. a first step aims at products 0; how far it gets decides how much centring the second needs, and its
   second-order terms correct the second;
3. where that step is short, once more with the same factors: products that would stray are brought back
   (`boxes`), if that lengthens it.

It ends when the rows hold and a lower bound of the cost, valid whatever the iterate is, is within the
wanted gap of the cost; or before, when the caller can make a good enough plan of an iterate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from controller.dispatch.structured.boxes import centre_outliers, first_step, move, step_lengths
from controller.dispatch.structured.forest import FactorisationError
from controller.dispatch.structured.newton import Direction, Newton, Workspace
from controller.dispatch.structured.program import Point, Program, Survey
from controller.domain.units import FloatArray

TO_BOUNDARY = 0.995
"""The part of the way to the nearest bound that a step takes."""
WORTH_IT = 0.02
"""The centring correction must lengthen the two steps together by this."""
GOOD_STEP = 0.2
"""Steps this long need no correction: it costs more time than the iterations that it saves."""
OFF_MAX = 2e-8
"""Residual at which rows count as holding, kW or kWh; limits are checked again on the finished plan."""
ITERATIONS_MAX = 100
"""Usual are 15 to 45."""
RELATIVE_GAP = 2e-10
"""By how much a gap may miss the wanted one, relative to the cost with all its penalties: from here on double
precision may not tell. The run still goes on while each iteration takes `STILL_WORTH_IT` off the gap."""
STILL_WORTH_IT = 0.5


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Where the interior point came to."""

    point: Point
    cost_eur: float
    """The stage's cost at the point; the rows hold to `off`."""
    bound_eur: float
    """The best lower bound met on the way."""
    off: float
    """The largest residual, kW or kWh."""
    iterations: int
    converged: bool
    """Whether the wanted gap and residual were reached, or the caller was content before."""


def run(
    program: Program,
    point: Point,
    *,
    gap_eur: float,
    off_max: float = OFF_MAX,
    stop: Callable[[], bool] = lambda: False,
    settled: Callable[[Point, float], bool] = lambda _point, _gap: False,
) -> Outcome:
    """Iterates until the rows hold to `off_max` and the cost is within `gap_eur` of the bound.

    Args:
        program: One stage.
        point: Where to start; it is changed.
        gap_eur: The wanted gap [EUR].
        off_max: The wanted residual, kW or kWh.
        stop: Asked before each iteration; True ends the run where it is.
        settled: Asked before each iteration with the point and its gap [EUR] whether that is good enough.
    """
    bound, gap, sound, count = -np.inf, np.inf, True, 0
    room = Workspace(program)
    while True:
        survey = program.survey(point, room.slope, room.hinges)
        bound, cost, off = max(bound, survey.bound_eur), survey.cost_eur, survey.off.worst
        gap, before = cost - bound, gap
        enough = gap <= gap_eur + RELATIVE_GAP * abs(cost) and gap > STILL_WORTH_IT * before
        close = gap <= gap_eur or enough
        done = (off <= off_max and close) or settled(point, gap)
        if done or not sound or count == ITERATIONS_MAX or stop():
            break
        try:
            sound = iterate(program, point, survey, room, hold=close)
        except FactorisationError:
            sound = False
        count += 1
    return Outcome(point=point, cost_eur=cost, bound_eur=bound, off=off, iterations=count, converged=done)


def iterate(program: Program, point: Point, survey: Survey, room: Workspace, *, hold: bool = False) -> bool:
    """One iteration; changes the point, False if arithmetic gave out.

    With `hold` the products stay where they are and only the rows are mended.
    """
    newton = Newton(program, point, room)
    boxes = (newton.inverse_l, newton.inverse_u, point.zl, point.zu, program.free)
    step = newton.solve(survey.slope, survey.off, 0.0, room.zero, room.zero)
    second_l, second_u = room.second[0]
    now, then, _ = first_step(*boxes, step.x, second_l, second_u)
    aim = now * (then / now) ** 3
    if hold:
        aim = now
        second_l.fill(0.0)
        second_u.fill(0.0)
    step = newton.solve(survey.slope, survey.off, aim, second_l, second_u)
    primal, dual = step_lengths(*boxes, step.x, aim, second_l, second_u)
    best, kept = (step, primal, dual), (second_l, second_u)
    if min(primal, dual) <= GOOD_STEP:
        for values, before in zip(room.second[1], (second_l, second_u), strict=True):
            np.copyto(values, before)
        second_l, second_u = room.second[1]
        further = (min(1.0, 1.5 * primal + 0.1), min(1.0, 1.5 * dual + 0.1))
        centre_outliers(*boxes, step.x, *further, aim, second_l, second_u)
        step = newton.solve(survey.slope, survey.off, aim, second_l, second_u)
        primal, dual = step_lengths(*boxes, step.x, aim, second_l, second_u)
        if primal + dual > best[1] + best[2] + WORTH_IT:
            best, kept = (step, primal, dual), (second_l, second_u)
    return _take(program, newton, point, best, aim, kept)


def _take(
    program: Program,
    newton: Newton,
    point: Point,
    best: tuple[Direction, float, float],
    aim: float,
    second: tuple[FloatArray, FloatArray],
) -> bool:
    """Moves the point, unless the step is not a number."""
    step, primal, dual = best
    if not (np.isfinite(step.x).all() and np.isfinite(step.price).all() and np.isfinite(step.lam).all()):
        return False
    primal, dual = min(1.0, TO_BOUNDARY * primal), min(1.0, TO_BOUNDARY * dual)
    inverses = (newton.inverse_l, newton.inverse_u, program.free)
    move(*inverses, step.x, primal, dual, aim, *second, point.x, point.zl, point.zu)
    point.lam += dual * step.lam
    point.price += dual * step.price
    point.omega += dual * step.omega
    return True
