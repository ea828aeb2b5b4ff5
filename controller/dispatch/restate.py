"""A plan that was made for lower limits, told as a plan for the problem that was asked."""

from __future__ import annotations

from dataclasses import replace

from controller.dispatch.assemble import powers_of
from controller.dispatch.evaluate import evaluate, trivial_bound_eur
from controller.dispatch.explain import violations
from controller.dispatch.inputs import DispatchInputs
from controller.dispatch.result import OPTIMAL_GAP, DispatchResult, Totals

TOTALS_EQUAL_KWH = 1e-6
"""Totals are equal within this [kWh] (formats.md)."""


def restated[Plan: DispatchResult](inputs: DispatchInputs, plan: Plan, proven: DispatchResult | None) -> Plan:
    """The same powers with the totals, violations, bound and nodes of the problem that was asked.

    Args:
        inputs: The problem that was asked.
        plan: A plan for it with other limits, perhaps with more nodes.
        proven: A plan whose bound is one of the asked problem; None where there is none. It holds for
            plans whose totals are no larger than that plan's; for others only the trivial one is known.
    """
    figures = evaluate(inputs, powers_of(inputs, plan))
    bound, status = trivial_bound_eur(inputs), plan.status
    holds = proven is not None and no_larger(figures.totals, proven.totals_kwh)
    if proven is not None and holds:
        bound = max(bound, proven.lower_bound_eur)
    bound = min(bound, figures.cost_eur)
    if status != "fallback":
        near = (figures.cost_eur - bound) / inputs.cost_scale_eur <= OPTIMAL_GAP
        optimal = proven is not None and holds and near and proven.status == "optimal"
        status = "optimal" if optimal else "feasible"
    return replace(
        plan,
        status=status,
        lower_bound_eur=bound,
        power_kw={
            **plan.power_kw,
            **{store.id: figures.store_power_kw[i] for i, store in enumerate(inputs.stores)},
        },
        totals_kwh=figures.totals,
        violations=violations(inputs, figures),
        node_power_kw={node.id: plan.node_power_kw[node.id] for node in inputs.nodes},
        node_price_eur_per_kwh={node.id: plan.node_price_eur_per_kwh[node.id] for node in inputs.nodes},
    )


def no_larger(totals: Totals, of: Totals) -> bool:
    """Whether none of the totals is larger than the other's."""
    return all(
        mine <= theirs + TOTALS_EQUAL_KWH
        for mine, theirs in zip(totals.as_tuple(), of.as_tuple(), strict=True)
    )
