"""Registers to values and back, and the way along a device's chain of models. No I/O.

A caller asks `Discovery` which registers to read next and hands it the answers, until the chain is
known. After that the readings that matter are fetched in as few spans as possible, kept in a `Snapshot`
and decoded by point name. What a device has not implemented (SunSpec has a reserved value for each kind)
comes back as `Unknown` with the reason; it is never taken for a number.

Signs are still the device's own in here; `drivers.sunspec.readings` turns them, once.

Source: SunSpec Alliance, Device Information Model Specification v1.2, sections 4 (chain) and 5 (kinds).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from controller.domain.errors import WijkstroomError
from drivers.sunspec.layout import HEADER_REGISTERS, Point, PointKind, model

MARKER = (0x5375, 0x6E53)
"""'SunS', the two registers that a chain starts with."""
BASE_ADDRESSES = (40000, 50000, 0)
"""Where a chain may start, in the order in which to look (section 4.1 prefers 40000)."""
END_MODEL = 0xFFFF
READ_REGISTERS_MAX = 125
"""The most one Modbus request can read (Modbus Application Protocol V1.1b3, 6.3)."""
CHAIN_MODELS_MAX = 64
"""More models than any device has: a chain longer than this runs in circles or through garbage."""
REGISTER_MAX = 0xFFFF
SCALE_MAX = 10
"""Scale factors lie within -10 to 10 (section 5.5)."""

_NOT_IMPLEMENTED: Mapping[PointKind, int] = {
    PointKind.UINT16: 0xFFFF,
    PointKind.INT16: 0x8000,
    PointKind.ENUM16: 0xFFFF,
    PointKind.BITFIELD16: 0xFFFF,
    PointKind.SCALE: 0x8000,
    PointKind.UINT32: 0xFFFFFFFF,
    PointKind.INT32: 0x80000000,
    PointKind.BITFIELD32: 0xFFFFFFFF,
    PointKind.ACC32: 0,
}
_SIGNED = {PointKind.INT16, PointKind.SCALE, PointKind.INT32}


class SunSpecError(WijkstroomError):
    """The device does not speak SunSpec as it should: the peer's fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """A point that has no value, and why."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Registers that lie together."""

    address: int
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One model in a device's chain."""

    number: int
    address: int
    """Of its ID register."""
    length: int
    """Registers after ID and L, as the device says."""

    def has(self, point: Point) -> bool:
        """Whether the device's version of the model reaches as far as the point."""
        return point.offset + point.size <= HEADER_REGISTERS + self.length

    def span(self, *names: str) -> Span:
        """The registers from the first to the last of these points.

        Raises:
            SunSpecError: If the device's model ends before one of them.
        """
        points = [model(self.number).points[name] for name in names]
        for point in points:
            if not self.has(point):
                raise SunSpecError(
                    f"model {self.number} of the device ends before {point.name} (L = {self.length})"
                )
        first = min(point.offset for point in points)
        after = max(point.offset + point.size for point in points)
        return Span(address=self.address + first, count=after - first)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """The models that a device has, in its own order."""

    blocks: tuple[Block, ...]

    def find(self, number: int) -> Block | None:
        """The first model with that number."""
        return next((block for block in self.blocks if block.number == number), None)

    def need(self, number: int) -> Block:
        """The same, where the device is no use without it.

        Raises:
            SunSpecError: If it is not there.
        """
        block = self.find(number)
        if block is None:
            there = ", ".join(str(block.number) for block in self.blocks)
            raise SunSpecError(f"the device has no model {number}, only {there or 'none'}")
        return block


class Discovery:
    """Walks the chain: read `wanted`, hand the answer to `received` or `refused`, until `chain` is there.

    An answer that does not fit raises and leaves the walk where it was.
    """

    def __init__(self) -> None:
        self._bases = list(BASE_ADDRESSES)
        self._base: int | None = None
        self._next = self._bases[0]
        self._blocks: list[Block] = []
        self.chain: Chain | None = None
        """The whole chain; None while the walk goes on."""

    @property
    def wanted(self) -> Span:
        """What to read next: the marker, or a model's ID and L."""
        return Span(address=self._next, count=HEADER_REGISTERS)

    def received(self, registers: Sequence[int]) -> None:
        """Takes the two registers of `wanted`.

        Raises:
            SunSpecError: If there is no marker anywhere, or the chain has no end.
        """
        if len(registers) != HEADER_REGISTERS:
            raise SunSpecError(f"asked for {HEADER_REGISTERS} registers, got {len(registers)}")
        if self._base is None:
            self._take_marker(registers)
            return
        number, length = registers
        if number == END_MODEL:
            self.chain = Chain(blocks=tuple(self._blocks))
            return
        after = self._next + HEADER_REGISTERS + length
        if len(self._blocks) == CHAIN_MODELS_MAX or after > REGISTER_MAX:
            raise SunSpecError(f"the chain of models has no end (model {number} at {self._next})")
        self._blocks.append(Block(number=number, address=self._next, length=length))
        self._next = after

    def refused(self) -> None:
        """The device has no registers at `wanted`.

        Raises:
            SunSpecError: If it was the last place to look, or lies inside the chain.
        """
        if self._base is not None:
            raise SunSpecError(f"the chain of models breaks off at register {self._next}")
        self._next_base()

    def _take_marker(self, registers: Sequence[int]) -> None:
        if tuple(registers) != MARKER:
            self._next_base()
            return
        self._base = self._next
        self._next += len(MARKER)

    def _next_base(self) -> None:
        if len(self._bases) == 1:
            places = ", ".join(str(base) for base in BASE_ADDRESSES)
            raise SunSpecError(f"no SunSpec marker at {places}: not a SunSpec device")
        self._bases.pop(0)
        self._next = self._bases[0]


