"""What we ask of an OCPP 2.1 charger: setpoints as charging profiles, the floor below them, questions.

A setpoint is one `CentralSetpoint` schedule whose next period is the safe value, so that a charger which
hears nothing more falls back by itself at the right moment; the profile then ends, and below it lies the
low default that was laid at boot. Limits in the schedule are as narrow as the setpoint: a charging
setpoint allows no discharge and the other way round (EVerest accepts a setpoint only if
`dischargeLimit <= setpoint <= limit`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from controller.domain.assets import ChargePoint
from controller.domain.chargers import PLAIN_TEMPLATE, ChargerTemplate, WakeStep
from controller.domain.floor import FloorHours
from controller.domain.setpoints import SAFE_TAIL, Applied, Outcome, PartlyApplied, Rejected, Setpoint
from controller.domain.time import utc_text
from controller.domain.units import W_PER_KW
from drivers.ocpp.codec import Answer, Request
from drivers.ocpp.frames import Payload
from drivers.ocpp.limits import (
    DEFAULT_PROFILE_ID,
    HOURS_PROFILE_ID,
    MAX_PROFILE_ID,
    TX_DEFAULT_SETPOINT_ID,
    TX_PROFILE_ID,
    FloorLimits,
    answer_problem,
    clip_kw,
    floor_limits,
    limit_outcome,
    refused_before_sending,
    schedule_start,
    seconds_to,
    setpoint_periods,
)
from drivers.ocpp.room import AMPLE, Room, no_room, room_of

EVSE = 1
_STATION = 0
_LOWEST_LEVEL, _HOURS_LEVEL, _SETPOINT_LEVEL = 0, 1, 2
"""Stack levels: standing still, the hours of the night, setpoints."""
RANDOM_DELAY_S = 600
"""How much later than asked a charger may begin and end its hours (`randomizedDelay`, 2.1 only) [s]."""
_LEVELS = ("SmartChargingCtrlr", "ProfileStackLevel")
_CHARGING_ONLY = {"operationMode": "ChargingOnly"}


def _watts(power_kw: float) -> float:
    """Whole tenths of a watt: enough for any charger, and short on the wire."""
    return round(power_kw * W_PER_KW, 1) + 0.0


def _central_setpoint(start_s: int, power_kw: float, point: ChargePoint) -> Payload:
    """One period of a schedule in both directions."""
    watts = _watts(clip_kw(power_kw, point))
    return {
        "startPeriod": start_s,
        "operationMode": "CentralSetpoint",
        "setpoint": watts,
        "limit": max(watts, 0.0),
        "dischargeLimit": min(watts, 0.0),
    }


def power_request(
    setpoint: Setpoint,
    point: ChargePoint,
    transaction: str | None,
    now: datetime,
    template: ChargerTemplate = PLAIN_TEMPLATE,
    room: Room = AMPLE,
) -> Request | Outcome:
    """A setpoint as a charging profile.

    Args:
        setpoint: Its power is clipped to the charger's limits.
        point: The charger.
        transaction: The open transaction, which gets a `TxProfile`; None: a `TxDefaultProfile` that waits
            for the next one.
        now: Domain time, UTC.
        template: The make's quirks; a two-way charger of 2.1 needs none.
        room: How many profiles it takes beside each other.

    Returns:
        The request; or a refusal where it has run out already.
    """
    if (refused := refused_before_sending(setpoint, now)) is not None:
        return refused
    start = schedule_start(now)
    if point.discharge_kw_max > 0:
        periods = [
            _central_setpoint(0, setpoint.power_kw, point),
            _central_setpoint(seconds_to(setpoint.valid_until, start), setpoint.safe_kw, point),
        ]
        return setpoint_profile(setpoint, transaction, start, "W", periods, room)
    periods = [_CHARGING_ONLY | part for part in setpoint_periods(setpoint, point, template, start)]
    return setpoint_profile(setpoint, transaction, start, template.unit, periods, room)


def setpoint_profile(
    setpoint: Setpoint,
    transaction: str | None,
    start: datetime,
    unit: str,
    periods: list[Payload],
    room: Room,
) -> Request | Rejected:
    """The profile around a setpoint's periods; it ends a while after the setpoint (2.0.1 and 2.1)."""
    if (refused := no_room(setpoint, transaction, room)) is not None:
        return refused
    profile: Payload = {
        "id": TX_DEFAULT_SETPOINT_ID if transaction is None else TX_PROFILE_ID,
        "stackLevel": room.level(_SETPOINT_LEVEL),
        "chargingProfilePurpose": "TxDefaultProfile" if transaction is None else "TxProfile",
        "chargingProfileKind": "Absolute",
        "validFrom": utc_text(start),
        "validTo": utc_text((setpoint.valid_until + SAFE_TAIL).replace(microsecond=0)),
        "chargingSchedule": [_schedule(start, unit, periods)],
    }
    if transaction is not None:
        profile["transactionId"] = transaction
    return _set_profile(EVSE, profile)


def power_outcome(
    setpoint: Setpoint, point: ChargePoint, answer: Answer, template: ChargerTemplate = PLAIN_TEMPLATE
) -> Outcome:
    """What the answer to a setpoint's profile means."""
    if (problem := answer_problem(setpoint, answer)) is not None:
        return problem
    if point.discharge_kw_max <= 0:
        return limit_outcome(setpoint, point, template, answer)
    applied_kw = clip_kw(setpoint.power_kw, point)
    if applied_kw != setpoint.power_kw:
        why = f"{point.id} can do -{point.discharge_kw_max:g} to {point.charge_kw_max:g} kW"
        return PartlyApplied(setpoint=setpoint, power_kw=applied_kw, why=why)
    return Applied(setpoint=setpoint)


