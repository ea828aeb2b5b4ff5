"""Starts a demo: in this process without sockets, or as two children that speak the real protocols."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from controller.demo.options import DemoOptions
from controller.demo.simulated import Simulated, read_simulated
from controller.domain.errors import StartUpError
from controller.domain.time import AMSTERDAM
from sim.world import World

OUT = Console(highlight=False, soft_wrap=True)


def run_demo(options: DemoOptions) -> None:
    """Runs a demo to its end.

    Raises:
        InputProblemsError: If scenario, prices, weather or options are wrong; all problems at once.
        StartUpError: If something outside keeps it from starting.
    """
    _check_writable(options.summary)
    _check_writable(options.ready)
    simulated = read_simulated(options)
    summary: dict[str, Any] | None
    if options.direct:
        summary = asyncio.run(_direct(options, simulated))
    else:
        from controller.demo.processes import run_processes

        summary = run_processes(options, simulated)
    if summary is None:
        return
    if options.summary is not None:
        write_whole(options.summary, summary)
        OUT.print(f"Summary: {options.summary}")
    print_summary(summary)


async def _direct(options: DemoOptions, simulated: Simulated) -> dict[str, Any]:
    from controller.demo.direct import run_direct_demo

    begin = time.monotonic()

    def progress(at: datetime, world: World) -> None:
        local = at.astimezone(AMSTERDAM)
        if local.minute:
            return
        load = sum(world.recorder.node_kw[-1][i] for i in world.roots) if world.recorder.node_kw else 0.0
        OUT.print(
            f"{local:%Y-%m-%d %H:%M}  {load:8.1f} kW at the root  {time.monotonic() - begin:7.1f} s computed"
        )

    return await run_direct_demo(options, simulated, progress)


def _check_writable(path: Path | None) -> None:
    """A run of hours must not find out at its end that its result has no place."""
    if path is not None and not path.absolute().parent.is_dir():
        raise StartUpError(f"{path}: the folder {path.absolute().parent} does not exist")


def write_whole(path: Path, content: dict[str, Any], *, secret: bool = False) -> None:
    """Writes a JSON file that is either not there or whole; with tokens in it, for its owner alone."""
    draft = path.with_name(f".{path.name}.part")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600 if secret else 0o666)
    draft.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    draft.replace(path)


def print_summary(summary: dict[str, Any]) -> None:
    """The figures that people look at first."""
    OUT.print()
    OUT.print(f"{'':18}{'limits broken':>15}{'peak kW':>12}{'cost EUR':>12}")
    for name, broken in summary["limit_violations"].items():
        peak, cost = summary["peak_kw"][name], summary["cost_eur"][name]
        OUT.print(f"{name.replace('_', ' '):18}{broken:>15}{peak:>12.1f}{cost:>12.2f}")
    left, cycles, planning = summary["departures"], summary["safety_cycles"], summary["planning"]
    OUT.print(
        f"departures: {left['kept']} kept of {left['possible']} possible ({left['total']} in all, "
        f"{left['short_kwh']:.1f} kWh short)"
    )
    OUT.print(
        f"safety cycles: {cycles['late']} late of {cycles['total']}; plans: {planning['count']}, "
        f"{planning['fallbacks']} without the solver, median {planning['seconds_median']:.2f} s, "
        f"{planning['seconds_core_fraction']:.0%} of a core"
    )
    market = summary["market"]
    OUT.print(
        f"market: {market['orders']} orders, {market['trades']} trades, {market['postings']} postings, "
        f"ledger sum {market['ledger_balance_nanoeur']} nano-euro"
    )
