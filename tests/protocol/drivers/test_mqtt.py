"""The meters' subscriber against a real Mosquitto and against the simulator's own broker."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import aiomqtt
import pytest

from controller.domain.errors import StartUpError
from controller.domain.telemetry import LinkReading, MeterReading
from controller.domain.time import ScaledDomainClock
from drivers import backoff
from drivers.mqtt.clock import announced_clock, read_clock
from drivers.mqtt.codec import (
    CLOCK_TOPIC,
    AnnouncedClock,
    encode_clock,
    encode_live,
    encode_register,
    live_topic,
    register_topic,
)
from drivers.mqtt.meters import MqttMeters
from sim.endpoints.mqtt import MeterBroker
from tests.support.brokers import free_port, mosquitto
from tests.support.devices import START, HandClock, Readings, until

_CLOCK = AnnouncedClock(
    clock=ScaledDomainClock(anchor_domain=START, anchor_unix_s=1.7e9, speed=60.0), running=False
)


def _meters(port: int, sink: Readings, announced: list[AnnouncedClock] | None = None) -> MqttMeters:
    return MqttMeters(
        host="127.0.0.1",
        port=port,
        sink=sink,
        clock=HandClock(),
        meters=["home-001", "feeder-1-1"],
        timeout_s=2.0,
        on_clock=None if announced is None else announced.append,
    )


async def test_messages_through_mosquitto_become_readings(tmp_path: Path) -> None:
    """Live values and registers arrive; malformed ones and strangers are dropped, counted and named."""
    sink = Readings()
    async with mosquitto(tmp_path, free_port()) as port, _meters(port, sink) as meters:
        await until(meters.connected)
        async with aiomqtt.Client("127.0.0.1", port) as publisher:
            await publisher.publish(live_topic("home-001"), encode_live(START, 512.0))
            await publisher.publish(live_topic("home-001"), b"\x00garbage")
            await publisher.publish(live_topic("stranger"), encode_live(START, 1.0))
            await publisher.publish(register_topic("feeder-1-1"), encode_register(START, 7, 9))
            await until(lambda: meters.messages == 4)
    assert [(r.meter, r.power_kw, r.import_wh, r.export_wh) for r in sink.of(MeterReading)] == [
        ("home-001", 0.512, None, None),
        ("feeder-1-1", None, 7, 9),
    ]
    assert (meters.malformed, meters.unknown_meters) == (1, 1)
    assert meters.last_problem == f"{live_topic('stranger')}: no such meter"


async def test_a_retained_value_is_as_old_as_it_says_and_never_of_now(tmp_path: Path) -> None:
    """Yesterday's last word of a meter that is dead is handed out at every connection: it is not fresh."""
    sink, yesterday = Readings(), START - timedelta(days=1)
    minutes_ago = START - timedelta(minutes=20)
    async with mosquitto(tmp_path, free_port()) as port:
        async with aiomqtt.Client("127.0.0.1", port) as publisher:
            await publisher.publish(live_topic("home-001"), encode_live(yesterday, 512.0), retain=True)
            await publisher.publish(live_topic("feeder-1-1"), encode_live(minutes_ago, 7.0), retain=True)
        async with _meters(port, sink) as meters:
            await until(lambda: meters.messages == 2)
    assert [(r.meter, r.at) for r in sink.of(MeterReading)] == [("feeder-1-1", minutes_ago)]
    assert "retained" in meters.last_problem


async def test_lost_broker_is_told_once_and_found_again(tmp_path: Path) -> None:
    """The link goes down with a reason, comes up with the broker, and the readings go on."""
    sink, port = Readings(), free_port()
    async with _meters(port, sink) as meters:
        await until(lambda: bool(sink.of(LinkReading)))
        async with mosquitto(tmp_path, port):
            await until(meters.connected)
        await until(lambda: not meters.connected())
        async with mosquitto(tmp_path, port):
            await until(meters.connected)
            async with aiomqtt.Client("127.0.0.1", port) as publisher:
                await publisher.publish(live_topic("home-001"), encode_live(START, 512.0))
            await until(lambda: bool(sink.of(MeterReading)))
    links = sink.of(LinkReading)
    assert [link.up for link in links][:4] == [False, True, False, True]
    assert links[0].why
    assert links[2].why


