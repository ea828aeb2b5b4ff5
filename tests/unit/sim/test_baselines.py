"""Baselines: what they promise by their names, on the same trips."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from controller.domain.time import AMSTERDAM, QUARTER, quarters_of_local_day
from sim.baselines import (
    BASELINES,
    FIXED_CAP,
    PLUG_AND_CHARGE,
    PRICE_FOLLOWING,
    BaselineRun,
    hours_to_full,
    is_among_cheapest,
    network_share_kw,
    next_ready_by,
)
from sim.recorder import Recorder
from sim.scenarios import PriceSeries, Scenario, Weather
from sim.world import PluggedIn
from tests.support.sim import START, scenario

QUARTERS = 96


@pytest.fixture(scope="module")
def built() -> Scenario:
    """The corner with twelve cars."""
    return scenario(chargers__count=12, cars__count=12)


@pytest.fixture(scope="module")
def books(built: Scenario) -> dict[str, Recorder]:
    """A day of all three."""
    found = {}
    for name in BASELINES:
        run = BaselineRun(name, built, weather=Weather(seed=1), prices=PriceSeries(), step_s=300.0)
        run.advance(built.start_utc + QUARTERS * QUARTER)
        found[name] = run.world.recorder
    return found


def test_all_run_the_same_day_with_the_same_departures(books: dict[str, Recorder]) -> None:
    """As many quarter-hours, the same bookings, nothing discharged."""
    assert tuple(books) == BASELINES
    trips = [[record.booking for record in run.departures] for run in books.values()]
    assert trips[0] == trips[1] == trips[2]
    assert len(trips[0]) > 5
    for run in books.values():
        assert run.quarters().shape[0] == QUARTERS
        assert all(energy.discharged == 0.0 for energy in run.energy)
    produced = [sum(energy.produced for energy in run.energy) for run in books.values()]
    assert produced[0] == pytest.approx(produced[1]) == pytest.approx(produced[2])


def test_plug_and_charge_keeps_every_possible_departure(books: dict[str, Recorder]) -> None:
    """Charging at full power from arrival is what 'possible' means."""
    for record in books[PLUG_AND_CHARGE].departures:
        if record.alone_kwh >= record.need_kwh:
            assert record.energy_kwh >= record.need_kwh - 0.1


def test_plug_and_charge_begins_on_arrival() -> None:
    """A minute after a car came home with room in its battery it charges at full, tapered power."""
    busy = scenario(
        chargers__count=30, cars__count=30, cars__bookings_per_day=3, start=START + timedelta(hours=15)
    )
    run = BaselineRun(PLUG_AND_CHARGE, busy, weather=Weather(seed=1), prices=PriceSeries(), step_s=60.0)
    seen = 0
    while seen < 3:
        run.advance(run.world.now + timedelta(minutes=1))
        arrived = [event for event in run._events if isinstance(event, PluggedIn)]
        if arrived:
            run.advance(run.world.now + timedelta(minutes=1))
            expected = run.world.car_charge_kw_max(arrived[0].vehicle)
            # The step's power is that of its beginning; the taper moves on while it lasts.
            assert run.world.charger_kw[arrived[0].charger] == pytest.approx(expected, abs=0.3)
            seen += 1
    assert run.world.now < START + timedelta(hours=24)


def test_price_following_charges_when_it_is_cheap(books: dict[str, Recorder]) -> None:
    """It pays less per kWh charged than plug and charge does."""
    prices = PriceSeries().values(START, QUARTERS)
    paid = {}
    for name in (PLUG_AND_CHARGE, PRICE_FOLLOWING):
        charged = np.array([energy.charged for energy in books[name].energy])
        paid[name] = float(charged @ prices / charged.sum())
    assert paid[PRICE_FOLLOWING] < 0.95 * paid[PLUG_AND_CHARGE]


def test_fixed_cap_holds_between_16_and_21_hours(built: Scenario) -> None:
    """In the evening no charger takes more than its share; at night it is free."""
    run = BaselineRun(FIXED_CAP, built, weather=Weather(seed=1), prices=PriceSeries(), step_s=300.0)
    share = network_share_kw(built)
    while run.world.now < START + timedelta(hours=22):
        run.advance(run.world.now + timedelta(minutes=5))
        hour = (run.world.now - timedelta(minutes=5)).astimezone(AMSTERDAM).hour
        if 16 <= hour < 21:
            assert np.all(run.world.charger_kw <= share + 1e-9)


def test_network_share_is_what_the_tightest_node_leaves(built: Scenario) -> None:
    """By hand: (0.95 limit - cold evening) / chargers below, the least on the path."""
    nodes = {node.id: i for i, node in enumerate(built.site.network.nodes)}
    share = network_share_kw(built)
    point = built.site.charge_points[0]
    by_hand = []
    for node_id in built.site.network.paths[point.node]:
        node = built.site.network.by_id[node_id]
        below = sum(node_id in built.site.network.paths[other.node] for other in built.site.charge_points)
        left = 0.95 * node.import_limit_kw() - built.high_load_kw[nodes[node_id]]
        by_hand.append(max(left, 0.0) / below)
    assert share[0] == pytest.approx(min(by_hand))


@pytest.mark.parametrize(
    ("prices", "count", "expected"),
    [
        ([3.0, 2.0, 1.0], 1, False),
        ([3.0, 2.0, 1.0], 2, False),
        ([3.0, 2.0, 1.0], 3, True),
        ([1.0, 1.0, 1.0], 1, True),
        ([2.0, 1.0, 2.0], 1, False),
        ([2.0, 1.0, 2.0], 2, True),
        ([2.0], 0, False),
        ([-1.0, 0.0], 1, True),
    ],
)
def test_cheapest_quarters(prices: list[float], count: int, expected: bool) -> None:  # noqa: FBT001  # a table's column
    """Strictly cheaper ones go first; on a tie the earlier does."""
    assert is_among_cheapest(np.array(prices), count) is expected


def test_hours_to_full_reckons_with_the_taper() -> None:
    """Half a battery: 25 kWh and half of the last 7.5 again, at 10 kW and 0.8."""
    hours = hours_to_full(missing_kwh=25.0, capacity_kwh=50.0, power_kw=10.0, efficiency=0.8)
    assert hours == pytest.approx((25.0 + 3.75) / 8.0)


def test_ready_by_is_the_next_seven_o_clock() -> None:
    """Also over midnight and over a change of clocks."""
    evening = datetime(2024, 3, 30, 20, tzinfo=UTC)
    assert next_ready_by(evening) == datetime(2024, 3, 31, 5, tzinfo=UTC)
    assert next_ready_by(datetime(2024, 1, 15, 5, 50, tzinfo=UTC)) == datetime(2024, 1, 16, 6, tzinfo=UTC)


@pytest.mark.parametrize(("day", "quarters"), [(date(2024, 3, 31), 92), (date(2024, 10, 27), 100)])
def test_days_with_a_change_of_clocks_run(day: date, quarters: int) -> None:
    """92 and 100 quarter-hours are recorded."""
    slots = quarters_of_local_day(day)
    built = scenario(start=slots[0])
    weather = Weather(seed=1)
    run = BaselineRun(PRICE_FOLLOWING, built, weather=weather, prices=PriceSeries(), step_s=900.0)
    run.advance(slots[-1] + timedelta(minutes=15))
    assert len(run.world.recorder.node_kw) == len(slots) == quarters
