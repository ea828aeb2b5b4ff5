"""Wrong requests: every mistake at once, as a problem document, in the reader's language."""

from __future__ import annotations

import pytest

from tests.support.fake_door import FakeDoor
from tests.support.web import bearer, make_api

_GOOD: dict[str, dict[str, object]] = {
    "order": {
        "order_id": "a",
        "side": "buy",
        "quantity_wh": 100,
        "limit_price_microeur_per_kwh": 1,
        "interval_start_utc": "2024-01-15T17:00Z",
    },
    "limit": {"import_kw": 80.0},
    "departure": {"at_local": "07:30", "energy_kwh": 40.0},
    "booking": {
        "id": "b",
        "vehicle_id": "car-1",
        "from_utc": "2024-01-16T07:00Z",
        "to_utc": "2024-01-16T08:00Z",
        "energy_kwh": 1,
    },
    "token": {"role": "resident", "member": "home-7", "label": "x"},
}
_WHERE = {
    "order": ("POST", "/api/resident/orders", "resident-token"),
    "limit": ("POST", "/api/grid/nodes/feeder-1/limits", "grid-token"),
    "departure": ("PUT", "/api/resident/assets/car-1/departure", "resident-token"),
    "booking": ("POST", "/api/fleet/bookings", "fleet-token"),
    "token": ("POST", "/api/operator/tokens", "operator-token"),
}


async def test_all_mistakes_of_a_form_come_back_at_once() -> None:
    """Missing, unknown and wrong fields together, each with its place and rule."""
    body = {"side": "by", "quantity_wh": 1.5, "interval_start_utc": "2024-01-15T17:01", "colour": "green"}
    answer = await make_api().call("POST", "/api/resident/orders", "resident-token", body)
    document = answer.json()
    assert answer.status_code == document["status"] == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert document["type"] == "urn:wijkstroom:problem:invalid"
    assert document["instance"] == "/api/resident/orders"
    assert {item["place"]: item["rule"] for item in document["problems"]} == {
        "order_id": "is missing",
        "side": "must be one of 'buy' or 'sell'",
        "quantity_wh": "must be a whole number",
        "limit_price_microeur_per_kwh": "is missing",
        "interval_start_utc": "names no time zone: write Z for UTC",
        "colour": "is not a known field",
    }


async def test_mistakes_are_said_in_dutch_by_default() -> None:
    """Without a wish the reader is Dutch; the answer says which language it speaks."""
    answer = await make_api().call("POST", "/api/resident/orders", "resident-token", {}, language="")
    assert answer.headers["content-language"] == "nl"
    assert answer.json()["title"] == "Er zitten fouten in het verzoek"
    assert {item["rule"] for item in answer.json()["problems"]} == {"ontbreekt"}


