"""A charging profile of any version, and when which of its periods holds. Pure.

A profile is read once (`read_profile` for 2.0.1 and 2.1, `read_profile_16`) into watts; what several of
them make together is said in `composite`, which of them a charger takes in `rules`.

Source: OCPP 2.1 Part 2, block K and the texts of its schemas; OCPP 1.6 sections 3.13, 5.16 and 7.8 to 7.13.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from controller.domain.time import AMSTERDAM, parse_utc
from controller.domain.units import NOMINAL_VOLTAGE_V

TX, TX_DEFAULT, MAX, EXTERNAL = (
    "TxProfile",
    "TxDefaultProfile",
    "ChargingStationMaxProfile",
    "ChargingStationExternalConstraints",
)
PRIORITY, LOCAL_GENERATION = "PriorityCharging", "LocalGeneration"
"""New in 2.1: takes the place of what leads while priority is asked for; adds to what leads."""
SETPOINT, CHARGING_ONLY, IDLE, EXTERNAL_LIMITS = (
    "CentralSetpoint",
    "ChargingOnly",
    "Idle",
    "ExternalLimits",
)
PHASES = 3
_RECURRENCE = {"Daily": timedelta(days=1), "Weekly": timedelta(days=7)}
_PURPOSES_16 = {"ChargePointMaxProfile": MAX}
PHASE_FIELDS = (
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
    phases: int = PHASES
    """How many may be used to charge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One charging profile with one schedule."""

    id: int
    evse: int
    """0: the whole station, or each of its EVSEs."""
    purpose: str
    kind: str
    """Absolute, Recurring, Relative or Dynamic."""
    stack_level: int
    transaction: str | None
    recurrence: timedelta | None
    valid_from: datetime | None
    valid_to: datetime | None
    start: datetime | None
    """Where the schedule's time is counted from; None: from the transaction's start."""
    duration_s: int | None
    periods: tuple[Period, ...]
    received: datetime
    """When the charger took it; a Dynamic schedule, or one without transaction, counts from then."""
    unit: str = "W"
    """In which its values were told, and updates will be."""
    delay_s_max: int = 0
    """How much later each period may begin, by lot [s] (2.1)."""
    local_time: bool = False
    """Whether `start` is a wall clock's time at the charger, so that summer time does not move it (2.1)."""
    offline_s_max: int | None = None
    """How long it stays valid without a connection [s]; None: for ever (2.1)."""
    ends_offline: bool = False
    """Whether it is gone for good after that (2.1)."""
    pull_s: int = 0
    """A Dynamic profile: after how long without an update the charger asks for one [s]; 0: never (2.1)."""
    soc_limit: tuple[float, float] | None = None
    """State of charge (fraction) beyond which a limit [W] holds (2.1)."""
    overrules: bool = False
    """1.6: a default for one connector counts before one for all, whatever their stack levels."""
    body: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """2.x: as it was received, to be reported."""

    def origin(self, at: datetime, started: datetime | None) -> datetime | None:
        """Where the schedule's time is counted from at a moment; None where nowhere."""
        if self.kind == "Dynamic":
            return self.received
        if self.kind == "Relative":
            return started
        if self.start is None:
            # 1.6, section 7.13: without a start the schedule is relative to the start of charging.
            return started or self.received
        if self.start > at:
            return None
        if self.recurrence is None:
            return self.start
        if not self.local_time:
            return self.start + (at - self.start) // self.recurrence * self.recurrence
        first = _wall_clock(self.start)
        return _instant(first + (_wall_clock(at) - first) // self.recurrence * self.recurrence)

    def valid_at(self, at: datetime, offline_since: datetime | None = None) -> bool:
        """Whether it lies within its own validity, also that without a connection."""
        if self.valid_from is not None and at < self.valid_from:
            return False
        if self.valid_to is not None and at >= self.valid_to:
            return False
        if self.offline_s_max is None or offline_since is None:
            return True
        return at < offline_since + timedelta(seconds=self.offline_s_max)

    def period_at(
        self, at: datetime, started: datetime | None, offline_since: datetime | None = None
    ) -> Period | None:
        """The period that holds; None before the start, after the duration, outside the validity."""
        origin = self.origin(at, started)
        if origin is None or not self.valid_at(at, offline_since):
            return None
        elapsed_s = (at - origin).total_seconds()
        if self.duration_s is not None and elapsed_s >= self.duration_s:
            return None
        holding = None
        for period in self.periods:
            if period.start_s <= elapsed_s:
                holding = period
        # None too while the first period waits for its lot, on every day: read literally, the day before has
        # ended by then, and what lies below counts.
        return holding

    def changes_after(
        self, at: datetime, started: datetime | None, offline_since: datetime | None = None
    ) -> Iterator[datetime]:
        """The moments after `at` at which it may say something else."""
        edges = [self.valid_from, self.valid_to, self.start]
        if self.offline_s_max is not None and offline_since is not None:
            edges.append(offline_since + timedelta(seconds=self.offline_s_max))
        yield from (edge for edge in edges if edge is not None and edge > at)
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
            later = _instant(_wall_clock(origin) + self.recurrence)
            yield later if self.local_time else origin + self.recurrence


type Profiles = tuple[Profile, ...]


def read_profile(payload: Mapping[str, Any], received: datetime) -> Profile:
    """Reads a validated SetChargingProfileRequest of 2.0.1 or 2.1.

    Of several schedules the first is used: they are alternatives for a car of ISO 15118.

    Args:
        payload: The request.
        received: Now by the charger's clock, UTC.

    Raises:
        ValueError: If a time is none.
    """
    body = payload["chargingProfile"]
    schedule = body["chargingSchedule"][0]
    local_time = schedule.get("useLocalTime", False)
    periods = tuple(_read_period(period, schedule["chargingRateUnit"]) for period in _periods(schedule))
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
        start=_wall_time(schedule) if local_time else _time(schedule, "startSchedule"),
        duration_s=schedule.get("duration"),
        periods=periods,
        received=received,
        unit=schedule["chargingRateUnit"],
        delay_s_max=schedule.get("randomizedDelay", 0),
        local_time=local_time,
        offline_s_max=body.get("maxOfflineDuration"),
        ends_offline=body.get("invalidAfterOfflineDuration", False),
        pull_s=body.get("dynUpdateInterval", 0) if body["chargingProfileKind"] == "Dynamic" else 0,
        soc_limit=_soc_limit(schedule),
        body=body,
    )


