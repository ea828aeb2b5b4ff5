"""The meters' subscriber: one connection to a broker, every message a reading, whatever does not fit dropped.

Dropped messages are counted by why: malformed, or of a meter that nobody knows. When the broker goes away
the link's loss is told once and the subscriber comes back with growing pauses; meanwhile the meters go
stale, which is for the control loops to judge.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Self

import aiomqtt

from controller.domain.ids import AssetId, NodeId
from controller.domain.ports import TelemetrySink
from controller.domain.telemetry import LinkReading
from controller.domain.time import DomainClock
from drivers.backoff import Backoff
from drivers.mqtt.codec import (
    CLOCK_TOPIC,
    COMPARISON_TOPIC,
    LIVE_TOPICS,
    REGISTER_TOPICS,
    AnnouncedClock,
    MalformedError,
    decode_clock,
    decode_comparison,
    decode_meter,
)

MQTT_LINK = AssetId("mqtt")
"""Whose coming and going the link readings tell."""
QUEUE_MAX = 20_000
"""Messages waiting to be decoded: some quarter-hours of a neighbourhood; what comes beyond is dropped."""


class MqttMeters:
    """Every meter behind one broker."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        sink: TelemetrySink,
        clock: DomainClock,
        meters: Iterable[str],
        timeout_s: float = 5.0,
        on_clock: Callable[[AnnouncedClock], None] | None = None,
        on_comparison: Callable[[Mapping[NodeId, Mapping[str, float]]], None] | None = None,
    ) -> None:
        """Describes a subscription; `async with` starts it.

        Args:
            host: The broker's address.
            port: Its port.
            sink: Takes the readings.
            clock: The domain clock.
            meters: The ids of all meters that are known.
            timeout_s: The longest wait for the broker's answers [s], machine time.
            on_clock: Called with each announced clock, in a simulated neighbourhood.
            on_comparison: Called with what the simulator's baselines draw [kW], by node and baseline.
        """
        self._host, self._port, self._timeout_s = host, port, timeout_s
        self._sink, self._clock = sink, clock
        self._on_clock, self._on_comparison = on_clock, on_comparison
        self._known = frozenset(meters)
        self._was_up: bool | None = None
        self._backoff = Backoff()
        self._group = asyncio.TaskGroup()
        self._task: asyncio.Task[None] | None = None
        self.messages = 0
        """Messages received."""
        self.malformed = 0
        """Of these, dropped for not being what their topic promises."""
        self.unknown_meters = 0
        """Of these, dropped for coming from a meter that nobody knows."""
        self.last_problem = ""
        """Why the latest dropped message was dropped."""

    async def __aenter__(self) -> Self:
        """Starts connecting, and returns at once."""
        await self._group.__aenter__()
        self._task = self._group.create_task(self._run(), name="mqtt meters")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Ends the task and closes the connection."""
        if self._task is not None:
            self._task.cancel()
        # The block's own exception goes on as it is; the group adds only what its task raised.
        await self._group.__aexit__(None, None, None)

    def connected(self) -> bool:
        """Whether the broker is there now."""
        return self._was_up is True

    def received(self, topic: str, payload: bytes, *, retained: bool = False) -> None:
        """Takes one message, `retained` where the broker had kept it; never raises for what a sender did."""
        self.messages += 1
        try:
            if topic == CLOCK_TOPIC:
                announced = decode_clock(payload)
                if self._on_clock is not None:
                    self._on_clock(announced)
                return
            if topic == COMPARISON_TOPIC:
                comparison = decode_comparison(payload)
                if self._on_comparison is not None:
                    self._on_comparison(comparison)
                return
            reading = decode_meter(topic, payload, now=self._clock.now(), retained=retained)
        except MalformedError as error:
            self.malformed += 1
            self.last_problem = f"{topic}: {error}"
            return
        if reading.meter not in self._known:
            self.unknown_meters += 1
            self.last_problem = f"{topic}: no such meter"
            return
        self._sink(reading)

    async def _run(self) -> None:
        while True:
            try:
                await self._listen()
                why = "the broker ended the connection"
            except aiomqtt.MqttError as error:
                why = str(error)
            self._report(up=False, why=why)
            await asyncio.sleep(self._backoff.pause_s())

    async def _listen(self) -> None:
        async with aiomqtt.Client(
            self._host,
            self._port,
            timeout=self._timeout_s,
            max_queued_incoming_messages=QUEUE_MAX,
        ) as client:
            topics = [LIVE_TOPICS, REGISTER_TOPICS]
            topics += [CLOCK_TOPIC] if self._on_clock else []
            topics += [COMPARISON_TOPIC] if self._on_comparison else []
            # QoS 0: a lost live value is followed by the next one, and registers never lose energy.
            await client.subscribe([(topic, 0) for topic in topics])
            self._backoff.connected()
            self._report(up=True, why="")
            async for message in client.messages:
                if isinstance(message.payload, bytes):
                    self.received(message.topic.value, message.payload, retained=message.retain)

    def _report(self, *, up: bool, why: str) -> None:
        if up != self._was_up:
            self._was_up = up
            self._sink(LinkReading(asset=MQTT_LINK, at=self._clock.now(), up=up, why=why))
