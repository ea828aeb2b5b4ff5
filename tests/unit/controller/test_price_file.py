"""The price file."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from controller.domain.errors import InputProblemsError
from controller.price_file import read_price_file, write_price_file

START = datetime(2024, 1, 15, tzinfo=UTC)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    """Quarter-hours, negative prices among them."""
    prices = {START + i * timedelta(minutes=15): (i - 3) * 0.0123 for i in range(8)}
    write_price_file(tmp_path / "p.csv", prices)
    assert read_price_file(tmp_path / "p.csv") == pytest.approx(prices)


def test_every_wrong_row_is_told(tmp_path: Path) -> None:
    """No zone, no number, too large, twice, too few columns."""
    rows = [
        "start_utc,price_eur_per_mwh",
        "2024-01-15T00:00,50",
        "2024-01-15T01:00Z,cheap",
        "2024-01-15T02:00Z,99999",
        "2024-01-15T03:00Z,50",
        "2024-01-15T03:00Z,51",
        "2024-01-15T04:00Z",
        "2024-01-15T05:00Z,nan",
    ]
    (tmp_path / "p.csv").write_text("\n".join(rows), encoding="utf-8")
    with pytest.raises(InputProblemsError) as caught:
        read_price_file(tmp_path / "p.csv")
    assert [problem.place for problem in caught.value.problems] == [f"line {n}" for n in (2, 3, 4, 6, 7, 8)]


@pytest.mark.parametrize(
    ("text", "part"), [("a,b\n1,2\n", "line 1"), ("", "line 1"), (None, "cannot be read")]
)
def test_another_form_is_one_clear_line(tmp_path: Path, text: str | None, part: str) -> None:
    """Other columns, nothing at all, no file."""
    if text is not None:
        (tmp_path / "p.csv").write_text(text, encoding="utf-8")
    with pytest.raises(InputProblemsError, match=part):
        read_price_file(tmp_path / "p.csv")


def test_a_day_in_eur_per_kwh_is_noticed(tmp_path: Path) -> None:
    """24 prices below 1.5 are no EUR/MWh."""
    rows = [f"2024-01-15T{hour:02d}:00Z,0.{hour:02d}" for hour in range(24)]
    (tmp_path / "p.csv").write_text("start_utc,price_eur_per_mwh\n" + "\n".join(rows), encoding="utf-8")
    with pytest.raises(InputProblemsError, match="is it EUR/kWh"):
        read_price_file(tmp_path / "p.csv")
