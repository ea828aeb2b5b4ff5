"""What the plan in force has in store for one car or battery, and why, in spans that people can read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from controller.dispatch.reasons import plan_reasons
from controller.domain.ids import AssetId
from controller.domain.plan_reasons import PlanReason, PlanReasonCode
from controller.runtime.door import PlanSpanView
from controller.runtime.plan import ActivePlan

CHARGES_KW = 1e-3
"""From here on a store charges [kW]."""


def coming(plan: ActivePlan, asset: AssetId) -> Sequence[PlanSpanView]:
    """Steps with the same reason in a row are one span; its figures are those of its first step.

    Returns:
        The spans of the whole plan in order of time; none for what the plan does not steer.
    """
    if asset not in plan.result.energy_kwh:
        return ()
    bounds = plan.horizon.boundaries
    reasons = plan_reasons(plan.horizon.inputs, plan.result, asset)
    power, hours = plan.result.power_kw[asset], plan.horizon.inputs.step_h
    hurried = _hurried(plan, asset)
    found: list[PlanSpanView] = []
    begin = 0
    for step in range(1, len(reasons) + 1):
        if step < len(reasons) and _same(reasons[begin], reasons[step]):
            continue
        reason = reasons[begin]
        span = slice(begin, step)
        compare_at = None if reason.compare_step is None else bounds[reason.compare_step]
        if begin in hurried:
            reason = replace(reason, code=PlanReasonCode.OFTEN_EARLY)
            compare_at = plan.horizon.ready_by[asset]
        found.append(
            PlanSpanView(
                start=bounds[begin],
                end=bounds[step],
                power_kw=float(power[span] @ hours[span] / hours[span].sum()),
                reason=reason,
                compare_at=compare_at,
            )
        )
        begin = step
    return tuple(found)


def _hurried(plan: ActivePlan, asset: AssetId) -> frozenset[int]:
    """The steps in which a car charges though power is cheaper before its departure: it may leave earlier."""
    horizon, inputs = plan.horizon, plan.horizon.inputs
    ready_by = horizon.ready_by.get(asset)
    store = next(store for store in inputs.stores if store.id == asset)
    if ready_by is None:
        return frozenset()
    ready = horizon.boundaries.index(ready_by)
    later = next((stay for stay in store.stays if stay.from_step == ready), None)
    if later is None:
        return frozenset()
    price = inputs.import_price_eur_per_kwh
    cheaper = float(price[ready : later.to_step].min())
    charge = plan.result.charge_kw[asset]
    return frozenset(step for step in range(ready) if charge[step] > CHARGES_KW and price[step] > cheaper)


def _same(one: PlanReason, other: PlanReason) -> bool:
    return (one.code, one.node, one.compare_step) == (other.code, other.node, other.compare_step)


def soon(spans: Sequence[PlanSpanView], now: datetime, until: datetime) -> Sequence[PlanSpanView]:
    """Those that are not over at `now` and begin before `until`."""
    return tuple(span for span in spans if span.end > now and span.start < until)
