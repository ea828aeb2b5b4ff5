"""Direct mode's devices: the same readings and the same expiry as over the protocols."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from controller.domain.floor import FloorHours
from controller.domain.ids import AssetId
from controller.domain.setpoints import Applied, NotSent, PartlyApplied, Rejected
from controller.domain.telemetry import (
    CarReading,
    ConnectorReading,
    InverterReading,
    LinkReading,
    MeterReading,
    StorageReading,
)
from controller.domain.time import QUARTER, VirtualDomainClock
from sim.direct import DirectDevices
from sim.scenarios.build import build
from sim.scenarios.load import load_scenario
from sim.scenarios.series import Weather
from sim.world import World
from tests.support.devices import Readings, setpoint

# A Monday at noon: sun on the roofs, some cars at their place and some away.
_NOON = datetime(2024, 1, 15, 11, 0, tzinfo=UTC)
_STEP = timedelta(seconds=10)


class _Street:
    """A street with its devices in direct mode."""

    def __init__(self) -> None:
        scenario = build(load_scenario("street"), seed=1, start=_NOON)
        self.world = World(scenario, weather=Weather(seed=1), start=_NOON, seed=1)
        self.clock = VirtualDomainClock(_NOON)
        self.sink = Readings()
        hours = FloorHours(start_s=11 * 3600, length_s=20 * 60, power_kw=4.14)
        floor = {point.id: hours for point in self.world.site.charge_points}
        self.devices = DirectDevices(self.world, self.sink, self.clock, floor)

    def run(self, span: timedelta) -> None:
        """Lets time pass, a step at a time."""
        until = self.clock.now() + span
        while self.clock.now() < until:
            self.clock.advance_to(self.clock.now() + _STEP)
            self.devices.tick(self.clock.now())

    def charger_with_car(self) -> int:
        """A charger whose car can both charge and discharge and stays for an hour."""
        for charger, vehicle in enumerate(self.world.vehicle_at.tolist()):
            if vehicle < 0 or not 0.3 < self.world.soc_kwh[vehicle] / self._capacity(vehicle) < 0.7:
                continue
            trip = self.world.next_trip(vehicle)
            if trip is None or trip.leaves_utc > self.clock.now() + timedelta(hours=1):
                return charger
        raise AssertionError("no car stands long enough")

    def _capacity(self, vehicle: int) -> float:
        return self.world.site.vehicles[vehicle].capacity_kwh


@pytest.fixture
def street() -> _Street:
    """A street at noon, told once."""
    street = _Street()
    street.devices.tick(_NOON)
    return street


def test_everything_is_introduced_once(street: _Street) -> None:
    """The first tick tells every link, connector, meter and register; the second does not again."""
    site = street.world.site
    assert street.devices.steerable() == {
        asset.id for group in (site.charge_points, site.pv, site.batteries) for asset in group
    }
    connectors = street.sink.of(ConnectorReading)
    assert len(connectors) == len(site.charge_points)
    plugged = {reading.charge_point for reading in connectors if reading.plugged}
    assert plugged == {reading.charge_point for reading in street.sink.of(CarReading)}
    assert {reading.token for reading in connectors if reading.plugged} <= {
        vehicle.token for vehicle in site.vehicles
    }
    assert len(street.sink.of(LinkReading)) == len(street.devices.steerable()) + 1
    assert len(street.sink.of(InverterReading)) == len(site.pv)
    assert len(street.sink.of(StorageReading)) == len(site.batteries)
    metered = {reading.meter for reading in street.sink.of(MeterReading) if reading.import_wh is not None}
    nodes = {node.id for node in site.network.nodes if node.metered}
    loads = {load.id for load in site.loads}
    assert metered == nodes | loads | street.devices.steerable()
    street.run(_STEP)
    assert len(street.sink.of(LinkReading)) == len(street.devices.steerable()) + 1


async def test_charger_falls_to_its_safe_value_and_then_to_its_hours(street: _Street) -> None:
    """A discharge command of a minute ends in the safe value, a quarter of an hour later its own hours count.

    They last until 11:20 UTC.
    """
    charger = street.charger_with_car()
    point = street.world.site.charge_points[charger]
    command = setpoint(point.id, -8.0, now=_NOON, holds_s=60, safe_kw=5.0)
    assert await street.devices.set_power(command) == Applied(setpoint=command)
    street.run(timedelta(seconds=60))
    assert street.world.charger_kw[charger] == pytest.approx(-8.0)
    street.run(_STEP)
    assert street.world.charger_kw[charger] == pytest.approx(5.0)
    street.run(timedelta(minutes=15))
    assert street.world.charger_kw[charger] == pytest.approx(4.14)
    street.run(timedelta(minutes=5))
    assert street.world.charger_kw[charger] == 0.0


async def test_renewed_command_goes_on(street: _Street) -> None:
    """A command that is sent again before its end never lapses."""
    charger = street.charger_with_car()
    point = street.world.site.charge_points[charger]
    for _ in range(3):
        await street.devices.set_power(setpoint(point.id, 6.0, now=street.clock.now(), holds_s=60))
        street.run(timedelta(seconds=50))
        assert street.world.charger_kw[charger] == pytest.approx(6.0)


async def test_battery_comes_to_rest_and_roof_is_freed(street: _Street) -> None:
    """Without renewal a battery stops and a curtailed roof produces again what the sun gives."""
    battery, roof = street.world.site.batteries[0], street.world.site.pv[0]
    await street.devices.set_power(setpoint(battery.id, -20.0, now=_NOON, holds_s=60))
    await street.devices.set_power(setpoint(roof.id, 0.0, now=_NOON, holds_s=60))
    street.run(timedelta(seconds=60))
    assert street.world.battery_kw[0] == pytest.approx(-20.0)
    assert street.world.pv_kw[0] == 0.0
    street.run(_STEP)
    assert street.world.battery_kw[0] == 0.0
    assert street.world.pv_kw[0] == pytest.approx(-street.world.pv_available_kw[0])
    assert street.world.pv_kw[0] < 0.0


async def test_outcomes_say_what_was_taken(street: _Street) -> None:
    """More than a device can is taken in part, an expired or unknown one not at all."""
    point, roof = street.world.site.charge_points[0], street.world.site.pv[0]
    partly = await street.devices.set_power(setpoint(point.id, 30.0, now=_NOON))
    assert isinstance(partly, PartlyApplied)
    assert partly.power_kw == point.charge_kw_max
    assert isinstance(await street.devices.set_power(setpoint(roof.id, -999.0, now=_NOON)), Applied)
    assert isinstance(await street.devices.set_power(setpoint(point.id, 1.0, now=_NOON, holds_s=0)), NotSent)
    assert isinstance(await street.devices.set_power(setpoint("nobody", 1.0, now=_NOON)), Rejected)


def test_registers_are_told_at_exactly_the_quarter_hour(street: _Street) -> None:
    """All registers carry the boundary, and add up to what the world counted there."""
    street.run(QUARTER)
    boundary = _NOON + QUARTER
    told = {
        reading.meter: reading
        for reading in street.sink.of(MeterReading)
        if reading.at == boundary and reading.import_wh is not None
    }
    assert set(told) == {
        reading.meter for reading in street.sink.of(MeterReading) if reading.import_wh is not None
    }
    roof = street.world.site.pv[0]
    assert told[roof.id].export_wh == int(street.world.pv_export_wh[0]) > 0
    assert told[roof.id].import_wh == 0


def test_cars_come_and_go_with_their_tokens(street: _Street) -> None:
    """Over some hours connectors open and close, and a car's command ends with its stay."""
    street.sink.all.clear()
    street.run(timedelta(hours=4))
    events = street.sink.of(ConnectorReading)
    assert any(event.plugged and event.token for event in events)
    assert any(not event.plugged for event in events)
    at = {point.id: i for i, point in enumerate(street.world.site.charge_points)}
    last: dict[AssetId, bool] = {event.charge_point: event.plugged for event in events}
    for charge_point, plugged in last.items():
        assert bool(street.world.vehicle_at[at[charge_point]] >= 0) is plugged


def test_two_runs_are_identical() -> None:
    """The same scenario gives the same readings, one by one."""
    one, two = _Street(), _Street()
    for street in (one, two):
        street.run(timedelta(minutes=20))
    assert one.sink.all == two.sink.all
