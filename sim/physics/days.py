"""Everything that the neighbourhood does of itself, minute by minute: loads and sun, a UTC day at a time.

A day is computed once, when its first minute is asked for, and the last few are kept: worlds of one
scenario may share them. Single precision is enough for what a house draws and halves the memory of a
district's day.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from controller.domain.assets import Phases
from controller.domain.units import NOMINAL_VOLTAGE_V, W_PER_KW, FloatArray, IntArray
from sim.physics.homes import building_kw, heat_pump_kw, household_kw
from sim.physics.pv import GRID_MINUTES, Orientation, cloud_flicker, output_kw_per_kw, plane_of_array_w_m2
from sim.scenarios.scenario import Scenario
from sim.scenarios.series import Weather

DAYS_KEPT = 3
"""A warm-up and a local day touch three UTC days."""

type Minutes = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One UTC day. The first axis is the minute."""

    household_kw: Minutes
    """(1440, L) homes and buildings, heat pumps aside."""
    heat_pump_kw: Minutes
    """(1440, L)."""
    pv_kw: Minutes
    """(1440, R) what the sun would give, a magnitude."""


class DaySources:
    """Gives loads and sunshine by day and minute."""

    def __init__(self, scenario: Scenario, weather: Weather) -> None:
        self._scenario = scenario
        self._weather = weather
        self._days: dict[date, Day] = {}
        site = scenario.site
        pairs = [Orientation(tilt_deg=roof.tilt_deg, azimuth_deg=roof.azimuth_deg) for roof in site.pv]
        self._orientations = tuple(dict.fromkeys(pairs))
        self._orientation_of: IntArray = np.array(
            [self._orientations.index(pair) for pair in pairs], dtype=np.int64
        )
        self._rated_kw = np.array([roof.rated_kw for roof in site.pv])
        phases = np.array([3.0 if load.phases is Phases.THREE else 1.0 for load in site.loads])
        fuse_a = np.array([load.fuse_a for load in site.loads])
        # More than its fuse carries a connection does not draw for long; the fuse itself is not modelled.
        self._most_kw = phases * fuse_a * NOMINAL_VOLTAGE_V / W_PER_KW

    def load_phase_kw(self, day: date, minute: int) -> FloatArray:
        """What each load draws on each phase [kW], shape (L, 3)."""
        today = self._of(day)
        truth = self._scenario.loads
        return np.asarray(
            today.household_kw[minute].astype(np.float64)[:, None] * truth.phase_share
            + today.heat_pump_kw[minute].astype(np.float64)[:, None] * truth.heat_pump_share
        )

    def pv_available_kw(self, day: date, minute: int) -> FloatArray:
        """What each roof could feed in [kW], shape (R,), a magnitude."""
        return np.asarray(self._of(day).pv_kw[minute], dtype=np.float64)

    def _of(self, day: date) -> Day:
        if day not in self._days:
            while len(self._days) >= DAYS_KEPT:
                del self._days[min(self._days)]
            self._days[day] = self._compute(day)
        return self._days[day]

    def _compute(self, day: date) -> Day:
        scenario, truth = self._scenario, self._scenario.loads
        ghi, outdoor = self._weather.grid(day, GRID_MINUTES)
        minutes = np.arange(1440)
        outdoor_by_minute = np.interp(minutes, np.arange(len(outdoor)) * GRID_MINUTES, outdoor)
        household = household_kw(truth.household_kwh, day, scenario.seed)
        buildings = truth.building_kwh > 0
        household[buildings] += building_kw(truth.building_kwh[buildings], day, scenario.seed)
        pumps = heat_pump_kw(
            rated_kw=truth.heat_pump_kw,
            loss_kw_per_k=truth.heat_loss_kw_per_k,
            outdoor_c=outdoor_by_minute,
            day=day,
            seed=scenario.seed,
        )
        household = np.minimum(household, np.maximum(self._most_kw[:, None] - pumps, 0.0))
        return Day(
            household_kw=np.ascontiguousarray(household.T, dtype=np.float32),
            heat_pump_kw=np.ascontiguousarray(pumps.T, dtype=np.float32),
            pv_kw=self._pv(day, ghi, outdoor),
        )

    def _pv(self, day: date, ghi: FloatArray, outdoor: FloatArray) -> Minutes:
        if not self._orientations:
            return np.zeros((1440, 0), dtype=np.float32)
        plane = plane_of_array_w_m2(self._orientations, ghi, day, self._scenario.site.location)
        per_kw = output_kw_per_kw(plane, outdoor)
        at, knots = np.arange(1440), np.arange(per_kw.shape[1]) * GRID_MINUTES
        by_minute = np.stack([np.interp(at, knots, row) for row in per_kw])
        by_minute *= cloud_flicker(ghi, day, self._scenario.seed)[None, :]
        power = by_minute[self._orientation_of].T * self._scenario.pv_peak_kw[None, :]
        return np.asarray(np.minimum(power, self._rated_kw[None, :]), dtype=np.float32)
