"""The simulated grid operator's evening, and the patience of everybody who uses the API."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from controller.domain.assets import Booking
from controller.domain.ids import AssetId, NodeId
from sim.endpoints.api_client import ApiClient
from sim.endpoints.fleet import Fleet
from sim.endpoints.grid import EveningPlan, GridOperator, Wish, evening_limit_kw, holds_from
from tests.support.brokers import free_port
from tests.support.devices import START, HandClock, until

_FOUR_PM = datetime(2024, 1, 15, 15, 0, tzinfo=UTC)
"""16:00 in Utrecht."""


def test_one_limit_an_evening_by_local_time() -> None:
    """Set from 17:00, withdrawn from 20:00, and again on the next day; summer time moves it."""
    plan = EveningPlan()
    assert plan.wish(_FOUR_PM) is Wish.NOTHING
    five = _FOUR_PM + timedelta(hours=1)
    assert plan.wish(five) is Wish.SET
    standing = plan.with_limit(five)
    assert standing.wish(five + timedelta(hours=2)) is Wish.NOTHING
    assert standing.wish(five + timedelta(hours=3)) is Wish.WITHDRAW
    over = standing.without_limit()
    assert over.wish(five + timedelta(hours=1)) is Wish.NOTHING
    assert over.wish(five + timedelta(days=1)) is Wish.SET
    assert plan.wish(datetime(2024, 8, 12, 15, 0, tzinfo=UTC)) is Wish.SET
    # A standing limit of yesterday is withdrawn first thing, whatever the hour.
    assert standing.wish(five + timedelta(hours=12)) is Wish.WITHDRAW


def test_limit_begins_with_notice() -> None:
    """At 17:30; who asks later gives a quarter of an hour's notice."""
    assert holds_from(_FOUR_PM + timedelta(hours=1)) == _FOUR_PM + timedelta(minutes=90)
    assert holds_from(_FOUR_PM + timedelta(hours=2)) == _FOUR_PM + timedelta(minutes=135)


def test_limit_leaves_room_for_what_cannot_be_steered() -> None:
    """60 % of the capacity, more where homes need it, never more than 90 %."""
    assert evening_limit_kw(380.0, 80.0) == 228.0
    assert evening_limit_kw(380.0, 200.0) == 300.0
    assert evening_limit_kw(380.0, 300.0) == 342.0


class _Api:
    """A small HTTP server that remembers requests and answers as told."""

    def __init__(self) -> None:
        self.port = free_port()
        self.requests: list[tuple[str, str, str, Any]] = []
        self.statuses: list[int] = []

    @asynccontextmanager
    async def up(self) -> AsyncIterator[None]:
        """Listens until the block ends."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        try:
            yield
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readline():
            method, path, _ = head.decode().split()
            fields = {}
            while (line := (await reader.readline()).decode().strip()) != "":
                name, _, value = line.partition(": ")
                fields[name.lower()] = value
            body = await reader.readexactly(int(fields.get("content-length", "0")))
            self.requests.append((method, path, fields["authorization"], json.loads(body or b"null")))
            status = self.statuses.pop(0) if self.statuses else 201
            answer = b'{"id": "limit-7"}'
            writer.write(
                f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n"
                f"content-length: {len(answer)}\r\n\r\n".encode()
                + answer
            )


def _grid(client: ApiClient) -> GridOperator:
    return GridOperator(client, node=NodeId("transformer-1"), capacity_kw=380.0, base_kw=lambda: 80.0)


async def test_grid_operator_sets_and_withdraws_over_the_api() -> None:
    """One POST and one DELETE an evening, and the span that really held is kept for the summary."""
    api, clock = _Api(), HandClock(_FOUR_PM)
    async with api.up(), ApiClient(f"http://127.0.0.1:{api.port}", "secret") as client:
        grid = _grid(client)
        for minute in range(0, 6 * 60, 10):
            clock.at = _FOUR_PM + timedelta(minutes=minute)
            await grid.act(clock.now)
    assert [request[:3] for request in api.requests] == [
        ("POST", "/api/grid/nodes/transformer-1/limits", "Bearer secret"),
        ("DELETE", "/api/grid/nodes/transformer-1/limits/limit-7", "Bearer secret"),
    ]
    assert api.requests[0][3] == {
        "import_kw": 228.0,
        "export_kw": None,
        "from_utc": "2024-01-15T16:30:00Z",
        "to_utc": None,
    }
    (limit,) = grid.imposed
    assert (limit.id, limit.import_kw) == ("limit-7", 228.0)
    assert limit.from_utc == _FOUR_PM + timedelta(minutes=90)
    assert limit.to_utc == _FOUR_PM + timedelta(hours=4)


async def test_refused_limit_is_not_withdrawn() -> None:
    """Where the controller refuses, nothing was imposed and the evening is over."""
    api, clock = _Api(), HandClock(_FOUR_PM + timedelta(hours=1))
    api.statuses = [409]
    async with api.up(), ApiClient(f"http://127.0.0.1:{api.port}", "secret") as client:
        grid = _grid(client)
        for _ in range(3):
            await grid.act(clock.now)
    assert grid.imposed == []
    assert len(api.requests) == 1


async def test_fleet_waits_for_a_controller_that_is_away() -> None:
    """Bookings wait while nobody listens or the server is in trouble; then they are told together."""
    bookings = [
        Booking(
            id=f"b{i}",
            vehicle=AssetId("car-001"),
            from_utc=START,
            to_utc=START + timedelta(hours=3),
            energy_kwh=9.5,
            departure_min_kwh=None if i else 20.0,
        )
        for i in range(3)
    ]
    api = _Api()
    api.statuses = [503, 201]
    async with ApiClient(f"http://127.0.0.1:{api.port}", "secret") as client, asyncio.TaskGroup() as group:
        fleet = Fleet(client)
        task = group.create_task(fleet.run())
        fleet.announce(bookings)
        await asyncio.sleep(0.1)
        assert api.requests == []
        async with api.up():
            await asyncio.wait_for(fleet.told(), 30)
        task.cancel()
    await until(lambda: len(api.requests) == 2)
    again, told = (body["bookings"] for *_, body in api.requests)
    assert again == told
    assert [one["id"] for one in told] == ["b0", "b1", "b2"]
    assert told[0] == {
        "id": "b0",
        "vehicle_id": "car-001",
        "from_utc": "2024-01-15T16:00:00Z",
        "to_utc": "2024-01-15T19:00:00Z",
        "energy_kwh": 9.5,
        "departure_min_kwh": 20.0,
    }
    assert "departure_min_kwh" not in told[1]
    assert client.refused == 0
