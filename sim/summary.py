"""The simulator's part of a run's summary, by the definitions of formats.md.

A violation is a node and quarter-hour whose mean power lies outside the limit in force by more than 0.1%;
where a grid operator's limit held for a part of the quarter-hour, the limit in force is its mean over time.
Energy that flows through the roots is that of quarter-hour means. The cost is the plan's formula on what
happened, less the gain in stored energy at the mean import price.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from controller.domain.assets import LoadKind
from controller.domain.network import ImposedLimit, Network
from controller.domain.site import Tariff
from controller.domain.time import AMSTERDAM, QUARTER, QUARTER_H, utc_text
from controller.domain.units import FloatArray
from sim.recorder import DepartureRecord, Energy, Recorder
from sim.scenarios.scenario import Scenario
from sim.scenarios.series import PriceSeries, Weather

CONTROLLED = "controlled"
VIOLATION_TOLERANCE = 1e-3
DEPARTURE_TOLERANCE_KWH = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class RootPrices:
    """What energy costs at the roots, each of shape (Q,) [EUR/kWh]."""

    import_eur_per_kwh: FloatArray
    export_eur_per_kwh: FloatArray


def root_prices(prices: PriceSeries, tariff: Tariff, start: datetime, quarters: int) -> RootPrices:
    """The day-ahead price with the supplier's margins; export never above import, as the plan wants it."""
    bare = prices.values(start, quarters)
    bought = bare + tariff.import_adder_eur_per_kwh
    return RootPrices(
        import_eur_per_kwh=bought,
        export_eur_per_kwh=np.minimum(bare + tariff.export_adder_eur_per_kwh, bought),
    )


def limits_in_force(
    network: Network, imposed: Sequence[ImposedLimit], start: datetime, quarters: int
) -> tuple[FloatArray, FloatArray]:
    """The limits of each quarter-hour and node, as means over time.

    Returns:
        Import and export limit [kW], each of shape (Q, N), magnitudes; infinite where there is none.
    """
    down = np.tile([node.import_limit_kw() for node in network.nodes], (quarters, 1))
    up = np.tile([node.export_limit_kw() for node in network.nodes], (quarters, 1))
    index = {node.id: i for i, node in enumerate(network.nodes)}
    for node_id in dict.fromkeys(limit.node for limit in imposed):
        here = [limit for limit in imposed if limit.node == node_id]
        n = index[node_id]
        for q in range(quarters):
            begin = start + q * QUARTER
            down[q, n] = _mean_limit(down[q, n], [(item, item.import_kw) for item in here], begin)
            up[q, n] = _mean_limit(up[q, n], [(item, item.export_kw) for item in here], begin)
    return down, up


def _mean_limit(own_kw: float, imposed: list[tuple[ImposedLimit, float | None]], begin: datetime) -> float:
    """The mean over a quarter-hour of the tightest limit at each moment."""
    end = begin + QUARTER
    cuts = {begin, end}
    for limit, _ in imposed:
        cuts |= {at for at in (limit.from_utc, limit.to_utc) if at is not None and begin < at < end}
    moments = sorted(cuts)
    total = 0.0
    for left, right in itertools.pairwise(moments):
        tight = [kw for limit, kw in imposed if kw is not None and limit.holds_at(left)]
        total += min([own_kw, *tight]) * ((right - left) / QUARTER)
    return total


def count_violations(node_kw: FloatArray, down_kw: FloatArray, up_kw: FloatArray) -> int:
    """How many node-quarter-hours lie outside their limits; all arguments of shape (Q, N)."""
    over = node_kw > down_kw * (1.0 + VIOLATION_TOLERANCE) + 1e-9
    under = -node_kw > up_kw * (1.0 + VIOLATION_TOLERANCE) + 1e-9
    return int((over | under).sum())


def peak_import_kw(root_kw: FloatArray) -> float:
    """The highest quarter-hour mean import, summed over roots; shape (Q, roots)."""
    return float(np.maximum(root_kw, 0.0).sum(axis=1).max(initial=0.0))


def cost_eur(root_kw: FloatArray, prices: RootPrices, wear_eur: float, stored_gain_kwh: float) -> float:
    """The plan's cost formula on what happened, less the gain in stored energy at the mean import price.

    Args:
        root_kw: Mean power of quarter-hours at the nodes without a parent, shape (Q, roots).
        prices: Of the same quarter-hours.
        wear_eur: Of all that was discharged.
        stored_gain_kwh: In cars and batteries, from the first moment to the last.
    """
    bought = np.maximum(root_kw, 0.0).sum(axis=1) @ prices.import_eur_per_kwh
    sold = np.maximum(-root_kw, 0.0).sum(axis=1) @ prices.export_eur_per_kwh
    mean_import = float(prices.import_eur_per_kwh.mean()) if len(prices.import_eur_per_kwh) else 0.0
    return float(QUARTER_H * (bought - sold)) + wear_eur - stored_gain_kwh * mean_import


