"""The residents' trading endpoint: refusals, changes, instructions, tokens, the stream, rate limits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from controller.api.app import create_app
from controller.api.rate import CALLERS_MAX, RateLimiter
from controller.api.resident.market import (
    HEARTBEAT_S,
    LOOK_EVERY_S,
    STREAMS_MAX,
    clearing_events,
)
from controller.api.server import WebServer
from controller.domain.ids import MemberId
from controller.domain.time import utc_text
from controller.runtime.desk import OrderRefusedError
from controller.runtime.ports import OrderRecord
from market.orders import Order, Refusal, RefusalCode
from tests.support.fake_door import FakeDoor
from tests.support.fake_views import RESIDENT
from tests.support.neighbourhood import START
from tests.support.web import Api, StandingClock, bearer, make_api

ORDER = {
    "order_id": "night-1",
    "side": "sell",
    "quantity_wh": 250,
    "limit_price_microeur_per_kwh": -5000,
    "interval_start_utc": "2024-01-15T18:00:00+01:00",
}
CLEARED = "2024-01-15T16:15:00Z"


async def call(api: Api, method: str, path: str, body: object = None, token: str = "") -> httpx.Response:
    """A request of home 7."""
    return await api.call(method, f"/api/resident/{path}", token or "resident-token", body)


async def test_a_refusal_says_why_in_a_code_and_a_sentence() -> None:
    """The same id with another body is 409, as is an order after the gate."""
    api = make_api()
    assert (await call(api, "POST", "orders", ORDER)).status_code == 201
    assert (await call(api, "POST", "orders", ORDER)).status_code == 201
    other = await call(api, "POST", "orders", {**ORDER, "quantity_wh": 300})
    late = await call(api, "POST", "orders", {**ORDER, "order_id": "x", "interval_start_utc": CLEARED})
    for answer, code in ((other, "duplicate"), (late, "gate_closed")):
        assert answer.status_code == 409
        assert answer.headers["content-type"] == "application/problem+json"
        (refusal,) = answer.json()["refusals"]
        assert refusal["code"] == code
        assert refusal["sentence"] in answer.json()["detail"]


def page_row(code: str) -> str:
    """The row of `deploy/formats/trading.md` about a code."""
    page = (Path(__file__).parents[4] / "deploy/formats/trading.md").read_text(encoding="utf-8")
    (row,) = [line for line in page.splitlines() if line.startswith("|") and f"`{code}`" in line]
    return row


@pytest.mark.parametrize("code", [code for code in RefusalCode if code != "token_expired"])
async def test_a_refusal_has_the_status_that_the_page_says(code: RefusalCode) -> None:
    """Every code stands in `deploy/formats/trading.md` with its status."""
    api = make_api()

    async def refuse(order: Order, member: MemberId) -> OrderRecord:  # noqa: ARG001
        raise OrderRefusedError([Refusal(code=code, sentence="because")])

    api.door.place_order = refuse  # type: ignore[method-assign]
    answer = await call(api, "POST", "orders", ORDER)
    assert f"| {answer.status_code} |" in page_row(code)
    (refusal,) = answer.json()["refusals"]
    assert (refusal["code"], refusal["sentence"]) == (code, "because")
    assert refusal["place"]
    assert refusal["way_out"]


async def test_an_order_carries_label_end_and_link() -> None:
    """What was asked is told back; a link's efficiency is a share."""
    api = make_api()
    extra = {
        "label": "neighbour",
        "valid_until_utc": "2024-01-15T16:50:00Z",
        "link": {"name": "battery", "efficiency_ppm": 900_000},
    }
    placed = await call(api, "POST", "orders", {**ORDER, **extra})
    assert {name: placed.json()[name] for name in extra} == extra
    wrong = {"label": "cheap", "link": {"name": "", "efficiency_ppm": 1_000_001}}
    refused = await call(api, "POST", "orders", {**ORDER, **wrong})
    assert refused.status_code == 422
    places = {problem["place"] for problem in refused.json()["problems"]}
    assert places == {"label", "link.name", "link.efficiency_ppm"}


