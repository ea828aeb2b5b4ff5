"""Cars that the site does not know: guests, and who charges with a card that is no car's.

They say nothing of when they leave or what they need, so they get what they can take at once and are never
discharged (`setpoints.candidate`). The plan reckons with them as with a load at their charge point: their
power now, for as long as such a stay usually lasts. One that takes nothing any more is full and is no load.
They are no part of what homes are expected to use: no neighbour buys their energy, and the safety loop,
which steers them, does not count them once more as homes without a meter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import numpy as np

from controller.domain.ids import AssetId
from controller.domain.site import Site
from controller.domain.units import FloatArray
from controller.runtime.steering import Steering
from controller.state import NeighbourhoodState

STAY = timedelta(hours=2)
"""How long a stranger is reckoned to go on charging, an assumption: 22 kWh at 11 kW."""
DRAWS_KW = 0.1
"""Below it a car takes nothing."""


def strangers_kw(
    site: Site, state: NeighbourhoodState, steering: Steering, now: datetime, starts: Sequence[datetime]
) -> Mapping[AssetId, FloatArray]:
    """What cars that the site does not know will draw at charge points.

    Args:
        site: The neighbourhood.
        state: As it is now.
        steering: Who knows which car stands where, and what it was told.
        now: Domain time.
        starts: The start of each step of the plan, ascending.

    Returns:
        Power [kW], shape (T,), at least 0; only of charge points where there is one.
    """
    soon = np.array([at < now + STAY for at in starts])
    found: dict[AssetId, FloatArray] = {}
    for point in site.charge_points:
        connector = state.connectors.get(point.id)
        if connector is None or not connector.plugged or connector.transaction is None:
            continue
        if steering.vehicle_on(state, point.id) is not None:
            continue
        power_kw = _power_kw(state, steering, point.id, point.charge_kw_max)
        found[point.id] = np.where(soon, power_kw, 0.0)
    return found


def _power_kw(state: NeighbourhoodState, steering: Steering, point: AssetId, most_kw: float) -> float:
    """What it takes if the network leaves it open [kW]."""
    car = state.cars.get(point)
    if car is not None and car.charge_kw_max is not None:
        most_kw = min(most_kw, car.charge_kw_max)
    confirmed, meter = steering.confirmed.get(point), state.meters.get(point)
    if confirmed is None or confirmed.power_kw < DRAWS_KW or meter is None or meter.power_kw is None:
        return most_kw
    if meter.at <= confirmed.at:
        return most_kw
    return 0.0 if meter.power_kw < DRAWS_KW else min(most_kw, meter.power_kw)
