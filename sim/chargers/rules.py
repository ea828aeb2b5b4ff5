"""Which charging profiles a charger takes, and what takes the place of what. Pure.

Refusals follow the strictest open firmware; their codes are those of OCPP 2.1, appendix 5. 1.6 has no codes,
and where 2.x refuses a second profile of the same place, 1.6 lets it replace the first (section 5.16.4).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from sim.chargers.profiles import (
    CHARGING_ONLY,
    EXTERNAL,
    EXTERNAL_LIMITS,
    IDLE,
    LOCAL_GENERATION,
    MAX,
    PHASE_FIELDS,
    PRIORITY,
    SETPOINT,
    TX,
    TX_DEFAULT,
    Period,
    Profile,
    Profiles,
    updated,
)

_FROM_CSMS = frozenset({TX, TX_DEFAULT, MAX})
_ADDITIONAL = frozenset({PRIORITY, LOCAL_GENERATION})
"""Purposes that a charger of 2.1 may know beside those of all versions (`SupportedAdditionalPurposes`)."""
_MODES = {
    TX: frozenset({CHARGING_ONLY, SETPOINT, IDLE}),
    TX_DEFAULT: frozenset({CHARGING_ONLY, SETPOINT, IDLE}),
    MAX: frozenset({CHARGING_ONLY}),
    EXTERNAL: frozenset({CHARGING_ONLY, EXTERNAL_LIMITS}),
    PRIORITY: frozenset({CHARGING_ONLY}),
    LOCAL_GENERATION: frozenset({CHARGING_ONLY, EXTERNAL_LIMITS}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a profile is not taken."""

    code: str
    """A reason code of OCPP 2.1, appendix 5."""
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """What a charger takes beyond its version's common ground."""

    two_way: bool
    """Whether it can discharge."""
    by_16: bool = False
    """Whether the rules of 1.6 hold: twins replace each other, an absolute schedule needs no start."""
    negative_limits: bool = False
    """Whether a limit below 0 asks for discharge, as before 2.1 only some makes have it."""
    stack_level_max: int = 8
    """The highest stack level; in 1.6 also how many profiles of a purpose it keeps (section 9.4.1)."""


def refusal(
    profile: Profile, profiles: Profiles, *, transaction: str | None, now: datetime, manners: Manners
) -> Refusal | None:
    """Why a charger refuses a profile that the CSMS sets; None: it takes it.

    Args:
        profile: The new one.
        profiles: Those that it has.
        transaction: The open transaction.
        now: By the charger's clock, UTC.
        manners: The charger's.
    """
    problems = _problems(profile, profiles, transaction, now, manners)
    return next((problem for problem in problems if problem is not None), None)


def _problems(
    profile: Profile, profiles: Profiles, transaction: str | None, now: datetime, manners: Manners
) -> Iterator[Refusal | None]:
    """What is wrong with it, one after the other: each rests on the ones before."""
    yield _level_problem(profile, profiles, manners)
    yield _place_problem(profile, transaction)
    yield _time_problem(profile, now, manners)
    for period in profile.periods:
        yield _period_problem(profile, period, manners)
    if not manners.by_16:
        yield _twin_problem(profile, profiles)


def phase_refusal(body: Mapping[str, Any], purpose: str) -> Refusal | None:
    """Why values per phase are refused: they belong in a TxProfile (2.1)."""
    periods = body["chargingSchedule"][0]["chargingSchedulePeriod"]
    if purpose != TX and any(name in period for period in periods for name in PHASE_FIELDS):
        return Refusal(code="PhaseConflict", why="values per phase belong in a TxProfile")
    return None


def _level_problem(profile: Profile, profiles: Profiles, manners: Manners) -> Refusal | None:
    """Whether the stack has its level, and a place for it."""
    highest = manners.stack_level_max
    if not 0 <= profile.stack_level <= highest:
        return Refusal(code="InvalidStackLevel", why=f"stack levels go from 0 to {highest}")
    left = install(profiles, profile, by_16=manners.by_16)
    others = [one for one in left if one.purpose == profile.purpose and one is not profile]
    if manners.by_16 and len(others) >= max(highest, 1):
        return Refusal(code="TooManyProfiles", why=f"it keeps {len(others)} of that purpose already")
    return None


def _place_problem(profile: Profile, transaction: str | None) -> Refusal | None:
    """Whether purpose, EVSE, stack level and transaction fit each other."""
    if profile.purpose not in _FROM_CSMS | _ADDITIONAL:
        # K01.FR.22: external constraints come from another party than the CSMS.
        return Refusal(code="UnsupportedPurpose", why=f"a {profile.purpose} is not set by the CSMS here")
    if profile.purpose == TX:
        if profile.evse != 1:
            return Refusal(code="InvalidProfile", why="a TxProfile belongs to EVSE 1")
        if transaction is None or profile.transaction != transaction:
            return Refusal(code="TxNotFound", why="that transaction does not run here")
    elif profile.transaction is not None:
        return Refusal(code="InvalidProfile", why="only a TxProfile names a transaction")
    if profile.purpose == MAX and (profile.evse != 0 or profile.kind == "Relative"):
        return Refusal(code="InvalidProfile", why=f"a {MAX} is for EVSE 0 and not Relative")
    if profile.evse not in {0, 1}:
        return Refusal(code="UnknownEvse", why="there is one EVSE")
    return None


