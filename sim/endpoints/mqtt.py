"""An MQTT broker inside the simulator, and the one client that publishes for all meters.

`amqtt` is the broker. The client is `paho-mqtt` on the simulator's own event loop: measured on this
pairing, a message costs the simulator 0.25 ms of which paho's part is 0.03 ms; through a second asyncio
client it was 0.46 ms. Messages are QoS 0; the clock's announcement is retained.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Mapping
from typing import Self

import paho.mqtt.client as paho
from amqtt.broker import Broker
from amqtt.errors import BrokerError
from paho.mqtt.enums import CallbackAPIVersion

from controller.domain.errors import StartUpError
from drivers.mqtt.codec import (
    CLOCK_TOPIC,
    COMPARISON_TOPIC,
    AnnouncedClock,
    encode_clock,
    encode_comparison,
)

_MESSAGES_PER_TURN = 25
"""So many are published before others on the event loop get their turn."""
_CONNECT_TIMEOUT_S = 10.0


class MeterBroker:
    """The broker with its publisher; `async with` starts both."""

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0) -> None:
        """Describes a broker.

        Args:
            host: The address to bind.
            port: The port to bind; 0 takes a free one.
        """
        self._host = host
        self.port = port or _free_port(host)
        """Where it listens."""
        self._broker: Broker | None = None
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id="wijkstroom-meters")
        self._connected = asyncio.Event()
        self.messages = 0
        """Messages published."""

    async def __aenter__(self) -> Self:
        """Binds the port and connects the publisher.

        Raises:
            StartUpError: If the port cannot be bound or the publisher finds no broker there.
        """
        # Everybody on the loopback may subscribe: these are simulated meters. No packet log, no statistics.
        self._broker = Broker(
            {
                "listeners": {"default": {"type": "tcp", "bind": f"{self._host}:{self.port}"}},
                "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
            }
        )
        try:
            await self._broker.start()
            await self._connect()
        except (OSError, TimeoutError, BrokerError) as error:
            raise StartUpError(f"MQTT broker: {self._host}:{self.port}: {error}") from error
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Disconnects and closes the port."""
        self._client.disconnect()
        await asyncio.sleep(0)
        if self._broker is not None:
            await self._broker.shutdown()

    def announce(self, announced: AnnouncedClock) -> None:
        """Publishes the clock, for everyone who is there and who comes."""
        self._client.publish(CLOCK_TOPIC, encode_clock(announced), retain=True)
        self.messages += 1

    def compare(self, node_kw: Mapping[str, Mapping[str, float]]) -> None:
        """Publishes what nodes would draw without control."""
        self._client.publish(COMPARISON_TOPIC, encode_comparison(node_kw), retain=True)
        self.messages += 1

    async def publish(self, messages: Iterable[tuple[str, bytes]]) -> None:
        """Publishes messages in turns with whatever else runs."""
        for count, (topic, payload) in enumerate(messages, start=1):
            self._client.publish(topic, payload)
            self.messages += 1
            if count % _MESSAGES_PER_TURN == 0:
                await asyncio.sleep(0)

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        client = self._client

        # paho connects on a thread, as that blocks; its socket then lives on our loop.
        def opened(_client: paho.Client, _data: object, sock: paho.SocketLike) -> None:
            loop.call_soon_threadsafe(lambda: loop.add_reader(sock, client.loop_read))

        def closed(_client: paho.Client, _data: object, sock: paho.SocketLike) -> None:
            loop.remove_reader(sock)

        def wants_to_write(_client: paho.Client, _data: object, sock: paho.SocketLike) -> None:
            loop.call_soon_threadsafe(lambda: loop.add_writer(sock, client.loop_write))

        def has_written(_client: paho.Client, _data: object, sock: paho.SocketLike) -> None:
            loop.call_soon_threadsafe(lambda: loop.remove_writer(sock))

        client.on_socket_open = opened
        client.on_socket_close = closed
        client.on_socket_register_write = wants_to_write
        client.on_socket_unregister_write = has_written
        client.on_connect = lambda *_: self._connected.set()
        async with asyncio.timeout(_CONNECT_TIMEOUT_S):
            # No keep-alive: there is always something to say, and nothing between the two to break.
            await asyncio.to_thread(client.connect, self._host, self.port, 0)
            await self._connected.wait()


def _free_port(host: str) -> int:
    # amqtt does not tell which port it got for 0, so one is asked for here and let go at once.
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
