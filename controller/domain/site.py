"""A site: one neighbourhood as its operators describe it. `controller.config` reads it from TOML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from controller.domain.assets import (
    FLEET,
    HOUSEHOLD,
    Battery,
    Booking,
    ChargePoint,
    Load,
    LoadKind,
    Member,
    PvRoof,
    Vehicle,
)
from controller.domain.electrical import Electrical
from controller.domain.ids import AssetId, MemberId, NodeId
from controller.domain.network import Network


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """Where the neighbourhood is."""

    latitude_deg: float = 52.0907
    longitude_deg: float = 5.1214
    """Utrecht."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """What the supplier asks and pays on top of the day-ahead price; taxes and tariffs are dated rates.

    Figures come from the site file with a source and a date; none is a constant in code.
    """

    import_adder_eur_per_kwh: float = 0.02
    """The supplier's margin on what is bought."""
    export_adder_eur_per_kwh: float = -0.01
    """The supplier's margin on what is fed in."""
    source: str = ""


@dataclass(frozen=True)
class Site:
    """Everything that is known of a neighbourhood before the first message arrives."""

    name: str
    network: Network
    members: tuple[Member, ...]
    charge_points: tuple[ChargePoint, ...]
    vehicles: tuple[Vehicle, ...]
    pv: tuple[PvRoof, ...]
    batteries: tuple[Battery, ...]
    loads: tuple[Load, ...]
    tariff: Tariff = Tariff()
    location: Location = Location()
    electrical: Electrical | None = None
    """Cables and transformers; None: plans are not checked by a power flow."""

    @cached_property
    def node_of(self) -> Mapping[AssetId, NodeId]:
        """The node under which each fixed asset hangs (cars move: theirs is the charge point's)."""
        groups = (self.charge_points, self.pv, self.batteries, self.loads)
        return {asset.id: asset.node for group in groups for asset in group}

    @cached_property
    def charge_point_by_id(self) -> Mapping[AssetId, ChargePoint]:
        """Every charge point."""
        return {point.id: point for point in self.charge_points}

    @cached_property
    def vehicle_by_id(self) -> Mapping[AssetId, Vehicle]:
        """Every vehicle."""
        return {vehicle.id: vehicle for vehicle in self.vehicles}

    def may_book(self, fleet: MemberId | None, vehicle: Vehicle) -> bool:
        """Whether a fleet may book a car: its own, or one that its owner shares; nobody's private car.

        Args:
            fleet: Which fleet; None: whoever books for all fleets of the site.
            vehicle: The car.
        """
        if vehicle.shared or vehicle.member == fleet:
            return True
        return fleet is None and vehicle.member in self.fleets

    @cached_property
    def fleets(self) -> frozenset[MemberId]:
        """The members that are car-sharing fleets."""
        return frozenset(member.id for member in self.members if member.kind == FLEET)

    def is_of(self, fleet: MemberId | None, booking: Booking) -> bool:
        """Whether a booking is a fleet's to see, change and remove: it made it.

        Of an old one nobody knows who made it: it is the car owner's. A car that the site file has lost is
        nobody's: what is booked of it goes on with another car, under its id.

        Args:
            fleet: Which fleet; None: whoever books for all fleets of the site, and so sees what it may book.
            booking: The booking.
        """
        vehicle = self.vehicle_by_id.get(booking.vehicle)
        if fleet is None:
            return vehicle is None or self.may_book(None, vehicle)
        if booking.fleet is not None:
            return booking.fleet == fleet
        return vehicle is None or vehicle.member == fleet

    @cached_property
    def vehicle_by_token(self) -> Mapping[str, Vehicle]:
        """The vehicle that identifies itself with a token."""
        return {vehicle.token: vehicle for vehicle in self.vehicles}

    @cached_property
    def shared_charge_points(self) -> Mapping[AssetId, ChargePoint]:
        """The sockets that strangers may see and use: not those at a household's own connection.

        Whether a car stands there tells who is at home.
        """
        households = {member.id for member in self.members if member.kind == HOUSEHOLD}
        return {point.id: point for point in self.charge_points if point.member not in households}

    @cached_property
    def public_members(self) -> frozenset[MemberId]:
        """Whose the public buildings are: schools and the like."""
        return frozenset(load.member for load in self.loads if load.kind is LoadKind.PUBLIC_BUILDING)