async def test_a_round_trip_is_linked_orders() -> None:
    """Charged at up to 0.08 EUR, sold at 0.08 / 0.9 + 0.03 EUR at least; to sell before is a mistake."""
    api = make_api()
    trip = {
        "id": "tonight",
        "link": {"name": "battery", "efficiency_ppm": 900_000},
        "charge_in_utc": ["2024-01-15T18:00:00Z"],
        "charge_wh": 1000,
        "buy_at_most_microeur_per_kwh": 80_000,
        "sell_in_utc": ["2024-01-15T20:00:00Z"],
        "sell_wh": 900,
        "sale_adder_microeur_per_kwh": 30_000,
    }
    placed = await call(api, "POST", "round-trips", trip)
    assert placed.status_code == 201
    rows = [
        (order["order_id"], order["side"], order["limit_price_microeur_per_kwh"]) for order in placed.json()
    ]
    assert rows == [("tonight-buy-0", "buy", 80_000), ("tonight-sell-0", "sell", 118_889)]
    early = await call(api, "POST", "round-trips", {**trip, "sell_in_utc": ["2024-01-15T18:00:00Z"]})
    assert early.status_code == 422
    assert early.json()["problems"][0]["place"] == "sell_in_utc.0"


async def test_an_order_is_changed_by_another() -> None:
    """The new one stands, the old one is cancelled; a stranger's is not found."""
    api = make_api()
    await call(api, "POST", "orders", ORDER)
    changed = await call(api, "PUT", "orders/night-1", {**ORDER, "order_id": "night-2", "quantity_wh": 300})
    assert (changed.status_code, changed.json()["order_id"]) == (200, "night-2")
    assert (await call(api, "GET", "orders/night-1")).json()["status"] == "cancelled"
    strange = await call(api, "PUT", "orders/night-2", {**ORDER, "order_id": "z"}, token="neighbour-token")  # noqa: S106
    assert strange.status_code == 404


async def test_an_order_that_lapsed_says_why() -> None:
    """Its member did not cancel it, and can read what became of it."""
    door = FakeDoor()
    api = make_api(door)
    await call(api, "POST", "orders", ORDER)
    record = door.kept_orders["night-1"]
    door.kept_orders["night-1"] = replace(record, cancelled_at=START, lapsed_because=RefusalCode.UNKNOWN_NODE)
    told = (await call(api, "GET", "orders/night-1")).json()
    assert (told["status"], told["lapsed_because"]["code"]) == ("lapsed", "unknown_node")
    assert told["lapsed_because"]["sentence"] == "its node is no longer in the network"


@pytest.mark.parametrize(
    "wanted",
    [
        {"sell_surplus": {"min_price_microeur_per_kwh": 90_000}},
        {"give_surplus": {}},
        {
            "leave_at": {
                "vehicle": "car-1",
                "at_local": "08:00",
                "soc_fraction": 0.6,
                "weekdays": [0, 4],
            }
        },
    ],
)
async def test_a_standing_instruction_is_left_listed_and_ended(wanted: dict[str, object]) -> None:
    """It reads back as it was left; others neither see nor end it."""
    api = make_api()
    left = await call(api, "POST", "instructions", {"id": "mine", **wanted})
    assert left.status_code == 201
    kinds = dict.fromkeys(("sell_surplus", "give_surplus", "leave_at"))
    stands = {"id": "mine", **kinds, **wanted, "created_at_utc": utc_text(api.door.now)}
    assert left.json() == stands
    assert (await call(api, "GET", "instructions")).json() == [stands]
    neighbour = "neighbour-token"
    assert (await call(api, "GET", "instructions", token=neighbour)).json() == []
    assert (await call(api, "DELETE", "instructions/mine", token=neighbour)).status_code == 404
    assert (await call(api, "DELETE", "instructions/mine")).status_code == 200
    assert (await call(api, "GET", "instructions")).json() == []


@pytest.mark.parametrize(
    "wanted", [{}, {"give_surplus": {}, "sell_surplus": {"min_price_microeur_per_kwh": 1}}]
)
async def test_an_instruction_wants_one_thing(wanted: dict[str, object]) -> None:
    """None or two are a mistake, an empty one (give the surplus) is not."""
    refused = await call(make_api(), "POST", "instructions", {"id": "mine", **wanted})
    assert refused.status_code == 422
    assert "exactly one of sell_surplus, give_surplus and leave_at" in refused.json()["detail"]


