"""The car-sharing fleet: tells the controller each booking as soon as it is made."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Iterable
from typing import Any

from controller.domain.assets import Booking
from controller.domain.time import utc_text
from sim.endpoints.api_client import ApiClient

_PATH = "/api/fleet/bookings"
LIST_MAX = 500
"""Bookings in one request."""


def booking_body(booking: Booking) -> dict[str, Any]:
    """A booking as `/api/fleet/bookings` wants it."""
    body: dict[str, Any] = {
        "id": booking.id,
        "vehicle_id": str(booking.vehicle),
        "from_utc": utc_text(booking.from_utc),
        "to_utc": utc_text(booking.to_utc),
        "energy_kwh": booking.energy_kwh,
    }
    if booking.departure_min_kwh is not None:
        body["departure_min_kwh"] = booking.departure_min_kwh
    return body


class Fleet:
    """Posts bookings, those that wait together; while the controller is away they wait."""

    def __init__(self, api: ApiClient) -> None:
        self._api = api
        self._waiting: deque[Booking] = deque()
        self._news = asyncio.Event()
        self._told = asyncio.Event()
        self._told.set()

    def announce(self, bookings: Iterable[Booking]) -> None:
        """Queues bookings."""
        self._waiting.extend(bookings)
        if self._waiting:
            self._told.clear()
            self._news.set()

    async def told(self) -> None:
        """Waits until the controller knows everything that was announced."""
        await self._told.wait()

    async def run(self) -> None:
        """Posts until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                # They stay in the queue until they were answered: a booking must not get lost half-way.
                told = list(itertools.islice(self._waiting, LIST_MAX))
                await self._tell([booking_body(booking) for booking in told])
                for _ in told:
                    self._waiting.popleft()
            self._told.set()

    async def _tell(self, bodies: list[dict[str, Any]]) -> None:
        answer = await self._api.request("POST", f"{_PATH}/list", {"bookings": bodies})
        if answer.is_error:
            # One that is refused must not keep the others from being known.
            for body in bodies:
                await self._api.request("POST", _PATH, body)
