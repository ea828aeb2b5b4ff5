"""Homes and buildings, minute by minute: appliances that switch, not a smooth mean.

A home's expected use per minute is the standard profile E1A times its year's use. A part of it is always
there (refrigeration, standby) and a part follows presence (light, screens); the rest comes as events:
somebody boils water, cooks, washes. Events of a class arrive as a Poisson process whose rate makes the
expected energy equal that class's part of the profile, so a thousand homes together show E1A and one
home shows steps of kilowatts. A heat pump runs on and off with the duty that the outdoor temperature
asks for. A public building is open on weekdays.

Everything is drawn per UTC day from (seed, day), so any day can be computed without the days before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np

from controller.domain.time import AMSTERDAM
from controller.domain.units import FloatArray
from sim.physics.profiles import e1a_fraction_of_year

MINUTES = 1440
_TAIL_MINUTES = 180
"""An event may run this far into the next day."""
BASE_PART = 0.22
"""Of a year's use: refrigeration and standby, always there."""
PRESENCE_PART = 0.30
"""Of a year's use: light and screens, following the profile with a level of the day's own."""
ROOM_TEMPERATURE_C = 17.0
"""Below this outdoors a house is heated; sun and people give the rest up to 20 C."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Appliance:
    """A class of events."""

    part: float
    """Of the energy that comes as events."""
    power_kw: float
    minutes: float
    """Mean length."""


APPLIANCES = (
    Appliance(part=0.10, power_kw=2.0, minutes=3.0),  # kettle, coffee
    Appliance(part=0.30, power_kw=1.8, minutes=28.0),  # hob and oven
    Appliance(part=0.14, power_kw=2.1, minutes=22.0),  # dishwasher, heating phase
    Appliance(part=0.16, power_kw=2.0, minutes=26.0),  # washing machine, heating phase
    Appliance(part=0.18, power_kw=1.1, minutes=65.0),  # tumble dryer
    Appliance(part=0.12, power_kw=0.9, minutes=12.0),  # microwave, vacuum cleaner, hair dryer
)


def local_hours(day: date) -> FloatArray:
    """The local hour of each minute of a UTC day as a fraction, shape (1440,); jumps where clocks change."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    hours = np.empty(MINUTES)
    for quarter in range(96):
        local = (start + timedelta(minutes=15 * quarter)).astimezone(AMSTERDAM)
        hours[15 * quarter : 15 * quarter + 15] = local.hour + (local.minute + np.arange(15)) / 60.0
    return hours


def household_kw(yearly_kwh: FloatArray, day: date, seed: int) -> FloatArray:
    """What each home draws per minute of a UTC day, heat pump aside.

    Args:
        yearly_kwh: A year's use, shape (L,); 0 gives a row of zeros.
        day: The UTC day.
        seed: The scenario's.

    Returns:
        Power [kW], shape (L, 1440), not negative.
    """
    homes = len(yearly_kwh)
    profile = _mean_per_minute(day)
    rng = np.random.default_rng((seed, 11, day.toordinal()))
    level = rng.lognormal(-0.08, 0.4, size=(homes, 1))
    power = yearly_kwh[:, None] * (BASE_PART / 8760.0) * np.ones((1, MINUTES))
    fridge = (np.arange(MINUTES)[None, :] + rng.integers(0, 45, size=(homes, 1))) % 45 < 15
    power = power * np.where(fridge, 1.6, 0.7)
    power += yearly_kwh[:, None] * PRESENCE_PART * level * profile[None, :]
    power += _events_kw(yearly_kwh, day, seed)[:, :MINUTES]
    # An evening's dryer runs on past midnight.
    power[:, :_TAIL_MINUTES] += _events_kw(yearly_kwh, day - timedelta(days=1), seed)[:, MINUTES:]
    return power


def _mean_per_minute(day: date) -> FloatArray:
    """The profile's expected power [kW] per kWh of a year's use, shape (1440,)."""
    hours = local_hours(day)
    by_hour = e1a_fraction_of_year(day) * 4.0
    return np.interp(hours, np.arange(-1, 25) + 0.5, np.concatenate((by_hour[-1:], by_hour, by_hour[:1])))


