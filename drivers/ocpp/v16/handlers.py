"""What each message of a 1.6 charger means: pure functions from state and payload to the next state.

In 1.6 it is we who number transactions. A start that was not answered in time comes again, and gets the
same number again. A charger that was off line tells its transactions afterwards, in order; the end of one
whose start never reached us carries the number -1 or somebody's 0 (libocpp 495): it is taken once, kept and
noted. A transaction that we forgot (we started anew) is known again by the number in its meter values.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from controller.domain.telemetry import Reading
from controller.domain.time import utc_text
from drivers.ocpp.codec import Notice, NoticeCode
from drivers.ocpp.common import (
    STRANGER,
    noted,
    on_boot,
    on_data_transfer,
    on_heartbeat,
    on_sign_certificate,
    token_verdict,
)
from drivers.ocpp.frames import Payload
from drivers.ocpp.samples import take_samples
from drivers.ocpp.state import (
    NO_FACTS,
    ChargerState,
    Context,
    Handled,
    Handler,
    Numbered,
    OpenTransaction,
)
from drivers.ocpp.timestamps import settle_time
from drivers.ocpp.transactions import end_reading, start_reading, status_reading

_NUMBER_MAX = 2**53
"""Of a transaction: up to here every whole number is a number in JSON."""
_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
"""Numbers are the seconds since then: unique for a charger, also over our own restarts, and 31 bits last
until 2088."""
_NUMBERED_KEPT = 16
_PLUGGED = frozenset({"Preparing", "Charging", "SuspendedEVSE", "SuspendedEV", "Finishing"})
_OUT_OF_ORDER = frozenset({"Unavailable", "Faulted"})


def on_status(state: ChargerState, payload: Payload, context: Context) -> Handled:
    """A connector's status; `Preparing` may also be a card without a car, which counts as a car."""
    at, notices = _time(payload, context)
    status = payload["status"]
    if payload["connectorId"] == 0:
        return Handled(state=state, response={}, notices=notices)
    if status in _OUT_OF_ORDER:
        text = f"the connector is {status}: {payload['errorCode']}"
        fault = context.notice(NoticeCode.FAULTED, text)
        return Handled(state=state, response={}, notices=(*notices, fault))
    after = state._replace(plugged=True) if status in _PLUGGED else state.unplugged()
    readings: tuple[Reading, ...] = (
        context.connector(after, at),
        *status_reading(status, after, context, at),
    )
    return Handled(state=after, response={}, readings=readings, notices=notices)


def on_authorize(state: ChargerState, payload: Payload, context: Context) -> Handled:
    """Somebody holds a card."""
    info, notices = _tag_info(payload["idTag"], context)
    return Handled(state=state, response={"idTagInfo": info}, notices=notices)


def on_start(state: ChargerState, payload: Payload, context: Context) -> Handled:
    """A transaction started, now or while the charger was off line."""
    at, notices = _time(payload, context)
    info, token_notices = _tag_info(payload["idTag"], context)
    notices = (*notices, *token_notices)
    before = _same_start(state, payload)
    if before is not None:
        again = context.notice(NoticeCode.DUPLICATE, f"the start of {before.number} came twice")
        response = {"transactionId": before.number, "idTagInfo": info}
        return Handled(state=state, response=response, notices=(*notices, again))

    started = Numbered(
        number=_next_number(state, context.now),
        token=payload["idTag"],
        started=payload["timestamp"],
        meter_start_wh=payload["meterStart"],
    )
    after = state._replace(numbered=(*state.numbered, started)[-_NUMBERED_KEPT:])
    current = state.open is None or at >= state.open.at
    if current:
        opened = OpenTransaction(id=str(started.number), token=started.token, at=at)
        # Another transaction while one was open: its end was lost, and the car may be another one.
        car = NO_FACTS if state.open is not None else state.car
        after = after._replace(plugged=True, open=opened, car=car)
    after, readings, sample_notices = _register(after, payload["meterStart"], at, context)
    readings.append(start_reading(started.number, started.token, readings, context, at))
    if current:
        readings += [context.connector(after, at), context.car(after.car, at)]
    return Handled(
        state=after,
        response={"transactionId": started.number, "idTagInfo": info},
        readings=tuple(readings),
        notices=(*notices, *sample_notices),
    )


def _same_start(state: ChargerState, payload: Payload) -> Numbered | None:
    """The start that this one repeats."""
    said = (payload["idTag"], payload["timestamp"], payload["meterStart"])
    return next(
        (known for known in state.numbered if (known.token, known.started, known.meter_start_wh) == said),
        None,
    )


def _next_number(state: ChargerState, now: datetime) -> int:
    """A number that this charger has never had."""
    seconds = int((now - _EPOCH).total_seconds())
    return max([seconds, *(known.number + 1 for known in state.numbered)])


