"""Inverter and battery drivers against real Modbus TCP sockets: the simulated devices, and a lying one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from controller.domain.ids import AssetId
from controller.domain.setpoints import Applied, NotSent, PartlyApplied, TimedOut
from controller.domain.telemetry import InverterReading, LinkReading, MeterReading, StorageReading
from controller.domain.time import quarter_start
from drivers.sunspec.device import SunSpecBattery, SunSpecInverter
from sim.endpoints.modbus import SunSpecServer
from sim.endpoints.registers import METER_START_WH, BatteryRegisters, InverterRegisters, RegisterMap
from tests.support.devices import START, HandClock, HandPhysics, Readings, setpoint, until

_ROOF = AssetId("roof-01")
_BATTERY = AssetId("battery-1")


class _Bench:
    """A roof and a battery, each with its server and its driver."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.sink = Readings()
        self.sun, self.store = HandPhysics(), HandPhysics()
        self.roof_registers = InverterRegisters(self.sun, serial="1", rated_kw=10.0)
        self.battery_registers = BatteryRegisters(
            self.store, serial="2", charge_kw_max=50.0, discharge_kw_max=40.0
        )
        self.roof_server = SunSpecServer(self.roof_registers, self.clock)
        self.battery_server = SunSpecServer(self.battery_registers, self.clock)

    def inverter(self, **options: float) -> SunSpecInverter:
        """The roof's driver."""
        return SunSpecInverter(
            _ROOF,
            host="127.0.0.1",
            port=self.roof_server.port,
            sink=self.sink,
            clock=self.clock,
            rated_kw=9.0,
            timeout_s=options.get("timeout_s", 1.0),
        )

    def battery(self) -> SunSpecBattery:
        """The battery's driver."""
        return SunSpecBattery(
            _BATTERY,
            host="127.0.0.1",
            port=self.battery_server.port,
            sink=self.sink,
            clock=self.clock,
            rated_kw=1.0,
            timeout_s=1.0,
        )


@pytest.fixture
async def bench() -> AsyncIterator[_Bench]:
    """Two devices that listen."""
    bench = _Bench()
    async with bench.roof_server, bench.battery_server:
        yield bench


async def test_inverter_is_discovered_and_read(bench: _Bench) -> None:
    """Power, registers, voltages and the link's state arrive with the first poll, signs turned once."""
    bench.sun.power, bench.sun.exported = -6.2, 1234.9
    async with bench.inverter() as device:
        await until(lambda: bool(bench.sink.of(LinkReading)))
        assert device.steerable() == {_ROOF}
        assert device.messages > 10
    assert bench.sink.of(InverterReading)[0].power_kw == pytest.approx(-6.2)
    meter = bench.sink.of(MeterReading)[0]
    assert meter.power_kw == pytest.approx(-6.2)
    assert (meter.import_wh, meter.export_wh) == (METER_START_WH, METER_START_WH + 1234)
    assert meter.voltage_v == pytest.approx((230.0, 231.5, 229.0))
    assert bench.sink.of(LinkReading)[0].up


async def test_curtailment_is_confirmed_and_reverts_on_the_domain_clock(bench: _Bench) -> None:
    """The limit holds until its time is over, then the inverter frees itself without a word from us."""
    async with bench.inverter() as device:
        await until(lambda: bool(device.steerable()))
        command = setpoint(_ROOF, -4.0, holds_s=90)
        assert await device.set_power(command) == Applied(setpoint=command)
        assert bench.sun.limits == [4.0]
        bench.clock.at = START + timedelta(seconds=89)
        bench.roof_server.tick(bench.clock.at)
        assert bench.sun.limits == [4.0]
        bench.clock.at = START + timedelta(seconds=90)
        bench.roof_server.tick(bench.clock.at)
        assert bench.sun.limits == [4.0, None]


