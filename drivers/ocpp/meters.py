"""Meter values of OCPP as the domain's quantities.

One MeterValue is a moment with a list of sampled values; each names its measurand, phase, place and unit,
or leaves them to defaults. Power is import less export, registers are whole watt-hours, and what is not
there stays unknown with a reason: a two-way charger that tells only an import of 0 may be discharging.
1.6 writes numbers as text with the unit beside them, 2.x as numbers with a unit and a power of ten. A
one-way charger that sends currents only has its power reckoned from them, at cos phi 1: never too little.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any, NamedTuple

from controller.domain.units import NOMINAL_VOLTAGE_V, W_PER_KW

_OUTSIDE = frozenset({"Outlet", "Inlet"})
"""Where the charger's own exchange is measured; Body, Cable, EV and Upstream are other places."""
_SCALE_TO_BASE = {
    "W": 1.0,
    "kW": 1000.0,
    "Wh": 1.0,
    "kWh": 1000.0,
    "V": 1.0,
    "Percent": 1.0,
    "%": 1.0,
    "A": 1.0,
}
_PHASES = {"L1": 0, "L2": 1, "L3": 2, "L1-N": 0, "L2-N": 1, "L3-N": 2}
_POWER_IMPORT, _POWER_EXPORT = "Power.Active.Import", "Power.Active.Export"
_REGISTER_IMPORT, _REGISTER_EXPORT = "Energy.Active.Import.Register", "Energy.Active.Export.Register"
_CURRENT, _VOLTAGE = "Current.Import", "Voltage"
_BEGIN = "Transaction.Begin"
_CAPACITY = "Display.BatteryEnergyCapacity"
_CAR_MEASURANDS = frozenset({"SoC", _CAPACITY})
_MAX_POWER_KW = 1000.0
"""No charger reaches it: a larger value is a fault of the meter or of its unit."""
_MAX_REGISTER_WH = 1e13
"""More than any charger moves in its life."""

type _Values = dict[str, float]
"""Measurand to total, in base units (W, Wh, V, %)."""
type _PhaseValues = dict[str, list[float | None]]


class Sample(NamedTuple):
    """What one MeterValue says; a tuple, because one is made for every message of every charger."""

    power_kw: float | None = None
    phase_power_kw: tuple[float, float, float] | None = None
    voltage_v: tuple[float, float, float] | None = None
    import_wh: int | None = None
    export_wh: int | None = None
    soc_fraction: float | None = None
    capacity_kwh: float | None = None
    why_unknown: str = ""
    """Why the power is unknown."""
    implausible: str = ""
    """A value that cannot be, as a sentence; empty where there is none."""

    def has_meter(self) -> bool:
        """Whether it says anything of the charger's meter."""
        return (
            self.power_kw is not None
            or self.import_wh is not None
            or self.export_wh is not None
            or self.voltage_v is not None
        )

    def has_car(self) -> bool:
        """Whether it says anything of the car."""
        return self.soc_fraction is not None or self.capacity_kwh is not None


def read_sample(sampled_values: Iterable[Mapping[str, Any]], *, two_way: bool) -> Sample:
    """Reads the sampled values of one moment.

    Args:
        sampled_values: A validated `sampledValue` array.
        two_way: Whether the charger can discharge.

    Returns:
        The sample; unknown values are None.
    """
    totals, phases = _collect(sampled_values)
    power_w, power_why = _power_w(totals, phases, two_way=two_way)
    phase_w = _phase_power_w(phases, two_way=two_way)
    implausible = ""
    if power_w is not None and abs(power_w) > _MAX_POWER_KW * W_PER_KW:
        implausible = power_why = f"a power of {power_w / W_PER_KW:.0f} kW cannot be"
        power_w = phase_w = None
    soc = totals.get("SoC")
    if soc is not None and not 0.0 <= soc <= 100.0:
        implausible, soc = f"a state of charge of {soc:g}% cannot be", None
    capacity = totals.get(_CAPACITY)
    # By place, in the order of the fields: by name costs twice as much.
    return Sample(
        None if power_w is None else power_w / W_PER_KW,
        None if phase_w is None else _three(phase_w, W_PER_KW),
        _full(phases.get(_VOLTAGE)),
        _register(totals, phases, _REGISTER_IMPORT),
        _register(totals, phases, _REGISTER_EXPORT),
        None if soc is None else soc / 100.0,
        capacity / 1000.0 if capacity is not None and capacity > 0 else None,
        power_why,
        implausible,
    )


