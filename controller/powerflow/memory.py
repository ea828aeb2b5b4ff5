"""What one plan teaches the next of the network, so that most plans need one solve and one check.

What is remembered is no list of lowered limits but why they were lowered: how a figure answers to a node's
power (`Response`), and the limit that follows from it in every step of the last plan, by absolute time. Every
plan is checked, so every plan measures these limits anew, with the figures of its own powers: a limit that
was too low rises to what the network bears, one that was too high falls, and both settle where the figure is
just inside its bound. So nothing drifts; and as a limit stands whether the last plan came near it or not,
nothing flips between a plan that is held back and one that is not.

- *The next problem starts* from the smaller of the asked and the remembered limit of each step: of the
  remembered steps that overlap it, the lowest. Beyond the end of the last plan, and where power flowed the
  other way, nothing is remembered.
- *How much is left free* is learned too: more after a plan that broke the figure all the same (another car
  on another phase), a little less after each that did not.
- *Let go* is an answer of which no plan came near for some time: the network or the load has changed.
- *A remembered limit never costs a wish*: a plan for the remembered tree is kept where no plan at all could
  leave less unmet (`least_totals`); otherwise the caller starts from the tree as it was asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from controller.dispatch.evaluate import Powers, base_power_kw, evaluate, sum_up_tree
from controller.dispatch.inputs import DispatchInputs
from controller.dispatch.result import Totals
from controller.dispatch.warm import lowest_over
from controller.domain.units import FloatArray
from controller.powerflow.check import Gauge
from controller.powerflow.tighten import LEAST_CHANGE_KW, Response

LEAST_AIM, MOST_AIM = 5e-3, 4e-2
"""How far inside its bound a figure is aimed at by a remembered limit, of the bound: 1 to 8 A of 200 A.
Between two plans loads and the mix of cars on each phase change; what is aimed at too closely is a finding
each time."""
AIM_GROWS, AIM_SHRINKS = 2.0, 0.95
"""What the aim is multiplied with after a plan that broke the figure all the same, and after one that did
not. Measured on six hours of the street: 12 of 79 plans were made again, 34 with the least aim only."""
NEAR = 0.95
"""Of a limit, from where on a plan counts as having come near it."""
IDLE_PLANS = 24
"""So many plans in a row that do not come near an answer's limits let go of it: two hours without events."""


@dataclass(frozen=True, kw_only=True)
class Remembered:
    """An answer of the network, and the limit that it means over the steps of the last plan."""

    response: Response
    boundaries_s: FloatArray
    """The start of each step and the end of the last [s since 1970], shape (T + 1,)."""
    limit_kw: FloatArray
    """Shape (T,); infinite where nothing is known."""
    aim: float = LEAST_AIM
    """How far inside its bound the figure is aimed at, of the bound."""
    idle: int = 0
    """How many plans in a row have not come near it."""

    def over(self, boundaries_s: FloatArray) -> FloatArray:
        """The lowest limit that overlaps each of other steps [kW], infinite beyond the end, shape (K,)."""
        return lowest_over(self.limit_kw, self.boundaries_s, boundaries_s)


def remembered_tree(inputs: DispatchInputs, remembered: Sequence[Remembered]) -> DispatchInputs | None:
    """The problem with the remembered limits where they are lower; None where none is.

    No limit falls below what can be reached with every store discharging and the whole sun (import), or
    every store charging and no sun (export): a limit out of reach would be excess that nobody asked for.
    """
    limits = {
        "import": np.array([node.import_limit_kw for node in inputs.nodes]),
        "export": np.array([node.export_limit_kw for node in inputs.nodes]),
    }
    low, high = _reach_kw(inputs)
    reach = {"import": np.maximum(low, 0.0), "export": np.maximum(-high, 0.0)}
    boundaries_s = _boundaries_s(inputs)
    lowered = False
    for item in remembered:
        place, side = inputs.node_index.get(item.response.node), item.response.side
        if place is None:
            continue
        known = np.maximum(item.over(boundaries_s), reach[side][place])
        before = limits[side][place]
        lowered = lowered or bool((before - known > LEAST_CHANGE_KW).any())
        limits[side][place] = np.minimum(before, known)
    if not lowered:
        return None
    nodes = tuple(
        replace(node, import_limit_kw=down, export_limit_kw=up)
        for node, down, up in zip(inputs.nodes, limits["import"], limits["export"], strict=True)
    )
    return replace(inputs, nodes=nodes)


