"""The simulated devices joined to a controller without sockets: the same readings, commands and expiry.

A controller in direct mode moves a virtual clock, calls `tick`, and sends its setpoints to the same
object. What a charger does when its command runs out is what its charging profiles say over OCPP: the
safe value for a quarter of an hour, then its hours of the night; a roof is free again, a battery stands
still, as their revert timers make them. Readings come at the same intervals as over the protocols, and at
each quarter-hour's end all registers at exactly the boundary.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np

from controller.domain.floor import DAY_S, NOTHING, Floor
from controller.domain.ids import AssetId
from controller.domain.ports import TelemetrySink
from controller.domain.setpoints import (
    SAFE_TAIL,
    Applied,
    NotSent,
    Outcome,
    PartlyApplied,
    Rejected,
    Setpoint,
)
from controller.domain.telemetry import (
    CarReading,
    ConnectorReading,
    InverterReading,
    LinkReading,
    MeterReading,
    StorageReading,
)
from controller.domain.time import DomainClock
from controller.domain.units import BoolArray, FloatArray
from sim.endpoints.meters import MeterBank
from sim.endpoints.rota import Rota
from sim.world import PluggedIn, World

IDLE_INTERVAL_S = 300.0
"""Between samples of a charger without a car."""
_MOVING_KW = 0.05
"""Below it a car is taken to be standing still."""


class DirectDevices:
    """All devices of a simulated neighbourhood, as one `SetsPower`."""

    def __init__(
        self,
        world: World,
        sink: TelemetrySink,
        clock: DomainClock,
        floor: Floor | None = None,
        ignoring: frozenset[AssetId] = frozenset(),
    ) -> None:
        """Joins the devices of a world to a sink.

        Args:
            world: The neighbourhood; `tick` advances it.
            sink: Takes the readings.
            clock: The controller's clock, by which a setpoint's remaining time is judged.
            floor: The hours that chargers have by themselves; without it they stand still unheard.
            ignoring: Chargers that take every setpoint and charge at full power all the same.
        """
        self._world, self._sink, self._clock = world, sink, clock
        site = world.site
        intervals = world.scenario.publish
        self._start = world.now
        self._meters = MeterBank(world, intervals)
        self._chargers = {point.id: i for i, point in enumerate(site.charge_points)}
        self._roofs = {roof.id: i for i, roof in enumerate(site.pv)}
        self._batteries = {battery.id: i for i, battery in enumerate(site.batteries)}
        self._steerable = frozenset({*self._chargers, *self._roofs, *self._batteries})
        count = len(site.charge_points)
        self._charger_rota = Rota(np.full(count, intervals.charger_s))
        self._idle_rota = Rota(np.full(count, IDLE_INTERVAL_S))
        self._modbus_rota = Rota(np.full(len(site.pv) + len(site.batteries), intervals.modbus_s))
        # Commands, in seconds since the start; -inf: none.
        self._until_s: FloatArray = np.full(count, -np.inf)
        self._power_kw: FloatArray = np.zeros(count)
        self._safe_kw: FloatArray = np.zeros(count)
        self._for_transaction: BoolArray = np.zeros(count, dtype=np.bool_)
        hours = [(floor or {}).get(point.id, NOTHING) for point in site.charge_points]
        self._hours_start_s = np.array([each.start_s for each in hours])
        self._hours_length_s = np.array([each.length_s for each in hours])
        self._hours_kw = np.array([each.power_kw for each in hours])
        self._ignoring = np.array([point.id in ignoring for point in site.charge_points], dtype=np.bool_)
        self._full_kw = np.array([point.charge_kw_max for point in site.charge_points])
        self._roof_until_s: FloatArray = np.full(len(site.pv), np.inf)
        self._limited: BoolArray = np.zeros(len(site.pv), dtype=np.bool_)
        self._battery_until_s: FloatArray = np.full(len(site.batteries), np.inf)
        self._moving: BoolArray = np.zeros(count, dtype=np.bool_)
        self._introduced = False
        self._told = True
        """Whether a setpoint came since the devices were last looked at."""

    # --- SetsPower ---

    def steerable(self) -> frozenset[AssetId]:
        """Every charger, roof and battery: nothing can be lost here."""
        return self._steerable

    async def set_power(self, setpoint: Setpoint) -> Outcome:
        """Takes a setpoint at once; what the device cannot do is taken as far as it can."""
        until_s = (setpoint.valid_until - self._start).total_seconds()
        self._told = True
        if setpoint.valid_until <= self._clock.now():
            return NotSent(setpoint=setpoint, why="the command ran out before it was sent")
        site = self._world.site
        if (i := self._chargers.get(setpoint.asset)) is not None:
            point = site.charge_points[i]
            power_kw = _clip(setpoint.power_kw, point.discharge_kw_max, point.charge_kw_max)
            self._power_kw[i] = power_kw
            self._safe_kw[i] = _clip(setpoint.safe_kw, point.discharge_kw_max, point.charge_kw_max)
            self._until_s[i] = until_s
            self._for_transaction[i] = self._world.vehicle_at[i] >= 0
            self._world.request_charger_kw(i, self._full_kw[i] if self._ignoring[i] else power_kw)
        elif (i := self._roofs.get(setpoint.asset)) is not None:
            power_kw = _clip(setpoint.power_kw, site.pv[i].rated_kw, 0.0)
            self._roof_until_s[i] = until_s
            self._limited[i] = power_kw > -site.pv[i].rated_kw
            self._world.limit_pv_kw(i, -power_kw)
            if setpoint.power_kw < power_kw:
                # Asking for more than the rating is asking for all of it.
                return Applied(setpoint=setpoint)
        elif (i := self._batteries.get(setpoint.asset)) is not None:
            battery = site.batteries[i]
            power_kw = _clip(setpoint.power_kw, battery.discharge_kw_max, battery.charge_kw_max)
            self._battery_until_s[i] = until_s
            self._world.request_battery_kw(i, power_kw)
        else:
            return Rejected(setpoint=setpoint, code="unknown", why=f"there is no device {setpoint.asset}")
        if power_kw != setpoint.power_kw:
            return PartlyApplied(setpoint=setpoint, power_kw=power_kw, why="the device can do no more")
        return Applied(setpoint=setpoint)

    # --- time ---

    def tick(self, now: datetime) -> None:
        """Lets time pass to `now`, a step of the world at a time, and tells what is due.

        Commands end, and readings are made, at the world's steps: call it at least at every quarter-hour's
        end, and best at every step.
        """
        if not self._introduced:
            self._introduce()
        if self._told:
            self._told = False
            self._expire()
        for event in self._world.advance(now):
            if isinstance(event, PluggedIn):
                self._tell_plugged(event.charger, event.at)
            else:
                if self._for_transaction[event.charger]:
                    self._until_s[event.charger] = -np.inf
                cp = self._world.site.charge_points[event.charger].id
                self._sink(ConnectorReading(charge_point=cp, at=event.at, plugged=False))
        # A car that has just come must not wait for the next tick to be told what holds.
        self._expire()
        self._tell_chargers()
        self._tell_modbus()
        for number in self._meters.due():
            self._sink(self._meters.live_reading(number))
        if self._meters.quarter_ended():
            self._tell_registers()

    def _elapsed_s(self) -> float:
        return (self._world.now - self._start).total_seconds()

    def _expire(self) -> None:
        """What each device does at this moment, by its command and how long that held."""
        world, elapsed_s = self._world, self._elapsed_s()
        plugged = world.vehicle_at >= 0
        wanted = np.where(elapsed_s < self._until_s, self._power_kw, self._safe_kw)
        ended = plugged & (elapsed_s >= self._until_s + SAFE_TAIL.total_seconds())
        if ended.any():
            wanted = np.where(ended, self._floor_kw(), wanted)
        wanted = np.where(self._ignoring, self._full_kw, wanted)
        world.request_chargers_kw(np.where(plugged, wanted, 0.0))
        for i in np.flatnonzero(self._roof_until_s <= elapsed_s):
            world.limit_pv_kw(int(i), None)
            self._limited[i] = False
            self._roof_until_s[i] = np.inf
        for i in np.flatnonzero(self._battery_until_s <= elapsed_s):
            world.request_battery_kw(int(i), 0.0)
            self._battery_until_s[i] = np.inf

    def _floor_kw(self) -> FloatArray:
        """What each charger does on its own at this moment, shape (C,)."""
        now = self._world.now
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        since_s = ((now - midnight).total_seconds() - self._hours_start_s) % DAY_S
        return np.where(since_s < self._hours_length_s, self._hours_kw, 0.0)

    # --- readings ---

    def _introduce(self) -> None:
        """Everything is connected and told once."""
        self._introduced = True
        at = self._world.now
        for asset in (*self._chargers, *self._roofs, *self._batteries, AssetId("mqtt")):
            self._sink(LinkReading(asset=asset, at=at, up=True))
        for charger, vehicle in enumerate(self._world.vehicle_at):
            if vehicle >= 0:
                self._tell_plugged(charger, at)
            else:
                cp = self._world.site.charge_points[charger].id
                self._sink(ConnectorReading(charge_point=cp, at=at, plugged=False))
                self._tell_charger(charger)
        for number in range(len(self._meters.ids)):
            self._sink(self._meters.live_reading(number))
        for number in range(len(self._roofs) + len(self._batteries)):
            self._tell_modbus_device(number)
        self._tell_registers()

    def _tell_plugged(self, charger: int, at: datetime) -> None:
        world = self._world
        vehicle = int(world.vehicle_at[charger])
        if vehicle < 0:
            # It came and went within one tick.
            return
        car = world.site.vehicles[vehicle]
        cp = world.site.charge_points[charger].id
        self._sink(
            ConnectorReading(
                charge_point=cp,
                at=at,
                plugged=True,
                token=car.token,
                transaction=f"{cp}-{at:%y%m%d%H%M%S}",
            )
        )
        offers_kw = world.car_discharge_kw_max(vehicle)
        self._sink(
            CarReading(
                charge_point=cp,
                at=at,
                soc_fraction=float(world.soc_kwh[vehicle]) / car.capacity_kwh,
                capacity_kwh=car.capacity_kwh,
                charge_kw_max=world.car_charge_kw_max(vehicle),
                discharge_kw_max=offers_kw if offers_kw > 0.0 else None,
            )
        )
        self._tell_charger(charger)

    def _tell_chargers(self) -> None:
        """Those whose turn it is, and those whose car began or stopped."""
        world, elapsed_s = self._world, self._elapsed_s()
        moving = np.abs(world.charger_kw) > _MOVING_KW
        changed = set(np.flatnonzero(moving != self._moving).tolist())
        self._moving = moving
        busy = {i for i in self._charger_rota.due(elapsed_s) if world.vehicle_at[i] >= 0}
        idle = {i for i in self._idle_rota.due(elapsed_s) if world.vehicle_at[i] < 0}
        for charger in sorted(changed | busy | idle):
            self._tell_charger(charger)

    def _tell_charger(self, charger: int) -> None:
        world = self._world
        cp = world.site.charge_points[charger].id
        self._sink(
            MeterReading(
                meter=cp,
                at=world.now,
                power_kw=float(world.charger_kw[charger]),
                import_wh=int(world.charger_import_wh[charger]),
                export_wh=int(world.charger_export_wh[charger]),
            )
        )
        vehicle = int(world.vehicle_at[charger])
        if vehicle >= 0:
            capacity_kwh = world.site.vehicles[vehicle].capacity_kwh
            soc = float(world.soc_kwh[vehicle]) / capacity_kwh
            self._sink(CarReading(charge_point=cp, at=world.now, soc_fraction=soc))

    def _tell_modbus(self) -> None:
        for number in self._modbus_rota.due(self._elapsed_s()):
            self._tell_modbus_device(number)

    def _tell_modbus_device(self, number: int) -> None:
        """A roof's or a battery's own state and its meter; roofs come first."""
        world = self._world
        if number < len(self._roofs):
            roof = world.site.pv[number]
            power_kw = float(world.pv_kw[number])
            self._sink(
                InverterReading(
                    asset=roof.id, at=world.now, power_kw=power_kw, limited=bool(self._limited[number])
                )
            )
        else:
            i = number - len(self._roofs)
            battery = world.site.batteries[i]
            power_kw = float(world.battery_kw[i])
            soc = float(world.battery_kwh[i]) / battery.capacity_kwh
            self._sink(StorageReading(asset=battery.id, at=world.now, soc_fraction=soc, power_kw=power_kw))
        self._sink(self._modbus_meter(number, power_kw))

    def _modbus_meter(self, number: int, power_kw: float | None = None) -> MeterReading:
        world = self._world
        if number < len(self._roofs):
            asset, import_wh, export_wh = world.site.pv[number].id, 0, int(world.pv_export_wh[number])
        else:
            i = number - len(self._roofs)
            asset = world.site.batteries[i].id
            import_wh, export_wh = int(world.battery_import_wh[i]), int(world.battery_export_wh[i])
        return MeterReading(
            meter=asset, at=world.now, power_kw=power_kw, import_wh=import_wh, export_wh=export_wh
        )

    def _tell_registers(self) -> None:
        """Every register there is, at a quarter-hour's end."""
        for number in range(len(self._meters.ids)):
            self._sink(self._meters.register_reading(number))
        for number in range(len(self._roofs) + len(self._batteries)):
            self._sink(self._modbus_meter(number))
        for charger in range(len(self._chargers)):
            self._tell_charger(charger)


def _clip(power_kw: float, discharge_kw_max: float, charge_kw_max: float) -> float:
    return min(max(power_kw, -discharge_kw_max), charge_kw_max)
