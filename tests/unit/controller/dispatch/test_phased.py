"""Plans keep every phase: by hand, in every way that a plan is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from controller.dispatch.by_phase import EVENLY, PhaseShare, mixed_share
from controller.dispatch.carry import METHOD, second_best
from controller.dispatch.check import check
from controller.dispatch.fallback import fallback
from controller.dispatch.inputs import DispatchInputs, Stay
from controller.dispatch.phase_rows import without_even_rows
from controller.dispatch.reasons import plan_reasons
from controller.dispatch.result import DispatchResult
from controller.dispatch.solve import solve, solve_exact, solve_quick
from controller.dispatch.warm import WarmStart
from controller.domain.assets import Phases
from controller.domain.ids import AssetId
from controller.domain.plan_reasons import PlanReasonCode
from tests.support.dispatch import load, node, problem, roof, store
from tests.support.phases import ON_L1, ON_ONE, phase_kw, with_phases

STEPS = 8
RATING_KW = 12.0


def one_sided() -> DispatchInputs:
    """Three cars on L1 and one on three phases; the feeder's 36 kW would take all of them in the cheap hour.

    Each wants 20 kWh by the end. L1 bears 12 kW: 96 kWh in all, of which the three take 60 and the fourth 7.
    """
    wish = (Stay(from_step=0, to_step=STEPS, departure_min_kwh=30.0),)
    plain = {"initial_kwh": 10.0, "discharge_kw_max": 0.0, "stays": wish}
    price = np.linspace(0.4, 0.1, STEPS)
    made = problem(
        STEPS,
        [node("t", None, 100.0, STEPS), node("f", "t", 36.0, STEPS)],
        stores=[
            *(store(f"car-{i}", "f", STEPS, charge_kw_max=7.4, **plain) for i in range(3)),
            store("three", "f", STEPS, charge_kw_max=11.0, **plain),
        ],
        buy=price,
        sell=price - 0.05,
    )
    return with_phases(made, {f"car-{i}": ON_L1 for i in range(3)}, {"f": RATING_KW})


def rules(inputs: DispatchInputs) -> DispatchResult:
    """The plan by rules."""
    return fallback(inputs, "tried")


@pytest.mark.parametrize("plan", [solve, solve_quick, rules])
def test_single_phase_cars_share_their_phase(plan: Callable[[DispatchInputs], DispatchResult]) -> None:
    """L1 is full in the cheap hours and never over; every car leaves with what it asked for."""
    inputs = one_sided()
    made = plan(inputs)
    assert check(inputs, made) == []
    on_phases = phase_kw(inputs, made, "f", side=1)
    assert on_phases.max() <= RATING_KW + 1e-5
    assert on_phases[0].max() == pytest.approx(RATING_KW, abs=1e-3)
    assert made.totals_kwh.departure == pytest.approx(0.0, abs=1e-6)


def test_without_phases_the_same_cars_pass_the_rating() -> None:
    """The tree alone allows all three cars and a third of the fourth on one phase; the check sees it."""
    inputs = one_sided()
    blind = solve(problem(STEPS, inputs.nodes, stores=inputs.stores, buy=inputs.import_price_eur_per_kwh))
    assert phase_kw(inputs, blind, "f", side=1)[0].max() == pytest.approx(3 * 7.4 + 11.0 / 3.0, abs=1e-3)
    assert {breach.constraint for breach in check(inputs, blind)} >= {"phase_limit"}


def test_the_exact_plan_with_phases_is_the_best() -> None:
    """By hand: L1's 12 kW in the cheapest hours first; its 66.7 kWh take five and a half of them."""
    inputs = one_sided()
    made = solve(inputs)
    assert made.status == "optimal"
    used = phase_kw(inputs, made, "f", side=1)[0]
    assert used[3:].tolist() == pytest.approx([12.0] * 5, abs=1e-3)
    assert made.lower_bound_eur == pytest.approx(made.cost_eur, rel=1e-3)


