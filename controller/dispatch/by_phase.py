"""What a dispatch problem may know of phases: how its assets hang on them, and what a phase may carry.

Optional: a problem file has no phases, and a site may not know them. What is known is kept like every other
limit (`phase_rows`); an asset of which nothing is said hangs evenly on all three phases.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from controller.domain.assets import Phases
from controller.domain.ids import AssetId, NodeId
from controller.domain.units import FloatArray

PHASES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseShare:
    """How the power of an asset counts on each phase."""

    known: tuple[float, float, float]
    """The part that hangs on L1, L2 and L3."""
    unknown: float = 0.0
    """The part that hangs on one phase of which nobody knows which: it counts in full on each, and relieves
    none. All four sum to 1."""


EVENLY = PhaseShare(known=(1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0))
"""A three-phase asset."""


@dataclass(frozen=True, kw_only=True)
class PhaseInput:
    """The phases of a problem."""

    share: Mapping[AssetId, PhaseShare]
    """Of fixed loads, roofs and stores; those that are not named hang evenly."""
    import_limit_kw: Mapping[NodeId, FloatArray]
    """Most that may flow down on each phase of a node [kW], shape (3, T); nodes without one have no limit."""
    export_limit_kw: Mapping[NodeId, FloatArray]
    """Most that may flow up, a magnitude, for the same nodes, shape (3, T)."""

    def share_of(self, asset: AssetId) -> PhaseShare:
        """How an asset hangs on the phases."""
        return self.share.get(asset, EVENLY)


def mixed_share(parts: Iterable[tuple[Phases, float]]) -> PhaseShare:
    """The share of a lump of assets.

    Args:
        parts: How each hangs, and its weight; no weight is negative.
    """
    known, unknown, total = [0.0] * PHASES, 0.0, 0.0
    for phases, weight in parts:
        total += weight
        if phases is Phases.UNKNOWN:
            unknown += weight
            continue
        for phase in range(PHASES):
            known[phase] += weight * phases.share(phase)
    if total <= 0.0:
        return EVENLY
    first, second, third = (part / total for part in known)
    return PhaseShare(known=(first, second, third), unknown=unknown / total)
