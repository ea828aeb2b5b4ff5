"""Whatever a plan's reasons claim is so in the plan, over random problems of every kind."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.dispatch.fallback import fallback
from controller.dispatch.inputs import DispatchInputs, NodeInput, StoreInput
from controller.dispatch.reasons import MOVES_KW, SAME_EUR_PER_KWH, plan_reasons
from controller.dispatch.result import DispatchResult
from controller.dispatch.solve import solve
from controller.domain.ids import AssetId
from controller.domain.plan_reasons import PlanReason, PlanReasonCode
from tests.support.dispatch import random_problem
from tests.support.dispatch_problems import street

Code = PlanReasonCode


def holds(
    inputs: DispatchInputs, result: DispatchResult, store: StoreInput, step: int, reason: PlanReason
) -> bool:
    """Whether what a reason says can be read off the plan."""
    charge, discharge = result.charge_kw[store.id][step], result.discharge_kw[store.id][step]
    price = result.node_price_eur_per_kwh[store.node]
    buy = price + store.charge_adder_eur_per_kwh
    water = result.water_value_eur_per_kwh[store.id][step]
    match reason.code:
        case Code.AWAY:
            return not store.plugged[step]
        case Code.NODE_LIMIT | Code.RELIEF:
            node = next(node for node in inputs.nodes if node.id == reason.node)
            full = result.node_power_kw[node.id][step] >= node.import_limit_kw[step] - 1e-3
            return bool(full) and _above(inputs, store, node)
        case Code.CHEAP:
            pays = water * store.efficiency_charge >= buy[step] - SAME_EUR_PER_KWH
            other = reason.compare_step
            return bool(charge > MOVES_KW and pays and (other is None or buy[other] > buy[step]))
        case Code.DEAR:
            cost = water / store.efficiency_discharge + store.wear_eur_per_kwh_discharged
            sell = price[step] - store.discharge_adder_eur_per_kwh
            return bool(discharge > MOVES_KW and sell >= cost - SAME_EUR_PER_KWH)
        case Code.WAITS_CHEAPER:
            later = reason.compare_step
            return later is not None and bool(
                charge <= MOVES_KW and buy[later] < buy[step] and result.charge_kw[store.id][later] > MOVES_KW
            )
        case Code.WAITS_DEARER:
            later = reason.compare_step
            return later is not None and bool(
                price[later] > price[step] and result.discharge_kw[store.id][later] > MOVES_KW
            )
        case Code.FULL:
            return bool(result.energy_kwh[store.id][step] >= store.capacity_kwh - 1e-2)
        case Code.DEPARTURE:
            return bool(charge > MOVES_KW)
        case Code.MIN_POWER:
            return store.has_minimum_power and charge <= MOVES_KW
        case Code.RULES:
            return result.status == "fallback"
        case _:
            return True


def _above(inputs: DispatchInputs, store: StoreInput, node: NodeInput) -> bool:
    by_id = {one.id: one for one in inputs.nodes}
    at: NodeInput | None = by_id[store.node]
    while at is not None:
        if at.id == node.id:
            return True
        at = None if at.parent is None else by_id[at.parent]
    return False


def untrue(inputs: DispatchInputs, result: DispatchResult) -> list[tuple[AssetId, int, PlanReason]]:
    """The reasons that the plan does not bear out."""
    found = []
    for store in inputs.stores:
        reasons = plan_reasons(inputs, result, store.id)
        assert len(reasons) == inputs.steps
        found += [
            (store.id, step, reason)
            for step, reason in enumerate(reasons)
            if not holds(inputs, result, store, step, reason)
        ]
    return found


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_every_reason_is_borne_out_by_the_plan(seed: int) -> None:
    """Negative prices, short limits, minimum powers and wishes that cannot be met among them."""
    inputs = random_problem(seed, steps=8)
    assert untrue(inputs, solve(inputs)) == []


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000))
def test_a_plan_by_rules_claims_no_prices(seed: int) -> None:
    """It knows none; limits, a full battery and an absence it does see."""
    inputs = random_problem(seed, steps=8)
    result = fallback(inputs, "a test")
    assert untrue(inputs, result) == []
    codes = {reason.code for store in inputs.stores for reason in plan_reasons(inputs, result, store.id)}
    assert not codes & {Code.CHEAP, Code.DEAR, Code.WAITS_CHEAPER, Code.WAITS_DEARER, Code.NO_GAIN}


@pytest.mark.timeout(60)
def test_hardly_a_step_of_a_street_is_left_unexplained() -> None:
    """40 cars, a transformer that binds: the structured solver's prices explain nearly every step."""
    inputs = street(cars=40, feeders=2, steps=48)
    result = solve(inputs)
    assert untrue(inputs, result) == []
    reasons = [reason.code for store in inputs.stores for reason in plan_reasons(inputs, result, store.id)]
    assert reasons.count(Code.WHOLE) <= 0.02 * len(reasons)
    assert {Code.CHEAP, Code.DEAR, Code.NODE_LIMIT, Code.AWAY, Code.WAITS_CHEAPER} <= set(reasons)
