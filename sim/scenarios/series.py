"""Weather and prices over the simulated span, from a file or from the built-in year.

A price file has UTC instants of its own; a weather file is of another year and is matched by month, day
and time of day. A column that a file lacks comes from the built-in year. A file may have gaps where
nobody simulates; a gap inside the simulated span is refused, and so is a column in the wrong unit,
which is recognised by values that the right unit cannot have. Outside the span (forecasts look beyond
its end) a missing price is that of the same hour on the latest day that has one, missing weather the
built-in year's.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np

from controller.domain.errors import InputProblemsError, Problem
from controller.domain.site import Location
from controller.domain.time import QUARTER, quarter_start, utc_text
from controller.domain.units import FloatArray
from sim.scenarios import builtin_year
from sim.scenarios.csv_table import Row, Table, read_table

PRICE_COLUMN = "price_eur_per_mwh"
RADIATION_COLUMN = "radiation_j_per_m2_per_h"
TEMPERATURE_COLUMN = "temperature_c"
_PRICE_BOUNDS_EUR_PER_MWH = (-500.0, 5000.0)
"""The harmonised limits of the European day-ahead auction."""
_LOOKS_LIKE_PER_KWH = 2.0
"""A file in which no price is beyond 2 either way is EUR/kWh, not EUR/MWh."""
_LOOKS_LIKE_WATT = 2000.0
"""No sun gives less than 2000 J/m2 in its best hour, and none gives 2000 W/m2."""
_TEMPERATURE_BOUNDS_C = (-40.0, 50.0)
_J_PER_WH = 3600.0
_HOUR = timedelta(hours=1)
_PROBLEMS_SHOWN = 20


class PriceSeries:
    """Day-ahead prices per quarter-hour."""

    def __init__(self, known: dict[datetime, float] | None = None, *, step: timedelta = _HOUR) -> None:
        """Takes prices [EUR/MWh] by UTC start; `step` is how long one holds. None: the built-in year."""
        self._known = known
        self._step = step
        self._days: dict[date, FloatArray] = {}

    def eur_per_kwh(self, at: datetime) -> float:
        """The price of the quarter-hour that `at` lies in [EUR/kWh]."""
        at = at.astimezone(UTC)
        if self._known is None:
            return self._builtin(at)
        start = self._slot(at)
        for days_back in range(15):
            price = self._known.get(start - timedelta(days=days_back))
            if price is not None:
                return price / 1000.0
        return self._builtin(at)

    def values(self, start: datetime, quarters: int) -> FloatArray:
        """The prices of consecutive quarter-hours from `start` [EUR/kWh], shape (quarters,)."""
        return np.array([self.eur_per_kwh(start + i * QUARTER) for i in range(quarters)], dtype=np.float64)

    def covers(self, at: datetime) -> bool:
        """Whether the price at `at` is known, not borrowed from another day."""
        return self._known is None or self._slot(at.astimezone(UTC)) in self._known

    def _slot(self, at: datetime) -> datetime:
        if self._step == _HOUR:
            return at.replace(minute=0, second=0, microsecond=0)
        return quarter_start(at)

    def _builtin(self, at: datetime) -> float:
        day = at.date()
        if day not in self._days:
            self._days[day] = builtin_year.price_eur_per_mwh(day)
        return float(self._days[day][at.hour]) / 1000.0


class Weather:
    """Radiation and temperature at quarter-hours, any day."""

    def __init__(
        self,
        *,
        seed: int,
        where: Location | None = None,
        ghi_w_m2: dict[tuple[int, int, int], float] | None = None,
        temperature_c: dict[tuple[int, int, int], float] | None = None,
    ) -> None:
        """Takes what a file gives by (month, day, quarter of the UTC day); the rest is the built-in year."""
        self._seed = seed
        self._where = where or Location()
        self._ghi = ghi_w_m2 or {}
        self._temperature = temperature_c or {}
        self._days: dict[date, tuple[FloatArray, FloatArray]] = {}

    def day(self, day: date) -> tuple[FloatArray, FloatArray]:
        """Radiation [W/m2] and temperature [C] at the quarter-hours of a UTC day, each of shape (96,)."""
        if day not in self._days:
            ghi, temperature = self._builtin(day)
            for quarter in range(96):
                key = (day.month, day.day, quarter)
                ghi[quarter] = self._ghi.get(key, ghi[quarter])
                temperature[quarter] = self._temperature.get(key, temperature[quarter])
            self._days[day] = (ghi, temperature)
        return self._days[day]

    def grid(self, day: date, minutes: int) -> tuple[FloatArray, FloatArray]:
        """The same on a grid of `minutes` from midnight UTC, linear in between, each (1440 / minutes,)."""
        today, tomorrow = self.day(day), self.day(day + timedelta(days=1))
        at = np.arange(0, 1440, minutes)
        knots = np.arange(0, 1441, 15)
        ghi, temperature = (
            np.interp(at, knots, np.append(a, b[0])) for a, b in zip(today, tomorrow, strict=True)
        )
        return ghi, temperature

    def quarters(self, start: datetime, count: int) -> tuple[FloatArray, FloatArray]:
        """Radiation [W/m2] and temperature [C] at consecutive quarter-hours, each of shape (count,)."""
        ghi, temperature = np.empty(count), np.empty(count)
        for i in range(count):
            at = (start + i * QUARTER).astimezone(UTC)
            quarter = at.hour * 4 + at.minute // 15
            ghi[i], temperature[i] = (series[quarter] for series in self.day(at.date()))
        return ghi, temperature

    def _builtin(self, day: date) -> tuple[FloatArray, FloatArray]:
        """The built-in year at quarter-hours, fresh arrays."""
        at, hours = np.arange(96) / 4.0, np.arange(25)
        after = day + timedelta(days=1)
        ghi = np.append(
            builtin_year.ghi_w_m2(day, self._seed, self._where),
            builtin_year.ghi_w_m2(after, self._seed, self._where)[0],
        )
        temperature = np.append(
            builtin_year.temperature_c(day, self._seed), builtin_year.temperature_c(after, self._seed)[0]
        )
        return np.interp(at, hours, ghi), np.interp(at, hours, temperature)


def read_prices(path: Path | None, start: datetime, end: datetime) -> PriceSeries:
    """The prices for a simulation from `start` to `end`.

    Args:
        path: CSV (also gzipped) with `start_utc,price_eur_per_mwh`, hourly or per quarter-hour; None for
            the built-in year.
        start: Of the simulated span, UTC.
        end: Of the simulated span, UTC.

    Raises:
        InputProblemsError: If the file cannot be read, has a gap inside the span or another unit.
    """
    if path is None:
        return PriceSeries()
    table = read_table(path, required=(PRICE_COLUMN,), hint=_price_hint)
    rows = [(row, row.values[PRICE_COLUMN]) for row in table.rows]
    known = {row.at: value for row, value in rows if value is not None}
    problems = _unit_problems_price(rows)
    step = _step(known, problems)
    if not problems:
        series = PriceSeries(known, step=step)
        problems += _gaps(
            (at for at in _quarters(start, end) if not series.covers(at)), table, "price", _covered(known)
        )
    if problems:
        raise InputProblemsError(str(path), problems)
    return PriceSeries(known, step=step)


def read_weather(
    path: Path | None, start: datetime, end: datetime, *, seed: int, where: Location | None = None
) -> Weather:
    """The weather for a simulation from `start` to `end`.

    Args:
        path: CSV (also gzipped) with `start_utc` and `radiation_j_per_m2_per_h`, `temperature_c` or both,
            per quarter-hour or hourly; None for the built-in year. Other columns are not read.
        start: Of the simulated span, UTC.
        end: Of the simulated span, UTC.
        seed: Of the built-in year.
        where: The place, for the built-in year.

    Raises:
        InputProblemsError: If the file cannot be read, has a gap inside the span or another unit.
    """
    if path is None:
        return Weather(seed=seed, where=where)
    table = read_table(path, any_of=(RADIATION_COLUMN, TEMPERATURE_COLUMN))
    ghi = _by_calendar(table, RADIATION_COLUMN)
    temperature = _by_calendar(table, TEMPERATURE_COLUMN)
    problems = _unit_problems_weather(ghi, temperature)
    # A night's measured radiation may lie slightly below zero: the instrument's offset.
    ghi = {key: max(0.0, value) / _J_PER_WH for key, value in ghi.items()}
    for column, series in ((RADIATION_COLUMN, ghi), (TEMPERATURE_COLUMN, temperature)):
        if column in table.columns:
            missing = (at for at in _quarters(start, end) if _key(at) not in series)
            problems += _gaps(missing, table, column, "month, day and hour are matched, the year is not")
    if problems:
        raise InputProblemsError(str(path), problems)
    return Weather(seed=seed, where=where, ghi_w_m2=ghi, temperature_c=temperature)


def _quarters(start: datetime, end: datetime) -> Iterable[datetime]:
    at = quarter_start(start.astimezone(UTC))
    while at < end:
        yield at
        at += QUARTER


def _key(at: datetime) -> tuple[int, int, int]:
    return (at.month, at.day, at.hour * 4 + at.minute // 15)


def _by_calendar(table: Table, column: str) -> dict[tuple[int, int, int], float]:
    """A column by (month, day, quarter); an hourly file's value holds for its hour."""
    rows = [(row.at, value) for row in table.rows if (value := row.values.get(column)) is not None]
    hourly = all(at.minute == 0 for at, _ in rows)
    series: dict[tuple[int, int, int], float] = {}
    for at, value in rows:
        for quarter in range(4 if hourly else 1):
            series[_key(at + quarter * QUARTER)] = value
    return series


