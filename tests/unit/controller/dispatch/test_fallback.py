"""The plan by rules keeps every limit, charges the least patient first and is quick."""

from __future__ import annotations

import numpy as np
import pytest

from controller.dispatch.check import check, idle_excess_kwh
from controller.dispatch.fallback import fallback
from controller.dispatch.inputs import Stay, Trip
from controller.domain.ids import AssetId
from tests.support.dispatch import load, node, problem, random_problem, roof, store


def test_the_least_patient_car_charges_first() -> None:
    """Room for one car: the one that leaves sooner gets it, the other one afterwards."""
    soon = store("soon", "root", 4, stays=(Stay(from_step=0, to_step=1, departure_min_kwh=40.0),))
    late = store("late", "root", 4, stays=(Stay(from_step=0, to_step=4, departure_min_kwh=40.0),))
    plan = fallback(problem(4, [node("root", None, 10.0, 4)], stores=[late, soon]), "no solver")
    assert plan.charge_kw[AssetId("soon")] == pytest.approx([10, 0, 0, 0])
    assert plan.charge_kw[AssetId("late")] == pytest.approx([0, 10, 0, 0])
    assert (plan.status, plan.reason, plan.totals_kwh.departure) == ("fallback", "no solver", 0.0)


def test_nothing_discharges_unless_a_node_is_over_its_limit() -> None:
    """A price that tempts changes nothing; a load over the limit does."""
    car = store("car", "root", 2)
    calm = problem(
        2, [node("root", None, 10.0, 2)], stores=[car], fixed=[load("home", "root", 9.0, 2)], buy=[9, 1]
    )
    over = problem(2, [node("root", None, 10.0, 2)], stores=[car], fixed=[load("home", "root", [13, 9], 2)])
    assert fallback(calm, "x").discharge_kw[AssetId("car")].max() == 0.0
    relieved = fallback(over, "x")
    assert relieved.discharge_kw[AssetId("car")] == pytest.approx([3, 0])
    assert relieved.violations == ()


def test_a_roof_is_turned_down_only_as_far_as_the_limit_asks() -> None:
    """8 kW of sun behind 5 kW of export: 3 kW are cut."""
    plan = fallback(problem(1, [node("root", None, 10.0, 1, 5.0)], pv=[roof("roof", "root", 8.0, 1)]), "x")
    assert plan.power_kw[AssetId("roof")] == pytest.approx([-5.0])


def test_a_car_soaks_up_sun_that_cannot_be_turned_down() -> None:
    """The roof cannot be cut: the car takes the 3 kW that do not fit."""
    sun = [roof("roof", "root", 8.0, 1, curtailable=False)]
    plan = fallback(
        problem(1, [node("root", None, 10.0, 1, 5.0)], pv=sun, stores=[store("car", "root", 1)]), "x"
    )
    assert plan.charge_kw[AssetId("car")] == pytest.approx([3.0])


def test_a_minimum_power_is_kept() -> None:
    """1 kWh is missing and 4.1 kW is the least: 4.1 kW where they fit, nothing where they do not."""
    car = store("car", "root", 2, final_min_kwh=31.0, charge_kw_min=4.1)
    roomy = fallback(problem(2, [node("root", None, 5.0, 2)], stores=[car]), "x")
    narrow = fallback(problem(2, [node("root", None, 4.0, 2)], stores=[car]), "x")
    assert roomy.charge_kw[AssetId("car")] == pytest.approx([4.1, 0])
    assert narrow.charge_kw[AssetId("car")] == pytest.approx([0, 0])


def test_relief_leaves_what_a_later_trip_takes() -> None:
    """30 kWh, a trip of 20, 6 to be kept: of an overload of 50 kW for an hour only 4 kWh come out."""
    away = {"stays": (Stay(from_step=0, to_step=1),), "trips": (Trip(step=1, energy_kwh=20.0),)}
    homes = load("homes", "n", 100.0, 2)
    inputs = problem(
        2, [node("n", None, 50.0, 2)], stores=[store("car", "n", 2, **away)], fixed=[homes], step_h=1.0
    )
    plan = fallback(inputs, "x")
    assert plan.discharge_kw[AssetId("car")] == pytest.approx([4.0, 0.0])
    assert check(inputs, plan) == []


@pytest.mark.parametrize("seed", range(40))
def test_random_plans_by_rules_keep_every_limit_that_can_be_kept(seed: int) -> None:
    """Random trees, roofs, trips and minimum powers: no breach, and never more over a limit than idling."""
    inputs = random_problem(seed, cars=6, steps=8)
    plan = fallback(inputs, "x")
    assert check(inputs, plan) == []
    assert plan.totals_kwh.excess <= idle_excess_kwh(inputs) + 1e-6
    assert plan.lower_bound_eur <= plan.cost_eur


def test_a_thousand_cars_keep_every_limit() -> None:
    """1000 stores by 80 steps behind 60 feeders."""
    steps, rng = 80, np.random.default_rng(0)
    nodes = [node("root", None, 2500.0, steps)]
    nodes += [node(f"feeder-{i}", "root", 80.0, steps) for i in range(60)]
    stores = [
        store(
            f"car-{i}", f"feeder-{i % 60}", steps, initial_kwh=float(rng.uniform(5, 50)), final_min_kwh=45.0
        )
        for i in range(1000)
    ]
    inputs = problem(steps, nodes, stores=stores, fixed=[load("homes", "feeder-1", 30.0, steps)], step_h=0.25)
    assert check(inputs, fallback(inputs, "x")) == []
