"""What people and operators have set: wishes, bookings, limits, lock-outs, a stop of all discharge.

Kept in memory for the loops and written to the store by whoever changes it; read from the store at the
start. The loops read it every cycle, so a button works within one safety period.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from controller.domain.assets import Booking, Departure, Vehicle, Wishes
from controller.domain.ids import AssetId, NodeId
from controller.domain.network import ImposedLimit, Network
from controller.domain.reasons import ReasonCode
from controller.runtime.ports import Lockout
from controller.setpoints.base_load import LimitNow

FORGET_STEP = timedelta(minutes=1)
"""By so much the time until which is forgotten moves on at once."""
BOOKING_RESERVE_KWH = 2.0
"""A booking that names no departure energy gets its trip, the minimum and this."""


@dataclass
class People:
    """The settings of people, by what they are about."""

    wishes: dict[AssetId, Wishes] = field(default_factory=dict)
    bookings: dict[str, Booking] = field(default_factory=dict)
    limits: dict[str, ImposedLimit] = field(default_factory=dict)
    lockouts: dict[NodeId, Lockout] = field(default_factory=dict)
    discharge_stopped: bool = False
    _forgotten_until: datetime | None = None
    _own_limits: dict[NodeId, LimitNow] = field(default_factory=dict)
    """What the network itself allows: it does not change while a controller runs."""
    _by_vehicle: tuple[dict[str, Booking], dict[AssetId, list[Booking]]] = field(
        default_factory=lambda: ({}, {})
    )
    """An index of `bookings` and the dict that it was made of: whoever changes them, replaces the dict."""

    def put_bookings(self, new: Iterable[Booking]) -> None:
        """Takes bookings in, each in place of one with its id; the index is changed, not made anew."""
        bookings, index = dict(self.bookings), dict(self._index())
        for booking in new:
            before = bookings.get(booking.id)
            for vehicle in {booking.vehicle} if before is None else {booking.vehicle, before.vehicle}:
                own = [one for one in index.get(vehicle, []) if one.id != booking.id]
                if vehicle == booking.vehicle:
                    own = sorted([*own, booking], key=lambda one: (one.from_utc, one.id))
                index[vehicle] = own
            bookings[booking.id] = booking
        # The index first: whoever reads between the two lines makes it anew from the old books.
        self._by_vehicle = (bookings, index)
        self.bookings = bookings

    def bookings_of(self, vehicle: AssetId) -> list[Booking]:
        """A car's bookings by start."""
        return self._index().get(vehicle, [])

    def _index(self) -> dict[AssetId, list[Booking]]:
        made_of, index = self._by_vehicle
        if made_of is not self.bookings:
            made_of, index = self.bookings, {}
            for booking in sorted(made_of.values(), key=lambda one: (one.from_utc, one.id)):
                index.setdefault(booking.vehicle, []).append(booking)
            self._by_vehicle = (made_of, index)
        return index

    def departures_of(self, vehicle: Vehicle, now: datetime) -> list[Departure]:
        """What a car has to leave with, the soonest first; those of bookings that have begun count still.

        A booking that is under way belongs to a car that is late in leaving, if it is plugged in at all.
        """
        found = [_departure(b, vehicle) for b in self.bookings_of(vehicle.id) if b.to_utc > now]
        wish = self.wishes.get(vehicle.id)
        if wish is not None and wish.departure is not None and wish.departure.at_utc > now:
            found.append(wish.departure)
        return sorted(found, key=lambda departure: departure.at_utc)

    def next_departure(self, vehicle: Vehicle, now: datetime) -> Departure | None:
        """The soonest of `departures_of`, which every safety cycle asks for every car."""
        booked = next((b for b in self.bookings_of(vehicle.id) if b.to_utc > now), None)
        wish = self.wishes.get(vehicle.id)
        asked = wish.departure if wish is not None else None
        if asked is not None and asked.at_utc > now and (booked is None or asked.at_utc < booked.from_utc):
            return asked
        return None if booked is None else _departure(booked, vehicle)

    def drop_past(self, now: datetime) -> None:
        """Forgets bookings and limits that are over (the store keeps them); called twice a minute.

        The time until which is forgotten follows a clock that leaps ahead no faster than twice its pace: when
        that clock is put right again, what a grid operator has imposed is still there.
        """
        before = self._forgotten_until
        until = self._forgotten_until = now if before is None else min(now, before + FORGET_STEP)
        over = {key for key, booking in self.bookings.items() if booking.to_utc <= until}
        if over:
            self.bookings = {key: one for key, one in self.bookings.items() if key not in over}
        ended = {key for key, x in self.limits.items() if x.to_utc is not None and x.to_utc <= until}
        if ended:
            self.limits = {key: one for key, one in self.limits.items() if key not in ended}

    def limit_at(self, network: Network, node_id: NodeId, at: datetime) -> LimitNow:
        """What a node may carry at an instant: its own limits and the grid operator's, the tighter wins."""
        own = self._own_limits.get(node_id)
        if own is None:
            node = network.by_id[node_id]
            own = LimitNow(
                import_kw=node.import_limit_kw(),
                export_kw=node.export_limit_kw(),
                phase_kw=node.phase_limit_kw(),
                by=ReasonCode.NETWORK_LIMIT,
                export_by=ReasonCode.NETWORK_LIMIT,
            )
            self._own_limits[node_id] = own
        if not self.limits:
            return own
        import_kw, export_kw, by, export_by = own.import_kw, own.export_kw, own.by, own.export_by
        for limit in self.limits.values():
            if limit.node != node_id or not limit.holds_at(at):
                continue
            if limit.import_kw is not None and limit.import_kw < import_kw:
                import_kw, by = limit.import_kw, ReasonCode.GRID_OPERATOR_LIMIT
            if limit.export_kw is not None and limit.export_kw < export_kw:
                export_kw, export_by = limit.export_kw, ReasonCode.GRID_OPERATOR_LIMIT
        return LimitNow(
            import_kw=import_kw,
            export_kw=export_kw,
            phase_kw=own.phase_kw,
            by=by,
            export_by=export_by,
        )

    def discharge_stop(self, network: Network, node_id: NodeId) -> ReasonCode | None:
        """Why nothing may be discharged under a node, where that is so."""
        if self.discharge_stopped:
            return ReasonCode.PERSON_STOP
        if any(above in self.lockouts for above in network.paths[node_id]):
            return ReasonCode.DISCHARGE_LOCKOUT
        return None


def _departure(booking: Booking, vehicle: Vehicle) -> Departure:
    energy_kwh = booking_energy_kwh(booking, vehicle)
    return Departure(vehicle=vehicle.id, at_utc=booking.from_utc, energy_kwh=energy_kwh)


def booking_energy_kwh(booking: Booking, vehicle: Vehicle) -> float:
    """What has to be in the car when a booking starts [kWh], at most what it can hold."""
    wanted = booking.departure_min_kwh
    if wanted is None:
        wanted = booking.energy_kwh + vehicle.min_kwh + BOOKING_RESERVE_KWH
    return min(wanted, vehicle.capacity_kwh)
