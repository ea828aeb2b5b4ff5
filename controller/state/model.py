"""The state and how a reading changes it.

The state keeps the newest reading of each kind for each device and nothing else: what is not there is
unknown, never 0. It is a value: `apply_all` gives a new one, so a snapshot can be handed to the solver
or to the web page without a copy or a lock. A batch costs one copy of each kind that it touches.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from controller.domain.telemetry import (
    CarReading,
    ConnectorReading,
    InverterReading,
    LinkReading,
    MeterReading,
    ObedienceReading,
    Reading,
    StorageReading,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NeighbourhoodState:
    """The newest reading of everything, by the id of its device."""

    meters: Mapping[str, MeterReading] = field(default_factory=dict)
    registers: Mapping[str, MeterReading] = field(default_factory=dict)
    connectors: Mapping[str, ConnectorReading] = field(default_factory=dict)
    cars: Mapping[str, CarReading] = field(default_factory=dict)
    """By charge point; dropped when the car leaves."""
    storages: Mapping[str, StorageReading] = field(default_factory=dict)
    inverters: Mapping[str, InverterReading] = field(default_factory=dict)
    links: Mapping[str, LinkReading] = field(default_factory=dict)
    obedience: Mapping[str, ObedienceReading] = field(default_factory=dict)
    """By charge point, of those that ever ignored a profile."""

    def connected(self, device: str) -> bool:
        """Whether a device's link is up; one that never came up is not."""
        link = self.links.get(device)
        return link is not None and link.up

    def ignores(self, charge_point: str) -> bool:
        """Whether a charger does not follow its setpoints now."""
        found = self.obedience.get(charge_point)
        return found is not None and found.ignores

    def power_kw(self, device: str, now: datetime, stale_s: float) -> float | None:
        """The measured power of a device or node [kW]; None where unknown or older than `stale_s`."""
        reading = self.meters.get(device)
        if reading is None or reading.power_kw is None or is_stale(reading.at, now, stale_s):
            return None
        return reading.power_kw


AHEAD_MAX = timedelta(minutes=5)
"""A reading further ahead of our clock than this is a wrong clock: it would count as fresh for ever."""


def is_stale(at: datetime, now: datetime, stale_s: float) -> bool:
    """Whether something measured at `at` is older than `stale_s` [s], or as far ahead: a wrong clock."""
    return abs(now - at) > timedelta(seconds=stale_s)


def apply_all(state: NeighbourhoodState, readings: Iterable[Reading], now: datetime) -> NeighbourhoodState:
    """The state after readings in the order in which they came.

    A reading older than the one that stands is dropped; but one that stands and is from well after `now` was
    taken before our clock was set back, and nothing would come after it for as long. A meter reading that
    carries only registers says nothing of the power now, so it is kept apart. What a transaction costs is not
    looked at.
    """
    touched: dict[str, dict[str, Reading]] = {}
    newest = now + AHEAD_MAX

    def book(name: str) -> dict[str, Reading]:
        if name not in touched:
            touched[name] = dict(getattr(state, name))
        return touched[name]

    for reading in readings:
        match reading:
            case MeterReading():
                register_only = reading.power_kw is None and not reading.why_unknown
                _put(book("registers" if register_only else "meters"), reading.meter, reading, newest)
            case ConnectorReading():
                if _put(book("connectors"), reading.charge_point, reading, newest) and not reading.plugged:
                    book("cars").pop(reading.charge_point, None)
            case CarReading():
                _put_car(book("cars"), reading, newest)
            case StorageReading():
                _put(book("storages"), reading.asset, reading, newest)
            case InverterReading():
                _put(book("inverters"), reading.asset, reading, newest)
            case LinkReading():
                _put(book("links"), reading.asset, reading, newest)
            case ObedienceReading():
                _put(book("obedience"), reading.charge_point, reading, newest)
    return replace(state, **touched) if touched else state  # type: ignore[arg-type]  # each book holds its own kind


def _put(book: dict[str, Reading], key: str, reading: Reading, newest: datetime) -> bool:
    standing = book.get(key)
    if standing is not None and reading.at < standing.at <= newest:
        return False
    book[key] = reading
    return True


def _put_car(book: dict[str, Reading], reading: CarReading, newest: datetime) -> None:
    standing = book.get(reading.charge_point)
    if isinstance(standing, CarReading):
        if reading.at < standing.at <= newest:
            return
        told = standing if reading.soc_fraction is None else reading
        # Built by hand: `replace` takes twice as long, for each value of each charger.
        reading = CarReading(
            charge_point=reading.charge_point,
            at=reading.at,
            why_unknown=reading.why_unknown,
            soc_fraction=told.soc_fraction,
            soc_at=told.soc_told_at,
            capacity_kwh=standing.capacity_kwh if reading.capacity_kwh is None else reading.capacity_kwh,
            charge_kw_max=standing.charge_kw_max if reading.charge_kw_max is None else reading.charge_kw_max,
            discharge_kw_max=(
                standing.discharge_kw_max if reading.discharge_kw_max is None else reading.discharge_kw_max
            ),
        )
    book[reading.charge_point] = reading
