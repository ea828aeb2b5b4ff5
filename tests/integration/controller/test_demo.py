"""The demo on real sockets, as a person runs it: trade by HTTP, kill the controller, start it again."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from controller.demo.processes import free_port
from controller.domain.time import QUARTER, parse_utc, quarter_start, utc_text

QUARTERS = 10
"""Enough of them after the absence for a slow machine to start the controller again."""
SPEED = 120
"""A quarter-hour lasts seven and a half seconds."""
GONE_S = 26.0
"""The controller's absence: 52 simulated minutes, so the third quarter-hour passes without it from end to
end, and it begins after the last setpoint (10 minutes of life) has run out."""
START_UTC = "2024-01-15T22:00:00Z"
"""After the evening peak: by day and night a charger has hours of its own, in the peak it stands still."""
FALLBACK_KW = 4.14
"""What a charger of the street does in its hours: the least that a three-phase car takes."""


ALONE = """
select after.import_wh - before.import_wh, after.export_wh - before.export_wh
from registers before join registers after on after.meter = before.meter
where before.meter like 'cp-%' and before.at = ? and after.at = ?
and not before.estimated and not after.estimated
"""
"""What each charger's meter says it drew and fed in [Wh] between two instants [us since 1970]."""


def until[T](what: str, look: Callable[[], T | None], timeout_s: float = 60.0) -> T:
    """Looks again and again until there is something."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        found = look()
        if found is not None:
            return found
        time.sleep(0.1)
    raise AssertionError(f"{what} did not come within {timeout_s:g} s")


@contextmanager
def running_demo(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], dict[str, Any]]]:
    """A demo of the street on a winter night, and what its ready file says."""
    ready = folder / "ready.json"
    command = [sys.executable, "-m", "controller", "demo", "--quarters", str(QUARTERS), "--speed", str(SPEED)]
    command += ["--start", "2024-01-15T23:00", "--port", str(free_port()), "--data", str(folder / "data")]
    command += ["--ready", str(ready), "--summary", str(folder / "summary.json")]
    with (folder / "demo.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as demo:
        try:
            until("the ready file", lambda: ready.exists() or None)
            yield demo, json.loads(ready.read_text(encoding="utf-8"))
        finally:
            demo.terminate()
            demo.wait(60)


def place_order(client: httpx.Client, now: str) -> dict[str, Any]:
    """An order to buy 400 Wh in a quarter-hour after the absence, at any price."""
    state = client.get("/api/resident/assets")
    assert state.status_code == 200
    start = quarter_start(parse_utc(now)) + 5 * QUARTER
    order = {
        "order_id": "mine-1",
        "side": "buy",
        "quantity_wh": 400,
        "limit_price_microeur_per_kwh": 900_000,
        "interval_start_utc": utc_text(start),
    }
    answer = client.post("/api/resident/orders", json=order)
    assert answer.status_code == 201, answer.text
    assert client.post("/api/resident/orders", json=order).status_code in {200, 201}
    return order


@pytest.mark.timeout(240)
def test_trade_kill_and_restart(tmp_path: Path) -> None:
    """A resident's order is settled across a `kill -9`; nothing is booked twice, no limit is broken.

    Meanwhile the chargers follow the hours that they hold themselves, and tell of it afterwards.
    """
    with running_demo(tmp_path) as (demo, ready):
        operator = {"Authorization": f"Bearer {ready['tokens']['operator']}"}
        resident = {"Authorization": f"Bearer {ready['tokens']['resident']}"}
        with (
            httpx.Client(base_url=ready["url"], headers=resident, timeout=20) as mine,
            httpx.Client(base_url=ready["url"], headers=operator, timeout=20) as theirs,
        ):
            now = until(
                "the time",
                lambda: (
                    theirs.get("/api/operator/state").json()["now_utc"]
                    if theirs.get("/api/operator/state").json()["safety_cycles"]
                    else None
                ),
            )
            order = place_order(mine, now)
            assert theirs.get("/api/resident/orders").status_code == 403

        os.kill(ready["pids"]["controller"], signal.SIGKILL)
        time.sleep(GONE_S)
        with subprocess.Popen(shlex.split(ready["restart_command"])) as again:
            with httpx.Client(base_url=ready["url"], headers=resident, timeout=20) as mine:
                trades = until("the trade", lambda: _trades(mine), timeout_s=90.0)
                assert trades[0]["order_id"] == order["order_id"]
                assert trades[0]["filled_wh"] == 400
                balance = until("the balance", lambda: _balance(mine))
                assert balance != 0
            assert demo.wait(120) == 0
            assert again.wait(60) == 0
    summary = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert summary["limit_violations"]["controlled"] == 0
    assert summary["market"]["ledger_balance_nanoeur"] == 0
    assert summary["safety_cycles"]["total"] > 0
    assert summary["messages"]["ocpp"] > 0
    assert summary["messages"]["modbus"] > 0
    assert summary["messages"]["mqtt"] > 0
    with closing(sqlite3.connect(tmp_path / "data" / "wijkstroom.sqlite3")) as store:
        booked, different = store.execute(
            "select count(*), count(distinct posting_id) from postings"
        ).fetchone()
        drawn_wh, fed_in_wh = zip(*store.execute(ALONE, _third_quarter()), strict=True)
    assert booked == different > 0
    # Those with a car; 2 Wh are the rounding of two registers.
    assert len(drawn_wh) > 0
    assert 0 < max(drawn_wh) <= FALLBACK_KW * 250.0 + 2.0
    assert max(fed_in_wh) == 0


def _third_quarter() -> tuple[int, int]:
    first = parse_utc(START_UTC) + 2 * QUARTER
    return int(first.timestamp() * 1e6), int((first + QUARTER).timestamp() * 1e6)


def _trades(client: httpx.Client) -> list[dict[str, Any]] | None:
    try:
        found = client.get("/api/resident/trades").json()
    except httpx.HTTPError:
        return None
    return found or None


def _balance(client: httpx.Client) -> int | None:
    amount = client.get("/api/resident/balance").json()["balance_nanoeur"]
    return int(amount) or None
