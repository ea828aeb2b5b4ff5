"""Setpoints for chargers whose protocol knows limits only (1.6, 2.0.1), said as their template wants it.

A setpoint is a schedule of two periods: the setpoint, then the safe value; the profile ends a while later,
and below it lies the default: hours of the night at a low power, else nothing. A limit is rounded down to a
tenth, so that it never allows more than was asked (and a discharge never becomes more). What is below the
charger's minimum current is said as a pause.
Discharge is refused here, with its reason, unless the template says how it is said.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from controller.domain.assets import ChargePoint
from controller.domain.chargers import ChargerTemplate, TwoWay
from controller.domain.floor import DAY_S, FloorHours
from controller.domain.setpoints import (
    Applied,
    NotSent,
    Outcome,
    PartlyApplied,
    Rejected,
    Setpoint,
    TimedOut,
)
from controller.domain.time import utc_text
from controller.domain.units import W_PER_KW
from drivers.ocpp.codec import Answer, Request
from drivers.ocpp.frames import Payload

MAX_PROFILE_ID, DEFAULT_PROFILE_ID, TX_PROFILE_ID, TX_DEFAULT_SETPOINT_ID, HOURS_PROFILE_ID = 1, 2, 3, 4, 5
"""One id a purpose: a profile of the same id takes the place of the one before (K01.FR.05)."""
BACKDATE = timedelta(minutes=5)
"""Schedules begin this much before now. A charger whose clock is behind would otherwise find that the new
profile has not begun, while the one that it replaces is gone already, and drop to its default meanwhile."""
TIMED_OUT = "Timeout"
"""`Answer.error` where no answer came."""
_STEP = 10.0
"""Steps in a unit: the schema of 1.6 allows one decimal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FloorLimits:
    """What lies below all setpoints, as it is said."""

    most: Payload
    """The one period of what it may ever do."""
    start: datetime
    """Where the default's periods are counted from."""
    default: list[Payload]
    """What holds when nothing else is valid: one period for ever, or more of them each day."""
    delay_s: int
    """By how much each change may come later, at random; 0: it may not."""

    @property
    def kind(self) -> Payload:
        """The default's kind, as it stands in a profile of every version."""
        if len(self.default) == 1:
            return {"chargingProfileKind": "Absolute"}
        return {"chargingProfileKind": "Recurring", "recurrencyKind": "Daily"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A limit as it is said."""

    value: float
    """In the template's unit."""
    power_kw: float
    """What it comes to: what the charger will do at most [kW]."""


def clip_kw(power_kw: float, point: ChargePoint) -> float:
    """The power within the charger's own limits [kW]."""
    return min(max(power_kw, -point.discharge_kw_max), point.charge_kw_max)


def schedule_start(now: datetime) -> datetime:
    """Where a schedule's time is counted from: whole seconds, before any clock that is a little behind."""
    return now.replace(microsecond=0) - BACKDATE


def refused_before_sending(setpoint: Setpoint, now: datetime) -> Rejected | NotSent | None:
    """Why a setpoint is said in no version: it is no number, or it has run out."""
    if not math.isfinite(setpoint.power_kw) or not math.isfinite(setpoint.safe_kw):
        return Rejected(setpoint=setpoint, code="NotANumber", why="a setpoint is a number")
    if setpoint.valid_until <= now:
        return NotSent(setpoint=setpoint, why="the setpoint has run out before it was sent")
    return None


def limit_of(power_kw: float, point: ChargePoint, template: ChargerTemplate) -> Limit:
    """A power as a limit: towards 0 to a tenth of the unit, a pause where it is below the minimum."""
    clipped_kw = clip_kw(power_kw, point)
    if template.two_way is TwoWay.NONE:
        clipped_kw = max(clipped_kw, 0.0)
    # A billionth of slack, so that 11.04 kW stays 16 A in floating point.
    steps = math.trunc(clipped_kw / template.unit_kw * _STEP * (1.0 + 1e-9))
    value = steps / _STEP
    least = template.min_kw
    if value == 0.0 or abs(value) * template.unit_kw < least - 1e-9:
        value = template.zero_limit
        # Under its minimum a charger cannot charge: the value stands for a pause.
        flows = value > 0.0 and (least == 0.0 or value * template.unit_kw >= least - 1e-9)
        return Limit(value=value, power_kw=value * template.unit_kw if flows else 0.0)
    return Limit(value=value, power_kw=value * template.unit_kw)


def period(start_s: int, limit: Limit, template: ChargerTemplate) -> Payload:
    """One period of a schedule."""
    body: Payload = {"startPeriod": start_s, "limit": limit.value}
    if template.send_phases:
        body["numberPhases"] = template.phases
    return body


def seconds_to(end: datetime, start: datetime) -> int:
    """A setpoint's life [s], rounded down: the charger never holds it beyond its end."""
    return math.floor((end - start).total_seconds())


def setpoint_periods(
    setpoint: Setpoint, point: ChargePoint, template: ChargerTemplate, start: datetime
) -> list[Payload]:
    """The setpoint and, from its end on, the safe value."""
    return [
        period(0, limit_of(setpoint.power_kw, point, template), template),
        period(
            seconds_to(setpoint.valid_until, start), limit_of(setpoint.safe_kw, point, template), template
        ),
    ]


def one_way_refusal(
    setpoint: Setpoint, point: ChargePoint, template: ChargerTemplate, version: str
) -> Rejected | None:
    """The refusal of a discharge that this charger has no words for."""
    if setpoint.power_kw >= 0.0 or template.two_way is not TwoWay.NONE:
        return None
    why = f"{point.id} speaks {version}, which cannot ask for discharge, and its template does not say how"
    return Rejected(setpoint=setpoint, code="OneWay", why=why)


def data_transfer(setpoint: Setpoint, point: ChargePoint, template: ChargerTemplate) -> Request:
    """A setpoint in the maker's own words."""
    words = {
        "{watts}": f"{clip_kw(setpoint.power_kw, point) * W_PER_KW:.0f}",
        "{safe_watts}": f"{clip_kw(setpoint.safe_kw, point) * W_PER_KW:.0f}",
        "{until}": utc_text(setpoint.valid_until),
    }
    data = template.data
    for word, value in words.items():
        data = data.replace(word, value)
    payload: Payload = {"vendorId": template.vendor_id, "data": data}
    if template.message_id:
        payload["messageId"] = template.message_id
    return Request(action="DataTransfer", payload=payload)


def answer_problem(setpoint: Setpoint, answer: Answer) -> Outcome | None:
    """The outcome where the charger did not take it; None: it did."""
    if answer.error == TIMED_OUT:
        return TimedOut(setpoint=setpoint, why=answer.description)
    if answer.error:
        return Rejected(setpoint=setpoint, code=answer.error, why=answer.description or answer.error)
    status = answer.payload["status"]
    if status == "Accepted":
        return None
    info = answer.payload.get("statusInfo", {})
    why = info.get("additionalInfo", f"the charger answered {status} to {answer.action}")
    return Rejected(setpoint=setpoint, code=info.get("reasonCode", status), why=why)


def limit_outcome(
    setpoint: Setpoint, point: ChargePoint, template: ChargerTemplate, answer: Answer
) -> Outcome:
    """What an answer means, and how far the limit that was said is from what was asked."""
    if (problem := answer_problem(setpoint, answer)) is not None:
        return problem
    if answer.action == "DataTransfer":
        applied_kw = clip_kw(setpoint.power_kw, point)
    else:
        applied_kw = limit_of(setpoint.power_kw, point, template).power_kw
    # Rounding to the unit's tenth is no news to anybody.
    if abs(applied_kw - setpoint.power_kw) > template.unit_kw / _STEP:
        why = f"{point.id} was told {applied_kw:g} kW, the nearest that it can be told"
        return PartlyApplied(setpoint=setpoint, power_kw=applied_kw, why=why)
    return Applied(setpoint=setpoint)


def floor_limits(
    point: ChargePoint, template: ChargerTemplate, hours: FloorHours, now: datetime, *, delay_s: int = 0
) -> FloorLimits:
    """The profiles below all setpoints.

    Args:
        point: The charger.
        template: The make's quirks.
        hours: When it may charge by itself.
        now: Domain time, UTC.
        delay_s: By how much the charger may shift each change at random; its hours end that much earlier.
    """
    most = period(0, limit_of(point.charge_kw_max, point, template), template)
    stands = limit_of(0.0, point, template)
    length_s = hours.length_s - delay_s
    if hours.length_s >= DAY_S:
        always = period(0, limit_of(hours.power_kw, point, template), template)
        return FloorLimits(most=most, start=schedule_start(now), default=[always], delay_s=0)
    if length_s <= 0:
        return FloorLimits(
            most=most, start=schedule_start(now), default=[period(0, stands, template)], delay_s=0
        )
    return FloorLimits(
        most=most,
        start=hours.begin_before(schedule_start(now)),
        default=[
            period(0, limit_of(hours.power_kw, point, template), template),
            period(length_s, stands, template),
        ],
        delay_s=delay_s,
    )
