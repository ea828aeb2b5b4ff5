"""What we ask of an OCPP 2.1 charger: setpoints as charging profiles, the floor below them, questions.

A setpoint is one `CentralSetpoint` schedule whose next period is the safe value, so that a charger which
hears nothing more falls back by itself at the right moment; the profile then ends, and below it lies the
low default that was laid at boot. Limits in the schedule are as narrow as the setpoint: a charging
setpoint allows no discharge and the other way round (EVerest accepts a setpoint only if
`dischargeLimit <= setpoint <= limit`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta

from controller.domain.assets import ChargePoint
from controller.domain.setpoints import Applied, Outcome, PartlyApplied, Rejected, Setpoint, TimedOut
from controller.domain.time import utc_text
from controller.domain.units import W_PER_KW
from drivers.ocpp.codec import Answer, Request
from drivers.ocpp.frames import Payload

MAX_PROFILE_ID, DEFAULT_PROFILE_ID, TX_PROFILE_ID, TX_DEFAULT_SETPOINT_ID = 1, 2, 3, 4
"""One id a purpose: a profile of the same id takes the place of the one before (K01.FR.05)."""
SAFE_TAIL = timedelta(minutes=15)
"""How long the safe period holds before the profile ends and the default below it takes over."""
BACKDATE = timedelta(minutes=5)
"""Schedules begin this much before now. A charger whose clock is behind would otherwise find that the new
profile has not begun, while the one that it replaces is gone already, and drop to its default meanwhile."""
EVSE = 1
_STATION = 0
TIMED_OUT = "Timeout"
"""`Answer.error` where no answer came."""


def clip_kw(power_kw: float, point: ChargePoint) -> float:
    """The power within the charger's own limits [kW]."""
    return min(max(power_kw, -point.discharge_kw_max), point.charge_kw_max)


def _schedule_start(now: datetime) -> datetime:
    """Where a schedule's time is counted from: whole seconds, before any clock that is a little behind."""
    return now.replace(microsecond=0) - BACKDATE


def _watts(power_kw: float) -> float:
    """Whole tenths of a watt: enough for any charger, and short on the wire."""
    return round(power_kw * W_PER_KW, 1) + 0.0


def _period(start_s: int, power_kw: float, point: ChargePoint) -> Payload:
    """One period of a setpoint schedule, both directions where the charger has them."""
    watts = _watts(clip_kw(power_kw, point))
    if point.discharge_kw_max <= 0:
        return {"startPeriod": start_s, "operationMode": "ChargingOnly", "limit": max(watts, 0.0)}
    return {
        "startPeriod": start_s,
        "operationMode": "CentralSetpoint",
        "setpoint": watts,
        "limit": max(watts, 0.0),
        "dischargeLimit": min(watts, 0.0),
    }


def power_request(
    setpoint: Setpoint, point: ChargePoint, transaction: str | None, now: datetime
) -> Request | Outcome:
    """A setpoint as a charging profile.

    Args:
        setpoint: Its power is clipped to the charger's limits.
        point: The charger.
        transaction: The open transaction, which gets a `TxProfile`; None: a `TxDefaultProfile` that waits
            for the next one.
        now: Domain time, UTC.

    Returns:
        The request; or a refusal where it has run out already.
    """
    if not math.isfinite(setpoint.power_kw) or not math.isfinite(setpoint.safe_kw):
        return Rejected(setpoint=setpoint, code="NotANumber", why="a setpoint is a number")
    if setpoint.valid_until <= now:
        return Rejected(setpoint=setpoint, code="Expired", why="the setpoint has run out before it was sent")
    start = _schedule_start(now)
    # Rounded down, so that the charger never holds the setpoint beyond its end.
    life_s = math.floor((setpoint.valid_until - start).total_seconds())
    profile: Payload = {
        "id": TX_DEFAULT_SETPOINT_ID if transaction is None else TX_PROFILE_ID,
        "stackLevel": 1,
        "chargingProfilePurpose": "TxDefaultProfile" if transaction is None else "TxProfile",
        "chargingProfileKind": "Absolute",
        "validFrom": utc_text(start),
        "validTo": utc_text((setpoint.valid_until + SAFE_TAIL).replace(microsecond=0)),
        "chargingSchedule": [
            {
                "id": 1,
                "startSchedule": utc_text(start),
                "chargingRateUnit": "W",
                "chargingSchedulePeriod": [
                    _period(0, setpoint.power_kw, point),
                    _period(life_s, setpoint.safe_kw, point),
                ],
            }
        ],
    }
    if transaction is not None:
        profile["transactionId"] = transaction
    return Request(action="SetChargingProfile", payload={"evseId": EVSE, "chargingProfile": profile})


