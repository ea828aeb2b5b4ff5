"""Ids are people's own: one with a slash, a percent sign or a question mark is found like any other."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from starlette.routing import Match, Route

from controller.api import wire
from controller.domain.ids import AssetId, NodeId
from controller.runtime.door import StateView
from tests.support.fake_door import FakeDoor
from tests.support.web import make_api

_PEOPLES = frozenset(
    {"asset_id", "booking_id", "charge_point", "charger_id", "identity", "node_id", "order_id"}
)
"""The parts of addresses that a site file, a charger, a fleet or a resident has named."""
_PART = re.compile(r"\{(\w+)(:path)?\}")


def _routes() -> list[Route]:
    """The routes with such a part, of the doors and of the guests' pages."""
    return [
        route
        for route in make_api().app.routes
        if isinstance(route, Route) and _PEOPLES & {name for name, _ in _PART.findall(route.path)}
    ]


@pytest.mark.parametrize("route", _routes(), ids=lambda route: f"{sorted(route.methods)} {route.path}")
def test_an_id_with_a_slash_leads_to_the_same_route(route: Route) -> None:
    """Not to another one that takes it for a part more, whichever comes first."""
    path = _PART.sub(lambda part: "north/7" if part[1] in _PEOPLES else "x", route.path)
    scope = {"type": "http", "method": min(route.methods or ()), "path": path, "headers": []}
    found = next(one for one in make_api().app.routes if one.matches(scope)[0] is Match.FULL)
    assert isinstance(found, Route)
    assert found.path == route.path
    _, child = found.matches(scope)
    named = {name: value for name, value in child["path_params"].items() if name in _PEOPLES}
    assert set(named.values()) == {"north/7"}


class _Slashed(FakeDoor):
    """A street whose first charger and node have a slash in their ids."""

    async def state(self) -> StateView:
        """The street now."""
        state = await super().state()
        charger = replace(state.chargers[0], id=AssetId("pole/1"))
        return replace(state, chargers=[charger], nodes=[replace(state.nodes[0], id=NodeId("east/1"))])


async def test_things_with_a_slash_are_read_and_changed() -> None:
    """A charger, a node, an order; where an order was put is told as an address that leads there."""
    api = make_api(_Slashed())
    found = await api.call("GET", "/api/operator/chargers/pole%2F1", "operator-token")
    assert (found.status_code, found.json()["id"]) == (200, "pole/1")
    found = await api.call("GET", "/api/grid/nodes/east%2F1", "grid-token")
    assert (found.status_code, found.json()["id"]) == (200, "east/1")
    body = {
        "order_id": "my/order?50%#1",
        "side": "buy",
        "quantity_wh": 500,
        "limit_price_microeur_per_kwh": 220000,
        "interval_start_utc": "2024-01-15T18:00:00Z",
    }
    made = await api.call("POST", "/api/resident/orders", "resident-token", body)
    assert made.status_code == 201
    read = await api.call("GET", made.headers["location"], "resident-token")
    assert (read.status_code, read.json()["order_id"]) == (200, "my/order?50%#1")
    gone = await api.call("DELETE", made.headers["location"], "resident-token")
    assert gone.json() == {"cancelled": "my/order?50%#1"}


def test_each_id_is_one_part_of_an_address() -> None:
    """Whatever signs it has."""
    assert wire.location("/api/x", "a/b", "limits", "é ?") == "/api/x/a%2Fb/limits/%C3%A9%20%3F"
