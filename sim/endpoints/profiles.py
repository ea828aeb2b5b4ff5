"""A charger's charging profiles: which are taken, and what they make together at a moment. Pure.

A charger holds profiles by id. During a transaction the highest valid TxProfile leads, else the highest
valid TxDefaultProfile, else the charger's own default; a profile whose schedule has no period at the
moment leads nothing. Maximum profiles and external constraints only narrow (OCPP 2.1 Part 2, K01, and
the refusals that the strictest open firmware makes).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from controller.domain.time import parse_utc
from controller.domain.units import NOMINAL_VOLTAGE_V

_DAY = timedelta(days=1)
_RECURRENCE = {"Daily": _DAY, "Weekly": timedelta(days=7)}
_TX, _TX_DEFAULT, _MAX, _EXTERNAL = (
    "TxProfile",
    "TxDefaultProfile",
    "ChargingStationMaxProfile",
    "ChargingStationExternalConstraints",
)
_PURPOSES = frozenset({_TX, _TX_DEFAULT, _MAX, _EXTERNAL})
_SETPOINT, _CHARGING_ONLY, _IDLE = "CentralSetpoint", "ChargingOnly", "Idle"
_MODES = {
    _TX: frozenset({_CHARGING_ONLY, _SETPOINT, _IDLE}),
    _TX_DEFAULT: frozenset({_CHARGING_ONLY, _SETPOINT, _IDLE}),
    _MAX: frozenset({_CHARGING_ONLY}),
    _EXTERNAL: frozenset({_CHARGING_ONLY}),
}
_PHASE_FIELDS = (
    "limit_L2",
    "limit_L3",
    "setpoint_L2",
    "setpoint_L3",
    "dischargeLimit_L2",
    "dischargeLimit_L3",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """What holds from `start_s` on."""

    start_s: int
    """Since the schedule's start [s]."""
    mode: str
    limit_w: float | None
    discharge_limit_w: float | None
    """Not positive."""
    setpoint_w: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One charging profile with one schedule."""

    id: int
    evse: int
    purpose: str
    kind: str
    """Absolute, Recurring or Relative."""
    stack_level: int
    transaction: str | None
    recurrence: timedelta | None
    valid_from: datetime | None
    valid_to: datetime | None
    start: datetime | None
    """Where the schedule's time is counted from; None: from the transaction's start."""
    duration_s: int | None
    periods: tuple[Period, ...]

    def origin(self, at: datetime, started: datetime | None) -> datetime | None:
        """Where the schedule's time is counted from at a moment; None where nowhere."""
        if self.kind == "Relative":
            return started
        if self.start is None or self.start > at:
            return None
        if self.recurrence is None:
            return self.start
        return self.start + (at - self.start) // self.recurrence * self.recurrence

    def valid_at(self, at: datetime) -> bool:
        """Whether it lies within its own validity."""
        after = self.valid_from is None or at >= self.valid_from
        return after and (self.valid_to is None or at < self.valid_to)

    def period_at(self, at: datetime, started: datetime | None) -> Period | None:
        """The period that holds; None before the start, after the duration, outside the validity."""
        origin = self.origin(at, started)
        if origin is None or not self.valid_at(at):
            return None
        elapsed_s = (at - origin).total_seconds()
        if self.duration_s is not None and elapsed_s >= self.duration_s:
            return None
        holding = None
        for period in self.periods:
            if period.start_s <= elapsed_s:
                holding = period
        return holding

    def changes_after(self, at: datetime, started: datetime | None) -> Iterator[datetime]:
        """The moments after `at` at which it may say something else."""
        for edge in (self.valid_from, self.valid_to, self.start):
            if edge is not None and edge > at:
                yield edge
        origin = self.origin(at, started)
        if origin is None:
            return
        offsets = [period.start_s for period in self.periods]
        if self.duration_s is not None:
            offsets.append(self.duration_s)
        for offset_s in offsets:
            if (edge := origin + timedelta(seconds=offset_s)) > at:
                yield edge
        if self.recurrence is not None:
            yield origin + self.recurrence


