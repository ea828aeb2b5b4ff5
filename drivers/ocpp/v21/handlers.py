"""What each message of a charger means: pure functions from state and payload to the next state.

A charger may be wrong in time (see `timestamps`), in order (it replays what it queued while offline) and
in number (it sends twice what was not answered in time). A replayed event of an earlier transaction still
brings its meter values, but says nothing of who is plugged in now. An end of a transaction that we never
saw is taken once, and noted.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from controller.domain.units import W_PER_KW
from drivers.ocpp.codec import Notice, NoticeCode
from drivers.ocpp.common import (
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
    CarFacts,
    ChargerState,
    Context,
    Handled,
    Handler,
    OpenTransaction,
)
from drivers.ocpp.timestamps import settle_time
from drivers.ocpp.transactions import transaction_reading

_UNPLUGGING_TRIGGERS = frozenset({"EVDeparted", "EVCommunicationLost"})
_BOTH_WAYS = frozenset({"AC_BPT", "AC_BPT_DER", "DC_BPT", "DC_ACDP_BPT"})
"""ISO 15118-20 services with bidirectional power transfer."""
_AC_PHASES = {"AC_single_phase": 1, "AC_two_phase": 2}


def on_status(state: ChargerState, payload: Payload, context: Context) -> Handled:
    """A connector's status; of `Faulted` and `Unavailable` nobody can say whether a car is there."""
    at, notice = settle_time(payload["timestamp"], context.now, context.point.id)
    notices = () if notice is None else (notice,)
    status = payload["connectorStatus"]
    if payload["evseId"] == 0:
        return Handled(state=state, response={}, notices=notices)
    if status in {"Faulted", "Unavailable"}:
        fault = context.notice(NoticeCode.FAULTED, f"the connector is {status}")
        return Handled(state=state, response={}, notices=(*notices, fault))
    after = state._replace(plugged=True) if status == "Occupied" else state.unplugged()
    return Handled(state=after, response={}, readings=(context.connector(after, at),), notices=notices)


def on_authorize(state: ChargerState, payload: Payload, context: Context) -> Handled:
    """Somebody holds a card, or a car identified itself."""
    info, notices = _token_info(payload["idToken"], context)
    return Handled(state=state, response={"idTokenInfo": info}, notices=notices)


def _token_info(token: Mapping[str, Any], context: Context) -> tuple[Payload, tuple[Notice, ...]]:
    """Whether a token may charge: ours may, and a guest whom the station lets charge without one."""
    if token["type"] == "NoAuthorization":
        return {"status": "Accepted"}, ()
    return token_verdict(token["idToken"], context)


def on_meter_values(state: ChargerState, payload: Payload, context: Context) -> Handled:
    """Meter values outside a transaction."""
    after, readings, notices = take_samples(state, payload["meterValue"], context, current=True)
    return Handled(state=after, response={}, readings=tuple(readings), notices=tuple(notices))


def on_transaction_event(state: ChargerState, payload: Payload, context: Context) -> Handled:
    """A transaction started, went on or ended."""
    at, clock_notice = settle_time(payload["timestamp"], context.now, context.point.id)
    transaction: str = payload["transactionInfo"]["transactionId"]
    event, sequence = payload["eventType"], payload["seqNo"]
    response: Payload = {}
    notices: list[Notice] = [] if clock_notice is None else [clock_notice]
    if (id_token := payload.get("idToken")) is not None:
        info, token_notices = _token_info(id_token, context)
        response["idTokenInfo"] = info
        notices.extend(token_notices)
    if _is_duplicate(state, transaction, payload):
        notices.append(
            context.notice(NoticeCode.DUPLICATE, f"{event} {sequence} of {transaction} came twice")
        )
        return Handled(state=state, response=response, notices=tuple(notices))

    current = _is_current(state, transaction, at)
    if event == "Ended" and state.known(transaction) is None:
        text = f"the end of {transaction}, whose start was never seen"
        notices.append(context.notice(NoticeCode.UNKNOWN_TRANSACTION, text))
    after = _joined(state, transaction, payload, at) if current else state
    after, readings, sample_notices = take_samples(
        after, payload.get("meterValue", ()), context, current=current
    )
    notices.extend(sample_notices)
    if event == "Ended":
        after = after.with_end_of(transaction)
        if current and _left(payload):
            after = after.unplugged()
    readings.append(transaction_reading(payload, state, readings, context, at))
    if current:
        readings.append(context.connector(after, at))
        if event == "Started" and after.car == NO_FACTS:
            readings.append(context.car(after.car, at))
    return Handled(state=after, response=response, readings=tuple(readings), notices=tuple(notices))


def _named(payload: Payload) -> tuple[str, int, str]:
    """What makes an event the same again. Its number alone does not: there are chargers that never count."""
    return payload["eventType"], payload["seqNo"], payload["timestamp"]


def _is_duplicate(state: ChargerState, transaction: str, payload: Payload) -> bool:
    """The same event again: the newest of the open transaction, or the end of an ended one."""
    if transaction in state.ended:
        return bool(payload["eventType"] == "Ended")
    known = state.known(transaction)
    return known is not None and known.last_event == _named(payload)


def _is_current(state: ChargerState, transaction: str, at: datetime) -> bool:
    """Whether an event speaks of now: of the open transaction, or of a newer one."""
    if transaction == state.transaction:
        return True
    if transaction in state.ended:
        return False
    return state.open is None or at >= state.open.at


