"""Reads a scenario: a built-in one by name, or a TOML file by path. All problems are reported at once."""

from __future__ import annotations

import dataclasses
import re
import tomllib
import types
import typing
from importlib import resources
from pathlib import Path
from typing import Any

from controller.domain.errors import InputProblemsError, Problem
from sim.scenarios.spec import ScenarioSpec

BUILT_IN = ("street", "lombok")
_SUM_TOLERANCE = 1e-9
"""0.3 + 0.7 need not be 1 in floating point."""
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


def load_scenario(name_or_path: str | Path) -> ScenarioSpec:
    """Reads a scenario.

    Args:
        name_or_path: `street`, `lombok` or the path of a TOML file.

    Raises:
        InputProblemsError: With every problem: place, rule, way out.
    """
    source, text = _text(name_or_path)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputProblemsError(
            source, [Problem(place="file", rule=f"is no TOML: {error}", way_out="see https://toml.io")]
        ) from error
    return parse_scenario(data, source)


def parse_scenario(data: dict[str, Any], source: str) -> ScenarioSpec:
    """Turns a parsed TOML document into a specification.

    Raises:
        InputProblemsError: With every problem: place, rule, way out.
    """
    problems: list[Problem] = []
    spec = _table(ScenarioSpec, data, "", problems)
    if spec is not None:
        problems += _contradictions(spec)
    if problems or spec is None:
        raise InputProblemsError(source, problems)
    return spec


def _text(name_or_path: str | Path) -> tuple[str, str]:
    if isinstance(name_or_path, str) and name_or_path in BUILT_IN:
        return name_or_path, (resources.files("sim.scenarios") / f"{name_or_path}.toml").read_text("utf-8")
    path = Path(name_or_path)
    try:
        return str(path), path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InputProblemsError(
            str(path),
            [
                Problem(
                    place="file",
                    rule=f"cannot be read: {why}",
                    way_out=f"give {', '.join(BUILT_IN)} or the path of a TOML file",
                )
            ],
        ) from error


def _table[T](kind: type[T], data: Any, place: str, problems: list[Problem]) -> T | None:
    """Reads one table into its dataclass; None where a value is missing or wrong."""
    if not isinstance(data, dict):
        problems.append(Problem(place=place, rule="is a table", way_out=f"write [{place}] and its values"))
        return None
    fields = {field.name: field for field in dataclasses.fields(typing.cast("Any", kind))}
    problems += [
        Problem(place=_join(place, name), rule="is not known here", way_out=f"known are {', '.join(fields)}")
        for name in sorted(data.keys() - fields.keys())
    ]
    before = len(problems)
    hints = typing.get_type_hints(kind)
    values: dict[str, Any] = {}
    for name, field in fields.items():
        where = _join(place, name)
        if name in data:
            values[name] = _value(hints[name], field, data[name], where, problems)
        elif field.default is dataclasses.MISSING:
            problems.append(Problem(place=where, rule="is missing", way_out=_what(field)))
    return kind(**values) if len(problems) == before else None


def _value(hint: Any, field: dataclasses.Field[Any], value: Any, where: str, problems: list[Problem]) -> Any:
    """Reads one value by the type that its field declares."""
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return _table(hint, value, where, problems)
    if typing.get_origin(hint) is tuple:
        inner = typing.get_args(hint)[0]
        if not isinstance(value, list):
            problems.append(Problem(place=where, rule="is a list", way_out=_what(field)))
            return None
        return tuple(_value(inner, field, item, f"{where}[{i}]", problems) for i, item in enumerate(value))
    if hint is str:
        if isinstance(value, str) and value and (field.name != "id" or _ID.fullmatch(value)):
            return value
        rule = "is small letters, digits and hyphens" if field.name == "id" else "is a text"
        problems.append(Problem(place=where, rule=rule, way_out=f"it is {value!r}"))
        return None
    return _checked_number(hint, field, value, where, problems)


def _checked_number(
    hint: Any, field: dataclasses.Field[Any], value: Any, where: str, problems: list[Problem]
) -> Any:
    allowed: type | types.UnionType = int if hint is int else int | float
    if isinstance(value, bool) or not isinstance(value, allowed):
        noun = "a whole number" if hint is int else "a number"
        problems.append(Problem(place=where, rule=f"is {noun}", way_out=_what(field)))
        return None
    low, high = field.metadata["low"], field.metadata["high"]
    if not low <= value <= high:
        problems.append(Problem(place=where, rule=f"lies in [{low:g}, {high:g}]", way_out=f"it is {value:g}"))
        return None
    return hint(value)


def _contradictions(spec: ScenarioSpec) -> list[Problem]:
    """What single values cannot show."""
    problems = []
    network = spec.network
    if spec.cars.count > spec.chargers.count:
        problems.append(
            Problem(
                place="cars.count",
                rule=f"{spec.cars.count} shared cars need a charger each, there are {spec.chargers.count}",
                way_out="raise chargers.count",
            )
        )
    older = spec.chargers.ocpp16_fraction + spec.chargers.ocpp201_fraction
    if older > 1.0 + _SUM_TOLERANCE:
        problems.append(
            Problem(
                place="chargers",
                rule=f"ocpp16_fraction and ocpp201_fraction are at most 1 together, not {older:g}",
                way_out="lower one of them; what is left speaks 2.1",
            )
        )
    for name, weights, count in (
        ("transformer_weights", network.transformer_weights, network.transformers),
        ("feeder_weights", network.feeder_weights, network.feeders_per_transformer),
    ):
        if weights and len(weights) != count:
            problems.append(
                Problem(place=f"network.{name}", rule=f"has a value for each of {count}, not {len(weights)}")
            )
    lengths = network.feeder_length_m
    if len(lengths) != 2 or lengths[0] > lengths[-1]:
        problems.append(
            Problem(place="network.feeder_length_m", rule="is the shortest and the longest, in this order")
        )
    if not spec.cars.capacity_kwh:
        problems.append(Problem(place="cars.capacity_kwh", rule="has at least one value"))
    if (spec.pv.roofs == 0) != (spec.pv.area_m2 == 0):
        problems.append(
            Problem(place="pv", rule="roofs and area_m2 are both 0 or both more", way_out="give both")
        )
    ids = [item.id for group in (spec.buildings, spec.batteries) for item in group]
    problems += [
        Problem(place=f"id {name}", rule="is there more than once", way_out="give each an id of its own")
        for name in sorted({i for i in ids if ids.count(i) > 1})
    ]
    return problems


def _what(field: dataclasses.Field[Any]) -> str:
    """What a field wants, in words."""
    if "low" in field.metadata:
        return f"a value in [{field.metadata['low']:g}, {field.metadata['high']:g}]"
    return f"give {field.name}"


def _join(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name
