"""What a simulated inverter or battery keeps in its registers, and what it does when they are written.

Pure state on the domain clock, without sockets: the Modbus server in `sim.endpoints.modbus` asks it before
each answer. A chain of SunSpec models is laid out once; power, energy and charge are filled in from the
physics when they are read. A written command runs until its revert time is over; then what stood before
it comes back by itself.

The registers are interpreted here on their own, not with the driver's decoding, so that a mistake on one
side shows on the other.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from drivers.sunspec.codec import END_MODEL, MARKER
from drivers.sunspec.layout import HEADER_REGISTERS, PointKind, model

BASE_ADDRESS = 40000
METER_START_WH = 1_000_000
"""The meters are not new: SunSpec cannot tell a register at 0 from one that is not implemented."""
_NOT_IMPLEMENTED = {
    PointKind.INT16: 0x8000,
    PointKind.SCALE: 0x8000,
    PointKind.ACC32: 0,
    PointKind.STRING: 0,
    PointKind.PAD: 0x8000,
}
_W_PER_KW = 1000.0
_INT16_MAX = 32767
_PERCENT_SCALE = -2
_PERCENT_STEPS = 100
"""Steps in one percent, at that scale."""
_FULL_PERCENT = 100 * _PERCENT_STEPS


class DevicePhysics(Protocol):
    """What the registers of a device are filled from."""

    def power_kw(self) -> float:
        """AC power [kW], positive = consumption."""
        ...

    def import_wh(self) -> float:
        """Energy taken since the start [Wh]."""
        ...

    def export_wh(self) -> float:
        """Energy delivered since the start [Wh]."""
        ...

    def voltage_v(self) -> tuple[float, float, float]:
        """Phase to neutral [V]."""
        ...


class InverterPhysics(DevicePhysics, Protocol):
    """A PV inverter's."""

    def limit_kw(self, limit_kw: float | None) -> None:
        """Bounds the production from now on, a magnitude [kW]; None frees it."""
        ...


class BatteryPhysics(DevicePhysics, Protocol):
    """A battery's."""

    def soc_fraction(self) -> float:
        """How full it is."""
        ...

    def request_kw(self, power_kw: float) -> None:
        """Asks for a power from now on [kW], positive = charging."""
        ...


class RefusedWriteError(Exception):
    """A write that the device does not take; `address` tells whether the place or the value is wrong."""

    def __init__(self, *, wrong_address: bool) -> None:
        self.wrong_address = wrong_address
        super().__init__("wrong address" if wrong_address else "wrong value")


