"""Files that the command line reads whole and writes whole.

Whatever is wrong in a file is told at once, so reading collects problems and goes on. A result appears under
its name only when it is complete.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from controller.domain.errors import InputProblemsError, Problem, StartUpError

# Digits of 0 to 9 only, and no more than any bound needs: int() would take "1_000" and Arabic digits too.
INTEGER = re.compile(r"-?[0-9]{1,19}", re.ASCII)
"""A whole number in a file's text."""


@contextlib.contextmanager
def collecting(problems: list[Problem]) -> Iterator[None]:
    """Keeps the problems of one file, so that the others are read all the same."""
    try:
        yield
    except InputProblemsError as error:
        problems.extend(error.problems)


def read_text(path: Path) -> str:
    """The text of a file.

    Raises:
        InputProblemsError: If it cannot be read or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputProblemsError(
            str(path), [Problem(place=str(path), rule=f"cannot be read: {error}")]
        ) from error


def parse_json(text: str, source: str, problems: list[Problem]) -> Any:
    """The content of a JSON text, numbers with a fraction as `Decimal`.

    Args:
        text: The text.
        source: Names it in the problems.
        problems: Takes fields that are there twice in one object, of which JSON would keep the last.

    Raises:
        InputProblemsError: If it is no JSON.
    """
    try:
        return json.loads(
            text, parse_float=Decimal, parse_constant=Decimal, object_pairs_hook=_unique_fields(problems)
        )
    except (ValueError, RecursionError) as error:
        raise InputProblemsError(source, [Problem(place=source, rule=f"is no JSON: {error}")]) from error


def _unique_fields(problems: list[Problem]) -> Callable[[list[tuple[str, Any]]], dict[str, Any]]:
    """Builds JSON objects and notes fields that are there twice."""

    def build(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        problems.extend(
            Problem(place=name, rule="the field is there twice in one object")
            for name in sorted({name for name in names if names.count(name) > 1})
        )
        return dict(pairs)

    return build


def parse_csv(
    text: str, source: str, columns: Sequence[str], optional: Sequence[str] = ()
) -> tuple[list[str], Iterator[list[str]]]:
    """The header and, one by one, the rows of a CSV text; blank lines come as empty rows.

    Raises:
        InputProblemsError: If it is no CSV, which may show at any row, or columns are missing, unknown or
            there twice.
    """
    rows = _rows(text, source)
    names = [name.strip() for name in next(rows, [])]
    if problems := _header_problems(names, columns, (*columns, *optional)):
        raise InputProblemsError(source, problems)
    return names, rows


def _rows(text: str, source: str) -> Iterator[list[str]]:
    try:
        # By way of bytes: `StringIO` takes four bytes a character, and files have millions of rows.
        yield from csv.reader(io.TextIOWrapper(io.BytesIO(text.encode()), "utf-8", newline=""), strict=True)
    except csv.Error as error:
        raise InputProblemsError(source, [Problem(place=source, rule=f"is no CSV: {error}")]) from error


def _header_problems(names: Sequence[str], columns: Sequence[str], known: Sequence[str]) -> list[Problem]:
    problems = [
        Problem(place="header", rule=f"column {name!r} is missing") for name in columns if name not in names
    ]
    problems += [
        Problem(place="header", rule=f"unknown column {name!r}", way_out=f"columns are {', '.join(known)}")
        for name in names
        if name not in known
    ]
    twice = sorted({name for name in names if names.count(name) > 1})
    return problems + [Problem(place="header", rule=f"column {name!r} is there twice") for name in twice]


def write_text(path: Path, text: str) -> None:
    """Writes a file in one piece: whoever reads it sees the old one or the whole new one.

    What is no file (`/dev/stdout`, a named pipe) is written to; it must not be replaced by one. A new file is
    as readable as the user's umask lets it be; one that is replaced stays as it was.

    Raises:
        StartUpError: If it cannot be written.
    """
    try:
        if path.exists() and not path.is_file():
            path.write_text(text, encoding="utf-8")
            return
        path = path.resolve()
        mode = path.stat().st_mode if path.exists() else None
        draft = path.with_name(f".{secrets.token_hex(8)}.part")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                if mode is not None:
                    os.fchmod(file.fileno(), stat.S_IMODE(mode))
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise StartUpError(f"the result cannot be written to {path}: {error.strerror or error}") from error
