"""The simulated devices' registers against images worked by hand."""

from __future__ import annotations

from datetime import timedelta

import pytest

from drivers.sunspec.codec import Discovery
from sim.endpoints.registers import (
    BASE_ADDRESS,
    METER_START_WH,
    BatteryRegisters,
    InverterRegisters,
    RefusedWriteError,
)
from tests.support.devices import START, HandPhysics

# By hand: 2 (marker) + 68 (1) + 28 (120) + 32 (121) = 130 is where model 103 or the next one starts.
_MODEL_103 = BASE_ADDRESS + 130
_MODEL_123 = _MODEL_103 + 52
_LIMIT = _MODEL_123 + 5


def _roof() -> tuple[HandPhysics, InverterRegisters]:
    physics = HandPhysics()
    return physics, InverterRegisters(physics, serial="roof-01", rated_kw=10.0)


def test_chain_has_the_models_of_an_inverter() -> None:
    """Marker, then 1, 120, 121, 103, 123, 203, then the end."""
    _, registers = _roof()
    walk = Discovery()
    while walk.chain is None:
        walk.received(registers.read(START, walk.wanted.address, walk.wanted.count))
    assert [(block.number, block.address) for block in walk.chain.blocks][3:] == [
        (103, _MODEL_103),
        (123, _MODEL_123),
        (203, _MODEL_123 + 26),
    ]


def test_power_and_energy_are_filled_in_when_read() -> None:
    """6.2 kW produced is +6200 W in model 103, in whole watts; the accumulator is two registers."""
    physics, registers = _roof()
    physics.power, physics.exported = -6.2, 70_000.7
    image = registers.read(START, _MODEL_103, 52)
    assert (image[14], image[15]) == (6200, 0)
    assert image[24] << 16 | image[25] == METER_START_WH + 70_000
    assert image[10:13] == [2300, 2315, 2290]
    assert registers.read(START, BASE_ADDRESS + 4 + 66 - 18, 1)[0] == int.from_bytes(b"ro")


def test_large_devices_tell_power_in_larger_steps() -> None:
    """60 kW does not fit in 16 bits with a sign, so it is told in tens of watts."""
    physics = HandPhysics()
    registers = InverterRegisters(physics, serial="x", rated_kw=60.0)
    physics.power = -60.0
    image = registers.read(START, _MODEL_103, 52)
    assert (image[14], image[15]) == (6000, 1)


def test_command_runs_out_also_while_nobody_asks() -> None:
    """50 % for 30 s, then what stood before."""
    physics, registers = _roof()
    registers.write(START, _LIMIT, [5000, 0, 30, 0xFFFF, 1])
    registers.tick(START + timedelta(seconds=29))
    assert physics.limits == [5.0]
    registers.tick(START + timedelta(seconds=30))
    assert physics.limits == [5.0, None]
    assert registers.read(START + timedelta(seconds=31), _LIMIT, 5) == [10_000, 0, 0, 0xFFFF, 0]


@pytest.mark.parametrize(
    ("address", "values", "wrong_address"),
    [
        (_LIMIT, [10_001], False),
        (_LIMIT + 4, [2], False),
        (_LIMIT - 1, [0], True),
        (BASE_ADDRESS, [0], True),
        (_LIMIT + 4, [1, 0], True),
    ],
)
def test_refused_write_changes_nothing(address: int, values: list[int], wrong_address: bool) -> None:  # noqa: FBT001  # a column of the table
    """A wrong place or value is refused whole."""
    physics, registers = _roof()
    before = registers.read(START, BASE_ADDRESS, 300)
    with pytest.raises(RefusedWriteError) as refusal:
        registers.write(START, address, values)
    assert refusal.value.wrong_address is wrong_address
    assert registers.read(START, BASE_ADDRESS, 300) == before
    assert physics.limits == []


def test_reading_outside_the_chain_is_refused() -> None:
    """There is nothing below the marker and nothing after the end."""
    _, registers = _roof()
    for address, count in ((BASE_ADDRESS - 1, 2), (BASE_ADDRESS + 316, 4)):
        with pytest.raises(RefusedWriteError):
            registers.read(START, address, count)


@pytest.mark.parametrize(
    ("mode", "out_rate", "in_rate", "request_kw"),
    [
        (3, 0x10000 - 5000, 4000, 20.0),  # forced to charge: -50 % of 40 kW, at most 40 % of 50 kW
        (3, 2500, 0x10000 - 2000, -10.0),
        (3, 0, 0, 0.0),
        (3, 10_000, 10_000, 0.0),  # free within both bounds, and without a wish of its own
        (0, 0x10000 - 5000, 4000, 0.0),  # bounds that are off bound nothing
        (2, 0x10000 - 5000, 1, 20.0),
    ],
)
def test_battery_obeys_its_bounds(mode: int, out_rate: int, in_rate: int, request_kw: float) -> None:
    """A negative bound of one side forces the other."""
    physics = HandPhysics()
    registers = BatteryRegisters(physics, serial="b", charge_kw_max=50.0, discharge_kw_max=40.0)
    storage = BASE_ADDRESS + 130 + 52
    registers.write(START, storage + 12, [out_rate, in_rate, 0, 60])
    registers.write(START, storage + 5, [mode])
    assert physics.requests[-1] == pytest.approx(request_kw)
    assert registers.read(START, storage + 8, 1) == [5000]
    registers.tick(START + timedelta(seconds=60))
    assert physics.requests[-1] == 0.0