async def test_a_programs_token_may_do_what_it_was_made_for() -> None:
    """With `read` it looks, without `orders` it does not trade, and it never makes tokens or opens pages."""
    api = make_api()
    made = await call(api, "POST", "tokens", {"label": "viewer", "scopes": ["read"]})
    token = made.json()["token"]
    assert (await call(api, "GET", "orders", token=token)).status_code == 200
    assert (await api.call("GET", "/api/resident/postings/p-1/proof", token)).status_code == 200
    for method, path, body in (
        ("POST", "orders", ORDER),
        ("PUT", "orders/night-1", ORDER),
        ("DELETE", "orders/night-1", None),
        ("POST", "instructions", {"id": "mine", "give_surplus": {}}),
        ("PUT", "assets/car-1/mode", {"mode": "pause"}),
        ("GET", "tokens", None),
        ("POST", "tokens", {"label": "more", "scopes": ["read"]}),
    ):
        assert (await call(api, method, path, body, token)).status_code == 403, path
    trader = (await call(api, "POST", "tokens", {"label": "trader", "scopes": ["orders"]})).json()["token"]
    assert (await call(api, "POST", "orders", ORDER, trader)).status_code == 201
    assert (await call(api, "GET", "orders", token=trader)).status_code == 403


async def test_a_token_is_taken_back_by_the_start_of_its_hash() -> None:
    """It opens nothing any more; the neighbour cannot take it back."""
    api = make_api()
    token = (await call(api, "POST", "tokens", {"label": "viewer", "scopes": ["read"]})).json()["token"]
    listed = (await call(api, "GET", "tokens")).json()
    (shown,) = [row["token_hash"] for row in listed if row["label"] == "viewer"]
    assert (await call(api, "DELETE", f"tokens/{shown}", token="neighbour-token")).status_code == 404  # noqa: S106
    assert (await call(api, "DELETE", f"tokens/{shown[:3]}")).status_code == 422
    assert (await call(api, "DELETE", f"tokens/{shown}")).status_code == 200
    assert (await call(api, "GET", "orders", token=token)).status_code == 401


async def test_a_token_ends_and_can_be_renewed_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made for 30 days and renewed once; when it has ended the refusal says so by code."""
    door = FakeDoor()
    api = make_api(door)
    made = (
        await call(api, "POST", "tokens", {"label": "viewer", "scopes": ["read"], "valid_days": 30})
    ).json()
    (row,) = [one for one in (await call(api, "GET", "tokens")).json() if one["label"] == "viewer"]
    assert (made["valid_days"], row["expires_at_utc"]) == (30, utc_text(door.now + timedelta(days=30)))
    renewed = await call(api, "POST", f"tokens/{row['token_hash']}/renewal")
    assert renewed.json() == {"expires_at_utc": utc_text(door.now + timedelta(days=365))}
    others = await call(api, "POST", f"tokens/{row['token_hash']}/renewal", token="neighbour-token")  # noqa: S106
    assert others.status_code == 404
    monkeypatch.setattr(door, "now", door.now + timedelta(days=365))
    late = await call(api, "GET", "orders", token=made["token"])
    assert (late.status_code, late.json()["refusals"][0]["code"]) == (401, "token_expired")
    assert "| 401 |" in page_row("token_expired")
    assert 'error="invalid_token"' in late.headers["WWW-Authenticate"]
    too_long = await call(api, "POST", "tokens", {"label": "x", "scopes": ["read"], "valid_days": 366})
    assert too_long.status_code == 422


async def test_the_book_is_open_once_it_is_cleared() -> None:
    """Depth and matches of a quarter-hour to come are not there."""
    api = make_api()
    for path in ("depth", "matches"):
        assert (await call(api, "GET", f"{path}?interval_start_utc={CLEARED}")).status_code == 200
        assert (await call(api, "GET", f"{path}?interval_start_utc=2024-01-15T18:00:00Z")).status_code == 404
        assert (await call(api, "GET", f"{path}?interval_start_utc=2024-01-15T18:01:00Z")).status_code == 422


async def test_too_many_requests_are_told_when_to_come_back() -> None:
    """429 with Retry-After as a problem document; tokens of one member share, the neighbour's goes on."""
    api = make_api()
    api.app.state.limiter = RateLimiter(burst=3, per_s=0.5)
    api.app.state.machine_clock = clock = StandingClock()
    token = (await call(api, "POST", "tokens", {"label": "viewer", "scopes": ["read"]})).json()["token"]
    assert (await call(api, "GET", "orders")).status_code == 200
    assert (await call(api, "GET", "orders", token=token)).status_code == 200
    refused = await call(api, "GET", "orders", token=token)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "2")
    assert refused.json()["type"] == "urn:wijkstroom:problem:too-many-requests"
    assert (await call(api, "GET", "orders", token="neighbour-token")).status_code == 200  # noqa: S106
    clock.now_s += 2.0
    assert (await call(api, "GET", "orders")).status_code == 200