def _step(known: dict[datetime, float], problems: list[Problem]) -> timedelta:
    """How long each price holds: an hour, or a quarter-hour where any starts within an hour."""
    odd = sorted(at for at in known if at != quarter_start(at))
    if odd:
        problems.append(
            Problem(
                place=f"start_utc {utc_text(odd[0])}",
                rule="a price starts at a whole hour or quarter-hour",
                way_out="write the start of each hour",
            )
        )
    return _HOUR if all(at.minute == 0 for at in known) else QUARTER


def _unit_problems_price(rows: list[tuple[Row, float | None]]) -> list[Problem]:
    values = [value for _, value in rows if value is not None]
    if not values:
        return [Problem(place=PRICE_COLUMN, rule="there is not a single price", way_out="fill the column")]
    if any(value != 0.0 for value in values) and max(map(abs, values)) < _LOOKS_LIKE_PER_KWH:
        return [
            Problem(
                place=PRICE_COLUMN,
                rule=f"prices are EUR/MWh, and all of these lie within +-{_LOOKS_LIKE_PER_KWH:g}: they look "
                "like EUR/kWh",
                way_out="multiply the column by 1000",
            )
        ]
    low, high = _PRICE_BOUNDS_EUR_PER_MWH
    for row, value in rows:
        if value is not None and not low <= value <= high:
            return [
                Problem(
                    place=f"line {row.line}, {PRICE_COLUMN}",
                    rule=f"{value:g} EUR/MWh lies outside the exchange's limits of {low:g} to {high:g}",
                    way_out="check the unit: EUR/MWh, a decimal point and no thousands separator",
                )
            ]
    return []