def measured_anew(
    inputs: DispatchInputs,
    node_power_kw: FloatArray,
    measured: Sequence[Gauge],
    remembered: Sequence[Remembered],
    learned: Iterable[Response],
) -> tuple[Remembered, ...]:
    """What is remembered after a plan.

    Args:
        inputs: The problem that was asked.
        node_power_kw: Power through its nodes by the plan [kW], shape (N, T).
        measured: The plan's figures.
        remembered: What was remembered before it.
        learned: Answers that were found while it was made; they replace older ones of the same kind, and
            count as come near.
    """
    idle = {_key(item.response): item.idle for item in remembered}
    aims = {_key(item.response): AIM_SHRINKS * item.aim for item in remembered}
    answers = {_key(item.response): item.response for item in remembered}
    for response in learned:
        key = _key(response)
        answers[key], idle[key] = response, -1
        aims[key] = AIM_GROWS / AIM_SHRINKS * aims.get(key, 0.0)
    boundaries_s = _boundaries_s(inputs)
    kept = []
    for key, response in answers.items():
        place = inputs.node_index.get(response.node)
        if place is None:
            continue
        node = inputs.nodes[place]
        asked = node.import_limit_kw if response.side == "import" else node.export_limit_kw
        through = node_power_kw[place] if response.side == "import" else -node_power_kw[place]
        aim = min(max(aims[key], LEAST_AIM), MOST_AIM)
        limit = response.limit_kw(node_power_kw[place], measured, aim)
        near = bool(((limit < asked) & (through >= NEAR * limit)).any())
        unused = 0 if near else idle[key] + 1
        if unused <= IDLE_PLANS:
            kept.append(
                Remembered(
                    response=response,
                    boundaries_s=boundaries_s,
                    limit_kw=np.maximum(limit, 0.0),
                    aim=aim,
                    idle=unused,
                )
            )
    return tuple(kept)


def least_totals(inputs: DispatchInputs) -> Totals:
    """The least totals of any plan [kWh]: each car charges at once, each node is by itself."""
    steps, stores = inputs.steps, inputs.stores
    charge = np.zeros((len(stores), steps))
    for i, store in enumerate(stores):
        energy, most = store.initial_kwh, store.charge_kw_max * store.plugged
        taken = store.trips_kwh
        for t in range(steps):
            room_kw = (store.capacity_kwh - energy) / (store.efficiency_charge * inputs.step_h[t])
            charge[i, t] = min(most[t], max(room_kw, 0.0))
            energy += store.efficiency_charge * charge[i, t] * inputs.step_h[t] - taken[t]
    sun = np.array([roof.available_kw for roof in inputs.pv]).reshape(-1, steps)
    least = evaluate(inputs, Powers(charge_kw=charge, discharge_kw=np.zeros_like(charge), pv_kw=sun)).totals
    low, high = _reach_kw(inputs)
    over = np.maximum(0.0, low - np.array([node.import_limit_kw for node in inputs.nodes]))
    over += np.maximum(0.0, -high - np.array([node.export_limit_kw for node in inputs.nodes]))
    return replace(least, excess=float((over * inputs.step_h).sum()))


def _key(response: Response) -> tuple[str, ...]:
    return (response.node, response.side, response.kind, response.at)


def _boundaries_s(inputs: DispatchInputs) -> FloatArray:
    hours = np.concatenate([[0.0], np.cumsum(inputs.step_h)])
    return np.asarray(inputs.start_utc.timestamp() + 3600.0 * hours, dtype=np.float64)


def _reach_kw(inputs: DispatchInputs) -> tuple[FloatArray, FloatArray]:
    """The lowest and highest power through each node that can be steered [kW], shape (N, T) each."""
    low, high = base_power_kw(inputs), base_power_kw(inputs)
    for roof in inputs.pv:
        place = inputs.node_index[roof.node]
        low[place] -= roof.available_kw
        high[place] -= 0.0 if roof.curtailable else roof.available_kw
    for store in inputs.stores:
        place = inputs.node_index[store.node]
        low[place] -= store.discharge_kw_max * store.plugged
        high[place] += store.charge_kw_max * store.plugged
    return sum_up_tree(inputs, low), sum_up_tree(inputs, high)