def read_profile_16(payload: Mapping[str, Any], received: datetime, transaction: str | None) -> Profile:
    """Reads a validated SetChargingProfile.req of 1.6.

    Args:
        payload: The request.
        received: Now by the charger's clock, UTC.
        transaction: What the charger calls the transaction that the profile is for; None: for none here.

    Raises:
        ValueError: If a time is none.
    """
    body = payload["csChargingProfiles"]
    schedule = body["chargingSchedule"]
    purpose = _PURPOSES_16.get(body["chargingProfilePurpose"], body["chargingProfilePurpose"])
    return Profile(
        id=body["chargingProfileId"],
        evse=payload["connectorId"],
        purpose=purpose,
        kind=body["chargingProfileKind"],
        stack_level=body["stackLevel"],
        transaction=transaction if purpose == TX else None,
        recurrence=_RECURRENCE.get(body.get("recurrencyKind", "")),
        valid_from=_time(body, "validFrom"),
        valid_to=_time(body, "validTo"),
        start=_time(schedule, "startSchedule"),
        duration_s=schedule.get("duration"),
        periods=tuple(_read_period(period, schedule["chargingRateUnit"]) for period in _periods(schedule)),
        received=received,
        unit=schedule["chargingRateUnit"],
        overrules=purpose == TX_DEFAULT and payload["connectorId"] != 0,
    )


def delayed(profile: Profile, lot: Random) -> Profile:
    """A profile whose periods begin later by lot, so that a thousand chargers do not move as one."""
    late_s = profile.delay_s_max
    if not late_s:
        return profile
    periods = (replace(part, start_s=part.start_s + lot.randint(0, late_s)) for part in profile.periods)
    return replace(profile, periods=tuple(periods))


def updated(profile: Profile, update: Mapping[str, Any]) -> Profile:
    """A Dynamic profile after an update of its one period; what the update leaves out stays."""
    period = profile.periods[0]
    scale = _scale(profile.unit, period.phases)

    def value(name: str, before: float | None) -> float | None:
        return float(update[name]) * scale if name in update else before

    fresh = replace(
        period,
        limit_w=value("limit", period.limit_w),
        discharge_limit_w=value("dischargeLimit", period.discharge_limit_w),
        setpoint_w=value("setpoint", period.setpoint_w),
    )
    schedule = profile.body["chargingSchedule"][0]
    told = {**schedule, "chargingSchedulePeriod": [{**_periods(schedule)[0], **update}]}
    return replace(profile, periods=(fresh,), body={**profile.body, "chargingSchedule": [told]})


def _periods(schedule: Mapping[str, Any]) -> list[dict[str, Any]]:
    periods: list[dict[str, Any]] = schedule["chargingSchedulePeriod"]
    return periods


def _scale(unit: str, phases: int) -> float:
    """Watts in a unit of a limit: a current counts on each phase that may be used."""
    return 1.0 if unit == "W" else phases * NOMINAL_VOLTAGE_V


def _read_period(period: Mapping[str, Any], unit: str) -> Period:
    phases = period.get("numberPhases", PHASES)
    scale = _scale(unit, phases)

    def scaled(name: str) -> float | None:
        value = period.get(name)
        return None if value is None else float(value) * scale

    return Period(
        start_s=period["startPeriod"],
        mode=period.get("operationMode", CHARGING_ONLY),
        limit_w=scaled("limit"),
        discharge_limit_w=scaled("dischargeLimit"),
        setpoint_w=scaled("setpoint"),
        phases=phases,
    )


def _soc_limit(schedule: Mapping[str, Any]) -> tuple[float, float] | None:
    limit = schedule.get("limitAtSoC")
    if limit is None:
        return None
    return limit["soc"] / 100.0, limit["limit"] * _scale(schedule["chargingRateUnit"], PHASES)


def _time(body: Mapping[str, Any], name: str) -> datetime | None:
    return parse_utc(body[name]) if name in body else None


def _wall_clock(at: datetime) -> datetime:
    """What a clock on the charger's wall shows, without a zone."""
    return at.astimezone(AMSTERDAM).replace(tzinfo=None)


def _instant(wall: datetime) -> datetime:
    """When a clock on the charger's wall shows it, UTC; in the hour that comes twice, the first time."""
    return wall.replace(tzinfo=AMSTERDAM).astimezone(UTC)


def _wall_time(schedule: Mapping[str, Any]) -> datetime | None:
    """A start whose zone is to be disregarded: the same figures on the charger's own wall clock."""
    if "startSchedule" not in schedule:
        return None
    return _instant(datetime.fromisoformat(schedule["startSchedule"]).replace(tzinfo=None))
