"""The dispatch model of formats.md in cvxpy: the definition that every other method is measured against.

One model covers one root. It is written once for a structure (which store is connected when, which node
hangs where) with all numbers as `Parameter`s, so the stages of one solve, and re-plans of the same
structure, only set values (it follows the rules of disciplined parametrised programming).

Symbols; K slots (connected store-steps), D slots that can discharge, C curtailable roof-steps, L limits,
Q wishes, B slots with binaries, N nodes, T steps:

| name            | meaning                                               | unit | shape    |
|-----------------|-------------------------------------------------------|------|----------|
| charge          | charging power, AC side                               | kW   | (K,)     |
| discharge       | discharging power, AC side                            | kW   | (D,)     |
| energy          | stored energy at the end of a slot                    | kWh  | (K,)     |
| curtailed       | PV power turned down                                  | kW   | (C,)     |
| node_power      | power through a node                                  | kW   | (N * T,) |
| bought, sold    | the root's power as import and export                 | kW   | (T,)     |
| over_import/export | by which a node is over its limit                  | kW   | (L,)     |
| short_*         | missing energy at departures, at the end, below minimum | kWh | (Q,)    |
| totals          | excess, departure, final, minimum                     | kWh  | (4,)     |
| overflow        | by which a total may pass its cap, at a price         | kWh  | (4,)     |
| cost            | the cost of the plan                                  | EUR  | (1,)     |
| charging, discharging | 1 where a slot charges (discharges); only where asked for | - | (B,) |

The objective `total_weights @ totals + cost_weight * cost + overflow_weight * sum(overflow)` makes every
stage of the lexicographic order the same problem with other weights and caps. The direction of a slot and
its minimum power are either bounds (`charge_low`, `charge_high`, ...) or, where `binaries` names the slot,
decisions of a mixed-integer problem.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cvxpy
import numpy as np
from scipy import sparse

from controller.dispatch.evaluate import base_power_kw
from controller.dispatch.inputs import DispatchInputs
from controller.dispatch.layout import Layout, Wishes
from controller.dispatch.phase_rows import PhaseRows
from controller.domain.units import FloatArray, IntArray

cp: Any = cvxpy
"""cvxpy types comparisons as bool and hides its functions from mypy; behind this file all of it is typed."""
UNLIMITED_KW = 1e7
"""Stands for a node without a limit [kW]: far above any low-voltage network, small enough to be harmless."""
NO_CAP_KWH = 1e20
"""A cap that caps nothing; HiGHS reads it as infinity."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """A cvxpy problem with handles on what is set and read."""

    problem: cvxpy.Problem
    parameters: dict[str, cvxpy.Parameter]
    variables: dict[str, cvxpy.Variable]
    constraints: dict[str, Any]
    curtailable: IntArray
    """The roof-steps that can be turned down, as roof * T + step, shape (C,)."""

    def set(self, **values: FloatArray | float) -> None:
        """Sets parameters by name."""
        for name, value in values.items():
            self.parameters[name].value = value

    def follows_dpp(self) -> bool:
        """Whether setting parameters needs no new compilation."""
        problem: Any = self.problem
        return bool(problem.is_dcp(dpp=True))

    def value(self, name: str) -> FloatArray:
        """What a parameter is set to."""
        return np.asarray(self.parameters[name].value, dtype=np.float64)


class _Builder:
    """Collects the pieces of one model."""

    def __init__(self, inputs: DispatchInputs, layout: Layout) -> None:
        self.inputs, self.layout = inputs, layout
        self.steps, self.slots = inputs.steps, layout.store.size
        self.parameters: dict[str, Any] = {}
        self.variables: dict[str, Any] = {}
        self.constraints: dict[str, Any] = {}
        self.limit_at: dict[str, IntArray] = {}

    def parameter(self, name: str, value: FloatArray) -> Any:
        """A parameter with its value, known by name."""
        self.parameters[name] = cp.Parameter(value.shape, name=name, value=value)
        return self.parameters[name]

    def variable(self, name: str, size: int, low: Any = -np.inf, high: Any = np.inf) -> Any:
        """A variable, known by name."""
        self.variables[name] = cp.Variable(size, name=name, bounds=[low, high])
        return self.variables[name]


def build(
    inputs: DispatchInputs,
    layout: Layout,
    binaries: IntArray | None = None,
    rows: PhaseRows | None = None,
) -> Model:
    """Writes the model of one root and sets its numbers.

    Args:
        inputs: A problem with exactly one root.
        layout: Its slots (`layout_of(inputs)`).
        binaries: Slots whose direction and minimum power are decided exactly; None for the relaxed model.
        rows: Limits of single phases; hard, for doing nothing keeps them.
    """
    b = _Builder(inputs, layout)
    _stores(b)
    curtailable = _sun(b)
    _node_balance(b, curtailable)
    _node_limits(b)
    if rows is not None:
        _phase_limits(b, curtailable, rows)
    _wishes(b)
    _cost(b)
    if binaries is not None and binaries.size:
        _directions(b, binaries)
    objective = _objective(b)
    problem = cp.Problem(cp.Minimize(objective), list(b.constraints.values()))
    return Model(
        problem=problem,
        parameters=b.parameters,
        variables=b.variables,
        constraints=b.constraints,
        curtailable=curtailable,
    )


def _matrix(
    values: FloatArray, rows: IntArray, columns: IntArray, shape: tuple[int, int]
) -> sparse.csr_array:
    return sparse.csr_array(sparse.coo_array((values, (rows, columns)), shape=shape))


def charge_high_kw(inputs: DispatchInputs, layout: Layout) -> FloatArray:
    """Most charging power of each slot [kW], shape (K,)."""
    if not inputs.stores:
        return np.zeros(0)
    return np.array([store.charge_kw_max for store in inputs.stores])[layout.store, layout.step]


def discharge_high_kw(inputs: DispatchInputs, layout: Layout) -> FloatArray:
    """Most discharging power of each slot that can [kW], shape (D,)."""
    if not inputs.stores:
        return np.zeros(0)
    most = np.array([store.discharge_kw_max for store in inputs.stores])
    return most[layout.store[layout.discharge_slot], layout.step[layout.discharge_slot]]


def per_slot(inputs: DispatchInputs, layout: Layout, name: str) -> FloatArray:
    """A scalar of the stores, spread over the slots, shape (K,)."""
    return np.array([getattr(store, name) for store in inputs.stores], dtype=np.float64)[layout.store]


def _rates(series: Sequence[FloatArray], layout: Layout) -> FloatArray:
    """The stores' series of shape (T,), spread over the slots, shape (K,)."""
    return np.array(series)[layout.store, layout.step] if series else np.zeros(0)


