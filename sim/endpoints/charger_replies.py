"""What a simulated charger answers to the CSMS: profiles, triggers, variables, a stop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from controller.domain.time import utc_text
from drivers.ocpp import frames, schemas
from drivers.ocpp.frames import Call, Payload, RpcErrorCode
from drivers.ocpp.schemas import PayloadError
from sim.endpoints import profiles

if TYPE_CHECKING:
    from sim.endpoints.charger_core import ChargerCore

_VERSION = "v21"
_STACK_LEVEL_MAX = 8


def reply_to(charger: ChargerCore, call: Call) -> str:
    """The text of the answer to a call of the CSMS."""
    handler = _HANDLERS.get(call.action)
    if handler is None:
        known = schemas.knows(_VERSION, call.action)
        code = RpcErrorCode.NOT_SUPPORTED if known else RpcErrorCode.NOT_IMPLEMENTED
        return frames.error_text(call.message_id, code, f"{call.action[:50]} is not offered here")
    try:
        schemas.validate(_VERSION, f"{call.action}Request", call.payload)
    except PayloadError as error:
        return frames.error_text(call.message_id, error.code, error.description)
    return frames.result_text(call.message_id, handler(charger, call.payload))


def _set_profile(charger: ChargerCore, payload: Payload) -> Payload:
    refusal = profiles.refusal(
        payload,
        charger.profiles,
        transaction=charger.transaction,
        now=charger.now,
        two_way=charger.point.discharge_kw_max > 0,
    )
    if refusal is not None:
        info = {"reasonCode": refusal.code[:20], "additionalInfo": refusal.why}
        return {"status": "Rejected", "statusInfo": info}
    charger.profiles_changed(profiles.install(charger.profiles, profiles.read_profile(payload)))
    return {"status": "Accepted"}


def _clear_profiles(charger: ChargerCore, payload: Payload) -> Payload:
    criteria = payload.get("chargingProfileCriteria", {})
    left = profiles.without(
        charger.profiles,
        profile_id=payload.get("chargingProfileId"),
        purpose=criteria.get("chargingProfilePurpose"),
        stack_level=criteria.get("stackLevel"),
        evse=criteria.get("evseId"),
    )
    if len(left) == len(charger.profiles):
        return {"status": "Unknown"}
    charger.profiles_changed(left)
    return {"status": "Accepted"}


def _trigger(charger: ChargerCore, payload: Payload) -> Payload:
    match payload["requestedMessage"]:
        case "StatusNotification":
            charger.tell_status()
        case "MeterValues":
            charger.tell_meter()
        case "TransactionEvent":
            if not charger.tell_transaction():
                return {"status": "Rejected"}
        case _:
            return {"status": "NotImplemented"}
    return {"status": "Accepted"}


def _stop(charger: ChargerCore, payload: Payload) -> Payload:
    if charger.transaction is None or payload["transactionId"] != charger.transaction:
        return {"status": "Rejected"}
    charger.end_transaction("RemoteStop", "Remote", charger.now)
    return {"status": "Accepted"}


def _variables(charger: ChargerCore) -> Mapping[tuple[str, str], str]:
    """What it tells of itself, all read-only."""
    return {
        ("SmartChargingCtrlr", "Enabled"): "true",
        ("SmartChargingCtrlr", "ProfileStackLevel"): str(_STACK_LEVEL_MAX),
        ("SmartChargingCtrlr", "RateUnit"): "W,A",
        ("V2XChargingCtrlr", "Enabled"): str(charger.point.discharge_kw_max > 0).lower(),
        ("EVSE", "Power"): f"{charger.point.charge_kw_max * 1000:.0f}",
    }


def _get_variables(charger: ChargerCore, payload: Payload) -> Payload:
    known = _variables(charger)
    components = {component for component, _ in known}
    results = []
    for asked in payload["getVariableData"]:
        component, variable = asked["component"]["name"], asked["variable"]["name"]
        result = {"component": asked["component"], "variable": asked["variable"]}
        if (value := known.get((component, variable))) is not None:
            result |= {"attributeStatus": "Accepted", "attributeValue": value}
        else:
            unknown = "UnknownVariable" if component in components else "UnknownComponent"
            result |= {"attributeStatus": unknown}
        results.append(result)
    return {"getVariableResult": results}


def _set_variables(charger: ChargerCore, payload: Payload) -> Payload:
    known = _variables(charger)
    components = {component for component, _ in known}
    results = []
    for asked in payload["setVariableData"]:
        component, variable = asked["component"]["name"], asked["variable"]["name"]
        if (component, variable) in known:
            status = "Rejected"
        else:
            status = "UnknownVariable" if component in components else "UnknownComponent"
        results.append(
            {"component": asked["component"], "variable": asked["variable"], "attributeStatus": status}
        )
    return {"setVariableResult": results}


def _composite(charger: ChargerCore, payload: Payload) -> Payload:
    """The composite schedule of the open transaction, in watts."""
    if charger.transaction is None or payload["evseId"] != 1:
        return {"status": "Rejected"}
    start, end = charger.now, charger.now + timedelta(seconds=payload["duration"])
    periods: list[Payload] = []
    at = start
    while at < end:
        decision = charger.composite(at)
        period = {
            "startPeriod": int((at - start).total_seconds()),
            "operationMode": "CentralSetpoint",
            "setpoint": decision.power_w,
        }
        if not periods or periods[-1]["setpoint"] != decision.power_w:
            periods.append(period)
        if decision.until is None:
            break
        at = decision.until
    schedule = {
        "evseId": 1,
        "duration": payload["duration"],
        "scheduleStart": utc_text(start),
        "chargingRateUnit": "W",
        "chargingSchedulePeriod": periods,
    }
    return {"status": "Accepted", "schedule": schedule}


def _transaction_status(charger: ChargerCore, payload: Payload) -> Payload:
    asked = payload.get("transactionId")
    waiting = charger.has_kept_messages()
    if asked is None:
        return {"messagesInQueue": waiting}
    return {"ongoingIndicator": asked == charger.transaction, "messagesInQueue": waiting}


_HANDLERS: Mapping[str, Callable[[ChargerCore, Payload], Payload]] = {
    "ClearChargingProfile": _clear_profiles,
    "GetCompositeSchedule": _composite,
    "GetTransactionStatus": _transaction_status,
    "GetVariables": _get_variables,
    "RequestStopTransaction": _stop,
    "SetChargingProfile": _set_profile,
    "SetVariables": _set_variables,
    "TriggerMessage": _trigger,
}
