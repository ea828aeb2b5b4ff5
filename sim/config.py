"""What a simulator process is told when it starts: a JSON file, read whole, every problem at once."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from controller.domain.errors import InputProblemsError, Problem
from controller.domain.time import parse_utc

_SPEED_MAX = 100_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SimConfig:
    """The settings of one simulator process. Fields with a default may be left out."""

    scenario: str
    """A built-in scenario's name, or the path of a TOML file."""
    seed: int
    start_utc: datetime
    speed: float
    """Domain seconds per machine second."""
    ocpp_url: str
    """Of the controller's endpoint: `ws://HOST:PORT/ocpp`."""
    api_url: str
    """Of the controller's web server: `http://HOST:PORT`."""
    fleet_token: str
    grid_token: str
    ready_file: Path
    """Where the ports are written once they are bound."""
    start_when_file: Path
    """The time begins when this file is there."""
    ocpp_authority_file: Path | None = None
    """For `wss`: the certificates (PEM) that the chargers trust."""
    ocpp_passwords_file: Path | None = None
    """The chargers' passwords, `charge-point-id = "password"` (TOML); None: they have none."""
    payments_key: str = ""
    """What a shop sends to the simulated payment provider; empty: there is none."""
    prices: Path | None = None
    weather: Path | None = None
    quarters: int | None = None
    """End after so many quarter-hours; None: never."""
    summary_file: Path | None = None
    """Where the simulator's part of the summary goes at the end."""
    step_s: float = 10.0
    """Length of a physical step, domain time [s]."""


def read_config(path: Path) -> SimConfig:
    """Reads a configuration file.

    Raises:
        InputProblemsError: With everything that is wrong in it.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputProblemsError(
            str(path), [Problem(place="file", rule=f"cannot be read: {error}")]
        ) from error
    if not isinstance(data, dict):
        raise InputProblemsError(str(path), [Problem(place="file", rule="is no JSON object")])
    problems: list[Problem] = []
    fields = {field.name: field for field in dataclasses.fields(SimConfig)}
    problems += [Problem(place=name, rule="is no setting") for name in data if name not in fields]
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name not in data or (data[name] is None and field.default is None):
            if field.default is dataclasses.MISSING:
                problems.append(Problem(place=name, rule="is missing"))
            continue
        try:
            values[name] = _value(str(field.type), data[name])
        except ValueError as error:
            problems.append(Problem(place=name, rule=str(error)))
    if problems:
        raise InputProblemsError(str(path), problems)
    return SimConfig(**values)


def read_passwords(path: Path) -> dict[str, str]:
    """The chargers' passwords by charge point id.

    Raises:
        InputProblemsError: If the file cannot be read or has something else in it.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputProblemsError(
            str(path), [Problem(place="file", rule=f"cannot be read: {error}")]
        ) from error
    wrong = [
        Problem(place=name, rule=f"must be {_WORDS['str']}, not {value!r}")
        for name, value in table.items()
        if not isinstance(value, str)
    ]
    if wrong:
        raise InputProblemsError(str(path), wrong)
    return table


def _value(kind: str, given: object) -> object:
    """One value of the kind that the field's annotation names.

    Raises:
        ValueError: With the rule that it breaks.
    """
    match kind.removesuffix(" | None"):
        case "str" if isinstance(given, str) and given:
            return given
        case "Path" if isinstance(given, str) and given:
            return Path(given)
        case "int" if isinstance(given, int) and not isinstance(given, bool) and given >= 0:
            return given
        case "float" if isinstance(given, int | float) and not isinstance(given, bool):
            if 0.0 < given <= _SPEED_MAX:
                return float(given)
            raise ValueError(f"must be above 0 and at most {_SPEED_MAX:g}, not {given}")
        case "datetime" if isinstance(given, str):
            return parse_utc(given)
    raise ValueError(f"must be {_WORDS[kind.removesuffix(' | None')]}, not {given!r}")


_WORDS = {
    "str": "a text",
    "Path": "a path",
    "int": "a whole number from 0 up",
    "float": "a number",
    "datetime": "an instant like 2024-01-15T00:00:00Z",
}