def power_outcome(setpoint: Setpoint, point: ChargePoint, answer: Answer) -> Outcome:
    """What the answer to a setpoint's profile means."""
    if answer.error == TIMED_OUT:
        return TimedOut(setpoint=setpoint, why=answer.description)
    if answer.error:
        return Rejected(setpoint=setpoint, code=answer.error, why=answer.description or answer.error)
    if answer.payload["status"] != "Accepted":
        info = answer.payload.get("statusInfo", {})
        code = info.get("reasonCode", "Rejected")
        return Rejected(
            setpoint=setpoint, code=code, why=info.get("additionalInfo", "the charger refused it")
        )
    applied_kw = clip_kw(setpoint.power_kw, point)
    if applied_kw != setpoint.power_kw:
        why = f"{point.id} can do -{point.discharge_kw_max:g} to {point.charge_kw_max:g} kW"
        return PartlyApplied(setpoint=setpoint, power_kw=applied_kw, why=why)
    return Applied(setpoint=setpoint)


def floor_requests(point: ChargePoint, now: datetime) -> tuple[Request, ...]:
    """The most it may ever do, and what it does when nothing else is valid: charge at the fallback."""
    fallback_kw = point.fallback_kw if point.fallback_kw >= point.charge_kw_min else 0.0
    return (
        _charging_only(MAX_PROFILE_ID, "ChargingStationMaxProfile", _STATION, point.charge_kw_max, now),
        _charging_only(DEFAULT_PROFILE_ID, "TxDefaultProfile", EVSE, fallback_kw, now),
    )


def _charging_only(profile_id: int, purpose: str, evse: int, limit_kw: float, now: datetime) -> Request:
    """A profile without an end that only limits charging."""
    schedule: Payload = {
        "id": 1,
        "startSchedule": utc_text(_schedule_start(now)),
        "chargingRateUnit": "W",
        "chargingSchedulePeriod": [
            {"startPeriod": 0, "operationMode": "ChargingOnly", "limit": _watts(limit_kw)}
        ],
    }
    profile: Payload = {
        "id": profile_id,
        "stackLevel": 0,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": "Absolute",
        "chargingSchedule": [schedule],
    }
    return Request(action="SetChargingProfile", payload={"evseId": evse, "chargingProfile": profile})


def state_requests() -> tuple[Request, ...]:
    """Makes a charger tell its connector's status and its transaction."""
    connector = {"id": EVSE, "connectorId": 1}
    return (
        Request(
            action="TriggerMessage", payload={"requestedMessage": "StatusNotification", "evse": connector}
        ),
        Request(
            action="TriggerMessage", payload={"requestedMessage": "TransactionEvent", "evse": {"id": EVSE}}
        ),
    )


def clear_profiles(*, purpose: str, evse: int = EVSE) -> Request:
    """Takes away all profiles of a purpose."""
    criteria = {"chargingProfilePurpose": purpose, "evseId": evse}
    return Request(action="ClearChargingProfile", payload={"chargingProfileCriteria": criteria})


def request_stop(transaction: str) -> Request:
    """Ends a transaction; the car stays plugged in."""
    return Request(action="RequestStopTransaction", payload={"transactionId": transaction})


def get_variables(names: Sequence[tuple[str, str]]) -> Request:
    """Asks for variables by (component, variable)."""
    data = [{"component": {"name": component}, "variable": {"name": name}} for component, name in names]
    return Request(action="GetVariables", payload={"getVariableData": data})


def set_variables(values: Sequence[tuple[str, str, str]]) -> Request:
    """Sets variables by (component, variable, value)."""
    data = [
        {"component": {"name": component}, "variable": {"name": name}, "attributeValue": value}
        for component, name, value in values
    ]
    return Request(action="SetVariables", payload={"setVariableData": data})


def read_variables(answer: Answer) -> dict[tuple[str, str], str | None]:
    """The variables in an answer to `get_variables`; None where the charger would not tell."""
    return {
        (result["component"]["name"], result["variable"]["name"]): (
            result.get("attributeValue") if result["attributeStatus"] == "Accepted" else None
        )
        for result in answer.payload.get("getVariableResult", ())
    }


def composite_schedule(duration_s: int) -> Request:
    """Asks what the charger makes of all its profiles."""
    return Request(
        action="GetCompositeSchedule",
        payload={"duration": duration_s, "chargingRateUnit": "W", "evseId": EVSE},
    )
