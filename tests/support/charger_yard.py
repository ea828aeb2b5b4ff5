"""A controller with real chargers on real sockets and the console over it, on a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from controller.api.app import create_app
from controller.api.server import WebServer
from controller.domain.ids import AssetId
from controller.domain.telemetry import LinkReading
from controller.domain.time import VirtualDomainClock
from controller.runtime.chargers_door import ChargersDoor
from controller.runtime.core import Controller
from controller.runtime.offload import run_inline
from controller.runtime.ports import Role
from controller.runtime.service import Service
from controller.runtime.trading import Trading
from drivers.ocpp.desk import OcppDesk
from drivers.ocpp.endpoint import OcppEndpoint
from drivers.ocpp.message_log import MessageLog
from sim.chargers.client import SimulatedCharger
from tests.support.neighbourhood import START, charge_point, site
from tests.support.ocpp import FakeSocket
from tests.support.running import OLGA, make_controller
from tests.support.storage import opened

COUNT = 40
VERSIONS = {1: "ocpp2.1", 2: "ocpp1.6", 3: "ocpp2.0.1", 4: "ocpp2.1"}
"""The chargers that connect; the others are silent."""
_TICK_S = 0.1


class Yard:
    """The running thing, as a test's thread sees it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ready, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live()), daemon=True)
        self.token = self.resident_token = ""
        self._chargers: dict[int, SimulatedCharger] = {}

    def start(self) -> None:
        """Comes back when the chargers that connect have done so."""
        self._thread.start()
        assert self._ready.wait(30.0)

    def stop(self) -> None:
        """Ends everything."""
        self._stopping.set()
        self._thread.join(10.0)

    def run[T](self, work: Coroutine[Any, Any, T]) -> T:
        """Does something on the control loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10.0)

    async def knock(self, identity: str) -> None:
        """A stranger tries to connect."""
        with pytest.raises(InvalidStatus, match="404"):
            async with connect(f"{self.endpoint.url}/{identity}", subprotocols=[Subprotocol("ocpp2.1")]):
                pass

    async def _live(self) -> None:
        self.loop = asyncio.get_running_loop()
        clock = VirtualDomainClock(START)
        points = tuple(charge_point(number, "f1" if number <= 20 else "f2") for number in range(1, COUNT + 1))
        points = (*points[:4], replace(points[4], template="slow-make"), *points[5:])
        async with opened(self._folder / "yard.sqlite3") as store:
            controller = make_controller(store, clock, of=replace(site(), charge_points=points))
            await controller.load()
            self.endpoint = OcppEndpoint(
                host="127.0.0.1",
                port=0,
                charge_points={point.id: point for point in points},
                tokens=frozenset({"token-1", "token-2", "token-3", "token-4"}),
                sink=controller.receive,
                clock=clock,
                passwords={str(point.id): f"password of {point.id}" for point in points},
                floor=controller.guard.floor.hours,
                log=MessageLog(self._folder / "messages"),
                boot_grace_s=0.1,
            )
            async with self.endpoint:
                await self._serve(controller, clock)

    async def _serve(self, controller: Controller, clock: VirtualDomainClock) -> None:
        trading = Trading(controller, offload=run_inline)
        service = Service(controller, trading, loop=self.loop, speed=1.0, messages=dict)
        self.token = await service.create_token(
            role=Role.OPERATOR, member=None, label="Operator Olga", who=OLGA
        )
        member = controller.site.members[2].id
        self.resident_token = await service.create_token(
            role=Role.RESIDENT, member=member, label="Home", who=OLGA
        )
        desk = OcppDesk(self.endpoint, [point.id for point in controller.site.charge_points])
        door = ChargersDoor(controller, desk, self.loop)
        server = WebServer(
            lambda: create_app(service, chargers=door, storage_secret="a secret of the tests"),  # noqa: S106  # no secret
            "127.0.0.1",
            0,
        )
        await asyncio.to_thread(server.start)
        self.url = server.url
        controller.drivers = (self.endpoint,)
        tasks = [asyncio.create_task(self._charger(number, clock)) for number in VERSIONS]
        tasks.append(asyncio.create_task(self._cycles(controller, clock)))
        try:
            while not self._stopping.is_set():  # noqa: ASYNC110  # another thread sets it
                await asyncio.sleep(_TICK_S)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.to_thread(server.stop)

    async def _charger(self, number: int, clock: VirtualDomainClock) -> None:
        """One simulated charger with a car on it."""
        point = charge_point(number, "f1")
        charger = SimulatedCharger(
            point=point,
            physics=FakeSocket(token=f"token-{number}"),
            url=self.endpoint.url,
            version=VERSIONS[number],
            password=f"password of {point.id}",
        )
        charger.tick(clock.now())
        self._chargers[number] = charger
        await charger.run()

    async def _cycles(self, controller: Controller, clock: VirtualDomainClock) -> None:
        """Two seconds a tick: the chargers look at their sockets, and a safety cycle is sent."""
        for point in controller.site.charge_points[len(VERSIONS) :]:
            controller.receive(LinkReading(asset=point.id, at=clock.now(), up=False, why="never came"))
        while True:
            clock.advance_to(clock.now() + timedelta(seconds=2))
            for charger in list(self._chargers.values()):
                charger.tick(clock.now())
            cycle = controller.safety_cycle(clock.now())
            for setpoint in cycle.setpoints:
                controller.steering.note(await self.endpoint.set_power(setpoint), clock.now())
            told = (self.endpoint.session_of(AssetId(f"cp-{number}")) for number in VERSIONS)
            if all(session is not None and session.told.connectors for session in told):
                self._ready.set()
            await asyncio.sleep(_TICK_S)


@contextmanager
def charger_yard(folder: Path) -> Iterator[Yard]:
    """A yard that runs."""
    yard = Yard(folder)
    yard.start()
    try:
        yield yard
    finally:
        yard.stop()
