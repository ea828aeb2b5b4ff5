"""Says in words why a wish is not met or a node is over its limit.

The words name the first cause that holds: a charger at full power from arrival to departure, else the
node whose limit held the car back in most steps, else what the trips took.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from controller.dispatch.evaluate import Figures, Powers, base_power_kw, shortfalls_kwh
from controller.dispatch.inputs import DispatchInputs, NodeInput, StoreInput
from controller.dispatch.phase_rows import PhaseRows
from controller.dispatch.result import Shortfall, ShortfallKind, Side, Violation
from controller.domain.units import BoolArray, FloatArray

TELL_KWH = 1e-6
"""Shortfalls above this are told [kWh]: the precision of the totals in formats.md."""
BINDING_KW = 1e-3
"""A limit counts as binding within this [kW]: a watt."""


def shortfalls(inputs: DispatchInputs, powers: Powers, figures: Figures) -> tuple[Shortfall, ...]:
    """One entry per store and kind, at its worst step."""
    departure, final, minimum = shortfalls_kwh(inputs, figures.energy_kwh)
    last = np.zeros_like(departure)
    last[:, -1] = final
    kinds: list[tuple[ShortfallKind, FloatArray]] = [
        ("departure", departure),
        ("final", last),
        ("minimum", minimum),
    ]
    rows = inputs.phase_rows
    full = None if rows is None else (rows, rows.full(powers, BINDING_KW))
    found = []
    for kind, missing in kinds:
        for place in np.flatnonzero(missing.max(axis=1, initial=0.0) > TELL_KWH).tolist():
            step = int(np.argmax(missing[place]))
            found.append(
                Shortfall(
                    asset=inputs.stores[place].id,
                    kind=kind,
                    step=step,
                    missing_kwh=float(missing[place, step]),
                    because=_why_short(inputs, powers, figures, full, place, step),
                )
            )
    return tuple(found)


def _why_short(
    inputs: DispatchInputs,
    powers: Powers,
    figures: Figures,
    phases: tuple[PhaseRows, BoolArray] | None,
    place: int,
    step: int,
) -> str:
    """Why a store has not more energy at the start of `step`; `phases`: the rows, and where they are full."""
    store = inputs.stores[place]
    earlier = np.flatnonzero(store.plugged[:step])
    if not earlier.size:
        return "not plugged in before then"
    room = powers.charge_kw[place, earlier] < store.charge_kw_max[earlier] - BINDING_KW
    room &= figures.energy_kwh[place, earlier + 1] < store.capacity_kwh - TELL_KWH
    if not room.any():
        if (store.trips_kwh[:step] > 0.0).any():
            return "charger at full power while plugged in; the trips take more than fits"
        return "charger at full power for the whole stay"
    steps = earlier[room]
    held = Counter(
        str(node.id)
        for t in steps.tolist()
        for node in path_of(inputs, store)
        if _binds(inputs, figures, node, t)
    )
    if phases is not None:
        rows, full = phases
        for row in rows.of_charging(place).tolist():
            held[rows.name(row)] += int(np.count_nonzero(full[row, steps]))
        held = +held
    if held:
        return f"{held.most_common(1)[0][0]} import limit"
    if store.charge_kw_min > 0.0:
        return f"less than the minimum power of {store.charge_kw_min:g} kW is left in the other steps"
    return "other cars' wishes come first in the total"


def _binds(inputs: DispatchInputs, figures: Figures, node: NodeInput, step: int) -> bool:
    place = inputs.node_index[node.id]
    return bool(figures.node_power_kw[place, step] >= node.import_limit_kw[step] - BINDING_KW)


def path_of(inputs: DispatchInputs, store: StoreInput) -> list[NodeInput]:
    """The store's node and all above it."""
    path, place = [], inputs.node_index[store.node]
    while place >= 0:
        path.append(inputs.nodes[place])
        place = int(inputs.parent_index[place])
    return path


def violations(inputs: DispatchInputs, figures: Figures) -> tuple[Violation, ...]:
    """Every node and step over a limit."""
    found = []
    limits = {
        "import": (figures.over_import_kw, [node.import_limit_kw for node in inputs.nodes]),
        "export": (figures.over_export_kw, [node.export_limit_kw for node in inputs.nodes]),
    }
    for side, (over, limit) in limits.items():
        limit_kw = np.array(limit)
        where = np.argwhere(over > np.where(np.isfinite(limit_kw), 1e-6 * np.maximum(1.0, limit_kw), 0.0))
        for place, step in where.tolist():
            found.append(
                Violation(
                    node=inputs.nodes[place].id,
                    step=step,
                    side="import" if side == "import" else "export",
                    excess_kw=float(over[place, step]),
                    because=_why_over(inputs, place, step, "import" if side == "import" else "export"),
                )
            )
    return tuple(sorted(found, key=lambda v: (v.step, inputs.node_index[v.node], v.side)))


def _why_over(inputs: DispatchInputs, place: int, step: int, side: Side) -> str:
    """Names the single load that is over the limit by itself, else the sum of what cannot be steered."""
    node = inputs.nodes[place]
    sign = 1.0 if side == "import" else -1.0
    limit = float((node.import_limit_kw if side == "import" else node.export_limit_kw)[step])
    inside = _below(inputs, place)
    fixed: list[tuple[float, str]] = [
        (sign * float(load.power_kw[step]), str(load.id))
        for load in inputs.fixed
        if inputs.node_index[load.node] in inside
    ]
    fixed += [
        (-sign * float(roof.available_kw[step]), str(roof.id))
        for roof in inputs.pv
        if not roof.curtailable and inputs.node_index[roof.node] in inside
    ]
    largest = max(fixed, default=(0.0, ""))
    if largest[0] > limit:
        return f"{largest[1]} alone is over the limit"
    standby = sign * float(base_power_kw(inputs)[sorted(inside), step].sum()) - sum(
        power for power, name in fixed if not any(roof.id == name for roof in inputs.pv)
    )
    if sum(power for power, _ in fixed) + standby > limit:
        return f"the loads under {node.id} that cannot be steered are together over the limit"
    return f"limits elsewhere leave {node.id} no way to stay within its own"


def _below(inputs: DispatchInputs, place: int) -> set[int]:
    inside = {place}
    for child in inputs.parents_first:
        if int(inputs.parent_index[child]) in inside:
            inside.add(child)
    return inside
