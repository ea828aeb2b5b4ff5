"""The door to the structured solver, and its story.

The dispatch problem of formats.md is one linear program per root, but a special one: stores meet only at
the nodes. A general solver sees some hundred thousand rows and columns; seen by structure there are short
chains, one per store, and a few node prices per step. The parts:

* `layout`: stores as chains of energies with plain bounds, wishes as hinges.
* `network`: the tree, without the nodes whose limits cannot bind.
* `program`: all of it as one vector with costs; the proven lower bound of any multipliers.
* `interior`: Mehrotra's predictor-corrector. Its Newton step needs, per iteration,
  - `chains`: per store a tridiagonal solve, and the store's answer to its node's prices, a
    matrix whose entries are running products (the inverse of a tridiagonal is semiseparable);
  - `forest`: per node one Cholesky factorisation of steps by steps, children before parents.
* `team`: two threads for loops over many stores.
* `start`: where it begins; `replan`: how the last plan saves most of the work.
* `stages`: wishes before cost; `directions`: no store charges and discharges at once; `rotation`: minimum
  powers, by cars that take turns.

Work per iteration is linear in the stores; from 1000 to 10,000 of them iterations grow by about half, since
among more there is sooner one that stops a step. What comes out is put together and figured by the same code
as every other plan (`assemble`), and checked by it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from controller.dispatch.assemble import Certificate, assemble
from controller.dispatch.evaluate import Powers, evaluate
from controller.dispatch.inputs import DispatchInputs
from controller.dispatch.result import DispatchResult
from controller.dispatch.structured.program import Program, build_program
from controller.dispatch.structured.replan import (
    carry_on,
    carry_over,
    held_problem,
    joined_powers,
    whole_bound,
)
from controller.dispatch.structured.rotation import minimum_powers, without_dead_powers
from controller.dispatch.structured.stages import StageResult, Stages, larger
from controller.dispatch.structured.team import Team, threads_here
from controller.dispatch.warm import WarmStart
from controller.domain.units import FloatArray

SMALL = 5_000
"""Chain steps up to which a plan is made very exact and from scratch, since it costs little."""
ORDERED = 20_000
"""Chain steps up to which the strict order is tried in any case: it takes up to five times as long, of some
fifths of a second."""
SMALL_GAP, LARGE_GAP = 1e-6, 4e-4
"""Wanted gaps, relative to the cost's scale; 1e-3 counts as optimal."""
WHOLE_GAP = 1e-4
"""The same with minimum powers: taking turns adds its own part."""
PART_GAP = 1e-4
"""Wanted gap of what is planned anew around the last plan."""
REPLAN_GAP = 9.5e-4
"""Gap up to which a plan around the last one is taken."""


def solve_structured(
    inputs: DispatchInputs,
    *,
    deadline_s: float | None = None,
    warm: WarmStart | None = None,
    thorough: bool = True,
    threads: int | None = None,
) -> DispatchResult | None:
    """The plan by structure.

    Args:
        inputs: A problem without `inputs.problems`.
        deadline_s: Time for all of it [s], machine clock; None for as long as it takes.
        warm: The last plan; a re-plan that begins from it takes fewer iterations.
        thorough: Whether shortfalls are made small in the strict order of formats.md. Without it that is
            tried up to `ORDERED` chain steps; beyond, and where it comes to nothing, one high price stands
            for all of them: a running controller plans again within minutes.
        threads: On how many threads long loops are; None for as many as this process may use, two at most.
            The plan is the same.

    Returns:
        The plan, or None where this way did not converge in time: the caller has another one.
    """
    with Team(threads_here() if threads is None else threads) as team:
        return _solved(inputs, team, deadline_s, warm, thorough=thorough)


def _solved(
    inputs: DispatchInputs, team: Team, deadline_s: float | None, warm: WarmStart | None, *, thorough: bool
) -> DispatchResult | None:
    """The plan, its loops done by a team."""
    begun = time.perf_counter()

    def stop() -> bool:
        return deadline_s is not None and time.perf_counter() - begun > deadline_s

    program = build_program(inputs, team)
    built_s = time.perf_counter() - begun
    small, whole = program.chain_steps <= SMALL, any(store.has_minimum_power for store in inputs.stores)
    plan = None if warm is None or small or whole else _replanned(inputs, program, warm, stop)
    gap = SMALL_GAP if small else WHOLE_GAP if whole else LARGE_GAP
    if plan is None:
        plan = _planned(inputs, program, inputs.cost_scale_eur, gap, stop, thorough=thorough)
    if plan is None:
        return None
    certificate = Certificate(
        method=plan.method,
        lower_bound_eur=plan.bound_eur,
        node_price_eur_per_kwh=plan.price / inputs.step_h,
        water_value_eur_per_kwh=_water_values(inputs, program, plan.lam),
        build_s=built_s,
        solve_s=time.perf_counter() - begun - built_s,
        totals_are_least=plan.totals_are_least,
    )
    return assemble(inputs, plan.powers, certificate)


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """A plan before its figures."""

    method: str
    powers: Powers
    bound_eur: float
    price: FloatArray
    """Node prices times step length at every node of the inputs [EUR/kW], shape (N, T)."""
    lam: FloatArray
    """Water values of the chain steps [EUR/kWh], shape (M,)."""
    totals_are_least: bool = True
    """Whether no plan has smaller totals."""