type Profiles = tuple[Profile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a profile is not taken."""

    code: str
    """A reason code of OCPP 2.1, appendix 5."""
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the charger is to do."""

    power_w: float
    source: str
    """The purpose of the profile that leads; `Local` for the charger's own default."""
    until: datetime | None
    """When it has to be asked again; None: when the profiles change."""


def read_profile(payload: Mapping[str, Any]) -> Profile:
    """Reads a validated SetChargingProfileRequest; of several schedules the first is used."""
    body = payload["chargingProfile"]
    schedule = body["chargingSchedule"][0]
    # Current per phase becomes power over three phases, as the station would convert it.
    scale = 1.0 if schedule["chargingRateUnit"] == "W" else 3.0 * NOMINAL_VOLTAGE_V
    return Profile(
        id=body["id"],
        evse=payload["evseId"],
        purpose=body["chargingProfilePurpose"],
        kind=body["chargingProfileKind"],
        stack_level=body["stackLevel"],
        transaction=body.get("transactionId"),
        recurrence=_RECURRENCE.get(body.get("recurrencyKind", "")),
        valid_from=_time(body, "validFrom"),
        valid_to=_time(body, "validTo"),
        start=_time(schedule, "startSchedule"),
        duration_s=schedule.get("duration"),
        periods=tuple(_read_period(period, scale) for period in schedule["chargingSchedulePeriod"]),
    )


def _read_period(period: Mapping[str, Any], scale: float) -> Period:
    def scaled(name: str) -> float | None:
        value = period.get(name)
        return None if value is None else float(value) * scale

    return Period(
        start_s=period["startPeriod"],
        mode=period.get("operationMode", _CHARGING_ONLY),
        limit_w=scaled("limit"),
        discharge_limit_w=scaled("dischargeLimit"),
        setpoint_w=scaled("setpoint"),
    )


def _time(body: Mapping[str, Any], name: str) -> datetime | None:
    return parse_utc(body[name]) if name in body else None


def refusal(
    payload: Mapping[str, Any],
    profiles: Profiles,
    *,
    transaction: str | None,
    now: datetime,
    two_way: bool,
) -> Refusal | None:
    """Why a charger refuses a validated SetChargingProfileRequest; None: it takes it."""
    body = payload["chargingProfile"]
    try:
        profile = read_profile(payload)
    except ValueError as error:
        return Refusal(code="InvalidProfile", why=str(error))
    if profile.purpose not in _PURPOSES or profile.kind == "Dynamic":
        return Refusal(code="UnsupportedPurpose", why=f"{profile.purpose}, {profile.kind} is not supported")
    if profile.purpose != _TX and any(
        name in period
        for period in body["chargingSchedule"][0]["chargingSchedulePeriod"]
        for name in _PHASE_FIELDS
    ):
        return Refusal(code="PhaseConflict", why="values per phase belong in a TxProfile")
    checks = (
        _place_problem(profile, transaction),
        _time_problem(profile, now),
        *(_period_problem(profile, period, two_way=two_way) for period in profile.periods),
        _twin_problem(profile, profiles),
    )
    return next((check for check in checks if check is not None), None)


def _place_problem(profile: Profile, transaction: str | None) -> Refusal | None:
    """Whether EVSE and transaction fit the purpose."""
    if profile.purpose == _TX:
        if profile.evse != 1:
            return Refusal(code="InvalidProfile", why="a TxProfile belongs to EVSE 1")
        if transaction is None or profile.transaction != transaction:
            return Refusal(code="TxNotFound", why="that transaction does not run here")
    elif profile.transaction is not None:
        return Refusal(code="InvalidProfile", why="only a TxProfile names a transaction")
    if profile.purpose in {_MAX, _EXTERNAL} and (profile.evse != 0 or profile.kind == "Relative"):
        return Refusal(code="InvalidProfile", why=f"a {profile.purpose} is for EVSE 0 and not Relative")
    if profile.evse > 1:
        return Refusal(code="UnknownEvse", why="there is one EVSE")
    return None


def _time_problem(profile: Profile, now: datetime) -> Refusal | None:
    """Whether its times can be followed."""
    if profile.kind != "Relative" and profile.start is None:
        return Refusal(code="InvalidSchedule", why=f"{profile.kind} needs a startSchedule")
    if profile.kind == "Recurring" and profile.recurrence is None:
        return Refusal(code="InvalidProfile", why="Recurring needs a recurrencyKind")
    if profile.valid_to is not None and profile.valid_to <= now:
        return Refusal(code="InvalidProfile", why="it has run out already")
    starts = [period.start_s for period in profile.periods]
    if starts[0] != 0 or any(later <= earlier for earlier, later in pairwise(starts)):
        return Refusal(code="InvalidSchedule", why="periods start at 0 and follow one another")
    return None


def _period_problem(profile: Profile, period: Period, *, two_way: bool) -> Refusal | None:
    """Whether a period's values belong to its mode and to each other."""
    if period.mode not in _MODES[profile.purpose]:
        return Refusal(code="InvalidOperationMode", why=f"no {period.mode} in a {profile.purpose}")
    if period.mode == _CHARGING_ONLY:
        if period.limit_w is None or period.limit_w < 0:
            return Refusal(code="InvalidSchedule", why="ChargingOnly needs a limit of at least 0")
        return None
    if period.mode == _IDLE:
        return None
    if not two_way:
        return Refusal(code="InvalidOperationMode", why="this charger cannot discharge")
    low = float("-inf") if period.discharge_limit_w is None else period.discharge_limit_w
    high = float("inf") if period.limit_w is None else period.limit_w
    if period.setpoint_w is None or not low <= period.setpoint_w <= high:
        return Refusal(code="InvalidSchedule", why="dischargeLimit <= setpoint <= limit must hold")
    return None


def _twin_problem(profile: Profile, profiles: Profiles) -> Refusal | None:
    """Whether another profile has the same place at the same time (K01.FR.39)."""
    for other in profiles:
        if (
            other.id != profile.id
            and (other.purpose, other.stack_level, other.evse)
            == (profile.purpose, profile.stack_level, profile.evse)
            and _overlap(profile, other)
        ):
            return Refusal(code="DuplicateProfile", why=f"profile {other.id} has that stack level")
    return None


def _overlap(one: Profile, other: Profile) -> bool:
    apart = (
        one.valid_to is not None and other.valid_from is not None and one.valid_to <= other.valid_from
    ) or (other.valid_to is not None and one.valid_from is not None and other.valid_to <= one.valid_from)
    return not apart


def install(profiles: Profiles, profile: Profile) -> Profiles:
    """The profiles with one more; the same id takes the earlier one's place."""
    return (*(other for other in profiles if other.id != profile.id), profile)


def without(
    profiles: Profiles,
    *,
    profile_id: int | None = None,
    purpose: str | None = None,
    stack_level: int | None = None,
    evse: int | None = None,
) -> Profiles:
    """The profiles without those that match everything that is given."""
    return tuple(
        profile
        for profile in profiles
        if not (
            profile_id in {None, profile.id}
            and purpose in {None, profile.purpose}
            and stack_level in {None, profile.stack_level}
            and evse in {None, profile.evse}
        )
    )


def compose(
    profiles: Profiles,
    at: datetime,
    *,
    transaction: str,
    started: datetime,
    local_default_w: float,
    charge_w_max: float,
    discharge_w_max: float,
) -> Decision:
    """What all profiles make together at a moment of a transaction.

    Args:
        profiles: Those that were taken.
        at: The moment, UTC.
        transaction: The open transaction.
        started: When it started, UTC.
        local_default_w: What the charger does where no profile leads [W].
        charge_w_max: The hardware's most [W].
        discharge_w_max: The hardware's most, a magnitude [W].

    Returns:
        The power to ask of the electronics, positive = charging.
    """
    changes = [edge for profile in profiles for edge in profile.changes_after(at, started)]
    high = min(charge_w_max, _ceiling(profiles, at, started))
    low = -discharge_w_max
    power_w, source = local_default_w, "Local"
    leading = _leading(profiles, at, transaction, started)
    if leading is not None:
        period, source = leading
        if period.limit_w is not None:
            high = min(high, period.limit_w)
        if period.discharge_limit_w is not None:
            low = max(low, period.discharge_limit_w)
        match period.mode:
            case "CentralSetpoint":
                power_w = period.setpoint_w or 0.0
            case "Idle":
                power_w = 0.0
            case _:
                power_w = high
    return Decision(power_w=max(min(power_w, high), low), source=source, until=min(changes, default=None))


def _ceiling(profiles: Iterable[Profile], at: datetime, started: datetime) -> float:
    """The tightest limit of the maximum profiles and external constraints [W]."""
    periods = (profile.period_at(at, started) for profile in profiles if profile.purpose in {_MAX, _EXTERNAL})
    return min(
        (period.limit_w for period in periods if period is not None and period.limit_w is not None),
        default=float("inf"),
    )


def _leading(
    profiles: Iterable[Profile], at: datetime, transaction: str, started: datetime
) -> tuple[Period, str] | None:
    """The period that leads and its purpose: TxProfile before TxDefaultProfile, the higher stack first."""
    candidates = sorted(
        (
            profile
            for profile in profiles
            if profile.purpose == _TX_DEFAULT
            or (profile.purpose == _TX and profile.transaction == transaction)
        ),
        key=lambda profile: (profile.purpose == _TX, profile.stack_level),
        reverse=True,
    )
    for profile in candidates:
        if (period := profile.period_at(at, started)) is not None:
            return period, profile.purpose
    return None
