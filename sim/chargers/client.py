"""A simulated charger on a real socket: a WebSocket client around `ChargerCore`.

The world ticks it, synchronously; `run` holds the connection: it sends what the core has queued, one call
at a time, answers what the CSMS asks, and comes back with a growing, jittered pause when the link is lost.
Faults of the link live here; those of the charger itself in its core.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from ssl import PROTOCOL_TLS_CLIENT, SSLContext

import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from controller.domain.assets import ChargePoint
from drivers.ocpp import frames
from sim.chargers.access import Access
from sim.chargers.core import ChargerCore
from sim.chargers.dialect import ChargerPhysics, Dialect
from sim.chargers.faults import Fault, Faults
from sim.chargers.v2 import Dialect21, Dialect201
from sim.chargers.v16 import Dialect16

DIALECTS: Mapping[str, type[Dialect]] = {
    dialect.subprotocol: dialect for dialect in (Dialect16, Dialect201, Dialect21)
}
"""By the subprotocol."""
_SILENT_AFTER = timedelta(minutes=5)
_MEGABYTE = 1_000_000
_log = structlog.get_logger("sim.ocpp")


class SimulatedCharger:
    """One charger and its WebSocket.

    A charger that is switched on; it connects in `run`.

    Args:
        point: What it can do; its id ends the address.
        url: The endpoint's address, `ws://HOST:PORT/ocpp`.
        physics: Its socket.
        version: The subprotocol that it speaks.
        faults: What it does wrong.
        tls: For `wss`: whom it trusts, and its own certificate where it has one.
        seed: Of the jitter, and of where its samples lie in the interval.
        meter_interval_s: Between samples during a transaction, domain time [s].
        idle_interval_s: Between samples without one, domain time [s].
        password: For HTTP Basic (security profile 1).
        secure_url: Where a charger of 1.6 goes that is raised to an encrypted profile.
        answer_timeout_s: How long it waits for an answer, machine time [s].
        backoff_s: The first and the longest pause before it connects again, machine time [s].
        start_spread_s: The first connection waits up to this long, machine time [s].
    """

    def __init__(
        self,
        *,
        point: ChargePoint,
        url: str,
        physics: ChargerPhysics,
        version: str = Dialect21.subprotocol,
        faults: Faults = (),
        tls: SSLContext | None = None,
        seed: int = 0,
        meter_interval_s: float = 60.0,
        idle_interval_s: float = 300.0,
        password: str | None = None,
        secure_url: str = "",
        answer_timeout_s: float = 20.0,
        backoff_s: tuple[float, float] = (0.3, 5.0),
        start_spread_s: float = 0.0,
    ) -> None:
        self._random = random.Random(f"{seed}/{point.id}")
        trusts_nobody = tls is not None and Fault.WRONG_CERTIFICATE in faults
        self.core = ChargerCore(
            point,
            physics,
            dialect=DIALECTS[version],
            faults=faults,
            meter_interval_s=meter_interval_s,
            idle_interval_s=idle_interval_s,
            phase_fraction=self._random.random(),
            lot=self._random,
            access=Access(
                point.id,
                url,
                password=password,
                tls=SSLContext(PROTOCOL_TLS_CLIENT) if trusts_nobody else tls,
                secure_url=secure_url,
            ),
        )
        self.messages = 0
        """Frames in and out since the start."""
        self.connections = 0
        """How often it got through."""
        self._subprotocol = Subprotocol(version)
        self._answer_timeout_s, self._start_spread_s = answer_timeout_s, start_spread_s
        self._backoff_s = backoff_s
        self._wake, self._switched_on = asyncio.Event(), asyncio.Event()
        self._connection: ClientConnection | None = None
        self._hushed = False
        self._silent_at: datetime | None = None

    @property
    def connected(self) -> bool:
        """Whether the link is up."""
        return self._connection is not None

    def tick(self, now: datetime) -> None:
        """Lets the charger look at its socket; to be called after each step of the world."""
        core = self.core
        core.tick(now)
        self._switched_on.set()
        if self._silent_at is not None and now >= self._silent_at:
            self.hush()
        if core.outbox.wants_to_speak():
            self._wake.set()

    def power_request(self, now: datetime) -> float:
        """What the profiles ask for at `now` [kW], link or no link."""
        self.tick(now)
        return self.core.power_request_kw()

    async def drop(self) -> None:
        """Loses the link without a closing handshake, as a cable does that is pulled."""
        self.unhush()
        connection = self._connection
        if connection is not None:
            connection.transport.abort()
            await connection.wait_closed()

    def hush(self) -> None:
        """Neither hears nor speaks from now on, pings included, and leaves the socket open."""
        connection = self._connection
        if connection is not None and not self._hushed:
            self._hushed = True
            self._silent_at = None
            connection.transport.pause_reading()

    def unhush(self) -> None:
        """Hears and speaks again."""
        if self._hushed and self._connection is not None:
            self._connection.transport.resume_reading()
        self._hushed = False
        self._wake.set()

    async def run(self) -> None:
        """Holds the connection until it is cancelled; the first tick gives it the time to begin with."""
        await self._switched_on.wait()
        await asyncio.sleep(self._random.random() * self._start_spread_s)
        first_s, longest_s = self._backoff_s
        pause_s = first_s
        while True:
            route = self.core.access.route()
            connections = self.connections
            try:
                async with connect(
                    route.url,
                    subprotocols=[self._subprotocol],
                    additional_headers=route.headers,
                    compression=None,
                    ssl=route.tls,
                    # The CSMS pings; a charger that also did would double the traffic for nothing.
                    ping_interval=None,
                    close_timeout=1.0,
                    proxy=None,
                ) as connection:
                    if connection.subprotocol == self._subprotocol:
                        pause_s = first_s
                        await self._hold(connection)
            except (OSError, TimeoutError, InvalidHandshake, ConnectionClosed) as error:
                _log.debug("charger_not_connected", url=route.url, why=str(error))
            if self.connections == connections:
                self.core.access.failed()
            await asyncio.sleep(pause_s * (0.5 + self._random.random()))
            pause_s = min(2.0 * pause_s, longest_s)

    async def _hold(self, connection: ClientConnection) -> None:
        """Speaks and listens until the connection ends."""
        self._connection = connection
        self.connections += 1
        self.core.access.arrived()
        if self.connections == 1:
            await self._begin_badly(connection)
        self.core.link_up()
        self._wake.set()
        try:
            async with asyncio.TaskGroup() as tasks:
                speaker = tasks.create_task(self._speak(connection))
                await self._listen(connection)
                speaker.cancel()
        finally:
            self._connection = None
            self._hushed = False
            self.core.link_down()

    async def _begin_badly(self, connection: ClientConnection) -> None:
        """What faults do to the first connection."""
        if Fault.SILENT in self.core.faults:
            self._silent_at = self.core.now + _SILENT_AFTER
        if Fault.MEGABYTE_FRAME in self.core.faults:
            payload = {"vendorId": "vendor", "data": "x" * _MEGABYTE}
            await connection.send(frames.call_text("big", "DataTransfer", payload))

    async def _listen(self, connection: ClientConnection) -> None:
        """Takes and answers messages until the connection ends."""
        try:
            while True:
                message = await connection.recv()
                self.messages += 1
                reply = self.core.receive(message)
                if reply is not None:
                    self.messages += 1
                    await connection.send(reply)
                if self.core.restarting:
                    self.core.restarting = False
                    self.core.access.begin_anew()
                    await connection.close()
                if self.core.outbox.wants_to_speak():
                    self._wake.set()
        except ConnectionClosed:
            return

    async def _speak(self, connection: ClientConnection) -> None:
        """Sends the queued calls, one at a time; after a silence tells the core that no answer came."""
        outbox = self.core.outbox
        while True:
            waits = outbox.has_open_call() and not self._hushed
            try:
                async with asyncio.timeout(self._answer_timeout_s if waits else None):
                    await self._wake.wait()
            except TimeoutError:
                outbox.timed_out()
            self._wake.clear()
            text = None if self._hushed else outbox.next_frame()
            if text is None:
                continue
            self.messages += 1
            try:
                await connection.send(text)
            except ConnectionClosed:
                return
