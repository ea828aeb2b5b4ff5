"""Scenario files: the built-in ones, and all that is wrong with a file at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.domain.errors import InputProblemsError
from sim.scenarios import BUILT_IN, load_scenario
from sim.scenarios.load import parse_scenario
from tests.support.sim import corner


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_scenarios_are_right(name: str) -> None:
    """They load by name."""
    assert load_scenario(name).name == name


def test_all_problems_are_reported_at_once() -> None:
    """Unknown, missing, wrong kind, out of bounds: each with its place and rule."""
    document = corner(
        network__transformer_kva="big",
        network__feeder_a=-5,
        chargers__count=2.5,
        cars__colour="blue",
        homes__heat_pump_fraction=1.5,
    )
    del document["homes"]["count"]
    document["batteries"].append({"id": "Battery 2", "capacity_kwh": 10.0, "power_kw": 0})
    document["wind"] = {}
    with pytest.raises(InputProblemsError) as caught:
        parse_scenario(document, "x.toml")
    places = {problem.place for problem in caught.value.problems}
    assert places == {
        "network.transformer_kva",
        "network.feeder_a",
        "chargers.count",
        "cars.colour",
        "homes.heat_pump_fraction",
        "homes.count",
        "batteries[1].id",
        "batteries[1].power_kw",
        "wind",
    }
    assert all(problem.rule for problem in caught.value.problems)


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"cars__count": 5}, "cars.count"),
        ({"network__feeder_weights": [1.0]}, "network.feeder_weights"),
        ({"network__transformer_weights": [1.0, 2.0]}, "network.transformer_weights"),
        ({"network__feeder_length_m": [300.0, 200.0]}, "network.feeder_length_m"),
        ({"cars__capacity_kwh": []}, "cars.capacity_kwh"),
        ({"pv__area_m2": 0}, "pv"),
        ({"homes__yearly_kwh": float("nan")}, "homes.yearly_kwh"),
        ({"homes__count": True}, "homes.count"),
        ({"network": 3}, "network"),
        ({"buildings": {"id": "x"}}, "buildings"),
        ({"name": 7}, "name"),
        (
            {"batteries": [{"id": "school-1", "capacity_kwh": 10.0, "power_kw": 5.0}]},
            "id school-1",
        ),
    ],
)
def test_contradictions_are_refused(changes: dict[str, object], place: str) -> None:
    """What single values cannot show is found too."""
    with pytest.raises(InputProblemsError) as caught:
        parse_scenario(corner(**changes), "x.toml")
    assert [problem.place for problem in caught.value.problems] == [place]


def test_missing_file_names_the_built_in_ones(tmp_path: Path) -> None:
    """The way out tells what may be given."""
    with pytest.raises(InputProblemsError) as caught:
        load_scenario(tmp_path / "nowhere.toml")
    assert "street, lombok" in str(caught.value)


def test_broken_toml_tells_the_line(tmp_path: Path) -> None:
    """The parser's own place is passed on."""
    path = tmp_path / "broken.toml"
    path.write_text('name = "x"\n[network\n', encoding="utf-8")
    with pytest.raises(InputProblemsError, match="line 2"):
        load_scenario(path)