def _time_problem(profile: Profile, now: datetime, manners: Manners) -> Refusal | None:
    """Whether its times can be followed."""
    wants_start = profile.kind in {"Absolute", "Recurring"}
    if not manners.by_16 and wants_start != (profile.start is not None):
        has = "needs a" if wants_start else "has no"
        return Refusal(code="InvalidSchedule", why=f"{profile.kind} {has} startSchedule")
    if profile.delay_s_max and profile.purpose not in {TX, TX_DEFAULT}:
        return Refusal(code="InvalidSchedule", why="only a TxProfile or a TxDefaultProfile begins by lot")
    if (profile.kind == "Recurring") != (profile.recurrence is not None):
        return Refusal(code="InvalidProfile", why="Recurring, and only it, has a recurrencyKind")
    if profile.valid_to is not None and profile.valid_to <= now:
        return Refusal(code="InvalidProfile", why="it has run out already")
    starts = [period.start_s for period in profile.periods]
    if profile.kind == "Dynamic" and len(starts) != 1:
        return Refusal(code="InvalidSchedule", why="a Dynamic schedule has one period")
    # K01.FR.31 and .35.
    if starts[0] != 0 or any(later <= earlier for earlier, later in pairwise(starts)):
        return Refusal(code="InvalidSchedule", why="periods start at 0 and follow one another")
    return None


def _period_problem(profile: Profile, period: Period, manners: Manners) -> Refusal | None:
    """Whether a period's values belong to its mode and to each other."""
    if period.mode not in _MODES[profile.purpose]:
        return Refusal(code="InvalidOperationMode", why=f"no {period.mode} in a {profile.purpose}")
    if period.mode == CHARGING_ONLY:
        below_zero_ok = manners.two_way and manners.negative_limits and profile.purpose != MAX
        if period.limit_w is None or (period.limit_w < 0 and not below_zero_ok):
            return Refusal(code="InvalidSchedule", why="ChargingOnly needs a limit of at least 0")
        return None
    if period.mode == IDLE:
        return None
    if period.mode == EXTERNAL_LIMITS and profile.purpose == LOCAL_GENERATION:
        if period.limit_w is None or period.limit_w < 0:
            return Refusal(code="InvalidSchedule", why="what is added is a limit of at least 0")
        return None
    if not manners.two_way:
        return Refusal(code="InvalidOperationMode", why="this charger cannot discharge")
    low = float("-inf") if period.discharge_limit_w is None else period.discharge_limit_w
    high = float("inf") if period.limit_w is None else period.limit_w
    if period.setpoint_w is None or not low <= period.setpoint_w <= high:
        return Refusal(code="InvalidSchedule", why="dischargeLimit <= setpoint <= limit must hold")
    return None


def _twin_problem(profile: Profile, profiles: Profiles) -> Refusal | None:
    """Whether another profile has the same place at the same time (K01.FR.39, .52 and .53)."""
    for other in profiles:
        same = (other.purpose, other.stack_level) == (profile.purpose, profile.stack_level)
        # A default for all EVSEs and one for this EVSE are in each other's place too.
        there = other.evse == profile.evse or profile.purpose == TX_DEFAULT
        if other.id != profile.id and same and there and _overlap(profile, other):
            return Refusal(code="DuplicateProfile", why=f"profile {other.id} has that stack level")
    return None


def _overlap(one: Profile, other: Profile) -> bool:
    apart = (
        one.valid_to is not None and other.valid_from is not None and one.valid_to <= other.valid_from
    ) or (other.valid_to is not None and one.valid_from is not None and other.valid_to <= one.valid_from)
    return not apart


def install(profiles: Profiles, profile: Profile, *, by_16: bool = False) -> Profiles:
    """The profiles with one more; the same id, in 1.6 also the same place, takes the earlier one's."""
    place = (profile.purpose, profile.stack_level, profile.evse)
    kept = (
        other
        for other in profiles
        if other.id != profile.id and not (by_16 and (other.purpose, other.stack_level, other.evse) == place)
    )
    return (*kept, profile)


def without(
    profiles: Profiles,
    *,
    profile_id: int | None = None,
    purpose: str | None = None,
    stack_level: int | None = None,
    evse: int | None = None,
) -> Profiles:
    """The profiles without those that match everything that is given; an id alone decides (K10.FR.03)."""
    if profile_id is not None:
        return tuple(profile for profile in profiles if profile.id != profile_id)
    return tuple(
        profile
        for profile in profiles
        if not (
            purpose in {None, profile.purpose}
            and stack_level in {None, profile.stack_level}
            and evse in {None, profile.evse}
        )
    )


def after_update(
    profiles: Profiles, profile_id: int, update: Mapping[str, Any], manners: Manners
) -> Profiles | Refusal:
    """The profiles after an UpdateDynamicScheduleRequest (K28), or why it is refused."""
    known = next((one for one in profiles if one.id == profile_id and one.kind == "Dynamic"), None)
    if known is None:
        return Refusal(code="InvalidProfile", why=f"no Dynamic profile {profile_id} is here")
    fresh = updated(known, update)
    problem = _period_problem(fresh, fresh.periods[0], manners)
    return install(profiles, fresh) if problem is None else problem
