"""The network: a tree of nodes, each with limits of a kind, and the power that each limit allows.

Planning keeps kW limits derived from the kinds; the safety loop and the power flow know the kinds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property

from controller.domain.ids import NodeId
from controller.domain.units import three_phase_kw

TRANSFORMER_POWER_FACTOR = 0.95
"""A transformer's limit in kW is its kVA times this (formats.md)."""


class LimitKind(StrEnum):
    """What sets a limit, which decides its unit and how it is watched."""

    FUSE = "fuse"
    """A per phase, with a time-current curve."""
    TRANSFORMER = "transformer"
    """kVA."""
    CABLE = "cable"
    """A per phase."""
    VOLTAGE = "voltage"
    """V per phase, a 10-minute mean (EN 50160)."""
    CONTRACT = "contract"
    """kW, a quarter-hour mean."""


class NodeKind(StrEnum):
    """What a node is."""

    MV_RING = "mv_ring"
    TRANSFORMER = "transformer"
    FEEDER = "feeder"
    POLE = "pole"
    CONNECTION = "connection"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One limit of a node."""

    kind: LimitKind
    value: float
    """In the unit of the kind: A per phase (fuse, cable), kVA (transformer), kW (contract), V (voltage)."""
    export_value: float | None = None
    """The limit for export where it differs; for voltage the lower bound."""

    def import_kw(self) -> float | None:
        """The three-phase power [kW] that this limit allows to flow down; None where it is no power limit."""
        return self._kw(self.value)

    def export_kw(self) -> float | None:
        """The three-phase power [kW] that this limit allows to flow up, as a magnitude."""
        return self._kw(self.value if self.export_value is None else self.export_value)

    def phase_kw(self) -> float | None:
        """The power [kW] allowed on one phase; None where the kind does not bind per phase."""
        total = self.import_kw() if self.kind in {LimitKind.FUSE, LimitKind.CABLE} else None
        return None if total is None else total / 3.0

    def _kw(self, value: float) -> float | None:
        match self.kind:
            case LimitKind.FUSE | LimitKind.CABLE:
                return three_phase_kw(value)
            case LimitKind.TRANSFORMER:
                return value * TRANSFORMER_POWER_FACTOR
            case LimitKind.CONTRACT:
                return value
            case LimitKind.VOLTAGE:
                return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A place in the network where power is limited."""

    id: NodeId
    parent: NodeId | None
    kind: NodeKind
    limits: tuple[Limit, ...] = ()
    metered: bool = False
    """Whether a meter of its own reads the node."""
    congestion_point: str = ""
    """The grid operator's name of it (`ean.<digits>`), where it has one."""

    def import_limit_kw(self) -> float:
        """The tightest power limit down [kW]; infinity where there is none."""
        return min(
            (kw for limit in self.limits if (kw := limit.import_kw()) is not None), default=float("inf")
        )

    def export_limit_kw(self) -> float:
        """The tightest power limit up [kW], a magnitude."""
        return min(
            (kw for limit in self.limits if (kw := limit.export_kw()) is not None), default=float("inf")
        )

    def phase_limit_kw(self) -> float:
        """The tightest limit of one phase [kW]."""
        return min(
            (kw for limit in self.limits if (kw := limit.phase_kw()) is not None), default=float("inf")
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ImposedLimit:
    """A limit that the grid operator set on a node; it stays until withdrawn or until it ends."""

    id: str
    node: NodeId
    import_kw: float | None
    """Most that may flow down [kW]; None leaves import as it is."""
    export_kw: float | None
    """Most that may flow up [kW], a magnitude."""
    from_utc: datetime
    to_utc: datetime | None
    """None: until withdrawn."""
    set_by: str

    def holds_at(self, at: datetime) -> bool:
        """Whether it is in force at `at`."""
        return self.from_utc <= at and (self.to_utc is None or at < self.to_utc)


@dataclass(frozen=True)
class Network:
    """The tree (or the trees: roots without a common parent), in an order with parents first."""

    nodes: tuple[Node, ...] = field()

    def __post_init__(self) -> None:
        problems = tree_problems([(node.id, node.parent) for node in self.nodes])
        if problems:
            raise ValueError("; ".join(problems))

    @cached_property
    def by_id(self) -> Mapping[NodeId, Node]:
        """Every node by its id."""
        return {node.id: node for node in self.nodes}

    @cached_property
    def parents_first(self) -> tuple[NodeId, ...]:
        """The ids, every parent before its children; siblings in the given order."""
        children: dict[NodeId | None, list[NodeId]] = {}
        for node in self.nodes:
            children.setdefault(node.parent, []).append(node.id)
        order: list[NodeId] = []
        stack = list(reversed(children.get(None, [])))
        while stack:
            node_id = stack.pop()
            order.append(node_id)
            stack.extend(reversed(children.get(node_id, [])))
        return tuple(order)

    @cached_property
    def paths(self) -> Mapping[NodeId, tuple[NodeId, ...]]:
        """For each node itself and all above it, up to the root."""
        paths: dict[NodeId, tuple[NodeId, ...]] = {}
        for node_id in self.parents_first:
            parent = self.by_id[node_id].parent
            paths[node_id] = (node_id, *(paths[parent] if parent is not None else ()))
        return paths


def tree_problems(nodes: Sequence[tuple[str, str | None]]) -> list[str]:
    """What keeps (id, parent) pairs from being a forest: double ids, unknown parents, cycles."""
    ids = [node_id for node_id, _ in nodes]
    problems = [
        f"node {node_id!r} is there more than once"
        for node_id in sorted({i for i in ids if ids.count(i) > 1})
    ]
    parent_of = dict(nodes)
    problems += [
        f"node {i!r} has an unknown parent {p!r}" for i, p in nodes if p is not None and p not in parent_of
    ]
    for node_id, parent in parent_of.items():
        seen = {node_id}
        above = parent
        while above is not None and above in parent_of and above not in seen:
            seen.add(above)
            above = parent_of[above]
        if above == node_id:
            problems.append(f"node {node_id!r} is its own ancestor: the parents form a cycle")
    return problems
