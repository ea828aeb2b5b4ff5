"""The structured solver: against the exact model, and its promises."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from controller.dispatch.check import check
from controller.dispatch.inputs import DispatchInputs, NodeInput, StoreInput
from controller.dispatch.result import DispatchResult
from controller.dispatch.solve import solve_exact
from controller.dispatch.structured.layout import flatten
from controller.dispatch.structured.network import build_tree
from controller.dispatch.structured.replan import Carried, held_problem
from controller.dispatch.structured.solve import solve_structured
from controller.dispatch.warm import WarmStart
from controller.domain.ids import NodeId
from tests.support.dispatch_comparison import difference
from tests.support.dispatch_problems import one_step_later, starting_at, street
from tests.support.dispatch_random import AnyProblem
from tests.support.dispatch_reference import audit, reference


@pytest.fixture(scope="module")
def evening() -> tuple[DispatchInputs, DispatchResult]:
    """Sixty cars whose transformer binds, and their structured plan."""
    inputs = street(cars=60, feeders=3)
    plan = solve_structured(inputs)
    assert plan is not None
    return inputs, plan


def test_it_agrees_with_the_exact_model_where_the_transformer_binds() -> None:
    """Same cost as HiGHS on the cvxpy model, certified by its own bound, every constraint kept."""
    inputs = street(cars=24, feeders=3, steps=48)
    plan, exact = solve_structured(inputs), solve_exact(inputs)
    assert plan is not None
    assert plan.status == "optimal"
    assert check(inputs, plan) == []
    assert abs(plan.cost_eur - exact.cost_eur) < 1e-4 * inputs.cost_scale_eur
    assert plan.lower_bound_eur <= exact.cost_eur + 1e-9
    assert plan.totals_kwh == exact.totals_kwh
    root = max(abs(plan.node_power_kw[NodeId("transformer")]) / inputs.nodes[0].import_limit_kw)
    assert root > 0.999, "the problem is meant to bind"


@pytest.mark.parametrize("seed", [13, 104, 151, 235])
def test_dear_bounds_are_come_near_to_the_last_digit(seed: int) -> None:
    """Wishes out of reach, one kind before the other: unknowns come closer to dear bounds than numbers do.

    One that is rounded on to its bound would end the run without a plan.
    """
    inputs = AnyProblem(seed).inputs()
    plan = solve_structured(inputs)
    assert plan is not None
    assert difference(inputs, plan, reference(inputs)).faults == []


def test_no_step_charges_and_discharges_at_once(evening: tuple[DispatchInputs, DispatchResult]) -> None:
    """Not a trace of the other direction is left."""
    _, plan = evening
    for store in plan.charge_kw:
        assert not np.any((plan.charge_kw[store] > 0.0) & (plan.discharge_kw[store] > 0.0))


def test_two_runs_give_the_same_bits(evening: tuple[DispatchInputs, DispatchResult]) -> None:
    """The order of sums is fixed."""
    inputs, plan = evening
    again = solve_structured(inputs)
    assert again is not None
    assert again.cost_eur == plan.cost_eur
    assert all(np.array_equal(again.power_kw[name], plan.power_kw[name]) for name in plan.power_kw)


@pytest.fixture
def as_if_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Problems of any size are solved as large ones are: to a gap below 0.1%, around the last plan."""
    monkeypatch.setattr("controller.dispatch.structured.solve.SMALL", 0)


