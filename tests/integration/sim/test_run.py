"""The simulator process from outside: real processes, real sockets, the drivers that the controller uses."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from controller.domain.ids import AssetId
from controller.domain.setpoints import Applied
from controller.domain.site import Site
from controller.domain.telemetry import (
    CarReading,
    ConnectorReading,
    InverterReading,
    MeterReading,
    StorageReading,
)
from controller.domain.time import QUARTER
from drivers.mqtt.clock import FollowedClock, announced_clock
from drivers.mqtt.meters import MqttMeters
from drivers.ocpp.endpoint import OcppEndpoint
from drivers.sunspec.device import SunSpecBattery, SunSpecInverter
from sim.config import SimConfig, read_config
from sim.run import read_inputs
from tests.support import sim
from tests.support.brokers import free_port
from tests.support.devices import Readings, setpoint, until

_HOST = "127.0.0.1"
_SPEED = 300.0


def _settings(folder: Path, **changes: Any) -> Path:
    """A corner of a street, one quarter-hour from noon at a high speed."""
    scenario = folder / "corner.toml"
    scenario.write_text(tomli_w.dumps(sim.corner()), encoding="utf-8")
    settings = {
        "scenario": str(scenario),
        "seed": 1,
        "start_utc": "2024-01-15T11:00:00Z",
        "speed": _SPEED,
        "ocpp_url": f"ws://{_HOST}:{free_port()}/ocpp",
        "api_url": f"http://{_HOST}:{free_port()}",
        "fleet_token": "f",
        "grid_token": "g",
        "ready_file": str(folder / "ready.json"),
        "start_when_file": str(folder / "start"),
        "summary_file": str(folder / "summary.json"),
        "quarters": 1,
        **changes,
    }
    path = folder / "sim.json"
    path.write_text(json.dumps(settings), encoding="utf-8")
    return path


@asynccontextmanager
async def _process(settings: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sim", "--config", str(settings), stderr=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def _ready(config: SimConfig) -> dict[str, Any]:
    await until(config.ready_file.exists, timeout_s=60)
    ports: dict[str, Any] = json.loads(config.ready_file.read_text(encoding="utf-8"))
    return ports


async def _booking_taker(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The controller's API as far as the fleet needs it."""
    while await reader.readline():
        length = 0
        while (line := (await reader.readline()).decode().strip().lower()) != "":
            if line.startswith("content-length:"):
                length = int(line.split(":")[1])
        await reader.readexactly(length)
        writer.write(b"HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}")
    writer.close()


async def test_a_quarter_hour_on_real_sockets(tmp_path: Path) -> None:
    """Chargers connect, every device speaks and obeys, and the summary is there at the end."""
    settings = _settings(tmp_path)
    config = read_config(settings)
    site = read_inputs(config).scenario.site
    sink = Readings()
    async with _process(settings) as process, AsyncExitStack() as stack:
        ports = await _ready(config)
        clock = FollowedClock(await announced_clock(_HOST, ports["mqtt_port"], 10.0))
        assert clock.now() == config.start_utc
        api = await asyncio.start_server(_booking_taker, _HOST, int(config.api_url.rpartition(":")[2]))
        stack.callback(api.close)
        meters = MqttMeters(
            host=_HOST,
            port=ports["mqtt_port"],
            sink=sink,
            clock=clock,
            meters=[*(load.id for load in site.loads), *(node.id for node in site.network.nodes)],
            on_clock=clock.follow,
        )
        await stack.enter_async_context(meters)
        battery = _battery(ports, sink, clock)
        await stack.enter_async_context(battery)
        roof = site.pv[0]
        inverter = SunSpecInverter(
            roof.id,
            host=_HOST,
            port=ports["modbus"][roof.id],
            sink=sink,
            clock=clock,
            rated_kw=roof.rated_kw,
        )
        await stack.enter_async_context(inverter)
        chargers = OcppEndpoint(
            host=_HOST,
            port=int(config.ocpp_url.rpartition(":")[2].partition("/")[0]),
            charge_points=site.charge_point_by_id,
            tokens=frozenset(site.vehicle_by_token),
            sink=sink,
            clock=clock,
            call_timeout_s=5.0,
        )
        await stack.enter_async_context(chargers)
        config.start_when_file.touch()
        await asyncio.wait_for(clock.running(), 60)
        assert chargers.connected() == len(site.charge_points)
        command = setpoint("battery-1", 5.0, now=clock.now(), holds_s=7200)
        assert await battery.set_power(command) == Applied(setpoint=command)
        assert await asyncio.wait_for(process.wait(), 60) == 0
    assert (meters.malformed, meters.unknown_meters) == (0, 0)
    assert_everything_spoke(sink, config, site)
    summary = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert (summary["quarters"], summary["speed"], summary["direct"]) == (1, _SPEED, False)
    assert set(summary["limit_violations"]) == {
        "controlled",
        "plug_and_charge",
        "price_following",
        "fixed_cap",
    }
    assert summary["memory_mib_max"]["simulator"] > 0
    assert_answers_were_timed(summary["ocpp_answers"], at_least=len(site.charge_points))


def assert_answers_were_timed(answers: dict[str, float], *, at_least: int) -> None:
    """As many answers as there must have been, in milliseconds."""
    assert answers["count"] >= at_least
    assert 0.0 < answers["ms_median"] <= answers["ms_p99"] <= answers["ms_max"]


def assert_everything_spoke(sink: Readings, config: SimConfig, site: Site) -> None:
    """Every meter told its register at the quarter-hour's end, and every kind of device its state."""
    at_boundary = {
        reading.meter
        for reading in sink.of(MeterReading)
        if reading.at == config.start_utc + QUARTER and reading.import_wh is not None
    }
    metered = {node.id for node in site.network.nodes if node.metered}
    assert at_boundary >= {load.id for load in site.loads} | metered | {battery_id(), site.pv[0].id}
    assert any(reading.power_kw == pytest.approx(5.0) for reading in sink.of(StorageReading))
    assert any(reading.power_kw for reading in sink.of(InverterReading))
    assert {reading.charge_point for reading in sink.of(ConnectorReading)} == set(site.charge_point_by_id)
    assert sink.of(CarReading)


def battery_id() -> AssetId:
    """The corner's battery."""
    return AssetId("battery-1")


def _battery(ports: dict[str, Any], sink: Readings, clock: FollowedClock) -> SunSpecBattery:
    return SunSpecBattery(
        battery_id(),
        host=_HOST,
        port=ports["modbus"]["battery-1"],
        sink=sink,
        clock=clock,
        rated_kw=10.0,
    )


async def test_terminated_simulator_closes_cleanly(tmp_path: Path) -> None:
    """SIGTERM while it waits ends it with status 0, ports closed and no summary."""
    settings = _settings(tmp_path)
    config = read_config(settings)
    async with _process(settings) as process:
        ports = await _ready(config)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 20) == 0
        with pytest.raises(OSError, match="Connect"):
            await asyncio.open_connection(_HOST, ports["mqtt_port"])
    assert not (tmp_path / "summary.json").exists()


async def test_wrong_input_is_told_and_ends_with_status_2(tmp_path: Path) -> None:
    """A scenario that is not there is named, and nothing is started."""
    settings = _settings(tmp_path, scenario=str(tmp_path / "nowhere.toml"))
    async with _process(settings) as process:
        _, errors = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 2
    assert "nowhere.toml" in errors.decode()
    assert not (tmp_path / "ready.json").exists()
