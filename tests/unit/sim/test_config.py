"""The simulator's settings: read whole, with every problem at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from controller.domain.errors import InputProblemsError
from sim.config import read_config, read_passwords
from tests.support.devices import START

_GOOD: dict[str, Any] = {
    "scenario": "street",
    "seed": 1,
    "start_utc": "2024-01-15T16:00:00Z",
    "speed": 600,
    "ocpp_url": "ws://127.0.0.1:1/ocpp",
    "api_url": "http://127.0.0.1:2",
    "fleet_token": "f",
    "grid_token": "g",
    "ready_file": "ready.json",
    "start_when_file": "start",
    "prices": None,
    "quarters": 4,
}


def _written(folder: Path, content: object) -> Path:
    path = folder / "sim.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_good_settings_are_read(tmp_path: Path) -> None:
    """Texts become paths and instants; what may be left out has its default."""
    config = read_config(_written(tmp_path, _GOOD))
    assert (config.start_utc, config.speed, config.quarters) == (START, 600.0, 4)
    assert (config.prices, config.summary_file, config.step_s) == (None, None, 10.0)
    assert config.ready_file == Path("ready.json")


def test_passwords_are_texts(tmp_path: Path) -> None:
    """A table of texts is read; anything else is told with its place."""
    path = tmp_path / "passwords.toml"
    path.write_text('cp-1 = "secret"\ncp-2 = "other"\n', encoding="utf-8")
    assert read_passwords(path) == {"cp-1": "secret", "cp-2": "other"}
    path.write_text("cp-1 = 12\n[cp-2]\n", encoding="utf-8")
    with pytest.raises(InputProblemsError) as error:
        read_passwords(path)
    assert {problem.place for problem in error.value.problems} == {"cp-1", "cp-2"}
    with pytest.raises(InputProblemsError):
        read_passwords(tmp_path / "absent.toml")


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    """Unknown, missing and wrong settings in one go."""
    bad = {**_GOOD, "speed": 0, "seed": "one", "start_utc": "today", "quarters": -1, "colour": "red"}
    del bad["grid_token"]
    with pytest.raises(InputProblemsError) as error:
        read_config(_written(tmp_path, bad))
    assert {problem.place for problem in error.value.problems} == {
        "speed",
        "seed",
        "start_utc",
        "quarters",
        "colour",
        "grid_token",
    }


@pytest.mark.parametrize("content", ["[]", "{", ""])
def test_file_that_is_no_object_is_one_problem(tmp_path: Path, content: str) -> None:
    """No JSON, or not an object."""
    path = tmp_path / "sim.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputProblemsError):
        read_config(path)
    with pytest.raises(InputProblemsError, match="cannot be read"):
        read_config(tmp_path / "nowhere.json")
