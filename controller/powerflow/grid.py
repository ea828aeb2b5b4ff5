"""Voltages, currents and loadings for many sets of loads at once, by power-grid-model.

Each transformer is fed by the medium-voltage source, each line is a branch of the model, each bus where
something hangs has a load. Loads differ from scenario to scenario, the network does not, so a batch is
solved with one factorisation pattern. Where every load is balanced one phase stands for three.

Buses, lines and transformers are in the order of the site file; arrays have scenarios first (K, ...). The
last axis is the phase: 3, or 1 where the loads are balanced.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from power_grid_model import (
    CalculationMethod,
    ComponentType,
    DatasetType,
    LoadGenType,
    PowerGridModel,
    WindingType,
    initialize_array,
)
from power_grid_model.errors import PowerGridBatchError

from controller.domain.electrical import Electrical
from controller.domain.ids import NodeId
from controller.domain.network import LimitKind, Network
from controller.domain.units import NOMINAL_VOLTAGE_V, W_PER_KW, BoolArray, FloatArray, IntArray

LOW_VOLTAGE_V, HIGH_VOLTAGE_V = 0.9 * NOMINAL_VOLTAGE_V, 1.1 * NOMINAL_VOLTAGE_V
"""EN 50160: within 10% of nominal, where a node has no voltage limit of its own."""
_ERROR_TOLERANCE_PU = 1e-7
_KILO, _MEGA = 1e3, 1e6
_UNLIMITED_A = 1e6
_SQRT3 = float(np.sqrt(3.0))
_OUTPUTS = (ComponentType.node, ComponentType.line, ComponentType.transformer)


@dataclass(frozen=True, kw_only=True)
class Flows:
    """Solutions of K scenarios."""

    voltage_v: FloatArray
    """Phase to neutral, shape (K, B, 3 or 1)."""
    current_a: FloatArray
    """The larger of a line's two ends, shape (K, L, 3 or 1)."""
    transformer_kva: FloatArray
    """The larger of its two sides, all phases together, shape (K, Q)."""
    converged: BoolArray
    """Where False, no voltage carries the load: the figures are the linear method's, in which loads shrink
    with the voltage. Shape (K,)."""


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The described network under the tree of limits."""

    electrical: Electrical
    network: Network

    @cached_property
    def bus_index(self) -> dict[str, int]:
        """The place of each bus."""
        return {bus.id: i for i, bus in enumerate(self.electrical.buses)}

    @cached_property
    def bus_node(self) -> tuple[NodeId, ...]:
        """The tree's node of each bus."""
        return tuple(bus.node for bus in self.electrical.buses)

    @cached_property
    def line_node(self) -> tuple[NodeId, ...]:
        """The tree's node of each line: its far bus's."""
        return tuple(self.bus_node[self.bus_index[line.to_bus]] for line in self.electrical.lines)

    @cached_property
    def transformer_node(self) -> tuple[NodeId, ...]:
        """The tree's node of each transformer: its busbar's."""
        return tuple(self.bus_node[self.bus_index[item.bus]] for item in self.electrical.transformers)

    @cached_property
    def voltage_band_v(self) -> FloatArray:
        """Lowest and highest voltage of each bus [V], shape (B, 2): of the nearest node that has a limit."""
        band: dict[NodeId, tuple[float, float]] = {}
        for node in dict.fromkeys(self.bus_node):
            limits = [
                (LOW_VOLTAGE_V if limit.export_value is None else limit.export_value, limit.value)
                for above in self.network.paths[node]
                for limit in self.network.by_id[above].limits
                if limit.kind is LimitKind.VOLTAGE
            ]
            band[node] = limits[0] if limits else (LOW_VOLTAGE_V, HIGH_VOLTAGE_V)
        return np.array([band[node] for node in self.bus_node]).reshape(-1, 2)

    @cached_property
    def ampacity_a(self) -> FloatArray:
        """What each phase of each line carries [A], shape (L,): its type's or its node's cable limit."""
        types = {cable.id: cable.ampacity_a for cable in self.electrical.cable_types}
        bounds = []
        for line, node in zip(self.electrical.lines, self.line_node, strict=True):
            limits = [
                limit.value for limit in self.network.by_id[node].limits if limit.kind is LimitKind.CABLE
            ]
            own = types[line.cable]
            bounds.append(min([*limits, *([] if own is None else [own])], default=_UNLIMITED_A))
        return np.array(bounds, dtype=np.float64)

    @cached_property
    def rating_kva(self) -> FloatArray:
        """What each transformer bears [kVA], shape (Q,)."""
        return np.array([item.kva for item in self.electrical.transformers], dtype=np.float64)

    def solve(self, power_kw: FloatArray, reactive_kvar: FloatArray) -> Flows:
        """Solves every scenario.

        Args:
            power_kw: Power at each bus [kW], positive for consumption: shape (K, B, 3) by phase, or
                (K, B, 1) all phases together, balanced.
            reactive_kvar: Reactive power [kvar], positive for inductive, same shape.
        """
        scenarios, buses, phases = power_kw.shape
        loaded = np.flatnonzero(power_kw.any(axis=(0, 2)) | reactive_kvar.any(axis=(0, 2)))
        loaded = loaded if loaded.size else np.zeros(1, dtype=np.int64)
        symmetric = phases == 1
        load_type = ComponentType.sym_load if symmetric else ComponentType.asym_load
        model = PowerGridModel(self._components(loaded, load_type), system_frequency=50.0)
        shape = (scenarios, len(loaded))
        update = initialize_array(DatasetType.update, load_type, shape)
        update["id"] = self._first_load + np.arange(len(loaded))
        update["status"] = 1
        for name, value in (("p_specified", power_kw), ("q_specified", reactive_kvar)):
            series = value[:, loaded] * W_PER_KW
            update[name] = series[:, :, 0] if symmetric else series
        result, converged = _solved(model, {load_type: update}, symmetric=symmetric)
        line, transformer = result[ComponentType.line], result[ComponentType.transformer]
        voltage = result[ComponentType.node]["u"][:, 1 : buses + 1]
        current = np.maximum(line["i_from"], line["i_to"])
        sides = [transformer[name] for name in ("s_from", "s_to")]
        if symmetric:
            # Of one phase that stands for three: `u` is between phases, `s` of all together.
            voltage, current = voltage[:, :, None] / _SQRT3, current[:, :, None]
        else:
            sides = [side.sum(axis=-1) for side in sides]
        return Flows(
            voltage_v=np.asarray(voltage, dtype=np.float64),
            current_a=np.asarray(current, dtype=np.float64),
            transformer_kva=np.maximum(*sides) / _KILO,
            converged=converged,
        )

    @cached_property
    def _first_line(self) -> int:
        return 1 + len(self.electrical.buses)

    @cached_property
    def _first_transformer(self) -> int:
        return self._first_line + len(self.electrical.lines)

    @cached_property
    def _source_id(self) -> int:
        return self._first_transformer + len(self.electrical.transformers)

    @cached_property
    def _first_load(self) -> int:
        return self._source_id + 1

    def _components(self, loaded: IntArray, load_type: ComponentType) -> dict[ComponentType, Any]:
        """Ids: 0 the medium-voltage bus, then the buses, lines, transformers, the source and the loads."""
        data = self.electrical
        node = initialize_array(DatasetType.input, ComponentType.node, self._first_line)
        node["id"] = np.arange(self._first_line)
        node["u_rated"] = self._rated_v
        source = initialize_array(DatasetType.input, ComponentType.source, 1)
        source["id"], source["node"], source["status"] = self._source_id, 0, 1
        source["u_ref"], source["sk"] = data.source_voltage_pu, data.source_short_circuit_mva * _MEGA
        load = initialize_array(DatasetType.input, load_type, len(loaded))
        load["id"] = self._first_load + np.arange(len(loaded))
        load["node"] = 1 + loaded
        load["status"], load["type"] = 1, LoadGenType.const_power
        load["p_specified"], load["q_specified"] = 0.0, 0.0
        return {
            ComponentType.node: node,
            ComponentType.source: source,
            ComponentType.line: self._lines(),
            ComponentType.transformer: self._transformers(),
            load_type: load,
        }

    @cached_property
    def _rated_v(self) -> FloatArray:
        """Base voltages [V]: every low-voltage bus has the first transformer's; only a base, no limit."""
        rated = np.full(self._first_line, self.electrical.transformers[0].no_load_voltage_v)
        rated[0] = self.electrical.medium_voltage_kv * _KILO
        return rated

    def _lines(self) -> Any:
        data = self.electrical
        types = {cable.id: cable for cable in data.cable_types}
        line = initialize_array(DatasetType.input, ComponentType.line, len(data.lines))
        line["id"] = self._first_line + np.arange(len(data.lines))
        line["from_node"] = [1 + self.bus_index[item.from_bus] for item in data.lines]
        line["to_node"] = [1 + self.bus_index[item.to_bus] for item in data.lines]
        line["from_status"], line["to_status"] = 1, 1
        for name, of_type in (
            ("r1", "r1_ohm_per_km"),
            ("x1", "x1_ohm_per_km"),
            ("r0", "r0_ohm_per_km"),
            ("x0", "x0_ohm_per_km"),
        ):
            line[name] = [getattr(types[item.cable], of_type) * item.length_m / _KILO for item in data.lines]
        # A low-voltage cable's charging current is nothing beside its load's.
        for name in ("c1", "tan1", "c0", "tan0"):
            line[name] = 0.0
        line["i_n"] = self.ampacity_a
        return line

    def _transformers(self) -> Any:
        data = self.electrical
        found = initialize_array(DatasetType.input, ComponentType.transformer, len(data.transformers))
        found["id"] = self._first_transformer + np.arange(len(data.transformers))
        found["from_node"] = 0
        found["to_node"] = [1 + self.bus_index[item.bus] for item in data.transformers]
        found["from_status"], found["to_status"] = 1, 1
        found["u1"] = data.medium_voltage_kv * _KILO
        for name, values in (
            ("u2", [item.no_load_voltage_v for item in data.transformers]),
            ("sn", [item.kva * _KILO for item in data.transformers]),
            ("uk", [item.short_circuit_voltage for item in data.transformers]),
            ("pk", [item.copper_loss_kw * _KILO for item in data.transformers]),
            ("p0", [item.no_load_loss_kw * _KILO for item in data.transformers]),
            # The no-load current is at least what the no-load loss takes.
            (
                "i0",
                [max(item.no_load_current, item.no_load_loss_kw / item.kva) for item in data.transformers],
            ),
            ("clock", [item.clock for item in data.transformers]),
        ):
            found[name] = values
        found["winding_from"], found["winding_to"] = WindingType.delta, WindingType.wye_n
        # The tap in force is in u2; the tap changer itself stands still.
        found["tap_side"], found["tap_pos"], found["tap_nom"] = 0, 0, 0
        found["tap_min"], found["tap_max"], found["tap_size"] = -1, 1, 1.0
        return found


