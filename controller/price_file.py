"""The day-ahead price file: `start_utc,price_eur_per_mwh`, one row an hour or a quarter-hour."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

from controller.domain.errors import InputProblemsError, Problem
from controller.domain.time import parse_utc, utc_text

COLUMNS = ("start_utc", "price_eur_per_mwh")
EUR_PER_MWH_MAX = 5000.0
"""The harmonised maximum clearing price of the European day-ahead market, rounded up."""
KWH_PER_MWH = 1000.0
PROBLEMS_SHOWN = 20


def read_price_file(path: Path) -> dict[datetime, float]:
    """Reads a price file.

    Returns:
        Prices [EUR/kWh] by the start of their interval, UTC.

    Raises:
        InputProblemsError: With every wrong row.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return _rows(csv.DictReader(file), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise InputProblemsError(
            str(path), [Problem(place="file", rule=f"cannot be read: {error}")]
        ) from error


def write_price_file(path: Path, eur_per_kwh: Mapping[datetime, float]) -> None:
    """Writes prices [EUR/kWh] in the file's format."""
    lines = [",".join(COLUMNS)]
    lines += [f"{utc_text(start)},{price * KWH_PER_MWH:.6f}" for start, price in sorted(eur_per_kwh.items())]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _rows(rows: csv.DictReader[str], source: str) -> dict[datetime, float]:
    if tuple(rows.fieldnames or ()) != COLUMNS:
        problem = Problem(place="line 1", rule=f"must be {','.join(COLUMNS)}, is {rows.fieldnames}")
        raise InputProblemsError(source, [problem])
    prices: dict[datetime, float] = {}
    problems: list[Problem] = []
    for line, row in enumerate(rows, 2):
        try:
            start, price = parse_utc(row["start_utc"]), float(row["price_eur_per_mwh"])
        except (ValueError, TypeError) as error:
            problems.append(Problem(place=f"line {line}", rule=str(error)))
            continue
        if not abs(price) <= EUR_PER_MWH_MAX:
            rule = f"{price} EUR/MWh lies outside +-{EUR_PER_MWH_MAX:g}"
            problems.append(Problem(place=f"line {line}", rule=rule, way_out="prices are in EUR per MWh"))
        if start in prices:
            problems.append(Problem(place=f"line {line}", rule=f"{row['start_utc']} is there twice"))
        prices[start] = price / KWH_PER_MWH
    problems += _unit_problem(prices.values())
    if problems:
        raise InputProblemsError(source, problems[:PROBLEMS_SHOWN])
    return prices


def _unit_problem(prices: Iterable[float]) -> list[Problem]:
    """A whole file within 1.5 EUR/MWh was written in EUR/kWh."""
    values = list(prices)
    if len(values) >= 24 and max(abs(v) for v in values) * KWH_PER_MWH < 1.5:
        return [
            Problem(
                place="price_eur_per_mwh", rule="every price is below 1.5 EUR/MWh", way_out="is it EUR/kWh?"
            )
        ]
    return []
