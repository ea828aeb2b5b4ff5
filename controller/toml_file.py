"""TOML files as frozen dataclasses: read with every problem at once, and written back.

Names that a format does not have are found by the dataclasses' own types, at any depth; types and values are
pydantic's business. What does not fit together is left to whoever knows the format.
"""

from __future__ import annotations

import dataclasses
import tomllib
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from controller.domain.errors import InputProblemsError, Problem


def read_table(path: Path) -> dict[str, Any]:
    """The file as it stands.

    Raises:
        InputProblemsError: If it cannot be read or is no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputProblemsError(
            str(path), [Problem(place="file", rule=f"cannot be read: {error}")]
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputProblemsError(str(path), [Problem(place="file", rule=f"is no TOML: {error}")]) from error


def parse[T](adapter: TypeAdapter[T], table: Mapping[str, Any]) -> T | list[Problem]:
    """The value of a table, or everything that is wrong with its types."""
    try:
        return adapter.validate_python(table)
    except ValidationError as error:
        return [
            Problem(place=_path(detail["loc"]), rule=detail["msg"], way_out=_got(detail["input"]))
            for detail in error.errors()
        ]


def unknown_names(table: Mapping[str, Any], kind: type, prefix: str = "") -> Iterator[Problem]:
    """Names that a format does not have.

    Args:
        table: As read.
        kind: The dataclass that the table becomes.
        prefix: Where the table stands, with the point or bracket behind it.
    """
    hints = typing.get_type_hints(kind)
    known = {field.name for field in dataclasses.fields(kind)}
    for name, value in table.items():
        if name not in known:
            yield Problem(
                place=f"{prefix}{name}",
                rule="is no name of this format",
                way_out=f"known: {', '.join(sorted(known))}",
            )
            continue
        inner = _inner(hints[name])
        if inner is None:
            continue
        if isinstance(value, dict):
            yield from unknown_names(value, inner, f"{prefix}{name}.")
        elif isinstance(value, list):
            for i, row in enumerate(value):
                if isinstance(row, dict):
                    yield from unknown_names(row, inner, f"{prefix}{name}[{i}].")


def _inner(hint: Any) -> type | None:
    """The dataclass in a field's type: itself, `tuple[X, ...]` or `X | None`; None: there is none."""
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return hint
    if typing.get_origin(hint) in {tuple, typing.Union, types.UnionType}:
        found = (_inner(part) for part in typing.get_args(hint))
        return next((part for part in found if part is not None), None)
    return None


def plain(value: object) -> Any:
    """Dataclasses as TOML tables: fields that are None are left out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: plain(inner)
            for field in dataclasses.fields(value)
            if (inner := getattr(value, field.name)) is not None
        }
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, tuple | list):
        return [plain(inner) for inner in value]
    return value


def _path(parts: tuple[int | str, ...]) -> str:
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "file"


def _got(value: object) -> str:
    text = repr(value)
    return f"got {text if len(text) < 60 else text[:57] + '...'}"
