"""The simulated fleet: told together, and one by one where the list is refused."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any, cast

import httpx

from controller.domain.assets import Booking
from controller.domain.ids import AssetId
from sim.endpoints.api_client import ApiClient
from sim.endpoints.fleet import LIST_MAX, Fleet
from tests.support.neighbourhood import START

HOUR = timedelta(hours=1)


class Recorded:
    """An API that notes what it is asked; it refuses what has one of these ids in it."""

    def __init__(self, refused: set[str]) -> None:
        self.asked: list[list[str]] = []
        self.kept: list[str] = []
        self._refused = refused

    async def request(self, method: str, path: str, body: dict[str, Any]) -> httpx.Response:
        """Answers as the controller does."""
        assert method == "POST"
        ids = [one["id"] for one in (body["bookings"] if path.endswith("/list") else [body])]
        self.asked.append(ids)
        if self._refused & set(ids):
            return httpx.Response(409)
        self.kept += ids
        return httpx.Response(201)


async def told(count: int, refused: set[str]) -> Recorded:
    """What a fleet with so many bookings tells."""
    api = Recorded(refused)
    fleet = Fleet(cast("ApiClient", api))
    fleet.announce(
        Booking(
            id=f"b-{n}",
            vehicle=AssetId(f"car-{n}"),
            from_utc=START,
            to_utc=START + HOUR,
            energy_kwh=5.0,
        )
        for n in range(count)
    )
    running = asyncio.create_task(fleet.run())
    await asyncio.wait_for(fleet.told(), 30.0)
    running.cancel()
    return api


async def test_what_waits_is_told_together() -> None:
    """In as few requests as a list may be long, and in order."""
    api = await told(LIST_MAX + 2, set())
    assert [len(ids) for ids in api.asked] == [LIST_MAX, 2]
    assert api.kept == [f"b-{n}" for n in range(LIST_MAX + 2)]


async def test_a_refused_booking_keeps_no_other_from_being_told() -> None:
    """The list is refused as a whole; each of it is then told by itself."""
    api = await told(3, {"b-1"})
    assert api.asked == [["b-0", "b-1", "b-2"], ["b-0"], ["b-1"], ["b-2"]]
    assert api.kept == ["b-0", "b-2"]