def _solved(
    model: PowerGridModel, update: dict[ComponentType, Any], *, symmetric: bool
) -> tuple[dict[Any, Any], BoolArray]:
    """A batch's outputs, and which scenarios have a solution.

    The iterative current method factorises the network once for all scenarios and gives the same to within
    the tolerance in two thirds of the time. Where it does not converge, near the most that the network can
    carry, Newton-Raphson does; where neither does, there is nothing to converge to.
    """
    result = _calculate(model, update, symmetric=symmetric, method=CalculationMethod.iterative_current)
    left = result.pop("failed")
    for method in (CalculationMethod.newton_raphson, CalculationMethod.linear):
        if not left.size:
            break
        part = {component: rows[left] for component, rows in update.items()}
        again = _calculate(model, part, symmetric=symmetric, method=method)
        for component in _OUTPUTS:
            result[component][left] = again[component]
        if method is not CalculationMethod.linear:
            left = left[again["failed"]]
    converged = np.ones(len(result[ComponentType.node]), dtype=np.bool_)
    converged[left] = False
    return result, converged


def _calculate(
    model: PowerGridModel,
    update: dict[ComponentType, Any],
    *,
    symmetric: bool,
    method: CalculationMethod,
) -> dict[Any, Any]:
    """A batch's outputs, and under `failed` the scenarios that have no solution."""
    result: dict[Any, Any] = dict(
        model.calculate_power_flow(
            symmetric=symmetric,
            error_tolerance=_ERROR_TOLERANCE_PU,
            calculation_method=method,
            update_data=update,
            output_component_types=list(_OUTPUTS),
            continue_on_batch_error=True,
        )
    )
    error = model.batch_error
    failed = np.zeros(0) if not isinstance(error, PowerGridBatchError) else error.failed_scenarios
    result["failed"] = np.asarray(failed, dtype=np.int64)
    return result
