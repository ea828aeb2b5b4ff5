"""What each door answers: in the shape that OpenAPI promises, and with the door's own effects."""

from __future__ import annotations

from datetime import timedelta
from typing import cast

import pytest
from fastapi.routing import APIRoute
from httpx import Response
from pydantic import TypeAdapter

from controller.domain.time import utc_text
from tests.support.fake_door import FakeDoor
from tests.support.fake_views import START
from tests.support.web import Api, make_api

_ORDER = {
    "order_id": "night-1",
    "side": "sell",
    "quantity_wh": 250,
    "limit_price_microeur_per_kwh": -5000,
    "interval_start_utc": "2024-01-15T18:00:00+01:00",
}
_ANOTHER = {"role": "grid", "label": "another grid operator"}


def _model(api: Api, method: str, path: str) -> TypeAdapter[object]:
    """What OpenAPI promises for a route."""
    for route in api.app.routes:
        if isinstance(route, APIRoute) and route.path_format == path and method in (route.methods or ()):
            return TypeAdapter(route.response_model)
    raise AssertionError(path)


def _fits(api: Api, answer: Response, method: str, path: str) -> None:
    """The answer is in the promised shape, with no field more or less."""
    assert answer.status_code in {200, 201}, answer.text
    _model(api, method, path).validate_json(answer.content)


@pytest.mark.parametrize(
    ("token", "path", "address"),
    [
        ("operator-token", "/api/operator/state", ""),
        ("operator-token", "/api/operator/plan", ""),
        (
            "operator-token",
            "/api/operator/plan/{asset_id}/reasons",
            "/api/operator/plan/car-1/reasons",
        ),
        ("operator-token", "/api/operator/chargers", ""),
        ("operator-token", "/api/operator/chargers/{charger_id}", "/api/operator/chargers/charger-01"),
        ("operator-token", "/api/operator/alarms", ""),
        ("operator-token", "/api/operator/nodes/{node_id}/history", "/api/operator/nodes/outside/history"),
        ("operator-token", "/api/operator/nodes/{node_id}/limits", "/api/operator/nodes/feeder-1/limits"),
        ("operator-token", "/api/operator/limits", ""),
        ("operator-token", "/api/operator/order-book", ""),
        (
            "operator-token",
            "/api/operator/ledger",
            "/api/operator/ledger?account=supplier&after_row=1&limit=5",
        ),
        ("operator-token", "/api/operator/events", "/api/operator/events?limit=3"),
        (
            "operator-token",
            "/api/operator/benefit",
            "/api/operator/benefit?first=2024-01-01&last=2024-01-31",
        ),
        (
            "supplier-token",
            "/api/supplier/nominations",
            "/api/supplier/nominations?day=2024-01-15&kind=intraday",
        ),
        ("supplier-token", "/api/supplier/imbalance", "/api/supplier/imbalance?day=2024-01-15"),
        ("grid-token", "/api/grid/nodes", ""),
        ("grid-token", "/api/grid/nodes/{node_id}", "/api/grid/nodes/feeder-1"),
        ("grid-token", "/api/grid/nodes/{node_id}/flexibility", "/api/grid/nodes/feeder-1/flexibility"),
        ("grid-token", "/api/grid/nodes/{node_id}/limits", "/api/grid/nodes/feeder-1/limits"),
        ("grid-token", "/api/grid/lockouts", ""),
        ("resident-token", "/api/resident/assets", ""),
        ("resident-token", "/api/resident/reasons", ""),
        ("resident-token", "/api/resident/orders", ""),
        ("resident-token", "/api/resident/orders/{order_id}", "/api/resident/orders/evening-1"),
        ("resident-token", "/api/resident/trades", ""),
        ("resident-token", "/api/resident/prices", "/api/resident/prices?limit=5"),
        (
            "resident-token",
            "/api/resident/depth",
            "/api/resident/depth?interval_start_utc=2024-01-15T16:15:00Z",
        ),
        (
            "resident-token",
            "/api/resident/matches",
            "/api/resident/matches?interval_start_utc=2024-01-15T16:15:00Z",
        ),
        ("resident-token", "/api/resident/tokens", ""),
        ("operator-token", "/api/operator/tokens", ""),
        ("resident-token", "/api/resident/balance", ""),
        ("resident-token", "/api/resident/postings", ""),
        (
            "resident-token",
            "/api/resident/statements/{year}-{month}",
            "/api/resident/statements/2024-01",
        ),
        ("resident-token", "/api/resident/taxes/{year}", "/api/resident/taxes/2024"),
        (
            "resident-token",
            "/api/resident/postings/{posting_id}/proof",
            "/api/resident/postings/p-1/proof",
        ),
        ("resident-token", "/api/ledger/head", ""),
        ("grid-token", "/api/ledger/days", "/api/ledger/days?after=2024-01-14&limit=3"),
        ("fleet-token", "/api/fleet/bookings", ""),
        ("fleet-token", "/api/fleet/vehicles", ""),
    ],
)
async def test_answers_have_the_promised_shape(token: str, path: str, address: str) -> None:
    """What leaves fits the response model of its route, exactly."""
    api = make_api()
    await api.call("POST", "/api/grid/nodes/feeder-1/limits", "grid-token", {"import_kw": 80})
    await api.call("PUT", "/api/grid/nodes/feeder-2/lockout", "grid-token")
    _fits(api, await api.call("GET", address or path, token), "GET", path)


