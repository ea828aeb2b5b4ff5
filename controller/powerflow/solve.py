"""The solver process's door to plans that hold: a module-level function with everything in its arguments."""

from __future__ import annotations

from controller.dispatch.inputs import DispatchInputs
from controller.dispatch.result import DispatchResult
from controller.dispatch.solve import solve_quick
from controller.powerflow.placement import FlowModel
from controller.powerflow.replan import plan_that_holds


def solve_that_holds(
    inputs: DispatchInputs, *, deadline_s: float | None = None, model: FlowModel | None = None
) -> DispatchResult:
    """A plan for the running controller.

    Args:
        inputs: A problem without `inputs.problems`.
        deadline_s: Time for all of it [s], machine clock; None for as long as it takes.
        model: The network; None where the site does not describe it, then nothing is checked.

    Returns:
        A `FlowCheckedPlan` where there is a model.
    """
    if model is None:
        return solve_quick(inputs, deadline_s=deadline_s)
    return plan_that_holds(
        inputs, model, lambda problem, left_s: solve_quick(problem, deadline_s=left_s), deadline_s=deadline_s
    )