def _collect(sampled_values: Iterable[Mapping[str, Any]]) -> tuple[_Values, _PhaseValues]:
    """Totals and per-phase values in base units; what has a unit we do not know is left out.

    In one piece, because every value of every charger comes by here.
    """
    totals: _Values = {}
    phases: _PhaseValues = {}
    for sampled in sampled_values:
        get = sampled.get
        # Defaults by the specification: Energy.Active.Import.Register at the Outlet, in Wh.
        measurand = get("measurand", _REGISTER_IMPORT)
        if get("location", "Outlet") not in _OUTSIDE and measurand not in _CAR_MEASURANDS:
            continue
        # Some repeat the register of the start beside today's in one MeterValue: the other one counts.
        if measurand in totals and get("context") == _BEGIN:
            continue
        try:
            value = float(sampled["value"])
        except ValueError:
            # 1.6: signed data, or a word.
            continue
        unit_of_measure = get("unitOfMeasure")
        unit = get("unit") if unit_of_measure is None else unit_of_measure.get("unit")
        if unit is not None:
            scale = _SCALE_TO_BASE.get(unit)
            if scale is None:
                continue
            value *= scale
        if unit_of_measure is not None and (exponent := unit_of_measure.get("multiplier", 0)):
            if not -12 <= exponent <= 12:
                continue
            value *= 10.0**exponent
        if not isfinite(value):
            # Beyond all bounds.
            continue
        phase = get("phase")
        if phase is None:
            totals[measurand] = value
        elif (index := _PHASES.get(phase)) is not None:
            phases.setdefault(measurand, [None, None, None])[index] = value
    return totals, phases


def _total(totals: _Values, phases: _PhaseValues, measurand: str) -> float | None:
    """The total, or the sum of three phases where only they are told."""
    total = totals.get(measurand)
    if total is None and (full := _full(phases.get(measurand))) is not None:
        total = sum(full)
    return total


def _power_w(totals: _Values, phases: _PhaseValues, *, two_way: bool) -> tuple[float | None, str]:
    """Active power [W], or None and why."""
    drawn = _total(totals, phases, _POWER_IMPORT)
    fed = _total(totals, phases, _POWER_EXPORT)
    if drawn is None and fed is None and not two_way and (amperes := _full(phases.get(_CURRENT))):
        volts = _full(phases.get(_VOLTAGE)) or (NOMINAL_VOLTAGE_V,) * 3
        return sum(ampere * volt for ampere, volt in zip(amperes, volts, strict=True)), ""
    return _net(drawn, fed, two_way=two_way)


def _net(drawn: float | None, fed: float | None, *, two_way: bool) -> tuple[float | None, str]:
    """Import less export; one of them alone is enough only where it settles the direction."""
    if drawn is None and fed is None:
        return None, "the charger sends no active power"
    if fed is None:
        if two_way and drawn == 0.0:
            return None, "the charger sends no exported power and may be discharging"
        return drawn, ""
    if drawn is None:
        if fed == 0.0:
            return None, "the charger sends no imported power"
        return -fed, ""
    return drawn - fed, ""


def _phase_power_w(phases: _PhaseValues, *, two_way: bool) -> list[float] | None:
    """Active power per phase [W] where all three are known."""
    drawn, fed = phases.get(_POWER_IMPORT), phases.get(_POWER_EXPORT)
    if drawn is None and fed is None:
        return None
    unknown: list[float | None] = [None, None, None]
    pairs = zip(drawn or unknown, fed or unknown, strict=True)
    nets = [_net(one, other, two_way=two_way)[0] for one, other in pairs]
    known = [net for net in nets if net is not None]
    return known if len(known) == len(nets) else None


def _full(values: list[float | None] | None) -> tuple[float, float, float] | None:
    """Three phases, if all are known."""
    if values is None:
        return None
    first, second, third = values
    if first is None or second is None or third is None:
        return None
    return first, second, third


def _three(values: list[float], divisor: float) -> tuple[float, float, float]:
    return values[0] / divisor, values[1] / divisor, values[2] / divisor


def _register(totals: _Values, phases: _PhaseValues, measurand: str) -> int | None:
    """An energy register in whole watt-hours; one that no meter can show is unknown."""
    value = _total(totals, phases, measurand)
    return None if value is None or not 0 <= value <= _MAX_REGISTER_WH else round(value)
