"""What a simulated charger says in OCPP 1.6J, made from the physics of its socket."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from drivers.ocpp.frames import Payload
from sim.chargers.answers16 import HANDLERS
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

NO_NUMBER = -1
"""What a transaction is called whose start the CSMS never answered."""
_REASONS = {"EVDisconnected": "EVDisconnected", "Remote": "Remote", "ImmediateReset": "HardReset"}


class Dialect16(Dialect):
    """OCPP 1.6J."""

    subprotocol = "ocpp1.6"
    schemas = "v16"

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """The requests that it answers."""
        return HANDLERS

    def boot(self) -> Message:
        """The station introduces itself."""
        payload = {"chargePointVendor": VENDOR, "chargePointModel": MODEL, "firmwareVersion": FIRMWARE}
        return Message("BootNotification", payload)

    def status(self, at: datetime, *, occupied: bool, transaction: bool, moving: bool) -> Message:
        """The one connector's status."""
        if not occupied:
            status = "Available"
        elif not transaction:
            status = "Preparing"
        else:
            status = "Charging" if moving else "SuspendedEVSE"
        payload = {"connectorId": 1, "errorCode": "NoError", "status": status, "timestamp": self.text(at)}
        return Message("StatusNotification", payload)

    def started(self, facts: Facts, sample: Sample, *, known: bool) -> list[Message]:
        """The start, before it a question for a token that the charger does not know by itself."""
        start: Payload = {
            "connectorId": 1,
            "idTag": facts.token,
            "meterStart": round(sample[0].import_wh),
            "timestamp": self.text(facts.at),
        }
        messages = [Message("StartTransaction", start, kept=True, transaction=facts.transaction)]
        if not known and not facts.offline:
            messages.insert(0, Message("Authorize", {"idTag": facts.token}))
        return messages

    def updated(self, trigger: str, facts: Facts, samples: list[Sample], *, named: bool) -> list[Message]:
        """Meter values of the transaction; a change of state is the connector's."""
        del named
        payload = {"connectorId": 1, "meterValue": [self._meter_value(*sample) for sample in samples]}
        messages = [Message("MeterValues", payload, kept=True, transaction=facts.transaction)]
        if trigger == "ChargingStateChanged":
            messages.append(self.status(facts.at, occupied=True, transaction=True, moving=facts.moving))
        return messages

    def ended(self, trigger: str, reason: str, facts: Facts, samples: list[Sample]) -> list[Message]:
        """The end; the quarter-hours that wait go before it."""
        stop: Payload = {
            "meterStop": round(samples[-1][0].import_wh),
            "timestamp": self.text(facts.at),
            "reason": _REASONS.get(reason, "Local"),
        }
        messages = [Message("StopTransaction", stop, kept=True, transaction=facts.transaction)]
        if len(samples) > 1:
            messages = [*self.updated(trigger, facts, samples[:-1], named=False)[:1], *messages]
        return messages

    def metered(self, samples: list[Sample]) -> Message:
        """The meter outside a transaction."""
        values = [self._meter_value(*sample) for sample in samples]
        return Message("MeterValues", {"connectorId": 1, "meterValue": values})

    def needs(self, at: datetime, physics: ChargerPhysics, *, two_way: bool) -> list[Message]:
        """1.6 has no words for what a car says."""
        del at, physics, two_way
        return []

    def addressed(self, message: Message, numbers: Mapping[str, int]) -> Payload:
        """With the number that the CSMS gave; -1 where it never did."""
        if not message.transaction or message.action == "StartTransaction":
            return message.payload
        return message.payload | {"transactionId": numbers.get(message.transaction, NO_NUMBER)}

    def verdict(self, message: Message, answer: Payload) -> Verdict | None:
        """Whether a token may charge, and the transaction's number."""
        if message.action not in {"Authorize", "StartTransaction"} or "idTagInfo" not in answer:
            return None
        return Verdict(
            transaction=message.transaction,
            token=message.payload["idTag"],
            status=answer["idTagInfo"].get("status"),
            number=answer.get("transactionId"),
        )

    def _meter_value(self, registers: Registers, context: str) -> Payload:
        """One MeterValue: power and registers in both directions, and the car's state of charge."""
        power_w = registers.power_kw * 1000.0
        values = [
            ("Power.Active.Import", f"{max(power_w, 0.0):.1f}", "W", "Outlet"),
            ("Power.Active.Export", f"{max(-power_w, 0.0):.1f}", "W", "Outlet"),
            ("Energy.Active.Import.Register", f"{registers.import_wh:.1f}", "Wh", "Outlet"),
            ("Energy.Active.Export.Register", f"{registers.export_wh:.1f}", "Wh", "Outlet"),
        ]
        if registers.soc_fraction is not None:
            values.append(("SoC", f"{registers.soc_fraction * 100.0:.2f}", "Percent", "EV"))
        sampled = [
            {"measurand": measurand, "value": value, "unit": unit, "location": location, "context": context}
            for measurand, value, unit, location in values
        ]
        return {"timestamp": self.text(registers.at), "sampledValue": sampled}
