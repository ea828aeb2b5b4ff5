"""What a simulated charger says in OCPP 2.0.1 and 2.1, made from the physics of its socket."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from drivers.ocpp.frames import Payload
from sim.chargers.answers2 import HANDLERS_21, HANDLERS_201
from sim.chargers.dialect import (
    FIRMWARE,
    MODEL,
    VENDOR,
    ChargerPhysics,
    Dialect,
    Facts,
    Handler,
    Message,
    Registers,
    Sample,
    Verdict,
)

_PHASES = 3


class Dialect201(Dialect):
    """OCPP 2.0.1."""

    subprotocol = "ocpp2.0.1"
    schemas = "v201"

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """The requests that it answers."""
        return HANDLERS_201

    def boot(self) -> Message:
        """The station introduces itself."""
        station = {"model": MODEL, "vendorName": VENDOR, "firmwareVersion": FIRMWARE}
        return Message("BootNotification", {"chargingStation": station, "reason": "PowerUp"})

    def status(self, at: datetime, *, occupied: bool, transaction: bool, moving: bool) -> Message:
        """The one connector's status: that of its transaction is told in the transaction's events."""
        del transaction, moving
        payload = {
            "timestamp": self.text(at),
            "connectorStatus": "Occupied" if occupied else "Available",
            "evseId": 1,
            "connectorId": 1,
        }
        return Message("StatusNotification", payload)

    def started(self, facts: Facts, sample: Sample, *, known: bool) -> list[Message]:
        """One event, with the token: its answer says whether it may charge."""
        del known
        return [self._event("Started", "CablePluggedIn", facts, [sample], named=True)]

    def updated(self, trigger: str, facts: Facts, samples: list[Sample], *, named: bool) -> list[Message]:
        """One event."""
        return [self._event("Updated", trigger, facts, samples, named=named)]

    def ended(self, trigger: str, reason: str, facts: Facts, samples: list[Sample]) -> list[Message]:
        """One event."""
        return [self._event("Ended", trigger, facts, samples, stopped=reason)]

    def metered(self, samples: list[Sample]) -> Message:
        """The meter outside a transaction."""
        values = [self._meter_value(*sample) for sample in samples]
        return Message("MeterValues", {"evseId": 1, "meterValue": values})

    def needs(self, at: datetime, physics: ChargerPhysics, *, two_way: bool) -> list[Message]:
        """The car's limits by ISO 15118-2: currents, one way."""
        del at, two_way
        volts = 230.0
        parameters = {
            "energyAmount": round((1.0 - physics.soc_fraction()) * physics.capacity_kwh() * 1000.0),
            "evMinCurrent": 6,
            "evMaxCurrent": round(physics.car_charge_kw_max() * 1000.0 / volts / _PHASES),
            "evMaxVoltage": round(volts),
        }
        needs = {"requestedEnergyTransfer": "AC_three_phase", "acChargingParameters": parameters}
        return [Message("NotifyEVChargingNeeds", {"evseId": 1, "chargingNeeds": needs})]

    def verdict(self, message: Message, answer: Payload) -> Verdict | None:
        """Whether the token of an event may charge."""
        if message.action != "TransactionEvent" or "idTokenInfo" not in answer:
            return None
        return Verdict(
            transaction=message.payload["transactionInfo"]["transactionId"],
            token=message.payload.get("idToken", {}).get("idToken", ""),
            status=answer["idTokenInfo"].get("status"),
        )

    def _event(
        self,
        kind: str,
        trigger: str,
        facts: Facts,
        samples: list[Sample],
        *,
        stopped: str = "",
        named: bool = False,
    ) -> Message:
        """One TransactionEvent; all are kept until they are answered."""
        charging_state = "Charging" if facts.moving else "SuspendedEVSE"
        info: Payload = {"transactionId": facts.transaction, "chargingState": charging_state}
        if stopped:
            info["stoppedReason"] = stopped
        event: Payload = {
            "eventType": kind,
            "timestamp": self.text(facts.at),
            "triggerReason": trigger,
            "seqNo": facts.sequence,
            "transactionInfo": info,
            "evse": {"id": 1, "connectorId": 1},
            "meterValue": [self._meter_value(*sample) for sample in samples],
        }
        if facts.offline:
            event["offline"] = True
        if named:
            event["idToken"] = {"idToken": facts.token, "type": "eMAID"}
        return Message("TransactionEvent", event, kept=True)

    def _meter_value(self, registers: Registers, context: str) -> Payload:
        """One MeterValue: power and registers in both directions, and the car's state of charge."""
        power_w = round(registers.power_kw * 1000.0, 1)
        sampled = [
            _sampled("Power.Active.Import", max(power_w, 0.0), context, "W"),
            _sampled("Power.Active.Export", max(-power_w, 0.0), context, "W"),
            _sampled("Energy.Active.Import.Register", round(registers.import_wh, 1), context, "Wh"),
            _sampled("Energy.Active.Export.Register", round(registers.export_wh, 1), context, "Wh"),
        ]
        if registers.soc_fraction is not None:
            soc = round(registers.soc_fraction * 100.0, 2)
            sampled.append(_sampled("SoC", soc, context, "Percent", "EV"))
        sampled += self._car_values(registers, context)
        return {"timestamp": self.text(registers.at), "sampledValue": sampled}

    def _car_values(self, registers: Registers, context: str) -> list[Payload]:
        """What else this version can tell of the car: nothing."""
        del registers, context
        return []


class Dialect21(Dialect201):
    """OCPP 2.1: 2.0.1 with both directions and what a car of ISO 15118-20 tells."""

    subprotocol = "ocpp2.1"
    schemas = "v21"

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """The requests that it answers."""
        return HANDLERS_21

    def needs(self, at: datetime, physics: ChargerPhysics, *, two_way: bool) -> list[Message]:
        """Power limits and energy requests by ISO 15118-20, discharge where car and charger offer it."""
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
        payload = {"evseId": 1, "timestamp": self.text(at), "chargingNeeds": needs}
        return [Message("NotifyEVChargingNeeds", payload)]

    def _car_values(self, registers: Registers, context: str) -> list[Payload]:
        """How large the battery is."""
        if registers.capacity_kwh is None:
            return []
        capacity_wh = round(registers.capacity_kwh * 1000.0)
        return [_sampled("Display.BatteryEnergyCapacity", capacity_wh, context, "Wh", "EV")]


def _sampled(measurand: str, value: float, context: str, unit: str, location: str = "Outlet") -> Payload:
    return {
        "value": value,
        "measurand": measurand,
        "context": context,
        "location": location,
        "unitOfMeasure": {"unit": unit},
    }
