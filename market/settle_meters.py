"""Reads the registers of a settlement from a CSV, as many as a community has in a month: millions.

The rows are looked at one by one, so that every problem can be named by its row, and kept in arrays by meter;
nothing else is kept of them. Whoever waits is told how far it is.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

import numpy as np

from controller.domain.errors import InputProblemsError, Problem
from controller.domain.time import QUARTER, parse_utc
from controller.domain.units import IntArray
from market.estimates import UNKNOWN
from market.files import INTEGER, parse_csv
from market.settle_rules import MeteredPoint, SettleRules

COLUMNS = ("meter", "at_utc", "import_wh", "export_wh")
TELL_EVERY = 500_000
"""After how many rows it is told how far it is."""
_REGISTER_MAX = 10**15
_PLAIN_DIGITS = 15
"""A number of at most so many digits is certainly no more than the largest register."""


def untold(line: str) -> None:
    """Progress that nobody wants to hear of."""
    del line


def parse_meters(
    text: str, source: str, rules: SettleRules | None, tell: Callable[[str], None] = untold
) -> Mapping[str, tuple[IntArray, IntArray]]:
    """Reads a meters file; `source` names it in the problems.

    Args:
        text: The CSV.
        source: Its name.
        rules: Whose meters are read; None: only the form is checked.
        tell: Takes a line of progress.

    Returns:
        By meter the two registers at each quarter-hour's bound, shape (T + 1,) each, `UNKNOWN` where there
        is no reading. Readings outside the time that is settled are left out.

    Raises:
        InputProblemsError: With every problem.
    """
    names, rows = parse_csv(text, source, COLUMNS)
    places = [names.index(name) for name in COLUMNS]
    problems: list[Problem] = []
    starts = rules.starts if rules is not None else ()
    meters = _meters_of(rules.points) if rules is not None else None
    size = len(starts) + 1
    found = {name: (_unknown(size), _unknown(size)) for name in meters or ()}
    known_times: dict[str, int | None] = {}
    number = -1
    for number, cells in enumerate(rows):
        if number % TELL_EVERY == TELL_EVERY - 1:
            tell(f"{number + 1:,} readings")
        if not cells:
            continue
        if len(cells) != len(names):
            rule = f"has {len(cells)} values for {len(names)} columns"
            problems.append(Problem(place=f"meters[{number}]", rule=rule))
            continue
        meter, at_text, taken, fed = [cells[i].strip() for i in places]
        series = found.get(meter)
        if series is None and meters is not None:
            rule = f"{meter!r} is no meter of the rules file"
            problems.append(Problem(place=f"meters[{number}].meter", rule=rule))
        if at_text not in known_times:
            known_times[at_text] = _position(at_text, starts, problems, f"meters[{number}].at_utc")
        at = known_times[at_text]
        import_wh = _register(taken, problems, number, "import_wh")
        export_wh = _register(fed, problems, number, "export_wh")
        if at is None or series is None or not 0 <= at < size:
            continue
        if series[0][at] != UNKNOWN:
            rule = f"meter {meter} has another reading of {at_text}"
            problems.append(Problem(place=f"meters[{number}]", rule=rule))
        series[0][at], series[1][at] = import_wh, export_wh
    if problems:
        raise InputProblemsError(source, problems)
    if number >= TELL_EVERY:
        tell(f"{number + 1:,} readings of {len(found):,} meters")
    return {
        name: (np.array(taken, dtype=np.int64), np.array(fed, dtype=np.int64))
        for name, (taken, fed) in found.items()
    }


def _unknown(size: int) -> array[int]:
    return array("q", [UNKNOWN]) * size


def _meters_of(points: Iterable[MeteredPoint]) -> set[str]:
    own = {str(point.point.ean) for point in points}
    return own | {point.store.meter for point in points if point.store is not None}


def _position(text: str, starts: Sequence[datetime], problems: list[Problem], place: str) -> int | None:
    """Which bound of a quarter-hour an instant is; None where it is none, which is a problem."""
    try:
        at = parse_utc(text)
    except ValueError:
        problems.append(
            Problem(place=place, rule=f"must be an instant like 2024-06-01T00:15Z, not {text!r:.40}")
        )
        return None
    if at.timestamp() % QUARTER.total_seconds():
        problems.append(Problem(place=place, rule=f"must be the start of a quarter-hour, not {text}"))
        return None
    return (at - starts[0]) // QUARTER if starts else None


def _register(text: str, problems: list[Problem], number: int, column: str) -> int:
    if len(text) <= _PLAIN_DIGITS and text.isascii() and text.isdigit():
        return int(text)
    if INTEGER.fullmatch(text) and 0 <= int(text) <= _REGISTER_MAX:
        return int(text)
    rule = f"must be a whole number from 0 to {_REGISTER_MAX}, not {text!r:.40}"
    problems.append(Problem(place=f"meters[{number}].{column}", rule=rule))
    return UNKNOWN
