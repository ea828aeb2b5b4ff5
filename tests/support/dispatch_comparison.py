"""Holds both ways to plan against the reference on random problems.

`python -m tests.support.dispatch_comparison` goes through 200 of them and prints the largest differences; the
tests take as many as run in a few seconds.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from controller.dispatch.inputs import DispatchInputs
from controller.dispatch.result import DispatchResult
from controller.dispatch.solve import solve_exact
from controller.dispatch.structured.solve import solve_structured
from tests.support.dispatch_random import AnyProblem
from tests.support.dispatch_reference import Reference, audit, reference

TOTALS_KWH = 1e-6
"""What formats.md compares totals to."""
LESS_KWH = 1e-5
"""By how much a total may be less than the reference's, whose directions were chosen to HiGHS's tolerance:
that such a plan keeps every rule is what the audit is for."""
COST_SHARE = 1e-4
"""What costs may differ by, of the cost's scale."""
BOUND_SHARE = 1e-6
"""By how much a bound may pass the reference's cost: the room of its caps."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How far a plan is from the exact answer."""

    more_kwh: float
    """By how much a total is larger at most, as the plan reports it or as its numbers amount to, beyond what
    the room that both leave to earlier totals is worth to a later one."""
    less_kwh: float
    """By how much one is less, likewise."""
    cost_share: float
    """By how much it is dearer, of the cost's scale; below 0 if it is cheaper."""
    bound_share: float
    """By how much its lower bound passes the exact cost."""
    proven_share: float
    """Its own gap."""
    broken: list[str]
    claims: bool
    """Whether it claims to be near the best. With minimum powers the structured way may say that it is not:
    then only what is hard and its bound are held against it, and the caller has the exact way."""

    @property
    def faults(self) -> list[str]:
        """What is wrong with the plan, in words; empty where it is as good as exact."""
        found = list(self.broken)
        if not self.bound_share <= BOUND_SHARE:
            found.append(f"the bound is {self.bound_share:.2e} above the exact cost")
        if not self.claims:
            return found
        if not self.more_kwh <= TOTALS_KWH:
            found.append(f"a total is {self.more_kwh:.2e} kWh more")
        if not self.less_kwh <= LESS_KWH:
            found.append(f"a total is {self.less_kwh:.2e} kWh less")
        # The structured way says by its bound how far from the best it may be where burning energy pays.
        if not -COST_SHARE <= self.cost_share <= max(COST_SHARE, self.proven_share):
            found.append(f"the cost is {self.cost_share:.2e} off")
        return found


def difference(inputs: DispatchInputs, plan: DispatchResult, exact: Reference) -> Difference:
    """Compares a plan with the exact answer."""
    true, scale = audit(inputs, plan), inputs.cost_scale_eur
    told = plan.totals_kwh.as_tuple()
    broken = list(true.broken)
    if abs(true.cost_eur - plan.cost_eur) > 1e-9 * scale:
        broken.append(f"cost is told as {plan.cost_eur}, is {true.cost_eur}")
    differ = []
    for values in (told, true.totals_kwh):
        for value, kwh, room in zip(values, exact.totals_kwh, exact.room_kwh, strict=True):
            off = value - kwh
            differ.append(math.copysign(max(0.0, abs(off) - room), off))
    return Difference(
        more_kwh=max(differ),
        less_kwh=-min(differ),
        cost_share=(true.cost_eur - exact.cost_eur) / scale,
        bound_share=(plan.lower_bound_eur - exact.cost_eur) / scale,
        proven_share=(plan.cost_eur - plan.lower_bound_eur) / scale,
        broken=broken,
        claims=plan.status == "optimal" or not any(store.has_minimum_power for store in inputs.stores),
    )


type Way = Callable[[DispatchInputs], DispatchResult | None]
WAYS: dict[str, Way] = {"exact": solve_exact, "structured": solve_structured}


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    options = parser.parse_args()
    found: dict[str, list[Difference]] = {name: [] for name in WAYS}
    seconds = dict.fromkeys(("reference", *WAYS), 0.0)
    wrong = 0
    for seed in range(options.first, options.first + options.problems):
        inputs = AnyProblem(seed).inputs()
        begun = time.perf_counter()
        exact = reference(inputs)
        seconds["reference"] += time.perf_counter() - begun
        for name, way in WAYS.items():
            begun = time.perf_counter()
            plan = way(inputs)
            seconds[name] += time.perf_counter() - begun
            if plan is None:
                continue
            found[name].append(difference(inputs, plan, exact))
            for fault in found[name][-1].faults:
                wrong += 1
                sys.stdout.write(f"seed {seed}, {name}: {fault}\n")
    sys.stdout.write(
        "way         plans  more [kWh]  less [kWh]  dearer    cheaper   bound     own gap   seconds\n"
    )
    for name, all_of in found.items():
        sure = [d for d in all_of if d.claims]
        if not sure:
            continue
        worst = (
            f"{max(d.more_kwh for d in sure):<12.1e}{max(d.less_kwh for d in sure):<12.1e}"
            f"{max(d.cost_share for d in sure):<10.1e}"
            f"{max(-d.cost_share for d in sure):<10.1e}{max(d.bound_share for d in sure):<10.1e}"
            f"{max(d.proven_share for d in sure):<10.1e}"
        )
        sys.stdout.write(f"{name:<12}{len(sure):<7}{worst}{seconds[name]:.1f}\n")
    sys.stdout.write(f"reference   {options.problems:<71}{seconds['reference']:.1f}\n")
    sys.stdout.write(f"{wrong} faults\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
