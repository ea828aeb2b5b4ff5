"""Makes a `DispatchResult` from the powers of a plan, whichever method made them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from controller.dispatch.evaluate import Powers, evaluate
from controller.dispatch.explain import shortfalls, violations
from controller.dispatch.inputs import DispatchInputs
from controller.dispatch.result import NODE_PRICE_LIMIT_EUR_PER_KWH, OPTIMAL_GAP, DispatchResult, Status
from controller.domain.units import FloatArray


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """What is known of a plan beside its powers."""

    method: str
    lower_bound_eur: float
    node_price_eur_per_kwh: FloatArray
    """Shape (N, T); kept within bounds by `assemble`."""
    water_value_eur_per_kwh: FloatArray
    """Shape (S, T)."""
    build_s: float
    solve_s: float
    totals_are_least: bool = True
    """Whether the totals are known to be as small as they can be; `optimal` asks for that too."""
    fallback_reason: str = ""
    """Not empty where rules made the plan."""


def assemble(inputs: DispatchInputs, powers: Powers, certificate: Certificate) -> DispatchResult:
    """Computes every figure from the powers and puts names to the rows."""
    figures = evaluate(inputs, powers)
    bound = min(certificate.lower_bound_eur, figures.cost_eur)
    gap = (figures.cost_eur - bound) / inputs.cost_scale_eur
    status: Status = "optimal" if gap <= OPTIMAL_GAP and certificate.totals_are_least else "feasible"
    if certificate.fallback_reason:
        status = "fallback"
    limit = NODE_PRICE_LIMIT_EUR_PER_KWH
    price = np.clip(np.nan_to_num(certificate.node_price_eur_per_kwh), -limit, limit)
    store_power = {store.id: figures.store_power_kw[i] for i, store in enumerate(inputs.stores)}
    pv_power = {roof.id: 0.0 - powers.pv_kw[i] for i, roof in enumerate(inputs.pv)}
    return DispatchResult(
        status=status,
        method=certificate.method,
        reason=certificate.fallback_reason,
        cost_eur=figures.cost_eur,
        lower_bound_eur=bound,
        build_s=certificate.build_s,
        solve_s=certificate.solve_s,
        power_kw={**store_power, **pv_power},
        charge_kw={store.id: powers.charge_kw[i] for i, store in enumerate(inputs.stores)},
        discharge_kw={store.id: powers.discharge_kw[i] for i, store in enumerate(inputs.stores)},
        energy_kwh={store.id: figures.energy_kwh[i] for i, store in enumerate(inputs.stores)},
        node_power_kw={node.id: figures.node_power_kw[i] for i, node in enumerate(inputs.nodes)},
        node_price_eur_per_kwh={node.id: price[i] for i, node in enumerate(inputs.nodes)},
        water_value_eur_per_kwh={
            store.id: certificate.water_value_eur_per_kwh[i] for i, store in enumerate(inputs.stores)
        },
        totals_kwh=figures.totals,
        shortfalls=shortfalls(inputs, powers, figures),
        violations=violations(inputs, figures),
    )


def powers_of(inputs: DispatchInputs, result: DispatchResult) -> Powers:
    """The decisions of a result as matrices.

    Raises:
        KeyError: If an asset is missing in the result.
        ValueError: If a series has not T values.
    """
    steps = inputs.steps

    def rows(series: list[FloatArray]) -> FloatArray:
        if any(np.shape(row) != (steps,) for row in series):
            raise ValueError(f"a series has not {steps} values")
        return np.array(series, dtype=np.float64).reshape(len(series), steps)

    return Powers(
        charge_kw=rows([result.charge_kw[store.id] for store in inputs.stores]),
        discharge_kw=rows([result.discharge_kw[store.id] for store in inputs.stores]),
        pv_kw=rows([-np.asarray(result.power_kw[roof.id]) for roof in inputs.pv]),
    )