async def test_renewed_command_moves_the_end(bench: _Bench) -> None:
    """A second command restarts the timer, and what stood before the first comes back after it."""
    async with bench.inverter() as device:
        await until(lambda: bool(device.steerable()))
        await device.set_power(setpoint(_ROOF, -4.0, holds_s=60))
        bench.clock.at = START + timedelta(seconds=50)
        await device.set_power(setpoint(_ROOF, -3.0, now=bench.clock.at, holds_s=60))
        bench.roof_server.tick(START + timedelta(seconds=70))
        assert bench.sun.limits == [4.0, 3.0]
        bench.roof_server.tick(START + timedelta(seconds=110))
        assert bench.sun.limits == [4.0, 3.0, None]


async def test_start_up_keeps_a_fixed_feed_in_limit(bench: _Bench) -> None:
    """Row 24: a 70 % limit that somebody fixed is read before anything is written, and never exceeded."""
    bench.roof_registers.write(START, _address(bench.roof_registers, "WMaxLimPct"), [7000, 0, 0, 0xFFFF, 1])
    async with bench.inverter() as device:
        await until(lambda: bool(device.steerable()))
        assert bench.sun.limits == [7.0]
        outcome = await device.set_power(setpoint(_ROOF, -10.0, holds_s=60))
        assert isinstance(outcome, PartlyApplied)
        assert outcome.power_kw == pytest.approx(-7.0)
        await device.set_power(setpoint(_ROOF, -2.0, holds_s=60))
        bench.roof_server.tick(START + timedelta(seconds=60))
        assert bench.sun.limits[-2:] == [2.0, 7.0]


async def test_a_fixed_feed_in_limit_is_known_again_below_a_command_of_an_earlier_run(bench: _Bench) -> None:
    """Started anew while its own 20 % run: 70 are the most, and stand again afterwards."""
    kept: list[str] = []

    async def remember(text: str) -> None:
        kept.append(text)

    bench.roof_registers.write(START, _address(bench.roof_registers, "WMaxLimPct"), [7000, 0, 0, 0xFFFF, 1])
    first, second = bench.inverter(), bench.inverter()
    first.keep_limit("", remember)
    async with first:
        await until(lambda: bool(kept))
        await first.set_power(setpoint(_ROOF, -2.0, holds_s=60))
    second.keep_limit(kept[-1], remember)
    async with second:
        await until(lambda: bool(second.steerable()))
        outcome = await second.set_power(setpoint(_ROOF, -10.0, holds_s=60))
        assert isinstance(outcome, PartlyApplied)
        assert outcome.power_kw == pytest.approx(-7.0)
    assert kept == ["70.0"]


def _address(registers: InverterRegisters, name: str) -> int:
    return 40000 + registers.map.index(123, name)


async def test_battery_is_steered_both_ways_and_comes_to_rest(bench: _Bench) -> None:
    """Charging, discharging, then nothing once the command has run out."""
    bench.store.soc = 0.625
    async with bench.battery() as device:
        await until(lambda: bool(device.steerable()))
        for power_kw in (20.0, -10.0):
            command = setpoint(_BATTERY, power_kw, holds_s=60)
            assert await device.set_power(command) == Applied(setpoint=command)
            assert bench.store.requests[-1] == pytest.approx(power_kw)
        too_much = await device.set_power(setpoint(_BATTERY, -45.0, holds_s=60))
        assert isinstance(too_much, PartlyApplied)
        assert too_much.power_kw == pytest.approx(-40.0)
        bench.battery_server.tick(START + timedelta(seconds=61))
        assert bench.store.requests[-1] == 0.0
    assert bench.sink.of(StorageReading)[0].soc_fraction == pytest.approx(0.625)


