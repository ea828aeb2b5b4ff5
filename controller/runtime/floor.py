"""The site's safe floor: what its chargers do without us, reckoned with the coldest days of a year.

It is laid in the chargers when they boot and has to hold until they are heard again, so it goes by the year
and not by the forecast of tomorrow.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np

from controller.config import SafetySettings
from controller.domain.assets import LoadKind
from controller.domain.site import Site
from controller.domain.time import QUARTER
from controller.domain.units import FloatArray
from controller.forecast.loads import HIGH_MARGIN, HOURS_PER_YEAR, profile_factor
from controller.setpoints.base_load import shares
from controller.setpoints.safe_floor import QUARTERS, SafeFloor, safe_floor

LEAST_FACTOR = {LoadKind.HOME: 1.8, LoadKind.PUBLIC_BUILDING: 3.0}
"""No hour of a cold day counts for less than this many times the year's mean: where a quarter of the homes
have heat pumps these run day and night, and a building is heated up and used by day."""
_YEAR = datetime(2024, 1, 1, tzinfo=UTC)


def site_floor(site: Site, settings: SafetySettings) -> SafeFloor:
    """Computes the hours of every charger of a site."""
    return safe_floor(
        site.network,
        site.charge_points,
        high_load_kw(site),
        ignoring_fraction=settings.ignoring_fraction,
        margin_fraction=settings.margin_fraction,
    )


def high_load_kw(site: Site) -> FloatArray:
    """The high end of the unsteered load under each node [kW].

    Returns:
        In the order of `network.nodes`, in total and per phase, per quarter-hour of the UTC day, shape
        (N, 4, 96).
    """
    network = site.network
    place = {node.id: i for i, node in enumerate(network.nodes)}
    high: FloatArray = np.zeros((len(network.nodes), 4, QUARTERS))
    for load, share in zip(site.loads, shares([load.phases for load in site.loads]), strict=True):
        factor = np.maximum(highest_factor() * (1.0 + HIGH_MARGIN), LEAST_FACTOR[load.kind])
        high[place[load.node]] += load.yearly_kwh / HOURS_PER_YEAR * share[:, None] * factor
    for node_id in reversed(network.parents_first):
        parent = network.by_id[node_id].parent
        if parent is not None:
            high[place[parent]] += high[place[node_id]]
    return high


@cache
def highest_factor() -> FloatArray:
    """The standard profile's highest value over a year per quarter-hour of the UTC day, shape (96,).

    Two days of each week will do: weekdays are alike, and so are the days of a weekend.
    """
    days = [_YEAR + timedelta(days=7 * week + day) for week in range(52) for day in (2, 5)]
    table = [[profile_factor(day + i * QUARTER) for i in range(QUARTERS)] for day in days]
    return np.max(np.array(table), axis=0)