async def test_a_broker_that_accepts_and_drops_at_once_is_asked_ever_less(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each time it takes connection and subscription and closes: six attempts take five growing pauses."""
    monkeypatch.setattr(backoff, "FIRST_S", 0.05)
    came: list[float] = []
    time_s = asyncio.get_running_loop().time

    async def accept_and_drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(time_s())
        await reader.read(1000)
        writer.write(bytes([0x20, 2, 0, 0]))
        # SUBSCRIBE carries the message's number behind its two bytes of header.
        subscribe = await reader.read(1000)
        writer.write(bytes([0x90, 4, *subscribe[2:4], 0, 0]))
        await writer.drain()
        writer.close()

    sink = Readings()
    server = await asyncio.start_server(accept_and_drop, "127.0.0.1", 0)
    async with server, _meters(server.sockets[0].getsockname()[1], sink):
        await until(lambda: len(came) == 6)
    assert came[-1] - came[0] >= 0.5 * 0.05 * (1 + 2 + 4 + 8 + 16)
    assert any(link.up for link in sink.of(LinkReading))


async def test_clock_is_read_from_the_retained_message(tmp_path: Path) -> None:
    """Whoever comes later gets the announcement; who is there already gets the next one."""
    sink: Readings = Readings()
    heard: list[AnnouncedClock] = []
    async with mosquitto(tmp_path, free_port()) as port, aiomqtt.Client("127.0.0.1", port) as owner:
        await owner.publish(CLOCK_TOPIC, encode_clock(_CLOCK), retain=True)
        assert await read_clock("127.0.0.1", port, 2.0) == _CLOCK.clock
        async with _meters(port, sink, heard) as meters:
            await until(lambda: heard == [_CLOCK])
            running = AnnouncedClock(clock=_CLOCK.clock, running=True)
            await owner.publish(CLOCK_TOPIC, encode_clock(running), retain=True)
            await until(lambda: heard == [_CLOCK, running])
        assert (meters.malformed, meters.messages) == (0, 2)
        await owner.publish(CLOCK_TOPIC, b"{}", retain=True)
        with pytest.raises(StartUpError, match="not usable"):
            await read_clock("127.0.0.1", port, 2.0)


async def test_missing_clock_or_broker_is_one_clear_line(tmp_path: Path) -> None:
    """Starting without an announced clock, or without a broker, says so."""
    async with mosquitto(tmp_path, free_port()) as port:
        with pytest.raises(StartUpError, match="no clock was announced"):
            await read_clock("127.0.0.1", port, 0.3)
    with pytest.raises(StartUpError, match="MQTT broker 127"):
        await read_clock("127.0.0.1", port, 2.0)


async def test_the_simulators_broker_carries_meters_and_clock() -> None:
    """Everything that is published to the embedded broker arrives, in order, and the clock is retained."""
    sink = Readings()
    async with MeterBroker() as broker:
        broker.announce(_CLOCK)
        assert await announced_clock("127.0.0.1", broker.port, 2.0) == _CLOCK
        async with _meters(broker.port, sink) as meters:
            await until(meters.connected)
            payloads = [(live_topic("home-001"), encode_live(START, float(i))) for i in range(200)]
            await broker.publish(payloads)
            await until(lambda: len(sink.of(MeterReading)) == 200)
    assert [reading.power_kw for reading in sink.of(MeterReading)] == [i / 1000 for i in range(200)]
    assert broker.messages == 201


async def test_taken_port_is_one_clear_line() -> None:
    """A broker on a port in use says which."""
    async with MeterBroker() as broker:
        with pytest.raises(StartUpError, match=f"MQTT broker: 127.0.0.1:{broker.port}"):
            async with MeterBroker(port=broker.port):
                pass
