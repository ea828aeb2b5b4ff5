"""What a transaction's messages tell of what was charged: registers, signed statements, the car's wish.

It holds for transactions of now and for those that a charger kept while it was off line. A car that is full,
or wants no more, is `SuspendedEV` in every version; in `SuspendedEVSE` it waits for us. The token is the one
that started the transaction: who ends it may be somebody else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from controller.domain.telemetry import (
    MeterReading,
    Reading,
    RegisterReading,
    SignedReading,
    TransactionPhase,
    TransactionReading,
)
from drivers.ocpp.frames import Payload
from drivers.ocpp.state import ChargerState, Context
from drivers.ocpp.timestamps import settle_time

_PHASES = {
    "Started": TransactionPhase.STARTED,
    "Updated": TransactionPhase.UPDATED,
    "Ended": TransactionPhase.ENDED,
}
_ASKS = {"Charging": True, "SuspendedEVSE": True, "SuspendedEV": False}
"""By the state of charging, in every version; the other states say nothing of it."""
_OCMF = "OCMF|"
"""How each statement in that format begins."""


def transaction_reading(
    payload: Payload, before: ChargerState, readings: Iterable[Reading], context: Context, at: datetime
) -> TransactionReading:
    """What an event of OCPP 2.x tells of its transaction.

    Args:
        payload: A validated TransactionEvent.
        before: The state before it.
        readings: What its meter values brought.
        context: Whose it is, and when we are.
        at: Its time, settled.
    """
    info = payload["transactionInfo"]
    phase = _PHASES[payload["eventType"]]
    known = before.known(info["transactionId"])
    token = None if known is None else known.token
    if token is None and phase is not TransactionPhase.ENDED and "idToken" in payload:
        token = payload["idToken"]["idToken"]
    return TransactionReading(
        charge_point=context.point.id,
        at=at,
        transaction=info["transactionId"],
        phase=phase,
        token=token,
        registers=registers_of(readings),
        signed=tuple(_signed(payload.get("meterValue", ()), context)),
        asks_power=_ASKS.get(info.get("chargingState", "")),
        reason=info.get("stoppedReason", ""),
    )


def status_reading(
    status: str, state: ChargerState, context: Context, at: datetime
) -> tuple[TransactionReading, ...]:
    """What a connector's status of 1.6 tells of the open transaction."""
    asks = _ASKS.get(status)
    if asks is None or state.open is None:
        return ()
    return (
        TransactionReading(
            charge_point=context.point.id,
            at=at,
            transaction=state.open.id,
            phase=TransactionPhase.UPDATED,
            token=state.open.token,
            asks_power=asks,
        ),
    )


def start_reading(
    number: int, token: str, readings: Iterable[Reading], context: Context, at: datetime
) -> TransactionReading:
    """A start of 1.6."""
    return TransactionReading(
        charge_point=context.point.id,
        at=at,
        transaction=str(number),
        phase=TransactionPhase.STARTED,
        token=token,
        registers=registers_of(readings),
    )


def end_reading(
    payload: Payload,
    transaction: str,
    token: str | None,
    readings: Iterable[Reading],
    context: Context,
    at: datetime,
) -> TransactionReading:
    """An end of 1.6, with the values that the charger kept of the whole transaction."""
    return TransactionReading(
        charge_point=context.point.id,
        at=at,
        transaction=transaction,
        phase=TransactionPhase.ENDED,
        token=token,
        registers=registers_of(readings),
        signed=tuple(_signed(payload.get("transactionData", ()), context)),
        reason=payload.get("reason", "Local"),
    )


def registers_of(readings: Iterable[Reading]) -> tuple[RegisterReading, ...]:
    """The registers among readings."""
    return tuple(
        RegisterReading(at=reading.at, import_wh=reading.import_wh, export_wh=reading.export_wh)
        for reading in readings
        if isinstance(reading, MeterReading) and reading.import_wh is not None
    )


def _signed(meter_values: Iterable[Mapping[str, Any]], context: Context) -> Iterator[SignedReading]:
    """The signed statements in a `meterValue` array of any version."""
    for meter_value in meter_values:
        for sampled in meter_value["sampledValue"]:
            found = sampled.get("signedMeterValue")
            if found is None and sampled.get("format") != "SignedData":
                continue
            at, _ = settle_time(meter_value["timestamp"], context.now, context.point.id)
            if found is None:
                text = sampled["value"]
                yield SignedReading(at=at, data=text, encoding="OCMF" if text.startswith(_OCMF) else "")
            else:
                yield SignedReading(
                    at=at,
                    data=found["signedMeterData"],
                    encoding=found["encodingMethod"],
                    method=found.get("signingMethod", ""),
                    public_key=found.get("publicKey", ""),
                )
