"""Power commands as register writes, and what the registers that are read back mean. No I/O.

Curtailing an inverter (model 123): `WMaxLimPct` is the most it may deliver, in percent of `WMax`;
`WMaxLimPct_RvrtTms` is the time after which it falls back to what it did before.

Steering a battery (model 124): `InWRte` bounds charging in percent of `WChaMax`, `OutWRte` bounds
discharging in percent of the discharge rating, each where its bit of `StorCtl_Mod` is set. A negative
bound on one side forces the other: `OutWRte` -40 % means charging with at least 40 % (Fronius, "Battery
Storage Controls", register map 2021, uses the same reading). Both bounds together pin the power.

Every command carries a revert time, so a device that no longer hears us goes back by itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta

from controller.domain.units import W_PER_KW
from drivers.sunspec.codec import Block, Chain, Snapshot, Span, SunSpecError, Unknown, encoded
from drivers.sunspec.layout import PointKind
from drivers.sunspec.readings import CONTROLS, NAMEPLATE, SETTINGS, STORAGE

REVERT_S_MAX = 0xFFFE
"""The longest revert time that fits in its register [s]."""
CHARGE_BIT = 1
DISCHARGE_BIT = 2
_PERCENT = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """Registers to write in one request."""

    address: int
    registers: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratings:
    """What the percentages of a device are percentages of."""

    rated_kw: float
    """Most it delivers."""
    charge_kw_max: float
    discharge_kw_max: float


def ratings(chain: Chain, snapshot: Snapshot, *, fallback_kw: float) -> Ratings:
    """The device's own ratings; `fallback_kw` where it does not tell."""
    rated = _known_kw(snapshot, chain.find(SETTINGS), "WMax")
    if rated is None:
        rated = _known_kw(snapshot, chain.find(NAMEPLATE), "WRtg")
    rated = fallback_kw if rated is None else rated
    charge = _known_kw(snapshot, chain.find(STORAGE), "WChaMax")
    discharge = _known_kw(snapshot, chain.find(NAMEPLATE), "MaxDisChaRte")
    charge = rated if charge is None else charge
    return Ratings(
        rated_kw=rated, charge_kw_max=charge, discharge_kw_max=charge if discharge is None else discharge
    )


def _known_kw(snapshot: Snapshot, block: Block | None, name: str) -> float | None:
    value = None if block is None else snapshot.value(block, name)
    return value / W_PER_KW if isinstance(value, float) and value > 0 else None


def revert_s(left: timedelta) -> int:
    """The revert time [s] for a command that holds for `left`: rounded up, at least 1."""
    return min(max(math.ceil(left.total_seconds()), 1), REVERT_S_MAX)


# --- PV inverter ------------------------------------------------------------------------------------


def limit_percent(chain: Chain, snapshot: Snapshot) -> float | None:
    """The limit that is in force [%], whoever set it; None: none is."""
    block = chain.need(CONTROLS)
    percent = snapshot.value(block, "WMaxLimPct")
    return percent if snapshot.raw(block, "WMaxLim_Ena") == 1 and isinstance(percent, float) else None


def standing_limit_percent(chain: Chain, snapshot: Snapshot) -> float | None:
    """A limit that somebody fixed in the inverter for good [%]: it is on and has no revert time."""
    revert = snapshot.raw(chain.need(CONTROLS), "WMaxLimPct_RvrtTms")
    return None if isinstance(revert, int) and revert > 0 else limit_percent(chain, snapshot)


def is_free(chain: Chain, snapshot: Snapshot) -> bool:
    """Whether the inverter says that no limit is on."""
    return snapshot.raw(chain.need(CONTROLS), "WMaxLim_Ena") == 0


def curtailment(
    chain: Chain,
    snapshot: Snapshot,
    *,
    power_kw: float,
    rated_kw: float,
    holds_s: int,
    ceiling_percent: float,
) -> Write:
    """Limits an inverter's production, all registers in one request.

    Args:
        chain: The device's models.
        snapshot: Its control registers as read: what we do not mean to change is written back as it was.
        power_kw: The lowest allowed power, not positive.
        rated_kw: What 100 % is.
        holds_s: The revert time [s].
        ceiling_percent: A standing limit that stays; 100 without.

    Raises:
        SunSpecError: If the device has no revert timer or does not tell its scale factor.
    """
    block = chain.need(CONTROLS)
    scale = _number(snapshot.scale(block, "WMaxLimPct"))
    window, ramp = (_as_read(snapshot, block, f"WMaxLimPct_{name}Tms") for name in ("Win", "Rmp"))
    _number(snapshot.raw(block, "WMaxLimPct_RvrtTms"))
    percent = min(max(-power_kw, 0.0) / rated_kw * _PERCENT, ceiling_percent, _PERCENT)
    # A window is a random delay before the command starts: 0, unless the device does not know it at all.
    registers = (
        encoded(PointKind.UINT16, percent, scale, floor=True),
        0 if window != 0xFFFF else window,
        holds_s,
        ramp,
        1,
    )
    return Write(address=curtailment_span(chain).address, registers=registers)


def restoration(chain: Chain, snapshot: Snapshot, *, percent: float) -> Write:
    """Puts a standing limit back that the inverter lost when a command ran out.

    Raises:
        SunSpecError: If the device does not tell its scale factor.
    """
    block = chain.need(CONTROLS)
    ramp = _as_read(snapshot, block, "WMaxLimPct_RmpTms")
    scale = _number(snapshot.scale(block, "WMaxLimPct"))
    registers = (encoded(PointKind.UINT16, percent, scale, floor=True), 0, 0, ramp, 1)
    return Write(address=curtailment_span(chain).address, registers=registers)


