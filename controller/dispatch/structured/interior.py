"""The interior point: Mehrotra's predictor-corrector on a `Program`.

One iteration:

1. the Newton system is factored (`newton`);
2. a first step aims at products 0; how far it gets decides how much centring the second needs, and its
   second-order terms correct the second. Of the way from the first to the second that part is taken with
   which the step becomes longest, for the unknowns and for the multipliers each;
3. where that step is short, up to three times more with the same factors: products that would stray in a step
   longer by half the way are brought back (`boxes`), again by the best part of the change.

Among thousands of cars there is always one whose turn comes next, so steps are short and the path takes many
of them. A correction costs a fifth of an iteration; on streets of 1000 cars they saved two fifths of these.

It ends when the rows hold and a lower bound of the cost, valid whatever the iterate is, is within the
wanted gap of the cost; or before, when the caller can make a good enough plan of an iterate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from controller.dispatch.structured.boxes import (
    PARTS,
    aimed,
    begin,
    centring,
    first_step,
    less,
    mixed_lengths,
    move,
    promised,
    take_part,
)
from controller.dispatch.structured.forest import FactorisationError
from controller.dispatch.structured.newton import Direction, Newton, Workspace
from controller.dispatch.structured.program import Point, Program, Survey
from controller.dispatch.structured.team import Part
from controller.domain.units import BoolArray, FloatArray

TO_BOUNDARY = 0.995
"""The part of the way to the nearest bound that a step takes."""
GOOD_STEP = 0.5
"""Steps this long need no correction: it would cost more time than the iterations that it saves."""
CORRECTIONS = 3
"""Corrections of one step, at most. A third one saved a tenth of the iterations of 1000 cars, up to a
quarter of those of 10,000; a fourth one cost as much as it saved."""
LONGER = 0.5
"""By how much longer a step the correction aims at."""
OFF_MAX = 2e-8
"""Residual at which rows count as holding, kW or kWh; limits are checked again on the finished plan."""
ITERATIONS_MAX = 100
"""Usual are 15 to 50."""
RELATIVE_GAP = 2e-10
"""By how much a gap may miss the wanted one, relative to the cost with all its penalties: from here on double
precision may not tell. The run still goes on while each iteration takes `STILL_WORTH_IT` off the gap."""
STILL_WORTH_IT = 0.5
LEAST_GAP = 1e-11
"""A gap this small relative to the cost is the rounding of its sum: to go on only wears the rows out."""


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
        told = gap <= gap_eur + RELATIVE_GAP * abs(cost)
        worth_it = LEAST_GAP * abs(cost) < gap <= STILL_WORTH_IT * before
        close = gap <= gap_eur or (told and not worth_it)
        done = (off <= off_max and close) or settled(point, gap)
        if done or not sound or count == ITERATIONS_MAX or stop():
            break
        try:
            sound = iterate(program, point, survey, room, hold=close)
        except FactorisationError:
            sound = False
        count += 1
    # Where arithmetic gave out the point is still the one that was surveyed: perhaps it was good enough.
    done = done or (off <= off_max and told)
    return Outcome(point=point, cost_eur=cost, bound_eur=bound, off=off, iterations=count, converged=done)


def iterate(program: Program, point: Point, survey: Survey, room: Workspace, *, hold: bool = False) -> bool:
    """One iteration; changes the point, False if arithmetic gave out.

    With `hold` the products stay where they are and only the rows are mended.
    """
    newton, zero = Newton(program, point, room), room.zero
    boxes = _Boxes(newton)
    first = newton.solve(survey.slope, survey.off, zero, zero)
    now, then = promised(boxes.each(first_step, first.x, room.more_l, room.more_u))
    aim = now if hold else now * (then / now) ** 3
    boxes.plain(aimed, aim, 0.0 if hold else 1.0, room.more_l, room.more_u)
    step = _Step(newton, boxes, first)
    second = newton.solve(survey.slope, survey.off, room.more_l, room.more_u)
    boxes.plain(less, first.x, second.x)
    np.subtract(second.lam, first.lam, out=second.lam)
    np.subtract(second.price, first.price, out=second.price)
    step.add(replace(second, omega=second.omega - first.omega), whole=hold)
    for _ in range(0 if hold else CORRECTIONS):
        if min(step.primal, step.dual) > GOOD_STEP:
            break
        further = (min(1.0, step.primal + LONGER), min(1.0, step.dual + LONGER))
        boxes.each(
            centring, room.dx, room.own, room.aim_l, room.aim_u, *further, aim, room.more_l, room.more_u
        )
        step.add(newton.solve(zero, room.settled, room.more_l, room.more_u))
    return step.take(point)


class _Boxes:
    """The loops of `boxes` over all unknowns, in parts."""

    def __init__(self, newton: Newton) -> None:
        self._program, point = newton.program, newton.point
        self._bounds = (newton.inverse_l, newton.inverse_u, point.zl, point.zu, newton.program.free)

    def each[Told](self, loop: Callable[..., Told], *values: FloatArray | float) -> list[Told]:
        """What a loop tells of each part; it gets the bounds, then the values."""
        return self.plain(loop, *self._bounds, *values)

    def plain[Told](self, loop: Callable[..., Told], *values: FloatArray | BoolArray | float) -> list[Told]:
        """The same with the values alone."""

        def work(part: Part) -> Told:
            cut = part.unknowns
            return loop(*(v if isinstance(v, float) else v[cut] for v in values))

        return self._program.team.each(work, self._program.parts)


class _Step:
    """A step that is put together; its arrays are those of the workspace."""

    def __init__(self, newton: Newton, boxes: _Boxes, first: Direction) -> None:
        self.newton, self.boxes = newton, boxes
        self.primal, self.dual = 0.0, 0.0
        """How far it goes."""
        room = newton.room
        boxes.plain(begin, first.x, room.dx, room.own, room.aim_l, room.aim_u)
        self._lam, self._price, self._omega = first.lam.copy(), first.price, first.omega

    def add(self, change: Direction, *, whole: bool = False) -> None:
        """Takes the best parts of a change, or the whole, if that goes further; its aims are in the room."""
        room = self.newton.room
        aims = (room.aim_l, room.aim_u, change.x, room.more_l, room.more_u)
        worst = np.max(self.boxes.each(mixed_lengths, room.dx, room.own, *aims), axis=0).reshape(2, -1)
        i, j = (-1 if whole else int(np.argmin(row)) for row in worst)
        primal, dual = 1.0 / float(worst[0, i]), 1.0 / float(worst[1, j])
        longer, further = primal > self.primal, dual > self.dual
        taken = (float(PARTS[i]) if longer else 0.0, float(PARTS[j]) if further else 0.0)
        steps = (room.dx, room.own, room.aim_l, room.aim_u)
        self.boxes.plain(take_part, change.x, room.more_l, room.more_u, *taken, *steps)
        self.primal, self.dual = max(primal, self.primal), max(dual, self.dual)
        if further:
            self._lam += PARTS[j] * change.lam
            self._price = self._price + PARTS[j] * change.price
            self._omega = self._omega + PARTS[j] * change.omega

    def take(self, point: Point) -> bool:
        """Moves the point, unless the step is not a number."""
        newton, room = self.newton, self.newton.room
        parts = (room.dx, room.own, self._price, self._lam)
        if not all(np.isfinite(values.sum()) for values in parts):
            return False
        primal, dual = min(1.0, TO_BOUNDARY * self.primal), min(1.0, TO_BOUNDARY * self.dual)
        inverses = (newton.inverse_l, newton.inverse_u, newton.program.free)
        steps = (room.dx, room.own, room.aim_l, room.aim_u)
        bounds = (newton.program.low, newton.program.high)
        self.boxes.plain(move, *inverses, *steps, primal, dual, *bounds, point.x, point.zl, point.zu)
        point.lam += dual * self._lam
        point.price += dual * self._price
        point.omega += dual * self._omega
        return True
