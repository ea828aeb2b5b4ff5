"""A simulated charger on a real socket: an OCPP 2.1 WebSocket client around `ChargerCore`.

The world ticks it, synchronously; `run` holds the connection: it sends what the core has queued, one call
at a time, answers what the CSMS asks, and comes back with a growing, jittered pause when the link is lost.
"""

from __future__ import annotations

import asyncio
import base64
import random
from datetime import datetime

import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from controller.domain.assets import ChargePoint
from sim.endpoints.charger_core import ChargerCore
from sim.endpoints.charger_messages import ChargerPhysics

_SUBPROTOCOL = Subprotocol("ocpp2.1")
_log = structlog.get_logger("sim.ocpp")


class SimulatedCharger:
    """One charger and its WebSocket."""

    def __init__(
        self,
        *,
        point: ChargePoint,
        url: str,
        physics: ChargerPhysics,
        seed: int = 0,
        meter_interval_s: float = 60.0,
        idle_interval_s: float = 300.0,
        password: str | None = None,
        answer_timeout_s: float = 20.0,
        backoff_s: tuple[float, float] = (0.3, 5.0),
        start_spread_s: float = 0.0,
    ) -> None:
        """A charger that is switched on; it connects in `run`.

        Args:
            point: What it can do; its id ends the address.
            url: The endpoint's address, `ws://HOST:PORT/ocpp`.
            physics: Its socket.
            seed: Of the jitter, and of where its samples lie in the interval.
            meter_interval_s: Between samples during a transaction, domain time [s].
            idle_interval_s: Between samples without one, domain time [s].
            password: For HTTP Basic (security profile 1).
            answer_timeout_s: How long it waits for an answer, machine time [s].
            backoff_s: The first and the longest pause before it connects again, machine time [s].
            start_spread_s: The first connection waits up to this long, machine time [s].
        """
        self._random = random.Random(f"{seed}/{point.id}")
        self.core = ChargerCore(
            point,
            physics,
            meter_interval_s=meter_interval_s,
            idle_interval_s=idle_interval_s,
            phase_fraction=self._random.random(),
        )
        self.messages = 0
        """Frames in and out since the start."""
        self.connections = 0
        """How often it got through."""
        self._url = f"{url.rstrip('/')}/{point.id}"
        self._headers: dict[str, str] = {}
        if password is not None:
            credentials = base64.b64encode(f"{point.id}:{password}".encode()).decode()
            self._headers["Authorization"] = f"Basic {credentials}"
        self._answer_timeout_s = answer_timeout_s
        self._backoff_s = backoff_s
        self._start_spread_s = start_spread_s
        self._wake = asyncio.Event()
        self._switched_on = asyncio.Event()
        self._connection: ClientConnection | None = None

    @property
    def connected(self) -> bool:
        """Whether the link is up."""
        return self._connection is not None

    def tick(self, now: datetime) -> None:
        """Lets the charger look at its socket; to be called after each step of the world."""
        core = self.core
        core.tick(now)
        self._switched_on.set()
        if core.wants_to_speak():
            self._wake.set()

    def power_request(self, now: datetime) -> float:
        """What the profiles ask for at `now` [kW], link or no link."""
        self.tick(now)
        return self.core.power_request_kw()

    async def drop(self) -> None:
        """Loses the link without a closing handshake, as a cable does that is pulled."""
        connection = self._connection
        if connection is not None:
            connection.transport.abort()
            await connection.wait_closed()

    async def run(self) -> None:
        """Holds the connection until it is cancelled; the first tick gives it the time to begin with."""
        await self._switched_on.wait()
        await asyncio.sleep(self._random.random() * self._start_spread_s)
        first_s, longest_s = self._backoff_s
        pause_s = first_s
        while True:
            try:
                async with connect(
                    self._url,
                    subprotocols=[_SUBPROTOCOL],
                    additional_headers=self._headers,
                    compression=None,
                    # The CSMS pings; a charger that also did would double the traffic for nothing.
                    ping_interval=None,
                    close_timeout=1.0,
                    proxy=None,
                ) as connection:
                    if connection.subprotocol == _SUBPROTOCOL:
                        pause_s = first_s
                        await self._hold(connection)
            except (OSError, TimeoutError, InvalidHandshake, ConnectionClosed) as error:
                _log.debug("charger_not_connected", url=self._url, why=str(error))
            await asyncio.sleep(pause_s * (0.5 + self._random.random()))
            pause_s = min(2.0 * pause_s, longest_s)

    async def _hold(self, connection: ClientConnection) -> None:
        """Speaks and listens until the connection ends."""
        self._connection = connection
        self.connections += 1
        self.core.link_up()
        self._wake.set()
        try:
            async with asyncio.TaskGroup() as tasks:
                speaker = tasks.create_task(self._speak(connection))
                await self._listen(connection)
                speaker.cancel()
        finally:
            self._connection = None
            self.core.link_down()

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
                if self.core.wants_to_speak():
                    self._wake.set()
        except ConnectionClosed:
            return

    async def _speak(self, connection: ClientConnection) -> None:
        """Sends the queued calls, one at a time; after a silence tells the core that no answer came."""
        while True:
            try:
                async with asyncio.timeout(self._answer_timeout_s if self.core.has_open_call() else None):
                    await self._wake.wait()
            except TimeoutError:
                self.core.timed_out()
            self._wake.clear()
            text = self.core.next_frame()
            if text is None:
                continue
            self.messages += 1
            try:
                await connection.send(text)
            except ConnectionClosed:
                return
