"""Wishes before cost, in their order, by prices that are high enough.

All wishes and soft limits are hinges with a price. First every kind gets the same high price beside the
cost: where nothing is short in the answer, nothing can be better and that is the plan; so it is on almost
every day. Otherwise, from the first kind that is short, each kind's least total is found by itself
(price 1 for it, much more for the kinds before it, nothing for cost), and the cost stage follows with
prices that grow with the kind's rank. Prices are exact once they exceed the multipliers of the totals,
which shows in the totals: where they come out larger than the least ones, prices are raised.

The bound of a priced stage, less prices times the plan's totals, bounds the cost of every plan whose
totals are no larger.

An interior point's iterates burn energy (everything charges and discharges a little) and their water values
lag behind their node prices; most of the gap is only that. So once it is small, the iterate's plan with one
direction per step is held against the stores' best answers to its prices: that pair is often good enough
several iterations before the iterate itself is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from controller.dispatch.structured.directions import fix_directions, netted
from controller.dispatch.structured.interior import Outcome, run
from controller.dispatch.structured.program import Point, Program, totals, with_weights
from controller.dispatch.structured.responses import answer
from controller.dispatch.structured.rotation import take_turns, with_turns
from controller.dispatch.structured.start import cold_start
from controller.domain.units import FloatArray

type Four = tuple[float, float, float, float]
"""Per kind: excess, departure, final, minimum."""

SHORT_KWH = 5e-7
"""Totals below this are none; formats.md compares to 1e-6."""
FIRST_RATIO, RAISE, RAISES = 4.0, 5.0, 4
"""Ratio between the prices of kinds that follow each other; how it grows; how often before giving up."""
NETTED_GAP = 2.0
"""What netting may leave of the wanted gap, as a multiple of it."""
STAGE_GAP_KWH = 1e-7
"""Gap of a stage that looks for a least total."""
FIRST_TRY = 2.4
"""How many times the wanted gap an iterate's own is when its plan is first tried: on streets of 1000 cars the
iterate's gap was 2.6 times that of its plan."""


@dataclass(frozen=True, kw_only=True)
class StageResult:
    """The cost stage's answer."""

    program: Program
    x: FloatArray
    """The plan's unknowns, one direction per chain step."""
    point: Point
    """Where the interior point ended: prices and water values."""
    bound_eur: float
    """Proven, of the cost of every plan whose totals are no larger."""
    totals_kwh: Four
    """Beyond what was unavoidable from the start."""
    weights: Four
    """The prices of the kinds [EUR/kWh]."""


@dataclass(kw_only=True)
class _Settling:
    """Tries whether an iterate's plan and prices are good enough already."""

    program: Program
    gap_eur: float
    """The wanted gap."""
    plan: FloatArray | None = None
    """The unknowns of the plan that was, shape (n,)."""
    bound_eur: float = -np.inf
    """Its proven bound."""
    _from_eur: float = field(init=False)

    def __post_init__(self) -> None:
        self._from_eur = FIRST_TRY * self.gap_eur

    def __call__(self, point: Point, gap_eur: float) -> bool:
        """Whether it is; then the point has the water values and hinges of the best answers to its prices."""
        if gap_eur > self._from_eur:
            return False
        self._from_eur = 0.7 * gap_eur
        plan = netted(self.program, point.x)
        # What falls short somewhere is left to the run's end: totals are asked for far more exactly.
        if plan is None or max(totals(self.program, plan)) > SHORT_KWH:
            return False
        answered = replace(point, lam=np.empty_like(point.lam), omega=np.empty_like(point.omega))
        answer(self.program, answered)
        bound = self.program.proven_bound(answered)
        if float(self.program.cost @ plan) - bound > self.gap_eur:
            return False
        self.plan, self.bound_eur = plan, bound
        point.lam[:], point.omega[:] = answered.lam, answered.omega
        return True


