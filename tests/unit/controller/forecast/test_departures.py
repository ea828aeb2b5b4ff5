"""Departures as they really happen: learned chances, and by when cars are to be done that share a network."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from controller.forecast.departures import (
    MISSED_EUR,
    NEAREST,
    PastStays,
    chance_gone,
    finish,
    leave_times,
    ready_steps,
    sooner,
)

PAST = PastStays(
    stated_h=np.array([2.0, 2.0, 8.0, 8.0, np.nan]),
    stayed_h=np.array([1.0, 3.0, 7.0, 10.0, 0.5]),
    clock_h=np.full(5, 9.0),
)
ONE_NODE = [np.array([0])]


def test_a_stay_goes_on_as_earlier_ones_that_lasted_as_long() -> None:
    """Stays that were over by now say nothing, and guests are compared with guests."""
    stays = leave_times(PAST, stated_h=8.0, stayed_h=2.0, clock_h=9.0).tolist()
    assert {3.0, 7.0, 10.0} <= set(stays)
    assert min(stays) > 2.0
    assert leave_times(PAST, stated_h=np.nan, stayed_h=0.0, clock_h=9.0).tolist() == [0.5]


def test_without_experience_a_driver_may_leave_at_any_time_up_to_what_was_said() -> None:
    """Even chances up to the stated stay; when that is over too, nothing is known."""
    nobody = PastStays(stated_h=np.zeros(0), stayed_h=np.zeros(0), clock_h=np.zeros(0))
    stays = leave_times(nobody, stated_h=4.0, stayed_h=1.0, clock_h=9.0)
    assert chance_gone(stays, np.array([1.0, 4.0, 4.1])).tolist() == [0.0, 1.0 - 1.0 / stays.size, 1.0]
    assert leave_times(nobody, stated_h=4.0, stayed_h=5.0, clock_h=9.0).size == 0
    assert leave_times(nobody, stated_h=np.nan, stayed_h=0.0, clock_h=9.0).size == 0


def test_of_many_stays_the_most_alike_are_taken() -> None:
    """Drivers who said eight hours do not tell about one who said one."""
    many = PastStays(
        stated_h=np.repeat([1.0, 8.0], NEAREST),
        stayed_h=np.repeat([1.5, 9.0], NEAREST).astype(np.float64),
        clock_h=np.full(2 * NEAREST, 9.0),
    )
    assert set(leave_times(many, stated_h=1.2, stayed_h=0.0, clock_h=9.0).tolist()) == {1.5}


def test_among_equal_words_the_hour_of_arrival_decides_across_midnight() -> None:
    """Who came at eleven at night is more like one who came at one than like one who came at noon."""
    many = PastStays(
        stated_h=np.full(2 * NEAREST, 4.0),
        stayed_h=np.repeat([5.0, 6.0], NEAREST).astype(np.float64),
        clock_h=np.repeat([1.0, 12.0], NEAREST).astype(np.float64),
    )
    assert set(leave_times(many, stated_h=4.0, stayed_h=0.0, clock_h=23.0).tolist()) == {5.0}


def test_chances_count_the_stays_that_are_over() -> None:
    """Half of the stays are over by three hours, none at the moment the first one ends."""
    assert chance_gone(np.array([1.0, 3.0, 4.0, 6.0]), np.array([1.0, 3.5, 9.0])).tolist() == [0.0, 0.5, 1.0]
    assert chance_gone(np.zeros(0), np.array([1.0])).tolist() == [0.0]


def _alone(gone: list[float], price: list[float]) -> int:
    ready = ready_steps(
        most_kwh=np.full((1, 3), 2.0),
        need_kwh=np.array([2.0]),
        gone=np.array([gone]),
        price_eur_per_kwh=np.array(price),
        step_h=np.ones(3),
        room_kwh=np.full((1, 3), 9.0),
        above=ONE_NODE,
    )
    return int(ready[0])


def test_a_car_waits_for_a_low_price_only_if_it_will_be_there() -> None:
    """The cheap last step is taken by one that surely stays, and not by one that may well have gone."""
    assert _alone([0.0, 0.0, 0.0], [0.10, 0.10, 0.02]) == 2
    assert _alone([0.0, 0.3, 0.6], [0.10, 0.10, 0.02]) == 0


def test_a_car_that_leaves_late_in_any_case_takes_the_cheapest_way_to_be_done() -> None:
    """4 kWh at 2 a step: the third step comes too late with a chance of half, the first two cost a bit more.

    Three cents more for each of two kWh are less than half of what a missed departure counts for; where it
    is missed anyway, the cheapest steps are taken.
    """
    most, price = np.full(3, 2.0), np.array([0.10, 0.13, 0.10])
    for gone, expected in (([0.0, 0.0, 0.5], [2.0, 2.0, 0.0]), ([1.0, 1.0, 1.0], [2.0, 0.0, 2.0])):
        done = finish(most_kwh=most, need_kwh=4.0, gone=np.array(gone), price_eur_per_kwh=price)
        assert done.taken_kwh.tolist() == expected
        assert done.step == int(np.flatnonzero(expected)[-1])


@settings(deadline=None)
@given(seed=st.integers(0, 10_000), steps=st.integers(1, 7))
def test_no_other_step_to_be_done_by_costs_less(seed: int, steps: int) -> None:
    """Each step tried by hand: the cheapest steps until then, one after the other, and the chance."""
    rng = np.random.default_rng(seed)
    most, price = rng.uniform(0.0, 3.0, steps), rng.uniform(-0.2, 0.4, steps)
    gone = np.sort(rng.random(steps))
    need = float(rng.uniform(0.1, 1.0) * most.sum())
    done = finish(most_kwh=most, need_kwh=need, gone=gone, price_eur_per_kwh=price)

    def cost_eur(last: int) -> float:
        left, paid = need, 0.0
        for step in sorted(range(last + 1), key=lambda t: price[t]):
            taken = min(left, most[step])
            left, paid = left - taken, paid + taken * price[step]
        return float("inf") if left > 1e-6 else paid + MISSED_EUR * gone[last]

    assert done.taken_kwh.sum() == pytest.approx(need)
    assert not done.taken_kwh[done.step + 1 :].any()
    assert done.taken_kwh @ price + MISSED_EUR * gone[done.step] == pytest.approx(
        min(cost_eur(last) for last in range(steps)), abs=1e-5
    )


def test_a_car_that_cannot_be_done_takes_all_it_can() -> None:
    """Nobody knows when it leaves, and the more it has the better."""
    done = finish(
        most_kwh=np.full(3, 2.0), need_kwh=9.0, gone=np.zeros(3), price_eur_per_kwh=np.array([0.1, 0.0, 0.2])
    )
    assert done.taken_kwh.tolist() == [2.0, 2.0, 2.0]


def test_where_there_is_room_for_one_the_least_need_comes_first() -> None:
    """Two cars want the first step; the one that is quickly done gets it, the other what is left.

    A third one that needs more than is left then is not done at all.
    """
    ready = ready_steps(
        most_kwh=np.full((3, 2), 3.0),
        need_kwh=np.array([3.0, 1.0, 3.5]),
        gone=np.zeros((3, 2)),
        price_eur_per_kwh=np.array([0.1, 0.2]),
        step_h=np.ones(2),
        room_kwh=np.array([[2.0, 2.0]]),
        above=[np.array([0])] * 3,
    )
    assert ready.tolist() == [1, 0, 2]


@settings(deadline=None)
@given(seed=st.integers(0, 10_000), cars=st.integers(1, 6), steps=st.integers(1, 8))
def test_all_can_be_done_by_their_steps_at_once(seed: int, cars: int, steps: int) -> None:
    """A plan of all who have a step, within each car's power and each node's room, misses nothing."""
    rng = np.random.default_rng(seed)
    most, need = rng.uniform(0.0, 3.0, (cars, steps)), rng.uniform(0.0, 4.0, cars)
    room = rng.uniform(-1.0, 5.0, (3, steps))
    above = [np.array([0, 1 + int(rng.integers(0, 2))]) for _ in range(cars)]
    ready = ready_steps(
        most_kwh=most,
        need_kwh=need,
        gone=np.sort(rng.random((cars, steps)), axis=1),
        price_eur_per_kwh=rng.uniform(-0.2, 0.4, steps),
        step_h=np.ones(steps),
        room_kwh=room,
        above=above,
    )
    done = np.flatnonzero(ready < steps)
    usable = np.where(np.arange(steps) <= ready[done, None], most[done], 0.0)
    # One unknown for each of these cars and each step [kWh]: at least the need, at most every node's room.
    enough = np.kron(np.eye(done.size), np.ones(steps))
    loads = [
        np.kron([float(node in above[car]) for car in done.tolist()], np.eye(steps)) for node in range(3)
    ]
    if done.size:
        answer = linprog(
            np.zeros(done.size * steps),
            A_ub=np.vstack([-enough, *loads]),
            b_ub=np.concatenate([1e-5 - need[done], np.maximum(room, 0.0).ravel()]),
            bounds=[(0.0, most_kwh) for most_kwh in usable.ravel().tolist()],
        )
        assert answer.success, answer.message


def test_equal_prices_are_a_little_dearer_later() -> None:
    """The first step keeps its price; order among prices that differ by cents stays."""
    prices = sooner(np.array([0.1, 0.1, 0.05]), np.array([0.25, 0.25, 1.0]))
    assert prices[0] == 0.1
    assert prices[2] < prices[0] < prices[1]
