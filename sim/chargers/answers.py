"""What a simulated charger does on the CSMS's word, whatever the version: profiles, lists, stops."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sim.chargers import composite, rules
from sim.chargers.faults import Fault
from sim.chargers.profiles import Profile
from sim.chargers.rules import Refusal

if TYPE_CHECKING:
    from sim.chargers.core import ChargerCore

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
