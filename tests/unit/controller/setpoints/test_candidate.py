"""The layers of one device, in the order in which they win."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from controller.domain.assets import Battery, Wishes, WishKind
from controller.domain.ids import AssetId
from controller.domain.reasons import ReasonCode
from controller.domain.telemetry import CarReading, InverterReading, StorageReading
from controller.setpoints.candidate import (
    CarContext,
    PlanTarget,
    battery_candidate,
    car_candidate,
    hours_to_charge,
    roof_candidate,
)
from tests.support.neighbourhood import START, charge_point, site, vehicle

HOUR = timedelta(hours=1)


def context(**changes: object) -> CarContext:
    """A car with 30 of 60 kWh that the plan leaves alone."""
    base = CarContext(
        point=charge_point(1, "f1"),
        vehicle=vehicle(1),
        reading=CarReading(
            charge_point=AssetId("cp-1"),
            at=START,
            soc_fraction=0.5,
            charge_kw_max=11.0,
            discharge_kw_max=11.0,
        ),
        energy_kwh=30.0,
        wishes=None,
        departure_at=None,
        departure_kwh=0.0,
        target=target(30.0, 0.0),
        discharge_stopped=None,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def target(energy_kwh: float, power_kw: float) -> PlanTarget:
    """What the plan wants by the end of this quarter-hour."""
    return PlanTarget(energy_end_kwh=energy_kwh, power_kw=power_kw, ends=START + HOUR / 4)


@pytest.mark.parametrize(("minutes", "low_kw"), [(1, -11.0), (14, 0.0)])
def test_the_older_the_reading_the_earlier_discharge_ends(minutes: int, low_kw: float) -> None:
    """At 1 kWh above the minimum: in a minute 0.2 kWh may have left the car, in 14 more than there was."""
    found = car_candidate(context(energy_kwh=13.0), START + minutes * HOUR / 60)
    assert found.low_kw == low_kw


@pytest.mark.parametrize(("minutes", "low_kw"), [(1, -20.0), (14, 0.0)])
def test_so_it_does_of_a_battery(minutes: int, low_kw: float) -> None:
    """At 1 kWh above the minimum as well, with 20 kW."""
    (battery,) = site().batteries
    reading = StorageReading(asset=battery.id, at=START, soc_fraction=0.11)
    found = battery_candidate(battery, reading, None, None, START + minutes * HOUR / 60)
    assert found.low_kw == low_kw


def test_a_pause_stands_above_everything() -> None:
    """Even a departure in ten minutes does not charge a car that a person paused."""
    paused = context(
        wishes=Wishes(asset=AssetId("car-1"), mode=WishKind.PAUSE),
        departure_at=START + HOUR / 6,
        departure_kwh=50.0,
    )
    decided = car_candidate(paused, START)
    assert (decided.low_kw, decided.high_kw, decided.want_kw) == (0.0, 0.0, 0.0)
    assert decided.reason.code is ReasonCode.PERSON_STOP


def test_charge_now_charges_at_full_power() -> None:
    """Whatever the plan says."""
    decided = car_candidate(context(wishes=Wishes(asset=AssetId("car-1"), mode=WishKind.CHARGE_NOW)), START)
    assert decided.want_kw == 11.0
    assert decided.reason.code is ReasonCode.CHARGE_NOW


def test_a_departure_without_slack_must_charge() -> None:
    """From 30 to 50 kWh at 11 kW and 0.93 takes 2 hours: with 2 hours left it must."""
    decided = car_candidate(context(departure_at=START + 2 * HOUR, departure_kwh=50.0), START)
    assert decided.must_kw == 11.0
    assert decided.reason.code is ReasonCode.DEPARTURE


def test_a_departure_with_slack_follows_the_plan() -> None:
    """With ten hours left the plan may still rest."""
    decided = car_candidate(context(departure_at=START + 10 * HOUR, departure_kwh=50.0), START)
    assert decided.must_kw == 0.0
    assert decided.want_kw == 0.0


def test_no_discharge_without_opt_in() -> None:
    """The plan's wish does not reach below 0 where the owner has not agreed."""
    closed = replace(vehicle(1), discharge_opt_in=False)
    decided = car_candidate(context(vehicle=closed, target=target(27.0, -11.0)), START)
    assert decided.low_kw == 0.0
    assert decided.want_kw == 0.0


def test_no_discharge_with_an_unknown_state_of_charge() -> None:
    """Unknown is unknown: the car charges for its driver and gives nothing."""
    decided = car_candidate(context(energy_kwh=None), START)
    assert decided.low_kw == 0.0
    assert decided.reason.code is ReasonCode.NO_DATA


@pytest.mark.parametrize(
    ("planned_kw", "want_kw"), [(0.0, 0.0), (-5.0, 0.0), (7.0, 7.0), (2.0, 4.14), (30.0, 11.0)]
)
def test_an_unknown_state_of_charge_waits_for_the_plans_hours(planned_kw: float, want_kw: float) -> None:
    """The plan reckons it as empty: its power is taken as it is, for want of an energy to steer by."""
    decided = car_candidate(context(energy_kwh=None, target=target(0.0, planned_kw)), START)
    assert decided.want_kw == pytest.approx(want_kw)
    assert decided.reason.code is ReasonCode.NO_DATA


