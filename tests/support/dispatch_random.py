"""Random dispatch problems of every kind: all that formats.md allows, small enough for exactness."""

from __future__ import annotations

import numpy as np

from controller.dispatch.inputs import DispatchInputs, NodeInput, Stay, StoreInput, StoreKind, Trip
from controller.domain.units import FloatArray
from tests.support.dispatch import load, node, problem, roof, store

MOST_STORES, MOST_STEPS = 8, 24


class AnyProblem:
    """Draws one problem from a seed.

    Some are generous and some are hopeless: limits down to nothing, loads above them, wishes out of reach,
    prices below 0 for hours, trips that empty a car, minimum powers above the maximum of a step.
    """

    def __init__(
        self,
        seed: int,
        *,
        minimum_powers: bool | None = None,
        most_stores: int = MOST_STORES,
        most_steps: int = MOST_STEPS,
    ) -> None:
        self.rng = np.random.default_rng(seed)
        self.steps = int(self.rng.integers(1, most_steps + 1))
        self.stores = int(self.rng.integers(0 if seed % 20 == 0 else 1, most_stores + 1))
        drawn = bool(self.rng.random() < 0.5)
        self.minimum_powers = drawn if minimum_powers is None else minimum_powers
        self.tightness = float(self.rng.uniform(0.3, 2.5))

    def inputs(self) -> DispatchInputs:
        """The problem."""
        rng, steps = self.rng, self.steps
        nodes = self._nodes()
        places = [str(n.id) for n in nodes]
        buy = rng.uniform(-0.3, 0.5) + rng.uniform(0.0, 0.3) * rng.standard_normal(steps)
        sell = buy - float(rng.choice([0.0, 0.02, 0.2])) * rng.random(steps)
        return problem(
            steps,
            nodes,
            stores=[self._store(i, str(rng.choice(places))) for i in range(self.stores)],
            fixed=[load(f"load-{i}", p, self._wave(-6, 12), steps) for i, p in enumerate(places)],
            pv=[
                roof(f"roof-{i}", str(rng.choice(places)), self._wave(0, 10), steps, curtailable=turned)
                for i, turned in enumerate((rng.random(int(rng.integers(0, 3))) < 0.7).tolist())
            ],
            buy=buy,
            sell=sell,
            step_h=float(rng.choice([0.25, 0.5, 1.0])),
        )

    def _wave(self, low: float, high: float) -> FloatArray:
        """A constant or a series between two values, shape (T,)."""
        if self.rng.random() < 0.3:
            return np.full(self.steps, self.rng.uniform(low, high))
        return self.rng.uniform(low, high, self.steps)

    def _nodes(self) -> list[NodeInput]:
        """One to three roots, and under them a forest that is now wide, now one long line."""
        rng = self.rng
        nodes = [self._node(f"root-{i}", None, 40.0) for i in range(int(rng.choice([1, 1, 1, 2, 3])))]
        line = rng.random() < 0.3
        for i in range(int(rng.integers(0, 6))):
            above = nodes[-1] if line else nodes[int(rng.integers(0, len(nodes)))]
            nodes.append(self._node(f"node-{i}", str(above.id), 20.0))
        return nodes

    def _node(self, name: str, parent: str | None, typical_kw: float) -> NodeInput:
        most = typical_kw * self.tightness
        export = 0.0 if self.rng.random() < 0.1 else self._wave(0.1 * most, most)
        return node(name, parent, self._wave(0.3 * most, most), self.steps, export)

    def _store(self, number: int, at: str) -> StoreInput:
        rng = self.rng
        capacity = float(rng.uniform(5, 40))
        is_battery = rng.random() < 0.2
        minimum = self.minimum_powers and rng.random() < 0.7
        stays, trips = ([Stay(from_step=0, to_step=self.steps)], []) if is_battery else self._days(capacity)
        two_way = is_battery or rng.random() < 0.7
        return store(
            f"store-{number}",
            at,
            self.steps,
            kind=StoreKind.BATTERY if is_battery else StoreKind.VEHICLE,
            capacity_kwh=capacity,
            min_kwh=float(rng.uniform(0, 0.4 * capacity)),
            initial_kwh=float(
                rng.choice([0.0, capacity, rng.uniform(0, capacity), rng.uniform(0, capacity)])
            ),
            final_min_kwh=float(rng.choice([0.0, rng.uniform(0, capacity)])),
            charge_kw_max=float(rng.uniform(3.5, 12)),
            discharge_kw_max=float(rng.uniform(2.5, 12)) if two_way else 0.0,
            charge_kw_min=4.1 if minimum else 0.0,
            discharge_kw_min=3.0 if minimum and rng.random() < 0.5 else 0.0,
            efficiency_charge=float(rng.choice([1.0, rng.uniform(0.8, 1.0)])),
            efficiency_discharge=float(rng.choice([1.0, rng.uniform(0.8, 1.0)])),
            wear_eur_per_kwh_discharged=float(rng.choice([0.0, 0.03, 0.1])),
            charge_adder_eur_per_kwh=float(rng.choice([0.0, 0.05, 0.15])),
            discharge_adder_eur_per_kwh=float(rng.choice([0.0, 0.02])),
            standby_kw=float(rng.choice([0.0, 0.1])),
            stays=tuple(stays),
            trips=tuple(trips),
        )

    def _days(self, capacity: float) -> tuple[list[Stay], list[Trip]]:
        """Stays with trips between and around them; a car may be away all the time."""
        rng = self.rng
        stays: list[Stay] = []
        trips: list[Trip] = []
        at = int(rng.integers(0, 3))
        while at < self.steps and len(stays) < 3:
            until = int(rng.integers(at + 1, self.steps + 1))
            wish = float(rng.uniform(0, capacity)) if rng.random() < 0.7 else None
            stays.append(Stay(from_step=at, to_step=until, departure_min_kwh=wish))
            at = until + int(rng.integers(0, 5))
            trips += [
                Trip(step=step, energy_kwh=float(rng.uniform(0, 0.5 * capacity)))
                for step in range(until, min(at, self.steps))
                if rng.random() < 0.5
            ]
        return stays, trips
