"""A scenario: one neighbourhood as the simulator knows it, with what no controller may see.

The controller is given `Scenario.site`, with the grid operator's drawings of the cables in it. The rest is
the truth behind it: on which phase a home really hangs, how the heat pumps are sized, and how the cars
begin. All of it is frozen; whatever moves lives in `sim.world.World`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from controller.domain.assets import Booking
from controller.domain.site import Site
from controller.domain.units import FloatArray, IntArray
from sim.chargers.faults import Fault

HOUSEHOLD_TAN_PHI = 0.2
"""Reactive over active power of homes and buildings (power factor 0.98); chargers and inverters run at 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishIntervals:
    """How often the simulated devices speak [s of domain time]."""

    home_meter_s: float = 300.0
    node_meter_s: float = 10.0
    charger_s: float = 60.0
    modbus_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CableType:
    """A low-voltage cable, per kilometre."""

    r1_ohm_per_km: float = 0.206
    """Positive sequence; 4 x 150 mm2 aluminium (IEC 60228 conductor at 20 C)."""
    x1_ohm_per_km: float = 0.079
    r0_ohm_per_km: float = 0.824
    """Zero sequence: the current returns through the neutral of the same size, r0 = r1 + 3 r_neutral."""
    x0_ohm_per_km: float = 0.316


@dataclass(frozen=True, slots=True, kw_only=True)
class FeederCable:
    """One feeder: a cable from the transformer's busbar with points along it where assets hang."""

    node: int
    """Index of the feeder in `site.network.nodes`."""
    transformer: int
    """Index of its transformer in `site.network.nodes`."""
    length_m: float
    points: int
    """How many equal stretches it has; a point ends each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformerData:
    """A distribution transformer, Dyn5, as its plate says."""

    node: int
    """Index in `site.network.nodes`."""
    kva: float
    short_circuit_voltage: float = 0.04
    """Per unit."""
    copper_loss_kw: float = 4.6
    no_load_loss_kw: float = 0.61
    no_load_current: float = 0.01
    """Per unit."""
    clock: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Electrical:
    """What the power flow needs beyond the tree. A point is counted over all feeders in their order."""

    transformers: tuple[TransformerData, ...]
    feeders: tuple[FeederCable, ...]
    cable: CableType
    charger_point: IntArray
    """(C,) the point at which each charge point hangs."""
    pv_point: IntArray
    """(R,)."""
    battery_point: IntArray
    """(B,)."""
    load_point: IntArray
    """(L,)."""
    node_point: IntArray
    """(N,) the point whose voltage stands for a node: a feeder's far end, a pole's own; -1 for none."""
    mv_voltage_kv: float = 10.0
    source_voltage_pu: float = 1.015
    """Dutch distribution runs its medium voltage a little high, so that the far end of a feeder has room."""
    source_short_circuit_mva: float = 250.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadTruth:
    """What the loads really are. Axis L: `site.loads`."""

    phase_share: FloatArray
    """(L, 3) how the household part splits over the phases; rows sum to 1."""
    household_kwh: FloatArray
    """(L,) a year's use without heat pump [kWh]; 0 for a building."""
    building_kwh: FloatArray
    """(L,) a year's use of a building [kWh]; 0 for a home."""
    heat_pump_kw: FloatArray
    """(L,) electric power of the heat pump while it runs [kW]; 0 for none."""
    heat_loss_kw_per_k: FloatArray
    """(L,) the house's loss of heat per kelvin [kW/K]."""
    heat_pump_share: FloatArray
    """(L, 3) how the heat pump splits over the phases."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargerTruth:
    """What one charger is, beyond its plate."""

    version: str
    """The subprotocol that it speaks."""
    faults: frozenset[Fault]


@dataclass(frozen=True, slots=True, kw_only=True)
class CarTruth:
    """How the cars begin and how much they are used. Axis V: `site.vehicles`."""

    initial_soc: FloatArray
    """(V,) fraction of the capacity at the start."""
    home_charger: IntArray
    """(V,) the charge point at which the car has its place; -1 for none."""
    bookings_per_day: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueTrip:
    """A booking and what really happens."""

    vehicle: int
    """Index in `site.vehicles`."""
    booking: Booking
    announced_utc: datetime
    """When the fleet lets the controller know."""
    leaves_utc: datetime
    """0 to 10 minutes after the booked start."""
    returns_utc: datetime
    """Around the booked end."""
    plugs_utc: datetime
    """When the car is on its charger again."""
    energy_kwh: float
    """What the trip really takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One neighbourhood, ready to be simulated."""

    name: str
    seed: int
    start_utc: datetime
    site: Site
    electrical: Electrical
    loads: LoadTruth
    cars: CarTruth
    chargers: tuple[ChargerTruth, ...]
    """(C,) in the order of `site.charge_points`."""
    pv_peak_kw: FloatArray
    """(R,) what the panels of each roof give at 1000 W/m2 [kWp]."""
    high_load_kw: FloatArray
    """(N,) what homes and buildings under each node draw on a cold evening [kW], as a planner reckons."""
    publish: PublishIntervals
    spec_text: str
    """The canonical text of the specification, for the inputs' hash."""