def on_meter_values(state: ChargerState, payload: Payload, context: Context) -> Handled:
    """Meter values; those of connector 0 are the station's own meter, which is another place."""
    if payload["connectorId"] == 0:
        return Handled(state=state, response={})
    named = _named(payload.get("transactionId", 0))
    readings: list[Reading] = []
    after = state
    current = named is None or named == state.transaction
    if named is not None and state.open is None and named not in state.ended:
        opened = OpenTransaction(id=named, token=_token_of(state, named), at=context.now)
        after = state._replace(plugged=True, open=opened)
        current = True
        readings = [context.connector(after, context.now), context.car(after.car, context.now)]
    after, sampled, notices = take_samples(after, payload["meterValue"], context, current=current)
    return Handled(state=after, response={}, readings=(*readings, *sampled), notices=tuple(notices))


def _named(number: float) -> str | None:
    """A transaction by its number; None where it is none that anybody gave.

    JSON knows one kind of number: a charger may write 7.0 or 7e0, and is told of 7 all the same.
    """
    return str(int(number)) if 0 < number <= _NUMBER_MAX else None


def _token_of(state: ChargerState, transaction: str) -> str | None:
    """Who started a transaction, where that is remembered."""
    return next((known.token for known in state.numbered if str(known.number) == transaction), None)


def on_stop(state: ChargerState, payload: Payload, context: Context) -> Handled:
    """A transaction ended."""
    at, clock_notices = _time(payload, context)
    notices = list(clock_notices)
    response: Payload = {}
    if "idTag" in payload:
        # Whoever ends a transaction may do so; only what the card is worth is answered.
        response["idTagInfo"], _ = _tag_info(payload["idTag"], context)
    transaction = _ended_name(payload)
    if transaction in state.ended:
        notices.append(context.notice(NoticeCode.DUPLICATE, f"the end of {transaction} came twice"))
        return Handled(state=state, response=response, notices=tuple(notices))
    known = next((start for start in state.numbered if str(start.number) == transaction), None)
    if known is None and transaction != state.transaction:
        text = f"the end of {transaction}, whose start was never seen"
        notices.append(context.notice(NoticeCode.UNKNOWN_TRANSACTION, text))
    current = transaction == state.transaction
    after, readings, sampled = take_samples(
        state, payload.get("transactionData", ()), context, current=current
    )
    notices += sampled
    stop_wh = payload["meterStop"]
    if known is not None and stop_wh < known.meter_start_wh:
        text = f"{transaction} ended at {stop_wh} Wh and had started at {known.meter_start_wh} Wh"
        notices.append(context.notice(NoticeCode.REGISTER_BACKWARDS, text))
    else:
        after, registers, register_notices = _register(after, stop_wh, at, context)
        readings += registers
        notices += register_notices
    token = known.token if known is not None else None
    readings.append(end_reading(payload, transaction, token, readings, context, at))
    after = after.with_end_of(transaction)
    if current:
        if payload.get("reason") == "EVDisconnected":
            after = after.unplugged()
        readings.append(context.connector(after, at))
    return Handled(state=after, response=response, readings=tuple(readings), notices=tuple(notices))


def _ended_name(payload: Payload) -> str:
    """A name for the transaction that ended: its number, or for -1 what makes this end unlike others."""
    number = payload["transactionId"]
    return _named(number) or f"{number}/{payload['timestamp']}/{payload['meterStop']}"


def _register(
    state: ChargerState, import_wh: int, at: datetime, context: Context
) -> tuple[ChargerState, list[Reading], list[Notice]]:
    """The register in a start or an end, as a sample of its own."""
    sampled = [{"value": str(import_wh), "measurand": "Energy.Active.Import.Register", "unit": "Wh"}]
    value = {"timestamp": utc_text(at), "sampledValue": sampled}
    return take_samples(state, (value,), context, current=False)


def _time(payload: Mapping[str, Any], context: Context) -> tuple[datetime, tuple[Notice, ...]]:
    """When it happened; a status may leave its time out."""
    if "timestamp" not in payload:
        return context.now, ()
    at, notice = settle_time(payload["timestamp"], context.now, context.point.id)
    return at, () if notice is None else (notice,)


def _tag_info(tag: str, context: Context) -> tuple[Payload, tuple[Notice, ...]]:
    """1.6 says `Invalid` for a stranger's token."""
    info, notices = token_verdict(tag, context)
    return ({"status": "Invalid"} if info["status"] == STRANGER else info), notices


_NOTED = (
    "DiagnosticsStatusNotification",
    "FirmwareStatusNotification",
    "LogStatusNotification",
    "SecurityEventNotification",
    "SignedFirmwareStatusNotification",
)

HANDLERS: Mapping[str, Handler] = {
    "Authorize": on_authorize,
    "BootNotification": on_boot,
    "DataTransfer": on_data_transfer,
    "Heartbeat": on_heartbeat,
    "MeterValues": on_meter_values,
    "StartTransaction": on_start,
    "SignCertificate": on_sign_certificate,
    "StatusNotification": on_status,
    "StopTransaction": on_stop,
    **dict.fromkeys(_NOTED, noted),
}
"""Every request of a charger that we answer; the rest of the standard is `NotSupported`."""
