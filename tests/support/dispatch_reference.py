"""An independent solver of small dispatch problems: formats.md written out once more, for scipy's `milp`.

It shares no code with `controller.dispatch`: one variable per store and step (energies at every step, also
away), every binary from the start, the stages as in the text. Slow and plain on purpose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from controller.dispatch.inputs import DispatchInputs
from controller.domain.units import FloatArray

SLACKS_KWH = (5e-7, 5e-6, 5e-5)
"""Room of a cap [kWh]: half of what formats.md allows; more where `milp` cannot keep its own last answer."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """The exact answer."""

    totals_kwh: tuple[float, float, float, float]
    cost_eur: float


class _NoAnswerError(AssertionError):
    """The solver found nothing within the caps."""


class _Program:
    """Rows and columns of a mixed-integer linear program, added one by one."""

    def __init__(self) -> None:
        self.low: list[float] = []
        self.high: list[float] = []
        self.whole: list[int] = []
        self.rows: list[tuple[dict[int, float], float, float]] = []

    def column(self, low: float, high: float, *, whole: bool = False) -> int:
        """A variable; returns its place."""
        self.low.append(low)
        self.high.append(high)
        self.whole.append(int(whole))
        return len(self.low) - 1

    def row(self, terms: dict[int, float], low: float, high: float) -> None:
        """A constraint `low <= terms <= high`."""
        self.rows.append((terms, low, high))

    def minimise(self, terms: dict[int, float]) -> tuple[float, FloatArray]:
        """The least value and where it is."""
        size = len(self.low)
        matrix = np.zeros((len(self.rows), size))
        for i, (row, _, _) in enumerate(self.rows):
            for place, factor in row.items():
                matrix[i, place] += factor
        cost = np.zeros(size)
        for place, factor in terms.items():
            cost[place] += factor
        answer = milp(
            cost,
            constraints=LinearConstraint(matrix, [r[1] for r in self.rows], [r[2] for r in self.rows]),
            bounds=Bounds(np.array(self.low), np.array(self.high)),
            integrality=np.array(self.whole),
            options={"mip_rel_gap": 1e-7},
        )
        if not answer.success:
            raise _NoAnswerError(answer.message)
        return float(answer.fun), np.asarray(answer.x)


def reference(inputs: DispatchInputs) -> Reference:
    """Solves by the text of formats.md."""
    for slack_kwh in SLACKS_KWH[:-1]:
        try:
            return _solved(inputs, slack_kwh)
        except _NoAnswerError:
            continue
    return _solved(inputs, SLACKS_KWH[-1])


def _solved(inputs: DispatchInputs, slack_kwh: float) -> Reference:
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
    reached = []
    for total in totals:
        value = program.minimise(total)[0] if total else 0.0
        reached.append(value)
        if total:
            program.row(total, -infinity, value + slack_kwh)
    return Reference(
        totals_kwh=(reached[0], reached[1], reached[2], reached[3]), cost_eur=program.minimise(cost)[0]
    )


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
            cost[charge] = h * store.charge_adder_eur_per_kwh
            cost[discharge] = h * (store.wear_eur_per_kwh_discharged + store.discharge_adder_eur_per_kwh)
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