@pytest.mark.parametrize(
    "changes",
    [{"target": None}, {"departure_at": START + 3 * HOUR, "departure_kwh": 40.0, "target": target(0.0, 0.0)}],
    ids=["no plan", "a departure that an empty battery could just make"],
)
def test_an_unknown_state_of_charge_charges_where_waiting_is_a_risk(changes: dict[str, object]) -> None:
    """At full power: whoever leaves is not left short for want of a figure."""
    assert car_candidate(context(energy_kwh=None, **changes), START).want_kw == 11.0


@pytest.mark.parametrize(
    "changes",
    [
        {"wishes": Wishes(asset=AssetId("car-1"), never_discharge=True)},
        {"discharge_stopped": ReasonCode.DISCHARGE_LOCKOUT},
        {"energy_kwh": 12.2},
        {"reading": CarReading(charge_point=AssetId("cp-1"), at=START, soc_fraction=0.5)},
    ],
    ids=["never-discharge", "lock-out", "at its minimum", "the car offers none"],
)
def test_what_keeps_a_car_from_being_discharged(changes: dict[str, object]) -> None:
    """Each of these alone is enough."""
    assert car_candidate(context(target=target(20.0, -11.0), **changes), START).low_kw == 0.0


def test_rest_in_the_plan_is_never_answered_by_discharge() -> None:
    """The car has 3 kWh more than planned; a plan that wants rest may want no discharge at any price."""
    assert car_candidate(context(target=target(27.0, 0.0)), START).want_kw == 0.0
    assert car_candidate(context(target=target(27.0, -6.0)), START).want_kw < 0.0


def test_the_plan_is_followed_by_energy_not_by_power() -> None:
    """1.395 kWh short of the plan's end with a quarter-hour left: 1.395 / 0.93 / 0.25 = 6 kW."""
    decided = car_candidate(context(target=target(31.395, 5.0)), START)
    assert decided.want_kw == pytest.approx(6.0)
    assert decided.reason.code is ReasonCode.PLAN


def test_too_little_for_three_phases_is_done_at_the_minimum() -> None:
    """2 kW can't be charged: 4.14 kW until the plan's energy is there, then nothing."""
    assert car_candidate(context(target=target(30.465, 2.0)), START).want_kw == pytest.approx(4.14)
    assert car_candidate(context(energy_kwh=30.46, target=target(30.465, 2.0)), START).want_kw == 0.0


def test_a_guest_can_simply_charge() -> None:
    """Nobody knows the car: it charges, and is never discharged."""
    decided = car_candidate(context(vehicle=None, reading=None, energy_kwh=None, target=None), START)
    assert (decided.low_kw, decided.want_kw) == (0.0, 11.0)


def test_the_smallest_of_all_limits_counts() -> None:
    """An 11 kW charger with a car that takes 7.4 kW."""
    reading = CarReading(
        charge_point=AssetId("cp-1"), at=START, soc_fraction=0.5, charge_kw_max=7.4, discharge_kw_max=3.7
    )
    decided = car_candidate(context(reading=reading), START)
    assert (decided.low_kw, decided.high_kw) == (-3.7, 7.4)


def test_charging_time_reckons_with_the_taper() -> None:
    """To the knee at 51 kWh at full power, the last 9 kWh at half: (21 + 18) / (11 x 0.93) hours."""
    assert hours_to_charge(30.0, 60.0, 60.0, 11.0, 0.93) == pytest.approx(39.0 / 10.23)


def test_a_battery_of_unknown_charge_rests() -> None:
    """No reading, no power."""
    battery: Battery = site().batteries[0]
    decided = battery_candidate(battery, None, target(60.0, 20.0), None, START)
    assert (decided.low_kw, decided.high_kw) == (0.0, 0.0)
    assert decided.reason.code is ReasonCode.NO_DATA


def test_a_battery_follows_the_plan_inside_its_power() -> None:
    """From 50 to 60 kWh in a quarter-hour would take 42 kW: it does its 20."""
    reading = StorageReading(asset=AssetId("battery"), at=START, soc_fraction=0.5)
    assert battery_candidate(site().batteries[0], reading, target(60.0, 40.0), None, START).want_kw == 20.0


def test_a_roof_is_free_until_the_plan_turns_it_down() -> None:
    """Free: what it makes. At 40%: two of five kW."""
    roof = site().pv[0]
    reading = InverterReading(asset=roof.id, at=START, power_kw=-4.5)
    assert roof_candidate(roof, reading, 1.0).want_kw == -4.5
    assert roof_candidate(roof, reading, 0.4).want_kw == pytest.approx(-2.0)


def test_what_a_limited_roof_could_make_is_unknown() -> None:
    """It shows its limit, so it counts as its rating."""
    roof = site().pv[0]
    reading = InverterReading(asset=roof.id, at=START, power_kw=-1.0, limited=True)
    assert roof_candidate(roof, reading, 1.0).low_kw == -5.0
