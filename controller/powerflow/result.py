"""What a power flow says of a plan. Light: whoever follows plans needs this, and no power flow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from controller.dispatch.result import DispatchResult
from controller.domain.ids import NodeId


class FindingKind(StrEnum):
    """What is outside its bound."""

    LOW_VOLTAGE = "low_voltage"
    HIGH_VOLTAGE = "high_voltage"
    CABLE = "cable"
    TRANSFORMER = "transformer"
    NO_SOLUTION = "no_solution"
    """No voltage carries the load: it is far beyond the network."""


UNITS: Mapping[FindingKind, str] = MappingProxyType(
    {
        FindingKind.LOW_VOLTAGE: "V",
        FindingKind.HIGH_VOLTAGE: "V",
        FindingKind.CABLE: "A",
        FindingKind.TRANSFORMER: "kVA",
        FindingKind.NO_SOLUTION: "",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A figure outside its bound in a step."""

    kind: FindingKind
    node: NodeId
    """The tree's node of the place."""
    place: str
    """The bus, the line (`from-to`) or the transformer's busbar."""
    step: int
    value: float
    """V, A or kVA; infinity where there is no solution."""
    bound: float

    @property
    def excess(self) -> float:
        """By how much it is outside [V, A, kVA]."""
        return self.bound - self.value if self.kind is FindingKind.LOW_VOLTAGE else self.value - self.bound

    @property
    def severity(self) -> float:
        """The excess of the bound; 1 where there is no solution."""
        return 1.0 if self.kind is FindingKind.NO_SOLUTION else self.excess / self.bound

    def __str__(self) -> str:
        """In words, for a log."""
        if self.kind is FindingKind.NO_SOLUTION:
            return f"step {self.step}: no voltage carries the load under {self.node}"
        unit = UNITS[self.kind]
        return (
            f"step {self.step}: {self.kind.replace('_', ' ')} at {self.place} ({self.node}): "
            f"{self.value:.1f} {unit}, bound {self.bound:.1f} {unit}"
        )


@dataclass(frozen=True, kw_only=True)
class CheckedPlan(DispatchResult):
    """A plan whose voltages and currents were computed."""

    findings: tuple[Finding, ...]
    """What it still breaks; empty: the plan holds."""
    rounds: int
    """How often it was made again."""
