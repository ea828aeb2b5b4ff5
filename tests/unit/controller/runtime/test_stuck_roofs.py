"""A plan turns down only those roofs that somebody can turn down."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from controller.domain.ids import AssetId, NodeId
from controller.domain.telemetry import LinkReading
from controller.domain.time import VirtualDomainClock
from controller.runtime.core import Controller
from controller.runtime.expected import forecast_energy
from controller.runtime.plan import ActivePlan
from controller.storage import SqlStore
from tests.support.neighbourhood import site
from tests.support.running import make_controller
from tests.support.storage import opened

NOON = datetime(2024, 6, 17, 11, tzinfo=UTC)
ROOF, BARN = AssetId("roof"), AssetId("barn")
SUN, STUCK = AssetId("sun:f1"), AssetId("stuck-sun:f1")


def with_a_barn(store: SqlStore) -> Controller:
    """Beside the roof of 5 kW one of 10 kW, whose inverter takes no limits."""
    street = site()
    barn = replace(street.pv[0], id=BARN, rated_kw=10.0, curtailable=False)
    return make_controller(store, VirtualDomainClock(NOON), of=replace(street, pv=(*street.pv, barn)))


def link(controller: Controller, asset: AssetId, *, up: bool) -> None:
    """An inverter's connection comes or goes."""
    controller.receive(LinkReading(asset=asset, at=NOON, up=up))
    controller.safety_cycle(NOON)


async def test_a_roof_without_the_means_or_without_a_link_is_no_sun_to_turn_down(tmp_path: Path) -> None:
    """The barn never is; the roof is while its inverter is connected. All of it shines all the time."""
    async with opened(tmp_path / "s.sqlite3") as store:
        controller = with_a_barn(store)
        link(controller, ROOF, up=True)
        link(controller, BARN, up=True)
        sun = {entry.id: entry for entry in controller.horizon(NOON).inputs.pv}
        assert {key: entry.curtailable for key, entry in sun.items()} == {SUN: True, STUCK: False}
        assert sun[STUCK].available_kw == pytest.approx(2.0 * sun[SUN].available_kw)
        link(controller, ROOF, up=False)
        (alone,) = controller.horizon(NOON).inputs.pv
        assert (alone.id, alone.curtailable) == (STUCK, False)
        assert alone.available_kw == pytest.approx(1.5 * sun[STUCK].available_kw)


async def test_what_is_turned_down_is_the_turnable_roofs_own(tmp_path: Path) -> None:
    """Of 2 + 4 kW the plan uses 1 + 4: the roof is to make a fifth of its rating."""
    async with opened(tmp_path / "s.sqlite3") as store:
        controller = with_a_barn(store)
        link(controller, ROOF, up=True)
        await controller.make_plan(controller.horizon(NOON))
        made = controller.plan
        assert made is not None
        steps = len(made.horizon.boundaries) - 1
        used = {SUN: np.full(steps, -1.0), STUCK: np.full(steps, -4.0)}
        plan = ActivePlan(
            horizon=replace(made.horizon, sun_kw={NodeId("f1"): np.full(steps, 2.0)}),
            result=replace(made.result, power_kw={**made.result.power_kw, **used}),
        )
        assert plan.guide.at(NOON).sun_share[NodeId("f1")] == pytest.approx(0.2)
        expected = {one.asset: one.energy_wh for one in forecast_energy(plan, controller.site, NOON)}
        assert (expected[ROOF], expected[BARN]) == (-250, -1000)
