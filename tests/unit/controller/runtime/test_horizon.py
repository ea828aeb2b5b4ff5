"""From bookings and batteries to stays, trips and steps."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from controller.config import PlanningSettings, Settings
from controller.dispatch.inputs import problems
from controller.dispatch.solve import solve_quick
from controller.domain.assets import Booking, Departure, Wishes
from controller.domain.ids import AssetId, NodeId
from controller.domain.network import ImposedLimit
from controller.domain.time import QUARTER
from controller.domain.units import MICROEUR_PER_EUR
from controller.domain.v2g import V2gBudget, V2gUse
from controller.runtime.car_store import CarNow
from controller.runtime.expected import planned_energy
from controller.runtime.horizon import Horizon, HorizonFacts, build_horizon, step_boundaries
from controller.runtime.people import People
from controller.runtime.plan import ActivePlan
from controller.sharing_settings import SharingSettings
from controller.supplier_settings import SupplierSettings
from market.from_plan import PLAN_MARGIN_MICROEUR_PER_KWH
from market.rates import Rate, RateKind
from tests.support.neighbourhood import START, site, vehicle

HOUR = timedelta(hours=1)


def car(**changes: object) -> CarNow:
    """A plugged-in car with 30 kWh."""
    base = CarNow(
        vehicle=vehicle(1),
        charge_point=AssetId("cp-1"),
        node=NodeId("f1"),
        charge_kw_max=11.0,
        discharge_kw_max=11.0,
        energy_kwh=30.0,
        paused=False,
        charge_now=False,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def booking(number: int, start: datetime, hours: float) -> Booking:
    """A booking of car 1 that takes 12 kWh."""
    return Booking(
        id=f"b{number}",
        vehicle=AssetId("car-1"),
        from_utc=start,
        to_utc=start + hours * HOUR,
        energy_kwh=12.0,
    )


def horizon(
    cars: list[CarNow],
    people: People,
    now: datetime = START,
    planning: PlanningSettings | None = None,
    sharing: SharingSettings | None = None,
) -> Horizon:
    """A horizon with nothing but cars."""
    boundaries = step_boundaries(now, 36.0)
    steps = len(boundaries) - 1
    facts = HorizonFacts(
        cars=cars,
        batteries=[(site().batteries[0], 50.0, True)],
        base_kw={NodeId("f1"): np.full(steps, 3.0)},
        sun_kw={NodeId("f1"): np.zeros(steps)},
        import_price_eur_per_kwh=np.full(steps, 0.2),
        export_price_eur_per_kwh=np.full(steps, 0.1),
    )
    settings = Settings(planning=planning or PlanningSettings(), sharing=sharing or SharingSettings())
    return build_horizon(now, boundaries, site(), settings, people, facts)


@pytest.mark.parametrize(
    "now",
    [
        START,
        START + timedelta(minutes=7, seconds=13),
        START + timedelta(minutes=14, seconds=50),
        datetime(2024, 3, 30, 22, 3, tzinfo=UTC),
        datetime(2024, 10, 26, 21, 3, tzinfo=UTC),
    ],
)
def test_steps_begin_now_and_end_on_quarters(now: datetime) -> None:
    """Also on the days with 92 and 100 quarter-hours; no step is a sliver."""
    bounds = step_boundaries(now, 36.0)
    assert bounds[0] == now
    assert all(at.minute % 15 == 0 and at.second == 0 for at in bounds[1:])
    lengths = [(b - a).total_seconds() for a, b in zip(bounds, bounds[1:], strict=False)]  # noqa: RUF007
    assert min(lengths) >= 30.0
    assert bounds[-1] - now >= 36 * HOUR


def test_a_booking_makes_a_stay_a_trip_and_a_return() -> None:
    """Away from 20:00 to 23:00 UTC: back half an hour later for the plan; a valid problem."""
    people = People(bookings={"b1": booking(1, START + 3 * HOUR, 3)})
    made = horizon([car()], people)
    assert problems(made.inputs) == []
    store = made.inputs.stores[0]
    early, first, second = store.stays
    assert made.boundaries[early.to_step] == START + 3 * HOUR - HOUR / 4
    assert made.boundaries[first.to_step] == START + 3 * HOUR
    assert made.boundaries[second.from_step] >= START + 6.5 * HOUR
    # The trip, the minimum and the reserve of the booking, and the plan's margin.
    assert first.departure_min_kwh == pytest.approx(12.0 + 12.0 + 2.0 + 0.5)
    assert [trip.energy_kwh for trip in store.trips] == [12.0]
    assert not store.plugged[store.trips[0].step]


def test_a_car_that_should_have_left_is_still_here() -> None:
    """Its booking began ten minutes ago and it is plugged in: the first step is all there is to charge in."""
    people = People(bookings={"b1": booking(1, START - timedelta(minutes=10), 2)})
    store = horizon([car()], people).inputs.stores[0]
    assert store.stays[0].from_step == 0
    assert store.stays[0].to_step == 1
    assert store.stays[0].departure_min_kwh is not None


def test_a_car_that_is_away_comes_back() -> None:
    """Its booking ends in an hour; before that it is not in the plan."""
    people = People(bookings={"b1": booking(1, START - HOUR, 2)})
    made = horizon([car(charge_point=None)], people)
    assert problems(made.inputs) == []
    assert made.boundaries[made.inputs.stores[0].stays[0].from_step] >= START + 1.5 * HOUR
    assert made.charge_point_of == {}


def test_a_drivers_own_departure_stands_beside_bookings() -> None:
    """40 kWh wanted in five hours without any booking."""
    wish = Wishes(
        asset=AssetId("car-1"),
        departure=Departure(vehicle=AssetId("car-1"), at_utc=START + 5 * HOUR, energy_kwh=40.0),
    )
    store = horizon([car()], People(wishes={AssetId("car-1"): wish})).inputs.stores[0]
    assert [stay.departure_min_kwh for stay in store.stays] == [40.5, 40.5, None]
    assert [stay.from_step for stay in store.stays[1:]] == [stay.to_step for stay in store.stays[:-1]]


def test_an_unknown_energy_is_reckoned_empty_and_never_discharged() -> None:
    """Nothing is made up; nor is it said to be below its minimum, which would be bought at any price."""
    store = horizon([car(energy_kwh=None)], People()).inputs.stores[0]
    assert store.initial_kwh == store.min_kwh == 0.0
    assert not store.two_way


def test_a_paused_car_takes_no_power() -> None:
    """It stays in the plan, with nothing to give or take."""
    store = horizon([car(paused=True)], People()).inputs.stores[0]
    assert store.charge_kw_max.max() == 0.0
    assert not store.two_way


def test_the_grid_operators_limit_is_planned_around_while_it_holds() -> None:
    """10 kW from 18:00 to 20:00 UTC, less the plan's margin of 5%."""
    limit = ImposedLimit(
        id="x",
        node=NodeId("f1"),
        import_kw=10.0,
        export_kw=None,
        from_utc=START + HOUR,
        to_utc=START + 3 * HOUR,
        set_by="grid",
    )
    made = horizon([car()], People(limits={"x": limit}))
    node = next(node for node in made.inputs.nodes if node.id == "f1")
    for at, most in zip(made.boundaries, node.import_limit_kw.tolist(), strict=False):
        held = START + HOUR <= at < START + 3 * HOUR
        assert most == pytest.approx(9.5 if held else 34.5 * 0.95)


