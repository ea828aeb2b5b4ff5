"""What stands behind the cables: chargers, cars, roofs, batteries and loads, and whose they are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from controller.domain.ids import AssetId, Ean, MemberId, NodeId
from controller.domain.v2g import V2gBudget

THREE_PHASE_MIN_KW = 4.14
"""Three phases cannot charge below 6 A each: 3 x 6 A x 230 V (IEC 61851-1)."""
DEFAULT_EFFICIENCY = 0.93
"""One way between the AC side and the battery; round trip 0.87 as measured (Schram et al. 2020)."""
DEFAULT_WEAR_EUR_PER_KWH = 0.03
"""The price of wear per kWh discharged, on by default."""


class Phases(StrEnum):
    """How a device hangs on the three phases."""

    THREE = "three"
    L1 = "L1"
    L2 = "L2"
    L3 = "L3"
    UNKNOWN = "unknown"
    """One phase, nobody knows which: counts in full on each."""

    def share(self, phase: int) -> float:
        """The part of the device's power that counts on phase 0, 1 or 2."""
        match self:
            case Phases.THREE:
                return 1.0 / 3.0
            case Phases.UNKNOWN:
                return 1.0
            case _:
                return 1.0 if self.value == f"L{phase + 1}" else 0.0


HOUSEHOLD = "household"
"""The kind of a member whose sockets are nobody else's to look at."""
FLEET = "fleet"
"""The kind of a member that lends out cars."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A member of the cooperative: a household, a tenant, a building, a fleet."""

    id: MemberId
    name: str
    kind: str = HOUSEHOLD
    """household, public_building, fleet or cooperative."""
    reclaims_vat: bool = False
    """Whether it gets the VAT that it is billed back from the tax office, as a business does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargePoint:
    """A socket that a car can be plugged into; OCPP's charging station with one connector."""

    id: AssetId
    """Also the charge point id in the OCPP address."""
    node: NodeId
    ean: Ean
    member: MemberId
    """Whose allocation point it is: the pole's operator."""
    charge_kw_max: float
    discharge_kw_max: float
    """Magnitude; 0 for a one-way charger."""
    charge_kw_min: float = THREE_PHASE_MIN_KW
    """Below this the charger can only stand still."""
    phases: Phases = Phases.THREE
    fallback_kw: float = THREE_PHASE_MIN_KW
    """What it does on its own when it does not hear from us, in the hours that the safe floor gives it;
    below `charge_kw_min` it does nothing."""
    template: str | None = None
    """The name of its make's template; None: it follows its specification."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vehicle:
    """A car and what its owner has agreed to."""

    id: AssetId
    member: MemberId
    token: str
    """The identification (ISO 15118 EMAID or RFID) with which it starts a transaction."""
    capacity_kwh: float
    min_kwh: float
    """Below this it is never discharged."""
    charge_kw_max: float
    discharge_kw_max: float
    efficiency_charge: float = DEFAULT_EFFICIENCY
    efficiency_discharge: float = DEFAULT_EFFICIENCY
    wear_eur_per_kwh_discharged: float = DEFAULT_WEAR_EUR_PER_KWH
    v2g_budget: V2gBudget | None = None
    """What it may give back in its life; None: its maker sets no such limit."""
    discharge_opt_in: bool = False
    """No car is discharged without its owner's opt-in."""
    home_charge_point: AssetId | None = None
    """Where a shared car has its place."""
    shared: bool = False
    """Whether its owner lets fleets book it; a fleet's own cars are always booked by that fleet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PvRoof:
    """A roof with an inverter of its own."""

    id: AssetId
    node: NodeId
    ean: Ean
    member: MemberId
    rated_kw: float
    """The inverter's AC rating, a magnitude [kW]."""
    area_m2: float = 0.0
    tilt_deg: float = 35.0
    azimuth_deg: float = 180.0
    """Clockwise from north; 180 is south."""
    curtailable: bool = True
    phases: Phases = Phases.THREE


@dataclass(frozen=True, slots=True, kw_only=True)
class Battery:
    """A stationary battery."""

    id: AssetId
    node: NodeId
    ean: Ean
    member: MemberId
    capacity_kwh: float
    min_kwh: float
    charge_kw_max: float
    discharge_kw_max: float
    efficiency_charge: float = 0.95
    efficiency_discharge: float = 0.95
    wear_eur_per_kwh_discharged: float = DEFAULT_WEAR_EUR_PER_KWH
    phases: Phases = Phases.THREE


class LoadKind(StrEnum):
    """What a load is; public services come before the rest."""

    HOME = "home"
    PUBLIC_BUILDING = "public_building"


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """A connection that is used but not steered: a home, a school."""

    id: AssetId
    node: NodeId
    ean: Ean
    member: MemberId
    kind: LoadKind
    phases: Phases = Phases.UNKNOWN
    fuse_a: float = 25.0
    yearly_kwh: float = 2500.0
    """For the standard profile, while there is no meter to go by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """A shared car is reserved: away from `from_utc` to `to_utc`, using `energy_kwh` on the way."""

    id: str
    vehicle: AssetId
    from_utc: datetime
    to_utc: datetime
    """When it is expected back; the return is uncertain."""
    energy_kwh: float
    """What the trip is expected to take."""
    departure_min_kwh: float | None = None
    """What has to be in the car when it leaves; None: the trip plus the minimum."""
    fleet: MemberId | None = None
    """Who reserved it; None: whoever books for all fleets of the site, or it is not known any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """One departure that a driver asked for."""

    vehicle: AssetId
    at_utc: datetime
    energy_kwh: float
    """In the car when it leaves [kWh]."""


class WishKind(StrEnum):
    """The buttons."""

    NONE = "none"
    CHARGE_NOW = "charge_now"
    PAUSE = "pause"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a person pressed for one asset; it stands above the plan."""

    asset: AssetId
    mode: WishKind = WishKind.NONE
    never_discharge: bool = False
    departure: Departure | None = None
