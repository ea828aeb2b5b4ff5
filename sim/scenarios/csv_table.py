"""Reads a CSV of numbers by UTC start, plain or gzipped, and reports everything that is wrong with it."""

from __future__ import annotations

import csv
import gzip
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from controller.domain.errors import InputProblemsError, Problem
from controller.domain.time import parse_utc

TIME_COLUMN = "start_utc"
_PROBLEMS_SHOWN = 20
_EMPTY = frozenset({"nan", "na", "null", "none"})
"""How tools write an empty cell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line."""

    line: int
    """In the file, the header is 1."""
    at: datetime
    values: dict[str, float | None]
    """By column; None where the cell is empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A file's content."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def read_table(
    path: Path,
    *,
    required: tuple[str, ...] = (),
    any_of: tuple[str, ...] = (),
    hint: Callable[[tuple[str, ...]], str] | None = None,
) -> Table:
    """Reads a table.

    Args:
        path: The file; gzipped where its name ends in `.gz`.
        required: Columns that have to be there.
        any_of: Columns of which at least one has to be there; only these and the required are read.
        hint: A way out for a missing column, from the columns that are there.

    Raises:
        InputProblemsError: If the file cannot be read, lacks a column or has cells that are no numbers.
    """
    lines = _lines(path)
    header = tuple(lines[0]) if lines else ()
    problems = _header_problems(header, required, any_of, hint)
    if problems:
        raise InputProblemsError(str(path), problems)
    wanted = [name for name in (*required, *any_of) if name in header]
    rows: list[Row] = []
    for number, cells in enumerate(lines[1:], start=2):
        if cells:
            row = _row(number, dict(zip(header, cells, strict=False)), wanted, problems)
            if row is not None:
                rows.append(row)
    if problems:
        raise InputProblemsError(str(path), problems[:_PROBLEMS_SHOWN])
    return Table(columns=header, rows=tuple(rows))


def _lines(path: Path) -> list[list[str]]:
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8-sig")
    except (OSError, EOFError, zlib.error) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InputProblemsError(
            str(path),
            [Problem(place="file", rule=f"cannot be read: {why}", way_out="check the path and the format")],
        ) from error
    except UnicodeDecodeError as error:
        raise InputProblemsError(
            str(path), [Problem(place="file", rule="is not UTF-8 text", way_out="save it as a UTF-8 CSV")]
        ) from error
    return list(csv.reader(text.splitlines()))


def _header_problems(
    header: tuple[str, ...],
    required: tuple[str, ...],
    any_of: tuple[str, ...],
    hint: Callable[[tuple[str, ...]], str] | None,
) -> list[Problem]:
    problems = []
    has = ", ".join(header[:12]) or "nothing"
    for name in (TIME_COLUMN, *required):
        if name not in header:
            way_out = hint(header) if hint and name != TIME_COLUMN else f"name it {name}"
            problems.append(
                Problem(place="header", rule=f"column {name} is missing, it has {has}", way_out=way_out)
            )
    if any_of and not set(any_of) & set(header):
        problems.append(
            Problem(place="header", rule=f"one of {', '.join(any_of)} has to be there, it has {has}")
        )
    return problems


def _row(number: int, cells: dict[str, str], wanted: list[str], problems: list[Problem]) -> Row | None:
    try:
        at = parse_utc(cells.get(TIME_COLUMN, ""))
    except ValueError as error:
        problems.append(
            Problem(
                place=f"line {number}, {TIME_COLUMN}",
                rule=f"is no instant: {error}",
                way_out="write 2024-01-15T17:00Z",
            )
        )
        return None
    values: dict[str, float | None] = {}
    for name in wanted:
        text = cells.get(name, "").strip()
        text = "" if text.lower() in _EMPTY else text
        value = _number(text)
        if text and value is None:
            problems.append(
                Problem(place=f"line {number}, {name}", rule=f"{text!r} is no number", way_out="use a point")
            )
        values[name] = value
    return Row(line=number, at=at.astimezone(UTC), values=values)


def _number(text: str) -> float | None:
    """A finite number, None for anything else."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