async def test_setpoints_of_one_device_take_turns(bench: _Bench) -> None:
    """Ten commands at once are written one after another, each confirmed with its own value."""
    async with bench.battery() as device:
        await until(lambda: bool(device.steerable()))
        commands = [setpoint(_BATTERY, float(power_kw)) for power_kw in range(1, 11)]
        outcomes = await asyncio.gather(*(device.set_power(command) for command in commands))
        assert outcomes == [Applied(setpoint=command) for command in commands]


async def test_registers_at_the_quarter_hour_are_told(bench: _Bench) -> None:
    """A poll after the boundary yields registers for exactly the boundary."""
    start = quarter_start(START) + timedelta(minutes=14, seconds=30)
    bench.clock.at = start
    async with bench.inverter():
        await until(lambda: bool(bench.sink.of(LinkReading)))
        bench.sun.exported = 60.0
        bench.clock.at = start + timedelta(seconds=60)
        boundary = quarter_start(bench.clock.at)
        await until(lambda: any(meter.at == boundary for meter in bench.sink.of(MeterReading)))
    at = next(meter for meter in bench.sink.of(MeterReading) if meter.at == boundary)
    assert (at.import_wh, at.export_wh) == (METER_START_WH, METER_START_WH + 30)


async def test_expired_and_early_commands_are_not_sent(bench: _Bench) -> None:
    """A command that has run out, or that comes before the device was read, is not sent."""
    device = bench.inverter()
    assert isinstance(await device.set_power(setpoint(_ROOF, -1.0)), NotSent)
    assert isinstance(await device.set_power(setpoint(_ROOF, -1.0, holds_s=0)), NotSent)


async def test_device_comes_back_after_its_server_was_away(bench: _Bench) -> None:
    """A lost link is told once with its reason, nothing can be steered meanwhile, and it is found again."""
    async with bench.inverter() as device:
        await until(lambda: bool(device.steerable()))
        await bench.roof_server.__aexit__(None, None, None)
        await until(lambda: not device.steerable())
        assert isinstance(await device.set_power(setpoint(_ROOF, -1.0)), NotSent)
        again = SunSpecServer(bench.roof_registers, bench.clock, port=bench.roof_server.port)
        async with again:
            await until(lambda: bool(device.steerable()))
    assert [link.up for link in bench.sink.of(LinkReading)] == [True, False, True]


async def test_server_refuses_wrong_places_and_values(bench: _Bench) -> None:
    """Reading beyond the chain and writing to ratings or senseless values get Modbus exceptions."""
    reader, writer = await asyncio.open_connection("127.0.0.1", bench.roof_server.port)
    limit = _address(bench.roof_registers, "WMaxLimPct")
    for pdu, code in (
        (bytes([3]) + (1000).to_bytes(2) + (2).to_bytes(2), 2),
        (bytes([16]) + (40010).to_bytes(2) + bytes([0, 1, 2, 0, 1]), 2),
        (bytes([16]) + limit.to_bytes(2) + bytes([0, 1, 2, 0x4E, 0x20]), 3),
    ):
        writer.write(bytes([0, 7, 0, 0, 0, len(pdu) + 1, 1]) + pdu)
        answer = await asyncio.wait_for(reader.readexactly(9), 30)
        assert answer[7:] == bytes([pdu[0] | 0x80, code])
    # pymodbus answers an unknown function with function 0 and the exception flag.
    writer.write(bytes([0, 8, 0, 0, 0, 5, 1, 0x55, 1, 2, 3]))
    assert (await asyncio.wait_for(reader.readexactly(9), 30))[7:] == bytes([0x80, 1])
    writer.close()
    assert bench.sun.limits == []


type _Answers = Callable[[bytes, bytes], bytes]


@asynccontextmanager
async def _liar(server: SunSpecServer, lie: _Answers) -> AsyncIterator[None]:
    """Between driver and device somebody changes answers: a driver that is made in the block meets them."""
    device_port = server.port

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", device_port)
        try:
            while True:
                request = await _frame(reader)
                far_writer.write(request)
                answer = lie(request, await _frame(far_reader))
                if answer:
                    writer.write(answer)
        except asyncio.IncompleteReadError:
            writer.close()
            far_writer.close()

    between = await asyncio.start_server(serve, "127.0.0.1", 0)
    server.port = between.sockets[0].getsockname()[1]
    try:
        yield
    finally:
        server.port = device_port
        between.close()