class RegisterMap:
    """A chain of models in memory: everything 'not implemented' until it is set."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self.registers: list[int] = [*MARKER]
        """From `BASE_ADDRESS` on."""
        self._start: dict[int, int] = {}
        for number in numbers:
            layout = model(number)
            self._start[number] = len(self.registers)
            for point in layout.points.values():
                self.registers += [_NOT_IMPLEMENTED.get(point.kind, 0xFFFF)] * point.size
            self.set(number, "ID", number)
            self.set(number, "L", layout.size - HEADER_REGISTERS)
        self.registers += [END_MODEL, 0]

    def index(self, number: int, name: str) -> int:
        """Where a point starts in `registers`."""
        return self._start[number] + model(number).points[name].offset

    def set(self, number: int, name: str, value: int) -> None:
        """Sets a point from its raw integer."""
        at = self.index(number, name)
        if model(number).points[name].size == 1:
            self.registers[at] = value & 0xFFFF
        else:
            self.registers[at] = value >> 16 & 0xFFFF
            self.registers[at + 1] = value & 0xFFFF

    def set_text(self, number: int, name: str, text: str) -> None:
        """Sets a string point, padded with zeros."""
        point = model(number).points[name]
        padded = text.encode("ascii")[: 2 * point.size].ljust(2 * point.size, b"\0")
        at = self.index(number, name)
        for i in range(point.size):
            self.registers[at + i] = int.from_bytes(padded[2 * i : 2 * i + 2], "big")

    def get(self, number: int, name: str) -> int:
        """A point of one register, raw."""
        return self.registers[self.index(number, name)]

    def signed(self, number: int, name: str) -> int:
        """A point of one register, as a signed integer."""
        raw = self.get(number, name)
        return raw - 0x10000 if raw & 0x8000 else raw


@dataclass(frozen=True, slots=True, kw_only=True)
class _Control:
    """The registers of a device that may be written."""

    number: int
    names: tuple[str, ...]
    """In the order of their registers."""
    revert: str
    """Which of them holds the revert time [s]."""


class SunSpecRegisters(ABC):
    """What inverter and battery share: layout, readings, control registers and the revert timer."""

    _models: tuple[int, ...]
    _control: _Control

    def __init__(self, physics: DevicePhysics, *, serial: str, rated_kw: float) -> None:
        self.map = RegisterMap(self._models)
        self._physics = physics
        # The smallest scale at which one and a half times the rating fits in 16 bits with a sign.
        self._power_scale = next(n for n in range(6) if 1.5 * rated_kw * _W_PER_KW / 10**n <= _INT16_MAX)
        self._set_nameplate(serial, rated_kw)
        self._standing: dict[str, int] = {}
        self._reverts_at: datetime | None = None
        self._writable: Mapping[int, str] = {
            self.map.index(self._control.number, name): name for name in self._control.names
        }

    def tick(self, now: datetime) -> None:
        """Lets the domain clock reach `now`: a command whose time is over gives way to what stood before."""
        if self._reverts_at is not None and now >= self._reverts_at:
            self._reverts_at = None
            for name, value in self._standing.items():
                self.map.set(self._control.number, name, value)
            self._obey()

    def read(self, now: datetime, address: int, count: int) -> list[int]:
        """The registers as they are now.

        Raises:
            RefusedWriteError: If some of them are not there.
        """
        start = address - BASE_ADDRESS
        if start < 0 or start + count > len(self.map.registers):
            raise RefusedWriteError(wrong_address=True)
        self.tick(now)
        self._refresh()
        return self.map.registers[start : start + count]

    def write(self, now: datetime, address: int, values: Sequence[int]) -> None:
        """Takes a command, whole or not at all.

        Raises:
            RefusedWriteError: If a register may not be written or a value is senseless; nothing has changed.
        """
        self.tick(now)
        names = [self._writable.get(address - BASE_ADDRESS + i) for i in range(len(values))]
        given = {name: value for name, value in zip(names, values, strict=True) if name is not None}
        if len(given) != len(values):
            raise RefusedWriteError(wrong_address=True)
        if not self._acceptable(given):
            raise RefusedWriteError(wrong_address=False)
        number = self._control.number
        if self._reverts_at is None:
            self._standing = {name: self.map.get(number, name) for name in self._control.names}
        for name, value in given.items():
            self.map.set(number, name, value)
        holds_s = given.get(self._control.revert)
        if holds_s is not None:
            timed = 0 < holds_s < 0xFFFF
            self._reverts_at = now + timedelta(seconds=holds_s) if timed else None
        self._obey()

    # --- what differs ---

    @abstractmethod
    def _acceptable(self, given: Mapping[str, int]) -> bool:
        """Whether the values of a write make sense."""

    @abstractmethod
    def _obey(self) -> None:
        """Passes what the control registers now say to the physics."""

    # --- readings ---

    def _set_nameplate(self, serial: str, rated_kw: float) -> None:
        text = {"Mn": "Wijkstroom", "Md": type(self).__name__, "Vr": "1", "SN": serial}
        for name, value in text.items():
            self.map.set_text(1, name, value)
        self.map.set(1, "DA", 1)
        scaled = self.scaled_w(rated_kw)
        for number, name in ((120, "WRtg"), (121, "WMax")):
            self.map.set(number, name, scaled)
            self.map.set(number, f"{name}_SF", self._power_scale)
        for number in (103, 203):
            self.map.set(number, "W_SF", self._power_scale)
            self.map.set(number, "V_SF", -1)
            self.map.set(number, "Hz", 5000)
            self.map.set(number, "Hz_SF", -2)
        self.map.set(103, "WH_SF", 0)
        self.map.set(103, "St", 4)
        self.map.set(203, "TotWh_SF", 0)

    def scaled_w(self, power_kw: float) -> int:
        """A power in the device's own steps of watts."""
        return round(power_kw * _W_PER_KW / 10.0**self._power_scale)

    def _refresh(self) -> None:
        power_kw = self._physics.power_kw()
        registers = self.map
        registers.set(103, "W", self.scaled_w(-power_kw))
        registers.set(203, "W", self.scaled_w(power_kw))
        third = self.scaled_w(power_kw / 3.0)
        for phase, voltage_v in zip("ABC", self._physics.voltage_v(), strict=True):
            registers.set(203, f"Wph{phase}", third)
            registers.set(203, f"PhVph{phase}", round(10.0 * voltage_v))
            registers.set(103, f"PhVph{phase}", round(10.0 * voltage_v))
        delivered_wh = METER_START_WH + int(self._physics.export_wh())
        registers.set(103, "WH", delivered_wh)
        registers.set(203, "TotWhExp", delivered_wh)
        registers.set(203, "TotWhImp", METER_START_WH + int(self._physics.import_wh()))


