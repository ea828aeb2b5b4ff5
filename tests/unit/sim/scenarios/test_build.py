"""Expanded scenarios have the sizes that were asked for, and hold together."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import numpy as np
import pytest

from controller.domain.assets import LoadKind, Phases
from controller.domain.ids import ean
from controller.domain.network import NodeKind
from sim.scenarios import Scenario, build, load_scenario
from tests.support.sim import START, scenario


@pytest.fixture(scope="module")
def street() -> Scenario:
    """The default street."""
    return build(load_scenario("street"), seed=1, start=START)


@pytest.fixture(scope="module")
def lombok() -> Scenario:
    """The district."""
    return build(load_scenario("lombok"), seed=1, start=START)


def test_street_is_as_described(street: Scenario) -> None:
    """Two feeders of 200 A behind 400 kVA, 24 chargers on 12 poles, 24 cars, 80 homes, 10 roofs, 400 m2."""
    site = street.site
    kinds = Counter(node.kind for node in site.network.nodes)
    assert kinds == {NodeKind.TRANSFORMER: 1, NodeKind.FEEDER: 2, NodeKind.POLE: 12}
    limits = {node.kind: node.import_limit_kw() for node in site.network.nodes}
    assert limits[NodeKind.TRANSFORMER] == pytest.approx(380.0)
    assert limits[NodeKind.FEEDER] == pytest.approx(138.0)
    assert set(Counter(point.node for point in site.charge_points).values()) == {2}
    assert (len(site.charge_points), len(site.vehicles), len(site.pv)) == (24, 24, 10)
    assert sum(load.kind is LoadKind.HOME for load in site.loads) == 80
    assert sum(roof.area_m2 for roof in site.pv) == pytest.approx(400.0, abs=0.1)
    assert len(site.batteries) == 1
    assert int((street.loads.heat_pump_kw > 0).sum()) == 20


def test_lombok_is_as_described(lombok: Scenario) -> None:
    """71 nodes, 1000 chargers and cars, 2000 homes, 10,000 m2, and no two transformers alike."""
    site = lombok.site
    assert len(site.network.nodes) == 71
    assert (len(site.charge_points), len(site.vehicles)) == (1000, 1000)
    assert sum(load.kind is LoadKind.HOME for load in site.loads) == 2000
    assert sum(load.kind is LoadKind.PUBLIC_BUILDING for load in site.loads) >= 3
    assert sum(roof.area_m2 for roof in site.pv) == pytest.approx(10_000.0, abs=2.0)
    assert 1500.0 < sum(roof.rated_kw for roof in site.pv) <= 2000.0
    per_transformer = Counter(site.network.by_id[load.node].parent for load in site.loads)
    assert max(per_transformer.values()) > 2 * min(per_transformer.values())


def test_ids_and_eans_are_unique_and_valid(lombok: Scenario) -> None:
    """Every asset has an id and an allocation point of its own, and a member that exists."""
    site = lombok.site
    groups = (site.charge_points, site.pv, site.batteries, site.loads)
    assets = [asset for group in groups for asset in group]
    ids = [asset.id for asset in assets] + [car.id for car in site.vehicles]
    assert len(set(ids)) == len(ids)
    eans = [asset.ean for asset in assets]
    assert len(set(eans)) == len(eans)
    assert all(ean(code) == code for code in eans)
    members = {member.id for member in site.members}
    assert {asset.member for asset in assets} | {car.member for car in site.vehicles} <= members


def test_site_does_not_know_every_phase(street: Scenario) -> None:
    """Some homes are on a phase nobody knows; the truth has one for each, and shares sum to 1."""
    kinds = Counter(load.phases for load in street.site.loads)
    assert kinds[Phases.UNKNOWN] > 5
    assert kinds[Phases.THREE] > 5
    assert min(kinds[phase] for phase in (Phases.L1, Phases.L2, Phases.L3)) > 3
    assert street.loads.phase_share.sum(axis=1) == pytest.approx(np.ones(len(street.site.loads)))


def test_seed_decides_the_lot() -> None:
    """The same seed builds the same, another one something else."""
    assert scenario(seed=5).site.vehicles == scenario(seed=5).site.vehicles
    assert scenario(seed=5).site.pv != scenario(seed=6).site.pv


@pytest.mark.parametrize("start", [datetime(2024, 1, 1, 0, 7, tzinfo=UTC), datetime(2024, 1, 1)])  # noqa: DTZ001  # no zone is the point
def test_start_is_a_quarter_hour_with_a_zone(start: datetime) -> None:
    """Anything else is refused."""
    with pytest.raises(ValueError, match="quarter-hour"):
        scenario(start=start)
