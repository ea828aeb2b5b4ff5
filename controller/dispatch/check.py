"""Checks a plan against every hard constraint, from its numbers alone.

Whoever uses a plan has it checked first, whatever its status says: a solver can be wrong, a process can
hand over rubbish. The check trusts nothing but the inputs: it derives energies, node powers and totals
from the powers again and compares.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from controller.dispatch.assemble import powers_of
from controller.dispatch.evaluate import Figures, Powers, evaluate
from controller.dispatch.inputs import DispatchInputs
from controller.dispatch.result import DispatchResult
from controller.domain.ids import AssetId, NodeId
from controller.domain.units import BoolArray, FloatArray, IntArray

RELATIVE = 1e-6
"""Tolerance relative to the bound, at least to 1 (kW or kWh): what the benchmarks of the project ask for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A hard constraint that a plan breaks."""

    constraint: str
    """The physical law or rule."""
    subject: str
    """The asset or node."""
    step: int
    amount: float
    """By how much, in the unit of the constraint (kW, kWh or EUR)."""


def check(inputs: DispatchInputs, result: DispatchResult) -> list[Breach]:
    """Every hard constraint that the plan breaks by more than the tolerance; empty where it can be used.

    A node over its limit counts unless the plan declares it, and the plan may not be over the limits by more
    in all than one in which every store idles: what is forced on the network is forced on that one too.
    """
    try:
        powers = powers_of(inputs, result)
    except (KeyError, ValueError) as error:
        return [Breach(constraint="complete", subject=str(error), step=-1, amount=float("nan"))]
    values = (powers.charge_kw, powers.discharge_kw, powers.pv_kw)
    if not all(np.isfinite(matrix).all() for matrix in values) or not np.isfinite(result.cost_eur):
        return [Breach(constraint="finite", subject="plan", step=-1, amount=float("nan"))]
    figures = evaluate(inputs, powers)
    return [
        *_power_breaches(inputs, powers),
        *_energy_breaches(inputs, figures),
        *_limit_breaches(inputs, figures, result, powers.pv_kw),
        *_phase_breaches(inputs, powers),
        *_report_breaches(inputs, figures, result),
    ]


def _breaches(
    constraint: str, names: list[str], over: FloatArray, scale: FloatArray | float
) -> Iterator[Breach]:
    """One breach for each row and column where `over` passes the tolerance."""
    if not over.size:
        return
    broken: BoolArray = ~(over <= RELATIVE * np.maximum(1.0, np.abs(scale)))
    places: IntArray = np.argwhere(broken)
    for row, step in places.tolist():
        yield Breach(constraint=constraint, subject=names[row], step=step, amount=float(over[row, step]))


def _power_breaches(inputs: DispatchInputs, powers: Powers) -> Iterator[Breach]:
    names = [str(store.id) for store in inputs.stores]
    if inputs.stores:
        plugged = np.array([store.plugged for store in inputs.stores])
        for what, power, most, least in (
            ("charge", powers.charge_kw, "charge_kw_max", "charge_kw_min"),
            ("discharge", powers.discharge_kw, "discharge_kw_max", "discharge_kw_min"),
        ):
            high = np.array([getattr(store, most) for store in inputs.stores]) * plugged
            yield from _breaches(f"{what}_limit", names, power - high, high)
            yield from _breaches(f"{what}_sign", names, -power, 1.0)
            low = np.array([getattr(store, least) for store in inputs.stores])[:, None]
            missing = np.where(power > RELATIVE, low - power, 0.0)
            yield from _breaches(f"{what}_minimum", names, missing, low)
        yield from _breaches("one_direction", names, np.minimum(powers.charge_kw, powers.discharge_kw), 1.0)
    roofs = [str(roof.id) for roof in inputs.pv]
    if inputs.pv:
        available = np.array([roof.available_kw for roof in inputs.pv])
        least_pv = np.array(
            [0.0 * roof.available_kw if roof.curtailable else roof.available_kw for roof in inputs.pv]
        )
        yield from _breaches("pv_available", roofs, powers.pv_kw - available, available)
        yield from _breaches("pv_not_curtailable", roofs, least_pv - powers.pv_kw, available)


def _energy_breaches(inputs: DispatchInputs, figures: Figures) -> Iterator[Breach]:
    if not inputs.stores:
        return
    names = [str(store.id) for store in inputs.stores]
    capacity = np.array([[store.capacity_kwh] for store in inputs.stores])
    floor = np.array([store.floor_kwh for store in inputs.stores])
    yield from _breaches("capacity", names, figures.energy_kwh - capacity, capacity)
    yield from _breaches("never_below_minimum", names, floor - figures.energy_kwh, capacity)


def _limit_breaches(
    inputs: DispatchInputs, figures: Figures, result: DispatchResult, pv_kw: FloatArray
) -> Iterator[Breach]:
    """Limits, but for the excess that the plan declares."""
    declared = {
        "import": np.zeros_like(figures.over_import_kw),
        "export": np.zeros_like(figures.over_export_kw),
    }
    for violation in result.violations:
        place = inputs.node_index.get(violation.node)
        if place is not None and 0 <= violation.step < inputs.steps:
            declared[violation.side][place, violation.step] += violation.excess_kw
    names = [str(node.id) for node in inputs.nodes]
    excess_kwh = 0.0
    for side, over in (("import", figures.over_import_kw), ("export", figures.over_export_kw)):
        limits = np.array([getattr(node, f"{side}_limit_kw") for node in inputs.nodes])
        scale = np.where(np.isfinite(limits), limits, 1.0)
        yield from _breaches(f"{side}_limit", names, over - declared[side], scale)
        # Traces within each limit's tolerance may be many, and add up to more than the tolerance of one.
        counted = np.where(over > RELATIVE * np.maximum(1.0, scale), over, 0.0)
        excess_kwh += float((counted * inputs.step_h).sum())
    most = idle_excess_kwh(inputs) if excess_kwh > 0.0 else 0.0
    if excess_kwh > most and inputs.phases is not None:
        # A phase may bear less sun than another needs: what is left of it is forced on the plan as well.
        most = max(most, _excess_kwh(inputs, pv_kw))
    if not excess_kwh <= most + RELATIVE * max(1.0, most):
        yield Breach(constraint="excess", subject="plan", step=-1, amount=excess_kwh - most)


def _phase_breaches(inputs: DispatchInputs, powers: Powers) -> Iterator[Breach]:
    """Phases over their rating, but for what nobody steers."""
    rows = inputs.phase_rows
    if rows is not None:
        names = [rows.name(row) for row in range(len(rows.node))]
        yield from _breaches("phase_limit", names, rows.load_kw(powers) - rows.limit_kw, rows.limit_kw)


def idle_excess_kwh(inputs: DispatchInputs) -> float:
    """By how much the limits are passed if every store idles, roofs on or off, whichever is less [kWh]."""
    available = np.array([roof.available_kw for roof in inputs.pv]).reshape(-1, inputs.steps)
    fixed = np.array([[not roof.curtailable] for roof in inputs.pv], dtype=np.float64).reshape(-1, 1)
    return min(_excess_kwh(inputs, pv) for pv in (available, available * fixed))


def _excess_kwh(inputs: DispatchInputs, pv_kw: FloatArray) -> float:
    """By how much the limits are passed if every store idles [kWh]."""
    idle = np.zeros((len(inputs.stores), inputs.steps))
    return evaluate(inputs, Powers(charge_kw=idle, discharge_kw=idle, pv_kw=pv_kw)).totals.excess


def _report_breaches(inputs: DispatchInputs, figures: Figures, result: DispatchResult) -> Iterator[Breach]:
    """What the plan reports must be what its powers amount to."""
    reported: list[
        tuple[str, list[str], Mapping[AssetId, FloatArray] | Mapping[NodeId, FloatArray], FloatArray]
    ] = [
        ("power_balance", [str(s.id) for s in inputs.stores], result.power_kw, figures.store_power_kw),
        ("energy_recursion", [str(s.id) for s in inputs.stores], result.energy_kwh, figures.energy_kwh),
        ("node_balance", [str(n.id) for n in inputs.nodes], result.node_power_kw, figures.node_power_kw),
    ]
    for constraint, names, series, expected in reported:
        known: dict[str, FloatArray] = {str(key): np.asarray(value) for key, value in series.items()}
        rows = [known.get(name, np.zeros(0)) for name in names]
        if any(row.shape != expected.shape[1:] for row in rows):
            yield Breach(constraint=constraint, subject="series missing", step=-1, amount=float("nan"))
        elif rows:
            yield from _breaches(constraint, names, np.abs(np.array(rows) - expected), np.abs(expected))
    for name, value, truth, scale in (
        ("cost", result.cost_eur, figures.cost_eur, inputs.cost_scale_eur),
        ("totals", sum(result.totals_kwh.as_tuple()), sum(figures.totals.as_tuple()), 1.0),
    ):
        if not abs(value - truth) <= RELATIVE * max(1.0, scale, abs(truth)):
            yield Breach(constraint=name, subject="plan", step=-1, amount=abs(value - truth))