def spans_covering(wanted: Iterable[Span]) -> tuple[Span, ...]:
    """The fewest reads that cover all spans, in order; registers between them are read along.

    Every register of a chain can be read, so a gap costs less than a request of its own.
    """
    merged: list[Span] = []
    for span in sorted(wanted, key=lambda span: span.address):
        if merged:
            last = merged[-1]
            count = max(last.count, span.address + span.count - last.address)
            if count <= READ_REGISTERS_MAX:
                merged[-1] = Span(address=last.address, count=count)
                continue
        merged.append(span)
    return tuple(merged)


class Snapshot:
    """Registers as read from a device, decoded by model and point name."""

    def __init__(self, reads: Mapping[Span, Sequence[int]]) -> None:
        """Keeps the answers.

        Raises:
            SunSpecError: If an answer has another number of registers than its span.
        """
        self._registers: dict[int, int] = {}
        for span, registers in reads.items():
            if len(registers) != span.count:
                raise SunSpecError(f"asked for {span.count} registers, got {len(registers)}")
            self._registers.update(
                zip(range(span.address, span.address + span.count), registers, strict=True)
            )

    def updated(self, span: Span, registers: Sequence[int]) -> Snapshot:
        """This snapshot with one span read anew."""
        newer = Snapshot({span: registers})
        newer._registers = self._registers | newer._registers
        return newer

    def raw(self, block: Block, name: str) -> int | Unknown:
        """A point as the integer that it is, before scaling."""
        point = model(block.number).points[name]
        label = f"{block.number}.{name}"
        if not block.has(point):
            return Unknown(why=f"{label} is not in the device's model")
        start = block.address + point.offset
        try:
            parts = [self._registers[start + i] for i in range(point.size)]
        except KeyError:
            return Unknown(why=f"{label} was not read")
        value = 0
        for part in parts:
            value = value << 16 | part
        if value == _NOT_IMPLEMENTED.get(point.kind):
            return Unknown(why=f"{label} is not implemented")
        if point.kind in _SIGNED and value >> (16 * point.size - 1):
            value -= 1 << (16 * point.size)
        return value

    def value(self, block: Block, name: str) -> float | Unknown:
        """A point in its unit: the integer times ten to the power of its scale factor."""
        raw = self.raw(block, name)
        if isinstance(raw, Unknown):
            return raw
        scale = self.scale(block, name)
        return scale if isinstance(scale, Unknown) else _scaled(raw, scale)

    def scale(self, block: Block, name: str) -> int | Unknown:
        """The power of ten of a point; 0 where it has none."""
        scale_name = model(block.number).points[name].scale
        if scale_name is None:
            return 0
        scale = self.raw(block, scale_name)
        if isinstance(scale, int) and abs(scale) > SCALE_MAX:
            return Unknown(why=f"{block.number}.{scale_name} is {scale}, outside -10 to 10")
        return scale


def _scaled(raw: int, scale: int) -> float:
    # Dividing by a whole power of ten rounds once; multiplying by 0.01 would round twice.
    return raw * 10.0**scale if scale >= 0 else raw / 10.0**-scale


def encoded(kind: PointKind, value: float, scale: int = 0, *, floor: bool = False) -> int:
    """A value as one register.

    Args:
        kind: A kind of 16 bits.
        value: In the point's unit.
        scale: The power of ten that the device uses for the point.
        floor: Rounds towards minus infinity, for limits that must not be exceeded; else to the nearest.

    Raises:
        ValueError: If the kind has more than one register, or the value does not fit in it.
    """
    scaled = value / 10.0**scale if scale >= 0 else value * 10.0**-scale
    # 1e-6 of a step forgives what floats lose: 61.7 % in hundredths is 6170, not 6169.
    number = math.floor(scaled + 1e-6) if floor else round(scaled)
    low, high = (-0x7FFF, 0x7FFF) if kind in _SIGNED else (0, 0xFFFE)
    if kind in {PointKind.UINT32, PointKind.INT32, PointKind.ACC32, PointKind.BITFIELD32, PointKind.STRING}:
        raise ValueError(f"{kind} takes more than one register")
    if not low <= number <= high:
        raise ValueError(f"{value} at scale {scale} does not fit in {kind}")
    return number & REGISTER_MAX


def encoded_acc32(value: int) -> tuple[int, int]:
    """An accumulator as two registers, high one first; it wraps at 2**32 (section 5.3)."""
    wrapped = value % (1 << 32)
    return wrapped >> 16, wrapped & REGISTER_MAX