async def test_a_row_that_no_ledger_has_is_a_mistake_of_the_form() -> None:
    """The database has 64 bits for it."""
    api = make_api()
    for row, status in ((2**63 - 1, 200), (2**63, 422)):
        answer = await api.call("GET", f"/api/operator/ledger?after_row={row}", "operator-token")
        assert answer.status_code == status


async def test_infinite_limits_leave_as_null() -> None:
    """JSON knows no infinity: no limit is null."""
    nodes = (await make_api().call("GET", "/api/grid/nodes", "grid-token")).json()
    assert next(node for node in nodes if node["id"] == "outside")["import_limit_kw"] is None


async def test_money_leaves_exactly_twice() -> None:
    """Nano-euro as an integer, and the same as a decimal text."""
    balance = (await make_api().call("GET", "/api/resident/balance", "resident-token")).json()
    assert balance == {"member": "home-7", "balance_nanoeur": -83_000_001, "eur": "-0.083000001"}
    ledger = (await make_api().call("GET", "/api/operator/ledger", "operator-token")).json()
    assert ledger["sum_nanoeur"] == 0 == sum(row["balance_nanoeur"] for row in ledger["balances"])


async def test_sentences_follow_the_readers_language() -> None:
    """The reason and the alarm in Dutch, in English, and by the query against the header."""
    api = make_api()
    dutch = (await api.call("GET", "/api/operator/alarms", "operator-token", language="nl")).json()
    english = (await api.call("GET", "/api/operator/alarms?lang=en", "operator-token", language="nl")).json()
    assert (dutch[0]["title"], english[0]["title"]) == ("Boven de grens", "Over its limit")


async def test_an_order_is_placed_once_seen_and_cancelled() -> None:
    """The same order again changes nothing; its node is the member's own; cancelling shows."""
    api = make_api()
    for _ in range(2):
        answer = await api.call("POST", "/api/resident/orders", "resident-token", _ORDER)
        _fits(api, answer, "POST", "/api/resident/orders")
        assert answer.status_code == 201
        assert answer.headers["location"] == "/api/resident/orders/night-1"
    placed = answer.json()
    assert (placed["node"], placed["member"], placed["status"]) == ("feeder-1", "home-7", "open")
    assert placed["interval_start_utc"] == "2024-01-15T17:00:00Z"
    assert len((await api.call("GET", "/api/resident/orders", "resident-token")).json()) == 2
    gone = await api.call("DELETE", "/api/resident/orders?order_id=night-1", "resident-token")
    assert gone.json() == {"cancelled": "night-1"}
    after = await api.call("GET", "/api/resident/orders/night-1", "resident-token")
    assert after.json()["status"] == "cancelled"


async def test_orders_that_do_not_fit_the_state_are_conflicts() -> None:
    """Other content under the same id, a closed gate, a cleared order: 409."""
    api = make_api()
    await api.call("POST", "/api/resident/orders", "resident-token", _ORDER)
    changed = await api.call("POST", "/api/resident/orders", "resident-token", {**_ORDER, "quantity_wh": 9})
    past = {**_ORDER, "order_id": "x", "interval_start_utc": "2024-01-15T16:15:00Z"}
    late = await api.call("POST", "/api/resident/orders", "resident-token", past)
    cleared = await api.call("DELETE", "/api/resident/orders/evening-1", "resident-token")
    assert [changed.status_code, late.status_code, cleared.status_code] == [409, 409, 409]


