"""The SunSpec codec against register images worked by hand from the specification."""

from __future__ import annotations

from datetime import timedelta

import pytest

from controller.domain.ids import AssetId
from controller.domain.telemetry import MeterReading
from drivers.sunspec import control, readings
from drivers.sunspec.codec import (
    BASE_ADDRESSES,
    CHAIN_MODELS_MAX,
    Block,
    Chain,
    Discovery,
    Snapshot,
    Span,
    SunSpecError,
    Unknown,
    encoded,
    encoded_acc32,
    spans_covering,
)
from drivers.sunspec.layout import PointKind, model
from tests.support.devices import START

_ASSET = AssetId("roof-01")
# Model 103 at 40070, by hand: L = 50, W = -250 steps of 10 W, W_SF = 1, WH = 0x0001_86A0 = 100000.
_INVERTER_AT = 40070


def _inverter_image(**changes: int) -> list[int]:
    image = [0xFFFF] * 52
    image[0], image[1] = 103, 50
    image[14], image[15] = 0xFF06, 1  # W, W_SF
    image[24], image[25], image[26] = 0x0001, 0x86A0, 0  # WH, WH_SF
    for name, value in changes.items():
        image[int(name[1:])] = value
    return image


def _snapshot(image: list[int]) -> tuple[Block, Snapshot]:
    block = Block(number=103, address=_INVERTER_AT, length=50)
    return block, Snapshot({Span(address=_INVERTER_AT, count=len(image)): image})


def _discovered(registers: dict[int, int]) -> Chain:
    walk = Discovery()
    while walk.chain is None:
        span = walk.wanted
        answer = [registers.get(span.address + i) for i in range(span.count)]
        if None in answer:
            walk.refused()
        else:
            walk.received([value for value in answer if value is not None])
    return walk.chain


def test_model_offsets_are_those_of_the_specification() -> None:
    """Spot checks of the alliance's spreadsheet: offsets of the points that control power."""
    assert [model(n).size for n in (1, 103, 120, 121, 123, 124, 203)] == [68, 52, 28, 32, 26, 26, 107]
    assert model(103).points["WH"].offset == 24
    assert model(123).points["WMaxLimPct"].offset == 5
    assert model(123).points["WMaxLim_Ena"].offset == 9
    assert model(124).points["InWRte"].offset == 13
    assert model(203).points["TotWhImp"].offset == 46


def test_unknown_model_is_named() -> None:
    """A model that the alliance does not publish is refused by its number."""
    with pytest.raises(KeyError, match="64999"):
        model(64999)


def test_chain_is_walked_from_marker_to_end() -> None:
    """Marker at 40000, then ID and L of each model, until ID 0xFFFF."""
    image = {
        40000: 0x5375,
        40001: 0x6E53,
        40002: 1,
        40003: 66,
        40070: 103,
        40071: 50,
        40122: 0xFFFF,
        40123: 0,
    }
    chain = _discovered(image)
    assert [(block.number, block.address, block.length) for block in chain.blocks] == [
        (1, 40002, 66),
        (103, 40070, 50),
    ]
    assert chain.find(124) is None
    with pytest.raises(SunSpecError, match="no model 124, only 1, 103"):
        chain.need(124)


def test_marker_is_looked_for_at_the_other_bases() -> None:
    """A device whose chain starts at 0 is found after 40000 and 50000 were refused or held other things."""
    image = {40000: 7, 40001: 7, 0: 0x5375, 1: 0x6E53, 2: 0xFFFF, 3: 0}
    assert _discovered(image).blocks == ()


def test_no_marker_is_said_plainly() -> None:
    """A device without SunSpec is refused with the places that were tried."""
    with pytest.raises(SunSpecError, match="40000, 50000, 0"):
        _discovered({})


def test_chain_through_garbage_ends() -> None:
    """Models of length 0 for ever are no chain, nor is one that breaks off or leaves the registers."""
    walk = Discovery()
    walk.received([0x5375, 0x6E53])
    for _ in range(CHAIN_MODELS_MAX):
        walk.received([5, 0])
    with pytest.raises(SunSpecError, match="no end"):
        walk.received([5, 0])
    walk = Discovery()
    walk.received([0x5375, 0x6E53])
    before = walk.wanted
    with pytest.raises(SunSpecError, match="no end"):
        walk.received([5, 0xFFF0])
    assert walk.wanted == before
    with pytest.raises(SunSpecError, match="breaks off at register 40002"):
        walk.refused()
    with pytest.raises(SunSpecError, match="asked for 2"):
        walk.received([5])
    assert BASE_ADDRESSES[0] == 40000


def test_values_are_scaled_and_signed() -> None:
    """-250 steps at a scale of 1 are -2500 W; an accumulator is two registers, high one first."""
    block, snapshot = _snapshot(_inverter_image())
    assert snapshot.value(block, "W") == -2500.0
    assert snapshot.value(block, "WH") == 100_000.0
    block, snapshot = _snapshot(_inverter_image(r15=0xFFFE))
    assert snapshot.value(block, "W") == -2.5


@pytest.mark.parametrize(
    ("change", "point", "why"),
    [
        ({"r14": 0x8000}, "W", "103.W is not implemented"),
        ({"r15": 0x8000}, "W", "103.W_SF is not implemented"),
        ({"r15": 11}, "W", "103.W_SF is 11, outside -10 to 10"),
        ({"r24": 0, "r25": 0}, "WH", "103.WH is not implemented"),
    ],
)
def test_reserved_values_are_unknown_with_a_reason(change: dict[str, int], point: str, why: str) -> None:
    """'Not implemented' never becomes a number."""
    block, snapshot = _snapshot(_inverter_image(**change))
    assert snapshot.value(block, point) == Unknown(why=why)


