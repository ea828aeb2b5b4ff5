"""What a plan expects of each asset in a quarter-hour: for orders, and for what the supplier is told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from controller.domain.ids import AssetId, NodeId
from controller.domain.site import Site
from controller.domain.time import QUARTER_H
from controller.domain.units import kwh_to_wh
from controller.runtime.plan import ActivePlan
from market.from_plan import ForecastEnergy, PlannedEnergy


def planned_energy(plan: ActivePlan, site: Site, interval: datetime) -> Iterator[PlannedEnergy]:
    """What the plan wants of chargers and batteries, at what it is worth to them."""
    step = plan.step_at(interval)
    if step is None:
        return
    batteries = {battery.id: battery for battery in site.batteries}
    vat = float(plan.horizon.vat_fraction[step])
    reclaiming = {member.id for member in site.members if member.reclaims_vat}
    for store in plan.horizon.inputs.stores:
        power_kw = float(plan.result.power_kw[store.id][step])
        asset, member, node = store.id, None, store.node
        if store.id in batteries:
            member = batteries[store.id].member
        elif store.id in plan.horizon.charge_point_of:
            point = site.charge_point_by_id[plan.horizon.charge_point_of[store.id]]
            asset, member, node = point.id, point.member, point.node
        if member is None:
            continue
        water = plan.result.water_value_eur_per_kwh.get(store.id)
        value = None if water is None else float(water[step])
        if value is not None:
            if power_kw > 0.0:
                worth = value * store.efficiency_charge - float(store.charge_rate_eur_per_kwh[step])
                # Who reclaims VAT bids at once without it: what the plan took off again is no saving.
                back = float(plan.horizon.inputs.import_price_eur_per_kwh[step]) * vat / (1.0 + vat)
                value = worth - back if member in reclaiming else _without_vat(worth, vat)
            else:
                # A refund comes to whoever feeds in, sold or not: it is no part of the price.
                rate = float(store.discharge_rate_eur_per_kwh[step])
                value = _without_vat(value / store.efficiency_discharge + rate, vat)
        yield PlannedEnergy(
            asset=asset,
            member=member,
            node=node,
            energy_wh=kwh_to_wh(power_kw * QUARTER_H),
            value_eur_per_kwh=value,
        )


def _without_vat(worth_eur_per_kwh: float, vat: float) -> float:
    """What a buyer bids at most, and a seller asks at least, in prices without VAT.

    A buyer pays VAT on top to the supplier, and to a neighbour it may not, also where the price is negative.
    What a plan discharges is worth to it what the neighbours save, with VAT; they buy at prices without it.
    Who asked for it with VAT would ask more than the supplier does and sell nothing, and what is fed in
    unsold gets the supplier's export price.
    """
    return min(worth_eur_per_kwh, worth_eur_per_kwh / (1.0 + vat))


def forecast_energy(plan: ActivePlan, site: Site, interval: datetime) -> Iterator[ForecastEnergy]:
    """What homes and buildings are expected to use and roofs to make: their share of their node's."""
    step = plan.step_at(interval)
    if step is None:
        return
    yearly: dict[NodeId, float] = {}
    rated: dict[AssetId, float] = {}
    entry_of = {roof.id: plan.horizon.sun_entry(roof) for roof in site.pv}
    for load in site.loads:
        yearly[load.node] = yearly.get(load.node, 0.0) + load.yearly_kwh
    for roof in site.pv:
        rated[entry_of[roof.id]] = rated.get(entry_of[roof.id], 0.0) + roof.rated_kw
    for load in site.loads:
        series = plan.horizon.base_kw.get(load.node)
        if series is not None and yearly[load.node] > 0.0:
            energy_kwh = max(float(series[step]), 0.0) * QUARTER_H * load.yearly_kwh / yearly[load.node]
            yield ForecastEnergy(
                asset=load.id, member=load.member, node=load.node, energy_wh=kwh_to_wh(energy_kwh)
            )
    for roof in site.pv:
        entry = entry_of[roof.id]
        used = plan.result.power_kw.get(entry)
        if used is not None and rated[entry] > 0.0:
            energy_kwh = min(float(used[step]), 0.0) * QUARTER_H * roof.rated_kw / rated[entry]
            yield ForecastEnergy(
                asset=roof.id, member=roof.member, node=roof.node, energy_wh=kwh_to_wh(energy_kwh)
            )
