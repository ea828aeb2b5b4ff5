"""What plans for a running controller, one problem after the other.

From plan to plan it remembers two things, and only to be quicker: the last plan, which most stores can keep,
and what the network was found to bear. Where the solver gives nothing it hands on the last plan, clipped to
what holds now, or one by rules: of these the first that a power flow finds nothing against, or as far as
there is time to look at them.
"""

from __future__ import annotations

import time
from dataclasses import fields

from controller.dispatch.carry import second_best, second_choices
from controller.dispatch.inputs import DispatchInputs
from controller.dispatch.result import DispatchResult
from controller.dispatch.solve import load, solve_quick
from controller.dispatch.warm import WarmStart
from controller.domain.site import Site
from controller.powerflow.check import check_flow
from controller.powerflow.memory import Remembered
from controller.powerflow.placement import FlowModel, flow_model
from controller.powerflow.replan import plan_that_holds, severity
from controller.powerflow.result import CheckedPlan


def live_planner(site: Site | None, *, ready: bool = True) -> LivePlanner:
    """A planner that checks its plans on the network of a site.

    Args:
        site: The site; where there is none, or it does not describe its cables, plans are not checked.
        ready: Whether all libraries are loaded now: where plans have deadlines.
    """
    if ready:
        load()
    return LivePlanner(None if site is None else flow_model(site))


class LivePlanner:
    """A planner with a memory; the same problems in the same order give the same plans."""

    def __init__(self, model: FlowModel | None = None) -> None:
        """Knows no plan yet.

        Args:
            model: The network; None where it is not described, or not to be checked.
        """
        self._model = model
        self._remembered: tuple[Remembered, ...] = ()
        self._solved: WarmStart | None = None
        self._answered: WarmStart | None = None

    def __call__(self, inputs: DispatchInputs, *, deadline_s: float | None = None) -> DispatchResult:
        """The best plan that can be had in time.

        Args:
            inputs: A problem without `inputs.problems`.
            deadline_s: Time for all of it [s], machine clock; None for as long as it takes.

        Returns:
            A `CheckedPlan` where there is a model and a new plan.
        """
        begun_s = time.perf_counter()
        if self._model is None:
            result = self._solve(inputs, deadline_s)
        else:
            checked = plan_that_holds(
                inputs, self._model, self._solve, deadline_s=deadline_s, remembered=self._remembered
            )
            self._remembered = checked.remembered
            # What was learned stays here: it need not cross to another process.
            own = {item.name: getattr(checked, item.name) for item in fields(CheckedPlan)}
            result = CheckedPlan(**own)
        if result.status == "fallback":
            until_s = None if deadline_s is None else begun_s + deadline_s
            return self._second_best(inputs, result.reason, until_s)
        self._answered = WarmStart(inputs=inputs, result=result)
        return result

    def _second_best(self, inputs: DispatchInputs, reason: str, until_s: float | None) -> DispatchResult:
        """The first choice without a finding; where all have some, the one that breaks least.

        The first is always looked at; another only where it is there by `until_s` (`time.perf_counter`) if
        it takes as long as the one before.
        """
        if self._model is None:
            return second_best(inputs, self._answered, reason)
        best: CheckedPlan | None = None
        begun_s = time.perf_counter()
        for plan in second_choices(inputs, self._answered, reason):
            own = {item.name: getattr(plan, item.name) for item in fields(DispatchResult)}
            checked = CheckedPlan(**own, findings=check_flow(inputs, plan, self._model), rounds=0)
            if best is None or severity(inputs, checked) < severity(inputs, best):
                best = checked
            ended_s = time.perf_counter()
            late = until_s is not None and ended_s + (ended_s - begun_s) > until_s
            if late or not best.findings:
                break
            begun_s = ended_s
        return best if best is not None else second_best(inputs, self._answered, reason)

    def _solve(self, inputs: DispatchInputs, deadline_s: float | None) -> DispatchResult:
        """One problem, from the last one that was solved: perhaps for a wider tree, but hardly another."""
        result = solve_quick(inputs, deadline_s=deadline_s, warm=self._solved)
        if result.status != "fallback":
            self._solved = WarmStart(inputs=inputs, result=result)
        return result