def floor_requests(
    point: ChargePoint,
    now: datetime,
    hours: FloorHours,
    template: ChargerTemplate = PLAIN_TEMPLATE,
    room: Room = AMPLE,
) -> tuple[Request, ...]:
    """The most it may ever do, and what it does when nothing else is valid: charge in its hours.

    Where the stack has no place for hours above a standstill, they begin on the minute and lie lowest.
    """
    floor = floor_limits(point, template, hours, now, delay_s=RANDOM_DELAY_S if room.has_three else 0)
    most = _CHARGING_ONLY | floor.most
    default = [_CHARGING_ONLY | part for part in floor.default]
    laid = floor_profiles(replace(floor, most=most, default=default), schedule_start(now), template.unit)
    # Hours of a profile of their own that were laid before, because they were others or the room was not
    # known, would stand above what is laid now, and perhaps where setpoints have to.
    hours_apart = any(part.payload["chargingProfile"]["id"] == HOURS_PROFILE_ID for part in laid)
    return laid if hours_apart else (*laid, _clear_profile(HOURS_PROFILE_ID))


def floor_profiles(floor: FloorLimits, start: datetime, unit: str) -> tuple[Request, ...]:
    """Profiles without an end that only limit charging (2.0.1 and 2.1).

    Hours that begin by lot have nothing below them until they do, each day anew: a charger that reads that
    literally would do as its maker chose. So they lie on a default of standing still, which is not late.
    """
    most: Payload = {
        "id": MAX_PROFILE_ID,
        "stackLevel": 0,
        "chargingProfilePurpose": "ChargingStationMaxProfile",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": [_schedule(start, unit, [floor.most])],
    }
    laid = _set_profile(_STATION, most)
    hours = _schedule(floor.start, unit, floor.default)
    if not floor.delay_s:
        return laid, _default(DEFAULT_PROFILE_ID, _LOWEST_LEVEL, floor.kind, hours)
    # A thousand chargers do not begin as one.
    hours["randomizedDelay"] = floor.delay_s
    stands = _schedule(start, unit, [floor.default[-1] | {"startPeriod": 0}])
    return (
        laid,
        _default(DEFAULT_PROFILE_ID, _LOWEST_LEVEL, {"chargingProfileKind": "Absolute"}, stands),
        _default(HOURS_PROFILE_ID, _HOURS_LEVEL, floor.kind, hours),
    )


def _default(profile_id: int, level: int, kind: Payload, schedule: Payload) -> Request:
    """A default for every transaction."""
    profile: Payload = {
        "id": profile_id,
        "stackLevel": level,
        "chargingProfilePurpose": "TxDefaultProfile",
        **kind,
        "chargingSchedule": [schedule],
    }
    return _set_profile(EVSE, profile)


def _schedule(start: datetime, unit: str, periods: list[Payload]) -> Payload:
    return {
        "id": 1,
        "startSchedule": utc_text(start),
        "chargingRateUnit": unit,
        "chargingSchedulePeriod": periods,
    }


def _set_profile(evse: int, profile: Payload) -> Request:
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


def _clear_profile(profile_id: int) -> Request:
    """Takes away one profile; a charger that has it not says `Unknown`."""
    return Request(action="ClearChargingProfile", payload={"chargingProfileId": profile_id})


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


def password_request(password: str) -> Request:
    """A new password for the next connection."""
    return set_variables([("SecurityCtrlr", "BasicAuthPassword", password)])


def password_taken(answer: Answer) -> bool:
    """Whether the charger took a new password."""
    results = answer.payload.get("setVariableResult", ())
    return bool(results) and results[0]["attributeStatus"] in {"Accepted", "RebootRequired"}


def read_variables(answer: Answer) -> dict[tuple[str, str], str | None]:
    """The variables in an answer to `get_variables`; None where the charger would not tell."""
    return {
        (result["component"]["name"], result["variable"]["name"]): (
            result.get("attributeValue") if result["attributeStatus"] == "Accepted" else None
        )
        for result in answer.payload.get("getVariableResult", ())
    }


def room_request() -> Request:
    """Asks how many profiles it takes beside each other."""
    return get_variables([_LEVELS])


def room_told(answer: Answer) -> Room | None:
    """What an answer says of that; None: nothing."""
    return room_of(read_variables(answer).get(_LEVELS), by_16=False)


def composite_schedule(duration_s: int) -> Request:
    """Asks what the charger makes of all its profiles."""
    return Request(
        action="GetCompositeSchedule",
        payload={"duration": duration_s, "chargingRateUnit": "W", "evseId": EVSE},
    )


def request_start(token: str, number: int, *, kind: str = "Central") -> Request:
    """Starts a transaction for a token; `number` comes back in the transaction's events."""
    id_token = {"idToken": token, "type": kind}
    return Request(
        action="RequestStartTransaction",
        payload={"evseId": EVSE, "idToken": id_token, "remoteStartId": number},
    )


def reset(*, at_once: bool) -> Request:
    """Starts the station anew, at once or when it is idle."""
    return Request(action="Reset", payload={"type": "Immediate" if at_once else "OnIdle"})


def unlock() -> Request:
    """Lets go of a cable that is stuck."""
    return Request(action="UnlockConnector", payload={"evseId": EVSE, "connectorId": 1})


def wake_request(step: WakeStep) -> Request:
    """One step of a wake-up sequence."""
    if step is WakeStep.UNLOCK:
        return unlock()
    status = "Operative" if step is WakeStep.OPERATIVE else "Inoperative"
    evse = {"id": EVSE, "connectorId": 1}
    return Request(action="ChangeAvailability", payload={"operationalStatus": status, "evse": evse})