def _stores(b: _Builder) -> None:
    """Storage: `energy - energy before = h (eta_c charge - discharge / eta_d) - trips`, within its bounds."""
    layout, inputs = b.layout, b.inputs
    high, high_out = charge_high_kw(inputs, layout), discharge_high_kw(inputs, layout)
    charge = b.variable(
        "charge", b.slots, b.parameter("charge_low", np.zeros(b.slots)), b.parameter("charge_high", high)
    )
    discharge = b.variable(
        "discharge",
        high_out.size,
        b.parameter("discharge_low", np.zeros(high_out.size)),
        b.parameter("discharge_high", high_out),
    )
    # A floor is never above the capacity (idle and min are within it), but rounding of trips may say so.
    floor = b.parameter("energy_floor", np.minimum(layout.floor_kwh, layout.capacity_kwh))
    energy = b.variable("energy", b.slots, floor, b.parameter("capacity", layout.capacity_kwh))
    later = np.flatnonzero(layout.previous >= 0)
    difference = sparse.eye_array(b.slots, format="csr") - _matrix(
        np.ones(later.size), later, layout.previous[later], (b.slots, b.slots)
    )
    h = inputs.step_h[layout.step]
    slots_out = layout.discharge_slot
    into = sparse.diags_array(h * per_slot(inputs, layout, "efficiency_charge"), format="csr")
    out = _matrix(
        (h / per_slot(inputs, layout, "efficiency_discharge"))[slots_out],
        slots_out,
        np.arange(slots_out.size),
        (b.slots, slots_out.size),
    )
    gain = b.parameter("gain", layout.gain_kwh)
    b.constraints["energy_recursion"] = difference @ energy - into @ charge + out @ discharge == gain


def _sun(b: _Builder) -> IntArray:
    """PV: `0 <= curtailed <= available` where a roof can be turned down and the sun shines."""
    available = np.array([roof.available_kw * roof.curtailable for roof in b.inputs.pv]).reshape(-1)
    curtailable = np.flatnonzero(available > 0.0)
    b.variable("curtailed", curtailable.size, 0.0, b.parameter("available", available[curtailable]))
    return curtailable


