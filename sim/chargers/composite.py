"""What all profiles of a charger make together: at a moment, and as a schedule. Pure.

Of each purpose one profile leads: the highest stack level whose schedule has a period at the moment. A
TxProfile leads before every TxDefaultProfile, and while priority is asked for a PriorityCharging profile
before both; where none has a period the charger does what its maker chose. What LocalGeneration allows is
added to the limit of the profile that leads. Maximum profiles and external constraints only narrow, also what
was added, and of all limits the lowest counts (OCPP 2.1 Part 2, K01, K08, K21 and
ChargingProfilePurposeEnumType; OCPP 1.6 section 3.13.2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from sim.chargers.profiles import (
    EXTERNAL,
    IDLE,
    LOCAL_GENERATION,
    MAX,
    PHASES,
    PRIORITY,
    SETPOINT,
    TX,
    TX_DEFAULT,
    Period,
    Profile,
    Profiles,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """What the charger can and does by itself."""

    local_default_w: float
    """What it does where no profile leads [W]."""
    charge_w_max: float
    """[W], over all phases."""
    discharge_w_max: float
    """A magnitude [W]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Where the charger stands while its profiles are asked."""

    transaction: str | None
    """The open transaction; None: none."""
    started: datetime | None
    """When it started, UTC."""
    offline_since: datetime | None = None
    """When the connection went; None: it is there."""
    soc_fraction: float | None = None
    """Of the car, where it tells."""
    priority: bool = False
    """Whether priority charging is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the charger is to do."""

    power_w: float
    """What to ask of the electronics, positive = charging."""
    source: str
    """The purpose of the profile that leads; `Local` for the charger's own default."""
    until: datetime | None
    """When it has to be asked again; None: when profiles or situation change."""


def compose(profiles: Profiles, at: datetime, situation: Situation, hardware: Hardware) -> Decision:
    """What all profiles make together at a moment.

    Args:
        profiles: Those that were taken.
        at: The moment, UTC.
        situation: Transaction, connection, car.
        hardware: The charger's own limits.
    """
    started, offline = situation.started, situation.offline_since
    changes = [edge for profile in profiles for edge in profile.changes_after(at, started, offline)]
    high, low = hardware.charge_w_max, -hardware.discharge_w_max
    for purpose in (MAX, EXTERNAL):
        led = _leading((p for p in profiles if p.purpose == purpose), at, situation)
        if led is not None:
            high, low = _narrowed(led[0], led[1], high, low, hardware, situation)
    power_w, source = hardware.local_default_w, "Local"
    leading = _leading(_of_transaction(profiles, situation), at, situation)
    if leading is not None:
        profile, period = leading
        source = profile.purpose
        added = _leading((p for p in profiles if p.purpose == LOCAL_GENERATION), at, situation)
        added_w = 0.0 if added is None else added[1].limit_w or 0.0
        high, low = _narrowed(profile, period, high, low, hardware, situation, added_w=added_w)
        match period.mode:
            case mode if mode == SETPOINT:
                power_w = period.setpoint_w or 0.0
            case mode if mode == IDLE:
                power_w = 0.0
            case _:
                power_w = high
    return Decision(power_w=max(min(power_w, high), low), source=source, until=min(changes, default=None))


def _of_transaction(profiles: Profiles, situation: Situation) -> Iterator[Profile]:
    """Those that may lead a transaction: the defaults, its own, and while it has priority those for that."""
    transaction = situation.transaction
    for profile in profiles:
        if (
            profile.purpose == TX_DEFAULT
            or (profile.purpose == TX and transaction is not None and profile.transaction == transaction)
            or (profile.purpose == PRIORITY and transaction is not None and situation.priority)
        ):
            yield profile


def _leading(
    candidates: Iterator[Profile], at: datetime, situation: Situation
) -> tuple[Profile, Period] | None:
    """The first in rank that has a period at the moment."""
    ranked = sorted(
        candidates,
        key=lambda p: (p.purpose == PRIORITY, p.purpose == TX, p.overrules, p.stack_level),
        reverse=True,
    )
    for profile in ranked:
        if (period := profile.period_at(at, situation.started, situation.offline_since)) is not None:
            return profile, period
    return None


def _narrowed(
    profile: Profile,
    period: Period,
    high_w: float,
    low_w: float,
    hardware: Hardware,
    situation: Situation,
    *,
    added_w: float = 0.0,
) -> tuple[float, float]:
    """The highest and the lowest power [W] after one more period, whose limit is higher by `added_w`."""
    high_w = min(high_w, hardware.charge_w_max * period.phases / PHASES)
    if period.limit_w is not None:
        high_w = min(high_w, period.limit_w + added_w)
    if period.discharge_limit_w is not None:
        low_w = max(low_w, period.discharge_limit_w)
    soc = situation.soc_fraction
    if profile.soc_limit is not None and soc is not None and soc > profile.soc_limit[0]:
        high_w = min(high_w, profile.soc_limit[1])
    return high_w, low_w


def schedule(
    decide: Callable[[datetime], Decision], start: datetime, duration_s: int
) -> list[tuple[int, float]]:
    """The composite schedule: from which second on which power [W]; equal neighbours are one period.

    Args:
        decide: The decision at a moment.
        start: Of the schedule, UTC.
        duration_s: How long it is to be [s].
    """
    periods: list[tuple[int, float]] = []
    at, end = start, start + timedelta(seconds=duration_s)
    while at < end:
        decision = decide(at)
        if not periods or periods[-1][1] != decision.power_w:
            periods.append((int((at - start).total_seconds()), decision.power_w))
        if decision.until is None:
            break
        at = decision.until
    return periods


def surviving(profiles: Profiles, at: datetime, offline_since: datetime | None) -> Profiles:
    """The profiles less those that a time without connection ended for good."""
    return tuple(
        profile
        for profile in profiles
        if not (
            profile.ends_offline
            and profile.offline_s_max is not None
            and offline_since is not None
            and at >= offline_since + timedelta(seconds=profile.offline_s_max)
        )
    )