def curtailment_span(chain: Chain) -> Span:
    """The registers to read back."""
    return chain.need(CONTROLS).span("WMaxLimPct", "WMaxLim_Ena")


def curtailed_kw(chain: Chain, snapshot: Snapshot, *, rated_kw: float) -> float:
    """The lowest power that the inverter allows itself now [kW], not positive.

    Raises:
        SunSpecError: If it does not tell.
    """
    block = chain.need(CONTROLS)
    if _number(snapshot.raw(block, "WMaxLim_Ena")) != 1:
        return -rated_kw
    return -rated_kw * _number(snapshot.value(block, "WMaxLimPct")) / _PERCENT


def curtailment_step_kw(chain: Chain, snapshot: Snapshot, *, rated_kw: float) -> float:
    """The resolution of the limit [kW]."""
    return rated_kw * 10.0 ** _number(snapshot.scale(chain.need(CONTROLS), "WMaxLimPct")) / _PERCENT


# --- Battery ----------------------------------------------------------------------------------------


def storage_command(
    chain: Chain, snapshot: Snapshot, *, power_kw: float, rated: Ratings, holds_s: int
) -> Write:
    """Pins a battery's power: rates and revert time in one request; `storage_mode` switches them on.

    Raises:
        SunSpecError: If the device has no rates or no revert timer, or does not tell its scale factor.
    """
    block = chain.need(STORAGE)
    for name in ("OutWRte", "InWRte", "InOutWRte_RvrtTms"):
        _number(snapshot.raw(block, name))
    scale = _number(snapshot.scale(block, "InWRte"))
    window, ramp = (_as_read(snapshot, block, f"InOutWRte_{name}Tms") for name in ("Win", "Rmp"))
    charge_kw = min(max(power_kw, 0.0), rated.charge_kw_max)
    discharge_kw = min(max(-power_kw, 0.0), rated.discharge_kw_max)
    out_rate, in_rate = (
        _signed_rate(forward_kw, reverse_kw, base_kw, scale)
        for forward_kw, reverse_kw, base_kw in (
            (discharge_kw, charge_kw, rated.discharge_kw_max),
            (charge_kw, discharge_kw, rated.charge_kw_max),
        )
    )
    return Write(
        address=storage_span(chain).address + _offset(block, "OutWRte", "StorCtl_Mod"),
        registers=(out_rate, in_rate, 0 if window != 0xFFFF else window, holds_s, ramp),
    )


def _signed_rate(forward_kw: float, reverse_kw: float, base_kw: float, scale: int) -> int:
    """A bound of a side that goes `forward_kw`, or that is forced the other way by `reverse_kw`."""
    if base_kw <= 0.0:
        return 0
    # Rounded towards 0 on both sides: never more than asked.
    size = encoded(PointKind.INT16, max(forward_kw, reverse_kw) / base_kw * _PERCENT, scale, floor=True)
    return size if reverse_kw == 0.0 else -size & 0xFFFF


def storage_mode(chain: Chain, snapshot: Snapshot) -> Write | None:
    """Switches both bounds on; None where they are on already."""
    both = CHARGE_BIT | DISCHARGE_BIT
    mode = snapshot.raw(chain.need(STORAGE), "StorCtl_Mod")
    if isinstance(mode, int) and mode & both == both:
        return None
    return Write(address=storage_span(chain).address, registers=(both,))


def storage_span(chain: Chain) -> Span:
    """The registers to read back: mode, rates and timers."""
    return chain.need(STORAGE).span("StorCtl_Mod", "InOutWRte_RmpTms")


def commanded_kw(chain: Chain, snapshot: Snapshot, *, rated: Ratings) -> float | None:
    """The power that a battery's bounds pin [kW], positive = charging; None where it is free.

    Raises:
        SunSpecError: If it does not tell.
    """
    block = chain.need(STORAGE)
    both = CHARGE_BIT | DISCHARGE_BIT
    if int(_number(snapshot.raw(block, "StorCtl_Mod"))) & both != both:
        return None
    charge_kw = rated.charge_kw_max * _number(snapshot.value(block, "InWRte")) / _PERCENT
    discharge_kw = rated.discharge_kw_max * _number(snapshot.value(block, "OutWRte")) / _PERCENT
    if discharge_kw < 0.0:
        return min(-discharge_kw, charge_kw)
    if charge_kw < 0.0:
        return -min(-charge_kw, discharge_kw)
    return 0.0 if charge_kw == discharge_kw == 0.0 else None


def storage_step_kw(chain: Chain, snapshot: Snapshot, *, rated: Ratings) -> float:
    """The resolution of a battery's power [kW]."""
    largest = max(rated.charge_kw_max, rated.discharge_kw_max)
    return largest * 10.0 ** _number(snapshot.scale(chain.need(STORAGE), "InWRte")) / _PERCENT


def _offset(block: Block, name: str, since: str) -> int:
    return block.span(name).address - block.span(since).address


def _as_read(snapshot: Snapshot, block: Block, name: str) -> int:
    """A 16-bit register to be written back as it was, 'not implemented' included."""
    value = snapshot.raw(block, name)
    return 0xFFFF if isinstance(value, Unknown) else value


def _number[T: (int, float)](value: T | Unknown) -> T:
    if isinstance(value, Unknown):
        raise SunSpecError(value.why)
    return value
