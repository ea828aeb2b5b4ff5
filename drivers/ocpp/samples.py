"""Meter values as readings, the same in every version: time settled, registers checked, the car's facts kept.

A register that falls, or rises by more than the charger can move, is quarantined: it becomes unknown with
a notice, and no money follows from it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from controller.domain.telemetry import MeterReading, Reading
from controller.domain.units import W_PER_KW
from drivers.ocpp.codec import Notice, NoticeCode
from drivers.ocpp.meters import Sample, read_sample
from drivers.ocpp.state import CarFacts, ChargerState, Context, Registers
from drivers.ocpp.timestamps import settle_time

_LEAP_TOLERANCE_WH = 1000.0


def take_samples(
    state: ChargerState, meter_values: Any, context: Context, *, current: bool
) -> tuple[ChargerState, list[Reading], list[Notice]]:
    """Readings of a `meterValue` array; what the car says counts only if the event speaks of now."""
    readings: list[Reading] = []
    notices: list[Notice] = []
    registers, car = state.registers, state.car
    two_way = context.point.discharge_kw_max > 0
    for meter_value in meter_values:
        at, clock_notice = settle_time(meter_value["timestamp"], context.now, context.point.id)
        if clock_notice is not None:
            notices.append(clock_notice)
        sample = read_sample(meter_value["sampledValue"], two_way=two_way)
        if sample.implausible:
            notices.append(context.notice(NoticeCode.IMPLAUSIBLE, sample.implausible))
        if sample.has_meter() or sample.implausible:
            registers, reading, fall = _meter_reading(registers, sample, at, context)
            readings.append(reading)
            if fall is not None:
                notices.append(fall)
        if current and sample.has_car():
            car = CarFacts(
                car.soc_fraction if sample.soc_fraction is None else sample.soc_fraction,
                car.capacity_kwh if sample.capacity_kwh is None else sample.capacity_kwh,
                car.charge_kw_max,
                car.discharge_kw_max,
                car.soc_at if sample.soc_fraction is None else at,
            )
            readings.append(context.car(car, at))
    return state.with_samples(registers, car), readings, notices


def _meter_reading(
    registers: Registers, sample: Sample, at: datetime, context: Context
) -> tuple[Registers, MeterReading, Notice | None]:
    """A meter reading; registers that cannot be are quarantined (OCPP.Core 33: negative energy)."""
    newer = registers.at is None or at >= registers.at
    import_wh, export_wh, why, notice = sample.import_wh, sample.export_wh, sample.why_unknown, None
    if newer and (fault := _register_fault(registers, sample, at, context)):
        notice = context.notice(*fault)
        import_wh = export_wh = None
        why = f"{why}; {fault[1]}" if why else fault[1]
    elif newer and (import_wh is not None or export_wh is not None):
        registers = Registers(
            registers.import_wh if import_wh is None else import_wh,
            registers.export_wh if export_wh is None else export_wh,
            at,
        )
    reading = MeterReading(
        meter=context.point.id,
        at=at,
        power_kw=sample.power_kw,
        phase_power_kw=sample.phase_power_kw,
        voltage_v=sample.voltage_v,
        import_wh=import_wh,
        export_wh=export_wh,
        why_unknown=why,
    )
    return registers, reading, notice


def _register_fault(
    before: Registers, sample: Sample, at: datetime, context: Context
) -> tuple[NoticeCode, str] | None:
    """What is wrong with newer registers: one fell, or rose by more than the charger can move.

    A leap has to be refused too: it would make every right value after it look like a fall.
    """
    point = context.point
    hours = 0.0 if before.at is None else (at - before.at).total_seconds() / 3600.0
    for name, was, now_wh, kw_max in (
        ("import", before.import_wh, sample.import_wh, point.charge_kw_max),
        ("export", before.export_wh, sample.export_wh, point.discharge_kw_max),
    ):
        if was is None or now_wh is None:
            continue
        if now_wh < was:
            return NoticeCode.REGISTER_BACKWARDS, f"the {name} register fell from {was} to {now_wh} Wh"
        # A quarter above the rating for tolerance, and 1 kWh for registers that count in coarse steps.
        if now_wh - was > 1.25 * kw_max * W_PER_KW * hours + _LEAP_TOLERANCE_WH:
            return NoticeCode.REGISTER_LEAPS, f"the {name} register leapt from {was} to {now_wh} Wh"
    return None
