"""Prices and weather: files, gaps inside and outside the span, wrong units, the built-in year."""

from __future__ import annotations

import gzip
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from controller.domain.errors import InputProblemsError
from controller.domain.time import quarters_of_local_day
from sim.scenarios import PriceSeries, Weather, read_prices, read_weather

START = datetime(2024, 1, 14, 23, tzinfo=UTC)
END = START + timedelta(hours=24)
YEARS_BEFORE = START.replace(year=2021)


def price_file(path: Path, prices: dict[datetime, str], header: str = "start_utc,price_eur_per_mwh") -> Path:
    """Writes a price file."""
    lines = [header, *(f"{at:%Y-%m-%dT%H:%MZ},{price}" for at, price in prices.items())]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def hourly(hours: int = 30, first: datetime = START) -> dict[datetime, str]:
    """Prices 50, 51, 52, ..."""
    return {first + timedelta(hours=i): str(50 + i) for i in range(hours)}


def test_hourly_prices_hold_for_four_quarters(tmp_path: Path) -> None:
    """EUR/MWh become EUR/kWh, each for its hour."""
    series = read_prices(price_file(tmp_path / "p.csv", hourly()), START, END)
    assert series.values(START, 5) == pytest.approx([0.050, 0.050, 0.050, 0.050, 0.051])


def test_quarter_hour_prices_are_read(tmp_path: Path) -> None:
    """A file per quarter-hour gives each its own price."""
    prices = {START + i * timedelta(minutes=15): str(-10 + i) for i in range(96)}
    series = read_prices(price_file(tmp_path / "p.csv", prices), START, END)
    assert series.values(START, 3) == pytest.approx([-0.010, -0.009, -0.008])


def test_price_gap_inside_the_span_is_refused(tmp_path: Path) -> None:
    """One clear line: from when to when, and what to do."""
    prices = hourly()
    del prices[START + timedelta(hours=5)]
    prices[START + timedelta(hours=9)] = ""
    with pytest.raises(InputProblemsError) as caught:
        read_prices(price_file(tmp_path / "p.csv", prices), START, END)
    assert [problem.place for problem in caught.value.problems] == [
        "start_utc 2024-01-15T04:00:00Z to 2024-01-15T05:00:00Z",
        "start_utc 2024-01-15T08:00:00Z to 2024-01-15T09:00:00Z",
    ]
    assert all("4 quarter-hour(s)" in problem.rule for problem in caught.value.problems)
    assert all("another day" in problem.way_out for problem in caught.value.problems)


def test_price_gap_outside_the_span_borrows_the_day_before(tmp_path: Path) -> None:
    """Beyond the file's end, which forecasts look at, the same hour of the latest day stands in."""
    series = read_prices(price_file(tmp_path / "p.csv", hourly(24)), START, END)
    assert series.eur_per_kwh(END + timedelta(hours=3)) == pytest.approx(0.053)
    assert not series.covers(END)


def test_start_outside_the_file_is_refused(tmp_path: Path) -> None:
    """The file's own span is told."""
    with pytest.raises(InputProblemsError, match="the file runs from 2024-01-14T23:00:00Z"):
        read_prices(
            price_file(tmp_path / "p.csv", hourly()), START.replace(year=2020), END.replace(year=2020)
        )


@pytest.mark.parametrize(
    ("header", "price", "message"),
    [
        ("start_utc,price_eur_per_mwh", "0.08", "look like EUR/kWh"),
        ("start_utc,price_eur_per_mwh", "80000", "outside the exchange's limits"),
        ("start_utc,price_eur_per_mwh", "eighty", "is no number"),
        ("start_utc,price_eur_per_kwh", "0.08", "multiply by 1000"),
        ("when,price_eur_per_mwh", "80", "column start_utc is missing"),
        ("start_utc,price_eur_per_mwh", "", "not a single price"),
    ],
)
def test_wrong_unit_or_column_is_refused(tmp_path: Path, header: str, price: str, message: str) -> None:
    """A column in another unit is found by values that the right one cannot have."""
    path = price_file(tmp_path / "p.csv", dict.fromkeys(hourly(), price), header)
    with pytest.raises(InputProblemsError, match=message):
        read_prices(path, START, END)


def test_unreadable_files_are_refused(tmp_path: Path) -> None:
    """Missing, not gzipped, not text, odd times: each with its rule."""
    not_gzip = tmp_path / "p.csv.gz"
    not_gzip.write_text("hello", encoding="utf-8")
    binary = tmp_path / "b.csv"
    binary.write_bytes(b"\xff\xfe\x00")
    local = tmp_path / "l.csv"
    local.write_text("start_utc,price_eur_per_mwh\n2024-01-15 00:00,80\nsoon,81\n", encoding="utf-8")
    odd = price_file(tmp_path / "o.csv", {START + timedelta(minutes=7): "80"})
    for path, message in (
        (tmp_path / "nowhere.csv", "cannot be read"),
        (not_gzip, "cannot be read"),
        (binary, "UTF-8"),
        (local, "2 problem"),
        (odd, "whole hour or quarter-hour"),
    ):
        with pytest.raises(InputProblemsError, match=message):
            read_prices(path, START, END)


