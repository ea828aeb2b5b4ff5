"""What a simulated charger says: the payloads of OCPP 2.1, made from the physics of its socket."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from controller.domain.time import utc_text
from drivers.ocpp.frames import Payload


class ChargerPhysics(Protocol):
    """The socket and the car on it, as the simulated world has them."""

    def plugged_token(self) -> str | None:
        """The identification of the car that is plugged in; None: no car."""
        ...

    def soc_fraction(self) -> float:
        """The car's state of charge, 0 to 1."""
        ...

    def capacity_kwh(self) -> float:
        """The car's battery [kWh]."""
        ...

    def car_charge_kw_max(self) -> float:
        """The most that the car takes [kW]."""
        ...

    def car_discharge_kw_max(self) -> float:
        """The most that the car gives, a magnitude [kW]; 0: it does not."""
        ...

    def power_kw(self) -> float:
        """AC power now, positive = charging [kW]."""
        ...

    def import_wh(self) -> float:
        """The charger's register of energy drawn [Wh]."""
        ...

    def export_wh(self) -> float:
        """The charger's register of energy fed in [Wh]."""
        ...

    def request_kw(self, power_kw: float) -> None:
        """Tells the electronics what to do from now on [kW]."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Registers:
    """The meter at a moment."""

    at: datetime
    import_wh: float
    export_wh: float
    power_kw: float
    soc_fraction: float | None
    """None: no car."""
    capacity_kwh: float | None = None
    """Told at the start and when asked."""


def meter_value(registers: Registers, context: str) -> Payload:
    """One MeterValue: power and registers in both directions, and what the car says of its battery."""
    power_w = round(registers.power_kw * 1000.0, 1)
    sampled = [
        _sampled("Power.Active.Import", max(power_w, 0.0), context, "W"),
        _sampled("Power.Active.Export", max(-power_w, 0.0), context, "W"),
        _sampled("Energy.Active.Import.Register", round(registers.import_wh, 1), context, "Wh"),
        _sampled("Energy.Active.Export.Register", round(registers.export_wh, 1), context, "Wh"),
    ]
    if registers.soc_fraction is not None:
        sampled.append(_sampled("SoC", round(registers.soc_fraction * 100.0, 2), context, "Percent", "EV"))
    if registers.capacity_kwh is not None:
        capacity_wh = round(registers.capacity_kwh * 1000.0)
        sampled.append(_sampled("Display.BatteryEnergyCapacity", capacity_wh, context, "Wh", "EV"))
    return {"timestamp": utc_text(registers.at), "sampledValue": sampled}


def _sampled(measurand: str, value: float, context: str, unit: str, location: str = "Outlet") -> Payload:
    return {
        "value": value,
        "measurand": measurand,
        "context": context,
        "location": location,
        "unitOfMeasure": {"unit": unit},
    }


def boot(reason: str) -> Payload:
    """The station introduces itself."""
    station = {"model": "Two-way 11", "vendorName": "Wijkstroom simulator", "firmwareVersion": "1.0"}
    return {"chargingStation": station, "reason": reason}


def status(at: datetime, *, occupied: bool) -> Payload:
    """The one connector's status."""
    return {
        "timestamp": utc_text(at),
        "connectorStatus": "Occupied" if occupied else "Available",
        "evseId": 1,
        "connectorId": 1,
    }


def charging_needs(at: datetime, physics: ChargerPhysics, *, two_way: bool) -> Payload:
    """What a car says by ISO 15118-20: power limits and energy requests, discharge where it offers it."""
    charge_w = physics.car_charge_kw_max() * 1000.0
    discharge_w = physics.car_discharge_kw_max() * 1000.0
    both_ways = two_way and discharge_w > 0
    stored_wh = physics.soc_fraction() * physics.capacity_kwh() * 1000.0
    parameters: Payload = {
        "maxChargePower": round(charge_w, 1),
        "evMaxEnergyRequest": round(physics.capacity_kwh() * 1000.0 - stored_wh, 1),
    }
    if both_ways:
        parameters["maxDischargePower"] = round(discharge_w, 1)
        parameters["evMinV2XEnergyRequest"] = round(-stored_wh, 1)
    needs: Payload = {
        "requestedEnergyTransfer": "AC_BPT" if both_ways else "AC_three_phase",
        "controlMode": "DynamicControl",
        "v2xChargingParameters": parameters,
    }
    return {"evseId": 1, "timestamp": utc_text(at), "chargingNeeds": needs}


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionFacts:
    """What every event of a transaction repeats."""

    id: str
    token: str
    charging_state: str
    sequence: int
    offline: bool


def transaction_event(
    kind: str,
    trigger: str,
    at: datetime,
    facts: TransactionFacts,
    meter_values: list[Payload],
    *,
    stopped: str = "",
    with_token: bool = False,
) -> Payload:
    """One TransactionEvent."""
    info: Payload = {"transactionId": facts.id, "chargingState": facts.charging_state}
    if stopped:
        info["stoppedReason"] = stopped
    event: Payload = {
        "eventType": kind,
        "timestamp": utc_text(at),
        "triggerReason": trigger,
        "seqNo": facts.sequence,
        "transactionInfo": info,
        "evse": {"id": 1, "connectorId": 1},
        "meterValue": meter_values,
    }
    if facts.offline:
        event["offline"] = True
    if with_token:
        event["idToken"] = {"idToken": facts.token, "type": "eMAID"}
    return event