@pytest.mark.parametrize(
    ("form", "change", "rule"),
    [
        ("order", {"quantity_wh": 0}, "must be greater than 0"),
        ("order", {"quantity_wh": True}, "must be a whole number"),
        ("order", {"quantity_wh": "100"}, "must be a whole number"),
        ("order", {"order_id": ""}, "must not be empty"),
        (
            "order",
            {"order_id": "two words"},
            "must be letters without accents, digits and signs, without blanks",
        ),
        (
            "order",
            {"link": {"name": "a\x00b", "efficiency_ppm": 1}},
            "must be text without control characters",
        ),
        ("token", {"label": "x" * 81}, "must have at most 80 characters"),
        ("order", {"min_fill_wh": 101}, "must not be more than quantity_wh"),
        ("order", {"interval_start_utc": "2024-01-15T17:07Z"}, "must be the start of a quarter-hour"),
        ("order", {"interval_start_utc": 1705338000}, "must be a time like 2026-01-31T16:15:00Z"),
        ("order", {"interval_start_utc": "soon"}, "must be a time like 2026-01-31T16:15:00Z"),
        (
            "order",
            {"interval_start_utc": "0001-01-01T00:00+01:00"},
            "must be a time like 2026-01-31T16:15:00Z",
        ),
        ("limit", {"import_kw": -1.0}, "must be at least 0"),
        ("limit", {"import_kw": None}, "give at least one of import_kw and export_kw"),
        (
            "limit",
            {"from_utc": "2024-01-15T18:00Z", "to_utc": "2024-01-15T18:00Z"},
            "to_utc must be after from_utc",
        ),
        ("departure", {"at_local": "24:00"}, "must be a local time like 07:30"),
        ("departure", {"at_local": "7.30"}, "must be a local time like 07:30"),
        ("departure", {"soc_fraction": 0.5}, "give exactly one of energy_kwh and soc_fraction"),
        ("departure", {"at_local": None}, "give exactly one of at_utc and at_local"),
        ("departure", {"energy_kwh": None, "soc_fraction": 1.1}, "must be at most 1"),
        ("booking", {"to_utc": "2024-01-16T07:00Z"}, "to_utc must be after from_utc"),
        ("booking", {"energy_kwh": "much"}, "must be a number"),
        ("token", {"role": "mayor"}, "must be one of 'operator', 'grid', 'resident', 'fleet' or 'supplier'"),
        ("token", {"member": None}, "a resident's token needs a member"),
    ],
)
async def test_a_wrong_field_is_refused_and_changes_nothing(
    form: str, change: dict[str, object], rule: str
) -> None:
    """Each rule of each form, with its sentence."""
    api = make_api()
    method, path, token = _WHERE[form]
    answer = await api.call(method, path, token, {**_GOOD[form], **change})
    assert answer.status_code == 422, answer.text
    assert rule in [item["rule"].removesuffix(".0") for item in answer.json()["problems"]]
    assert not api.door.calls
    assert not api.door.imposed


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
async def test_numbers_that_are_none_are_refused(number: str) -> None:
    """JSON's odd numbers do not pass as limits."""
    api = make_api()
    headers = {**bearer("grid-token"), "Content-Type": "application/json"}
    content = f'{{"import_kw": {number}}}'
    answer = await api.client.post("/api/grid/nodes/feeder-1/limits", headers=headers, content=content)
    assert answer.status_code == 422
    assert not api.door.imposed


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "body: is missing"),
        (b'{"side": }', "body: is not valid JSON (look at character 10)"),
        (b"[]", "body: must be a JSON object"),
        (b"12", "body: must be a JSON object"),
        (b'{"side": "\xff"}', "body: is no JSON in UTF-8, or is nested too deeply"),
        (b"[" * 100_000, "body: is no JSON in UTF-8, or is nested too deeply"),
        (b'"text"', "body: must be a JSON object"),
    ],
)
async def test_bodies_that_are_no_object_are_refused(content: bytes, said: str) -> None:
    """Broken JSON and JSON of another kind, each with its place and rule."""
    api = make_api()
    headers = {**bearer("resident-token"), "Content-Type": "application/json"}
    answer = await api.client.post("/api/resident/orders?lang=en", headers=headers, content=content)
    assert (answer.status_code, answer.json()["detail"]) == (422, said)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_body_sent_as_a_form_is_told_how_to_send_it() -> None:
    """What curl does without a header gets the way out."""
    headers = {**bearer("resident-token"), "Content-Type": "application/x-www-form-urlencoded"}
    answer = await make_api().client.post(
        "/api/resident/orders?lang=en", headers=headers, content=b'{"order_id": "a"}'
    )
    assert answer.status_code == 422
    assert answer.json()["problems"][0]["way_out"].endswith("Content-Type: application/json")


async def test_unknown_paths_and_methods_are_problem_documents() -> None:
    """404 for what is not there, 405 with the methods that are."""
    api = make_api()
    nowhere = await api.call("GET", "/api/resident/nothing", "resident-token")
    patched = await api.call("PATCH", "/api/resident/orders", "resident-token")
    assert (nowhere.status_code, patched.status_code) == (404, 405)
    assert patched.headers["allow"] == "DELETE, GET, POST"
    assert nowhere.json()["type"] == "urn:wijkstroom:problem:not-found"


async def test_an_unforeseen_error_tells_nothing_of_the_inside() -> None:
    """500 with a plain sentence; the cause goes to the log."""

    class Broken(FakeDoor):
        async def metrics_text(self) -> str:
            raise RuntimeError("secret inside")

    answer = await make_api(Broken()).call("GET", "/metrics", "operator-token")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "secret" not in answer.text


async def test_answers_carry_the_safe_headers() -> None:
    """No sniffing, no framing, no telling of addresses."""
    answer = await make_api().call("GET", "/api/health", None)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