def test_what_is_shared_out_keeps_phases_and_wishes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many cars are too many for the exact model: groups of 12 cars at three poles share a feeder's L1.

    Poles and a car on three phases would like the same cheap hours; 24 of the cars leave at half time.
    """
    monkeypatch.setattr("controller.dispatch.solve.EXACT_UP_TO", 0)
    poles, each = ("p0", "p1", "p2"), 12
    stays = [(Stay(from_step=0, to_step=end, departure_min_kwh=20.0),) for end in (4, STEPS, 4)]
    price = np.linspace(0.4, 0.1, STEPS)
    made = problem(
        STEPS,
        [node("t", None, 400.0, STEPS), node("f", "t", 300.0, STEPS)]
        + [node(pole, "f", 90.0, STEPS) for pole in poles],
        stores=[
            store(
                f"{pole}-{i}",
                pole,
                STEPS,
                initial_kwh=10.0,
                charge_kw_max=7.4,
                discharge_kw_max=0.0,
                stays=stay,
            )
            for pole, stay in zip(poles, stays, strict=True)
            for i in range(each)
        ]
        + [store("three", "f", STEPS, initial_kwh=0.0, charge_kw_max=44.0, final_min_kwh=40.0)],
        buy=price,
        sell=price - 0.05,
    )
    cars = {f"{pole}-{i}": ON_L1 for pole in poles for i in range(each)}
    inputs = with_phases(made, cars, {"f": 90.0})
    plan, exact = solve_quick(inputs), solve_exact(inputs)
    assert plan.method == "structured"
    assert check(inputs, plan) == []
    assert phase_kw(inputs, plan, "f", side=1).max() <= 90.0 + 1e-4
    assert plan.totals_kwh.departure == pytest.approx(0.0, abs=1e-5)
    assert plan.lower_bound_eur <= exact.cost_eur + 1e-6
    assert plan.cost_eur <= exact.cost_eur + 0.01 * abs(exact.cost_eur)


def test_the_reason_names_the_phase() -> None:
    """A car that would charge more in the cheapest hour hears which phase is full, and at how much.

    Where it cannot get what it asked for, the words say so as well.
    """
    inputs = one_sided()
    plan = solve(inputs)
    reasons = [plan_reasons(inputs, plan, AssetId(f"car-{i}"))[STEPS - 1] for i in range(3)]
    held = [reason for reason in reasons if reason.code is PlanReasonCode.NODE_LIMIT]
    assert held
    assert {(reason.node, reason.limit_kw) for reason in held} == {("f L1", RATING_KW)}
    wish = (Stay(from_step=0, to_step=STEPS, departure_min_kwh=60.0),)
    hurried = replace(inputs, stores=tuple(replace(car, stays=wish) for car in inputs.stores))
    short = solve(hurried).shortfalls
    assert {item.because for item in short if item.asset != "three"} == {"f L1 import limit"}


@pytest.mark.parametrize(("share", "most_kw"), [(ON_ONE, 4.0), (ON_L1, 4.0), (EVENLY, 12.0)])
def test_a_car_of_unknown_phase_counts_in_full_on_each(share: PhaseShare, most_kw: float) -> None:
    """4 kW of room on every phase."""
    made = problem(
        2,
        [node("t", None, 100.0, 2)],
        fixed=[load("homes", "t", 6.0, 2)],
        stores=[store("car", "t", 2, initial_kwh=0.0, final_min_kwh=60.0, charge_kw_max=22.0)],
    )
    inputs = with_phases(made, {"car": share}, {"t": 6.0})
    plan = solve(inputs)
    assert check(inputs, plan) == []
    assert max(plan.charge_kw[inputs.stores[0].id]) == pytest.approx(most_kw, abs=1e-3)


def test_an_uneven_load_lowers_the_limit_of_three_phase_cars() -> None:
    """5 kW of homes on L1 of 12 leave three-phase cars 21 kW; no row is left for the solver."""
    made = problem(
        2,
        [node("t", None, 36.0, 2)],
        fixed=[load("homes", "t", 5.0, 2)],
        stores=[store("car", "t", 2, charge_kw_max=50.0)],
    )
    even, rows = without_even_rows(with_phases(made, {"homes": ON_L1}, {"t": 12.0}))
    assert rows is None
    assert even.phases is None
    assert even.nodes[0].import_limit_kw.tolist() == pytest.approx([26.0, 26.0])


def test_nobody_gives_back_for_homes_that_are_over_on_paper() -> None:
    """Homes of unknown phase count on each: 15 kW on 12. Cars do not add to it, and need not relieve it."""
    made = problem(
        2,
        [node("t", None, 36.0, 2)],
        fixed=[load("homes", "t", [15.0, 3.0], 2)],
        stores=[store("car", "t", 2, initial_kwh=10.0, final_min_kwh=19.0)],
    )
    inputs = with_phases(made, {"homes": ON_ONE, "car": ON_L1}, {"t": 12.0})
    for plan in (solve(inputs), solve_quick(inputs), rules(inputs)):
        assert check(inputs, plan) == []
        assert plan.charge_kw[inputs.stores[0].id].tolist() == pytest.approx([0.0, 9.0], abs=1e-3)
        assert max(plan.discharge_kw[inputs.stores[0].id]) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("export_kw", [100.0, 5.0])
def test_stores_neither_use_nor_replace_sun_that_homes_need_on_paper(
    monkeypatch: pytest.MonkeyPatch, export_kw: float
) -> None:
    """Homes of unknown phase, 30 kW on 25, and 60 kW of sun in the second half, of which 5 may come out.

    With all of it 30 kW flow up, and still no car charges on its strength; with 5 kW of it 25 kW flow down,
    and no car gives back for that. At night no car charges. The last hour's homes are small.
    """
    monkeypatch.setattr("controller.dispatch.solve.EXACT_UP_TO", 0)
    made = problem(
        4,
        [node("t", None, 400.0, 4), node("f", "t", 75.0, 4), node("h", "f", 60.0, 4, export_kw=export_kw)],
        fixed=[load("homes", "f", [30.0, 30.0, 30.0, 3.0], 4)],
        pv=[roof("sun", "h", [0.0, 60.0, 60.0, 0.0], 4)],
        stores=[
            store(f"car-{i}", "f", 4, final_min_kwh=31.0, wear_eur_per_kwh_discharged=0.5) for i in range(40)
        ],
        buy=0.3,
        sell=0.15,
    )
    inputs = with_phases(made, {"homes": ON_ONE}, {"f": 25.0})
    plan, exact = solve_quick(inputs), solve_exact(inputs)
    assert plan.method == "structured"
    assert check(inputs, plan) == []
    assert sum(plan.charge_kw.values()) == pytest.approx([0.0, 0.0, 0.0, 40.0], abs=1e-3)
    assert sum(plan.discharge_kw.values()) == pytest.approx([0.0] * 4, abs=1e-3)
    assert plan.lower_bound_eur <= exact.cost_eur + 1e-6


def test_sun_on_one_phase_is_turned_down_at_its_rating() -> None:
    """10 kW of sun on L1 of 6 kW, and a car on L2 that cannot help."""
    made = problem(
        2,
        [node("t", None, 36.0, 2)],
        pv=[roof("sun", "t", 10.0, 2)],
        stores=[store("car", "t", 2, initial_kwh=30.0)],
    )
    inputs = with_phases(made, {"sun": ON_L1, "car": PhaseShare(known=(0.0, 1.0, 0.0))}, {"t": 6.0})
    for plan in (solve(inputs), solve_quick(inputs), rules(inputs)):
        assert check(inputs, plan) == []
        assert phase_kw(inputs, plan, "t", side=-1)[0].max() == pytest.approx(6.0, abs=1e-3)


def test_the_last_plan_is_clipped_to_phases() -> None:
    """A plan that was made without phases is followed only as far as they allow."""
    inputs = one_sided()
    blind = problem(STEPS, inputs.nodes, stores=inputs.stores, buy=inputs.import_price_eur_per_kwh)
    last = WarmStart(inputs=blind, result=solve(blind))
    plan = second_best(inputs, last, "late")
    assert plan.method == METHOD
    assert check(inputs, plan) == []
    assert phase_kw(inputs, plan, "f", side=1).max() <= RATING_KW + 1e-5


def test_a_lump_hangs_like_its_parts() -> None:
    """Weights, the unknown part beside; nothing at all hangs evenly."""
    parts = [(Phases.L1, 1.0), (Phases.UNKNOWN, 2.0), (Phases.THREE, 3.0)]
    lump = mixed_share(parts)
    assert lump.known == pytest.approx((2.0 / 6.0, 1.0 / 6.0, 1.0 / 6.0))
    assert lump.unknown == pytest.approx(2.0 / 6.0)
    assert mixed_share([]) == EVENLY
