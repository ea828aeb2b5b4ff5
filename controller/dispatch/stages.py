"""The order of formats.md: excess, departures, end, minimum, and only then the cost.

Nearly always every wish can be met. So the first try asks for the cheapest plan with all totals at their
least conceivable value; where one exists it is the answer, after one solve. Otherwise the totals are made
small one after the other, each then capped at what it reached, and the cost comes last.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from controller.dispatch.highs import (
    MIP_GAP_ABSOLUTE,
    Deadline,
    Failed,
    Infeasible,
    Outcome,
    OutOfTime,
    Runner,
    Solved,
)
from controller.dispatch.problem import NO_CAP_KWH
from controller.domain.units import FloatArray

LINEAR_SLACK_KWH = 1e-9
"""Room between a total's least value and its cap [kWh] in a linear problem: ten times the solver's tolerance.
A later total may use that room some hundred times over, once per step and store that it can help."""
MIXED_SLACK_KWH = 2e-7
"""The same with whole numbers: under a cap of 2e-8 HiGHS 1.15 was seen to lose the best answer. What was
decided so is gone through once more as a linear problem, which makes the totals exact."""
WIDER = (1.0, 10.0, 100.0)
"""What the room is multiplied with until the solver finds its own last answer within the caps again."""
MET_KWH = 1e-9
"""A total this close to what is missing in any case [kWh] is as small as that."""
OVERFLOW_EUR_PER_KWH = 1e3
"""Price of passing a cap where that is allowed [EUR/kWh]: a hundred times the largest node price."""


@dataclass(frozen=True, kw_only=True)
class Staged:
    """The end of the order: the model holds the plan."""

    totals_kwh: FloatArray
    """The least totals, to the solver's precision, shape (4,)."""
    cost_eur: float
    bound_eur: float
    """No plan of this model with these totals costs less [EUR]."""


type StagedOutcome = Staged | OutOfTime | Failed


def certain_kwh(runner: Runner) -> FloatArray:
    """What is missing whatever one does, shape (4,)."""
    values = (runner.model.value(f"{name}_certain")[0] for name in ("departure", "final", "minimum"))
    return np.array([0.0, *values])


def _caps(runner: Runner, totals_kwh: FloatArray, wider: float = 1.0) -> FloatArray:
    """Caps for totals; what is missing in any case needs no room, which totals after it would use."""
    mixed = "charging" in runner.model.variables
    room = wider * (MIXED_SLACK_KWH if mixed else LINEAR_SLACK_KWH)
    certain = certain_kwh(runner)
    roomy = (totals_kwh > certain + MET_KWH) | (wider > 1.0)
    return np.where(roomy, totals_kwh + room, certain)


def run_stages(runner: Runner, deadline: Deadline, first_kwh: FloatArray | None = None) -> StagedOutcome:
    """Goes through the order.

    Args:
        runner: A model with its bounds set.
        deadline: When to stop.
        first_kwh: Totals of the first try; the certain amounts where None.
    """
    certain = certain_kwh(runner)
    first = cost_stage(runner, deadline, certain if first_kwh is None else first_kwh)
    if isinstance(first, Staged | OutOfTime):
        return first
    reached = _least_totals(runner, deadline, certain)
    if not isinstance(reached, np.ndarray):
        return reached
    last: Staged | Infeasible | OutOfTime | Failed = Infeasible()
    for wider in WIDER:
        last = cost_stage(runner, deadline, reached, surely=True, wider=wider)
        if isinstance(last, Staged | OutOfTime):
            return last
    return last if isinstance(last, Failed) else Failed("the totals that were reached cannot be kept")


def _least_totals(runner: Runner, deadline: Deadline, certain: FloatArray) -> FloatArray | OutOfTime | Failed:
    """Makes the totals small one after the other; returns what each reached [kWh], shape (4,)."""
    # A relative gap would leave a large total short of the precision that formats.md asks for.
    with runner.options(mip_rel_gap=0.0, mip_abs_gap=MIP_GAP_ABSOLUTE):
        return _one_by_one(runner, deadline, certain)


def _one_by_one(runner: Runner, deadline: Deadline, certain: FloatArray) -> FloatArray | OutOfTime | Failed:
    model, reached = runner.model, certain.copy()
    for k in range(4):
        weights, caps = np.zeros(4), np.full(4, NO_CAP_KWH)
        weights[k] = 1.0
        outcome: Outcome = Infeasible()
        for wider in WIDER:
            caps[:k] = _caps(runner, reached, wider)[:k]
            model.set(total_weights=weights, cost_weight=np.zeros(1), caps=caps)
            outcome = _run_surely(runner, deadline)
            if not isinstance(outcome, Infeasible):
                break
        match outcome:
            case Solved(proven=False):
                return OutOfTime()  # A total that may not be the least is no cap for the ones after it.
            case Solved(value=value):
                reached[k] = max(value, certain[k])
            case Infeasible():
                return Failed(f"total {k} has no least value")
            case OutOfTime() | Failed():
                return outcome
        later = np.asarray(model.variables["totals"].value)[k + 1 :]
        if (later <= certain[k + 1 :] + MET_KWH).all():
            break
    return reached


def _run_surely(runner: Runner, deadline: Deadline) -> Outcome:
    """Solves a stage that has an answer, for the stage before had one.

    HiGHS 1.15's presolve called some of these mixed-integer problems infeasible; without it they are solved.
    """
    outcome = runner.run(deadline)
    if isinstance(outcome, Infeasible):
        with runner.options(presolve="off"):
            outcome = runner.run(deadline)
    return outcome


def cost_stage(
    runner: Runner, deadline: Deadline, totals_kwh: FloatArray, *, surely: bool = False, wider: float = 1.0
) -> Staged | Infeasible | OutOfTime | Failed:
    """The cheapest plan with totals no larger than these; `surely` where it is known that there is one."""
    caps = _caps(runner, totals_kwh, wider)
    runner.model.set(total_weights=np.zeros(4), cost_weight=np.ones(1), caps=caps)
    outcome = _run_surely(runner, deadline) if surely else runner.run(deadline)
    match outcome:
        case Solved(value=value, bound=bound):
            return Staged(totals_kwh=totals_kwh, cost_eur=value, bound_eur=bound)
        case _:
            return outcome


def run_priced(runner: Runner, deadline: Deadline, totals_kwh: FloatArray, below_kwh: float) -> bool:
    """Solves with overflow of the caps at a price, so that there is a plan and its duals say what hurts.

    Args:
        runner: A model with its bounds set.
        deadline: When to stop.
        totals_kwh: What the totals reached.
        below_kwh: By how much to ask for less than that; above 0 the price of a shortfall is in the duals.

    Returns:
        Whether there is a solution.
    """
    lowered = np.maximum(_caps(runner, totals_kwh) - below_kwh, certain_kwh(runner))
    runner.model.set(
        total_weights=np.zeros(4),
        cost_weight=np.ones(1),
        caps=lowered,
        overflow_high=np.full(4, np.inf),
        overflow_weight=np.full(1, OVERFLOW_EUR_PER_KWH),
    )
    outcome = runner.run(deadline)
    runner.model.set(overflow_high=np.zeros(4), overflow_weight=np.zeros(1))
    return isinstance(outcome, Solved)