def test_points_beyond_a_short_model_and_unread_ones_are_unknown() -> None:
    """An older, shorter model and a span that was not read are told apart."""
    short = Block(number=103, address=_INVERTER_AT, length=20)
    snapshot = Snapshot({Span(address=_INVERTER_AT, count=16): _inverter_image()[:16]})
    assert snapshot.value(short, "WH") == Unknown(why="103.WH is not in the device's model")
    long = Block(number=103, address=_INVERTER_AT, length=50)
    assert snapshot.value(long, "WH") == Unknown(why="103.WH was not read")
    with pytest.raises(SunSpecError, match="ends before WH"):
        short.span("W", "WH")
    with pytest.raises(SunSpecError, match="asked for 3 registers, got 1"):
        Snapshot({Span(address=1, count=3): [1]})


def test_inverter_readings_turn_the_sign_once() -> None:
    """2.5 kW delivered is -2.5 kW for us and never positive; the accumulator is what was fed in."""
    chain = Chain(
        blocks=(
            Block(number=103, address=_INVERTER_AT, length=50),
            Block(number=123, address=40122, length=24),
        )
    )
    control_image = [0xFFFF] * 26
    control_image[5:10] = [6000, 0, 90, 0xFFFF, 1]
    control_image[23] = 0xFFFE
    snapshot = Snapshot(
        {
            Span(address=_INVERTER_AT, count=52): _inverter_image(r14=250),
            Span(address=40122, count=26): control_image,
        }
    )
    own = readings.inverter_reading(chain, snapshot, asset=_ASSET, at=START)
    assert (own.power_kw, own.limited) == (-2.5, True)
    meter = readings.meter_reading(chain, snapshot, asset=_ASSET, at=START)
    assert (meter.power_kw, meter.import_wh, meter.export_wh) == (-2.5, None, 100_000)
    assert "does not count what it takes" in meter.why_unknown
    night = snapshot.updated(Span(address=_INVERTER_AT, count=52), _inverter_image())
    assert readings.inverter_reading(chain, night, asset=_ASSET, at=START).power_kw == 0.0


def test_reads_are_merged_up_to_what_modbus_allows() -> None:
    """Neighbouring spans become one read; 125 registers are the most."""
    merged = spans_covering(
        [Span(address=100, count=10), Span(address=0, count=20), Span(address=115, count=10)]
    )
    assert merged == (Span(address=0, count=125),)
    assert len(spans_covering([Span(address=0, count=20), Span(address=120, count=10)])) == 2


@pytest.mark.parametrize(
    ("kind", "value", "scale", "floor", "register"),
    [
        (PointKind.UINT16, 61.7, -2, True, 6170),
        (PointKind.UINT16, 61.7099, -2, True, 6170),
        (PointKind.INT16, -40.0, -2, False, 0x10000 - 4000),
        (PointKind.INT16, 25_000.0, 1, False, 2500),
    ],
)
def test_values_are_encoded(kind: PointKind, value: float, scale: int, floor: bool, register: int) -> None:  # noqa: FBT001  # a column of the table
    """Percent in hundredths, negative numbers as two's complement, watts in tens."""
    assert encoded(kind, value, scale, floor=floor) == register


def test_what_does_not_fit_is_not_wrapped() -> None:
    """A value outside its register's range is refused, and reserved values are outside."""
    for kind, value in ((PointKind.UINT16, 65535), (PointKind.INT16, -32768), (PointKind.UINT16, -1)):
        with pytest.raises(ValueError, match="does not fit"):
            encoded(kind, value)
    with pytest.raises(ValueError, match="more than one register"):
        encoded(PointKind.ACC32, 1)
    assert encoded_acc32((1 << 32) + 65_537) == (1, 1)


def test_registers_at_a_boundary_lie_on_the_line() -> None:
    """A third of the way from 16:00:40 to 16:01:10 is a third of the energy; nothing is made up."""
    boundary = START + timedelta(minutes=15)
    before = MeterReading(meter=_ASSET, at=boundary - timedelta(seconds=10), import_wh=100, export_wh=1000)
    after = MeterReading(meter=_ASSET, at=boundary + timedelta(seconds=20), import_wh=100, export_wh=1090)
    gap = timedelta(minutes=3)
    at = readings.register_at_boundary(before, after, boundary, gap_max=gap)
    assert at is not None
    assert (at.at, at.import_wh, at.export_wh, at.power_kw) == (boundary, 100, 1030, None)
    assert readings.register_at_boundary(before, after, boundary, gap_max=timedelta(seconds=29)) is None
    assert readings.register_at_boundary(after, before, boundary, gap_max=gap) is None
    swapped = MeterReading(meter=_ASSET, at=after.at, import_wh=100, export_wh=900)
    assert readings.register_at_boundary(before, swapped, boundary, gap_max=gap) is None


def test_revert_time_covers_the_command_and_fits() -> None:
    """Rounded up to whole seconds, at least 1, at most what the register holds."""
    assert control.revert_s(timedelta(seconds=59.2)) == 60
    assert control.revert_s(timedelta(milliseconds=1)) == 1
    assert control.revert_s(timedelta(days=2)) == 65534