def test_many_bookings_close_together_stay_a_valid_problem() -> None:
    """Trips of ten minutes, back to back, beyond the horizon: no stay overlaps, every trip is outside."""
    people = People(
        bookings={f"b{i}": booking(i, START + i * HOUR / 2, 0.2) for i in range(90)},
    )
    assert problems(horizon([car()], people).inputs) == []


def test_a_drivers_departure_before_the_next_booking_is_planned() -> None:
    """50 kWh in three hours, though the car is booked tomorrow."""
    wish = Wishes(
        asset=AssetId("car-1"),
        departure=Departure(vehicle=AssetId("car-1"), at_utc=START + 3 * HOUR, energy_kwh=50.0),
    )
    people = People(bookings={"b1": booking(1, START + 12 * HOUR, 2)}, wishes={AssetId("car-1"): wish})
    made = horizon([car()], people)
    assert problems(made.inputs) == []
    _early, first, second, *_ = made.inputs.stores[0].stays
    assert made.boundaries[first.to_step] == START + 3 * HOUR
    assert first.departure_min_kwh == pytest.approx(50.5)
    assert second.from_step == first.to_step
    assert made.boundaries[second.to_step] <= START + 12 * HOUR


def test_of_two_departures_at_the_same_moment_the_larger_counts() -> None:
    """A booking that needs 26 kWh and a driver who asks for 20 at the same time."""
    start = START + 5 * HOUR
    wish = Wishes(
        asset=AssetId("car-1"), departure=Departure(vehicle=AssetId("car-1"), at_utc=start, energy_kwh=20.0)
    )
    people = People(bookings={"b1": booking(1, start, 2)}, wishes={AssetId("car-1"): wish})
    assert horizon([car()], people).inputs.stores[0].stays[0].departure_min_kwh == pytest.approx(26.5)


