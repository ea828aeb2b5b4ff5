"""An independent solver of small dispatch problems: formats.md written out once more, for HiGHS alone.

It shares no code with `controller.dispatch`: one variable per store and step (energies at every step, also
away), every binary from the start, the stages as in the text. Slow and plain on purpose.

How exact it is: each total is made least without a gap, then capped a little above (`SLACKS_KWH`), for HiGHS
loses good answers under a cap as tight as its tolerance, now and then even under a wider one: so everything
is done with two widths and the better answer counts. A later total can use that room a hundred times over.
So in the end the whole numbers are fixed and the stages gone through once more as linear problems, which
bear much tighter caps (`LINEAR_SLACKS_KWH`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import highspy
import numpy as np

from controller.dispatch.inputs import DispatchInputs, StoreInput
from controller.dispatch.result import DispatchResult
from controller.domain.units import FloatArray

_highspy: Any = highspy
TOLERANCE, MIXED_TOLERANCE = 1e-10, 1e-9
"""By how much a row may be off in a linear problem, and a row or a whole number in a mixed-integer one."""
SLACKS_KWH = (1e-7, 5e-7)
"""Room of a cap [kWh] while whole numbers are looked for."""
LINEAR_SLACKS_KWH = (1e-9, 1e-8, 1e-7)
"""The same with those fixed; more only where HiGHS cannot keep its own last answer, or to see its worth."""
SAME_KWH = 5e-7
"""Totals this close are the same."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """The exact answer."""

    totals_kwh: tuple[float, float, float, float]
    cost_eur: float
    room_kwh: tuple[float, float, float, float]
    """What ten times the room of the caps was worth to each total: thousands of times that room where a
    trace of excess lets a store charge that otherwise stays below its minimum for many steps."""


class _NoAnswerError(AssertionError):
    """The solver found nothing within the caps."""


class _Program:
    """Rows and columns of a mixed-integer linear program, added one by one."""

    def __init__(self, like: _Program | None = None) -> None:
        self.low: list[float] = [] if like is None else like.low.copy()
        self.high: list[float] = [] if like is None else like.high.copy()
        self.whole: list[bool] = [] if like is None else like.whole.copy()
        self.rows: list[tuple[dict[int, float], float, float]] = [] if like is None else like.rows.copy()

    def column(self, low: float, high: float, *, whole: bool = False) -> int:
        """A variable; returns its place."""
        self.low.append(low)
        self.high.append(high)
        self.whole.append(whole)
        return len(self.low) - 1

    def row(self, terms: dict[int, float], low: float, high: float) -> None:
        """A constraint `low <= terms <= high`."""
        self.rows.append((terms, low, high))

    def minimise(self, terms: dict[int, float], fixed: FloatArray | None = None) -> tuple[float, FloatArray]:
        """The least value and where it is; with `fixed` the whole numbers are as in that vector."""
        low, high = np.array(self.low), np.array(self.high)
        if fixed is not None:
            whole = np.array(self.whole, dtype=np.bool_)
            low[whole] = high[whole] = np.round(fixed[whole])
        values = self._run(terms, low, high, whole=fixed is None)
        return float(sum(factor * values[place] for place, factor in terms.items())), values

    def _run(self, terms: dict[int, float], low: FloatArray, high: FloatArray, *, whole: bool) -> FloatArray:
        """The best values of all columns."""
        highs: Any = _highspy.Highs()
        for name, value in {
            "output_flag": False,
            "threads": 1,
            "mip_rel_gap": 0.0,
            "mip_abs_gap": TOLERANCE,
            "mip_feasibility_tolerance": MIXED_TOLERANCE,
            "primal_feasibility_tolerance": TOLERANCE,
            "dual_feasibility_tolerance": TOLERANCE,
        }.items():
            highs.setOptionValue(name, value)
        highs.passModel(self._model(terms, low, high, whole=whole))
        highs.run()
        if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            # Its presolve has called problems infeasible that were not.
            highs.clearSolver()
            highs.setOptionValue("presolve", "off")
            highs.run()
        if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            raise _NoAnswerError(highs.modelStatusToString(highs.getModelStatus()))
        return np.array(highs.getSolution().col_value)

    def _model(
        self, terms: dict[int, float], low: FloatArray, high: FloatArray, *, whole: bool
    ) -> highspy.HighsModel:
        model = highspy.HighsModel()
        lp = model.lp_
        lp.num_col_, lp.num_row_ = len(self.low), len(self.rows)
        cost = np.zeros(len(self.low))
        for place, factor in terms.items():
            cost[place] += factor
        lp.col_cost_, lp.col_lower_, lp.col_upper_ = cost, low, high
        lp.row_lower_ = np.array([row[1] for row in self.rows])
        lp.row_upper_ = np.array([row[2] for row in self.rows])
        lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        lp.a_matrix_.start_ = np.cumsum([0, *(len(row[0]) for row in self.rows)])
        lp.a_matrix_.index_ = np.array([place for row in self.rows for place in row[0]])
        lp.a_matrix_.value_ = np.array([factor for row in self.rows for factor in row[0].values()])
        if whole:
            kinds = highspy.HighsVarType
            lp.integrality_ = [kinds.kInteger if one else kinds.kContinuous for one in self.whole]
        return model


def reference(inputs: DispatchInputs) -> Reference:
    """Solves by the text of formats.md."""
    program, totals, cost = _written_out(inputs)
    answers = []
    for slack_kwh in SLACKS_KWH:
        try:
            _, _, decided = _stages(program, totals, cost, slack_kwh, None)
        except _NoAnswerError:
            continue
        answers.append(_linear(program, totals, cost, decided))
    best = answers[0]
    for other in answers[1:]:
        pairs = zip(other.totals_kwh, best.totals_kwh, strict=True)
        differ = [one - two for one, two in pairs if abs(one - two) > SAME_KWH]
        if (differ[0] < 0.0) if differ else (other.cost_eur < best.cost_eur):
            best = other
    return best


def _linear(
    program: _Program, totals: Sequence[dict[int, float]], cost: dict[int, float], decided: FloatArray
) -> Reference:
    """The stages with the whole numbers fixed, under the two tightest caps that HiGHS bears."""
    answers = []
    for slack_kwh in LINEAR_SLACKS_KWH:
        try:
            answers.append(_stages(program, totals, cost, slack_kwh, decided)[:2])
        except _NoAnswerError:
            continue
        if len(answers) > 1:
            break
    if not answers:
        raise _NoAnswerError("no caps are wide enough")
    (reached, cost_eur), (wider, _) = answers[0], answers[-1]
    room = [abs(one - two) for one, two in zip(reached, wider, strict=True)]
    return Reference(
        totals_kwh=(reached[0], reached[1], reached[2], reached[3]),
        cost_eur=cost_eur,
        room_kwh=(room[0], room[1], room[2], room[3]),
    )


def _stages(
    program: _Program,
    totals: Sequence[dict[int, float]],
    cost: dict[int, float],
    slack_kwh: float,
    fixed: FloatArray | None,
) -> tuple[list[float], float, FloatArray]:
    """Each total in its order, capped at what it reached; then the cost."""
    capped = _Program(program)
    reached = []
    for total in totals:
        value = capped.minimise(total, fixed)[0] if total else 0.0
        reached.append(value)
        if total:
            capped.row(total, -float("inf"), value + slack_kwh)
    return reached, *capped.minimise(cost, fixed)


def _written_out(inputs: DispatchInputs) -> tuple[_Program, list[dict[int, float]], dict[int, float]]:
    """The rows and columns, the four totals and the cost."""
    program, infinity = _Program(), float("inf")
    steps = inputs.steps
    power: dict[tuple[str, int], dict[int, float]] = {
        (n.id, t): {} for n in inputs.nodes for t in range(steps)
    }
    base = {(str(n.id), t): 0.0 for n in inputs.nodes for t in range(steps)}
    totals: list[dict[int, float]] = [{}, {}, {}, {}]
    cost: dict[int, float] = {}
    for load in inputs.fixed:
        for t in range(steps):
            base[load.node, t] += float(load.power_kw[t])
    for roof in inputs.pv:
        for t in range(steps):
            available = float(roof.available_kw[t])
            made = program.column(0.0 if roof.curtailable else available, available)
            power[roof.node, t][made] = -1.0
    for place in range(len(inputs.stores)):
        _store(program, inputs, place, power, base, totals, cost)
    children = {n.id: [c.id for c in inputs.nodes if c.parent == n.id] for n in inputs.nodes}
    for node in inputs.nodes:
        inside = [node.id]
        for below in inside:
            inside.extend(children[below])
        for t in range(steps):
            h = float(inputs.step_h[t])
            terms = {i: f for below in inside for i, f in power[below, t].items()}
            fixed = sum(base[below, t] for below in inside)
            over, under = program.column(0.0, infinity), program.column(0.0, infinity)
            totals[0] |= {over: h, under: h}
            program.row({**terms, over: -1.0}, -infinity, float(node.import_limit_kw[t]) - fixed)
            program.row({**terms, under: 1.0}, -float(node.export_limit_kw[t]) - fixed, infinity)
            if node.parent is None:
                bought, sold = program.column(0.0, infinity), program.column(0.0, infinity)
                program.row({**terms, bought: -1.0, sold: 1.0}, -fixed, -fixed)
                cost[bought] = h * float(inputs.import_price_eur_per_kwh[t])
                cost[sold] = -h * float(inputs.export_price_eur_per_kwh[t])
    return program, totals, cost


def _store(
    program: _Program,
    inputs: DispatchInputs,
    place: int,
    power: dict[tuple[str, int], dict[int, float]],
    base: dict[tuple[str, int], float],
    totals: Sequence[dict[int, float]],
    cost: dict[int, float],
) -> None:
    store, infinity = inputs.stores[place], float("inf")
    idle = store.initial_kwh
    energy = [program.column(idle, idle)]
    for t in range(inputs.steps):
        h = float(inputs.step_h[t])
        plugged = any(stay.from_step <= t < stay.to_step for stay in store.stays)
        driven = sum(trip.energy_kwh for trip in store.trips if trip.step == t)
        idle -= driven
        energy.append(program.column(min(store.min_kwh, idle), store.capacity_kwh))
        terms = {energy[t + 1]: 1.0, energy[t]: -1.0}
        if plugged:
            most, most_out = float(store.charge_kw_max[t]), float(store.discharge_kw_max[t])
            charge, discharge = program.column(0.0, most), program.column(0.0, most_out)
            on, on_out = program.column(0.0, 1.0, whole=True), program.column(0.0, 1.0, whole=True)
            program.row({charge: 1.0, on: -most}, -infinity, 0.0)
            program.row({charge: 1.0, on: -store.charge_kw_min}, 0.0, infinity)
            program.row({discharge: 1.0, on_out: -most_out}, -infinity, 0.0)
            program.row({discharge: 1.0, on_out: -store.discharge_kw_min}, 0.0, infinity)
            program.row({on: 1.0, on_out: 1.0}, -infinity, 1.0)
            terms |= {charge: -h * store.efficiency_charge, discharge: h / store.efficiency_discharge}
            power[store.node, t] |= {charge: 1.0, discharge: -1.0}
            base[store.node, t] += store.standby_kw
            cost[charge] = h * store.charge_rate_eur_per_kwh[t]
            cost[discharge] = h * store.discharge_rate_eur_per_kwh[t]
        program.row(terms, -driven, -driven)
        missing = program.column(0.0, infinity)
        program.row({missing: 1.0, energy[t + 1]: 1.0}, store.min_kwh, infinity)
        totals[3][missing] = 1.0
    wishes = [
        (1, stay.to_step, stay.departure_min_kwh)
        for stay in store.stays
        if stay.departure_min_kwh is not None
    ]
    for kind, step, level in [*wishes, (2, inputs.steps, store.final_min_kwh)]:
        missing = program.column(0.0, infinity)
        program.row({missing: 1.0, energy[step]: 1.0}, float(level), infinity)
        totals[kind][missing] = 1.0


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What a plan amounts to by the text, from the numbers that it reports."""

    totals_kwh: tuple[float, float, float, float]
    cost_eur: float
    broken: list[str]
    """Hard rules that are broken by more than the tolerance, in words."""


