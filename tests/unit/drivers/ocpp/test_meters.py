"""Sampled values become the domain's quantities, and what is not told stays unknown."""

from __future__ import annotations

from typing import Any

import pytest

from drivers.ocpp.meters import Sample, read_sample


def _value(measurand: str, value: float, **rest: Any) -> dict[str, Any]:
    return {"measurand": measurand, "value": value, **rest}


IMPORT, EXPORT = "Power.Active.Import", "Power.Active.Export"
KW = {"unitOfMeasure": {"unit": "kW"}}


@pytest.mark.parametrize(
    ("values", "two_way", "power_kw"),
    [
        ([_value(IMPORT, 7500), _value(EXPORT, 0)], True, 7.5),
        ([_value(IMPORT, 0), _value(EXPORT, 6200)], True, -6.2),
        ([_value(IMPORT, 7.5, **KW), _value(EXPORT, 0, **KW)], True, 7.5),
        ([_value(IMPORT, 75, unitOfMeasure={"unit": "W", "multiplier": 2})], True, 7.5),
        ([_value(IMPORT, 0), _value(EXPORT, 0)], True, 0.0),
        ([_value(EXPORT, 1000)], True, -1.0),
        ([_value(IMPORT, 0)], False, 0.0),
        ([_value(IMPORT, 2000, phase=phase) for phase in ("L1", "L2", "L3")], False, 6.0),
    ],
)
def test_power_is_import_less_export(values: list[dict[str, Any]], *, two_way: bool, power_kw: float) -> None:
    """Whatever the units and phases, positive is charging."""
    assert read_sample(values, two_way=two_way).power_kw == pytest.approx(power_kw)


@pytest.mark.parametrize(
    "values",
    [
        [],
        [_value("SoC", 50)],
        [_value(IMPORT, 0)],
        [_value(EXPORT, 0)],
        [_value(IMPORT, 2000, phase="L1"), _value(IMPORT, 2000, phase="L2")],
        [_value(IMPORT, 7500, location="Upstream")],
        [_value(IMPORT, 7500, unitOfMeasure={"unit": "furlong"})],
        [_value(IMPORT, 7500, unitOfMeasure={"unit": "W", "multiplier": 400})],
        [_value(IMPORT, 5e9), _value(EXPORT, 0)],
    ],
)
def test_power_that_is_not_told_is_unknown_with_a_reason(values: list[dict[str, Any]]) -> None:
    """A missing direction, phase or unit never becomes a 0."""
    sample = read_sample(values, two_way=True)
    assert sample.power_kw is None
    assert sample.why_unknown


def test_registers_default_to_import_in_wh() -> None:
    """A bare value is the import register at the outlet in Wh, by the specification's defaults."""
    sample = read_sample([{"value": 1234.6}], two_way=True)
    assert (sample.import_wh, sample.export_wh) == (1235, None)


def test_registers_come_in_both_directions_and_in_kwh() -> None:
    """Registers are whole watt-hours."""
    values = [
        _value("Energy.Active.Import.Register", 12.3456, unitOfMeasure={"unit": "kWh"}),
        _value("Energy.Active.Export.Register", -5),
    ]
    sample = read_sample(values, two_way=True)
    assert (sample.import_wh, sample.export_wh) == (12346, None)


def test_phases_and_voltages_need_all_three() -> None:
    """Per-phase values are told only where each phase is."""
    values = [
        *(_value(IMPORT, 1000 * n, phase=f"L{n}") for n in (1, 2, 3)),
        *(_value(EXPORT, 0, phase=f"L{n}") for n in (1, 2, 3)),
        *(_value("Voltage", 229 + n, phase=f"L{n}-N") for n in (1, 2, 3)),
    ]
    sample = read_sample(values, two_way=True)
    assert sample.phase_power_kw == (1.0, 2.0, 3.0)
    assert sample.voltage_v == (230.0, 231.0, 232.0)
    assert read_sample(values[1:], two_way=True).phase_power_kw is None


def test_car_tells_charge_and_capacity() -> None:
    """The car's own values count wherever they are measured; impossible ones do not."""
    values = [
        _value("SoC", 73.5, location="EV"),
        _value("Display.BatteryEnergyCapacity", 52_000, location="EV"),
    ]
    sample = read_sample(values, two_way=True)
    assert (sample.soc_fraction, sample.capacity_kwh) == (0.735, 52.0)
    wrong = read_sample([_value("SoC", 130)], two_way=True)
    assert wrong.soc_fraction is None
    assert "130%" in wrong.implausible


def test_empty_sample_says_nothing() -> None:
    """No value, no reading."""
    sample = Sample()
    assert not sample.has_meter()
    assert not sample.has_car()
