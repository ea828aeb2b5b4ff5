"""The demo on sockets: a simulator and a controller as child processes, and what ties them together.

The simulator is started first and tells its ports; then the site file is written and the controller
started; when its web page answers, the time begins to run. The simulator survives its controller: kill
the controller and start it again with the printed command, and it goes on where it stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from controller.bootstrap import create_token
from controller.config import (
    ModbusSettings,
    MqttSettings,
    OcppSettings,
    PriceSettings,
    Settings,
    site_file_text,
)
from controller.demo.charging import demo_charging
from controller.demo.options import DATABASE, DemoOptions, new_database
from controller.demo.simulated import Simulated
from controller.demo.start import OUT, write_whole
from controller.domain.errors import StartUpError
from controller.domain.time import utc_text
from controller.guest_settings import GuestSettings
from controller.price_file import write_price_file
from controller.runtime.ports import Role
from controller.web_settings import WebSettings

HOST = "127.0.0.1"
CONTROLLER_START_S = 120.0
SIMULATOR_START_S = 120.0
STOP_S = 30.0
POLL_S = 0.1


@dataclass(frozen=True)
class Files:
    """The demo's files in its data folder."""

    folder: Path

    @property
    def site(self) -> Path:
        """The site file of the controller."""
        return self.folder / "site.toml"

    @property
    def prices(self) -> Path:
        """The day-ahead prices."""
        return self.folder / "prices.csv"

    @property
    def simulator(self) -> Path:
        """The simulator's settings."""
        return self.folder / "simulator.json"

    @property
    def simulator_ready(self) -> Path:
        """The simulator's ports."""
        return self.folder / "simulator-ready.json"

    @property
    def payments_key(self) -> Path:
        """What the simulated payment provider knows the controller by."""
        return self.folder / "payments.key"

    @property
    def start(self) -> Path:
        """The time runs once this is there."""
        return self.folder / "start"

    @property
    def simulator_summary(self) -> Path:
        """The simulator's part of the summary."""
        return self.folder / "simulator-summary.json"

    @property
    def controller_report(self) -> Path:
        """The controller's part of the summary."""
        return self.folder / "controller-report.json"

    @property
    def controller_pid(self) -> Path:
        """The controller that runs now, which may have been started again by hand."""
        return self.controller_report.with_suffix(".pid")


def run_processes(options: DemoOptions, simulated: Simulated) -> dict[str, Any] | None:
    """Runs the demo until it ends or is interrupted; gives the summary where it ended by itself."""
    check_port_free(options.port)
    with ExitStack() as stack:
        if options.data is None:
            scratch = stack.enter_context(
                tempfile.TemporaryDirectory(prefix="wijkstroom-", ignore_cleanup_errors=True)
            )
            folder = Path(scratch)
        else:
            folder = options.data.absolute()
        new_database(folder)
        files = Files(folder)
        # A terminal's "stop" and a service manager's are the same to us.
        signal.signal(signal.SIGTERM, _interrupt)
        return _run(options, simulated, files)


def _run(options: DemoOptions, simulated: Simulated, files: Files) -> dict[str, Any] | None:
    ocpp_port = free_port()
    write_price_file(files.prices, simulated.price_table())
    # Tokens need the database, which needs the site file; its Modbus ports come with the simulator.
    settings = replace(
        simulated.settings(),
        database=DATABASE,
        web=WebSettings(host=HOST, port=options.port),
        ocpp=OcppSettings(host=HOST, port=ocpp_port),
        prices=PriceSettings(file=files.prices.name),
    )
    files.site.write_text(site_file_text(simulated.scenario.site, settings), encoding="utf-8")
    tokens = asyncio.run(_tokens(files.site, simulated))
    files.payments_key.unlink(missing_ok=True)
    files.payments_key.touch(mode=0o600)
    files.payments_key.write_text(f"{secrets.token_urlsafe(32)}\n", encoding="utf-8")
    write_whole(
        files.simulator, _simulator_settings(options, simulated, files, ocpp_port, tokens), secret=True
    )
    for stale in (files.simulator_ready, files.start, files.simulator_summary, files.controller_report):
        stale.unlink(missing_ok=True)
    OUT.print(f"Data folder: {files.folder}")
    OUT.print("Starting the simulated neighbourhood ...")
    with child([sys.executable, "-m", "sim", "--config", str(files.simulator)]) as simulator:
        _wait(simulator, "the simulator", files.simulator_ready.exists, SIMULATOR_START_S)
        ports = json.loads(files.simulator_ready.read_text(encoding="utf-8"))
        _connect(files, simulated, settings, ports)
        command = [
            sys.executable,
            "-m",
            "controller",
            "run",
            str(files.site),
            "--report",
            str(files.controller_report),
        ]
        OUT.print("Starting the controller ...")
        with child(command) as controller:
            url = f"http://{HOST}:{options.port}"
            _wait(controller, "the controller", lambda: _answers(f"{url}/api/health"), CONTROLLER_START_S)
            ready = {
                "url": url,
                "ocpp_url": f"ws://{HOST}:{ocpp_port}/ocpp",
                "pids": {"controller": controller.pid, "simulator": simulator.pid},
                "tokens": tokens,
                "guest_point": simulated.scenario.site.charge_points[0].id,
                "restart_command": shlex.join(command),
            }
            _announce(options, ready)
            files.start.write_text("", encoding="utf-8")
            if options.ready is not None:
                write_whole(options.ready, ready, secret=True)
            return _watch(controller, simulator, files, ready)