def audit(inputs: DispatchInputs, plan: DispatchResult, tolerance: float = 1e-6) -> Audit:
    """Goes over a plan asset by asset and step by step.

    Args:
        inputs: The problem.
        plan: Its answer.
        tolerance: By how much a hard rule may be missed, relative to its bound, at least to 1.
    """
    broken: list[str] = []

    def keeps(value: float, low: float, high: float, rule: str) -> None:
        room = tolerance * max(1.0, *(abs(bound) for bound in (low, high) if np.isfinite(bound)))
        if not low - room <= value <= high + room:
            broken.append(f"{rule}: {value} not in {low}..{high}")

    power = {(str(n.id), t): 0.0 for n in inputs.nodes for t in range(inputs.steps)}
    for load in inputs.fixed:
        for t in range(inputs.steps):
            power[load.node, t] += float(load.power_kw[t])
    for roof in inputs.pv:
        for t in range(inputs.steps):
            made, available = float(plan.power_kw[roof.id][t]), float(roof.available_kw[t])
            keeps(made, -available, 0.0 if roof.curtailable else -available, f"{roof.id} at {t}")
            power[roof.node, t] += made
    short, cost = [0.0, 0.0, 0.0, 0.0], 0.0
    for store in inputs.stores:
        cost += _audited_store(inputs, plan, store, power, short, keeps)
    for node in inputs.nodes:
        line = {node.id}
        while any(n.parent in line and n.id not in line for n in inputs.nodes):
            line |= {n.id for n in inputs.nodes if n.parent in line}
        for t in range(inputs.steps):
            h, through = float(inputs.step_h[t]), sum(power[name, t] for name in line)
            keeps(float(plan.node_power_kw[node.id][t]), through, through, f"{node.id} at {t}")
            over = max(0.0, through - float(node.import_limit_kw[t]))
            short[0] += h * (over + max(0.0, -through - float(node.export_limit_kw[t])))
            if node.parent is None:
                buys = through > 0.0
                price = inputs.import_price_eur_per_kwh if buys else inputs.export_price_eur_per_kwh
                cost += h * through * float(price[t])
    return Audit(totals_kwh=(short[0], short[1], short[2], short[3]), cost_eur=cost, broken=broken)


