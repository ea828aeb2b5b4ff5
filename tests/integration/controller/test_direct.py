"""The whole controller against simulated devices, joined without sockets."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from controller.demo.direct import run_direct_demo
from controller.demo.options import DemoOptions
from controller.demo.simulated import read_simulated
from controller.domain.errors import InputProblemsError, StartUpError

MEASURED = {"memory_mib_max"}
"""What two equal runs may differ in, with some figures of planning and safety cycles (formats.md)."""


def options(folder: Path, **changes: Any) -> DemoOptions:
    """A short winter evening in the street."""
    values: dict[str, Any] = {
        "scenario": "street",
        "speed": 1.0,
        "direct": True,
        "seed": 3,
        "start": "2024-01-16T17:00",
        "prices": None,
        "weather": None,
        "quarters": 3,
        "summary": None,
        "port": 0,
        "data": folder,
        "ready": None,
    }
    return DemoOptions(**{**values, **changes})


def run(folder: Path, **changes: Any) -> dict[str, Any]:
    """One direct run."""
    chosen = options(folder, **changes)
    return asyncio.run(run_direct_demo(chosen, read_simulated(chosen), lambda _at, _world: None))


@pytest.mark.timeout(180)
def test_two_direct_runs_are_the_same_and_keep_every_limit(tmp_path: Path) -> None:
    """Same options, same summary, trades included; the ledger sums to 0 and nothing is over its limit."""
    one, other = run(tmp_path / "one"), run(tmp_path / "other")
    for summary in (one, other):
        for key in MEASURED:
            summary.pop(key)
        # Processor time over machine time: above one core where the solver's threads do most of the run.
        assert summary["planning"]["seconds_core_fraction"] > 0.0
        for key in ("seconds_median", "seconds_max", "seconds_core_fraction"):
            summary["planning"].pop(key)
    assert one == other
    assert one["limit_violations"]["controlled"] == 0
    assert one["market"]["ledger_balance_nanoeur"] == 0
    assert one["market"]["trades"] > 0
    assert one["market"]["postings"] > 0
    assert one["departures"]["kept"] >= one["departures"]["possible"]
    energy = one["energy_kwh"]
    taken = energy["imported"] + energy["produced"] + energy["discharged"]
    assert taken == pytest.approx(energy["consumed"] + energy["exported"], rel=1e-3)


def test_a_folder_with_an_earlier_run_is_refused(tmp_path: Path) -> None:
    """Nothing is overwritten."""
    (tmp_path / "wijkstroom.sqlite3").write_text("somebody's data", encoding="utf-8")
    with pytest.raises(StartUpError, match="--data"):
        run(tmp_path)
    assert (tmp_path / "wijkstroom.sqlite3").read_text(encoding="utf-8") == "somebody's data"


def test_all_wrong_inputs_are_told_at_once(tmp_path: Path) -> None:
    """A missing scenario and a missing price file, in one error."""
    chosen = options(tmp_path, scenario="nowhere.toml", prices=tmp_path / "none.csv")
    with pytest.raises(InputProblemsError) as caught:
        read_simulated(chosen)
    text = str(caught.value)
    assert "nowhere.toml" in text
    assert "none.csv" in text
    with pytest.raises(InputProblemsError) as caught:
        read_simulated(replace(chosen, start="2024-13-40"))
    assert "nowhere.toml" in str(caught.value)
    assert "--start" in str(caught.value)
