"""What we ask of an OCPP 1.6 charger: setpoints as limits, the floor below them, questions, commands.

A profile replaces the one of the same id, or of the same purpose and stack level (section 5.16.4), so the
floor lies on level 0 and setpoints on level 1, where there is one (see `drivers.ocpp.room`).
`ChargePointMaxProfile` belongs to connector 0 only.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from controller.domain.assets import ChargePoint
from controller.domain.chargers import ChargerTemplate, TwoWay, WakeStep
from controller.domain.floor import FloorHours
from controller.domain.setpoints import SAFE_TAIL, Outcome, Setpoint
from controller.domain.time import utc_text
from drivers.ocpp import limits
from drivers.ocpp.codec import Answer, Request
from drivers.ocpp.frames import Payload
from drivers.ocpp.room import AMPLE, Room, no_room, room_of

CONNECTOR = 1
_STATION = 0
_SETPOINT_LEVEL = 1
_LEVELS = "ChargeProfileMaxStackLevel"


def power_request(
    setpoint: Setpoint,
    point: ChargePoint,
    template: ChargerTemplate,
    transaction: str | None,
    now: datetime,
    room: Room = AMPLE,
) -> Request | Outcome:
    """A setpoint as a limit, or why it is not said at all.

    Args:
        setpoint: Its power is clipped to the charger's limits.
        point: The charger.
        template: The make's quirks.
        transaction: The open transaction's number as text; None: a default that waits for the next one.
        now: Domain time, UTC.
        room: How many profiles it takes beside each other.
    """
    refused = limits.refused_before_sending(setpoint, now) or limits.one_way_refusal(
        setpoint, point, template, "OCPP 1.6"
    )
    if refused is not None:
        return refused
    if template.two_way is TwoWay.DATA_TRANSFER:
        return limits.data_transfer(setpoint, point, template)
    if (refused := no_room(setpoint, transaction, room)) is not None:
        return refused
    start = limits.schedule_start(now)
    profile: Payload = {
        "chargingProfileId": limits.TX_DEFAULT_SETPOINT_ID if transaction is None else limits.TX_PROFILE_ID,
        "stackLevel": room.level(_SETPOINT_LEVEL),
        "chargingProfilePurpose": "TxDefaultProfile" if transaction is None else "TxProfile",
        "chargingProfileKind": "Absolute",
        "validFrom": utc_text(start),
        "validTo": utc_text((setpoint.valid_until + SAFE_TAIL).replace(microsecond=0)),
        "chargingSchedule": _schedule(
            start, template, limits.setpoint_periods(setpoint, point, template, start)
        ),
    }
    if transaction is not None:
        profile["transactionId"] = int(transaction)
    return _set_profile(CONNECTOR, profile)


def floor_requests(
    point: ChargePoint, template: ChargerTemplate, hours: FloorHours, now: datetime
) -> tuple[Request, ...]:
    """The most it may ever do, and what it does when nothing else is valid: charge in its hours."""
    floor = limits.floor_limits(point, template, hours, now)
    most: Payload = {
        "chargingProfileId": limits.MAX_PROFILE_ID,
        "stackLevel": 0,
        "chargingProfilePurpose": "ChargePointMaxProfile",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": _schedule(limits.schedule_start(now), template, [floor.most]),
    }
    default: Payload = {
        "chargingProfileId": limits.DEFAULT_PROFILE_ID,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        **floor.kind,
        "chargingSchedule": _schedule(floor.start, template, floor.default),
    }
    return _set_profile(_STATION, most), _set_profile(CONNECTOR, default)


def _schedule(start: datetime, template: ChargerTemplate, periods: list[Payload]) -> Payload:
    return {
        "startSchedule": utc_text(start),
        "chargingRateUnit": template.unit,
        "chargingSchedulePeriod": periods,
    }


def _set_profile(connector: int, profile: Payload) -> Request:
    payload = {"connectorId": connector, "csChargingProfiles": profile}
    return Request(action="SetChargingProfile", payload=payload)


def state_requests() -> tuple[Request, ...]:
    """Makes a charger tell its connector's status, and by its meter values its transaction."""
    return tuple(
        Request(action="TriggerMessage", payload={"requestedMessage": message, "connectorId": CONNECTOR})
        for message in ("StatusNotification", "MeterValues")
    )


def clear_profiles(*, purpose: str, connector: int = CONNECTOR) -> Request:
    """Takes away all profiles of a purpose."""
    payload = {"chargingProfilePurpose": purpose, "connectorId": connector}
    return Request(action="ClearChargingProfile", payload=payload)


def composite_schedule(duration_s: int, *, unit: str = "W") -> Request:
    """Asks what the charger makes of all its profiles."""
    payload = {"connectorId": CONNECTOR, "duration": duration_s, "chargingRateUnit": unit}
    return Request(action="GetCompositeSchedule", payload=payload)


def get_configuration(keys: Sequence[str] = ()) -> Request:
    """Asks for configuration keys; for all where none is named."""
    return Request(action="GetConfiguration", payload={"key": list(keys)} if keys else {})


def read_configuration(answer: Answer) -> dict[str, str | None]:
    """The keys in an answer to `get_configuration`; None where the charger does not know one."""
    known = {entry["key"]: entry.get("value") for entry in answer.payload.get("configurationKey", ())}
    return known | dict.fromkeys(answer.payload.get("unknownKey", ()))


def room_request() -> Request:
    """Asks how many profiles it takes beside each other."""
    return get_configuration([_LEVELS])


def room_told(answer: Answer) -> Room | None:
    """What an answer says of that; None: nothing."""
    return room_of(read_configuration(answer).get(_LEVELS), by_16=True)


def change_configuration(key: str, value: str) -> Request:
    """Sets a configuration key."""
    return Request(action="ChangeConfiguration", payload={"key": key, "value": value})


def remote_start(token: str) -> Request:
    """Starts a transaction for a token."""
    return Request(action="RemoteStartTransaction", payload={"connectorId": CONNECTOR, "idTag": token})


def remote_stop(transaction: str) -> Request:
    """Ends a transaction; the car stays plugged in."""
    return Request(action="RemoteStopTransaction", payload={"transactionId": int(transaction)})


def reset(*, at_once: bool) -> Request:
    """Starts the charger anew; softly it ends its transactions first."""
    return Request(action="Reset", payload={"type": "Hard" if at_once else "Soft"})


def unlock() -> Request:
    """Lets go of a cable that is stuck."""
    return Request(action="UnlockConnector", payload={"connectorId": CONNECTOR})


def wake_request(step: WakeStep) -> Request:
    """One step of a wake-up sequence."""
    if step is WakeStep.UNLOCK:
        return unlock()
    kind = "Operative" if step is WakeStep.OPERATIVE else "Inoperative"
    return Request(action="ChangeAvailability", payload={"connectorId": CONNECTOR, "type": kind})
