"""The fleet's routes: reservations, and where its cars stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from controller.api import wire
from controller.api.fleet.models import BookingIn, BookingsIn, TakenOut, WhereaboutsOut
from controller.api.models import BookingOut, Done
from controller.api.problems import documented
from controller.api.security import TheDoor, allow
from controller.domain.assets import Booking
from controller.domain.ids import AssetId
from controller.runtime.door import AssetView, ChargerView, Principal
from controller.runtime.ports import Role

_fleet = allow(Role.FLEET)
Fleet = Annotated[Principal, Depends(_fleet)]
"""A car-sharing fleet."""

router = APIRouter(
    prefix="/api/fleet", tags=["fleet"], dependencies=[Depends(_fleet)], responses=documented()
)


@router.get("/bookings", summary="The reservations that are not over", response_model=list[BookingOut])
async def get_bookings(door: TheDoor, who: Fleet) -> Response:
    """The fleet's own, by start. A token for no fleet in particular sees those of all fleets."""
    return wire.reply([wire.booking(booking) for booking in await door.bookings(who)])


@router.get("/taken", summary="When others have the cars", response_model=list[TakenOut])
async def get_taken(door: TheDoor, who: Fleet) -> Response:
    """The times in which others have cars that the fleet may book: all that it has to know of them."""
    return wire.reply([wire.taken(one) for one in await door.taken(who)])


@router.post(
    "/bookings",
    summary="Reserve a shared car",
    status_code=201,
    response_model=BookingOut,
    responses=documented(404, 409, 422),
)
async def post_booking(door: TheDoor, who: Fleet, body: BookingIn) -> Response:
    """Keeps a reservation; the same id again replaces it. The planner counts with it at once."""
    kept = await door.put_booking(_booking(body), who)
    return wire.reply(wire.booking(kept), 201, {"Location": wire.location("/api/fleet/bookings", kept.id)})


@router.post(
    "/bookings/list",
    summary="Reserve shared cars, several at once",
    status_code=201,
    response_model=list[BookingOut],
    responses=documented(409, 422),
)
async def post_bookings(door: TheDoor, who: Fleet, body: BookingsIn) -> Response:
    """Keeps all reservations of the list, or none; each replaces one with its id.

    What is wrong with any of them comes back at once, with the number of the reservation in each place.
    """
    kept = await door.put_bookings([_booking(one) for one in body.bookings], who)
    return wire.reply([wire.booking(one) for one in kept], 201)


@router.delete(
    "/bookings/{booking_id:path}",
    summary="Remove a reservation",
    response_model=Done,
    responses=documented(404, 409),
)
async def delete_booking(door: TheDoor, who: Fleet, booking_id: str) -> Response:
    """The car is free again."""
    await door.delete_booking(booking_id=booking_id, who=who)
    return wire.reply({"done": True})


@router.get("/vehicles", summary="Where the shared cars stand", response_model=list[WhereaboutsOut])
async def get_vehicles(door: TheDoor, who: Fleet) -> Response:
    """Each shared car: whether it is plugged in, where, and with how much energy.

    Only the fleet's own cars: those of the token's member, or for a token without one those that are booked.
    """
    if who.member is not None:
        own = [view for view in await door.assets(who.member) if view.kind == "vehicle"]
        return wire.reply([_own_car(view) for view in own])
    booked = sorted({booking.vehicle for booking in await door.bookings(who)})
    return wire.reply(_booked_cars(booked, (await door.state()).chargers))


def _booking(body: BookingIn) -> Booking:
    return Booking(
        id=body.id,
        vehicle=AssetId(body.vehicle_id),
        from_utc=body.from_utc,
        to_utc=body.to_utc,
        energy_kwh=body.energy_kwh,
        departure_min_kwh=body.departure_min_kwh,
    )


def _own_car(view: AssetView) -> wire.Json:
    return _whereabouts(view.id, view.charger, view.soc_fraction)


def _booked_cars(vehicles: Sequence[AssetId], chargers: Sequence[ChargerView]) -> list[wire.Json]:
    plugged: Mapping[AssetId, ChargerView] = {
        view.vehicle: view for view in chargers if view.vehicle is not None and view.plugged
    }
    return [_whereabouts(vehicle, plugged.get(vehicle), None) for vehicle in vehicles]


def _whereabouts(vehicle: AssetId, charger: ChargerView | None, soc_fraction: float | None) -> wire.Json:
    known_soc = charger.soc_fraction if charger is not None else soc_fraction
    return {
        "vehicle_id": vehicle,
        "plugged": charger is not None,
        "node": None if charger is None else charger.node,
        "charge_point": None if charger is None else charger.id,
        "soc_fraction": known_soc,
        "energy_kwh": None if charger is None else charger.energy_kwh,
        "power_kw": None if charger is None else charger.power_kw,
        "departure_utc": None if charger is None else charger.departure_utc,
        "at_risk_kwh": 0.0 if charger is None else charger.at_risk_kwh,
    }
