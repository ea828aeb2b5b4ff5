"""The envelope: how much energy the network lets through in one quarter-hour, node by node.

The network is a forest. The grid outside is the place that all roots hang from; it has no limit of its
own. What crosses from a node's parent into the node is the net of all orders under it, positive = import.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from controller.domain.errors import Problem
from controller.domain.ids import NodeId
from controller.domain.network import Network, tree_problems
from controller.domain.units import IntArray
from market.orders import OUTSIDE
from market.prices import INTERVAL_QUANTITY_WH_MAX, quarter_capacity_wh


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvelopeNode:
    """One node and what it lets through."""

    id: NodeId
    parent: NodeId | None
    """None for a root: it hangs from the grid outside."""
    import_wh: int | None
    """The most that may flow down into it, net [Wh]; None: no limit."""
    export_wh: int | None
    """The most that may flow up out of it, net, a magnitude [Wh]; None: no limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeArrays:
    """The forest as arrays, parents before children; position 0 is the grid outside."""

    parent: IntArray
    """Position of the parent, shape (K,); -1 for the grid outside."""
    import_wh: IntArray
    """Most net import [Wh], shape (K,)."""
    export_wh: IntArray
    """Most net export [Wh], a magnitude, shape (K,)."""


@dataclass(frozen=True)
class Envelope:
    """All nodes of the network with their limits for one quarter-hour."""

    nodes: tuple[EnvelopeNode, ...]

    def __post_init__(self) -> None:
        problems = envelope_problems(self.nodes)
        if problems:
            raise ValueError("; ".join(map(str, problems)))

    @cached_property
    def order(self) -> tuple[NodeId, ...]:
        """The places in the order of the arrays: the grid outside, then parents before children."""
        children: dict[NodeId | None, list[NodeId]] = {}
        for node in self.nodes:
            children.setdefault(node.parent, []).append(node.id)
        order = [OUTSIDE, *children.get(None, [])]
        place = 1
        while place < len(order):
            order.extend(children.get(order[place], []))
            place += 1
        return tuple(order)

    @cached_property
    def position(self) -> Mapping[str, int]:
        """Where each place stands in the arrays."""
        return {node_id: place for place, node_id in enumerate(self.order)}

    @cached_property
    def arrays(self) -> TreeArrays:
        """The arrays that the clearing works on."""
        by_id = {node.id: node for node in self.nodes}
        inside = [by_id[node_id] for node_id in self.order[1:]]
        parents = [self.position[OUTSIDE if node.parent is None else node.parent] for node in inside]
        return TreeArrays(
            parent=np.array([-1, *parents], dtype=np.int64),
            import_wh=np.array([0, *(_or_unlimited(node.import_wh) for node in inside)], dtype=np.int64),
            export_wh=np.array([0, *(_or_unlimited(node.export_wh) for node in inside)], dtype=np.int64),
        )

    def holds(self, net_import_wh: Mapping[NodeId, int]) -> bool:
        """Whether no limit is broken when orders at each place import so much, net [Wh]."""
        net = [net_import_wh.get(place, 0) for place in self.order]
        parents = self.arrays.parent.tolist()
        limits = zip(self.arrays.import_wh.tolist(), self.arrays.export_wh.tolist(), strict=True)
        for place, (down, up) in reversed(list(enumerate(limits))[1:]):
            if not -up <= net[place] <= down:
                return False
            net[parents[place]] += net[place]
        return True


def _or_unlimited(limit_wh: int | None) -> int:
    """A limit that no interval's orders can reach stands for none, and keeps sums inside 64 bits."""
    return INTERVAL_QUANTITY_WH_MAX if limit_wh is None else min(limit_wh, INTERVAL_QUANTITY_WH_MAX)


def envelope_problems(nodes: Sequence[EnvelopeNode]) -> list[Problem]:
    """Everything that keeps nodes from being an envelope."""
    problems = [
        Problem(place="nodes", rule=text) for text in tree_problems([(n.id, n.parent) for n in nodes])
    ]
    for place, node in enumerate(nodes):
        if node.id == OUTSIDE:
            problems.append(
                Problem(place=f"nodes[{place}].id", rule="must not be empty: that is the grid outside")
            )
        problems += [
            Problem(place=f"nodes[{place}].{name}", rule=f"must not be negative, is {limit}")
            for name, limit in (("import_wh", node.import_wh), ("export_wh", node.export_wh))
            if limit is not None and limit < 0
        ]
    return problems


def envelope_of(
    network: Network,
    *,
    limits_kw: Mapping[NodeId, tuple[float, float]] | None = None,
    others_wh: Mapping[NodeId, int] | None = None,
) -> Envelope:
    """The envelope of a network in one quarter-hour.

    Args:
        network: The tree with its own limits.
        limits_kw: Import and export limits in force [kW], both magnitudes, where they are tighter than
            the network's own (the grid operator's, or a margin); nodes left out keep their own.
        others_wh: Net energy through a node [Wh, positive = import] of those who do not take part. It is
            taken off before: use makes import scarcer and export roomier. Where others alone exceed a
            limit nothing is left; nobody can be forced to trade the excess away.

    Returns:
        Limits in whole watt-hours.
    """
    limits = limits_kw or {}
    others = others_wh or {}
    nodes = []
    for node in network.nodes:
        import_kw, export_kw = limits.get(node.id, (float("inf"), float("inf")))
        used = others.get(node.id, 0)
        down = quarter_capacity_wh(min(import_kw, node.import_limit_kw()))
        up = quarter_capacity_wh(min(export_kw, node.export_limit_kw()))
        nodes.append(
            EnvelopeNode(
                id=node.id,
                parent=node.parent,
                import_wh=None if down is None else max(0, down - used),
                export_wh=None if up is None else max(0, up + used),
            )
        )
    return Envelope(tuple(nodes))
