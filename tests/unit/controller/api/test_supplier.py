"""The supplier's door: what is announced, what became of it, what that cost; and what the auction brings."""

from __future__ import annotations

import pytest

from controller.domain.time import QUARTER, utc_text
from tests.support.fake_supply import QUARTER_HOUR
from tests.support.web import Api, make_api

COST = {
    "interval_start_utc": utc_text(QUARTER_HOUR),
    "short_microeur_per_kwh": 40_000,
    "long_microeur_per_kwh": -5_000,
}


async def put(api: Api, *costs: dict[str, object]) -> int:
    """The status of telling costs."""
    answer = await api.call("PUT", "/api/supplier/imbalance-costs", "supplier-token", list(costs))
    return answer.status_code


async def test_a_nomination_names_nobody() -> None:
    """All customers together; a day without one is empty."""
    api = make_api()
    answer = await api.call("GET", "/api/supplier/nominations?day=2024-01-15", "supplier-token")
    assert answer.json() == [
        {
            "interval_start_utc": utc_text(QUARTER_HOUR),
            "kind": "day_ahead",
            "made_at_utc": utc_text(QUARTER_HOUR - QUARTER),
            "import_wh": 9000,
            "export_wh": 1000,
        }
    ]
    assert "resident" not in answer.text
    other = await api.call("GET", "/api/supplier/nominations?day=2024-01-16", "supplier-token")
    assert other.json() == []


async def test_nominations_as_a_table() -> None:
    """For programs that read no JSON."""
    path = "/api/supplier/nominations?day=2024-01-15&kind=intraday&format=csv"
    answer = await make_api().call("GET", path, "supplier-token")
    assert answer.headers["content-type"].startswith("text/csv")
    assert "nominations-intraday-2024-01-15.csv" in answer.headers["content-disposition"]
    assert answer.text.splitlines() == [
        "interval_start_utc,kind,made_at_utc,import_wh,export_wh",
        f"{utc_text(QUARTER_HOUR)},intraday,{utc_text(QUARTER_HOUR - QUARTER)},9000,1000",
    ]


async def test_costs_that_were_told_stand_beside_the_deviation() -> None:
    """500 Wh more than announced at 0.04 EUR/kWh; of what is not known nothing is said."""
    api = make_api()
    assert await put(api, COST) == 202
    rows = (await api.call("GET", "/api/supplier/imbalance?day=2024-01-15", "supplier-token")).json()
    assert (rows[0]["deviation_wh"], rows[0]["cost_nanoeur"]) == (500, 500 * 40_000)
    assert {value for name, value in rows[1].items() if name != "interval_start_utc"} == {None}


@pytest.mark.parametrize(
    ("costs", "status"),
    [
        ([], 422),
        ([COST, COST], 422),
        ([COST | {"interval_start_utc": "2024-01-15T17:01:00Z"}], 422),
        ([COST | {"short_microeur_per_kwh": 0.5}], 422),
        ([COST | {"short_microeur_per_kwh": 10**9}], 422),
        ([COST | {"interval_start_utc": utc_text(QUARTER_HOUR + QUARTER)}], 409),
    ],
)
async def test_wrong_costs_are_refused_and_nothing_is_kept(
    costs: list[dict[str, object]], status: int
) -> None:
    """None, twice the same, no quarter-hour, no whole number, beyond any price, not over yet."""
    api = make_api()
    assert await put(api, *costs) == status
    assert api.door.imbalance_costs == {}


async def test_a_mistake_in_a_years_costs_refuses_all_of_them() -> None:
    """A quarter-hour told twice, at the end of a year of them."""
    year = [COST | {"interval_start_utc": utc_text(QUARTER_HOUR - i * QUARTER)} for i in range(35_135)]
    api = make_api()
    assert await put(api, *year, COST) == 422
    assert api.door.imbalance_costs == {}


@pytest.mark.parametrize("route", ["nominations", "imbalance"])
@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
async def test_a_day_beyond_the_calendar_is_refused(route: str, day: str) -> None:
    """Its quarter-hours are no instants."""
    answer = await make_api().call("GET", f"/api/supplier/{route}?day={day}", "supplier-token")
    assert answer.status_code == 422


async def test_what_the_auction_brings_in_a_year() -> None:
    """A cent a day more than sharing, 3.65 EUR a year, less the fee of 1 EUR."""
    path = "/api/operator/benefit?first=2024-01-01&last=2024-01-31"
    (found,) = (await make_api().call("GET", path, "operator-token")).json()
    assert (found["days"], found["gain_cents_per_year"], found["saving_cents_per_year"]) == (31, 265, 630)


@pytest.mark.parametrize(
    "query", ["first=2024-01-02&last=2024-01-01", "first=2023-01-01&last=2024-01-02", ""]
)
async def test_a_report_over_no_days_or_too_many_is_refused(query: str) -> None:
    """Both ends are needed, in order, and at most a leap year."""
    answer = await make_api().call("GET", f"/api/operator/benefit?{query}", "operator-token")
    assert answer.status_code == 422


async def test_costs_are_taken_at_once_and_the_answer_says_where_to_look() -> None:
    """Booking a year takes minutes: nobody waits for it."""
    api = make_api()
    answer = await api.call("PUT", "/api/supplier/imbalance-costs", "supplier-token", [COST])
    assert (answer.status_code, answer.json()) == (202, {"days": 1, "see": "/api/supplier/closings"})
    assert answer.headers["location"] == "/api/supplier/closings"
    left = (await api.call("GET", answer.headers["location"], "supplier-token")).json()
    assert [(each["day"], each["why_not"]) for each in left] == [
        ("2024-01-15", "a rate is missing"),
        ("2024-01-16", None),
    ]
    assert (await api.call("GET", answer.headers["location"], "resident-token")).status_code == 403
