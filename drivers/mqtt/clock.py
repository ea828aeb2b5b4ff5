"""The domain clock of a simulated neighbourhood, as a controller that joins it reads it.

The simulator owns the time and announces it as a retained message. Until everybody is ready it announces
that the clock does not run yet; `FollowedClock` then stands at the anchor, and moves from the moment at
which the announcement says so.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import aiomqtt

from controller.domain.errors import StartUpError
from controller.domain.time import ScaledDomainClock
from drivers.mqtt.codec import CLOCK_TOPIC, AnnouncedClock, MalformedError, decode_clock


class FollowedClock:
    """A `DomainClock` that follows what is announced."""

    def __init__(self, announced: AnnouncedClock) -> None:
        self._announced = announced
        self._running = asyncio.Event()
        self.follow(announced)

    def follow(self, announced: AnnouncedClock) -> None:
        """Takes an announcement."""
        self._announced = announced
        if announced.running:
            self._running.set()

    async def running(self) -> None:
        """Waits until the time runs."""
        await self._running.wait()

    def announced(self) -> AnnouncedClock:
        """The clock as it was announced last: a value that can cross to another process."""
        return self._announced

    def now(self) -> datetime:
        """Now, UTC; never before the anchor."""
        return self._announced.now()

    def machine_s(self, span: timedelta) -> float:
        """How long [s] a span of domain time lasts on the machine clock."""
        return self._announced.machine_s(span)


async def announced_clock(host: str, port: int, timeout_s: float) -> AnnouncedClock:
    """The clock as it is announced now.

    Args:
        host: The broker's address.
        port: Its port.
        timeout_s: The longest wait [s], machine time.

    Raises:
        StartUpError: If the broker cannot be reached, or nothing usable is announced in time.
    """
    try:
        async with asyncio.timeout(timeout_s), aiomqtt.Client(host, port) as client:
            await client.subscribe(CLOCK_TOPIC)
            async for message in client.messages:
                if isinstance(message.payload, bytes):
                    return decode_clock(message.payload)
    except TimeoutError:
        raise StartUpError(f"no clock was announced on {host}:{port} within {timeout_s:g} s") from None
    except MalformedError as error:
        raise StartUpError(f"the clock announced on {host}:{port} is not usable: {error}") from error
    except aiomqtt.MqttError as error:
        raise StartUpError(f"MQTT broker {host}:{port}: {error}") from error
    raise StartUpError(f"MQTT broker {host}:{port} ended the connection without announcing a clock")


async def read_clock(host: str, port: int, timeout_s: float) -> ScaledDomainClock:
    """The announced clock's anchor and speed, whether it runs already or not.

    Raises:
        StartUpError: As `announced_clock`.
    """
    return (await announced_clock(host, port, timeout_s)).clock