def test_buckets_do_not_pile_up() -> None:
    """Callers whose bucket is full again are forgotten; one that has used theirs up is not."""
    limiter = RateLimiter(burst=2, per_s=1.0)
    for number in range(CALLERS_MAX):
        limiter.take(f"caller-{number}", 0.0)
    for _ in range(2):
        assert limiter.take("busy", 60.0) == 0
    assert limiter.take("busy", 60.0) == 1
    assert len(limiter._buckets) < 10


def test_buckets_of_ten_thousand_busy_callers_are_no_more_than_ten_thousand() -> None:
    """Also where none is full again; those that asked last are still held."""
    limiter = RateLimiter(burst=1, per_s=0.001)
    for number in range(CALLERS_MAX + 5):
        assert limiter.take(f"caller-{number}", 0.0) == 0
    assert len(limiter._buckets) <= CALLERS_MAX
    assert limiter.take(f"caller-{CALLERS_MAX}", 0.0) > 0


class Listener:
    """Reads a stream while the street's clock does not run: each wait is written down."""

    def __init__(self, door: FakeDoor, after: str | None) -> None:
        self.door = door
        self.waited_s = 0.0
        self.clear_after_s: list[float] = []
        start = (
            None if after is None else next(r for r in door.results if utc_text(r.interval_start) == after)
        )
        self.events = clearing_events(
            door, RESIDENT, None if start is None else start.interval_start, self._stands, sleep=self._sleep
        )
        self.revoked = False

    async def _stands(self) -> bool:
        return not self.revoked

    async def _sleep(self, seconds: float) -> None:
        self.waited_s += seconds
        if self.clear_after_s and self.waited_s >= self.clear_after_s[0]:
            self.clear_after_s.pop(0)
            self.door.clear_next()

    async def next(self) -> str:
        """The next event or comment."""
        return (await anext(self.events)).decode()


async def test_a_stream_tells_of_the_next_clearing_and_not_of_old_ones() -> None:
    """From now on, each once, within one look."""
    door = FakeDoor()
    listener = Listener(door, None)
    assert await listener.next() == ": open\n\n"
    listener.clear_after_s = [1.0, 2.0]
    for number in (1, 2):
        lines = (await listener.next()).splitlines()
        start = utc_text(door.results[number].interval_start)
        assert lines[:2] == [f"id: {start}", "event: clearing"]
        data = json.loads(lines[2].removeprefix("data: "))
        assert data["interval_start_utc"] == start
        assert data["fills"] == []
        assert listener.waited_s == number


async def test_a_lost_line_is_made_up_for() -> None:
    """After the last event that was heard come the missed ones, in their order, with one's own fills."""
    door = FakeDoor()
    door.results.insert(0, door.results[0])
    first = door.results[0].interval_start - timedelta(minutes=15)
    door.results[0] = type(door.results[0])(
        interval_start=first,
        price_microeur_per_kwh={},
        fills=(),
        congestion_rent_nanoeur=0,
        welfare_nanoeur=0,
    )
    door.clear_next()
    listener = Listener(door, utc_text(first))
    await listener.next()
    heard = [await listener.next(), await listener.next()]
    assert [event.splitlines()[0] for event in heard] == [
        "id: 2024-01-15T16:15:00Z",
        "id: 2024-01-15T16:30:00Z",
    ]
    assert [fill["order_id"] for fill in json.loads(heard[0].splitlines()[2][6:])["fills"]] == ["evening-1"]


