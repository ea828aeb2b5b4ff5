"""What a plan amounts to, computed from its powers alone: energies, node powers, totals and cost.

Whatever method made the powers, these are the figures that are reported and checked, so no figure
rests on a solver's word. Matrices: stores by steps (S, T), roofs by steps (P, T), nodes by steps (N, T).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from controller.dispatch.inputs import DispatchInputs
from controller.dispatch.result import Totals
from controller.domain.units import FloatArray

NOISE_KWH = 1e-7
"""Shortfalls and excesses below this are a solver's rounding [kWh] (its feasibility tolerance), not facts;
formats.md asks for totals to 1e-6."""


@dataclass(frozen=True, kw_only=True)
class Powers:
    """The decisions of a plan, all magnitudes [kW]."""

    charge_kw: FloatArray
    """Shape (S, T)."""
    discharge_kw: FloatArray
    """Shape (S, T)."""
    pv_kw: FloatArray
    """Production after curtailment, shape (P, T)."""


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What the powers of a plan amount to."""

    store_power_kw: FloatArray
    """AC power, standby included [kW], shape (S, T)."""
    energy_kwh: FloatArray
    """Shape (S, T + 1)."""
    node_power_kw: FloatArray
    """Shape (N, T)."""
    over_import_kw: FloatArray
    """By which nodes are over their import limit [kW], shape (N, T)."""
    over_export_kw: FloatArray
    """By which nodes are over their export limit [kW], shape (N, T)."""
    totals: Totals
    cost_eur: float


def standby_kw(inputs: DispatchInputs) -> FloatArray:
    """Standby power of each store [kW], shape (S, T)."""
    if not inputs.stores:
        return np.zeros((0, inputs.steps))
    return np.array([store.standby_kw * store.plugged for store in inputs.stores])


def base_power_kw(inputs: DispatchInputs) -> FloatArray:
    """What hangs directly at each node and cannot be decided: fixed power and standby [kW], shape (N, T)."""
    base = np.zeros((len(inputs.nodes), inputs.steps))
    for load in inputs.fixed:
        base[inputs.node_index[load.node]] += load.power_kw
    for store in inputs.stores:
        if store.standby_kw:
            base[inputs.node_index[store.node]] += store.standby_kw * store.plugged
    return base


def sum_up_tree(inputs: DispatchInputs, own_kw: FloatArray) -> FloatArray:
    """Power through every node from what hangs directly at each [kW], shape (N, T)."""
    through = own_kw.copy()
    for place in reversed(inputs.parents_first):
        parent = int(inputs.parent_index[place])
        if parent >= 0:
            through[parent] += through[place]
    return through


def energies_kwh(inputs: DispatchInputs, charge_kw: FloatArray, discharge_kw: FloatArray) -> FloatArray:
    """Stored energy by the recursion [kWh], shape (S, T + 1)."""
    if not inputs.stores:
        return np.zeros((0, inputs.steps + 1))
    stores = inputs.stores
    into = np.array([store.efficiency_charge for store in stores])[:, None]
    out = np.array([store.efficiency_discharge for store in stores])[:, None]
    trips = np.array([store.trips_kwh for store in stores])
    initial = np.array([store.initial_kwh for store in stores])[:, None]
    change = inputs.step_h * (into * charge_kw - discharge_kw / out) - trips
    return np.concatenate([initial, initial + np.cumsum(change, axis=1)], axis=1)


def evaluate(inputs: DispatchInputs, powers: Powers) -> Figures:
    """All figures of a plan."""
    store_power = powers.charge_kw - powers.discharge_kw + standby_kw(inputs)
    own = np.zeros((len(inputs.nodes), inputs.steps))
    for load in inputs.fixed:
        own[inputs.node_index[load.node]] += load.power_kw
    for i, roof in enumerate(inputs.pv):
        own[inputs.node_index[roof.node]] -= powers.pv_kw[i]
    if inputs.stores:
        np.add.at(own, [inputs.node_index[store.node] for store in inputs.stores], store_power)
    node_power = sum_up_tree(inputs, own)
    energy = energies_kwh(inputs, powers.charge_kw, powers.discharge_kw)
    over_import = np.maximum(0.0, node_power - np.array([node.import_limit_kw for node in inputs.nodes]))
    over_export = np.maximum(0.0, -node_power - np.array([node.export_limit_kw for node in inputs.nodes]))
    excess = inputs.step_h * (over_import + over_export)
    departure, final, minimum = shortfalls_kwh(inputs, energy)
    return Figures(
        store_power_kw=store_power,
        energy_kwh=energy,
        node_power_kw=node_power,
        over_import_kw=over_import,
        over_export_kw=over_export,
        totals=Totals(
            excess=_without_noise(excess),
            departure=_without_noise(departure),
            final=_without_noise(final),
            minimum=_without_noise(minimum),
        ),
        cost_eur=cost_eur(inputs, node_power, powers),
    )