def budgeted(used_kwh: float, *, life_years: float = 10.0) -> CarNow:
    """A car that may give back 1000 kWh from this day on, and has given back some of it."""
    budget = V2gBudget(energy_kwh=1000.0, since=START.date(), life_years=life_years)
    return car(vehicle=replace(vehicle(1), v2g_budget=budget), v2g_use=V2gUse(energy_kwh=used_kwh))


@pytest.mark.parametrize(("used_kwh", "price"), [(0.0, 0.0), (500.0, 0.08), (750.0, 0.24)])
def test_a_lifetime_budget_makes_discharge_dearer(used_kwh: float, price: float) -> None:
    """On the first day half is gone: as dear again as a day's usual spread, on top of wear."""
    store = horizon([budgeted(used_kwh)], People()).inputs.stores[0]
    assert store.two_way
    # The life is an hour or so shorter by now.
    expected = vehicle(1).wear_eur_per_kwh_discharged + price
    assert store.wear_eur_per_kwh_discharged == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("used_kwh", [1000.0, 1200.0, 999.999])
def test_a_budget_that_is_used_up_ends_discharge(used_kwh: float) -> None:
    """Also where so little is left that no price of energy pays for it; charging goes on."""
    made = horizon([budgeted(used_kwh)], People())
    store = made.inputs.stores[0]
    assert not store.two_way
    assert store.charge_kw_max.max() == 11.0
    assert problems(made.inputs) == []


def leaves_in(hours: float, energy_kwh: float) -> People:
    """The driver of car 1 wants that much in so many hours."""
    departure = Departure(vehicle=AssetId("car-1"), at_utc=START + hours * HOUR, energy_kwh=energy_kwh)
    return People(wishes={AssetId("car-1"): Wishes(asset=AssetId("car-1"), departure=departure)})


def test_what_cannot_be_there_early_is_not_asked_early() -> None:
    """11 kW for three quarters of an hour brings 7.67 of the 20 kWh that are wanted in an hour."""
    store = horizon([car()], leaves_in(1.0, 50.0)).inputs.stores[0]
    early, real, _ = store.stays
    assert early.departure_min_kwh == pytest.approx(30.0 + 0.75 * 11.0 * vehicle(1).efficiency_charge)
    assert real.departure_min_kwh == 50.5


@pytest.mark.parametrize(("early_s", "wishes"), [(0.0, 1), (900.0, 2), (86_400.0, 1)])
def test_how_early_is_a_setting(early_s: float, wishes: int) -> None:
    """None where it is 0, and none where that moment has passed already."""
    planning = PlanningSettings(early_departure_s=early_s)
    store = horizon([car()], leaves_in(3.0, 40.0), planning=planning).inputs.stores[0]
    assert sum(stay.departure_min_kwh is not None for stay in store.stays) == wishes


