"""A place for guests: a charger on a real socket, the simulated provider over HTTP, a controller between."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from controller.charging_settings import ChargingSettings
from controller.domain.charging_tokens import Verdict
from controller.domain.guests import GuestSession, Stage
from controller.domain.ids import AssetId
from controller.domain.telemetry import Reading
from controller.domain.time import VirtualDomainClock
from controller.guest_settings import GuestSettings
from controller.runtime.charging_tokens import ChargingTokens
from controller.runtime.core import Controller
from controller.runtime.guests import Guests
from controller.storage import SqlStore
from drivers.ocpp.endpoint import OcppEndpoint
from drivers.ocpp.remote import RemoteControl
from drivers.payments.http_provider import HttpPayments
from sim.chargers.client import SimulatedCharger
from sim.payments.provider import SimulatedPayments
from sim.payments.server import serve_payments
from tests.support.charging import TARIFF
from tests.support.ocpp import START, FakeSocket, Street, until
from tests.support.running import AUCTION, make_controller
from tests.support.storage import opened

POINT = AssetId("cp-1")
API_KEY = "key of the tests"
PAGE = "http://street.example/guest/session/{secret}"
LIMIT_CENTS = 2500


class Hurried:
    """A machine clock on which a second is a twentieth of one."""

    def monotonic_s(self) -> float:
        """Seconds, twenty times as fast."""
        return 20.0 * time.monotonic()


@dataclass
class GuestStreet:
    """Everything that a guest meets, with a car without identification at the first socket."""

    controller: Controller
    payments: SimulatedPayments
    provider: HttpPayments
    endpoint: OcppEndpoint
    place: Street
    socket: FakeSocket
    charger: SimulatedCharger | None = None
    guests: Guests = field(init=False)
    _task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """The controller's part starts, or starts anew on what is kept."""
        tokens = ChargingTokens(self.controller, asyncio.get_running_loop())
        await tokens.load()
        self.tokens = tokens
        self.guests = Guests(
            self.controller,
            asyncio.get_running_loop(),
            settings=self.controller.settings.guests,
            tokens=tokens,
            chargers=RemoteControl(self.endpoint),
            provider=self.provider,
            machine_clock=Hurried(),
        )
        await self.guests.load()
        self._task = asyncio.create_task(self.guests.run())

    async def crash(self) -> None:
        """The controller's part is gone from one moment to the next."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def hear(self, reading: Reading) -> None:
        """What a reading reaches."""
        self.place.readings.append(reading)
        self.controller.receive(reading)
        if self._task is not None:
            self.guests.hear(reading)

    async def steer(self) -> None:
        """One safety cycle, with its setpoints sent."""
        for setpoint in self.controller.safety_cycle(self.controller.clock.now()).setpoints:
            await self.controller.send(setpoint)

    async def charge_for(self, span_s: float) -> None:
        """Time passes while the controller steers."""
        clock = self.place.clock
        end = clock.now().timestamp() + span_s
        while (left_s := end - clock.now().timestamp()) > 0:
            await self.steer()
            assert self.charger is not None
            self.place.advance(min(60.0, left_s), self.charger)
            await asyncio.sleep(0.005)

    async def stage(self, secret: str, *stages: Stage) -> GuestSession:
        """Waits until a session has come to one of some stages."""
        found: list[GuestSession] = []

        async def there() -> bool:
            found[:] = [(await self.guests.view(secret)).session]
            return found[0].stage in stages

        async with asyncio.timeout(30.0):
            while not await there():  # what is waited for has no event of its own
                self.guests._wake.set()  # looked at now, not in a second
                await asyncio.sleep(0.02)
        return found[0]


@asynccontextmanager
async def guest_street(
    folder: Path, *, version: str = "ocpp2.1", checkout: bool = False, car: bool = True
) -> AsyncIterator[GuestStreet]:
    """A running socket for guests on a virtual clock.

    Args:
        folder: Where the store is.
        version: What the charger speaks.
        checkout: Whether guests have to agree on the provider's page.
        car: Whether a car is plugged in at the beginning.
    """
    payments = SimulatedPayments(checkout=checkout)
    async with (
        opened(folder / "test.sqlite3") as store,
        serve_payments(payments, api_key=API_KEY) as url,
        HttpPayments(url, api_key=API_KEY, timeout_s=2.0) as provider,
    ):
        street = _built(store, payments, provider, FakeSocket(token="" if car else None))  # none of its own
        async with street.endpoint:
            await street.start()
            point = street.controller.site.charge_point_by_id[POINT]
            street.charger = street.place.charger(street.socket, POINT, point=point, version=version)
            charger = street.charger
            await until(lambda: len(charger.core.profiles) == 2)
            # A charger that has just connected gets its power slowly.
            await street.charge_for(360)
            try:
                yield street
            finally:
                await street.crash()
                for task in street.place.tasks:
                    task.cancel()
                await asyncio.gather(*street.place.tasks, return_exceptions=True)


def _built(
    store: SqlStore, payments: SimulatedPayments, provider: HttpPayments, socket: FakeSocket
) -> GuestStreet:
    clock = VirtualDomainClock(START)
    settings = replace(
        AUCTION, charging=ChargingSettings(tariffs=(TARIFF,)), guests=GuestSettings(provider_url="http://x")
    )
    controller = make_controller(store, clock, settings=settings)
    streets: list[GuestStreet] = []

    def verdict(token: str) -> Verdict:
        return streets[0].tokens.verdict(token)

    def keep(reading: Reading) -> None:
        streets[0].hear(reading)

    endpoint = OcppEndpoint(
        host="127.0.0.1",
        port=0,
        charge_points={POINT: controller.site.charge_point_by_id[POINT]},
        tokens=verdict,
        sink=keep,
        clock=clock,
        call_timeout_s=10.0,
        boot_grace_s=0.1,
    )
    controller.drivers = (endpoint,)
    street = GuestStreet(
        controller=controller,
        payments=payments,
        provider=provider,
        endpoint=endpoint,
        place=Street(endpoint, clock, []),
        socket=socket,
    )
    streets.append(street)
    return street
