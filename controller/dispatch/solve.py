"""The one door to a plan: chooses a method, has its answer checked, and falls back to rules.

Many stores go to the structured solver (`structured`), and of a running controller, which plans every few
minutes, few too; few stores otherwise, and whatever it declines or does not prove to be near the best, to the
exact model, root by root (they share nothing). Limits of single phases are rows of the exact model; the
structured solver, which knows a tree, keeps them by `phased`. What comes out was checked against every hard
constraint (`check`), whatever the solver claims; an answer that fails is thrown away and rules make the plan.

Each method's libraries (numba; cvxpy and HiGHS) take a second or more to load and most problems need one of
them, so each is loaded by the first problem that does. Where plans have deadlines, `load` does it before.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from controller.dispatch.assemble import Certificate, assemble, powers_of
from controller.dispatch.check import check
from controller.dispatch.evaluate import Powers, trivial_bound_eur
from controller.dispatch.fallback import fallback
from controller.dispatch.inputs import DispatchInputs, split_by_root
from controller.dispatch.phase_rows import without_even_rows
from controller.dispatch.phased import keeps, shared_out
from controller.dispatch.restate import restated
from controller.dispatch.result import SAME_KWH, DispatchResult
from controller.dispatch.warm import WarmStart

if TYPE_CHECKING:
    from controller.dispatch.exact import RootPlan

STRUCTURED_FROM = 30
"""Stores from which the structured solver comes first: at 50 it takes a quarter of the exact model's time,
and loading its compiled loops takes as long as some small problems; a running controller has them loaded."""
STRUCTURED_SHARE = 0.6
"""Of a deadline, what it may use; the rest is for the exact model where it does not converge."""
EXACT_UP_TO = 200
"""Stores up to which the exact model, in bearable time, may decide directions (negative prices) and minimum
powers better, where the structured plan is not proven to be near the best."""
FALLBACK_RESERVE_S = 0.3
"""Kept of a deadline for the check and the rules [s]; measured at 1000 stores and 80 steps with a margin."""
BOUND_MARGIN = 1e-5
"""Taken off a bound, of the cost's scale: totals are capped to 1e-7 kWh and not exactly, and a plan whose
totals differ by that much may be cheaper by as much as its shortfalls are worth. A hundredth of 0.1%."""


def load() -> None:
    """Loads every method's libraries and compiled loops now, so that no plan's deadline goes by in it."""
    import controller.dispatch.exact  # noqa: F401
    from controller.dispatch.structured.first import compile_loops

    compile_loops()


def solve(
    inputs: DispatchInputs,
    *,
    deadline_s: float | None = None,
    warm: WarmStart | None = None,
    thorough: bool = True,
) -> DispatchResult:
    """The best plan that can be had in time; always one that keeps the hard constraints.

    Args:
        inputs: A problem without `inputs.problems`.
        deadline_s: Time for all of it [s], machine clock; None for as long as it takes.
        warm: The last plan; of many stores most then keep theirs (see `structured.replan`).
        thorough: Whether to spend time on deciding minimum powers and directions exactly.

    Returns:
        A plan with status `optimal`, `feasible` or `fallback`.
    """
    begun = time.perf_counter()

    def left_s() -> float | None:
        return None if deadline_s is None else deadline_s - (time.perf_counter() - begun)

    plan = None
    many = len(inputs.stores) >= STRUCTURED_FROM
    if many or (inputs.stores and not thorough):
        plan = _solve_structured(inputs, left_s, warm, thorough=thorough)
        enough = (many and not thorough) or len(inputs.stores) > EXACT_UP_TO
        if plan is not None and (plan.status == "optimal" or enough):
            return plan
    exact = solve_exact(inputs, deadline_s=left_s(), thorough=thorough)
    return exact if plan is None or _no_worse(exact, plan) else plan


def _no_worse(one: DispatchResult, other: DispatchResult) -> bool:
    """Whether smaller totals, in their order, or else no larger a cost."""
    for mine, theirs in zip(one.totals_kwh.as_tuple(), other.totals_kwh.as_tuple(), strict=True):
        if abs(mine - theirs) > SAME_KWH:
            return mine < theirs
    return one.cost_eur <= other.cost_eur


def _solve_structured(
    inputs: DispatchInputs,
    left_s: Callable[[], float | None],
    warm: WarmStart | None,
    *,
    thorough: bool,
) -> DispatchResult | None:
    """The plan by the structured solver, None where it has none that holds.

    Where single phases bind, few stores are left to the exact model: it is quicker than sharing out.
    """
    from controller.dispatch.structured.solve import solve_structured

    def on_tree(tree: DispatchInputs) -> DispatchResult | None:
        """One problem without phases."""
        until_s = left_s()
        share_s = None if until_s is None else STRUCTURED_SHARE * until_s
        return solve_structured(tree, deadline_s=share_s, warm=warm, thorough=thorough)

    even, rows = without_even_rows(inputs)
    plan = on_tree(even)
    if plan is not None and rows is not None and not keeps(rows, powers_of(even, plan)):
        few = len(inputs.stores) <= EXACT_UP_TO
        plan = None if few else shared_out(inputs, even, rows, plan, on_tree)
    elif plan is not None and inputs.phases is not None:
        plan = restated(inputs, plan, plan)
    return None if plan is None or check(inputs, plan) else plan


def solve_quick(
    inputs: DispatchInputs, *, deadline_s: float | None = None, warm: WarmStart | None = None
) -> DispatchResult:
    """A plan for the running controller, which soon makes a new one: less effort on minimum powers."""
    return solve(inputs, deadline_s=deadline_s, warm=warm, thorough=False)


def solve_exact(
    inputs: DispatchInputs, *, deadline_s: float | None = None, thorough: bool = True
) -> DispatchResult:
    """The same by the cvxpy model alone."""
    from controller.dispatch.exact import RootPlan, RootSolver
    from controller.dispatch.highs import Deadline, OutOfTime

    deadline = Deadline(None if deadline_s is None else deadline_s - FALLBACK_RESERVE_S)
    start = time.perf_counter()
    plans: list[tuple[DispatchInputs, RootPlan]] = []
    for part in split_by_root(inputs):
        outcome = RootSolver(part, deadline, thorough=thorough).solve()
        if not isinstance(outcome, RootPlan):
            late = isinstance(outcome, OutOfTime)
            return fallback(inputs, "the deadline came first" if late else f"the solver gave up: {outcome}")
        plans.append((part, outcome))
    result = _joined(inputs, plans, time.perf_counter() - start)
    breaches = check(inputs, result)
    if breaches:
        return fallback(inputs, f"the solver's plan breaks {breaches[0].constraint} at {breaches[0].subject}")
    return result


def _joined(
    inputs: DispatchInputs, plans: list[tuple[DispatchInputs, RootPlan]], total_s: float
) -> DispatchResult:
    """One result from the plans of the roots."""
    steps = inputs.steps
    shape, nodes = (len(inputs.stores), steps), len(inputs.nodes)
    charge, discharge, water = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    pv, price = np.zeros((len(inputs.pv), steps)), np.zeros((nodes, steps))
    store_at = {store.id: i for i, store in enumerate(inputs.stores)}
    roof_at = {roof.id: i for i, roof in enumerate(inputs.pv)}
    for part, plan in plans:
        at = [store_at[store.id] for store in part.stores]
        charge[at], discharge[at] = plan.powers.charge_kw, plan.powers.discharge_kw
        water[at] = plan.water_value_eur_per_kwh
        pv[[roof_at[roof.id] for roof in part.pv]] = plan.powers.pv_kw
        price[[inputs.node_index[node.id] for node in part.nodes]] = plan.node_price_eur_per_kwh
    solve_s = sum(plan.solve_s for _, plan in plans)
    bound = sum(plan.bound_eur for _, plan in plans)
    return assemble(
        inputs,
        Powers(charge_kw=charge, discharge_kw=discharge, pv_kw=pv),
        Certificate(
            method=", ".join(sorted({plan.method for _, plan in plans})),
            lower_bound_eur=max(bound - BOUND_MARGIN * inputs.cost_scale_eur, trivial_bound_eur(inputs)),
            node_price_eur_per_kwh=price,
            water_value_eur_per_kwh=water,
            build_s=max(0.0, total_s - solve_s),
            solve_s=solve_s,
            totals_are_least=all(plan.totals_are_least for _, plan in plans),
        ),
    )