async def test_a_departure_in_local_time_is_the_next_such_moment() -> None:
    """07:30 tomorrow in Amsterdam is 06:30 UTC; a fraction is of the battery."""
    api = make_api()
    path = "/api/resident/assets/car-1/departure"
    body = {"at_local": "07:30", "soc_fraction": 0.8}
    answer = await api.call("PUT", path, "resident-token", body)
    _fits(api, answer, "PUT", "/api/resident/assets/{asset_id}/departure")
    assert answer.json()["departure"] == {
        "vehicle": "car-1",
        "at_utc": "2024-01-16T06:30:00Z",
        "energy_kwh": 48.0,
    }
    exact = {"at_utc": "2024-01-16T05:00:00Z", "energy_kwh": 40}
    assert (await api.call("PUT", path, "resident-token", exact)).json()["departure"]["energy_kwh"] == 40.0


async def test_what_the_controller_refuses_is_listed() -> None:
    """Problems that only the controller can know come back as 422 with their place."""
    body = {"at_local": "07:30", "energy_kwh": 99.0}
    answer = await make_api().call("PUT", "/api/resident/assets/car-1/departure", "resident-token", body)
    assert answer.status_code == 422
    assert answer.json()["problems"][0]["place"] == "energy_kwh"


async def test_the_buttons_of_a_car_reach_the_controller() -> None:
    """Charge now, and never discharge."""
    api = make_api()
    base = "/api/resident/assets/car-1"
    mode = await api.call("PUT", f"{base}/mode", "resident-token", {"mode": "charge_now"})
    never = await api.call("PUT", f"{base}/never-discharge", "resident-token", {"never": True})
    _fits(api, mode, "PUT", "/api/resident/assets/{asset_id}/mode")
    assert (never.json()["mode"], never.json()["never_discharge"]) == ("charge_now", True)


async def test_limits_are_set_and_withdrawn_one_by_one_or_all_of_the_caller() -> None:
    """The bare DELETE ends what the caller set and leaves what others set; nothing left is 404."""
    api = make_api()
    path = "/api/grid/nodes/feeder-1/limits"
    until = utc_text(START + timedelta(hours=2))
    first = await api.call("POST", path, "grid-token", {"import_kw": 80, "to_utc": until})
    _fits(api, first, "POST", "/api/grid/nodes/{node_id}/limits")
    await api.call("POST", path, "grid-token", {"export_kw": 0})
    made = await api.call("POST", "/api/operator/tokens", "operator-token", _ANOTHER)
    await api.call("POST", path, made.json()["token"], {"import_kw": 70})
    one = await api.call("DELETE", f"{path}/{first.json()['id']}", "grid-token")
    assert one.json() == {"withdrawn": [first.json()["id"]]}
    rest = await api.call("DELETE", path, "grid-token")
    assert len(rest.json()["withdrawn"]) == 1
    assert [limit.set_by for limit in api.door.imposed] == ["another grid operator"]
    assert (await api.call("DELETE", path, "grid-token")).status_code == 404


async def test_a_lockout_is_set_shown_and_released() -> None:
    """And releasing what is not locked is 404."""
    api = make_api()
    path = "/api/grid/nodes/feeder-2/lockout"
    _fits(api, await api.call("PUT", path, "grid-token"), "PUT", "/api/grid/nodes/{node_id}/lockout")
    node = (await api.call("GET", "/api/grid/nodes/feeder-2", "grid-token")).json()
    assert node["discharge_locked_out"] is True
    assert (await api.call("DELETE", path, "grid-token")).json() == {"done": True}
    assert (await api.call("DELETE", path, "grid-token")).status_code == 404


async def test_bookings_are_kept_replaced_and_removed() -> None:
    """The same id again replaces; an unknown car is 404."""
    api = make_api()
    body = {
        "id": "b-1",
        "vehicle_id": "car-3",
        "from_utc": "2024-01-16T07:30:00Z",
        "to_utc": "2024-01-16T11:00:00Z",
        "energy_kwh": 9.5,
    }
    _fits(
        api, await api.call("POST", "/api/fleet/bookings", "fleet-token", body), "POST", "/api/fleet/bookings"
    )
    await api.call("POST", "/api/fleet/bookings", "fleet-token", {**body, "energy_kwh": 12})
    kept = (await api.call("GET", "/api/fleet/bookings", "fleet-token")).json()
    assert [(item["id"], item["energy_kwh"]) for item in kept] == [("b-1", 12.0)]
    unknown = await api.call("POST", "/api/fleet/bookings", "fleet-token", {**body, "vehicle_id": "bike-1"})
    assert unknown.status_code == 404
    assert (await api.call("DELETE", "/api/fleet/bookings/b-1", "fleet-token")).status_code == 200
    assert (await api.call("DELETE", "/api/fleet/bookings/b-1", "fleet-token")).status_code == 404


