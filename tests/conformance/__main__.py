"""`make conformance`: two programs that this project did not write judge the OCPP endpoint.

`ocpp-ws-cli test` sends what no charger should: missing subprotocols, broken frames, floods. `ocpp-rpc` is a
client that holds every request and every answer against the standard's schemas; it does a session, and
meanwhile a setpoint is sent to it. Both run against the real endpoint on a loopback port.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from controller.domain.ids import AssetId
from controller.domain.reasons import Reason, ReasonCode
from controller.domain.setpoints import Applied, Outcome, Setpoint
from controller.domain.time import ScaledDomainClock
from drivers.ocpp.endpoint import OcppEndpoint
from tests.support.ocpp import TOKENS, charge_point

TOOLS = Path(__file__).parent / "tools"
VERSIONS = ("ocpp1.6", "ocpp2.0.1", "ocpp2.1")
STRICT_VERSIONS = VERSIONS[:2]
"""Of 2.1 `ocpp-rpc` has no schema for a BootNotification."""
_RUN_TIMEOUT_S = 180.0


def _endpoint() -> OcppEndpoint:
    """An endpoint in real time, with a charge point for each program and version."""
    names = [f"{program}-{version}" for program in ("cli", "rpc") for version in VERSIONS]
    now = datetime.now(UTC)
    return OcppEndpoint(
        host="127.0.0.1",
        port=0,
        charge_points={AssetId(name): charge_point(name, discharge_kw_max=0.0) for name in names},
        tokens=TOKENS,
        sink=lambda _reading: None,
        clock=ScaledDomainClock(anchor_domain=now, anchor_unix_s=time.time(), speed=1.0),
    )


async def _run(*command: str, at_ready: Callable[[], Awaitable[None]] | None = None) -> tuple[int, list[str]]:
    """Exit status and lines of a program; `at_ready` is done as soon as a line says that it is ready."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=TOOLS,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    lines: list[str] = []
    try:
        async with asyncio.timeout(_RUN_TIMEOUT_S):
            async for line in process.stdout:
                lines.append(line.decode(errors="replace"))
                if at_ready is not None and line.startswith(b'{"event":"ready"'):
                    await at_ready()
            return await process.wait(), lines
    except TimeoutError:
        process.kill()
        await process.wait()
        return 1, [*lines, f"not done after {_RUN_TIMEOUT_S:g} s"]


async def check_by_cli(endpoint: OcppEndpoint, version: str) -> list[str]:
    """The checks of `ocpp-ws-cli` that should have passed and did not."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = ("-e", endpoint.url, "-i", f"cli-{version}", "-p", version, "--suite", "all")
        report_to = ("--report", "json", "--report-dir", folder)
        _, lines = await _run("node", "node_modules/.bin/ocpp-ws-cli", "test", *arguments, *report_to)
        reports = await asyncio.to_thread(lambda: list(Path(folder).glob("*.json")))
        if not reports:
            return [f"no report: {''.join(lines)[-500:]}"]
        report: dict[str, Any] = json.loads(reports[0].read_text("utf-8"))
    results = report["testResults"]
    failed = {result["name"]: result.get("issue", "") for result in results if not result["passed"]}
    print(f"{version:10} ocpp-ws-cli: {len(results) - len(failed)} of {len(results)} checks")  # noqa: T201
    return [f"{name}: {issue}" for name, issue in failed.items()]


async def check_by_rpc(endpoint: OcppEndpoint, version: str) -> list[str]:
    """What the strict client complained of, or what it was not asked."""
    name = AssetId(f"rpc-{version}")
    outcomes: list[Outcome] = []

    async def steer() -> None:
        setpoint = Setpoint(
            asset=name,
            power_kw=5.0,
            valid_until=datetime.now(UTC) + timedelta(minutes=15),
            safe_kw=0.0,
            reason=Reason(code=ReasonCode.PLAN),
        )
        outcomes.append(await endpoint.set_power(setpoint))

    status, lines = await _run("node", "session.mjs", endpoint.url, name, version, at_ready=steer)
    events = [json.loads(line) for line in lines if line.startswith("{")]
    complaints: list[str] = events[-1].get("complaints", ["it ended early"]) if events else lines[-5:]
    answers = sum(event["event"] == "answer" for event in events)
    purposes = [event["purpose"] for event in events if event["event"] == "profile"]
    print(f"{version:10} ocpp-rpc: {answers} answers, profiles {', '.join(purposes)}")  # noqa: T201
    if status and not complaints:
        complaints = [f"exit status {status}", *lines[-5:]]
    if [type(outcome) for outcome in outcomes] != [Applied]:
        complaints.append(f"the setpoint was not taken: {outcomes}")
    return complaints


class Troubles(logging.Handler):
    """Keeps what the endpoint's sockets log as errors: a check may pass while its connection breaks."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """One more."""
        self.texts.append(f"the endpoint: {self.format(record)}")


async def main() -> int:
    """Runs everything; the number of problems."""
    troubles = Troubles()
    logging.getLogger("drivers.ocpp.websockets").addHandler(troubles)
    problems: list[str] = []
    async with _endpoint() as endpoint:
        for version in VERSIONS:
            problems += [f"{version} ocpp-ws-cli: {text}" for text in await check_by_cli(endpoint, version)]
        for version in STRICT_VERSIONS:
            problems += [f"{version} ocpp-rpc: {text}" for text in await check_by_rpc(endpoint, version)]
    problems += troubles.texts
    for problem in problems:
        print(f"FAILED {problem}", file=sys.stderr)  # noqa: T201
    return len(problems)


if __name__ == "__main__":
    sys.exit(1 if asyncio.run(main()) else 0)