def dear_then_cheap(leaves_h: list[float] | None, wish_kwh: float = 41.0) -> Horizon:
    """Car 1 leaves in six hours; power is cheap in the last two, its past tells when it may leave."""
    boundaries = step_boundaries(START, 36.0)
    price = np.where(np.arange(len(boundaries) - 1) < 16, 0.30, 0.10)
    facts = HorizonFacts(
        cars=[car(leaves_h=None if leaves_h is None else np.array(leaves_h))],
        batteries=[],
        base_kw={},
        sun_kw={},
        import_price_eur_per_kwh=price,
        export_price_eur_per_kwh=price - 0.05,
    )
    return build_horizon(START, boundaries, site(), Settings(), leaves_in(6.0, wish_kwh), facts)


def test_a_car_that_often_leaves_early_is_to_be_ready_earlier() -> None:
    """A driver of whom one in two leaves after three hours: the cheap hours come too late."""
    made = dear_then_cheap([3.0] * 10 + [6.0] * 10)
    ready = made.ready_by[AssetId("car-1")]
    assert START + HOUR < ready <= START + 3 * HOUR
    first = made.inputs.stores[0].stays[0]
    assert made.boundaries[first.to_step] == ready
    assert first.departure_min_kwh == 41.5


def test_a_car_that_stays_as_long_as_it_says_waits_for_cheap_hours() -> None:
    """Its past, or none, leaves the quarter-hour that everyone has."""
    for past in ([6.0] * 20, None):
        first = dear_then_cheap(past).inputs.stores[0].stays[0]
        assert first.to_step == 23
    assert dear_then_cheap(None).ready_by == {}


def test_a_car_that_has_what_it_needs_is_not_hurried() -> None:
    """Whenever its driver leaves, nothing is missing."""
    assert dear_then_cheap([1.0] * 20, wish_kwh=20.0).ready_by == {}


def test_a_late_return_is_a_setting() -> None:
    """Two hours after its booking, which ends in an hour."""
    people = People(bookings={"b1": booking(1, START - HOUR, 2)})
    late = PlanningSettings(return_margin_s=7200.0)
    made = horizon([car(charge_point=None)], people, planning=late)
    assert made.boundaries[made.inputs.stores[0].stays[0].from_step] == START + 3 * HOUR


def limits_with_sun(base_kw: float, sun_kw: float, low: float) -> list[float]:
    """The import limits [kW] of transformer and feeder 1 with that load and sun under the feeder."""
    boundaries = (START, START + HOUR / 4)
    facts = HorizonFacts(
        cars=[],
        batteries=[],
        base_kw={NodeId("f1"): np.array([base_kw])},
        sun_kw={NodeId("f1"): np.array([sun_kw])},
        sun_low_share=np.array([low]),
        import_price_eur_per_kwh=np.array([0.2]),
        export_price_eur_per_kwh=np.array([0.1]),
    )
    made = build_horizon(START, boundaries, site(), Settings(), People(), facts)
    assert made.inputs.pv[0].available_kw[0] == sun_kw
    return [float(node.import_limit_kw[0]) for node in made.inputs.nodes[:2]]


def test_limits_do_not_count_on_sun_that_may_not_come() -> None:
    """Of 20 kW three quarters may not come: 15 kW are kept free at the feeder and above it."""
    surest, careful = limits_with_sun(10.0, 20.0, 1.0), limits_with_sun(10.0, 20.0, 0.25)
    assert np.subtract(surest, careful) == pytest.approx([15.0, 15.0])


def test_the_suns_margin_alone_breaks_no_limit() -> None:
    """A feeder with hardly room for its load at the expected sun: no discharge is wrung out of the cars."""
    surest = limits_with_sun(0.0, 0.0, 1.0)[1]
    careful = limits_with_sun(surest + 15.0, 20.0, 0.25)[1]
    assert careful == pytest.approx(surest - 5.0)
    assert limits_with_sun(surest + 30.0, 20.0, 0.25)[1] == pytest.approx(surest)


