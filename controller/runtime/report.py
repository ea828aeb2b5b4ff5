"""The controller's part of the demo's summary (formats.md), and the memory that a process used."""

from __future__ import annotations

import contextlib
import resource
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from controller.runtime.core import Controller

KIB_PER_MIB = 1024


@runtime_checkable
class MeasuresCore(Protocol):
    """A solver that knows what it uses of the machine."""

    def core_fraction(self) -> float:
        """Processor time of planning over machine time so far: its share of one core."""
        ...


async def controller_report(controller: Controller, messages: Mapping[str, int]) -> dict[str, Any]:
    """What the controller knows of its run: market, safety cycles, planning, messages, memory."""
    async with controller.store.unit() as unit:
        counts = await unit.counts()
        balances = await unit.balances()
        digest = await unit.trades_digest()
    counters = controller.counters
    seconds = counters.plan_seconds
    solver = controller.solver
    return {
        "market": {
            "orders": counts["orders"],
            "trades": counts["trades"],
            "postings": counts["postings"],
            "ledger_balance_nanoeur": sum(balances.values()),
            "trades_sha256": digest,
        },
        "safety_cycles": {
            "total": counters.safety_cycles,
            "late": counters.late_cycles,
            "delay_ms_max": round(counters.delay_ms_max, 3),
        },
        "planning": {
            "count": counters.plans,
            "fallbacks": counters.fallbacks,
            "made_again": counters.plans_made_again,
            "straining": counters.plans_straining,
            "seconds_median": round(statistics.median(seconds), 4) if seconds else 0.0,
            "seconds_max": round(max(seconds), 4) if seconds else 0.0,
            "seconds_core_fraction": (
                round(solver.core_fraction(), 4) if isinstance(solver, MeasuresCore) else None
            ),
        },
        "messages": {"ocpp": 0, "modbus": 0, "mqtt": 0, **messages},
        "memory_mib_max": {"controller": memory_mib_max()},
    }


def memory_mib_max() -> int:
    """The most memory that this process ever held, and with it each child that lives [MiB]."""
    own_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int((own_kib + sum(map(_most_kib, child_pids()))) / KIB_PER_MIB)


def child_pids() -> list[int]:
    """This process's living children; none where the operating system has no /proc."""
    return [
        int(pid)
        for task in Path("/proc/self/task").glob("*/children")
        for pid in task.read_text(encoding="ascii").split()
    ]


def _most_kib(pid: int) -> int:
    """The most memory that a process ever held [KiB]; 0 where it has just ended."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return 0
