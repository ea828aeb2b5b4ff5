"""How chargers, homes and roofs hang on phases, as the plan is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from controller.config import Settings
from controller.dispatch.by_phase import EVENLY
from controller.dispatch.solve import solve_quick
from controller.domain.assets import Departure, Phases, Wishes
from controller.domain.ids import AssetId, NodeId
from controller.domain.network import Limit, LimitKind, Node, NodeKind
from controller.domain.site import Site
from controller.runtime.car_store import CarNow
from controller.runtime.horizon import Horizon, HorizonFacts, build_horizon, step_boundaries
from controller.runtime.people import People
from tests.support.neighbourhood import START, site, vehicle
from tests.support.phases import phase_kw

F1 = NodeId("f1")
KEEP = 1.0 - Settings().planning.margin_fraction


def behind_a_fuse(phases: Phases, *, fuse_a: float = 32.0, homes: Phases = Phases.L2) -> Site:
    """The neighbourhood with chargers and homes of f1 on these phases, and a fuse before f1."""
    base = site()
    fuse = Node(
        id=F1,
        parent=base.network.by_id[F1].parent,
        kind=NodeKind.FEEDER,
        limits=(Limit(kind=LimitKind.FUSE, value=fuse_a),),
    )
    nodes = tuple(fuse if node.id == F1 else node for node in base.network.nodes)
    return replace(
        base,
        network=replace(base.network, nodes=nodes),
        charge_points=tuple(
            replace(point, phases=phases) if point.node == F1 else point for point in base.charge_points
        ),
        loads=tuple(replace(home, phases=homes) if home.node == F1 else home for home in base.loads),
    )


def horizon(
    where: Site, *, base_kw: float = 2.0, sun_kw: float = 0.0, sun_low: float = 1.0, stranger_kw: float = 0.0
) -> Horizon:
    """One car at cp-1 that wants 20 kWh more within four hours; homes, sun, a guest at cp-2, if any."""
    boundaries = step_boundaries(START, 12.0)
    steps = len(boundaries) - 1
    people = People()
    departure = Departure(vehicle=AssetId("car-1"), at_utc=START + timedelta(hours=4), energy_kwh=50.0)
    people.wishes = {AssetId("car-1"): Wishes(asset=AssetId("car-1"), departure=departure)}
    facts = HorizonFacts(
        cars=[
            CarNow(
                vehicle=vehicle(1),
                charge_point=AssetId("cp-1"),
                node=F1,
                charge_kw_max=11.0,
                discharge_kw_max=0.0,
                energy_kwh=30.0,
                paused=False,
                charge_now=False,
            )
        ],
        batteries=[],
        base_kw={F1: np.full(steps, base_kw)} if base_kw else {},
        sun_kw={F1: np.full(steps, sun_kw)} if sun_kw else {},
        sun_low_share=sun_low,
        strangers_kw={AssetId("cp-2"): np.full(steps, stranger_kw)} if stranger_kw else {},
        import_price_eur_per_kwh=np.linspace(0.3, 0.1, steps),
        export_price_eur_per_kwh=np.full(steps, 0.05),
    )
    return build_horizon(START, boundaries, where, Settings(), people, facts)


def test_a_car_loads_the_phase_of_its_charger() -> None:
    """Through to the plan: 32 A on L1 is 7.36 kW less the margin, though the charger could 11."""
    made = horizon(behind_a_fuse(Phases.L1))
    plan = solve_quick(made.inputs)
    on_phases = phase_kw(made.inputs, plan, F1, side=1)
    assert on_phases.max() <= 7.36 * KEEP + 1e-5
    assert plan.charge_kw[AssetId("car-1")].max() == pytest.approx(7.36 * KEEP, abs=1e-2)
    assert plan.totals_kwh.departure == pytest.approx(0.0, abs=1e-5)


def test_chargers_alone_have_phases_too() -> None:
    """A yard without homes and roofs: the phase's rating holds all the same."""
    made = horizon(behind_a_fuse(Phases.L1), base_kw=0.0)
    assert not made.inputs.fixed
    assert not made.inputs.pv
    plan = solve_quick(made.inputs)
    assert plan.charge_kw[AssetId("car-1")].max() == pytest.approx(7.36 * KEEP, abs=1e-2)


def test_a_guest_on_its_phase_leaves_it_less() -> None:
    """3 kW at the next charger, which hangs on L1 as well; homes stay on L2."""
    where = behind_a_fuse(Phases.L1)
    assert where.charge_point_by_id[AssetId("cp-2")].node == F1
    plan = solve_quick(horizon(where, stranger_kw=3.0).inputs)
    assert plan.charge_kw[AssetId("car-1")].max() == pytest.approx(7.36 * KEEP - 3.0, abs=1e-2)


def test_homes_on_its_phase_leave_it_less() -> None:
    """The same with 2 kW of homes on L1."""
    made = horizon(behind_a_fuse(Phases.L1, homes=Phases.L1))
    plan = solve_quick(made.inputs)
    assert plan.charge_kw[AssetId("car-1")].max() == pytest.approx(7.36 * KEEP - 2.0, abs=1e-2)


def test_sun_that_may_not_come_leaves_no_room_on_a_phase() -> None:
    """3 kW of sun on three phases: of its share 0.5 kW may not come, and 1 kW is expected."""
    where = behind_a_fuse(Phases.L1)
    phases = horizon(where, sun_kw=3.0, sun_low=0.5).inputs.phases
    assert phases is not None
    assert phases.import_limit_kw[F1][:, 0].tolist() == pytest.approx([7.36 * KEEP - 0.5] * 3)
    assert phases.export_limit_kw[F1][:, 0].tolist() == pytest.approx([7.36 * KEEP] * 3)
    assert phases.share_of(AssetId("car-1")).known == (1.0, 0.0, 0.0)
    assert phases.share_of(AssetId(f"load:{F1}")).known == (0.0, 1.0, 0.0)
    assert phases.share_of(AssetId(f"sun:{F1}")) == EVENLY


def test_a_network_without_ratings_per_phase_has_none() -> None:
    """A contract and a transformer count three phases together."""
    base = site()
    nodes = tuple(
        replace(node, limits=(Limit(kind=LimitKind.CONTRACT, value=100.0),)) for node in base.network.nodes
    )
    assert horizon(replace(base, network=replace(base.network, nodes=nodes))).inputs.phases is None
