"""The orders that the controller makes for members, and what it learns of how far they were right.

Before the gate closes it orders what the plan wants of chargers and batteries, what homes and buildings are
expected to use and roofs to make, and what standing instructions say of a surplus; each as surely as such an
asset kept to what was expected of it at that time of day. When the meters of the quarter-hour are in, that is
compared with what was expected. It is kept in memory: after a restart it begins anew, as loads and sun do.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from controller.domain.ids import AssetId, MemberId
from controller.domain.instructions import GiveSurplus, Instruction, LeaveAt, SellSurplus
from controller.domain.site import Site
from controller.domain.time import AMSTERDAM
from controller.runtime.expected import forecast_energy, planned_energy
from controller.runtime.plan import ActivePlan
from market.expectation import Beginning, Chances
from market.from_plan import (
    ForecastEnergy,
    PlannedEnergy,
    QuarterPrices,
    SurplusRule,
    orders_from_plan,
    surplus_orders,
)
from market.orders import Label, Order

PARTS_OF_DAY_H = 4
"""How long a part of the day is, by whose past an asset is judged [h]: a school keeps hours of its own."""
WAITING_MAX = 16
"""Quarter-hours whose meters are waited for; older ones are forgotten."""

type _Kind = tuple[AssetId, bool, int]
"""An asset, whether it takes or gives, and the part of the day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What an asset's meter counted in a quarter-hour."""

    asset: AssetId
    import_wh: int
    export_wh: int


class AutomaticOrders:
    """Makes one controller's orders for its members."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._chances: dict[_Kind, Chances] = {}
        self._expected: dict[datetime, dict[AssetId, int]] = {}
        """What was expected of each asset [Wh] in quarter-hours whose meters are not in."""

    def orders(
        self,
        plan: ActivePlan | None,
        quarter: QuarterPrices,
        instructions: Iterable[Instruction],
        on_their_own: Collection[MemberId],
    ) -> list[Order]:
        """The orders of a quarter-hour; none without a plan for it.

        Args:
            plan: The newest.
            quarter: The quarter-hour and the supplier's prices.
            instructions: All that stand.
            on_their_own: Members who ordered themselves: nothing is ordered for their homes and roofs.
        """
        start = quarter.interval_start
        if plan is None or plan.step_at(start) is None:
            return []
        planned = [
            replace(one, chances=self._of(one, start, Beginning.STEERED))
            for one in planned_energy(plan, self._site, start)
        ]
        forecast = [
            replace(one, chances=self._of(one, start, _beginning(one)))
            for one in forecast_energy(plan, self._site, start)
        ]
        expected = {one.asset: one.energy_wh for one in planned}
        self._expected[start] = expected | {one.asset: one.energy_wh for one in forecast}
        for old in sorted(self._expected)[:-WAITING_MAX]:
            del self._expected[old]
        others = [one for one in forecast if one.member not in on_their_own]
        instructed, rest = surplus_orders(quarter, others, surplus_rules(instructions))
        return [*orders_from_plan(quarter, planned, rest), *instructed]

    def learn(self, start: datetime, counted: Sequence[Counted]) -> None:
        """Compares what meters counted in a quarter-hour with what was expected; once for each."""
        expected = self._expected.pop(start, {})
        for one in counted:
            energy_wh = expected.get(one.asset, 0)
            if energy_wh:
                kind = _kind(one.asset, energy_wh, start)
                actual_wh = one.import_wh if energy_wh > 0 else one.export_wh
                self._chances[kind] = self._chances[kind].learned(abs(energy_wh), actual_wh)

    def _of(self, one: PlannedEnergy | ForecastEnergy, start: datetime, beginning: Beginning) -> Chances:
        return self._chances.setdefault(_kind(one.asset, one.energy_wh, start), beginning.value)


def _kind(asset: AssetId, energy_wh: int, start: datetime) -> _Kind:
    return asset, energy_wh > 0, start.astimezone(AMSTERDAM).hour // PARTS_OF_DAY_H


def _beginning(one: ForecastEnergy) -> Beginning:
    return Beginning.LOAD if one.energy_wh > 0 else Beginning.ROOF


def surplus_rules(instructions: Iterable[Instruction]) -> dict[MemberId, SurplusRule]:
    """What members' instructions say of their surplus; of several the one with the first id counts."""
    rules: dict[MemberId, SurplusRule] = {}
    for instruction in sorted(instructions, key=lambda one: one.id):
        match instruction.wanted:
            case SellSurplus():
                least: int | None = instruction.wanted.min_price_microeur_per_kwh
                label = Label.NEIGHBOUR
            case GiveSurplus():
                least, label = None, Label.SOCIAL
            case LeaveAt():
                continue
        rule = SurplusRule(id=instruction.id, min_price_microeur_per_kwh=least, label=label)
        rules.setdefault(instruction.member, rule)
    return rules
