"""What a simulated charger of OCPP 2.0.1 or 2.1 answers to the CSMS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from controller.domain.time import utc_text
from controller.domain.units import NOMINAL_VOLTAGE_V
from drivers.ocpp.frames import Payload
from sim.chargers import display, rules
from sim.chargers.answers import (
    ACCEPTED,
    ALIKE,
    REJECTED,
    clear_profiles,
    composite_periods,
    end_by_word,
    take_profile,
    update_schedule,
)
from sim.chargers.dialect import Handler, Message
from sim.chargers.profiles import PHASES, read_profile
from sim.chargers.rules import Refusal
from sim.chargers.secured import SECURED_2, ask_for_certificate

if TYPE_CHECKING:
    from sim.chargers.core import ChargerCore

_OFFLINE_UNKNOWN = ("AuthCtrlr", "OfflineTxForUnknownIdEnabled")
_PRIORITY, _PROFILE = ("OCPPCommCtrlr", "NetworkConfigurationPriority"), ("SecurityCtrlr", "SecurityProfile")
_PASSWORD = ("SecurityCtrlr", "BasicAuthPassword")
_BOOLEANS = {"true": True, "false": False}


def _refused(refusal: Refusal) -> Payload:
    info = {"reasonCode": refusal.code[:20], "additionalInfo": refusal.why}
    return {"status": "Rejected", "statusInfo": info}


def _set_profile(charger: ChargerCore, payload: Payload) -> Payload:
    body = payload["chargingProfile"]
    refusal = rules.phase_refusal(body, body["chargingProfilePurpose"]) or take_profile(
        charger, lambda: read_profile(payload, charger.now)
    )
    return ACCEPTED if refusal is None else _refused(refusal)


def _update_schedule(charger: ChargerCore, payload: Payload) -> Payload:
    refusal = update_schedule(charger, payload["chargingProfileId"], payload["scheduleUpdate"])
    return ACCEPTED if refusal is None else _refused(refusal)


def _use_priority(charger: ChargerCore, payload: Payload) -> Payload:
    """K21: without a profile for it there is nothing to use."""
    if payload["transactionId"] != charger.transaction:
        return REJECTED
    return ACCEPTED if charger.set_priority(active=payload["activate"]) else {"status": "NoProfile"}


def _clear_profiles(charger: ChargerCore, payload: Payload) -> Payload:
    criteria = payload.get("chargingProfileCriteria", {})
    return clear_profiles(
        charger,
        profile_id=payload.get("chargingProfileId"),
        purpose=criteria.get("chargingProfilePurpose"),
        stack_level=criteria.get("stackLevel"),
        evse=criteria.get("evseId"),
    )


def _get_profiles(charger: ChargerCore, payload: Payload) -> Payload:
    """Reports follow the answer, one for the station and one for the EVSE where both have profiles (K09)."""
    wanted = payload["chargingProfile"]
    found = [
        profile
        for profile in charger.profiles
        if payload.get("evseId") in {None, profile.evse}
        and profile.id in wanted.get("chargingProfileId", [profile.id])
        and wanted.get("chargingProfilePurpose") in {None, profile.purpose}
        and wanted.get("stackLevel") in {None, profile.stack_level}
        and "CSO" in wanted.get("chargingLimitSource", ["CSO"])
    ]
    if not found:
        return {"status": "NoProfiles"}
    for evse in sorted({profile.evse for profile in found}):
        report = {
            "requestId": payload["requestId"],
            "chargingLimitSource": "CSO",
            "evseId": evse,
            "chargingProfile": [profile.body for profile in found if profile.evse == evse],
        }
        charger.outbox.say([Message("ReportChargingProfiles", report)])
    return ACCEPTED


def _composite_21(charger: ChargerCore, payload: Payload) -> Payload:
    """As setpoints, in both directions."""
    return _composite(charger, payload, both_ways=charger.point.discharge_kw_max > 0)


def _composite_201(charger: ChargerCore, payload: Payload) -> Payload:
    """As limits."""
    return _composite(charger, payload, both_ways=False)


def _composite(charger: ChargerCore, payload: Payload, *, both_ways: bool) -> Payload:
    if payload["evseId"] not in {0, 1}:
        return REJECTED
    unit = payload.get("chargingRateUnit", "W")
    watts = 1.0 if unit == "W" else PHASES * NOMINAL_VOLTAGE_V
    periods: list[Payload] = []
    for start_s, power_w in composite_periods(charger, payload["duration"]):
        value = round(power_w / watts, 1)
        said = {"operationMode": "CentralSetpoint", "setpoint": value} if both_ways else {"limit": value}
        periods.append({"startPeriod": start_s, **said})
    schedule = {
        "evseId": payload["evseId"],
        "duration": payload["duration"],
        "scheduleStart": utc_text(charger.now),
        "chargingRateUnit": unit,
        "chargingSchedulePeriod": periods,
    }
    return {"status": "Accepted", "schedule": schedule}


def _trigger(charger: ChargerCore, payload: Payload) -> Payload:
    match payload["requestedMessage"]:
        case "BootNotification":
            charger.outbox.say([charger.dialect.boot()])
        case "Heartbeat":
            charger.outbox.say([Message("Heartbeat", {})])
        case "StatusNotification":
            charger.tell_status()
        case "MeterValues":
            charger.tell_meter()
        case "TransactionEvent":
            if not charger.tell_transaction():
                return REJECTED
        case "SignChargingStationCertificate":
            ask_for_certificate(charger)
        case _:
            return {"status": "NotImplemented"}
    return ACCEPTED


def _stop(charger: ChargerCore, payload: Payload) -> Payload:
    return end_by_word(charger, fits=payload["transactionId"] == charger.transaction)


def _start(charger: ChargerCore, payload: Payload) -> Payload:
    return ACCEPTED if charger.begin_by_word(payload["idToken"]["idToken"]) else REJECTED


def _variables(charger: ChargerCore) -> Mapping[tuple[str, str], str]:
    """What it tells of itself."""
    return {
        ("SmartChargingCtrlr", "Enabled"): "true",
        ("SmartChargingCtrlr", "ProfileStackLevel"): str(charger.manners.stack_level_max),
        ("SmartChargingCtrlr", "RateUnit"): "W,A",
        ("SmartChargingCtrlr", "SupportedAdditionalPurposes"): "PriorityCharging,LocalGeneration",
        ("V2XChargingCtrlr", "Enabled"): str(charger.point.discharge_kw_max > 0).lower(),
        ("EVSE", "Power"): f"{charger.point.charge_kw_max * 1000:.0f}",
        _OFFLINE_UNKNOWN: str(charger.local.unknown_offline).lower(),
        **display.VARIABLES,
        _PRIORITY: ",".join(str(slot) for slot in charger.access.priority),
        _PROFILE: str(charger.access.profile),
    }


def _get_variables(charger: ChargerCore, payload: Payload) -> Payload:
    known = _variables(charger)
    results = []
    for asked in payload["getVariableData"]:
        result = {"component": asked["component"], "variable": asked["variable"]}
        name = (asked["component"]["name"], asked["variable"]["name"])
        if (value := known.get(name)) is not None:
            result |= {"attributeStatus": "Accepted", "attributeValue": value}
        else:
            result |= {"attributeStatus": _unknown(known, name[0])}
        results.append(result)
    return {"getVariableResult": results}


def _set_variables(charger: ChargerCore, payload: Payload) -> Payload:
    """Some of them can be set; the rest is read-only."""
    known = _variables(charger)
    results = []
    for asked in payload["setVariableData"]:
        name = (asked["component"]["name"], asked["variable"]["name"])
        if _is_set(charger, name, asked["attributeValue"]):
            status = "Accepted"
        else:
            status = "Rejected" if name in known or name == _PASSWORD else _unknown(known, name[0])
        results.append(
            {"component": asked["component"], "variable": asked["variable"], "attributeStatus": status}
        )
    return {"setVariableResult": results}


def _is_set(charger: ChargerCore, name: tuple[str, str], text: str) -> bool:
    """Sets a variable, where it can be set and the value fits."""
    value = _BOOLEANS.get(text)
    if name == _OFFLINE_UNKNOWN and value is not None:
        charger.local.unknown_offline = value
        return True
    if name == _PASSWORD:
        return charger.access.set_password(text)
    slots = text.split(",")
    return name == _PRIORITY and all(map(str.isdigit, slots)) and charger.access.prefer([*map(int, slots)])


def _unknown(known: Mapping[tuple[str, str], str], component: str) -> str:
    components = {name for name, _ in known}
    return "UnknownVariable" if component in components else "UnknownComponent"


def _transaction_status(charger: ChargerCore, payload: Payload) -> Payload:
    asked = payload.get("transactionId")
    waiting = charger.has_kept_messages()
    if asked is None:
        return {"messagesInQueue": waiting}
    return {"ongoingIndicator": asked == charger.transaction, "messagesInQueue": waiting}


def _send_list(charger: ChargerCore, payload: Payload) -> Payload:
    entries = {
        entry["idToken"]["idToken"]: entry["idTokenInfo"]["status"] if "idTokenInfo" in entry else None
        for entry in payload.get("localAuthorizationList", ())
    }
    full = payload["updateType"] == "Full"
    return {"status": charger.local.take_list(payload["versionNumber"], entries, full=full)}


def _list_version(charger: ChargerCore, _payload: Payload) -> Payload:
    return {"versionNumber": charger.local.version}


def _availability(charger: ChargerCore, payload: Payload) -> Payload:
    charger.set_operative(operative=payload["operationalStatus"] == "Operative")
    return ACCEPTED


def _reset(charger: ChargerCore, payload: Payload) -> Payload:
    if payload["type"] == "OnIdle" and charger.transaction is not None:
        return {"status": "Scheduled"}
    charger.restart()
    return ACCEPTED


_COMMON: Mapping[str, Handler] = {
    **ALIKE,
    **SECURED_2,
    "ChangeAvailability": _availability,
    "ClearChargingProfile": _clear_profiles,
    "GetChargingProfiles": _get_profiles,
    "GetLocalListVersion": _list_version,
    "GetTransactionStatus": _transaction_status,
    "GetVariables": _get_variables,
    "RequestStartTransaction": _start,
    "RequestStopTransaction": _stop,
    "Reset": _reset,
    "SendLocalList": _send_list,
    "SetChargingProfile": _set_profile,
    "SetVariables": _set_variables,
    "TriggerMessage": _trigger,
}
HANDLERS_201: Mapping[str, Handler] = {
    **_COMMON,
    **display.HANDLERS_201,
    "GetCompositeSchedule": _composite_201,
}
HANDLERS_21: Mapping[str, Handler] = {
    **_COMMON,
    **display.HANDLERS_21,
    "GetCompositeSchedule": _composite_21,
    "UpdateDynamicSchedule": _update_schedule,
    "UsePriorityCharging": _use_priority,
}
