"""The summary's arithmetic by hand."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from controller.domain.ids import NodeId
from controller.domain.network import ImposedLimit, Limit, LimitKind, Network, Node, NodeKind
from controller.domain.site import Tariff
from sim.recorder import DepartureRecord, Energy, Recorder
from sim.scenarios import PriceSeries, Weather
from sim.summary import (
    RootPrices,
    cost_eur,
    count_violations,
    departures,
    energy_figures,
    inputs_sha256,
    limits_in_force,
    peak_import_kw,
    root_prices,
    summarise,
)
from tests.support.sim import START, scenario, world

MIDNIGHT = datetime(2024, 1, 15, tzinfo=UTC)
NETWORK = Network(
    (
        Node(
            id=NodeId("t"),
            parent=None,
            kind=NodeKind.TRANSFORMER,
            limits=(Limit(kind=LimitKind.TRANSFORMER, value=100.0),),
        ),
        Node(id=NodeId("ring"), parent=None, kind=NodeKind.MV_RING),
    )
)


def imposed(
    from_min: float, to_min: float | None, import_kw: float | None, export_kw: float | None = None
) -> ImposedLimit:
    """A limit on the transformer, minutes after midnight."""
    return ImposedLimit(
        id="x",
        node=NodeId("t"),
        import_kw=import_kw,
        export_kw=export_kw,
        from_utc=MIDNIGHT + timedelta(minutes=from_min),
        to_utc=None if to_min is None else MIDNIGHT + timedelta(minutes=to_min),
        set_by="dso",
    )


def test_limit_in_force_is_a_mean_over_time() -> None:
    """5 of 15 minutes at 50 kW and 10 at 95 kW make 80; where two hold, the tighter; none is infinite."""
    down, up = limits_in_force(NETWORK, [imposed(10, 30, 50.0), imposed(20, None, 40.0, 0.0)], MIDNIGHT, 3)
    assert down[:, 0] == pytest.approx([80.0, (5 * 50.0 + 10 * 40.0) / 15.0, 40.0])
    assert up[:, 0] == pytest.approx([95.0, 95.0 / 3.0, 0.0])
    assert np.all(np.isinf(down[:, 1]))


def test_violations_have_a_tolerance_of_a_thousandth() -> None:
    """100.1 of 100 is inside, 100.2 is over; so is export; each node and quarter counts."""
    node_kw = np.array([[100.09, 0.0], [100.2, 7.0], [-50.2, -1.0]])
    down = np.array([[100.0, np.inf]] * 3)
    up = np.array([[50.0, np.inf]] * 3)
    assert count_violations(node_kw, down, up) == 2


def test_peak_is_the_highest_import_summed_over_roots() -> None:
    """Export of one root does not hide the import of another."""
    assert peak_import_kw(np.array([[30.0, -40.0], [10.0, 15.0]])) == 30.0
    assert peak_import_kw(np.zeros((0, 2))) == 0.0


def test_cost_by_hand() -> None:
    """Two quarters: 40 kW in at 0.10, 20 kW out at 0.05, wear 0.3, 2 kWh gained at the mean 0.15."""
    prices = RootPrices(import_eur_per_kwh=np.array([0.10, 0.20]), export_eur_per_kwh=np.array([0.08, 0.05]))
    cost = cost_eur(np.array([[40.0], [-20.0]]), prices, 0.3, 2.0)
    assert cost == pytest.approx(0.25 * 40.0 * 0.10 - 0.25 * 20.0 * 0.05 + 0.3 - 2.0 * 0.15)


def test_root_prices_carry_the_margins() -> None:
    """Import is dearer by its margin, export never dearer than import."""
    tariff = Tariff(import_adder_eur_per_kwh=0.02, export_adder_eur_per_kwh=0.05)
    prices = root_prices(PriceSeries({START: 100.0}), tariff, START, 2)
    assert prices.import_eur_per_kwh == pytest.approx([0.12, 0.12])
    assert prices.export_eur_per_kwh == pytest.approx([0.12, 0.12])


def record(need: float, energy: float, alone: float) -> DepartureRecord:
    """A departure."""
    return DepartureRecord(
        vehicle=0, booking="b", at=START, need_kwh=need, energy_kwh=energy, alone_kwh=alone
    )


def test_departures_by_hand() -> None:
    """Kept, kept within the tolerance, broken by 3 kWh, and one that was not possible at all."""
    records = [
        record(20.0, 25.0, 50.0),
        record(20.0, 19.95, 19.92),
        record(20.0, 17.0, 22.0),
        record(40.0, 12.0, 30.0),
    ]
    assert departures(records) == {"total": 4, "possible": 3, "kept": 2, "short_kwh": 3.0}


def test_energy_balances() -> None:
    """Consumed has loads, charging and losses; imports are those of quarter-hour means."""
    energy = Energy(loads=10.0, produced=6.0, charged=5.0, discharged=2.0, losses=0.5)
    root = np.array([[40.0], [-10.0]])
    figures = energy_figures(energy, root)
    assert figures["consumed"] == 15.5
    assert figures["imported"] + figures["produced"] + figures["discharged"] == pytest.approx(
        figures["consumed"] + figures["exported"]
    )


def test_summary_of_a_run_has_the_simulators_part() -> None:
    """Keys and types of formats.md; a second run gives the same; the grace after the end does not count."""
    summaries = []
    for grace_min in (0, 20):
        run = world(step_s=60.0)
        run.request_chargers_kw(np.full(4, -6.0))
        run.advance(START + timedelta(hours=2, minutes=grace_min))
        books: Recorder = run.recorder
        summaries.append(
            summarise(
                scenario=run.scenario,
                weather=Weather(seed=1),
                prices=PriceSeries(),
                quarters=8,
                controlled=books,
                baselines={"fixed_cap": books},
                imposed=[],
                speed=600,
            )
        )
    summary = summaries[0]
    assert summaries[1] == summary
    assert json.loads(json.dumps(summary)) == summary
    assert (summary["start"], summary["quarters"], summary["pv_m2"]) == ("2024-01-15", 8, 60)
    assert summary["speed"] == 600
    energy = summary["energy_kwh"]
    left = energy["imported"] + energy["produced"] + energy["discharged"]
    assert left == pytest.approx(energy["consumed"] + energy["exported"], rel=1e-3)
    assert energy["discharged"] > 0.0
    assert summary["cost_eur"]["fixed_cap"] == summary["cost_eur"]["controlled"]
    assert 0.0 <= summary["self_sufficiency_fraction"] <= 1.0


def test_summary_wants_all_quarters() -> None:
    """A run that ended early is refused, by name."""
    run = world(step_s=60.0)
    run.advance(START + timedelta(hours=1))
    with pytest.raises(ValueError, match="controlled: fewer than 8"):
        summarise(
            scenario=run.scenario,
            weather=Weather(seed=1),
            prices=PriceSeries(),
            quarters=8,
            controlled=run.recorder,
            baselines={},
            direct=True,
        )


def test_digest_changes_with_every_input() -> None:
    """Scenario, seed, weather, prices, length: each changes it, nothing else does."""
    plain = inputs_sha256(scenario(), Weather(seed=1), PriceSeries(), 96)
    assert plain == inputs_sha256(scenario(), Weather(seed=1), PriceSeries(), 96)
    others = {
        inputs_sha256(scenario(seed=2), Weather(seed=1), PriceSeries(), 96),
        inputs_sha256(scenario(homes__count=9), Weather(seed=1), PriceSeries(), 96),
        inputs_sha256(scenario(), Weather(seed=2), PriceSeries(), 96),
        inputs_sha256(scenario(), Weather(seed=1), PriceSeries({START: 1.0}), 96),
        inputs_sha256(scenario(), Weather(seed=1), PriceSeries(), 92),
    }
    assert plain not in others
    assert len(others) == 5