@pytest.mark.parametrize(
    ("day", "quarters"), [(date(2024, 3, 31), 92), (date(2024, 10, 27), 100), (date(2024, 1, 15), 96)]
)
def test_days_of_every_length_are_covered(tmp_path: Path, day: date, quarters: int) -> None:
    """A file with the day's 23, 24 or 25 hours covers it, and one hour less does not."""
    slots = quarters_of_local_day(day)
    assert len(slots) == quarters
    begin, end = slots[0], slots[-1] + timedelta(minutes=15)
    enough = price_file(tmp_path / "p.csv", hourly(quarters // 4, begin))
    assert len(read_prices(enough, begin, end).values(begin, quarters)) == quarters
    short = price_file(tmp_path / "s.csv", hourly(quarters // 4 - 1, begin))
    with pytest.raises(InputProblemsError, match=r"4 quarter-hour\(s\)"):
        read_prices(short, begin, end)


def weather_file(path: Path, columns: str, rows: dict[datetime, str]) -> Path:
    """Writes a gzipped weather file."""
    lines = [f"start_utc,{columns}", *(f"{at:%Y-%m-%dT%H:%MZ},{cells}" for at, cells in rows.items())]
    path.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))
    return path


def quarter_rows(cells: str, first: datetime = YEARS_BEFORE, count: int = 100) -> dict[datetime, str]:
    """The same cells for each quarter-hour."""
    return {first + i * timedelta(minutes=15): cells for i in range(count)}


def test_weather_is_matched_by_month_day_and_hour(tmp_path: Path) -> None:
    """A file of 2021 serves 2024; J/m2 per hour become W/m2, and a negative night is 0."""
    rows = quarter_rows("720000,-3.5")
    rows[START.replace(year=2021)] = "-275.0,-3.0"
    path = weather_file(tmp_path / "w.csv.gz", "radiation_j_per_m2_per_h,temperature_c", rows)
    ghi, temperature = read_weather(path, START, END, seed=1).quarters(START, 3)
    assert ghi == pytest.approx([0.0, 200.0, 200.0])
    assert temperature == pytest.approx([-3.0, -3.5, -3.5])


def test_missing_column_comes_from_the_built_in_year(tmp_path: Path) -> None:
    """A file with radiation only gets the built-in temperature."""
    path = weather_file(tmp_path / "w.csv.gz", "radiation_j_per_m2_per_h", quarter_rows("360000"))
    ghi, temperature = read_weather(path, START, END, seed=4).quarters(START, 8)
    assert ghi == pytest.approx(np.full(8, 100.0))
    assert temperature == pytest.approx(Weather(seed=4).quarters(START, 8)[1])


def test_weather_gap_inside_the_span_is_refused(tmp_path: Path) -> None:
    """An empty cell and a missing row are gaps, by column; what lies outside the span is not looked at."""
    rows = quarter_rows("720000,5.0", count=200)
    first = START.replace(year=2021)
    rows[first + timedelta(hours=2)] = "720000,"
    del rows[first + timedelta(hours=4)]
    del rows[first + timedelta(hours=30)]
    path = weather_file(tmp_path / "w.csv.gz", "radiation_j_per_m2_per_h,temperature_c", rows)
    with pytest.raises(InputProblemsError) as caught:
        read_weather(path, START, END, seed=1)
    rules = [problem.rule for problem in caught.value.problems]
    assert sum("no radiation_j_per_m2_per_h" in rule for rule in rules) == 1
    assert sum("no temperature_c" in rule for rule in rules) == 2


@pytest.mark.parametrize(
    ("columns", "cells", "message"),
    [
        ("radiation_j_per_m2_per_h", "450", "looks like W/m2"),
        ("temperature_c", "281.0", "degrees Celsius"),
        ("windspeed_m_per_s", "3", "has to be there"),
    ],
)
def test_weather_in_another_unit_is_refused(tmp_path: Path, columns: str, cells: str, message: str) -> None:
    """Kelvin and watt are found out."""
    path = weather_file(tmp_path / "w.csv.gz", columns, quarter_rows(cells))
    with pytest.raises(InputProblemsError, match=message):
        read_weather(path, START, END, seed=1)


def test_built_in_year_is_dutch() -> None:
    """About 1050 kWh/m2 and 11 C a year, cold in January; prices dip at summer noons and peak in evenings."""
    weather = Weather(seed=1)
    days = [date(2024, 1, 1) + timedelta(days=i) for i in range(0, 366, 3)]
    daily = [weather.day(day) for day in days]
    assert np.mean([ghi.sum() for ghi, _ in daily]) / 4000.0 * 365.0 == pytest.approx(1050.0, rel=0.12)
    assert np.mean([temperature.mean() for _, temperature in daily]) == pytest.approx(10.9, abs=1.5)
    prices = PriceSeries()
    january = np.mean([prices.values(datetime(2024, 1, d, tzinfo=UTC), 96) for d in range(8, 28)], axis=0)
    july = np.mean([prices.values(datetime(2024, 7, d, tzinfo=UTC), 96) for d in range(1, 28)], axis=0)
    assert january[68] > 1.4 * january[12]
    assert july[48] < 0.03
    assert july[72] > 0.1
    summer = [
        prices.values(datetime(2024, 6, 1, tzinfo=UTC) + timedelta(days=i), 96).min() for i in range(60)
    ]
    assert min(summer) < 0.0


def test_built_in_weather_is_dark_at_night_and_of_the_seed() -> None:
    """No sun at midnight; another seed is another year."""
    ghi, temperature = Weather(seed=1).day(date(2024, 1, 15))
    assert ghi[:20].max() == 0.0
    assert ghi[44:52].min() > 0.0
    assert not np.array_equal(temperature, Weather(seed=2).day(date(2024, 1, 15))[1])