def _events_kw(yearly_kwh: FloatArray, day: date, seed: int) -> FloatArray:
    """The events that begin on a day, shape (L, 1440 + tail)."""
    rng = np.random.default_rng((seed, 12, day.toordinal()))
    profile = _mean_per_minute(day)
    # What base and presence leave of the profile; they never take all of it.
    left = np.maximum(profile * (1.0 - PRESENCE_PART) - BASE_PART / 8760.0, 0.0)
    energy = float(left.sum()) / 60.0
    homes = len(yearly_kwh)
    steps = np.zeros((homes, MINUTES + _TAIL_MINUTES + 1))
    when = np.cumsum(left) / max(float(left.sum()), 1e-12)
    whose = np.cumsum(yearly_kwh)
    total_kwh = float(whose[-1]) if homes else 0.0
    if total_kwh == 0.0:
        return steps[:, :-1]
    for appliance in APPLIANCES:
        expected = total_kwh * energy * appliance.part / (appliance.power_kw * appliance.minutes / 60.0)
        count = int(rng.poisson(expected))
        home = np.minimum(np.searchsorted(whose, rng.random(count) * total_kwh, side="right"), homes - 1)
        start = np.minimum(np.searchsorted(when, rng.random(count), side="right"), MINUTES - 1)
        length = np.clip(np.rint(appliance.minutes * rng.uniform(0.6, 1.4, count)), 1, _TAIL_MINUTES)
        power = appliance.power_kw * rng.uniform(0.75, 1.25, count)
        np.add.at(steps, (home, start), power)
        np.add.at(steps, (home, start + length.astype(np.int64)), -power)
    return np.maximum(np.cumsum(steps, axis=1)[:, :-1], 0.0)


def heat_pump_kw(
    *,
    rated_kw: FloatArray,
    loss_kw_per_k: FloatArray,
    outdoor_c: FloatArray,
    day: date,
    seed: int,
) -> FloatArray:
    """What each heat pump draws per minute of a UTC day.

    The duty is the house's loss of heat over the pump's heat; the coefficient of performance falls with
    the temperature outside (air to water at 35 C flow; Staffell et al., Energy Environ. Sci. 2012, fig. 9:
    6.81 - 0.121 dT + 0.000630 dT^2). Hot water is made at night and in the afternoon.

    Args:
        rated_kw: Electric power while running, shape (L,); 0 for none.
        loss_kw_per_k: Shape (L,).
        outdoor_c: Temperature per minute, shape (1440,).
        day: The UTC day.
        seed: The scenario's.

    Returns:
        Power [kW], shape (L, 1440).
    """
    lift = np.clip(35.0 - outdoor_c, 15.0, 60.0)
    performance = 6.81 - 0.121 * lift + 0.000630 * lift**2
    heat = loss_kw_per_k[:, None] * np.maximum(ROOM_TEMPERATURE_C - outdoor_c, 0.0)[None, :]
    rated = np.maximum(rated_kw, 1e-9)[:, None]
    duty = np.clip(heat / performance[None, :] / rated, 0.0, 1.0)
    # The period and phase belong to the house, so that a pump does not jump at midnight.
    house = np.random.default_rng((seed, 13))
    period = house.uniform(35.0, 75.0, size=(len(rated_kw), 1))
    phase = house.random((len(rated_kw), 1))
    minute = day.toordinal() * MINUTES + np.arange(MINUTES)[None, :]
    running = (minute / period + phase) % 1.0 < duty
    rng = np.random.default_rng((seed, 14, day.toordinal()))
    water_at = np.where(rng.random((len(rated_kw), 1)) < 0.6, 120, 780) + rng.integers(
        0, 180, size=(len(rated_kw), 1)
    )
    clock = np.arange(MINUTES)[None, :]
    water = (clock >= water_at) & (clock < water_at + 45)
    return np.where(running | water, rated_kw[:, None], 0.0)


def building_kw(yearly_kwh: FloatArray, day: date, seed: int) -> FloatArray:
    """What each public building (a school, a library) draws per minute of a UTC day.

    Open from half past seven to five on weekdays with a ramp of an hour at both ends; a third of that
    power's mean stays on always. No holidays are known to it.

    Returns:
        Power [kW], shape (L, 1440).
    """
    hours = local_hours(day)
    weekday = np.array([_local_weekday(day, minute) for minute in range(0, MINUTES, 60)]).repeat(60)
    opening = np.clip(np.minimum(hours - 7.0, 17.5 - hours), 0.0, 1.0) * (weekday < 5)
    shape = 0.3 + 2.2 * opening
    mean_of_year = 0.3 + 2.2 * 9.5 / 24.0 * 5.0 / 7.0
    rng = np.random.default_rng((seed, 15, day.toordinal()))
    wobble = np.repeat(rng.normal(1.0, 0.08, size=(len(yearly_kwh), MINUTES // 5)), 5, axis=1)
    return yearly_kwh[:, None] / 8760.0 * (shape / mean_of_year)[None, :] * np.clip(wobble, 0.6, 1.4)


def _local_weekday(day: date, minute: int) -> int:
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return (start + timedelta(minutes=minute)).astimezone(AMSTERDAM).weekday()
