"""The simulator process: a neighbourhood whose devices speak their real protocols on real sockets.

It binds the broker and every Modbus server, tells the ports, and waits until it is told that the
controller is up. Chargers connect and meters tell their first values while the time still stands; then
the clock is announced as running, and from there the world follows it step by step. All devices live on
one event loop. If the machine is too slow for the speed that was asked for, the world catches up in
several steps at once: the clock never waits, and `lag_s_max` says how far behind it was.

With a number of quarter-hours it ends by itself: a little after the last one, so that the controller can
settle it, it writes its part of the summary. On SIGTERM it closes everything and writes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import math
import os
import resource
import signal
import ssl
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from controller.domain.ids import AssetId
from controller.domain.time import QUARTER, DomainClock, ScaledDomainClock, quarter_start, sleep_until
from drivers.mqtt.codec import AnnouncedClock
from sim.baseline_process import BaselineJob, BaselineProcess
from sim.chargers.client import SimulatedCharger
from sim.chargers.faults import Fault
from sim.config import SimConfig, read_passwords
from sim.endpoints.api_client import ApiClient
from sim.endpoints.fleet import Fleet
from sim.endpoints.grid import GridOperator, congestion_node
from sim.endpoints.meters import MeterBank, MeterMessage
from sim.endpoints.modbus import SunSpecServer
from sim.endpoints.mqtt import MeterBroker
from sim.endpoints.physics import Roof, Socket, Storage, node_indices
from sim.endpoints.registers import BatteryRegisters, InverterRegisters
from sim.payments.provider import SimulatedPayments
from sim.payments.server import serve_payments
from sim.scenarios.build import build
from sim.scenarios.load import load_scenario
from sim.scenarios.scenario import Scenario
from sim.scenarios.series import PriceSeries, Weather, read_prices, read_weather
from sim.summary import summarise
from sim.world import World

GRACE = timedelta(minutes=3)
"""The last quarter-hour gets this long to be settled."""
OPEN_END = timedelta(days=30)
"""A run without an end must have prices and weather for so long."""
CONNECT_TIMEOUT_S = 120.0
"""Chargers that are not connected by then do not hold up the time."""
CONNECT_RATE_PER_S = 150.0
"""First connections are spread so that the controller is not overrun."""
COMPARED_DAYS_SMALL, COMPARED_DAYS_LARGE = 7, 2
"""A run without an end is compared for so long: small neighbourhoods longer, as they are quick."""
_SMALL = 100
"""Charge points."""
REGISTERS_TOLD_WITHIN_S = 60.0
"""Registers leave in turns after a quarter-hour: two thousand messages at once would hold up all others."""
_ANCHOR_DELAY_S = 0.1
_FAREWELL_S = 0.2
"""So long the broker gets to tell everyone that the time has ended."""
_POLL_S = 0.05
_WAITING_ANCHOR_S = 2.0
_MIB_KIB = 1024
_log = structlog.get_logger("sim")


class HeldClock:
    """The simulator's own clock: stands at the start until it is let go, and at the end."""

    def __init__(self, start: datetime, speed: float) -> None:
        self._clock = ScaledDomainClock(
            anchor_domain=start, anchor_unix_s=time.time() + _WAITING_ANCHOR_S, speed=speed
        )
        self._running = False

    def announced(self) -> AnnouncedClock:
        """What to tell others."""
        return AnnouncedClock(clock=self._clock, running=self._running)

    def let_go(self) -> None:
        """Starts the time, a moment from now."""
        self._clock = replace(self._clock, anchor_unix_s=time.time() + _ANCHOR_DELAY_S)
        self._running = True

    def stop(self, at: datetime) -> None:
        """Ends the time: it stands at `at` from now on."""
        self._clock = replace(self._clock, anchor_domain=at)
        self._running = False

    def now(self) -> datetime:
        """Now, UTC; never before the start."""
        return self.announced().now()

    def machine_s(self, span: timedelta) -> float:
        """How long [s] a span of domain time lasts on the machine clock."""
        return self._clock.machine_s(span)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Everything that a run is made from."""

    scenario: Scenario
    prices: PriceSeries
    weather: Weather


def read_inputs(config: SimConfig) -> Inputs:
    """Reads scenario, prices and weather.

    Raises:
        InputProblemsError: If one of them has problems inside the simulated span.
    """
    start = config.start_utc
    end = start + (OPEN_END if config.quarters is None else config.quarters * QUARTER)
    spec = load_scenario(config.scenario)
    scenario = build(spec, seed=config.seed, start=start)
    return Inputs(
        scenario=scenario,
        prices=read_prices(config.prices, start, end),
        weather=read_weather(config.weather, start, end, seed=config.seed, where=scenario.site.location),
    )


class Simulator:
    """One neighbourhood on sockets."""

    def __init__(self, config: SimConfig, inputs: Inputs) -> None:
        self._config, self._inputs = config, inputs
        scenario = inputs.scenario
        self.clock = HeldClock(config.start_utc, config.speed)
        self.world = World(
            scenario,
            weather=inputs.weather,
            start=config.start_utc,
            seed=config.seed,
            step_s=config.step_s,
        )
        self._step = timedelta(seconds=config.step_s)
        self._broker = MeterBroker()
        self._meters = MeterBank(self.world, scenario.publish)
        self._untold: list[MeterMessage] = []
        self._told_per_step = math.ceil(len(self._meters.ids) * config.step_s / REGISTERS_TOLD_WITHIN_S)
        self._servers = _modbus_servers(self.world, self.clock)
        spread_s = len(scenario.site.charge_points) / CONNECT_RATE_PER_S
        authority = config.ocpp_authority_file
        tls = None if authority is None else ssl.create_default_context(cafile=authority)
        passwords = {} if config.ocpp_passwords_file is None else read_passwords(config.ocpp_passwords_file)
        self._chargers = [
            SimulatedCharger(
                point=point,
                url=config.ocpp_url,
                physics=Socket(self.world, i),
                version=truth.version,
                faults=truth.faults,
                tls=tls,
                password=passwords.get(point.id),
                seed=config.seed,
                meter_interval_s=scenario.publish.charger_s,
                start_spread_s=spread_s,
            )
            for i, (point, truth) in enumerate(
                zip(scenario.site.charge_points, scenario.chargers, strict=True)
            )
        ]
        self._payments_url = ""
        self.lag_s_max = 0.0
        """The most that the world was behind the clock, domain time [s]."""

    async def run(self) -> None:
        """Runs to the end of the last quarter-hour, or until cancelled."""
        config = self._config
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._broker)
            for server in self._servers.values():
                await stack.enter_async_context(server)
            if config.payments_key:
                payments = serve_payments(SimulatedPayments(), api_key=config.payments_key)
                self._payments_url = await stack.enter_async_context(payments)
            baselines = await stack.enter_async_context(self._baselines())
            fleet_api = await stack.enter_async_context(ApiClient(config.api_url, config.fleet_token))
            grid_api = await stack.enter_async_context(ApiClient(config.api_url, config.grid_token))
            self._broker.announce(self.clock.announced())
            write_json(config.ready_file, self.ports())
            await self._told_to_start()
            # What was built until here lives as long as the process: the collector need not go through it.
            gc.collect()
            gc.freeze()
            fleet, grid = Fleet(fleet_api), self._grid_operator(grid_api)
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(charger.run()) for charger in self._chargers]
                tasks.append(group.create_task(fleet.run()))
                await self._introduce(fleet)
                self.clock.let_go()
                self._broker.announce(self.clock.announced())
                _log.info("time_runs", speed=config.speed)
                tasks.append(group.create_task(self._act(grid)))
                await self._follow(fleet, baselines)
                # Computing the baselines may take longer; nobody must go on meanwhile as if time passed.
                self.clock.stop(self.world.now)
                self._broker.announce(self.clock.announced())
                await asyncio.sleep(_FAREWELL_S)
                for task in tasks:
                    task.cancel()
            if config.summary_file is not None:
                write_json(config.summary_file, await self._summary(baselines, grid))

    def ports(self) -> dict[str, Any]:
        """What the parent needs to know: ports by device, and the process."""
        return {
            "mqtt_port": self._broker.port,
            "modbus": {str(asset): server.port for asset, server in self._servers.items()},
            "payments_url": self._payments_url,
            "pid": os.getpid(),
        }

    # --- before the time runs ---

    def _baselines(self) -> BaselineProcess:
        quarters = self._config.quarters
        if quarters is None:
            small = len(self._chargers) <= _SMALL
            quarters = 96 * (COMPARED_DAYS_SMALL if small else COMPARED_DAYS_LARGE)
        inputs = self._inputs
        return BaselineProcess(
            BaselineJob(
                scenario=inputs.scenario, weather=inputs.weather, prices=inputs.prices, quarters=quarters
            )
        )

    async def _told_to_start(self) -> None:
        # A file is what two processes without a common language for it can agree on.
        while not await asyncio.to_thread(self._config.start_when_file.exists):  # noqa: ASYNC110  # no event to wait for
            await asyncio.sleep(_POLL_S)

    async def _introduce(self, fleet: Fleet) -> None:
        """While the time stands: chargers connect, meters tell their first values, the fleet its bookings."""
        now = self.world.now
        for charger in self._chargers:
            charger.tick(now)
        fleet.announce(self.world.trips_announced(now))
        numbers = range(len(self._meters.ids))
        await self._broker.publish([self._meters.live_message(number) for number in numbers])
        await self._broker.publish([self._meters.register_message(number) for number in numbers])
        # One with a wrong certificate would hold up all others for nothing.
        awaited = [each for each in self._chargers if Fault.WRONG_CERTIFICATE not in each.core.faults]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await fleet.told()
                while not all(charger.connected for charger in awaited):  # noqa: ASYNC110  # seen by looking
                    await asyncio.sleep(_POLL_S)
        missing = sum(not charger.connected for charger in self._chargers)
        if missing:
            _log.warning("chargers_not_connected", missing=missing)

    def _grid_operator(self, api: ApiClient) -> GridOperator:
        node, base_kw = congestion_node(self.world)
        return GridOperator(api, node=node.id, capacity_kw=node.import_limit_kw(), base_kw=base_kw)

    # --- while the time runs ---

    async def _act(self, grid: GridOperator) -> None:
        """The grid operator looks at its clock once a minute."""
        minute = timedelta(minutes=1)
        while True:
            await sleep_until(self.clock, self.clock.now() + minute)
            await grid.act(self.clock.now)

    async def _follow(self, fleet: Fleet, baselines: BaselineProcess) -> None:
        """Lets the world follow the clock until the end."""
        quarters, start = self._config.quarters, self._config.start_utc
        end = None if quarters is None else start + quarters * QUARTER + GRACE
        while end is None or self.world.now < end:
            await sleep_until(self.clock, self.world.now + self._step)
            clock_now = self.clock.now()
            if clock_now < self.world.now + self._step:
                # The timer came a hair early.
                continue
            self.lag_s_max = max(self.lag_s_max, (clock_now - self.world.now - self._step).total_seconds())
            # Never over a quarter-hour's end: registers are told as they were there.
            self.world.advance(min(clock_now, quarter_start(self.world.now) + QUARTER))
            await self._speak(fleet, baselines)

    async def _speak(self, fleet: Fleet, baselines: BaselineProcess) -> None:
        """All devices look at the world as it is now."""
        now, meters = self.world.now, self._meters
        for charger in self._chargers:
            charger.tick(now)
        for server in self._servers.values():
            server.tick(now)
        fleet.announce(self.world.trips_announced(now))
        if meters.quarter_ended():
            self._untold += [meters.register_message(number) for number in range(len(meters.ids))]
            self._compare(baselines)
        turn = self._untold[: self._told_per_step]
        del self._untold[: self._told_per_step]
        await self._broker.publish([*(meters.live_message(number) for number in meters.due()), *turn])

    def _compare(self, baselines: BaselineProcess) -> None:
        """Tells what the nodes would have drawn in the quarter-hour that begins now."""
        quarter = (self.world.now - self._config.start_utc) // QUARTER
        if quarter >= len(baselines.node_kw):
            return
        by_baseline = baselines.node_kw[quarter]
        self._broker.compare(
            {
                str(node.id): {name: float(kw[i]) for name, kw in by_baseline.items()}
                for i, node in enumerate(self.world.site.network.nodes)
            }
        )

    # --- at the end ---

    async def _summary(self, baselines: BaselineProcess, grid: GridOperator) -> dict[str, Any]:
        quarters = self._config.quarters
        if quarters is None:
            raise ValueError("a run without an end has no summary")
        _log.info("baselines_awaited", lag_s_max=round(self.lag_s_max, 1))
        inputs = self._inputs
        summary = summarise(
            scenario=inputs.scenario,
            weather=inputs.weather,
            prices=inputs.prices,
            quarters=quarters,
            controlled=self.world.recorder,
            baselines=await baselines.books(),
            imposed=grid.imposed,
            speed=self._config.speed,
        )
        return {
            **summary,
            "ocpp_answers": _answer_times(self._chargers),
            "memory_mib_max": {"simulator": memory_mib_max()},
        }


def _answer_times(chargers: Sequence[SimulatedCharger]) -> dict[str, float]:
    """How long the chargers waited for answers to their calls, machine time."""
    waited_ms = 1000.0 * np.concatenate([charger.core.outbox.waited_s for charger in chargers])
    if not waited_ms.size:
        return {"count": 0}
    p50, p99 = np.percentile(waited_ms, [50, 99]).round(1).tolist()
    return {
        "count": waited_ms.size,
        "ms_median": p50,
        "ms_p99": p99,
        "ms_max": round(float(waited_ms.max()), 1),
    }


def _modbus_servers(world: World, clock: DomainClock) -> dict[AssetId, SunSpecServer]:
    """A server per roof and per battery."""
    site, node = world.site, node_indices(world)
    servers: dict[AssetId, SunSpecServer] = {}
    for i, roof in enumerate(site.pv):
        inverter = InverterRegisters(
            Roof(world, i, node[roof.node]), serial=str(roof.id), rated_kw=roof.rated_kw
        )
        servers[roof.id] = SunSpecServer(inverter, clock)
    for i, battery in enumerate(site.batteries):
        storage = BatteryRegisters(
            Storage(world, i, node[battery.node]),
            serial=str(battery.id),
            charge_kw_max=battery.charge_kw_max,
            discharge_kw_max=battery.discharge_kw_max,
        )
        servers[battery.id] = SunSpecServer(storage, clock)
    return servers


def memory_mib_max() -> int:
    """The most memory that this process ever held [MiB]."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MIB_KIB)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Writes a file that is either not there or whole: others wait for it."""
    draft = path.with_name(f".{path.name}.part")
    draft.write_text(json.dumps(content, indent=2), encoding="utf-8")
    draft.replace(path)


async def simulate(config: SimConfig) -> None:
    """Runs a simulator until its end or until SIGTERM or SIGINT.

    Raises:
        InputProblemsError: If an input has problems.
        StartUpError: If a port cannot be bound.
    """
    simulator = Simulator(config, read_inputs(config))
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    running = asyncio.create_task(simulator.run())
    asked = asyncio.create_task(stop.wait())
    await asyncio.wait({running, asked}, return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    if not running.done():
        _log.info("stopping")
        running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
