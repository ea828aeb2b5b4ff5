"""What one device may do, must do and should do now, and who bound each of these.

The layers, in the order in which they win: a person's stop, the device's own limits (the car's battery
and its owner's opt-in among them), then, for all devices together, the network (`safety`), then the
departure promise, then the plan or a wish. This module makes the layers of a single device: pure
functions from what is known of it to a `Candidate`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from controller.domain.assets import Battery, ChargePoint, Phases, PvRoof, Vehicle, Wishes, WishKind
from controller.domain.ids import AssetId, NodeId
from controller.domain.reasons import Reason, ReasonCode
from controller.domain.telemetry import CarReading, InverterReading, StorageReading
from controller.domain.time import AMSTERDAM

TAPER_FROM_FRACTION = 0.85
"""Above this state of charge cars take less and less; half the power is reckoned with on average."""
TAPER_MEAN_FRACTION = 0.5
DISCHARGE_RESERVE_KWH = 0.5
"""Discharge ends this far above the minimum, or what could have left since the reading, if that is more."""
URGENT_LAXITY_H = 0.25
"""With less slack than this a car charges at full power, whatever the plan says."""
TRACKING_MIN_H = 1 / 60
"""Shortest time over which a missing energy is spread: a smaller one would make powers jump."""
TRACKING_DEADBAND_KWH = 0.03
"""A plan's energy counts as reached within this."""
NEVER_H = 1e6
"""The laxity of a car that has no departure."""
CHARGE_NOW_URGENCY = -1.0
"""Of a car whose driver pressed 'charge now': that of one with an hour of slack, at least."""
GUEST_URGENCY = -2.0
"""Of a car that nobody knows: that of one with two hours of slack."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanTarget:
    """What the plan wants of one store in the step that runs now."""

    energy_end_kwh: float
    """Stored energy at the end of the step."""
    power_kw: float
    """Mean AC power over the step."""
    ends: datetime
    fallback: bool = False
    """Whether the plan was made by rules."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One steerable device in one cycle."""

    asset: AssetId
    node: NodeId
    low_kw: float
    """Lowest power it may take (negative: discharge, production)."""
    high_kw: float
    """Highest power it may take."""
    must_kw: float
    """What the departure promise asks for at least; inside the window."""
    want_kw: float
    """What it should do if the network leaves it open; inside the window."""
    min_kw: float
    """Smallest power other than 0, a magnitude."""
    urgency: float
    """The higher, the later it is throttled."""
    reason: Reason
    """Who bound `want_kw`."""
    safe_kw: float
    """What the device does when we fall silent."""
    phases: Phases = Phases.THREE
    production: bool = False
    """A roof: its power is free unless it is turned down."""
    drawn_kw: float = float("-inf")
    """What it draws now. What it shall feed in or draw beyond that makes no room before it does."""
    may_kw: tuple[float, float] | None = None
    """The least and the most that it may go on with, whatever it is told; None: it does as it is told."""

    def counts_kw(self) -> tuple[float, float]:
        """For how much it counts at most against floors, and at least against ceilings [kW]."""
        if self.may_kw is not None:
            return self.may_kw
        return max(self.drawn_kw, 0.0), min(self.drawn_kw, 0.0)

    def wanting(self, want_kw: float, reason: Reason) -> Candidate:
        """The same with another wish, kept inside the window."""
        return replace(self, want_kw=min(max(want_kw, self.low_kw), self.high_kw), reason=reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class CarContext:
    """All that is known of the car on one charger."""

    point: ChargePoint
    vehicle: Vehicle | None
    """None: a guest, or nobody has identified themselves."""
    reading: CarReading | None
    energy_kwh: float | None
    """None: unknown."""
    wishes: Wishes | None
    departure_at: datetime | None
    departure_kwh: float
    """0 where nothing is asked."""
    target: PlanTarget | None
    discharge_stopped: ReasonCode | None
    """Why nothing is discharged here, where somebody stopped it."""
    drawn_kw: float = 0.0
    """What the charger draws now."""
    safe_kw: float = 0.0
    """What its own hours allow once a command of now has run out."""


def hours_to_charge(
    energy_kwh: float, target_kwh: float, capacity_kwh: float, power_kw: float, efficiency: float
) -> float:
    """How long [h] charging from `energy_kwh` to `target_kwh` takes at full power, taper included."""
    if target_kwh <= energy_kwh:
        return 0.0
    if power_kw <= 0.0:
        return NEVER_H
    knee_kwh = TAPER_FROM_FRACTION * capacity_kwh
    below = max(0.0, min(target_kwh, knee_kwh) - energy_kwh)
    above = max(0.0, target_kwh - max(energy_kwh, knee_kwh))
    return (below + above / TAPER_MEAN_FRACTION) / (power_kw * efficiency)


def tracking_power_kw(
    energy_kwh: float,
    target: PlanTarget,
    now: datetime,
    efficiency_charge: float,
    efficiency_discharge: float,
) -> float:
    """The AC power [kW] that brings a store to the plan's energy at the end of the step."""
    missing_kwh = target.energy_end_kwh - energy_kwh
    if abs(missing_kwh) < TRACKING_DEADBAND_KWH:
        return 0.0
    left_h = max((target.ends - now).total_seconds() / 3600.0, TRACKING_MIN_H)
    if missing_kwh > 0.0:
        # A plan that wants discharge or rest now is not answered by charging to make up for the past.
        return missing_kwh / efficiency_charge / left_h if target.power_kw >= 0.0 else 0.0
    # Nor is rest answered by discharge: the plan may not want it of this car at any price.
    return missing_kwh * efficiency_discharge / left_h if target.power_kw < 0.0 else 0.0


def car_candidate(context: CarContext, now: datetime) -> Candidate:
    """The layers of a charger with a car on it."""
    point, car_high_kw = context.point, _car_high_kw(context)
    low_kw = _car_low_kw(context, now)
    min_kw = point.charge_kw_min if point.phases is Phases.THREE else 0.0
    high_kw = car_high_kw if car_high_kw >= min_kw else 0.0
    mode = context.wishes.mode if context.wishes is not None else WishKind.NONE
    safe_kw, must_kw = min(context.safe_kw, car_high_kw), 0.0
    laxity_h = NEVER_H if mode is WishKind.PAUSE else _laxity_h(context, high_kw, now)
    urgency = -laxity_h
    if mode is WishKind.PAUSE:
        # Also when we fall silent: what a person stopped does not begin again by itself.
        low_kw = high_kw = want_kw = safe_kw = 0.0
        reason = Reason(code=ReasonCode.PERSON_STOP, subject=point.id)
    elif mode is WishKind.CHARGE_NOW:
        want_kw, urgency = high_kw, max(urgency, CHARGE_NOW_URGENCY)
        reason = Reason(code=ReasonCode.CHARGE_NOW, subject=point.id)
    elif laxity_h < URGENT_LAXITY_H:
        want_kw = must_kw = high_kw
        reason = Reason(
            code=ReasonCode.DEPARTURE,
            subject=point.id,
            value=context.departure_kwh,
            unit="kWh",
            until=""
            if context.departure_at is None
            else f"{context.departure_at.astimezone(AMSTERDAM):%H:%M}",
        )
    elif context.vehicle is None:
        want_kw, urgency = high_kw, GUEST_URGENCY
        reason = Reason(code=ReasonCode.CHARGE_NOW, subject=point.id)
    else:
        want_kw, reason = _planned(context, context.vehicle, high_kw, min_kw, now)
    return Candidate(
        asset=point.id,
        node=point.node,
        low_kw=low_kw,
        high_kw=high_kw,
        must_kw=must_kw,
        want_kw=min(max(want_kw, low_kw), high_kw),
        min_kw=min_kw,
        urgency=urgency,
        reason=reason,
        safe_kw=safe_kw,
        phases=point.phases,
        drawn_kw=context.drawn_kw,
    )


def _car_high_kw(context: CarContext) -> float:
    """The most that charger and car can charge with."""
    high_kw, reading = context.point.charge_kw_max, context.reading
    if context.vehicle is not None:
        high_kw = min(high_kw, context.vehicle.charge_kw_max)
    if reading is not None and reading.charge_kw_max is not None:
        high_kw = min(high_kw, reading.charge_kw_max)
    return high_kw


def _car_low_kw(context: CarContext, now: datetime) -> float:
    """The most that may be discharged, negative; 0 where anything speaks against it."""
    vehicle, reading = context.vehicle, context.reading
    if vehicle is None or not vehicle.discharge_opt_in or context.energy_kwh is None:
        return 0.0
    if context.discharge_stopped is not None or reading is None or reading.discharge_kw_max is None:
        return 0.0
    if context.wishes is not None and context.wishes.never_discharge:
        return 0.0
    most_kw = min(context.point.discharge_kw_max, vehicle.discharge_kw_max, reading.discharge_kw_max)
    reserve_kwh = _reserve_kwh(most_kw, vehicle.efficiency_discharge, now - reading.soc_told_at)
    return -most_kw if context.energy_kwh > vehicle.min_kwh + reserve_kwh else 0.0


def _reserve_kwh(most_kw: float, efficiency: float, age: timedelta) -> float:
    """How far above the minimum discharge ends: what may have left a store since it was read."""
    return max(DISCHARGE_RESERVE_KWH, most_kw / efficiency * age.total_seconds() / 3600.0)


def _laxity_h(context: CarContext, high_kw: float, now: datetime) -> float:
    """The slack [h] until the car must charge at full power to leave in time; below 0: too late."""
    if context.departure_at is None or context.departure_kwh <= 0.0 or context.vehicle is None:
        return NEVER_H
    left_h = (context.departure_at - now).total_seconds() / 3600.0
    vehicle = context.vehicle
    # An unknown energy is reckoned as an empty battery: the promise is kept, nothing is made up.
    energy_kwh = 0.0 if context.energy_kwh is None else context.energy_kwh
    power_kw = min(context.point.charge_kw_max, vehicle.charge_kw_max) if high_kw <= 0.0 else high_kw
    if energy_kwh >= context.departure_kwh:
        return NEVER_H
    needed_h = hours_to_charge(
        energy_kwh, context.departure_kwh, vehicle.capacity_kwh, power_kw, vehicle.efficiency_charge
    )
    return left_h - needed_h


def _planned(
    context: CarContext, vehicle: Vehicle, high_kw: float, min_kw: float, now: datetime
) -> tuple[float, Reason]:
    """What the plan wants of a car [kW], not yet kept inside its window, and who says so."""
    point, target = context.point.id, context.target
    if context.energy_kwh is None:
        # The plan reckons it as empty, one-way, and buys in its hours; without a plan it charges.
        planned_kw = high_kw if target is None else max(target.power_kw, 0.0)
        return whole_power_kw(planned_kw, min_kw), Reason(code=ReasonCode.NO_DATA, subject=vehicle.id)
    if target is None:
        short = context.energy_kwh < max(context.departure_kwh, vehicle.min_kwh)
        return high_kw if short else 0.0, Reason(code=ReasonCode.FALLBACK, subject=point)
    code = ReasonCode.FALLBACK if target.fallback else ReasonCode.PLAN
    power_kw = tracking_power_kw(
        context.energy_kwh, target, now, vehicle.efficiency_charge, vehicle.efficiency_discharge
    )
    power_kw = whole_power_kw(power_kw, min_kw)
    if power_kw > high_kw >= 0.0 and high_kw < min_kw:
        code = ReasonCode.FULL
    return power_kw, Reason(code=code, subject=point, value=target.energy_end_kwh, unit="kWh")


def whole_power_kw(power_kw: float, min_kw: float) -> float:
    """A power the device can take: 0, or at least its minimum.

    What is too little for the whole rest of the step is done at the minimum for a part of it: the plan's
    energy is what counts, and tracking stops when it is reached.
    """
    if power_kw == 0.0 or abs(power_kw) >= min_kw:
        return power_kw
    return min_kw if power_kw > 0.0 else -min_kw


def battery_candidate(
    battery: Battery,
    reading: StorageReading | None,
    target: PlanTarget | None,
    discharge_stopped: ReasonCode | None,
    now: datetime,
    drawn_kw: float = 0.0,
) -> Candidate:
    """The layers of a stationary battery; `reading` is None where it is unknown or stale."""
    rest = Candidate(
        asset=battery.id,
        node=battery.node,
        low_kw=0.0,
        high_kw=0.0,
        must_kw=0.0,
        want_kw=0.0,
        min_kw=0.0,
        urgency=-NEVER_H * 2,
        reason=Reason(code=ReasonCode.NO_DATA, subject=battery.id),
        safe_kw=0.0,
        phases=battery.phases,
        drawn_kw=drawn_kw,
    )
    if reading is None or reading.soc_fraction is None:
        return rest
    energy_kwh = reading.soc_fraction * battery.capacity_kwh
    reserve_kwh = _reserve_kwh(battery.discharge_kw_max, battery.efficiency_discharge, now - reading.at)
    can_discharge = energy_kwh > battery.min_kwh + reserve_kwh and discharge_stopped is None
    window = replace(
        rest,
        low_kw=-battery.discharge_kw_max if can_discharge else 0.0,
        high_kw=battery.charge_kw_max if energy_kwh < battery.capacity_kwh else 0.0,
    )
    if target is None:
        return window.wanting(0.0, Reason(code=ReasonCode.FALLBACK, subject=battery.id))
    power_kw = tracking_power_kw(
        energy_kwh, target, now, battery.efficiency_charge, battery.efficiency_discharge
    )
    code = ReasonCode.FALLBACK if target.fallback else ReasonCode.PLAN
    return window.wanting(
        power_kw, Reason(code=code, subject=battery.id, value=target.energy_end_kwh, unit="kWh")
    )


def roof_candidate(
    roof: PvRoof, reading: InverterReading | None, planned_share: float, drawn_kw: float = 0.0
) -> Candidate:
    """The layers of a roof: free to produce, unless the plan turns it down to a share of its rating.

    While a limit of ours is in force the inverter shows no more than the limit, so what it could make
    is unknown and counts as its rating.
    """
    known = reading is not None and reading.power_kw is not None and not reading.limited
    could_kw = (
        reading.power_kw if known and reading is not None and reading.power_kw is not None else -roof.rated_kw
    )
    candidate = Candidate(
        asset=roof.id,
        node=roof.node,
        low_kw=min(could_kw, 0.0),
        high_kw=0.0 if roof.curtailable else min(could_kw, 0.0),
        must_kw=0.0,
        want_kw=min(could_kw, 0.0),
        min_kw=0.0,
        urgency=0.0,
        reason=Reason(code=ReasonCode.PLAN, subject=roof.id),
        safe_kw=-roof.rated_kw,
        phases=roof.phases,
        production=True,
        drawn_kw=drawn_kw,
    )
    if planned_share >= 1.0:
        return candidate
    return candidate.wanting(-roof.rated_kw * planned_share, candidate.reason)
