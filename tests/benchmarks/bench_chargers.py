"""A thousand chargers over TLS: half an hour in real time, then all links cut and back within ten seconds.

The simulated district with all its protocols, at the speed of life; each charger tells its meter values
every ten seconds. Between chargers and controller stands a relay of bytes, which is what cuts the links.
`BENCH_MINUTES` shortens the half hour.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import secrets
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import httpx

from controller.bootstrap import create_token
from controller.config import (
    ModbusSettings,
    MqttSettings,
    OcppSettings,
    PlanningSettings,
    PriceSettings,
    site_file_text,
)
from controller.demo.options import DemoOptions
from controller.demo.processes import HOST, child, free_port
from controller.demo.simulated import Simulated, read_simulated
from controller.domain.time import utc_text
from controller.price_file import write_price_file
from controller.runtime.ports import Role
from controller.web_settings import WebSettings
from tests.support.certificates import TestAuthority

MINUTES = 30
METER_VALUES_S = 10
CUT_WITHIN_S = 10.0
BACK_WITHIN_S = 60.0
LOOK_S = 1.0
UP_S = 180.0
MIB = 1024 * 1024


class Relay:
    """Passes bytes on between chargers and the controller, until it cuts a link."""

    def __init__(self, port: int) -> None:
        """To the controller's port."""
        self._to = port
        self._server: asyncio.Server | None = None
        self._links: set[asyncio.StreamWriter] = set()

    @property
    def port(self) -> int:
        """Where chargers connect."""
        if self._server is None:
            raise RuntimeError("the relay is not open")
        return int(self._server.sockets[0].getsockname()[1])

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._pass_on, HOST, 0, backlog=2000)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        for link in list(self._links):
            link.transport.abort()

    async def cut_all(self, within_s: float) -> int:
        """Cuts every link that stands now, one after the other; how many there were."""
        links = list(self._links)
        for link in links:
            link.transport.abort()
            await asyncio.sleep(within_s / max(1, len(links)))
        return len(links)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            onward_reader, onward = await asyncio.open_connection(HOST, self._to)
        except OSError:
            writer.transport.abort()
            return
        self._links.add(writer)
        ways = [
            asyncio.create_task(_pump(reader, onward)),
            asyncio.create_task(_pump(onward_reader, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            self._links.discard(writer)
            writer.transport.abort()
            onward.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()


class District:
    """The files of one run, and the two processes."""

    def __init__(self, folder: Path, minutes: int) -> None:
        """Writes what does not depend on ports."""
        self.folder, self.minutes = folder, minutes
        # Some minutes more: afterwards everybody drops, returns and is planned again.
        self.quarters = math.ceil((minutes + 5) / 15)
        scenario = folder / "district.toml"
        text = (files("sim.scenarios") / "lombok.toml").read_text(encoding="utf-8")
        scenario.write_text(text.replace("charger_s = 60", f"charger_s = {METER_VALUES_S}"), encoding="utf-8")
        options = DemoOptions(
            scenario=str(scenario),
            speed=1.0,
            direct=False,
            seed=1,
            start="2024-01-15T16:00",
            prices=None,
            weather=None,
            quarters=self.quarters,
            summary=None,
            port=0,
            data=None,
            ready=None,
        )
        self.scenario: str = str(scenario)
        self.simulated: Simulated = read_simulated(options)
        self.site = folder / "site.toml"
        self.web_port, self.ocpp_port = free_port(), free_port()
        authority = TestAuthority(folder)
        self.authority = authority.certificate_file
        certificate, key = authority.issue("controller")
        self.passwords = folder / "passwords.toml"
        points = self.simulated.scenario.site.charge_points
        lines = [f'"{point.id}" = "{secrets.token_urlsafe(24)}"\n' for point in points]
        self.passwords.write_text("".join(lines), encoding="utf-8")
        write_price_file(folder / "prices.csv", self.simulated.price_table())
        self.settings = replace(
            self.simulated.settings(),
            database="store.sqlite3",
            # As a site at the speed of life has it; the demo's district, which runs faster, plans less often.
            planning=PlanningSettings(),
            web=WebSettings(host=HOST, port=self.web_port),
            ocpp=OcppSettings(
                host=HOST,
                plain=False,
                tls_port=self.ocpp_port,
                certificate_file=certificate.name,
                key_file=key.name,
                passwords_file=self.passwords.name,
                message_log_folder="messages",
            ),
            prices=PriceSettings(file="prices.csv"),
        )
        self.write_site()

    @property
    def url(self) -> str:
        """Of the controller's web server."""
        return f"http://{HOST}:{self.web_port}"

    def write_site(self, ports: dict[str, Any] | None = None) -> None:
        """The site file, with the devices' ports once they are known."""
        settings = self.settings
        if ports is not None:
            devices = {asset: f"{HOST}:{port}" for asset, port in ports["modbus"].items()}
            poll_s = self.simulated.scenario.publish.modbus_s
            settings = replace(
                settings,
                clock="mqtt",
                mqtt=MqttSettings(host=HOST, port=ports["mqtt_port"]),
                modbus=ModbusSettings(poll_s=poll_s, devices=devices),
            )
        self.site.write_text(site_file_text(self.simulated.scenario.site, settings), encoding="utf-8")

    def write_simulator(self, relay_port: int, fleet: str, grid: str) -> Path:
        """The simulator's settings."""
        path = self.folder / "simulator.json"
        settings = {
            "scenario": self.scenario,
            "seed": 1,
            "start_utc": utc_text(self.simulated.start),
            "speed": 1.0,
            # Chargers look at their sockets once a step: in long ones they would all speak at once.
            "step_s": 1.0,
            "ocpp_url": f"wss://{HOST}:{relay_port}/ocpp",
            "ocpp_authority_file": str(self.authority),
            "ocpp_passwords_file": str(self.passwords),
            "api_url": self.url,
            "fleet_token": fleet,
            "grid_token": grid,
            "ready_file": str(self.folder / "ports.json"),
            "start_when_file": str(self.folder / "start"),
            "quarters": self.quarters,
            "summary_file": str(self.folder / "summary.json"),
        }
        path.write_text(json.dumps(settings), encoding="utf-8")
        return path

    def stored(self) -> int:
        """Messages in the controller's log."""
        return sum(path.read_bytes().count(b"\n") for path in self.folder.glob("messages/*/*.jsonl"))


async def _until(what: str, there: Callable[[], Awaitable[bool]], timeout_s: float) -> float:
    """Waits for something; how long it took [s]."""
    begun = time.perf_counter()
    while not await there():
        if time.perf_counter() - begun > timeout_s:
            raise TimeoutError(f"{what} did not come within {timeout_s:g} s")
        await asyncio.sleep(LOOK_S)
    return time.perf_counter() - begun


async def _soak(pid: int, span_s: float) -> tuple[float, list[float]]:
    """Watches a process: its share of a core, and its memory [MiB] once a second."""
    memory, begun, before_s = [], time.perf_counter(), _cpu_s(pid)
    while time.perf_counter() - begun < span_s:
        await asyncio.sleep(LOOK_S)
        memory.append(_memory_mib(pid))
    return (_cpu_s(pid) - before_s) / (time.perf_counter() - begun), memory


def _memory_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / MIB


def _cpu_s(pid: int) -> float:
    """Processor time of a process, all threads, without its children [s]."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _run(minutes: int, folder: Path) -> list[tuple[str, str]]:
    district = District(folder, minutes)
    ports, summary_file = folder / "ports.json", folder / "summary.json"
    tokens = {
        role: await create_token(district.site, role=role, member=member, label="bench", who="bench")
        for role, member in ((Role.OPERATOR, None), (Role.GRID, None), (Role.FLEET, _fleet(district)))
    }
    async with Relay(district.ocpp_port) as relay:
        simulator_file = district.write_simulator(relay.port, tokens[Role.FLEET], tokens[Role.GRID])
        with child([sys.executable, "-m", "sim", "--config", str(simulator_file)]):
            await _until("the simulator", lambda: asyncio.to_thread(ports.exists), UP_S)
            district.write_site(json.loads(ports.read_text(encoding="utf-8")))
            report = folder / "report.json"
            command = [sys.executable, "-m", "controller", "run", str(district.site), "--report", str(report)]
            headers = {"Authorization": f"Bearer {tokens[Role.OPERATOR]}"}
            with child(command) as controller:
                async with httpx.AsyncClient(base_url=district.url, headers=headers, timeout=20.0) as api:
                    rows = await _measure(district, relay, controller.pid, api)
                await _until("the end", lambda: asyncio.to_thread(summary_file.exists), 60.0 * 20)
            summary = json.loads(summary_file.read_text(encoding="utf-8"))
            told = json.loads(report.read_text(encoding="utf-8"))
    return [*rows, *_end_rows(district, summary, told)]


async def _measure(
    district: District, relay: Relay, controller_pid: int, api: httpx.AsyncClient
) -> list[tuple[str, str]]:
    count = len(district.simulated.scenario.site.charge_points)
    await _until("the controller", lambda: _healthy(api), UP_S)
    (district.folder / "start").touch()
    up_s = await _until("all chargers", lambda: _all_connected(api, count), UP_S)
    sys.stdout.write(
        f"{count} chargers connected over TLS after {up_s:.1f} s; {district.minutes} minutes follow\n"
    )
    sys.stdout.flush()
    cores, memory = await _soak(controller_pid, 60.0 * district.minutes)
    late_before = (await _state(api))["late_safety_cycles"]
    made_before = (await _plan_made(api)) or ""
    cut_at = time.perf_counter()
    links = await relay.cut_all(CUT_WITHIN_S)
    back_s = await _until("everybody", lambda: _all_connected(api, count), BACK_WITHIN_S + 60.0)
    await _until("a new plan", lambda: _newer_plan(api, made_before), BACK_WITHIN_S + 300.0)
    planned_s = time.perf_counter() - cut_at
    late = (await _state(api))["late_safety_cycles"] - late_before
    tenth = max(1, len(memory) // 10)
    early, end = sum(memory[tenth : 2 * tenth]) / tenth, sum(memory[-tenth:]) / tenth
    return [
        ("the controller's own process, of a core (goal under 0.5)", f"{cores:.2f}"),
        ("its memory, second tenth and last tenth of the time [MiB]", f"{early:.0f}, {end:.0f}"),
        (f"{links} links cut within {CUT_WITHIN_S:g} s: all back after the last cut [s]", f"{back_s:.1f}"),
        ("and planned again after the first cut [s] (goal 60)", f"{planned_s:.1f}"),
        ("safety cycles late meanwhile (goal 0)", f"{late}"),
    ]


def _end_rows(district: District, summary: dict[str, Any], told: dict[str, Any]) -> list[tuple[str, str]]:
    answers = summary["ocpp_answers"]
    exchanged, stored = told["messages"]["ocpp"], district.stored()
    cycles = told["safety_cycles"]
    return [
        ("messages with chargers; of these stored", f"{exchanged}; {stored}"),
        (
            "answers: median, p99 (goal under 250), longest [ms]",
            "{ms_median:.1f}, {ms_p99:.1f}, {ms_max:.0f} of {count}".format(**answers),
        ),
        ("safety cycles late in the whole run", f"{cycles['late']} of {cycles['total']}"),
        ("limits broken", f"{summary['limit_violations']['controlled']}"),
    ]


def _fleet(district: District) -> str | None:
    members = district.simulated.scenario.site.members
    return next((member.id for member in members if member.kind == "fleet"), None)


async def _healthy(api: httpx.AsyncClient) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return (await api.get("/api/health")).status_code == 200
    return False


async def _state(api: httpx.AsyncClient) -> dict[str, Any]:
    answer = await api.get("/api/operator/state")
    answer.raise_for_status()
    state: dict[str, Any] = answer.json()
    return state


async def _all_connected(api: httpx.AsyncClient, count: int) -> bool:
    chargers = (await api.get("/api/operator/chargers")).json()
    return [charger["connected"] for charger in chargers].count(True) == count


async def _plan_made(api: httpx.AsyncClient) -> str | None:
    answer = await api.get("/api/operator/plan")
    return str(answer.json()["made_at_utc"]) if answer.status_code == 200 else None


async def _newer_plan(api: httpx.AsyncClient, than: str) -> bool:
    made = await _plan_made(api)
    return made is not None and made > than


def main() -> None:
    """Runs it and prints a table."""
    minutes = int(os.environ.get("BENCH_MINUTES", MINUTES))
    with TemporaryDirectory(prefix="wijkstroom-bench-", ignore_cleanup_errors=True) as folder:
        rows = asyncio.run(_run(minutes, Path(folder)))
    for name, value in rows:
        sys.stdout.write(f"{name:72} {value}\n")


if __name__ == "__main__":
    main()
