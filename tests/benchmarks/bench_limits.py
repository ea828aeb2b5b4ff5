"""Limits broken by more than 1e-6 relative, over random problems with negative prices and infeasible wishes.

The problems are those of the property tests: random forests, prices of either sign, trips, wishes that cannot
be met, minimum powers in every other one, fixed load beyond a limit here and there. Every plan of `solve`
(the door that the controller and the command line use) is measured twice: by the product's own check, and by
an audit that shares no code with it.
"""

from __future__ import annotations

import sys
from collections import Counter

from controller.dispatch.check import check
from controller.dispatch.solve import solve
from tests.support.dispatch import random_problem
from tests.support.dispatch_reference import audit

PROBLEMS = 200
CARS, STEPS = (1, 2, 3, 5, 8), (4, 8, 12, 24)


def main() -> None:
    """Prints the number of limits broken, and how odd the problems were."""
    broken = 0
    seen: Counter[str] = Counter()
    for seed in range(PROBLEMS):
        inputs = random_problem(
            seed, cars=CARS[seed % len(CARS)], steps=STEPS[seed % len(STEPS)], minimum_powers=seed % 2 == 0
        )
        plan = solve(inputs)
        broken += len(check(inputs, plan)) + len(audit(inputs, plan).broken)
        seen[plan.status] += 1
        seen["negative prices"] += bool((inputs.import_price_eur_per_kwh < 0.0).any())
        seen["wishes that cannot be met"] += plan.totals_kwh.departure + plan.totals_kwh.final > 0.0
        seen["fixed load over a limit"] += plan.totals_kwh.excess > 0.0
        seen["minimum powers"] += any(store.has_minimum_power for store in inputs.stores)
    sys.stdout.write(
        f"limits broken by more than 1e-6 relative, over {PROBLEMS} random problems "
        f"(seeds 0 to {PROBLEMS - 1}), negative prices and infeasible wishes among them: {broken}\n"
        + "".join(f"{count:>6}  {name}\n" for name, count in sorted(seen.items()))
    )


if __name__ == "__main__":
    main()
