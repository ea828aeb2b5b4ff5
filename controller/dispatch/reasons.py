"""Says for each step of a store's plan what binds it, from the plan's own prices.

At the cheapest plan every store obeys two comparisons. With the node's price `p`, the store's water value
`w` (what one more kWh in it is worth after the step), efficiencies and fees:

    charging pays     where  w * efficiency_charge      >=  p + charge_adder
    discharging pays  where  p - discharge_adder - wear >=  w / efficiency_discharge

A reason that speaks of prices is given only where its comparison holds, one that names a node only where
that node is at its limit and the price above the node would have paid. What neither explains (a wish that
comes before the cost, a choice between equals, minimum powers) is said to be so. A plan by rules has no
such prices, and only says what the store itself shows.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from controller.dispatch.assemble import powers_of
from controller.dispatch.explain import BINDING_KW, path_of
from controller.dispatch.inputs import DispatchInputs, NodeInput, StoreInput
from controller.dispatch.result import NODE_PRICE_LIMIT_EUR_PER_KWH as PRICE_LIMIT
from controller.dispatch.result import DispatchResult
from controller.domain.ids import AssetId, NodeId
from controller.domain.plan_reasons import PlanReason, PlanReasonCode
from controller.domain.units import BoolArray, FloatArray

SAME_EUR_PER_KWH = 2e-3
"""Prices within this are the same: a fifth of a cent, well above what a solver's duals are off by."""
MOVES_KW = 1e-2
"""Less power than this is none."""
AT_KWH = 1e-3
"""An energy is at a bound within this."""


def plan_reasons(inputs: DispatchInputs, result: DispatchResult, asset: AssetId) -> tuple[PlanReason, ...]:
    """The reason of each step for one store, T of them.

    Raises:
        KeyError: If the problem has no such store.
    """
    store = {store.id: store for store in inputs.stores}[asset]
    view = _StoreView(inputs, result, store)
    return tuple(view.reason(step) for step in range(inputs.steps))