async def test_a_fleet_books_several_cars_at_once() -> None:
    """Wrong ones are told with their number, all at once, and nothing is kept; then all are."""
    api = make_api()
    times = {"from_utc": "2024-01-15T18:00Z", "to_utc": "2024-01-15T20:00Z"}
    good = [{"id": f"b-{n}", "vehicle_id": f"car-{n}", "energy_kwh": 9.5, **times} for n in (1, 2)]
    bad = [{**good[0], "energy_kwh": -1}, {**good[1], "to_utc": times["from_utc"]}]
    path = "/api/fleet/bookings/list"
    answer = await api.call("POST", path, "fleet-token", {"bookings": bad})
    assert answer.status_code == 422
    places = [problem["place"] for problem in answer.json()["problems"]]
    assert len(places) == 2
    assert places[0] == "bookings.0.energy_kwh"
    assert places[1].startswith("bookings.1")
    assert (await api.call("GET", "/api/fleet/bookings", "fleet-token")).json() == []
    _fits(api, await api.call("POST", path, "fleet-token", {"bookings": good}), "POST", path)
    kept = (await api.call("GET", "/api/fleet/bookings", "fleet-token")).json()
    assert [item["id"] for item in kept] == ["b-1", "b-2"]
    assert (await api.call("POST", path, "fleet-token", {"bookings": []})).status_code == 422


async def test_a_fleet_sees_where_its_own_cars_stand() -> None:
    """A plugged car has a place, the other has none; without a member only booked cars are shown."""
    api = make_api()
    cars = (await api.call("GET", "/api/fleet/vehicles", "fleet-token")).json()
    assert [(car["vehicle_id"], car["plugged"]) for car in cars] == [
        ("car-2", True),
        ("car-3", True),
        ("car-4", False),
    ]
    made = await api.call("POST", "/api/operator/tokens", "operator-token", {"role": "fleet", "label": "f"})
    assert (await api.call("GET", "/api/fleet/vehicles", made.json()["token"])).json() == []


async def test_the_operator_stops_all_discharge_and_gives_out_tokens() -> None:
    """The stop reaches the controller with the operator's name; a made token works at once."""
    api = make_api()
    stop = await api.call("PUT", "/api/operator/discharge-stop", "operator-token", {"stopped": True})
    assert stop.json() == {"stopped": True}
    assert ("stop_discharge", (True, "Operator Olga")) in api.door.calls
    body = {"role": "resident", "member": "home-8", "label": "phone"}
    made = await api.call("POST", "/api/operator/tokens", "operator-token", body)
    _fits(api, made, "POST", "/api/operator/tokens")
    balance = await api.call("GET", "/api/resident/balance", made.json()["token"])
    assert balance.json()["member"] == "home-8"


async def test_the_order_book_is_of_the_quarter_that_is_asked_for() -> None:
    """An empty quarter-hour has an empty book."""
    api = make_api()
    for start, count in (("2024-01-15T16:15:00Z", 1), ("2024-01-15T16:00:00Z", 0)):
        path = f"/api/operator/order-book?interval_start_utc={start}"
        assert len((await api.call("GET", path, "operator-token")).json()["orders"]) == count


async def test_metrics_are_prometheus_text() -> None:
    """For the operator's scraper."""
    answer = await make_api().call("GET", "/metrics", "operator-token")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "wijkstroom_safety_cycles_total 42" in answer.text


async def test_a_thousand_chargers_fit_the_model_too() -> None:
    """The operator's state of a whole district is complete."""
    api = make_api(FakeDoor(chargers=1000))
    answer = await api.call("GET", "/api/operator/state", "operator-token")
    _fits(api, answer, "GET", "/api/operator/state")
    assert len(answer.json()["chargers"]) == 1000


def test_openapi_is_complete() -> None:
    """Every operation has a summary, a description and described answers; every body has an example."""
    schema = make_api().app.openapi()
    for path, operations in schema["paths"].items():
        for method, operation in cast("dict[str, dict[str, object]]", operations).items():
            place = f"{method} {path}"
            assert operation["summary"], place
            assert operation["description"], place
            responses = cast("dict[str, dict[str, dict[str, dict[str, object]]]]", operation["responses"])
            good = next(responses[status] for status in ("200", "201", "202") if status in responses)
            assert all(content["schema"] or "text" in kind for kind, content in good["content"].items()), (
                place
            )
            # Guests come without a token: a secret link is all that they have.
            opened = path == "/api/health" or path.startswith("/api/guest/")
            assert ("401" in responses) != opened, place
    schemas = schema["components"]["schemas"]
    assert [name for name, body in schemas.items() if name.endswith("In") and "examples" not in body] == []
    assert {"ProblemDocument", "ProblemItem", "StateOut"} <= set(schemas)
