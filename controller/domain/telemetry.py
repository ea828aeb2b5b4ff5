"""What devices tell: readings with their time, and with 'unknown and why' in place of a made-up 0."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from controller.domain.ids import AssetId, NodeId


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterReading:
    """A meter: of a node, or of an asset (home, building, charger, inverter, battery)."""

    meter: AssetId | NodeId
    at: datetime
    """When it was measured, domain time UTC."""
    power_kw: float | None = None
    """Active power, positive = consumption / flowing down the tree."""
    phase_power_kw: tuple[float, float, float] | None = None
    voltage_v: tuple[float, float, float] | None = None
    """Phase to neutral."""
    import_wh: int | None = None
    """The register of energy consumed since the meter was new."""
    export_wh: int | None = None
    """The register of energy fed in."""
    why_unknown: str = ""
    """Why a value that should be there is None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorReading:
    """A charger's connector: is a car there, and whose."""

    charge_point: AssetId
    at: datetime
    plugged: bool
    token: str | None = None
    """The identification that started the transaction; None while nobody is known."""
    transaction: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CarReading:
    """What the car on a charger says of its battery (ISO 15118-20, or the fleet's telematics)."""

    charge_point: AssetId
    at: datetime
    soc_fraction: float | None = None
    soc_at: datetime | None = None
    """When the state of charge was told, where that was before `at`: a charger repeats what it knows."""
    capacity_kwh: float | None = None
    charge_kw_max: float | None = None
    """What the car can take now."""
    discharge_kw_max: float | None = None
    """What the car offers now, a magnitude; None: not offered."""
    why_unknown: str = ""

    @property
    def soc_told_at(self) -> datetime:
        """How old the state of charge is."""
        return self.at if self.soc_at is None else self.soc_at


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageReading:
    """A stationary battery's own state."""

    asset: AssetId
    at: datetime
    soc_fraction: float | None = None
    power_kw: float | None = None
    why_unknown: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class InverterReading:
    """A PV inverter's own state."""

    asset: AssetId
    at: datetime
    power_kw: float | None = None
    """AC power, never positive."""
    limited: bool = False
    """Whether a power limit of ours is in force in it."""
    why_unknown: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkReading:
    """A device's connection came or went."""

    asset: AssetId | NodeId
    at: datetime
    up: bool
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObedienceReading:
    """A charger's meter showed that it ignores what it confirmed, or that it follows again."""

    charge_point: AssetId
    at: datetime
    ignores: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterReading:
    """A meter's registers at a moment."""

    at: datetime
    import_wh: int
    """Energy drawn since the meter was new."""
    export_wh: int | None = None
    """Energy given back since then; None: the meter does not tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedReading:
    """A meter's own signed statement, as the charger sent it."""

    at: datetime
    data: str
    """What the meter signed and its signature, in `encoding`."""
    encoding: str
    """The format's name (OCMF, EDL); empty where the charger does not say."""
    method: str = ""
    """How it was signed; empty where the format says it itself."""
    public_key: str = ""
    """Empty where the charger did not send it."""


class TransactionPhase(StrEnum):
    """How far a transaction is."""

    STARTED = "started"
    UPDATED = "updated"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionReading:
    """What a charger tells of one transaction, also of one that it kept while it was off line."""

    charge_point: AssetId
    at: datetime
    transaction: str
    phase: TransactionPhase
    token: str | None = None
    """The identification that started it; None: not said here."""
    registers: tuple[RegisterReading, ...] = ()
    signed: tuple[SignedReading, ...] = ()
    asks_power: bool | None = None
    """Whether the car takes power, or waits for ours; False: it wants none; None: not said here."""
    reason: str = ""
    """Why it ended, in the protocol's word."""


type Reading = (
    MeterReading
    | ConnectorReading
    | CarReading
    | StorageReading
    | InverterReading
    | LinkReading
    | ObedienceReading
    | TransactionReading
)
