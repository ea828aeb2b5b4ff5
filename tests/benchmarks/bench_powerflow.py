"""The power flow on the simulated networks: what a check costs and how many plans it takes until one holds.

A winter's day of 96 quarter-hours with the tree's own limits, planned by the quick planner that the running
controller uses.
"""

from __future__ import annotations

import sys
import time

from controller.dispatch.check import check
from controller.dispatch.inputs import DispatchInputs
from controller.dispatch.result import DispatchResult
from controller.dispatch.solve import solve_quick
from controller.powerflow.check import check_flow
from controller.powerflow.placement import flow_model
from controller.powerflow.replan import plan_that_holds
from sim.scenarios import build, load_scenario
from tests.support.sim import START
from tests.support.winter_day import winter_day

DEADLINE_S = 60.0


def main() -> None:
    """Prints a line per network."""
    sys.stdout.write(
        f"{'network':>8} {'cars':>5} {'buses':>5} {'plan s':>7} {'check s':>7} {'breaks':>6} {'plans':>5} "
        f"{'all s':>6} {'breaks':>6} {'cost EUR':>17}\n"
    )
    for name in ("street", "lombok"):
        site = build(load_scenario(name), seed=1, start=START).site
        model = flow_model(site)
        if model is None:
            raise AssertionError("simulated sites describe their cables")
        inputs = winter_day(site)
        solve_quick(inputs, deadline_s=DEADLINE_S)  # loads and compiles
        begun = time.perf_counter()
        naive = solve_quick(inputs, deadline_s=DEADLINE_S)
        planned = time.perf_counter()
        findings = check_flow(inputs, naive, model)
        checked = time.perf_counter()
        made = plan_that_holds(inputs, model, _plan, deadline_s=DEADLINE_S)
        done = time.perf_counter()
        if check(inputs, made):
            raise AssertionError("the plan that holds breaks the tree")
        sys.stdout.write(
            f"{name:>8} {len(inputs.stores):>5} {len(model.grid.bus_index):>5} {planned - begun:>7.2f} "
            f"{checked - planned:>7.2f} {len(findings):>6} {1 + made.rounds:>5} {done - checked:>6.2f} "
            f"{len(made.findings):>6} {naive.cost_eur:>8.2f} {made.cost_eur:>8.2f}\n"
        )


def _plan(inputs: DispatchInputs, left_s: float | None) -> DispatchResult:
    return solve_quick(inputs, deadline_s=left_s)


if __name__ == "__main__":
    main()