def shortfalls_kwh(
    inputs: DispatchInputs, energy_kwh: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """What is missing at departures, at the end and below the minimum [kWh].

    Returns:
        Departure, shape (S, T + 1), at the departure's step; final, shape (S,); minimum, shape (S, T + 1).
    """
    departure = np.zeros_like(energy_kwh)
    for i, store in enumerate(inputs.stores):
        for stay in store.stays:
            if stay.departure_min_kwh is not None:
                missing = stay.departure_min_kwh - energy_kwh[i, stay.to_step]
                departure[i, stay.to_step] = max(0.0, float(missing))
    wanted = np.array([store.final_min_kwh for store in inputs.stores])
    least = np.array([store.min_kwh for store in inputs.stores]).reshape(-1, 1)
    minimum = np.maximum(0.0, least - energy_kwh)
    minimum[:, 0] = 0.0
    return departure, np.maximum(0.0, wanted - energy_kwh[:, -1]), minimum


def cost_eur(inputs: DispatchInputs, node_power_kw: FloatArray, powers: Powers) -> float:
    """The cost of a plan by formats.md [EUR]."""
    root_power = node_power_kw[inputs.parent_index < 0]
    bought = np.maximum(root_power, 0.0) * inputs.import_price_eur_per_kwh
    sold = np.maximum(-root_power, 0.0) * inputs.export_price_eur_per_kwh
    cost = float(((bought - sold) * inputs.step_h).sum())
    if not inputs.stores:
        return cost
    charge_rate = np.array([store.charge_rate_eur_per_kwh for store in inputs.stores])
    discharge_rate = np.array([store.discharge_rate_eur_per_kwh for store in inputs.stores])
    hourly = (charge_rate * powers.charge_kw + discharge_rate * powers.discharge_kw).sum(axis=0)
    return cost + float(hourly @ inputs.step_h)


def trivial_bound_eur(inputs: DispatchInputs) -> float:
    """A lower bound of every plan's cost [EUR] without a solver: each root at its best in each step alone."""
    own_low, own_high = base_power_kw(inputs), base_power_kw(inputs)
    extra = np.zeros(inputs.steps)
    for roof in inputs.pv:
        place = inputs.node_index[roof.node]
        own_low[place] -= roof.available_kw
        own_high[place] -= 0.0 if roof.curtailable else roof.available_kw
    for store in inputs.stores:
        place = inputs.node_index[store.node]
        charge, discharge = store.charge_kw_max * store.plugged, store.discharge_kw_max * store.plugged
        own_low[place] -= discharge
        own_high[place] += charge
        extra += np.minimum(0.0, charge * store.charge_rate_eur_per_kwh)
        extra += np.minimum(0.0, discharge * store.discharge_rate_eur_per_kwh)
    roots = inputs.parent_index < 0
    low, high = sum_up_tree(inputs, own_low)[roots], sum_up_tree(inputs, own_high)[roots]

    def rate_eur(power_kw: FloatArray) -> FloatArray:
        bought = np.maximum(power_kw, 0.0) * inputs.import_price_eur_per_kwh
        return np.asarray(bought - np.maximum(-power_kw, 0.0) * inputs.export_price_eur_per_kwh)

    # The rate is piecewise linear in the power with one kink, at 0, so its least value is at an end or there.
    kink = np.clip(0.0, low, high)
    best = np.minimum(np.minimum(rate_eur(low), rate_eur(high)), rate_eur(kink))
    return float(((best.sum(axis=0) + extra) * inputs.step_h).sum())


def _without_noise(amounts_kwh: FloatArray) -> float:
    return float(amounts_kwh[amounts_kwh > NOISE_KWH].sum())
