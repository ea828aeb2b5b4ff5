"""A winter's day for a simulated site, as a dispatch problem: full cars wanted, dear evening, busy homes."""

from __future__ import annotations

from collections import Counter

import numpy as np

from controller.dispatch.inputs import DispatchInputs, Stay, Trip
from controller.domain.site import Site
from tests.support.dispatch import load, node, problem, store

STEPS = 96


def winter_day(site: Site) -> DispatchInputs:
    """96 quarter-hours from midnight with the tree's own limits.

    Every home takes 0.6 to 1.3 kW, every car stands at its charge point 30% full, leaves at 8 with 80%, comes
    back at 17 and wants 70% at the end; power is four times as dear from 17:30 to 20.
    """
    hours = np.arange(STEPS) / 4.0
    home_kw = 0.6 + 0.7 * np.exp(-(((hours - 18.5) / 2.5) ** 2))
    price = 0.1 + 0.05 * np.sin(hours / 2.5) + 0.3 * ((hours >= 17.5) & (hours < 20.0))
    homes = Counter(home.node for home in site.loads)
    return problem(
        STEPS,
        [
            node(n.id, n.parent, n.import_limit_kw(), STEPS, export_kw=n.export_limit_kw())
            for n in site.network.nodes
        ],
        fixed=[load(f"load:{at}", at, count * home_kw, STEPS) for at, count in homes.items()],
        stores=[
            store(
                car.id,
                site.charge_point_by_id[car.home_charge_point].node,
                STEPS,
                capacity_kwh=car.capacity_kwh,
                min_kwh=car.min_kwh,
                initial_kwh=0.3 * car.capacity_kwh,
                final_min_kwh=0.7 * car.capacity_kwh,
                charge_kw_max=car.charge_kw_max,
                discharge_kw_max=car.discharge_kw_max,
                efficiency_charge=car.efficiency_charge,
                efficiency_discharge=car.efficiency_discharge,
                wear_eur_per_kwh_discharged=car.wear_eur_per_kwh_discharged,
                stays=(
                    Stay(from_step=0, to_step=32, departure_min_kwh=0.8 * car.capacity_kwh),
                    Stay(from_step=68, to_step=STEPS),
                ),
                trips=(Trip(step=40, energy_kwh=8.0),),
            )
            for car in site.vehicles
            if car.home_charge_point is not None
        ],
        buy=price + 0.02,
        sell=price - 0.01,
        step_h=0.25,
    )
