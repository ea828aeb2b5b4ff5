"""What a simulated charger of OCPP 1.6J answers to the CSMS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from controller.domain.time import utc_text
from controller.domain.units import NOMINAL_VOLTAGE_V
from drivers.ocpp.frames import Payload
from sim.chargers.answers import (
    ACCEPTED,
    ALIKE,
    REJECTED,
    clear_profiles,
    composite_periods,
    end_by_word,
    take_profile,
)
from sim.chargers.dialect import Handler, Message
from sim.chargers.profiles import MAX, PHASES, Profile, read_profile_16
from sim.chargers.secured import SECURED_16

if TYPE_CHECKING:
    from sim.chargers.core import ChargerCore

_OFFLINE_UNKNOWN = "AllowOfflineTxForUnknownId"
_BOOLEANS = {"true": True, "false": False}


def _set_profile(charger: ChargerCore, payload: Payload) -> Payload:
    def read() -> Profile:
        number = payload["csChargingProfiles"].get("transactionId")
        # Without a number it is for the transaction that runs.
        named = charger.transaction if number is None else _name_of(charger, number)
        return read_profile_16(payload, charger.now, named)

    return ACCEPTED if take_profile(charger, read) is None else REJECTED


def _name_of(charger: ChargerCore, number: int) -> str | None:
    """The charger's own name of the transaction that the CSMS numbered so, if it is the open one."""
    return charger.transaction if charger.numbers.get(charger.transaction or "") == number else None


def _clear_profiles(charger: ChargerCore, payload: Payload) -> Payload:
    purpose = payload.get("chargingProfilePurpose")
    return clear_profiles(
        charger,
        profile_id=payload.get("id"),
        purpose=MAX if purpose == "ChargePointMaxProfile" else purpose,
        stack_level=payload.get("stackLevel"),
        evse=payload.get("connectorId"),
    )


def _composite(charger: ChargerCore, payload: Payload) -> Payload:
    """As limits, in the unit that was asked for."""
    if payload["connectorId"] not in {0, 1}:
        return REJECTED
    unit = payload.get("chargingRateUnit", "W")
    watts = 1.0 if unit == "W" else PHASES * NOMINAL_VOLTAGE_V
    periods = [
        {"startPeriod": start_s, "limit": round(power_w / watts, 1)}
        for start_s, power_w in composite_periods(charger, payload["duration"])
    ]
    return {
        "status": "Accepted",
        "connectorId": payload["connectorId"],
        "scheduleStart": utc_text(charger.now),
        "chargingSchedule": {
            "duration": payload["duration"],
            "chargingRateUnit": unit,
            "chargingSchedulePeriod": periods,
        },
    }


def _trigger(charger: ChargerCore, payload: Payload) -> Payload:
    match payload["requestedMessage"]:
        case "BootNotification":
            charger.outbox.say([charger.dialect.boot()])
        case "Heartbeat":
            charger.outbox.say([Message("Heartbeat", {})])
        case "StatusNotification":
            charger.tell_status()
        case "MeterValues":
            # Of a transaction they carry its number, by which the CSMS knows it again.
            if not charger.tell_transaction():
                charger.tell_meter()
        case _:
            return {"status": "NotImplemented"}
    return ACCEPTED


def _stop(charger: ChargerCore, payload: Payload) -> Payload:
    return end_by_word(charger, fits=_name_of(charger, payload["transactionId"]) is not None)


def _start(charger: ChargerCore, payload: Payload) -> Payload:
    return ACCEPTED if charger.begin_by_word(payload["idTag"]) else REJECTED


def _configuration(charger: ChargerCore) -> Mapping[str, tuple[str, bool]]:
    """Value, and whether it is read-only, by key."""
    return {
        "ChargeProfileMaxStackLevel": (str(charger.manners.stack_level_max), True),
        "ChargingScheduleAllowedChargingRateUnit": ("Current,Power", True),
        "SupportedFeatureProfiles": (
            "Core,LocalAuthListManagement,RemoteTrigger,SmartCharging",
            True,
        ),
        "SecurityProfile": (str(charger.access.profile), False),
        _OFFLINE_UNKNOWN: (str(charger.local.unknown_offline).lower(), False),
    }


def _get_configuration(charger: ChargerCore, payload: Payload) -> Payload:
    known = _configuration(charger)
    asked = payload.get("key") or list(known)
    return {
        "configurationKey": [
            {"key": key, "readonly": known[key][1], "value": known[key][0]} for key in asked if key in known
        ],
        "unknownKey": [key for key in asked if key not in known],
    }


def _change_configuration(charger: ChargerCore, payload: Payload) -> Payload:
    key, value = payload["key"], _BOOLEANS.get(payload["value"])
    if key == "AuthorizationKey":
        return ACCEPTED if charger.access.set_password(payload["value"]) else REJECTED
    if key == "SecurityProfile":
        digits = payload["value"].isdigit()
        return ACCEPTED if digits and charger.access.raise_to(int(payload["value"])) else REJECTED
    if key not in _configuration(charger):
        return {"status": "NotSupported"}
    if key != _OFFLINE_UNKNOWN or value is None:
        return REJECTED
    charger.local.unknown_offline = value
    return ACCEPTED


def _send_list(charger: ChargerCore, payload: Payload) -> Payload:
    entries = {
        entry["idTag"]: entry["idTagInfo"]["status"] if "idTagInfo" in entry else None
        for entry in payload.get("localAuthorizationList", ())
    }
    full = payload["updateType"] == "Full"
    return {"status": charger.local.take_list(payload["listVersion"], entries, full=full)}


def _list_version(charger: ChargerCore, _payload: Payload) -> Payload:
    return {"listVersion": charger.local.version}


def _availability(charger: ChargerCore, payload: Payload) -> Payload:
    charger.set_operative(operative=payload["type"] == "Operative")
    return ACCEPTED


def _reset(charger: ChargerCore, _payload: Payload) -> Payload:
    charger.restart()
    return ACCEPTED


HANDLERS: Mapping[str, Handler] = {
    **ALIKE,
    **SECURED_16,
    "ChangeAvailability": _availability,
    "ChangeConfiguration": _change_configuration,
    "ClearChargingProfile": _clear_profiles,
    "GetCompositeSchedule": _composite,
    "GetConfiguration": _get_configuration,
    "GetLocalListVersion": _list_version,
    "RemoteStartTransaction": _start,
    "RemoteStopTransaction": _stop,
    "Reset": _reset,
    "SendLocalList": _send_list,
    "SetChargingProfile": _set_profile,
    "TriggerMessage": _trigger,
}