async def test_a_stream_ends_when_its_token_is_taken_back() -> None:
    """What happens after that is not told any more."""
    listener = Listener(FakeDoor(), None)
    assert await listener.next() == ": open\n\n"
    listener.clear_after_s = [1.0]
    listener.revoked = True
    with pytest.raises(StopAsyncIteration):
        await listener.next()


async def test_a_silent_stream_is_kept_open() -> None:
    """A comment now and then."""
    listener = Listener(FakeDoor(), None)
    await listener.next()
    assert await listener.next() == ": still here\n\n"
    assert HEARTBEAT_S <= listener.waited_s <= HEARTBEAT_S + LOOK_EVERY_S


@pytest.fixture
async def street() -> AsyncIterator[tuple[FakeDoor, httpx.AsyncClient]]:
    """The API on a real socket."""
    door = FakeDoor()
    app = create_app(door, console=False, storage_secret="a secret of the tests")  # noqa: S106  # no secret
    server = WebServer(app, "127.0.0.1", 0)
    server.start()
    try:
        async with httpx.AsyncClient(base_url=server.url, headers=bearer("resident-token")) as client:
            yield door, client
    finally:
        server.stop()


async def test_the_stream_runs_over_a_socket_and_gives_its_place_back(
    street: tuple[FakeDoor, httpx.AsyncClient],
) -> None:
    """A program hears a clearing; one stream too many is refused, and let in once another is closed."""
    door, client = street
    async with client.stream("GET", "/api/resident/stream") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = stream.aiter_lines()
        assert await anext(lines) == ": open"
        door.clear_next()
        heard = [line async for line in _until_blank(lines)]
        assert heard[1] == "event: clearing"
        others = [client.stream("GET", "/api/resident/stream") for _ in range(STREAMS_MAX)]
        answers = [await other.__aenter__() for other in others]
        assert [answer.status_code for answer in answers] == [200] * (STREAMS_MAX - 1) + [429]
        for other in others:
            await other.__aexit__(None, None, None)
    for _ in range(100):
        if await _status(client) == 200:
            break
        await asyncio.sleep(0.05)  # the server hears of a closed line in its own time
    else:
        raise AssertionError("closed streams keep their places")
    bad = await client.get("/api/resident/stream", headers={"Last-Event-ID": "yesterday"})
    assert bad.status_code == 422
    async with client.stream("GET", "/api/resident/stream") as stream:
        lines = stream.aiter_lines()
        assert await anext(lines) == ": open"
        del door.tokens["resident-token"]
        async with asyncio.timeout(30.0):
            assert [line async for line in lines if line] == []


async def test_streams_that_are_asked_for_at_once_are_counted_one_by_one(
    street: tuple[FakeDoor, httpx.AsyncClient],
) -> None:
    """Three times as many as a member may have: so many are let in, each other is refused with the rule."""
    _, client = street
    asked = [client.stream("GET", "/api/resident/stream") for _ in range(3 * STREAMS_MAX)]
    answers = await asyncio.gather(*(one.__aenter__() for one in asked))
    try:
        statuses = sorted(answer.status_code for answer in answers)
        assert statuses == [200] * STREAMS_MAX + [429] * (2 * STREAMS_MAX)
        refused = next(answer for answer in answers if answer.status_code == 429)
        document = json.loads(await refused.aread())
        assert (refused.headers["retry-after"], document["type"]) == (
            "60",
            "urn:wijkstroom:problem:too-many-requests",
        )
    finally:
        for one in asked:
            await one.__aexit__(None, None, None)


async def _status(client: httpx.AsyncClient) -> int:
    """How one more stream is answered."""
    async with client.stream("GET", "/api/resident/stream") as stream:
        return stream.status_code


async def _until_blank(lines: AsyncIterator[str]) -> AsyncIterator[str]:
    """The next event's lines."""
    seen = False
    async for line in lines:
        if line:
            seen = True
            yield line
        elif seen:
            return