def _joined(state: ChargerState, transaction: str, payload: Payload, at: datetime) -> ChargerState:
    """The state in which this transaction is the open one."""
    token: str | None = payload["idToken"]["idToken"] if "idToken" in payload else None
    before, car = state.known(transaction), state.car
    if before is not None:
        at = max(at, before.at)
        token = token or before.token
    elif state.open is not None:
        # Another transaction while one was open: its end was lost, and the car may be another one.
        car = NO_FACTS
    return ChargerState(
        plugged=payload["transactionInfo"].get("chargingState") != "Idle",
        open=OpenTransaction(id=transaction, token=token, at=at, last_event=_named(payload)),
        ended=state.ended,
        registers=state.registers,
        car=car,
        left=state.left,
    )


def _left(payload: Payload) -> bool:
    """Whether the transaction ended because the car went; else it may stand there still."""
    reason = payload["transactionInfo"].get("stoppedReason")
    return reason == "EVDisconnected" or payload["triggerReason"] in _UNPLUGGING_TRIGGERS


def on_charging_needs(state: ChargerState, payload: Payload, context: Context) -> Handled:
    """What the car wants and can (ISO 15118). We plan after the answer, so it says `Processing`."""
    at, notice = context.now, None
    if "timestamp" in payload:
        at, notice = settle_time(payload["timestamp"], context.now, context.point.id)
    needs = payload["chargingNeeds"]
    state = state._replace(car=_needs_facts(state.car, needs, at))
    return Handled(
        state=state,
        response={"status": "Processing"},
        readings=(context.car(state.car, at),),
        notices=() if notice is None else (notice,),
    )


def _needs_facts(car: CarFacts, needs: Mapping[str, Any], at: datetime) -> CarFacts:
    """The car's limits from whichever parameters its standard has; the smallest of them counts."""
    v2x: Mapping[str, Any] = needs.get("v2xChargingParameters", {})
    ac: Mapping[str, Any] = needs.get("acChargingParameters", {})
    dc: Mapping[str, Any] = needs.get("dcChargingParameters", {})
    mode = needs["requestedEnergyTransfer"]
    offered = {mode, *needs.get("availableEnergyTransfer", ())}
    candidates = [
        _sum_of_phases_w(v2x, "maxChargePower"),
        ac["evMaxCurrent"] * ac["evMaxVoltage"] * _AC_PHASES.get(mode, 3) if ac else None,
        dc.get("evMaxPower", dc["evMaxCurrent"] * dc["evMaxVoltage"]) if dc else None,
    ]
    charge_w = min((abs(watts) for watts in candidates if watts is not None), default=None)
    # Cars disagree on the sign of a discharge limit (EVerest PR 1473): here it is a magnitude.
    discharge_w = _sum_of_phases_w(v2x, "maxDischargePower") if offered & _BOTH_WAYS else None
    soc, capacity = dc.get("stateOfCharge"), dc.get("evEnergyCapacity")
    return CarFacts(
        soc_fraction=car.soc_fraction if soc is None else soc / 100.0,
        capacity_kwh=car.capacity_kwh if not capacity or capacity < 0 else capacity / 1000.0,
        charge_kw_max=None if charge_w is None else charge_w / W_PER_KW,
        discharge_kw_max=None if discharge_w is None else abs(discharge_w) / W_PER_KW,
        soc_at=car.soc_at if soc is None else at,
    )


def _sum_of_phases_w(parameters: Mapping[str, Any], name: str) -> float | None:
    """A power [W]: the bare field is the total, or phase L1 where L2 and L3 stand beside it."""
    first = parameters.get(name)
    if first is None:
        return None
    return float(first + parameters.get(f"{name}_L2", 0.0) + parameters.get(f"{name}_L3", 0.0))


def on_charging_schedule(state: ChargerState, _payload: Payload, _context: Context) -> Handled:
    """The car's own schedule; our setpoints rule it."""
    return Handled(state=state, response={"status": "Accepted"})


_NOTED = (
    "ClearedChargingLimit",
    "FirmwareStatusNotification",
    "LogStatusNotification",
    "NotifyChargingLimit",
    "NotifyCustomerInformation",
    "NotifyDisplayMessages",
    "NotifyEvent",
    "NotifyMonitoringReport",
    "NotifyReport",
    "PublishFirmwareStatusNotification",
    "ReportChargingProfiles",
    "ReservationStatusUpdate",
    "SecurityEventNotification",
)

HANDLERS: Mapping[str, Handler] = {
    "Authorize": on_authorize,
    "BootNotification": on_boot,
    "DataTransfer": on_data_transfer,
    "Heartbeat": on_heartbeat,
    "MeterValues": on_meter_values,
    "NotifyEVChargingNeeds": on_charging_needs,
    "NotifyEVChargingSchedule": on_charging_schedule,
    "SignCertificate": on_sign_certificate,
    "StatusNotification": on_status,
    "TransactionEvent": on_transaction_event,
    **dict.fromkeys(_NOTED, noted),
}
"""Every request of a charger of 2.0.1 that we answer; the rest of the standard is `NotSupported`."""


def on_pull(state: ChargerState, _payload: Payload, _context: Context) -> Handled:
    """A charger asks for new values of a Dynamic profile: we set none, so it is another's."""
    info = {"reasonCode": "InvalidProfile", "additionalInfo": "no dynamic profile is set from here"}
    return Handled(state=state, response={"status": "Rejected", "statusInfo": info})


HANDLERS_21: Mapping[str, Handler] = {
    **HANDLERS,
    "NotifyPriorityCharging": noted,
    "PullDynamicScheduleUpdate": on_pull,
}
"""Of a charger of 2.1."""
