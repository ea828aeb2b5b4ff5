"""Mixed and faulty chargers of a scenario: the shares that were asked for, and nothing else moved."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from controller.domain.errors import InputProblemsError
from sim.chargers.client import DIALECTS
from sim.chargers.faults import Fault
from sim.scenarios import load_scenario
from sim.scenarios.build_chargers import build_chargers
from sim.scenarios.spec import ChargersSpec, FaultsSpec
from tests.support.sim import scenario


def test_shares_are_exact() -> None:
    """A fifth speaks 1.6, three tenths 2.0.1; a fifth ignores its profiles."""
    spec = ChargersSpec(
        count=100, ocpp16_fraction=0.2, ocpp201_fraction=0.3, faults=FaultsSpec(ignores_profiles=0.2)
    )
    chargers = build_chargers(spec, seed=1)
    versions = Counter(charger.version for charger in chargers)
    assert versions == {"ocpp1.6": 20, "ocpp2.0.1": 30, "ocpp2.1": 50}
    assert versions.keys() == DIALECTS.keys()
    faults = Counter(fault for charger in chargers for fault in charger.faults)
    assert faults == {Fault.IGNORES_PROFILES: 20}
    assert build_chargers(spec, seed=1) == chargers
    assert build_chargers(spec, seed=2) != chargers


def test_every_fault_has_its_share() -> None:
    """A fault that no scenario could name would never be seen."""
    assert {field.name for field in fields(FaultsSpec)} == set(Fault)


def test_older_chargers_are_one_way_and_change_nothing_else() -> None:
    """The same neighbourhood with 1.6 in it: same nodes, same cars, less discharge."""
    plain, mixed = scenario(), scenario(chargers__ocpp16_fraction=0.5)
    assert [point.node for point in mixed.site.charge_points] == [
        point.node for point in plain.site.charge_points
    ]
    assert mixed.site.vehicles == plain.site.vehicles
    assert np.array_equal(mixed.cars.initial_soc, plain.cars.initial_soc)
    one_way = [point.discharge_kw_max == 0.0 for point in mixed.site.charge_points]
    assert one_way == [truth.version == "ocpp1.6" for truth in mixed.chargers]
    assert sum(one_way) == 2
    assert all(point.discharge_kw_max > 0 for point in plain.site.charge_points)


def test_more_than_all_is_a_problem() -> None:
    """Shares beyond 1 are said with their place."""
    with pytest.raises(InputProblemsError, match="ocpp16_fraction"):
        scenario(chargers__ocpp16_fraction=0.7, chargers__ocpp201_fraction=0.4)


def test_example_of_a_mixed_street_is_the_street_with_other_chargers() -> None:
    """The file in the examples can be read, and differs from the street in its chargers alone."""
    example = load_scenario(Path(__file__).parents[4] / "deploy" / "examples" / "mixed-street.toml")
    street = load_scenario("street")
    assert replace(example, name=street.name, chargers=street.chargers) == street
    chargers = build_chargers(example.chargers, seed=1)
    assert {charger.version for charger in chargers} == set(DIALECTS)
    assert len({fault for charger in chargers for fault in charger.faults}) == 11