def test_a_plan_counts_with_the_rates_that_bills_are_made_of() -> None:
    """Tax and network tariff with VAT on what is charged, the refund on what is discharged, by their days."""
    began = START - 365 * 24 * HOUR
    raised = START + HOUR
    rates = (
        Rate(kind=RateKind.ENERGY_TAX, value=100_000, from_utc=began, to_utc=raised, source="law"),
        Rate(kind=RateKind.ENERGY_TAX, value=120_000, from_utc=raised, source="law"),
        Rate(kind=RateKind.NETWORK, value=50_000, from_utc=began, source="grid"),
        Rate(kind=RateKind.STORAGE_REFUND, value=100_000, from_utc=began, source="law"),
        Rate(kind=RateKind.VAT, value=210_000, from_utc=began, source="law"),
    )
    made = horizon([car()], People(), START, sharing=SharingSettings(rates=rates))
    charged = [0.1815 if start < raised else 0.2057 for start in made.boundaries[:-1]]
    assert len(set(charged)) == 2
    assert len(made.inputs.stores) == 2
    for store in made.inputs.stores:
        assert store.charge_adder_eur_per_kwh == pytest.approx(np.array(charged))
        assert store.discharge_adder_eur_per_kwh == pytest.approx(np.full(len(charged), -0.121))


def test_a_plan_pays_vat_on_supply_and_gets_none_for_what_it_feeds_in() -> None:
    """0.20 EUR/kWh cost 0.242 from the day on that VAT of 21% holds; 0.10 stays what is paid for feed-in."""
    rate = Rate(kind=RateKind.VAT, value=210_000, from_utc=START + HOUR, source="law")
    made = horizon([car()], People(), sharing=SharingSettings(rates=(rate,)))
    later = np.array([at >= START + HOUR for at in made.boundaries[:-1]])
    assert made.inputs.import_price_eur_per_kwh == pytest.approx(np.where(later, 0.242, 0.2))
    assert made.inputs.export_price_eur_per_kwh == pytest.approx(0.1)


@pytest.mark.parametrize(("worth", "bid"), [(0.242, 0.2), (-0.05, -0.05)])
def test_planned_orders_are_what_it_is_worth_without_vat(worth: float, bid: float) -> None:
    """On 0.20 EUR/kWh from the supplier a buyer pays 0.042 of VAT, which a neighbour who sells saves it."""
    rate = Rate(kind=RateKind.VAT, value=210_000, from_utc=START - HOUR, source="law")
    made = horizon([car()], People(), sharing=SharingSettings(rates=(rate,)))
    store, steps = made.inputs.stores[0], len(made.boundaries) - 1
    result = solve_quick(made.inputs)
    for power_kw, water, expected in (
        (4.0, worth / store.efficiency_charge, bid),
        (-4.0, (worth - store.wear_eur_per_kwh_discharged) * store.efficiency_discharge, bid),
    ):
        wanted = replace(
            result,
            power_kw={**result.power_kw, store.id: np.full(steps, power_kw)},
            water_value_eur_per_kwh={store.id: np.full(steps, water)},
        )
        plan = ActivePlan(horizon=made, result=wanted)
        (energy,) = (one for one in planned_energy(plan, site(), START) if one.asset == AssetId("cp-1"))
        assert energy.value_eur_per_kwh == pytest.approx(expected)


@pytest.mark.parametrize("worth", [0.15, 0.2, 0.3])
def test_who_reclaims_vat_bids_what_it_is_worth(worth: float) -> None:
    """The car's member gets VAT back: what 0.15 is worth is bid for at 0.15; the tax of 0.10 has none."""
    rates = (
        Rate(kind=RateKind.VAT, value=210_000, from_utc=START - HOUR, source="law"),
        Rate(kind=RateKind.ENERGY_TAX, value=100_000, from_utc=START - HOUR, source="law"),
    )
    business = replace(site(), members=tuple(replace(one, reclaims_vat=True) for one in site().members))
    boundaries = (START, START + QUARTER)
    facts = HorizonFacts(
        cars=[car()],
        batteries=[],
        base_kw={},
        sun_kw={},
        import_price_eur_per_kwh=np.array([0.2]),
        export_price_eur_per_kwh=np.array([0.1]),
    )
    settings = Settings(sharing=SharingSettings(rates=rates))
    made = build_horizon(START, boundaries, business, settings, People(), facts)
    (store,) = made.inputs.stores
    assert store.charge_adder_eur_per_kwh == pytest.approx(np.array([0.1 - 0.042]))
    result = solve_quick(made.inputs)
    wanted = replace(
        result,
        power_kw={**result.power_kw, store.id: np.array([4.0])},
        water_value_eur_per_kwh={store.id: np.array([(worth + 0.1) / store.efficiency_charge])},
    )
    (energy,) = planned_energy(ActivePlan(horizon=made, result=wanted), business, START)
    assert energy.value_eur_per_kwh == pytest.approx(worth)


