"""What a simulated charger does on the CSMS's word, whatever the version: profiles, lists, stops."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from drivers.ocpp.frames import Payload
from sim.chargers import composite, rules
from sim.chargers.dialect import Handler, Message
from sim.chargers.faults import Fault
from sim.chargers.profiles import Profile
from sim.chargers.rules import Refusal

if TYPE_CHECKING:
    from sim.chargers.core import ChargerCore

PULL = "PullDynamicScheduleUpdate"
ACCEPTED, REJECTED = {"status": "Accepted"}, {"status": "Rejected"}
_ZERO = Refusal(code="InvalidSchedule", why="a pause is not a power that this charger knows")


def take_profile(charger: ChargerCore, read: Callable[[], Profile]) -> Refusal | None:
    """Takes a profile, or says why not.

    Args:
        charger: Who takes it.
        read: Reads it from the request; raises ValueError where it cannot.
    """
    try:
        profile = read()
    except ValueError as error:
        return Refusal(code="InvalidProfile", why=str(error))
    if Fault.REFUSES_ZERO in charger.faults and any(
        0.0 in {period.limit_w, period.setpoint_w} for period in profile.periods
    ):
        return _ZERO
    problem = rules.refusal(
        profile,
        charger.profiles,
        transaction=charger.transaction,
        now=charger.now,
        manners=charger.manners,
    )
    if problem is None:
        charger.install(profile)
    return problem


def clear_profiles(
    charger: ChargerCore,
    *,
    profile_id: int | None,
    purpose: str | None,
    stack_level: int | None,
    evse: int | None,
) -> dict[str, str]:
    """Takes profiles away; `Unknown` where none fits."""
    left = rules.without(
        charger.profiles, profile_id=profile_id, purpose=purpose, stack_level=stack_level, evse=evse
    )
    if len(left) == len(charger.profiles):
        return {"status": "Unknown"}
    charger.profiles_changed(left)
    return ACCEPTED


def composite_periods(charger: ChargerCore, duration_s: int) -> list[tuple[int, float]]:
    """The composite schedule from now on: second and power [W]."""
    return composite.schedule(charger.composite, charger.now, duration_s)


def end_by_word(charger: ChargerCore, *, fits: bool) -> dict[str, str]:
    """Ends the open transaction; the car stays."""
    if charger.transaction is None or not fits:
        return REJECTED
    charger.end_transaction("RemoteStop", "Remote", charger.now)
    return ACCEPTED


def pull(profile_id: int) -> Message:
    """Asks for new values of a Dynamic profile."""
    return Message(PULL, {"chargingProfileId": profile_id})


def update_schedule(charger: ChargerCore, profile_id: int, update: Mapping[str, Any]) -> Refusal | None:
    """Takes new values for a Dynamic profile (K28), or says why not."""
    found = rules.after_update(charger.profiles, profile_id, update, charger.manners)
    if isinstance(found, Refusal):
        return found
    charger.pulls.updated(profile_id, charger.now)
    charger.profiles_changed(found)
    return None


def take_pulled(charger: ChargerCore, profile_id: int, answer: Mapping[str, Any]) -> None:
    """The answer to a pull: values that fit are taken, else the profile stays as it is."""
    if answer.get("status") == "Accepted" and "scheduleUpdate" in answer:
        update_schedule(charger, profile_id, answer["scheduleUpdate"])


def press_priority(charger: ChargerCore, *, active: bool) -> bool:
    """The driver asks for priority at the charger, or no more; the CSMS hears of it (K22)."""
    done = charger.set_priority(active=active)
    if done:
        payload = {"transactionId": charger.transaction, "activated": active}
        charger.outbox.say([Message("NotifyPriorityCharging", payload)])
    return done


def _clear_cache(charger: ChargerCore, _payload: Payload) -> Payload:
    charger.local.clear_cache()
    return ACCEPTED


def _unlock(_charger: ChargerCore, _payload: Payload) -> Payload:
    return {"status": "Unlocked"}


def _data_transfer(_charger: ChargerCore, _payload: Payload) -> Payload:
    return {"status": "UnknownVendorId"}


ALIKE: Mapping[str, Handler] = {
    "ClearCache": _clear_cache,
    "DataTransfer": _data_transfer,
    "UnlockConnector": _unlock,
}
"""Requests that every version writes alike."""