@pytest.mark.usefixtures("as_if_large")
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_plan_that_is_good_enough_is_taken_with_its_proof(
    monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Its cost and its bound enclose the best cost, which the same way finds to a millionth."""
    inputs = street(cars=60, feeders=3, seed=seed)
    plan = solve_structured(inputs)
    monkeypatch.setattr("controller.dispatch.structured.solve.LARGE_GAP", 1e-6)
    best = solve_structured(inputs)
    assert plan is not None
    assert best is not None
    assert check(inputs, plan) == []
    assert plan.totals_kwh == best.totals_kwh
    assert plan.lower_bound_eur <= best.cost_eur
    assert best.lower_bound_eur <= plan.cost_eur <= plan.lower_bound_eur + 4e-4 * inputs.cost_scale_eur
    assert plan.cost_eur > best.cost_eur + 1e-6 * inputs.cost_scale_eur, "meant to stop early"


@pytest.mark.usefixtures("as_if_large")
@pytest.mark.parametrize(("seed", "rounds"), [(9, 2), (6, 1)])
def test_a_replan_holds_most_cars_and_is_still_proven(
    monkeypatch: pytest.MonkeyPatch, seed: int, rounds: int
) -> None:
    """One step later with changed cars: in one round or two within 0.1% of a bound of the whole problem."""
    inputs = street(cars=60, feeders=3, seed=seed)
    plan = solve_structured(inputs)
    assert plan is not None
    later = one_step_later(inputs, plan)
    held: list[int] = []

    def noted(inputs: DispatchInputs, carried: Carried) -> DispatchInputs:
        held.append(int(np.count_nonzero(~carried.anew)))
        return held_problem(inputs, carried)

    monkeypatch.setattr("controller.dispatch.structured.solve.held_problem", noted)
    warm = solve_structured(later, warm=WarmStart(inputs=inputs, result=plan))
    cold = solve_structured(later)
    assert warm is not None
    assert cold is not None
    assert len(held) == rounds
    assert min(held) > 30
    assert warm.method == "structured, around the last plan"
    assert warm.status == "optimal"
    assert check(later, warm) == []
    assert warm.lower_bound_eur <= cold.cost_eur + 1e-9
    assert warm.totals_kwh == cold.totals_kwh


def test_minimum_powers_are_kept_by_taking_turns() -> None:
    """Cars that start at 4.1 kW: every wish met, within 0.1% of the bound of the relaxed plan."""
    inputs = starting_at(street(cars=120, feeders=2), 4.1)
    relaxed, plan = solve_structured(starting_at(inputs, 0.0)), solve_structured(inputs)
    assert relaxed is not None
    assert plan is not None
    assert audit(inputs, plan).broken == []
    assert plan.totals_kwh == relaxed.totals_kwh
    assert plan.status == "optimal"
    assert plan.lower_bound_eur <= relaxed.cost_eur
    below = [0.0 < power < 4.0 for series in relaxed.charge_kw.values() for power in series.tolist()]
    assert sum(below) > 100, "the relaxed plan is meant to run below the minimum"


def test_minimum_powers_that_do_not_fit_together_take_turns_at_a_pole() -> None:
    """Two cars of at least 4.1 kW on a pole of 8 kW: never both at once, and the plan says what is short."""
    inputs = starting_at(street(cars=2, feeders=1), 4.1)
    limit = np.full(inputs.steps, 8.0)
    pole = NodeInput(
        id=NodeId("pole"), parent=NodeId("feeder-0"), import_limit_kw=limit, export_limit_kw=limit
    )
    stores = tuple(replace(store, node=pole.id) for store in inputs.stores)
    inputs = replace(inputs, nodes=(*inputs.nodes, pole), stores=stores)
    plan = solve_structured(inputs)
    assert plan is not None
    true = audit(inputs, plan)
    assert true.broken == []
    assert plan.totals_kwh.as_tuple() == pytest.approx(true.totals_kwh, abs=1e-6)
    one, two = (plan.charge_kw[store.id] for store in stores)
    assert not np.any((one > 0.0) & (two > 0.0))
    assert plan.status == "feasible", "short of what the relaxed plan has, so nothing is claimed"


def test_no_plan_comes_after_the_deadline() -> None:
    """With no time at all there is no plan rather than a half-made one."""
    assert solve_structured(street(cars=10, feeders=2), deadline_s=0.0) is None


def test_nodes_that_cannot_bind_are_left_out() -> None:
    """Wide limits drop a node; its cars belong to the one above."""
    inputs = street(cars=16, feeders=4)
    wide = np.full(inputs.steps, 1e6)
    nodes = tuple(_widened(node, wide) if node.id == "feeder-1" else node for node in inputs.nodes)
    inputs = replace(inputs, nodes=nodes)
    tree, _ = build_tree(inputs, flatten(inputs)[0])
    kept = [inputs.nodes[place].id for place in tree.kept.tolist()]
    assert "feeder-1" not in kept
    assert kept[-1] == "transformer", "children come before parents"
    assert tree.kept_of[inputs.node_index[NodeId("feeder-1")]] == len(kept) - 1


def test_a_wish_beyond_reach_is_cut_to_what_full_power_gives() -> None:
    """What a car alone cannot have is a constant, not something to spend iterations on."""
    inputs = street(cars=1, feeders=1, steps=96)
    store: StoreInput = inputs.stores[0]
    stay = replace(store.ordered_stays[0], departure_min_kwh=store.capacity_kwh)
    slow = replace(
        store, charge_kw_max=np.full(96, 0.1), stays=(stay, *store.ordered_stays[1:]), trips=store.trips
    )
    inputs = replace(inputs, stores=(slow,))
    chains, wishes = flatten(inputs)
    reach = slow.initial_kwh + float((chains.gain * chains.charge_kw_max)[: stay.to_step].sum())
    assert wishes.level_kwh[0] == pytest.approx(reach)
    plan = solve_structured(inputs)
    assert plan is not None
    assert plan.totals_kwh.departure == pytest.approx(store.capacity_kwh - reach, abs=1e-6)


def _widened(node: NodeInput, limit_kw: np.ndarray) -> NodeInput:
    return replace(node, import_limit_kw=limit_kw, export_limit_kw=limit_kw)


@pytest.mark.parametrize("seed", [2000, 2009])
def test_a_running_controllers_small_plan_has_the_strict_order_too(
    monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """No excess over a limit is traded for a shortfall, as one price for all of them would."""
    inputs = AnyProblem(seed, minimum_powers=False).inputs()
    strict, quick = solve_structured(inputs), solve_structured(inputs, thorough=False)
    monkeypatch.setattr("controller.dispatch.structured.solve.ORDERED", 0)
    one_price = solve_structured(inputs, thorough=False)
    assert strict is not None
    assert quick is not None
    assert one_price is not None
    assert quick.totals_kwh.as_tuple() == pytest.approx(strict.totals_kwh.as_tuple(), abs=1e-6)
    assert one_price.totals_kwh.excess > strict.totals_kwh.excess + 1.0, "meant to be worth a trade"
