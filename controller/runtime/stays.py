"""How long each car stays, against what its driver said: its own past tells of early departures.

A stay begins when a plan first sees a car plugged in and ends when one no longer does: a plan is made at once
when a car comes or goes. What its driver said last counts as said. Only a car's own stays tell of it, and
only once there are enough of them; the oldest are forgotten. They are kept in the store, one small value a
car, so that a restart loses nothing; a car that was there before anyone looked is not counted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np

from controller.domain.ids import AssetId
from controller.domain.time import AMSTERDAM
from controller.domain.units import FloatArray
from controller.forecast.departures import PastStays, leave_times

ENOUGH = 20
"""So many stays of a car, alike and as long, have to be known before they are believed: chances of a
twentieth."""
KEPT = 100
"""So many stays of a car are remembered."""
SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CarStays:
    """One car's stays."""

    since: datetime | None = None
    """When the one under way began; None: none is."""
    said: datetime | None = None
    """When its driver means to leave; None where they said nothing."""
    stated_h: tuple[float, ...] = ()
    """Of those that are over what was said [h], NaN where nothing was, shape (n,)."""
    stayed_h: tuple[float, ...] = ()
    """How long they were [h], shape (n,)."""
    clock_h: tuple[float, ...] = ()
    """At which hour of the day they began [h], Amsterdam's clock, shape (n,)."""

    def ended(self, at: datetime) -> CarStays:
        """With the one under way among those that are over."""
        if self.since is None:
            return self
        stated = np.nan if self.said is None else _hours(self.said - self.since)
        return CarStays(
            stated_h=(*self.stated_h, stated)[-KEPT:],
            stayed_h=(*self.stayed_h, _hours(at - self.since))[-KEPT:],
            clock_h=(*self.clock_h, _clock_h(self.since))[-KEPT:],
        )

    def leaves_h(self, now: datetime) -> FloatArray | None:
        """In how many hours it may leave, as equally likely values; None where too little is known.

        Returns:
            Hours from now, ascending, above 0.
        """
        if self.since is None:
            return None
        past = PastStays(
            stated_h=np.array(self.stated_h),
            stayed_h=np.array(self.stayed_h),
            clock_h=np.array(self.clock_h),
        )
        stayed_h = _hours(now - self.since)
        stays = leave_times(
            past,
            stated_h=np.nan if self.said is None else _hours(self.said - self.since),
            stayed_h=stayed_h,
            clock_h=_clock_h(self.since),
            made_up=0,
        )
        return None if stays.size < ENOUGH else stays - stayed_h

    def text(self) -> str:
        """As kept in the store."""
        return json.dumps(
            {
                "since": None if self.since is None else self.since.isoformat(),
                "said": None if self.said is None else self.said.isoformat(),
                "stays": [
                    [None if np.isnan(stated) else round(stated, 3), round(stayed, 3), round(clock, 3)]
                    for stated, stayed, clock in zip(self.stated_h, self.stayed_h, self.clock_h, strict=True)
                ],
            }
        )


def read_stays(text: str) -> CarStays:
    """What `CarStays.text` wrote."""
    kept = json.loads(text)
    rows = [(np.nan if stated is None else stated, stayed, clock) for stated, stayed, clock in kept["stays"]]
    return CarStays(
        since=None if kept["since"] is None else datetime.fromisoformat(kept["since"]),
        said=None if kept["said"] is None else datetime.fromisoformat(kept["said"]),
        stated_h=tuple(row[0] for row in rows),
        stayed_h=tuple(row[1] for row in rows),
        clock_h=tuple(row[2] for row in rows),
    )


@dataclass
class StayBook:
    """The stays of all cars; `cars` is replaced as a whole, for a planning thread reads it."""

    cars: Mapping[AssetId, CarStays] = field(default_factory=dict)
    unsaved: set[AssetId] = field(default_factory=set)
    """Whose stays have changed since they were last written down."""
    _standing: frozenset[AssetId] | None = None
    """Who was plugged in at the last look; None before the first."""

    def look(self, now: datetime, standing: Mapping[AssetId, datetime | None]) -> None:
        """Takes in which cars are plugged in, each with when its driver means to leave (None: not said)."""
        cars = dict(self.cars)
        for vehicle, said in standing.items():
            own = cars.get(vehicle, CarStays())
            if own.since is None and self._standing is not None and vehicle not in self._standing:
                cars[vehicle] = replace(own, since=now, said=said)
            elif own.since is not None and said is not None and said != own.said:
                cars[vehicle] = replace(own, said=said)
        for vehicle, own in self.cars.items():
            if own.since is not None and vehicle not in standing:
                # One that left while nobody looked stayed nobody knows how long.
                ended = own.ended(now) if self._standing is not None else replace(own, since=None, said=None)
                cars[vehicle] = ended
        self.unsaved |= {vehicle for vehicle, own in cars.items() if own is not self.cars.get(vehicle)}
        self.cars = cars
        self._standing = frozenset(standing)


def _hours(span: timedelta) -> float:
    return span.total_seconds() / SECONDS_PER_HOUR


def _clock_h(at: datetime) -> float:
    local = at.astimezone(AMSTERDAM)
    return local.hour + local.minute / 60.0