async def _frame(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(6)
    return head + await reader.readexactly(int.from_bytes(head[4:6]))


def _other_transaction(request: bytes, answer: bytes) -> bytes:
    return (int.from_bytes(answer[:2]) + 1).to_bytes(2) + answer[2:] if request[7] == 16 else answer


def _no_transaction(request: bytes, answer: bytes) -> bytes:
    return b"\0\0" + answer[2:] if request[7] == 16 else answer


def _silence(request: bytes, answer: bytes) -> bytes:
    return b"" if request[7] == 16 else answer


def _other_function(request: bytes, _answer: bytes) -> bytes:
    if request[7] != 16:
        return _answer
    return request[:4] + bytes([0, 5, request[6], 3, 2, 0, 0])


@pytest.mark.parametrize("lie", [_other_transaction, _no_transaction, _silence, _other_function])
async def test_wrong_answer_is_never_a_confirmation(bench: _Bench, lie: _Answers) -> None:
    """Row 23: an answer to another request, or none, leaves the command unconfirmed and the link renewed."""
    async with _liar(bench.roof_server, lie), bench.inverter(timeout_s=0.3) as device:
        await until(lambda: bool(device.steerable()))
        outcome = await device.set_power(setpoint(_ROOF, -4.0))
        assert isinstance(outcome, TimedOut)
        await until(lambda: len(bench.sink.of(LinkReading)) >= 3)
    assert [link.up for link in bench.sink.of(LinkReading)][:3] == [True, False, True]


async def test_device_that_ignores_a_limit_is_reported(bench: _Bench) -> None:
    """A confirmed write that reads back as another value counts as the value that was read back."""

    def stubborn(request: bytes, answer: bytes) -> bytes:
        # The read-back of the five control registers still says 100 % and off.
        if request[7] == 3 and request[10:12] == b"\0\5":
            return answer[:9] + bytes([0x27, 0x10, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0])
        return answer

    async with _liar(bench.roof_server, stubborn), bench.inverter() as device:
        await until(lambda: bool(device.steerable()))
        outcome = await device.set_power(setpoint(_ROOF, -4.0))
    assert isinstance(outcome, PartlyApplied)
    assert outcome.power_kw == pytest.approx(-10.0)


def _refuses_the_mode(request: bytes, answer: bytes) -> bytes:
    # A write of one register is the battery's mode: slave device failure.
    if request[7] == 16 and request[10:12] == b"\0\1":
        return answer[:4] + bytes([0, 3, request[6], 0x90, 4])
    return answer


_MODE = RegisterMap((1, 120, 121, 103, 124, 203)).index(124, "StorCtl_Mod")


def _loses_its_mode(request: bytes, answer: bytes) -> bytes:
    # The read-back of mode, rates and timers says that nothing is switched on.
    if request[7] == 3 and int.from_bytes(request[8:10]) == 40000 + _MODE:
        return answer[:9] + b"\0\0" + answer[11:]
    return answer


@pytest.mark.parametrize("lie", [_refuses_the_mode, _loses_its_mode])
async def test_a_battery_that_took_half_a_command_has_not_refused_it(bench: _Bench, lie: _Answers) -> None:
    """Its rates are those of the command by then: nobody may say that nothing has changed in it."""
    async with _liar(bench.battery_server, lie), bench.battery() as device:
        await until(lambda: bool(device.steerable()))
        outcome = await device.set_power(setpoint(_BATTERY, 20.0))
        assert isinstance(outcome, TimedOut)
        assert bench.battery_registers.map.signed(124, "OutWRte") == -5000
