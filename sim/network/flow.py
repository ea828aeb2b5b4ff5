"""The network's losses and voltages, by power-grid-model, per phase.

The model is built once: a medium-voltage source, a Dyn5 transformer for each, feeders as cables with
points along them, and an unbalanced load at each point in which all that hangs there is lumped. Each
call gives new loads and solves. The result is what each branch loses per phase and what the voltage is
where a node of the tree is measured.

A pole or a connection has no branch of its own: its service cable is a few metres. The ring loses
nothing either; its cables carry a few percent of their rating per kW of this district.
"""

from __future__ import annotations

from dataclasses import dataclass
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
from power_grid_model.errors import PowerGridError

from controller.domain.units import W_PER_KW, FloatArray
from sim.scenarios.scenario import Electrical

LV_VOLTAGE_V = 400.0
_KILO = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """One solution."""

    loss_kw: FloatArray
    """(N, 3) what each node's own branch loses on each phase; 0 for nodes without a branch."""
    voltage_v: FloatArray
    """(N, 3) phase to neutral. Transformer: its busbar; feeder: its far end; ring: the LV equivalent."""
    converged: bool
    """False where the load was so far beyond the network that only the linear method has a solution."""


class PowerFlow:
    """The network of a scenario, solved again and again for other loads."""

    def __init__(self, electrical: Electrical, nodes: int) -> None:
        """Builds the model.

        Args:
            electrical: Transformers, feeders and their points.
            nodes: How many nodes the tree has.
        """
        self._electrical = electrical
        self._nodes = nodes
        self._points = sum(cable.points for cable in electrical.feeders)
        transformers = len(electrical.transformers)
        # Ids: 0 the MV bus, then the LV busbars, then the points; other components from there on.
        self._first_point = 1 + transformers
        self._first_line = self._first_point + self._points
        self._first_transformer = self._first_line + self._points
        self._first_load = self._first_transformer + transformers
        self._feeder_of_point = np.repeat(
            np.arange(len(electrical.feeders)), [cable.points for cable in electrical.feeders]
        )
        self._feeder_node = np.array([cable.node for cable in electrical.feeders], dtype=np.int64)
        self._transformer_node = np.array([item.node for item in electrical.transformers], dtype=np.int64)
        self._model = PowerGridModel(self._components(), system_frequency=50.0)
        self._update = initialize_array(DatasetType.update, ComponentType.asym_load, self._points)
        self._update["id"] = np.arange(self._first_load, self._first_load + self._points)
        self._update["status"] = 1

    def solve(self, power_kw: FloatArray, reactive_kvar: FloatArray) -> Flow:
        """Solves for the loads at the points.

        Args:
            power_kw: Active power at each point and phase [kW], shape (P, 3), positive = consumption.
            reactive_kvar: Reactive power [kvar], shape (P, 3), positive = inductive consumption.
        """
        self._update["p_specified"] = power_kw * W_PER_KW
        self._update["q_specified"] = reactive_kvar * W_PER_KW
        self._model.update(update_data={ComponentType.asym_load: self._update})
        converged = True
        try:
            result = self._calculate(CalculationMethod.newton_raphson)
        except PowerGridError:
            # No voltage carries this load. The physics go on with the linear method, whose loads shrink
            # with the voltage, as a network beyond its nose point would have them shed.
            result = self._calculate(CalculationMethod.linear)
            converged = False
        return Flow(loss_kw=self._losses(result), voltage_v=self._voltages(result), converged=converged)

    def _calculate(self, method: CalculationMethod) -> Any:
        return self._model.calculate_power_flow(
            symmetric=False,
            error_tolerance=1e-6,
            calculation_method=method,
            output_component_types=[ComponentType.node, ComponentType.line, ComponentType.transformer],
        )

    def _losses(self, result: Any) -> FloatArray:
        loss = np.zeros((self._nodes, 3))
        line = result[ComponentType.line]
        stretch_w = line["p_from"] + line["p_to"]
        feeder_w = np.zeros((len(self._feeder_node), 3))
        np.add.at(feeder_w, self._feeder_of_point, stretch_w)
        loss[self._feeder_node] = feeder_w / W_PER_KW
        transformer = result[ComponentType.transformer]
        # Phases mix between delta and star: a transformer's loss is given to them in equal parts.
        total_w = (transformer["p_from"] + transformer["p_to"]).sum(axis=1)
        loss[self._transformer_node] = (total_w / W_PER_KW / 3.0)[:, None]
        return loss

    def _voltages(self, result: Any) -> FloatArray:
        node = result[ComponentType.node]
        volts = node["u"]
        nominal = LV_VOLTAGE_V / np.sqrt(3.0)
        # Whatever has neither busbar nor point is the ring, told as its equivalent at low voltage.
        voltage = np.repeat(node["u_pu"][:1] * nominal, self._nodes, axis=0)
        voltage[self._transformer_node] = volts[1 : self._first_point]
        at = self._electrical.node_point
        voltage[at >= 0] = volts[self._first_point + at[at >= 0]]
        return np.asarray(voltage, dtype=np.float64)

    def _components(self) -> dict[ComponentType, Any]:
        data = self._electrical
        transformers = len(data.transformers)
        node = initialize_array(DatasetType.input, ComponentType.node, self._first_line)
        node["id"] = np.arange(self._first_line)
        node["u_rated"] = LV_VOLTAGE_V
        node["u_rated"][0] = data.mv_voltage_kv * _KILO
        source = initialize_array(DatasetType.input, ComponentType.source, 1)
        source["id"], source["node"], source["status"] = self._first_load + self._points, 0, 1
        source["u_ref"], source["sk"] = data.source_voltage_pu, data.source_short_circuit_mva * _KILO**2
        load = initialize_array(DatasetType.input, ComponentType.asym_load, self._points)
        load["id"] = np.arange(self._first_load, self._first_load + self._points)
        load["node"] = np.arange(self._first_point, self._first_line)
        load["status"], load["type"] = 1, LoadGenType.const_power
        load["p_specified"], load["q_specified"] = 0.0, 0.0
        transformer = initialize_array(DatasetType.input, ComponentType.transformer, transformers)
        transformer["id"] = np.arange(self._first_transformer, self._first_load)
        for i, item in enumerate(data.transformers):
            transformer["sn"][i] = item.kva * _KILO
            transformer["uk"][i] = item.short_circuit_voltage
            transformer["pk"][i] = item.copper_loss_kw * W_PER_KW
            transformer["p0"][i] = item.no_load_loss_kw * W_PER_KW
            transformer["i0"][i] = item.no_load_current
            transformer["to_node"][i] = 1 + i
        transformer["from_node"] = 0
        transformer["from_status"], transformer["to_status"] = 1, 1
        transformer["u1"], transformer["u2"] = data.mv_voltage_kv * _KILO, LV_VOLTAGE_V
        transformer["winding_from"], transformer["winding_to"] = WindingType.delta, WindingType.wye_n
        transformer["clock"] = [item.clock for item in data.transformers]
        transformer["tap_side"], transformer["tap_pos"], transformer["tap_nom"] = 0, 0, 0
        transformer["tap_min"], transformer["tap_max"], transformer["tap_size"] = -1, 1, 250.0
        return {
            ComponentType.node: node,
            ComponentType.source: source,
            ComponentType.asym_load: load,
            ComponentType.transformer: transformer,
            ComponentType.line: self._lines(),
        }

    def _lines(self) -> Any:
        """A cable for each point: from the point before it, the first from the busbar."""
        data = self._electrical
        line = initialize_array(DatasetType.input, ComponentType.line, self._points)
        line["id"] = np.arange(self._first_line, self._first_transformer)
        line["from_status"], line["to_status"] = 1, 1
        busbar = {item.node: 1 + i for i, item in enumerate(data.transformers)}
        point = 0
        for cable in data.feeders:
            km = cable.length_m / cable.points / 1000.0
            for i in range(cable.points):
                line["from_node"][point] = (
                    busbar[cable.transformer] if i == 0 else self._first_point + point - 1
                )
                line["to_node"][point] = self._first_point + point
                line["r1"][point], line["x1"][point] = (
                    data.cable.r1_ohm_per_km * km,
                    data.cable.x1_ohm_per_km * km,
                )
                line["r0"][point], line["x0"][point] = (
                    data.cable.r0_ohm_per_km * km,
                    data.cable.x0_ohm_per_km * km,
                )
                point += 1
        # A low-voltage cable's charging current is nothing beside its load's.
        for name in ("c1", "tan1", "c0", "tan0"):
            line[name] = 0.0
        line["i_n"] = 1e3
        return line
