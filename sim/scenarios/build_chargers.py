"""Which version of OCPP each charger speaks and what is wrong with it, by lot.

The lots are drawn apart from all others: a scenario without older or faulty chargers is the same with and
without them.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from controller.domain.units import split_by_largest_remainder
from sim.chargers.faults import Fault
from sim.scenarios.scenario import ChargerTruth
from sim.scenarios.spec import ChargersSpec

OCPP_16, OCPP_201, OCPP_21 = "ocpp1.6", "ocpp2.0.1", "ocpp2.1"
_LOT = 2
_PARTS = 1_000_000
"""Fractions are split as whole parts of this."""


def build_chargers(spec: ChargersSpec, *, seed: int) -> tuple[ChargerTruth, ...]:
    """Version and faults of each charger; every share is exact to one charger."""
    rng = np.random.default_rng((seed, _LOT))
    older = [round(fraction * _PARTS) for fraction in (spec.ocpp16_fraction, spec.ocpp201_fraction)]
    counts = split_by_largest_remainder(spec.count, [*older, max(_PARTS - sum(older), 0)])
    versions = [
        version
        for version, count in zip((OCPP_16, OCPP_201, OCPP_21), counts, strict=True)
        for _ in range(count)
    ]
    order = rng.permutation(spec.count)
    faults: list[set[Fault]] = [set() for _ in range(spec.count)]
    for name, fraction in dataclasses.asdict(spec.faults).items():
        for number in rng.permutation(spec.count)[: round(fraction * spec.count)]:
            faults[number].add(Fault(name))
    return tuple(
        ChargerTruth(version=versions[place], faults=frozenset(wrong))
        for place, wrong in zip(order, faults, strict=True)
    )