async def _tokens(site: Path, simulated: Simulated) -> dict[str, str]:
    """One token for each role; the resident's opens the data of a household with a car of its own."""
    neighbourhood = simulated.scenario.site
    owners = {car.member for car in neighbourhood.vehicles}
    homes = [load.member for load in neighbourhood.loads]
    fleets = [member.id for member in neighbourhood.members if member.kind == "fleet"]
    members = {
        Role.RESIDENT: next((home for home in homes if home in owners), homes[0]),
        Role.FLEET: fleets[0] if fleets else None,
    }
    return {
        role.value: await create_token(
            site, role=role, member=members.get(role), label=f"demo {role.value}", who="demo"
        )
        for role in Role
    }


def _simulator_settings(
    options: DemoOptions, simulated: Simulated, files: Files, ocpp_port: int, tokens: dict[str, str]
) -> dict[str, Any]:
    return {
        "scenario": options.scenario,
        "seed": options.seed,
        "start_utc": utc_text(simulated.start),
        "speed": options.speed,
        "ocpp_url": f"ws://{HOST}:{ocpp_port}/ocpp",
        "api_url": f"http://{HOST}:{options.port}",
        "fleet_token": tokens[Role.FLEET.value],
        "grid_token": tokens[Role.GRID.value],
        "payments_key": files.payments_key.read_text(encoding="utf-8").strip(),
        "ready_file": str(files.simulator_ready),
        "start_when_file": str(files.start),
        "prices": str(options.prices.absolute()) if options.prices is not None else None,
        "weather": str(options.weather.absolute()) if options.weather is not None else None,
        "quarters": options.quarters,
        "summary_file": str(files.simulator_summary) if options.quarters is not None else None,
    }


def _connect(files: Files, simulated: Simulated, settings: Settings, ports: dict[str, Any]) -> None:
    """Writes the site file again, now that the devices' addresses are known."""
    settings = replace(
        settings,
        clock="mqtt",
        charging=demo_charging(settings.charging),
        guests=GuestSettings(provider_url=ports["payments_url"], provider_key_file=files.payments_key.name),
        mqtt=MqttSettings(host=HOST, port=ports["mqtt_port"]),
        modbus=ModbusSettings(
            poll_s=simulated.scenario.publish.modbus_s,
            devices={asset: f"{HOST}:{port}" for asset, port in ports["modbus"].items()},
        ),
    )
    files.site.write_text(site_file_text(simulated.scenario.site, settings), encoding="utf-8")


def _announce(options: DemoOptions, ready: dict[str, Any]) -> None:
    url, tokens = ready["url"], ready["tokens"]
    OUT.print(f"\nThe neighbourhood runs at {options.speed:g} times real time. Console: {url}")
    for role, token in tokens.items():
        if role != Role.SUPPLIER:  # it has no page, only its API
            OUT.print(f"  as {role:9} {url}/?token={token}")
    OUT.print(f"  as {'a guest':9} {url}/guest/{ready['guest_point']}")
    OUT.print(f"Chargers connect to {ready['ocpp_url']}/ID")
    OUT.print(f"Restart the controller with: {ready['restart_command']}")
    OUT.print(
        "Stop with Ctrl+C." if options.quarters is None else f"Ends after {options.quarters} quarter-hours."
    )


def _watch(
    controller: subprocess.Popen[bytes],
    simulator: subprocess.Popen[bytes],
    files: Files,
    ready: dict[str, Any],
) -> dict[str, Any] | None:
    """Waits for the end. A controller that dies is the simulated chargers' problem, and the operator's."""
    told = False
    while simulator.poll() is None:
        time.sleep(POLL_S)
        if controller.poll() is not None and not told:
            told = True
            OUT.print(
                f"The controller has ended (status {controller.returncode}); the neighbourhood goes on."
            )
            OUT.print(f"Start it again with: {ready['restart_command']}")
    if simulator.returncode != 0:
        raise StartUpError(f"the simulator ended with status {simulator.returncode}")
    if not files.simulator_summary.exists():
        return None
    _end_controller(controller, files)
    summary: dict[str, Any] = json.loads(files.simulator_summary.read_text(encoding="utf-8"))
    if not files.controller_report.exists():
        raise StartUpError("the controller ended without its part of the summary: see its messages above")
    report: dict[str, Any] = json.loads(files.controller_report.read_text(encoding="utf-8"))
    memory = {**report["memory_mib_max"], **summary.get("memory_mib_max", {})}
    return {**summary, **report, "memory_mib_max": memory}


def _end_controller(controller: subprocess.Popen[bytes], files: Files) -> None:
    """Asks the controller to end and report: the one we started, or the one that was started in its place."""
    stop(controller)
    if files.controller_report.exists() or not files.controller_pid.exists():
        return
    pid = int(files.controller_pid.read_text(encoding="utf-8"))
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_S
    while not files.controller_report.exists() and time.monotonic() < deadline:
        time.sleep(POLL_S)


@contextmanager
def child(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A child process in a group of its own (Ctrl+C reaches it through us), ended with its block."""
    process = subprocess.Popen(command, start_new_session=True)  # noqa: S603  # our own modules
    try:
        yield process
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Asks a process to end, and makes it end."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait(process: subprocess.Popen[bytes], name: str, there: Callable[[], bool], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not there():
        if process.poll() is not None:
            raise StartUpError(f"{name} ended with status {process.returncode} before it was up")
        if time.monotonic() > deadline:
            raise StartUpError(f"{name} was not up within {timeout_s:g} s")
        time.sleep(POLL_S)


def _answers(url: str) -> bool:
    with (
        contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError),
        urllib.request.urlopen(url, timeout=2.0) as answer,  # noqa: S310  # our own loopback address
    ):
        return bool(answer.status == 200)
    return False


def check_port_free(port: int) -> None:
    """Refuses a port on which somebody else listens.

    Raises:
        StartUpError: With the way out.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise StartUpError(f"port {port} on {HOST} is taken: name another one with --port") from error


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt
