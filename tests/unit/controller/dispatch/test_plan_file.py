"""Problem files are read whole or refused with every problem; plan files are written whole or not at all."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controller.dispatch.plan_file import read_problem, run_plan
from controller.domain.errors import InputProblemsError

STORE: dict[str, Any] = {
    "node": "feeder-1",
    "min_kwh": 6,
    "initial_kwh": 30,
    "final_min_kwh": 30,
    "charge_kw_max": 11,
    "discharge_kw_max": 11,
    "efficiency_charge": 0.93,
    "efficiency_discharge": 0.93,
    "wear_eur_per_kwh_discharged": 0.03,
}
SOUND: dict[str, Any] = {
    "start_utc": "2024-06-03T22:00Z",
    "step_minutes": 15,
    "steps": 8,
    "import_price_eur_per_kwh": [0.1, 0.1, 0.3, 0.3, 0.1, 0.1, 0.3, 0.3],
    "export_price_eur_per_kwh": 0.06,
    "nodes": [
        {"id": "transformer-1", "parent": None, "import_limit_kw": 400, "export_limit_kw": 400},
        {"id": "feeder-1", "parent": "transformer-1", "import_limit_kw": 120, "export_limit_kw": 120},
    ],
    "fixed": [{"id": "homes-1", "node": "feeder-1", "power_kw": 12.5}],
    "pv": [{"id": "roof-1", "node": "feeder-1", "available_kw": 8.0, "curtailable": True}],
    "batteries": [{**STORE, "id": "bat-1", "capacity_kwh": 100}],
    "vehicles": [
        {
            **STORE,
            "id": "car-1",
            "capacity_kwh": 60,
            "standby_kw": 0.01,
            "stays": [
                {"from_step": 0, "to_step": 3, "departure_min_kwh": 31},
                {"from_step": 5, "to_step": 8},
            ],
            "trips": [{"step": 4, "energy_kwh": 2}],
        }
    ],
}


def _file(tmp_path: Path, content: object) -> Path:
    path = tmp_path / "problem.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def _places(path: Path) -> set[str]:
    with pytest.raises(InputProblemsError) as caught:
        read_problem(path)
    return {problem.place for problem in caught.value.problems}


def test_a_plan_has_every_field_of_the_contract(tmp_path: Path) -> None:
    """The written plan has the fields, ids and lengths that formats.md lays down."""
    out = tmp_path / "plan.json"
    run_plan(_file(tmp_path, SOUND), out)
    plan = json.loads(out.read_text(encoding="utf-8"))
    assert set(plan) == {
        *("status", "cost_eur", "lower_bound_eur", "build_s", "solve_s", "power_kw", "energy_kwh"),
        *("node_power_kw", "node_price_eur_per_kwh", "totals_kwh", "shortfalls", "violations"),
    }
    assert plan["status"] == "optimal"
    assert {name: len(values) for name, values in plan["power_kw"].items()} == {
        "bat-1": 8,
        "car-1": 8,
        "roof-1": 8,
    }
    assert {name: len(values) for name, values in plan["energy_kwh"].items()} == {"bat-1": 9, "car-1": 9}
    assert set(plan["node_power_kw"]) == set(plan["node_price_eur_per_kwh"]) == {"transformer-1", "feeder-1"}
    assert plan["totals_kwh"] == {"excess": 0.0, "departure": 0.0, "final": 0.0, "minimum": 0.0}
    assert plan["energy_kwh"]["car-1"][3] >= 31 - 1e-6
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".tmp"] == []


def test_shortfalls_and_violations_are_written_with_their_causes(tmp_path: Path) -> None:
    """An impossible departure and a load over the limit: a plan all the same, each with its words."""
    content = copy.deepcopy(SOUND)
    content["fixed"][0]["power_kw"] = 200
    content["vehicles"][0]["stays"][0]["departure_min_kwh"] = 60
    out = tmp_path / "plan.json"
    run_plan(_file(tmp_path, content), out)
    plan = json.loads(out.read_text(encoding="utf-8"))
    departure = next(s for s in plan["shortfalls"] if s["kind"] == "departure")
    assert (departure["asset"], departure["step"]) == ("car-1", 3)
    assert departure["because"]
    assert plan["violations"][0]["because"] == "homes-1 alone is over the limit"
    assert plan["totals_kwh"]["excess"] > 0.0


def _change(path: str, value: object) -> Callable[[dict[str, Any]], None]:
    """Sets a value at a path such as `vehicles.0.stays.1.from_step`."""

    def apply(content: dict[str, Any]) -> None:
        *above, last = [int(part) if part.isdigit() else part for part in path.split(".")]
        place: Any = content
        for part in above:
            place = place[part]
        place[last] = value

    return apply


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (_change("start_utc", "yesterday"), "start_utc"),
        (_change("start_utc", "2024-06-03T22:00"), "start_utc"),
        (_change("steps", 0), "steps"),
        (_change("steps", 8.5), "steps"),
        (_change("steps", True), "steps"),
        (_change("step_minutes", 0), "step_minutes"),
        (_change("import_price_eur_per_kwh", [0.1]), "import_price_eur_per_kwh"),
        (_change("import_price_eur_per_kwh.2", float("nan")), "import_price_eur_per_kwh[2]"),
        (_change("import_price_eur_per_kwh.2", "0.1"), "import_price_eur_per_kwh[2]"),
        (_change("export_price_eur_per_kwh", 0.2), "export_price_eur_per_kwh"),
        (_change("surprise", 1), "surprise"),
        (_change("nodes", []), "nodes"),
        (_change("nodes", {}), "nodes"),
        (_change("nodes.0.parent", "feeder-1"), "nodes[0].parent"),
        (_change("nodes.1.parent", "nowhere"), "nodes[1].parent"),
        (_change("nodes.0.id", "feeder-1"), "nodes[1].id"),
        (_change("nodes.1.import_limit_kw", -1), "nodes[1].import_limit_kw"),
        (_change("nodes.1.colour", "red"), "nodes[1].colour"),
        (_change("fixed.0.node", "nowhere"), "fixed[0].node"),
        (_change("fixed.0.power_kw", None), "fixed[0].power_kw"),
        (_change("fixed.0.power_kw", 10**400), "fixed[0].power_kw"),
        (_change("fixed.0.id", "car-1"), "fixed[0].id"),
        (_change("fixed.0", 3), "fixed[0]"),
        (_change("pv.0.available_kw", -2), "pv[0].available_kw"),
        (_change("pv.0.curtailable", "yes"), "pv[0].curtailable"),
        (_change("batteries.0.capacity_kwh", -5), "batteries[0].capacity_kwh"),
        (_change("batteries.0.initial_kwh", 101), "batteries[0].initial_kwh"),
        (_change("batteries.0.efficiency_charge", 0), "batteries[0].efficiency_charge"),
        (_change("batteries.0.efficiency_discharge", 1.1), "batteries[0].efficiency_discharge"),
        (_change("batteries.0.stays", []), "batteries[0].stays"),
        (_change("vehicles.0.charge_kw_max", -11), "vehicles[0].charge_kw_max"),
        (_change("vehicles.0.standby_kw", -1), "vehicles[0].standby_kw"),
        (_change("vehicles.0.stays.0.to_step", 9), "vehicles[0].stays[0].to_step"),
        (_change("vehicles.0.stays.0.to_step", 0), "vehicles[0].stays[0].to_step"),
        (_change("vehicles.0.stays.0.departure_min_kwh", 61), "vehicles[0].stays[0].departure_min_kwh"),
        (_change("vehicles.0.stays.1.from_step", 2), "vehicles[0].stays[1].from_step"),
        (_change("vehicles.0.trips.0.step", 1), "vehicles[0].trips[0].step"),
        (_change("vehicles.0.trips.0.energy_kwh", -1), "vehicles[0].trips[0].energy_kwh"),
    ],
)
def test_each_mistake_is_named_by_its_path_and_nothing_else_is(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], place: str
) -> None:
    """One mistake, one place (a double id or a cycle has two)."""
    content = copy.deepcopy(SOUND)
    change(content)
    places = _places(_file(tmp_path, content))
    assert place in places
    assert len(places) <= 2


def test_prices_are_compared_where_both_are_prices(tmp_path: Path) -> None:
    """One list too short: it alone. One entry wrong: it, and another step where selling is dearer."""
    content = copy.deepcopy(SOUND)
    content["export_price_eur_per_kwh"] = [0.06] * 8
    content["import_price_eur_per_kwh"] = [0.1] * 7
    assert _places(_file(tmp_path, content)) == {"import_price_eur_per_kwh"}
    content["import_price_eur_per_kwh"] = ["0.1", 0.05, *[0.1] * 6]
    assert _places(_file(tmp_path, content)) == {"export_price_eur_per_kwh[1]", "import_price_eur_per_kwh[0]"}


def test_every_mistake_of_a_file_is_reported_at_once(tmp_path: Path) -> None:
    """A missing field, an unknown one, NaN and contradictory stays: all four, and nothing is written."""
    content = copy.deepcopy(SOUND)
    del content["batteries"][0]["capacity_kwh"]
    content["vehicles"][0]["color"] = "red"
    content["vehicles"][0]["stays"][1]["from_step"] = 1
    content["pv"][0]["available_kw"] = float("nan")
    out = tmp_path / "plan.json"
    with pytest.raises(InputProblemsError) as caught:
        run_plan(_file(tmp_path, content), out)
    assert {problem.place for problem in caught.value.problems} >= {
        "batteries[0].capacity_kwh",
        "vehicles[0].color",
        "vehicles[0].stays[1].from_step",
        "pv[0].available_kw",
    }
    assert not out.exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '"text"', "null", '{"steps": 1, "steps": 2}'])
def test_what_is_no_problem_file_is_refused(tmp_path: Path, text: str) -> None:
    """Broken JSON, other JSON and a field given twice."""
    assert _places(_file(tmp_path, text))


def test_a_missing_file_is_one_clear_problem(tmp_path: Path) -> None:
    """No traceback for a wrong name."""
    assert _places(tmp_path / "nothing.json") == {"file"}


def test_a_plan_that_cannot_be_written_is_one_clear_problem(tmp_path: Path) -> None:
    """A folder that is not there."""
    with pytest.raises(InputProblemsError, match="cannot be written"):
        run_plan(_file(tmp_path, SOUND), tmp_path / "nowhere" / "plan.json")


def test_a_plan_goes_through_links_and_into_pipes_and_replaces_neither(tmp_path: Path) -> None:
    """Whoever writes to /dev/stdout still has a /dev/stdout after it."""
    problem, plan = _file(tmp_path, SOUND), tmp_path / "plan.json"
    plan.write_text("an older one", encoding="utf-8")
    link, pipe = tmp_path / "link.json", tmp_path / "pipe"
    link.symlink_to(plan)
    run_plan(problem, link)
    assert link.is_symlink()
    assert json.loads(plan.read_text(encoding="utf-8"))["status"] == "optimal"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        run_plan(problem, pipe)
        assert pipe.is_fifo()
        assert json.loads(os.read(reader, 1 << 20))["status"] == "optimal"
    finally:
        os.close(reader)