def _audited_store(
    inputs: DispatchInputs,
    plan: DispatchResult,
    store: StoreInput,
    power: dict[tuple[str, int], float],
    short: list[float],
    keeps: Callable[[float, float, float, str], None],
) -> float:
    """Adds a store's power to its node and its shortfalls to the totals; returns what it costs by itself."""
    energy, idle, cost = store.initial_kwh, store.initial_kwh, 0.0
    told = plan.energy_kwh[store.id]
    keeps(float(told[0]), energy, energy, f"{store.id} begins")
    levels = {stay.to_step: stay.departure_min_kwh or 0.0 for stay in store.stays}
    for t in range(inputs.steps):
        h, at = float(inputs.step_h[t]), f"{store.id} at {t}"
        plugged = any(stay.from_step <= t < stay.to_step for stay in store.stays)
        charge, discharge = float(plan.charge_kw[store.id][t]), float(plan.discharge_kw[store.id][t])
        keeps(charge, 0.0, float(store.charge_kw_max[t]) * plugged, f"{at} charges")
        keeps(discharge, 0.0, float(store.discharge_kw_max[t]) * plugged, f"{at} discharges")
        keeps(min(charge, discharge), 0.0, 0.0, f"{at} does both")
        if charge > 0.0:
            keeps(charge, store.charge_kw_min, float("inf"), f"{at} charges at least")
        if discharge > 0.0:
            keeps(discharge, store.discharge_kw_min, float("inf"), f"{at} discharges at least")
        drawn = charge - discharge + store.standby_kw * plugged
        keeps(float(plan.power_kw[store.id][t]), drawn, drawn, f"{at} draws")
        power[store.node, t] += drawn
        driven = sum(trip.energy_kwh for trip in store.trips if trip.step == t)
        energy += h * (store.efficiency_charge * charge - discharge / store.efficiency_discharge) - driven
        idle -= driven
        keeps(float(told[t + 1]), energy, energy, f"{at} ends")
        keeps(energy, min(store.min_kwh, idle), store.capacity_kwh, f"{at} holds")
        if t + 1 in levels and levels[t + 1] > 0.0:
            short[1] += max(0.0, levels[t + 1] - energy)
        short[3] += max(0.0, store.min_kwh - energy)
        rate = float(store.discharge_rate_eur_per_kwh[t])
        cost += h * (rate * discharge + float(store.charge_rate_eur_per_kwh[t]) * charge)
    short[2] += max(0.0, store.final_min_kwh - energy)
    return cost