def _planned(
    inputs: DispatchInputs,
    program: Program,
    scale_eur: float,
    gap: float,
    stop: Callable[[], bool],
    *,
    thorough: bool = True,
) -> _Plan | None:
    """The whole problem from a cold start."""
    least = minimum_powers(inputs, program)
    whole = any(powers.any() for powers in least)
    stages = Stages(
        base=without_dead_powers(program, least) if whole else program,
        price=0.5 * (inputs.import_price_eur_per_kwh + inputs.export_price_eur_per_kwh) * inputs.step_h,
        weight_eur=_weight_eur(inputs),
        scale_eur=scale_eur,
        gap=gap,
        stop=stop,
        ordered=thorough or program.chain_steps <= ORDERED,
        thorough=thorough,
    )
    answer = stages.solve()
    if answer is None:
        return None
    turns = stages.with_turns(answer, inputs.step_h, least) if whole else answer
    if turns is None:
        return None
    point = turns.point
    return _Plan(
        method="structured, in turns" if whole else "structured",
        powers=_powers(inputs, turns),
        bound_eur=turns.bound_eur,
        price=point.price[program.tree.kept_of],
        lam=point.lam,
        totals_are_least=not larger(turns.totals_kwh, answer.totals_kwh),
    )


def _replanned(
    inputs: DispatchInputs, program: Program, warm: WarmStart, stop: Callable[[], bool]
) -> _Plan | None:
    """A plan around the last one, if it turns out good enough."""
    carried = carry_over(program, inputs, warm, _weight_eur(inputs))
    if carried is None:
        return None
    for last_round in (False, True):
        part = held_problem(inputs, carried)
        small = _planned(part, build_program(part, program.team), inputs.cost_scale_eur, PART_GAP, stop)
        if small is None:
            return None
        powers = joined_powers(carried, small.powers)
        figures = evaluate(inputs, powers)
        if any(figures.totals.as_tuple()):
            return None
        enough = figures.cost_eur - REPLAN_GAP * inputs.cost_scale_eur
        bound = whole_bound(carried, small.price, enough)
        if bound >= enough:
            break
        further = None if last_round else carry_on(inputs, carried, powers)
        if further is None:
            return None
        carried = further
    return _Plan(
        method="structured, around the last plan",
        powers=powers,
        bound_eur=bound,
        price=carried.point.price[program.tree.kept_of],
        lam=carried.point.lam,
    )


def _weight_eur(inputs: DispatchInputs) -> float:
    """A price per kWh above what any kWh could be worth through a few detours over other stores."""
    prices = [inputs.import_price_eur_per_kwh, inputs.export_price_eur_per_kwh]
    worth = max(float(np.abs(price).max(initial=0.0)) for price in prices)
    fees = max(
        (
            float(np.max(np.abs(s.charge_adder_eur_per_kwh)))
            + float(np.max(np.abs(s.discharge_adder_eur_per_kwh)))
            + s.wear_eur_per_kwh_discharged
            for s in inputs.stores
        ),
        default=0.0,
    )
    return max(12.0, 30.0 * (worth + fees))


def _powers(inputs: DispatchInputs, answer: StageResult) -> Powers:
    program: Program = answer.program
    c, x, m = program.chains, answer.x, program.chain_steps
    charge = np.zeros((len(inputs.stores), inputs.steps))
    discharge = np.zeros_like(charge)
    charge[c.store, c.step] = np.clip(x[0 : 3 * m : 3], 0.0, c.charge_kw_max)
    discharge[c.store, c.step] = np.clip(x[1 : 3 * m : 3], 0.0, c.discharge_kw_max)
    roofs = program.roofs
    pv = np.array([roof.available_kw for roof in inputs.pv]).reshape(len(inputs.pv), inputs.steps).copy()
    pv[roofs.roof, roofs.step] = np.clip(x[3 * m : program.node_from], 0.0, roofs.available_kw)
    return Powers(charge_kw=charge, discharge_kw=discharge, pv_kw=np.asarray(pv))


def _water_values(inputs: DispatchInputs, program: Program, lam: FloatArray) -> FloatArray:
    """What a kWh more is worth in each store after each step [EUR/kWh], shape (S, T).

    Between stays it is worth what it will be worth in the next one, and after the last stay nothing.
    """
    c = program.chains
    value = np.full((len(inputs.stores), inputs.steps), np.nan)
    value[c.store, c.step] = lam
    for step in range(inputs.steps - 2, -1, -1):
        value[:, step] = np.where(np.isnan(value[:, step]), value[:, step + 1], value[:, step])
    return np.asarray(np.nan_to_num(value))