class InverterRegisters(SunSpecRegisters):
    """A PV inverter: nameplate, settings, inverter, immediate controls, and a production meter."""

    _models = (1, 120, 121, 103, 123, 203)
    _control = _Control(
        number=123,
        names=(
            "WMaxLimPct",
            "WMaxLimPct_WinTms",
            "WMaxLimPct_RvrtTms",
            "WMaxLimPct_RmpTms",
            "WMaxLim_Ena",
        ),
        revert="WMaxLimPct_RvrtTms",
    )

    def __init__(self, physics: InverterPhysics, *, serial: str, rated_kw: float) -> None:
        super().__init__(physics, serial=serial, rated_kw=rated_kw)
        self._inverter, self._rated_kw = physics, rated_kw
        self.map.set(120, "DERTyp", 4)
        self.map.set(123, "WMaxLimPct_SF", _PERCENT_SCALE)
        self.map.set(123, "WMaxLimPct", _FULL_PERCENT)
        self.map.set(123, "WMaxLim_Ena", 0)
        for name in ("WinTms", "RvrtTms"):
            self.map.set(123, f"WMaxLimPct_{name}", 0)

    def _acceptable(self, given: Mapping[str, int]) -> bool:
        return given.get("WMaxLimPct", 0) <= _FULL_PERCENT and given.get("WMaxLim_Ena", 0) in {0, 1}

    def _obey(self) -> None:
        if self.map.get(123, "WMaxLim_Ena") == 1:
            self._inverter.limit_kw(self._rated_kw * self.map.get(123, "WMaxLimPct") / _FULL_PERCENT)
        else:
            self._inverter.limit_kw(None)


class BatteryRegisters(SunSpecRegisters):
    """A battery: nameplate, settings, inverter, storage, and its meter."""

    _models = (1, 120, 121, 103, 124, 203)
    _control = _Control(
        number=124,
        names=(
            "StorCtl_Mod",
            "OutWRte",
            "InWRte",
            "InOutWRte_WinTms",
            "InOutWRte_RvrtTms",
            "InOutWRte_RmpTms",
        ),
        revert="InOutWRte_RvrtTms",
    )

    def __init__(
        self, physics: BatteryPhysics, *, serial: str, charge_kw_max: float, discharge_kw_max: float
    ) -> None:
        super().__init__(physics, serial=serial, rated_kw=max(charge_kw_max, discharge_kw_max))
        self._battery, self._charge_kw_max, self._discharge_kw_max = physics, charge_kw_max, discharge_kw_max
        self.map.set(120, "DERTyp", 82)
        for number, name, power_kw in (
            (120, "MaxChaRte", charge_kw_max),
            (120, "MaxDisChaRte", discharge_kw_max),
            (124, "WChaMax", charge_kw_max),
        ):
            self.map.set(number, name, self.scaled_w(power_kw))
            self.map.set(number, f"{name}_SF", self._power_scale)
        self.map.set(124, "StorCtl_Mod", 0)
        self.map.set(124, "InOutWRte_SF", _PERCENT_SCALE)
        self.map.set(124, "ChaState_SF", _PERCENT_SCALE)
        for name in ("OutWRte", "InWRte"):
            self.map.set(124, name, _FULL_PERCENT)
        for name in ("WinTms", "RvrtTms"):
            self.map.set(124, f"InOutWRte_{name}", 0)

    def _acceptable(self, given: Mapping[str, int]) -> bool:
        rates = [given[name] for name in ("OutWRte", "InWRte") if name in given]
        signed = [rate - 0x10000 if rate & 0x8000 else rate for rate in rates]
        return all(abs(rate) <= _FULL_PERCENT for rate in signed) and given.get("StorCtl_Mod", 0) <= 3

    def _obey(self) -> None:
        """Without a wish of its own the battery stands still unless one bound forces the other side."""
        mode = self.map.get(124, "StorCtl_Mod")
        charge_most_kw, discharge_most_kw = self._charge_kw_max, self._discharge_kw_max
        if mode & 1:
            charge_most_kw *= self.map.signed(124, "InWRte") / _FULL_PERCENT
        if mode & 2:
            discharge_most_kw *= self.map.signed(124, "OutWRte") / _FULL_PERCENT
        if discharge_most_kw < 0.0:
            self._battery.request_kw(min(-discharge_most_kw, max(charge_most_kw, 0.0)))
        elif charge_most_kw < 0.0:
            self._battery.request_kw(-min(-charge_most_kw, discharge_most_kw))
        else:
            self._battery.request_kw(0.0)

    def _refresh(self) -> None:
        super()._refresh()
        self.map.set(124, "ChaState", round(100.0 * _PERCENT_STEPS * self._battery.soc_fraction()))
