"""`problems` names everything that keeps arrays from being a dispatch problem."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from controller.dispatch.inputs import Stay, Trip, problems, split_by_root
from controller.domain.ids import NodeId
from tests.support.dispatch import load, node, problem, random_problem, store


@pytest.mark.parametrize("seed", range(5))
def test_random_problems_are_sound(seed: int) -> None:
    """The generator of the tests makes only problems that are allowed."""
    assert problems(random_problem(seed)) == []


def test_every_problem_is_named_with_its_place() -> None:
    """Wrong shapes, types, numbers, prices, tree, ids and ranges in one input: all of them are listed."""
    car = store(
        "car", "nowhere", 3, initial_kwh=70.0, efficiency_charge=0.0, wear_eur_per_kwh_discharged=-1.0
    )
    wrong = problem(
        3,
        [node("a", "b", 5, 3), node("b", "a", 5, 3), node("c", None, np.nan, 3)],
        stores=[replace(car, charge_kw_max=np.zeros(2)), car],
        fixed=[load("home", "a", [1, np.inf, 1], 3)],
        buy=0.1,
        sell=[0.0, 0.2, 0.0],
    )
    places = {found.place for found in problems(replace(wrong, step_h=np.array([1, 1, 1])))}
    assert places >= {
        "step_h",
        "export_price_eur_per_kwh[1]",
        "nodes",
        "nodes[2].import_limit_kw[0]",
        "fixed[0].power_kw[1]",
        "stores[0].charge_kw_max",
        "stores[0].id",
        "stores[1].node",
        "stores[1].initial_kwh",
        "stores[1].efficiency_charge",
        "stores[1].wear_eur_per_kwh_discharged",
    }


def test_a_car_in_two_places_or_on_a_trip_while_plugged_in_is_refused() -> None:
    """Overlapping stays and a trip inside one."""
    stays = (Stay(from_step=0, to_step=3), Stay(from_step=2, to_step=4))
    car = store("car", "root", 4, stays=stays, trips=(Trip(step=1, energy_kwh=1.0),))
    found = problems(problem(4, [node("root", None, 5, 4)], stores=[car]))
    assert [p.place for p in found] == ["stores[0].stays[1].from_step", "stores[0].trips[0].step"]


def test_an_unlimited_node_is_allowed() -> None:
    """Infinity stands for no limit; minus infinity and NaN stand for nothing."""
    assert problems(problem(2, [node("root", None, np.inf, 2)])) == []
    assert problems(problem(2, [node("root", None, -np.inf, 2)])) != []


def test_the_floor_is_the_minimum_or_what_trips_leave() -> None:
    """30 kWh less two trips of 14 is 2: the floor follows the minimum of 6 until then."""
    trips = (Trip(step=1, energy_kwh=14.0), Trip(step=2, energy_kwh=14.0))
    car = store("car", "root", 3, stays=(Stay(from_step=0, to_step=1),), trips=trips)
    assert car.idle_kwh.tolist() == [30, 30, 16, 2]
    assert car.floor_kwh.tolist() == [6, 6, 6, 2]


def test_roots_are_split_with_all_that_hangs_under_them() -> None:
    """Each part has its own nodes and assets, and a parent before its children."""
    nodes = [node("leaf", "one", 5, 2), node("one", None, 5, 2), node("two", None, 5, 2)]
    whole = problem(2, nodes, stores=[store("a", "leaf", 2), store("b", "two", 2)])
    first, second = split_by_root(whole)
    assert ([n.id for n in first.nodes], [s.id for s in first.stores]) == (["leaf", "one"], ["a"])
    assert ([n.id for n in second.nodes], [s.id for s in second.stores]) == (["two"], ["b"])
    assert [first.nodes[i].id for i in first.parents_first] == [NodeId("one"), NodeId("leaf")]
