"""The world as each device sees it: one socket, one roof, one battery."""

from __future__ import annotations

from collections.abc import Mapping

from controller.domain.ids import NodeId
from sim.world import World


def node_indices(world: World) -> Mapping[NodeId, int]:
    """The place of each node in the world's arrays."""
    return {node.id: i for i, node in enumerate(world.site.network.nodes)}


class Socket:
    """A charger's socket and the car on it (`sim.endpoints.charger_messages.ChargerPhysics`)."""

    def __init__(self, world: World, number: int) -> None:
        self._world, self._number = world, number
        self._tokens = [vehicle.token for vehicle in world.site.vehicles]

    def plugged_token(self) -> str | None:
        """The identification of the car that is plugged in."""
        vehicle = self._vehicle()
        return self._tokens[vehicle] if vehicle >= 0 else None

    def soc_fraction(self) -> float:
        """The car's state of charge; 0 without a car."""
        vehicle = self._vehicle()
        if vehicle < 0:
            return 0.0
        return float(self._world.soc_kwh[vehicle]) / self._world.site.vehicles[vehicle].capacity_kwh

    def capacity_kwh(self) -> float:
        """The car's battery [kWh]; 0 without a car."""
        vehicle = self._vehicle()
        return self._world.site.vehicles[vehicle].capacity_kwh if vehicle >= 0 else 0.0

    def car_charge_kw_max(self) -> float:
        """The most that the car takes now [kW]."""
        vehicle = self._vehicle()
        return self._world.car_charge_kw_max(vehicle) if vehicle >= 0 else 0.0

    def car_discharge_kw_max(self) -> float:
        """The most that the car gives now, a magnitude [kW]."""
        vehicle = self._vehicle()
        return self._world.car_discharge_kw_max(vehicle) if vehicle >= 0 else 0.0

    def power_kw(self) -> float:
        """AC power now [kW]."""
        return float(self._world.charger_kw[self._number])

    def import_wh(self) -> float:
        """Energy drawn [Wh]."""
        return float(self._world.charger_import_wh[self._number])

    def export_wh(self) -> float:
        """Energy fed in [Wh]."""
        return float(self._world.charger_export_wh[self._number])

    def request_kw(self, power_kw: float) -> None:
        """Asks the electronics for a power [kW]."""
        self._world.request_charger_kw(self._number, power_kw)

    def _vehicle(self) -> int:
        return int(self._world.vehicle_at[self._number])


class Roof:
    """A PV inverter (`sim.endpoints.registers.InverterPhysics`)."""

    def __init__(self, world: World, number: int, node: int) -> None:
        self._world, self._number, self._node = world, number, node

    def power_kw(self) -> float:
        """AC power [kW], not positive."""
        return float(self._world.pv_kw[self._number])

    def import_wh(self) -> float:
        """Energy taken [Wh]: none."""
        return 0.0

    def export_wh(self) -> float:
        """Energy delivered [Wh]."""
        return float(self._world.pv_export_wh[self._number])

    def voltage_v(self) -> tuple[float, float, float]:
        """Phase to neutral [V]."""
        return _voltage_v(self._world, self._node)

    def limit_kw(self, limit_kw: float | None) -> None:
        """Bounds the production, a magnitude [kW]."""
        self._world.limit_pv_kw(self._number, limit_kw)


class Storage:
    """A stationary battery (`sim.endpoints.registers.BatteryPhysics`)."""

    def __init__(self, world: World, number: int, node: int) -> None:
        self._world, self._number, self._node = world, number, node

    def power_kw(self) -> float:
        """AC power [kW]."""
        return float(self._world.battery_kw[self._number])

    def import_wh(self) -> float:
        """Energy taken [Wh]."""
        return float(self._world.battery_import_wh[self._number])

    def export_wh(self) -> float:
        """Energy delivered [Wh]."""
        return float(self._world.battery_export_wh[self._number])

    def voltage_v(self) -> tuple[float, float, float]:
        """Phase to neutral [V]."""
        return _voltage_v(self._world, self._node)

    def soc_fraction(self) -> float:
        """How full it is."""
        return (
            float(self._world.battery_kwh[self._number])
            / self._world.site.batteries[self._number].capacity_kwh
        )

    def request_kw(self, power_kw: float) -> None:
        """Asks for a power [kW]."""
        self._world.request_battery_kw(self._number, power_kw)


def _voltage_v(world: World, node: int) -> tuple[float, float, float]:
    one, two, three = world.voltage_v[node].tolist()
    return one, two, three