def _unit_problems_weather(
    ghi: dict[tuple[int, int, int], float], temperature: dict[tuple[int, int, int], float]
) -> list[Problem]:
    problems = []
    if ghi and 0.0 < max(ghi.values()) < _LOOKS_LIKE_WATT:
        problems.append(
            Problem(
                place=RADIATION_COLUMN,
                rule=f"radiation is J/m2 per hour, and none here reaches {_LOOKS_LIKE_WATT:g}: it looks "
                "like W/m2",
                way_out="multiply the column by 3600",
            )
        )
    low, high = _TEMPERATURE_BOUNDS_C
    strange = [value for value in temperature.values() if not low <= value <= high]
    if strange:
        problems.append(
            Problem(
                place=TEMPERATURE_COLUMN,
                rule=f"{strange[0]:g} lies outside {low:g} to {high:g} degrees Celsius",
                way_out="check the unit: Kelvin less 273.15, or tenths divided by 10",
            )
        )
    return problems


def _gaps(missing: Iterable[datetime], table: Table, what: str, covered: str) -> list[Problem]:
    """One problem for each stretch without a value; the first few are named."""
    stretches: list[list[datetime]] = []
    for at in missing:
        if stretches and at - stretches[-1][-1] == QUARTER:
            stretches[-1].append(at)
        else:
            stretches.append([at])
    return [
        Problem(
            place=f"start_utc {utc_text(stretch[0])} to {utc_text(stretch[-1] + QUARTER)}",
            rule=f"no {what} for {len(stretch)} quarter-hour(s) inside the simulated span",
            way_out=f"start on another day or fill the gap; {covered}, {len(table.rows)} rows read",
        )
        for stretch in stretches[:_PROBLEMS_SHOWN]
    ]


def _covered(known: dict[datetime, float]) -> str:
    return f"the file runs from {utc_text(min(known))} to {utc_text(max(known))}"


def _price_hint(columns: tuple[str, ...]) -> str:
    near = [name for name in columns if "price" in name or "eur" in name]
    if any("kwh" in name for name in near):
        return f"{near[0]} is another unit: multiply by 1000 and name it {PRICE_COLUMN}"
    return f"name the price column {PRICE_COLUMN}"