def departures(records: Sequence[DepartureRecord]) -> dict[str, float | int]:
    """Counts departures; those that no charging could have made in time do not count as broken."""
    possible = [r for r in records if r.alone_kwh >= r.need_kwh - DEPARTURE_TOLERANCE_KWH]
    kept = [r for r in possible if r.energy_kwh >= r.need_kwh - DEPARTURE_TOLERANCE_KWH]
    short = sum(max(0.0, r.need_kwh - r.energy_kwh) for r in possible if r not in kept)
    return {
        "total": len(records),
        "possible": len(possible),
        "kept": len(kept),
        "short_kwh": round(short, 3),
    }


def energy_figures(energy: Energy, root_kw: FloatArray) -> dict[str, float]:
    """The energy balance [kWh]: imported + produced + discharged = consumed + exported."""
    return {
        "consumed": energy.loads + energy.charged + energy.losses,
        "produced": energy.produced,
        "imported": float(np.maximum(root_kw, 0.0).sum()) * QUARTER_H,
        "exported": float(np.maximum(-root_kw, 0.0).sum()) * QUARTER_H,
        "discharged": energy.discharged,
    }


def inputs_sha256(scenario: Scenario, weather: Weather, prices: PriceSeries, quarters: int) -> str:
    """A digest of everything that goes into a run: equal digests mean equal inputs."""
    digest = hashlib.sha256()
    head = f"{scenario.spec_text}|{scenario.seed}|{utc_text(scenario.start_utc)}|{quarters}"
    digest.update(head.encode())
    ghi, temperature = weather.quarters(scenario.start_utc, quarters)
    for series in (prices.values(scenario.start_utc, quarters), ghi, temperature):
        digest.update(np.round(series, 9).astype("<f8").tobytes())
    return digest.hexdigest()


def summarise(
    *,
    scenario: Scenario,
    weather: Weather,
    prices: PriceSeries,
    quarters: int,
    controlled: Recorder,
    baselines: Mapping[str, Recorder],
    imposed: Sequence[ImposedLimit] = (),
    speed: float | None = None,
    direct: bool = False,
) -> dict[str, Any]:
    """The simulator's part of the summary.

    Args:
        scenario: What was simulated.
        weather: Over the span.
        prices: Over the span.
        quarters: How many quarter-hours count; what the recorders have beyond them does not.
        controlled: The run under the controller.
        baselines: The others by name.
        imposed: Limits of the grid operator with the span in which each really held; they bind all runs.
        speed: Domain seconds per machine second; None in direct mode.
        direct: Whether it ran without sockets.

    Raises:
        ValueError: If a recorder has fewer quarter-hours than asked for.
    """
    runs = {CONTROLLED: controlled, **baselines}
    short = [name for name, books in runs.items() if len(books.node_kw) < quarters]
    if short:
        raise ValueError(f"{', '.join(short)}: fewer than {quarters} quarter-hours were recorded")
    site, start = scenario.site, scenario.start_utc
    down, up = limits_in_force(site.network, imposed, start, quarters)
    roots = [i for i, node in enumerate(site.network.nodes) if node.parent is None]
    at_roots = root_prices(prices, site.tariff, start, quarters)
    node_kw = {name: books.quarters()[:quarters] for name, books in runs.items()}
    total = sum(controlled.energy[:quarters], Energy())
    energy = energy_figures(total, node_kw[CONTROLLED][:, roots])
    gone = [r for r in controlled.departures if r.at < start + quarters * QUARTER]
    return {
        **_identity(scenario),
        "quarters": quarters,
        "speed": None if direct else speed,
        "direct": direct,
        "inputs_sha256": inputs_sha256(scenario, weather, prices, quarters),
        "limit_violations": {name: count_violations(kw, down, up) for name, kw in node_kw.items()},
        "peak_kw": {name: round(peak_import_kw(kw[:, roots]), 3) for name, kw in node_kw.items()},
        "departures": departures(gone),
        "energy_kwh": {name: round(value, 3) for name, value in energy.items()},
        "self_consumption_fraction": _fraction(energy["exported"], energy["produced"]),
        "self_sufficiency_fraction": _fraction(energy["imported"], energy["consumed"]),
        "cost_eur": {
            name: _cost_of_run(books, node_kw[name][:, roots], at_roots) for name, books in runs.items()
        },
    }


def _identity(scenario: Scenario) -> dict[str, Any]:
    """What was simulated, in figures that people know."""
    site = scenario.site
    return {
        "scenario": scenario.name,
        "seed": scenario.seed,
        "start": scenario.start_utc.astimezone(AMSTERDAM).date().isoformat(),
        "vehicles": len(site.vehicles),
        "charge_points": len(site.charge_points),
        "homes": sum(load.kind is LoadKind.HOME for load in site.loads),
        "pv_m2": round(sum(roof.area_m2 for roof in site.pv)),
    }


def _cost_of_run(books: Recorder, root_kw: FloatArray, prices: RootPrices) -> float:
    quarters = len(root_kw)
    wear = sum(energy.wear_eur for energy in books.energy[:quarters])
    return round(cost_eur(root_kw, prices, wear, books.stored_kwh[quarters] - books.stored_kwh[0]), 4)


def _fraction(lost: float, whole: float) -> float:
    """1 - lost / whole, at least 0; 0 where there is no whole."""
    return round(max(0.0, 1.0 - lost / whole), 4) if whole > 0.0 else 0.0