@pytest.mark.parametrize(
    "charged",
    [
        {},
        {RateKind.VAT: 210_000},
        {RateKind.STORAGE_REFUND: 100_000, RateKind.ENERGY_TAX: 100_000},
        {RateKind.FEED_IN_FEE: 10_000, RateKind.VAT: 90_000},
    ],
)
def test_what_a_plan_gives_to_neighbours_is_not_dearer_than_the_supplier(
    charged: dict[RateKind, int],
) -> None:
    """A small battery spares the street its dearest quarter-hours, by the solver's own water values.

    It discharges whether it is sold or not: unsold, it would get the supplier's 0.05 for it.
    """
    boundaries = tuple(START + i * QUARTER for i in range(17))
    asked = np.array([0.10] * 8 + [0.40, 0.38, 0.36, 0.34] * 2)
    battery = replace(site().batteries[0], capacity_kwh=22.0, min_kwh=2.0)
    street = replace(site(), vehicles=(), charge_points=(), batteries=(battery,))
    facts = HorizonFacts(
        cars=[],
        batteries=[(battery, 2.0, True)],
        base_kw={NodeId("f1"): np.full(16, 60.0)},
        sun_kw={},
        import_price_eur_per_kwh=asked,
        export_price_eur_per_kwh=np.full(16, 0.05),
    )
    rates = tuple(
        Rate(kind=kind, value=value, from_utc=START - HOUR, source="law") for kind, value in charged.items()
    )
    settings = Settings(sharing=SharingSettings(rates=rates))
    made = build_horizon(START, boundaries, street, settings, People(), facts)
    plan = ActivePlan(horizon=made, result=solve_quick(made.inputs))
    sold = [
        (one.value_eur_per_kwh, asked[i])
        for i, start in enumerate(boundaries[:-1])
        for one in planned_energy(plan, street, start)
        if one.energy_wh < 0
    ]
    assert len(sold) >= 4
    margin = PLAN_MARGIN_MICROEUR_PER_KWH / MICROEUR_PER_EUR
    assert all(value is not None and value <= price + margin for value, price in sold)


def test_a_store_pays_what_its_own_supplier_asks() -> None:
    """The car's charge point is the north's: 3 cents dearer, paid 2 cents less, and a tariff of its own."""
    tariff, point = site().tariff, site().charge_point_by_id[AssetId("cp-1")]
    north = SupplierSettings(
        id="north",
        import_adder_eur_per_kwh=tariff.import_adder_eur_per_kwh + 0.03,
        export_adder_eur_per_kwh=tariff.export_adder_eur_per_kwh - 0.02,
        points=(point.ean,),
        source="its letter",
    )
    network = Rate(
        kind=RateKind.NETWORK, value=10_000, from_utc=START - HOUR, supplier="north", source="its letter"
    )
    sharing = SharingSettings(rates=(network,), suppliers=(north,))
    for place in (AssetId("cp-1"), None):
        stores = {
            one.id: one for one in horizon([car(charge_point=place)], People(), sharing=sharing).inputs.stores
        }
        battery, own = stores[site().batteries[0].id], stores[AssetId("car-1")]
        for store, charged, discharged in ((battery, 0.0, 0.0), (own, 0.04, 0.02)):
            steps = np.ones(store.steps)
            assert store.charge_adder_eur_per_kwh == pytest.approx(charged * steps)
            assert store.discharge_adder_eur_per_kwh == pytest.approx(discharged * steps)