class _StoreView:
    """One store's series, and the questions that are asked of them."""

    def __init__(self, inputs: DispatchInputs, result: DispatchResult, store: StoreInput) -> None:
        self.inputs, self.result, self.store = inputs, result, store
        self.path = path_of(inputs, store)
        self.phases = self._phases()
        self.by_rules = result.status == "fallback"
        self.charge = result.charge_kw[store.id]
        self.discharge = result.discharge_kw[store.id]
        self.energy = result.energy_kwh[store.id]
        price = result.node_price_eur_per_kwh[store.node]
        self.buy: FloatArray = price + store.charge_rate_eur_per_kwh
        self.sell: FloatArray = price - store.discharge_adder_eur_per_kwh
        water = result.water_value_eur_per_kwh[store.id]
        self.worth_in: FloatArray = water * store.efficiency_charge
        """What a kWh charged now (AC side) is worth."""
        self.charge_back: FloatArray = water / store.efficiency_discharge + store.wear_eur_per_kwh_discharged
        """What a kWh discharged now (AC side) costs."""

    def reason(self, step: int) -> PlanReason:
        """What binds it in a step."""
        store = self.store
        if not store.plugged[step]:
            return PlanReason(code=PlanReasonCode.AWAY)
        if store.charge_kw_max[step] <= 0.0 and store.discharge_kw_max[step] <= 0.0:
            return PlanReason(code=PlanReasonCode.NOT_ALLOWED)
        if self.charge[step] > MOVES_KW:
            return self._charging(step)
        if self.discharge[step] > MOVES_KW:
            return self._discharging(step)
        return self._resting(step)

    def _charging(self, step: int) -> PlanReason:
        store = self.store
        if self.energy[step] < store.min_kwh - AT_KWH:
            return PlanReason(code=PlanReasonCode.BELOW_MINIMUM, energy_kwh=store.min_kwh)
        held = self._node_limit(step)
        if held is not None:
            return held
        pays = not self.by_rules and self.worth_in[step] >= self.buy[step] - SAME_EUR_PER_KWH
        dearer = self._left_dearer(step) if pays else None
        wanted = self._needed_throughout(step)
        if dearer is None and wanted is not None:
            return PlanReason(
                code=PlanReasonCode.DEPARTURE, price_eur_per_kwh=self._now(step), energy_kwh=wanted
            )
        if not pays:
            return PlanReason(code=PlanReasonCode.RULES if self.by_rules else PlanReasonCode.WHOLE)
        return PlanReason(
            code=PlanReasonCode.CHEAP,
            price_eur_per_kwh=float(self.buy[step]),
            compare_eur_per_kwh=float(self.worth_in[step] if dearer is None else self.buy[dearer]),
            compare_step=dearer,
        )

    def _left_dearer(self, step: int) -> int | None:
        """The dearest step of the stay that it leaves (partly) unused; None where none is dearer."""
        begin, end = self._stay(step)
        unused = self.charge < self.store.charge_kw_max - MOVES_KW
        now = self.buy[step] + SAME_EUR_PER_KWH
        # A price at its bound is none: there one more kWh does not fit.
        dearer = [t for t in range(begin, end) if unused[t] and now < self.buy[t] < PRICE_LIMIT]
        return max(dearer, key=lambda t: self.buy[t], default=None)

    def _discharging(self, step: int) -> PlanReason:
        if not self.by_rules and self.sell[step] >= self.charge_back[step] - SAME_EUR_PER_KWH:
            return PlanReason(
                code=PlanReasonCode.DEAR,
                price_eur_per_kwh=float(self.sell[step]),
                compare_eur_per_kwh=float(self.charge_back[step]),
            )
        binding = self._binding(step)
        if binding:
            return _at_limit(PlanReasonCode.RELIEF, binding[0], step)
        return PlanReason(code=PlanReasonCode.RULES if self.by_rules else PlanReasonCode.WHOLE)

    def _resting(self, step: int) -> PlanReason:
        store = self.store
        if self.energy[step] >= store.capacity_kwh - AT_KWH:
            return PlanReason(code=PlanReasonCode.FULL, energy_kwh=store.capacity_kwh)
        held = self._node_limit(step)
        if held is not None:
            return held
        if self.by_rules:
            return PlanReason(code=PlanReasonCode.RULES)
        may_charge = store.charge_kw_max[step] > 0.0
        may_discharge = store.discharge_kw_max[step] > 0.0
        if may_charge and self.worth_in[step] > self.buy[step] + SAME_EUR_PER_KWH:
            low = store.charge_kw_min > 0.0
            return PlanReason(code=PlanReasonCode.MIN_POWER if low else PlanReasonCode.WHOLE)
        if may_discharge and self.sell[step] > self.charge_back[step] + SAME_EUR_PER_KWH:
            # It would discharge: nothing is there to give, or too little of it.
            if self.energy[step] <= max(store.min_kwh, float(store.floor_kwh[step])) + AT_KWH:
                return PlanReason(code=PlanReasonCode.EMPTY, energy_kwh=store.min_kwh)
            low = store.discharge_kw_min > 0.0
            return PlanReason(code=PlanReasonCode.MIN_POWER if low else PlanReasonCode.WHOLE)
        return self._waiting(step)

    def _waiting(self, step: int) -> PlanReason:
        """Its next move, where that is at a better price; else there is nothing to gain."""
        binding = self._binding(step)
        if binding and self.buy[step] >= PRICE_LIMIT:
            # No price: one more kWh does not fit.
            return _at_limit(PlanReasonCode.NODE_LIMIT, binding[0], step)
        for later in range(step + 1, self.inputs.steps):
            if self.charge[later] > MOVES_KW:
                if self.buy[later] < self.buy[step] - SAME_EUR_PER_KWH:
                    return PlanReason(
                        code=PlanReasonCode.WAITS_CHEAPER,
                        price_eur_per_kwh=float(self.buy[step]),
                        compare_eur_per_kwh=float(self.buy[later]),
                        compare_step=later,
                    )
                break
            if self.discharge[later] > MOVES_KW:
                if self.sell[later] > self.sell[step] + SAME_EUR_PER_KWH:
                    return PlanReason(
                        code=PlanReasonCode.WAITS_DEARER,
                        price_eur_per_kwh=float(self.sell[step]),
                        compare_eur_per_kwh=float(self.sell[later]),
                        compare_step=later,
                    )
                break
        return PlanReason(code=PlanReasonCode.NO_GAIN, price_eur_per_kwh=float(self.buy[step]))

    def _node_limit(self, step: int) -> PlanReason | None:
        """The node that keeps it from charging (more), where the price above that node would have paid."""
        store = self.store
        if self.charge[step] >= store.charge_kw_max[step] - MOVES_KW:
            return None
        if self.energy[step + 1] >= store.capacity_kwh - AT_KWH:
            return None
        for node in reversed(self._binding(step)):
            if self.by_rules:
                return _at_limit(PlanReasonCode.NODE_LIMIT, node, step)
            above = (
                self.inputs.import_price_eur_per_kwh[step]
                if node.parent is None
                else self.result.node_price_eur_per_kwh[node.parent][step]
            )
            if self.worth_in[step] > above + store.charge_rate_eur_per_kwh[step] + SAME_EUR_PER_KWH:
                return _at_limit(PlanReasonCode.NODE_LIMIT, node, step)
        return None

    def _binding(self, step: int) -> list[NodeInput]:
        """The nodes above it that are at their import limit, or a phase of theirs is; the nearest first."""
        found = []
        for node in self.path:
            if self.result.node_power_kw[node.id][step] >= node.import_limit_kw[step] - BINDING_KW:
                found.append(node)
            found += [phase for phase, full in self.phases.get(node.id, ()) if full[step]]
        return found

    def _phases(self) -> dict[NodeId, list[tuple[NodeInput, BoolArray]]]:
        """Of each node the phases that its charging loads, as nodes, and in which steps they are full."""
        rows = self.inputs.phase_rows
        if rows is None:
            return {}
        full = rows.full(powers_of(self.inputs, self.result), BINDING_KW)
        place = next(i for i, store in enumerate(self.inputs.stores) if store.id == self.store.id)
        found: dict[NodeId, list[tuple[NodeInput, BoolArray]]] = {}
        for row in rows.of_charging(place).tolist():
            node = self.inputs.nodes[self.inputs.node_index[rows.node[row]]]
            phase = replace(node, id=NodeId(rows.name(row)), import_limit_kw=rows.limit_kw[row])
            found.setdefault(node.id, []).append((phase, full[row]))
        return found

    def _needed_throughout(self, step: int) -> float | None:
        """The wish [kWh] of the next departure, where only full power in every step left brings it."""
        for stay in self.store.ordered_stays:
            if stay.to_step <= step or stay.departure_min_kwh is None:
                continue
            span = slice(step, stay.to_step)
            if not self.store.plugged[span].all():
                return None
            throughout = (self.charge[span] >= self.store.charge_kw_max[span] - MOVES_KW).all()
            short = self.energy[stay.to_step] <= stay.departure_min_kwh + AT_KWH
            return stay.departure_min_kwh if throughout and short else None
        return None

    def _stay(self, step: int) -> tuple[int, int]:
        """The first step and the end of the time plugged in around a step."""
        away = np.flatnonzero(~self.store.plugged)
        before, after = away[away < step], away[away > step]
        return (
            int(before[-1]) + 1 if before.size else 0,
            int(after[0]) if after.size else self.inputs.steps,
        )

    def _now(self, step: int) -> float | None:
        return None if self.by_rules else float(self.buy[step])


def _at_limit(code: PlanReasonCode, node: NodeInput, step: int) -> PlanReason:
    return PlanReason(code=code, node=node.id, limit_kw=float(node.import_limit_kw[step]))
