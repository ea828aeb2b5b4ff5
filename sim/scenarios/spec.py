"""What a scenario file may say, with the bounds of each value. `load` reads, `build` expands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


def _number(default: float | None, low: float, high: float) -> Any:
    """A number between two bounds; without a default it has to be given."""
    meta = {"low": low, "high": high}
    return field(metadata=meta) if default is None else field(default=default, metadata=meta)


def _whole(default: int | None, low: int, high: int) -> Any:
    """A whole number between two bounds; without a default it has to be given."""
    meta = {"low": low, "high": high}
    return field(metadata=meta) if default is None else field(default=default, metadata=meta)


def _numbers(default: tuple[float, ...], low: float, high: float) -> Any:
    """A list of numbers, each between two bounds."""
    return field(default=default, metadata={"low": low, "high": high})


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec:
    """Table `[network]`."""

    transformers: int = _whole(None, 1, 200)
    transformer_kva: float = _number(None, 25, 2500)
    feeders_per_transformer: int = _whole(None, 1, 20)
    feeder_a: float = _number(None, 25, 1000)
    feeder_length_m: tuple[float, ...] = _numbers((250.0, 350.0), 10, 2000)
    """Shortest and longest."""
    points_per_feeder: int = _whole(5, 1, 50)
    poles_per_feeder: int = _whole(0, 0, 100)
    """0: chargers hang on the feeder itself."""
    pole_fuse_a: float = _number(35.0, 6, 250)
    ring_limit_kw: float = _number(0.0, 0, 100_000)
    """Of the medium-voltage ring above the transformers; 0: there is none, they are roots."""
    transformer_weights: tuple[float, ...] = _numbers((), 0.01, 100)
    """How unevenly homes, roofs and chargers spread over transformers; empty: evenly."""
    feeder_weights: tuple[float, ...] = _numbers((), 0.01, 100)
    """The same over the feeders of one transformer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultsSpec:
    """Table `[chargers.faults]`: how many have each fault, a fraction; see `sim.chargers.faults`."""

    ignores_profiles: float = _number(0.0, 0, 1)
    refuses_zero: float = _number(0.0, 0, 1)
    drops_profiles_offline: float = _number(0.0, 0, 1)
    clock_1970: float = _number(0.0, 0, 1)
    clock_local: float = _number(0.0, 0, 1)
    transaction_minus_one: float = _number(0.0, 0, 1)
    duplicates: float = _number(0.0, 0, 1)
    meter_backwards: float = _number(0.0, 0, 1)
    no_boot: float = _number(0.0, 0, 1)
    car_sleeps: float = _number(0.0, 0, 1)
    discharge_sign: float = _number(0.0, 0, 1)
    megabyte_frame: float = _number(0.0, 0, 1)
    wrong_certificate: float = _number(0.0, 0, 1)
    silent: float = _number(0.0, 0, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargersSpec:
    """Table `[chargers]`."""

    count: int = _whole(None, 0, 5000)
    charge_kw: float = _number(11.0, 4.14, 50)
    discharge_kw: float = _number(11.0, 0, 50)
    """0: one-way."""
    ocpp16_fraction: float = _number(0.0, 0, 1)
    """How many speak OCPP 1.6J; these are one-way."""
    ocpp201_fraction: float = _number(0.0, 0, 1)
    """How many speak OCPP 2.0.1, one-way as well; the rest speaks 2.1."""
    faults: FaultsSpec = FaultsSpec()


@dataclass(frozen=True, slots=True, kw_only=True)
class CarsSpec:
    """Table `[cars]`."""

    count: int = _whole(None, 0, 5000)
    capacity_kwh: tuple[float, ...] = _numbers((52.0,), 10, 200)
    """One of these, by lot."""
    charge_kw: float = _number(11.0, 4.14, 50)
    discharge_kw: float = _number(11.0, 0, 50)
    min_fraction: float = _number(0.2, 0.05, 0.8)
    opt_in_fraction: float = _number(1.0, 0, 1)
    bookings_per_day: float = _number(1.2, 0, 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class HomesSpec:
    """Table `[homes]`."""

    count: int = _whole(None, 0, 20_000)
    yearly_kwh: float = _number(2500.0, 100, 20_000)
    heat_pump_fraction: float = _number(0.25, 0, 1)
    single_phase_fraction: float = _number(0.75, 0, 1)
    unknown_phase_fraction: float = _number(0.3, 0, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class PvSpec:
    """Table `[pv]`."""

    roofs: int = _whole(0, 0, 5000)
    area_m2: float = _number(0.0, 0, 1_000_000)
    """Of all roofs together."""
    kw_per_m2: float = _number(0.2, 0.05, 0.3)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildingSpec:
    """A `[[buildings]]`."""

    id: str
    name: str = ""
    yearly_kwh: float = _number(None, 100, 5_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatterySpec:
    """A `[[batteries]]`."""

    id: str
    capacity_kwh: float = _number(None, 1, 10_000)
    power_kw: float = _number(None, 1, 5000)


@dataclass(frozen=True, slots=True, kw_only=True)
class TariffSpec:
    """Table `[tariff]`: the supplier's margins around the day-ahead price."""

    import_adder_eur_per_kwh: float = _number(0.02, -1, 1)
    export_adder_eur_per_kwh: float = _number(-0.01, -1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishSpec:
    """Table `[publish]`: how often devices speak [s]."""

    home_meter_s: float = _number(300.0, 1, 3600)
    node_meter_s: float = _number(10.0, 1, 900)
    charger_s: float = _number(60.0, 1, 900)
    modbus_s: float = _number(60.0, 1, 900)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioSpec:
    """A scenario file."""

    name: str
    network: NetworkSpec
    chargers: ChargersSpec
    cars: CarsSpec
    homes: HomesSpec
    pv: PvSpec = PvSpec()
    buildings: tuple[BuildingSpec, ...] = ()
    batteries: tuple[BatterySpec, ...] = ()
    tariff: TariffSpec = TariffSpec()
    publish: PublishSpec = PublishSpec()