@dataclass(kw_only=True)
class Stages:
    """All stages of one problem."""

    base: Program
    price: FloatArray
    """A first guess of the node prices times step length, shape (T,)."""
    weight_eur: float
    """A price per kWh above all that a kWh could be worth."""
    scale_eur: float
    """What gaps are taken of."""
    gap: float
    """Wanted gap of the finished plan, relative to the scale."""
    stop: Callable[[], bool]
    ordered: bool = True
    """Whether wishes that fall short are looked at one kind after the other, each to its least total."""
    thorough: bool = True
    """Whether without that there is no plan; else the plan at one price for all is taken."""
    ratios: list[float] = field(default_factory=lambda: [FIRST_RATIO] * 3)
    """What a kind's price is of the next kind's. Each grows by itself, where a trade against later kinds was
    worth its price: prices that are all high drown the lowest in rounding."""

    def solve(self) -> StageResult | None:
        """The plan, or None where it did not converge or the stop came first."""
        w = self.weight_eur
        first = self._cost_stage((w, w, w, w), margin=True)
        if first is None:
            return None
        short = [kind for kind, kwh in enumerate(first.totals_kwh) if kwh > SHORT_KWH]
        # With one price for all kinds what is short is short at the least price, if not in the strict order.
        if not short or not self.ordered:
            return first
        strict = self._in_order(short[0])
        return first if strict is None and not self.thorough else strict

    def _in_order(self, first: int) -> StageResult | None:
        """The plan in the strict order, None where it did not come; kinds before `first` are not short."""
        least, w = self._least_totals(first), self.weight_eur
        for _ in range(RAISES):
            if least is None:
                return None
            ranks = self._ranks()
            answer = self._cost_stage((w * ranks[0], w * ranks[1], w * ranks[2], w * ranks[3]))
            if answer is None:
                return None
            traded = larger(answer.totals_kwh, least)
            if not traded:
                return answer
            self._raise(traded)
        return None

    def _cost_stage(self, weights: Four, *, margin: bool = False) -> StageResult | None:
        program = with_weights(self.base, weights, cost=True, margin=margin)
        point, gap = cold_start(program, self.price), self.gap * self.scale_eur
        settling = _Settling(program=program, gap_eur=gap)
        outcome = run(program, point, gap_eur=gap, stop=self.stop, settled=settling)
        if not outcome.converged:
            return None
        plan, bound = settling.plan, settling.bound_eur
        if plan is None:
            bound = program.proven_bound(point)
            plan = netted(program, point.x)
        if plan is None or float(program.cost @ plan) - bound > NETTED_GAP * gap:
            program = fix_directions(program, point)
            outcome = self._run(program, point, gap)
            if not outcome.converged:
                return None
            bound = max(bound, program.proven_bound(point))
            plan = point.x
        found = totals(program, plan)
        return StageResult(
            program=program,
            x=plan,
            point=point,
            bound_eur=bound - float(np.dot(weights, found)),
            totals_kwh=found,
            weights=weights,
        )

    def with_turns(
        self, relaxed: StageResult, hours: FloatArray, least: tuple[FloatArray, FloatArray]
    ) -> StageResult | None:
        """The plan with minimum powers from the one without; None where the turns cannot be kept.

        Args:
            relaxed: The cost stage's answer.
            hours: Length of each step [h], shape (T,).
            least: Minimum charging and discharging powers [kW], shapes (M,).
        """
        turns = take_turns(relaxed.program, relaxed.x, relaxed.point, hours, least)
        program = with_turns(relaxed.program, turns, least)
        point = cold_start(program, self.price)
        if not self._run(program, point, self.gap * self.scale_eur).converged:
            return None
        free = program.free[: 3 * program.chain_steps].reshape(-1, 3)
        plan = netted(program, point.x) if (free[:, 0] & free[:, 1]).any() else point.x
        if plan is None:
            return None
        found = totals(program, plan)
        # The relaxed stage's cost with its penalties bounds that of every plan, whatever its totals are.
        worth = [
            weight * (old - new)
            for weight, old, new in zip(relaxed.weights, relaxed.totals_kwh, found, strict=True)
        ]
        return replace(
            relaxed,
            program=program,
            x=plan,
            point=point,
            bound_eur=relaxed.bound_eur + sum(worth),
            totals_kwh=found,
        )

    def _least_totals(self, first: int) -> Four | None:
        """The least total of each kind, given those before it; kinds before `first` are known to be 0."""
        least = [0.0, 0.0, 0.0, 0.0]
        for kind in range(first, 4):
            if not (self.base.kind == kind).any():
                continue
            found = self._least_total(kind, (least[0], least[1], least[2], least[3]))
            if found is None:
                return None
            least[kind] = found
        return (least[0], least[1], least[2], least[3])

    def _least_total(self, kind: int, least: Four) -> float | None:
        for _ in range(RAISES):
            ranks = self._ranks()
            weights = [ranks[k] / ranks[kind] if k <= kind else 0.0 for k in range(4)]
            program = with_weights(self.base, (weights[0], weights[1], weights[2], weights[3]), cost=False)
            outcome = self._run(program, cold_start(program, np.zeros_like(self.price)), STAGE_GAP_KWH)
            if not outcome.converged:
                return None
            found = totals(program, outcome.point.x)
            traded = [k for k in larger(found, least) if k < kind]
            if not traded:
                return found[kind]
            self._raise(traded)
        return None

    def _ranks(self) -> Four:
        """What a kWh of each kind is worth in kWh of the last kind.

        A kWh below the minimum counts in every step that it lasts, so one of another kind must outweigh
        as many as there are steps.
        """
        final = self.ratios[2] * self.base.steps
        departure = self.ratios[1] * final
        return (self.ratios[0] * departure, departure, final, 1.0)

    def _raise(self, traded: list[int]) -> None:
        """Makes kinds that came out too large dearer against those after them (the last has none)."""
        for kind in traded:
            self.ratios[min(kind, 2)] *= RAISE

    def _run(self, program: Program, point: Point, gap: float) -> Outcome:
        return run(program, point, gap_eur=gap, stop=self.stop)


def larger(found: Four, least: Four) -> list[int]:
    """The kinds whose total is larger than the least one."""
    return [k for k in range(4) if found[k] > least[k] + SHORT_KWH]