def _node_balance(b: _Builder, curtailable: IntArray) -> None:
    """A node's power is what hangs at it plus what flows to the nodes below it."""
    inputs, layout, steps = b.inputs, b.layout, b.steps
    size = len(inputs.nodes) * steps
    store_node = np.array([inputs.node_index[store.node] for store in inputs.stores], dtype=np.int64)
    pv_node = np.array([inputs.node_index[roof.node] for roof in inputs.pv], dtype=np.int64)
    at = store_node[layout.store] * steps + layout.step
    pv_at = pv_node[curtailable // steps] * steps + curtailable % steps
    below = np.flatnonzero(inputs.parent_index >= 0)
    rows = (inputs.parent_index[below][:, None] * steps + np.arange(steps)).reshape(-1)
    columns = (below[:, None] * steps + np.arange(steps)).reshape(-1)
    children = _matrix(np.ones(rows.size), rows, columns, (size, size))
    in_ = _matrix(np.ones(b.slots), at, np.arange(b.slots), (size, b.slots))
    d = layout.discharge_slot.size
    out = _matrix(np.ones(d), at[layout.discharge_slot], np.arange(d), (size, d))
    sun = _matrix(np.ones(pv_at.size), pv_at, np.arange(pv_at.size), (size, pv_at.size))
    base = base_power_kw(inputs)
    for i, roof in enumerate(inputs.pv):
        base[pv_node[i]] -= roof.available_kw
    node_power = b.variable("node_power", size)
    through = sparse.eye_array(size, format="csr") - children
    v = b.variables
    decided = in_ @ v["charge"] - out @ v["discharge"] + sun @ v["curtailed"]
    b.constraints["node_balance"] = through @ node_power - decided == b.parameter("base", base.reshape(-1))


def _node_limits(b: _Builder) -> None:
    """`-export_limit <= power <= import_limit`, but for the excess; only nodes that have a limit."""
    for side, sign in (("import", 1.0), ("export", -1.0)):
        limits = np.array([getattr(node, f"{side}_limit_kw") for node in b.inputs.nodes]).reshape(-1)
        bound = np.flatnonzero(np.isfinite(limits))
        limit = b.parameter(f"{side}_limit", np.minimum(limits[bound], UNLIMITED_KW))
        over = b.variable(f"over_{side}", bound.size, 0.0)
        if bound.size:
            pick = _matrix(np.full(bound.size, sign), np.arange(bound.size), bound, (bound.size, limits.size))
            b.constraints[f"{side}_limit"] = pick @ b.variables["node_power"] - over <= limit
        b.limit_at[side] = bound


def _phase_limits(b: _Builder, curtailable: IntArray, rows: PhaseRows) -> None:
    """`share * what is steered <= what the fixed load leaves of a phase`, where something is steered."""
    layout, steps = b.layout, b.steps
    shape = rows.limit_kw.size

    def spread(weights: Any, asset: IntArray, step: IntArray) -> sparse.csr_array:
        """The weights of a decision's assets, row by step."""
        part = sparse.coo_array(weights[:, asset])
        row, column = (place.astype(np.int64) for place in part.coords)
        return _matrix(part.data, row * steps + step[column], column, (shape, asset.size))

    out = layout.discharge_slot
    into = spread(rows.charge, layout.store, layout.step)
    given = spread(rows.discharge, layout.store[out], layout.step[out])
    counts = sparse.diags_array((~rows.whole_sun).astype(np.float64).reshape(-1))
    turned = counts @ spread(rows.sun, curtailable // steps, curtailable % steps)
    steered = np.flatnonzero(np.diff(into.indptr) + np.diff(given.indptr) + np.diff(turned.indptr))
    if not steered.size:
        return
    room = (rows.limit_kw - rows.fixed_kw - rows.sun @ rows.available_kw).reshape(-1)
    v = b.variables
    load = into[steered] @ v["charge"] + given[steered] @ v["discharge"] - turned[steered] @ v["curtailed"]
    b.constraints["phase_limit"] = load <= b.parameter("phase_room", room[steered])


def _wishes(b: _Builder) -> None:
    """`energy + shortfall >= level` for departures, the end of the horizon and the minimum."""
    for name in ("departure", "final", "minimum"):
        wishes: Wishes = getattr(b.layout, name)
        real = np.flatnonzero(wishes.slot >= 0)
        short = b.variable(f"short_{name}", real.size, 0.0)
        level = b.parameter(f"{name}_level", wishes.level_kwh[real])
        b.parameter(f"{name}_certain", np.array([wishes.level_kwh[wishes.slot < 0].sum()]))
        if real.size:
            pick = _matrix(np.ones(real.size), np.arange(real.size), wishes.slot[real], (real.size, b.slots))
            b.constraints[name] = pick @ b.variables["energy"] + short >= level


def _cost(b: _Builder) -> None:
    """The root's purchases less its sales, wear, taxes and fees."""
    inputs, layout = b.inputs, b.layout
    root = int(np.flatnonzero(inputs.parent_index < 0)[0])
    bought, sold = b.variable("bought", b.steps, 0.0), b.variable("sold", b.steps, 0.0)
    first = root * b.steps
    power = b.variables["node_power"][first : first + b.steps]
    b.constraints["root_sides"] = power == bought - sold
    h = inputs.step_h
    h_slot = h[layout.step]
    rate_in = h_slot * _rates([store.charge_rate_eur_per_kwh for store in inputs.stores], layout)
    rate_out = h_slot * _rates([store.discharge_rate_eur_per_kwh for store in inputs.stores], layout)
    buy = b.parameter("import_price_h", inputs.import_price_eur_per_kwh * h)
    sell = b.parameter("export_price_h", inputs.export_price_eur_per_kwh * h)
    cost = b.variable("cost", 1)
    terms = buy @ bought - sell @ sold
    if b.slots:
        terms = terms + rate_in @ b.variables["charge"]
    if layout.discharge_slot.size:
        terms = terms + rate_out[layout.discharge_slot] @ b.variables["discharge"]
    b.constraints["cost"] = cost[0] == terms


def _objective(b: _Builder) -> Any:
    """Totals with caps, and the weighted sum of totals and cost that a stage minimises."""
    v, h = b.variables, b.inputs.step_h
    totals = b.variable("totals", 4)
    excess: Any = 0.0
    for side in ("import", "export"):
        at = b.limit_at[side]
        if at.size:
            excess = excess + h[at % b.steps] @ v[f"over_{side}"]
    b.constraints["total_excess"] = totals[0] == excess
    for place, name in enumerate(("departure", "final", "minimum"), start=1):
        missing = b.parameters[f"{name}_certain"][0]
        if v[f"short_{name}"].size:
            missing = missing + cp.sum(v[f"short_{name}"])
        b.constraints[f"total_{name}"] = totals[place] == missing
    overflow = b.variable("overflow", 4, 0.0, b.parameter("overflow_high", np.zeros(4)))
    b.constraints["caps"] = totals - overflow <= b.parameter("caps", np.zeros(4))
    # The product needs a variable whose bounds hold no parameter: cvxpy counts those among the factor's.
    penalty = b.variable("penalty", 1)
    b.constraints["penalty"] = penalty[0] == cp.sum(overflow)
    return (
        b.parameter("total_weights", np.zeros(4)) @ totals
        + b.parameter("cost_weight", np.ones(1)) @ v["cost"]
        + b.parameter("overflow_weight", np.zeros(1)) @ penalty
    )


def _directions(b: _Builder, binaries: IntArray) -> None:
    """A slot charges or discharges or does neither, with 0 or at least its minimum power."""
    inputs, layout = b.inputs, b.layout
    place = np.full(b.slots, -1, dtype=np.int64)
    place[layout.discharge_slot] = np.arange(layout.discharge_slot.size)
    charging = cp.Variable(binaries.size, name="charging", boolean=True)
    b.variables["charging"] = charging
    charge = b.variables["charge"][binaries]
    low = per_slot(inputs, layout, "charge_kw_min")[binaries]
    high = charge_high_kw(inputs, layout)[binaries]
    b.constraints["charge_on"] = charge <= cp.multiply(high, charging)
    b.constraints["charge_minimum"] = charge >= cp.multiply(low, charging)
    both = np.flatnonzero(place[binaries] >= 0)
    if not both.size:
        return
    discharging = cp.Variable(both.size, name="discharging", boolean=True)
    b.variables["discharging"] = discharging
    out = place[binaries[both]]
    discharge = b.variables["discharge"][out]
    low_out = per_slot(inputs, layout, "discharge_kw_min")[binaries[both]]
    b.constraints["discharge_on"] = discharge <= cp.multiply(
        discharge_high_kw(inputs, layout)[out], discharging
    )
    b.constraints["discharge_minimum"] = discharge >= cp.multiply(low_out, discharging)
    b.constraints["one_direction"] = charging[both] + discharging <= 1
