"""The tree of a scenario: ring, transformers, feeders and poles, and the points along each feeder."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from controller.domain.ids import NodeId, ean_from_number
from controller.domain.network import Limit, LimitKind, Node, NodeKind
from controller.domain.units import BoolArray, IntArray
from sim.scenarios.scenario import FeederCable, TransformerData
from sim.scenarios.spec import NetworkSpec

RING = NodeId("mv-ring-1")
_CONGESTION_PREFIX = "8716949"
_VOLTAGE_BAND = Limit(kind=LimitKind.VOLTAGE, value=253.0, export_value=207.0)
"""EN 50160: 230 V +- 10%, a 10-minute mean."""
_WEIGHT_UNIT = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """The nodes, parents first, and how points and weights belong to them."""

    nodes: tuple[Node, ...]
    transformers: tuple[TransformerData, ...]
    feeders: tuple[FeederCable, ...]
    poles: tuple[tuple[int, ...], ...]
    """The pole nodes of each feeder; empty where chargers hang on the feeder."""
    node_point: IntArray
    """(N,) the point that stands for a node; -1 for transformers and the ring."""
    is_under: BoolArray
    """(N, N) whether the second node is the first or below it."""
    load_weights: tuple[int, ...]
    """Of each feeder, for homes."""
    charger_weights: tuple[int, ...]
    """Of each feeder, for chargers: the order of the feeders is reversed."""

    def first_point(self, feeder: int) -> int:
        """The point nearest to the busbar."""
        return sum(cable.points for cable in self.feeders[:feeder])


def build_tree(spec: NetworkSpec, rng: np.random.Generator) -> Tree:
    """Builds the tree. Ids: mv-ring-1, transformer-t, feeder-t-f, pole-t-f-p."""
    nodes: list[Node] = []
    if spec.ring_limit_kw:
        ring_limit = Limit(kind=LimitKind.CONTRACT, value=spec.ring_limit_kw)
        nodes.append(Node(id=RING, parent=None, kind=NodeKind.MV_RING, limits=(ring_limit,), metered=True))
    transformers: list[TransformerData] = []
    feeders: list[FeederCable] = []
    poles: list[tuple[int, ...]] = []
    node_point: dict[int, int] = {}
    for t in range(spec.transformers):
        transformers.append(_transformer(spec, len(nodes)))
        nodes.append(_transformer_node(spec, t))
        for f in range(spec.feeders_per_transformer):
            first = len(feeders) * spec.points_per_feeder
            node_point[len(nodes)] = first + spec.points_per_feeder - 1
            feeders.append(
                FeederCable(
                    node=len(nodes),
                    transformer=transformers[-1].node,
                    length_m=round(float(rng.uniform(spec.feeder_length_m[0], spec.feeder_length_m[1])), 1),
                    points=spec.points_per_feeder,
                )
            )
            nodes.append(_feeder_node(spec, t, f))
            for p in range(spec.poles_per_feeder):
                node_point[len(nodes) + p] = first + p * spec.points_per_feeder // spec.poles_per_feeder
            poles.append(tuple(range(len(nodes), len(nodes) + spec.poles_per_feeder)))
            nodes += [_pole_node(spec, t, f, p) for p in range(spec.poles_per_feeder)]
    by_feeder = [
        (_weight(spec.transformer_weights, t), f)
        for t in range(spec.transformers)
        for f in range(spec.feeders_per_transformer)
    ]
    last = spec.feeders_per_transformer - 1
    return Tree(
        nodes=tuple(nodes),
        transformers=tuple(transformers),
        feeders=tuple(feeders),
        poles=tuple(poles),
        node_point=np.array([node_point.get(n, -1) for n in range(len(nodes))], dtype=np.int64),
        is_under=_is_under(nodes),
        load_weights=tuple(round(w * _weight(spec.feeder_weights, f) * _WEIGHT_UNIT) for w, f in by_feeder),
        charger_weights=tuple(
            round(w * _weight(spec.feeder_weights, last - f) * _WEIGHT_UNIT) for w, f in by_feeder
        ),
    )


def _weight(weights: tuple[float, ...], i: int) -> float:
    return weights[i] if weights else 1.0


def _transformer(spec: NetworkSpec, node: int) -> TransformerData:
    """Losses by the plate of an oil transformer of the turn of the century: they grow slower than the kVA."""
    scale = (spec.transformer_kva / 400.0) ** 0.75
    return TransformerData(
        node=node,
        kva=spec.transformer_kva,
        copper_loss_kw=round(4.6 * scale, 3),
        no_load_loss_kw=round(0.61 * scale, 3),
    )


def _transformer_node(spec: NetworkSpec, t: int) -> Node:
    return Node(
        id=NodeId(f"transformer-{t + 1}"),
        parent=RING if spec.ring_limit_kw else None,
        kind=NodeKind.TRANSFORMER,
        limits=(Limit(kind=LimitKind.TRANSFORMER, value=spec.transformer_kva),),
        metered=True,
        congestion_point=f"ean.{ean_from_number(_CONGESTION_PREFIX, t + 1)}",
    )


def _feeder_node(spec: NetworkSpec, t: int, f: int) -> Node:
    return Node(
        id=NodeId(f"feeder-{t + 1}-{f + 1}"),
        parent=NodeId(f"transformer-{t + 1}"),
        kind=NodeKind.FEEDER,
        limits=(Limit(kind=LimitKind.CABLE, value=spec.feeder_a), _VOLTAGE_BAND),
        metered=True,
    )


def _pole_node(spec: NetworkSpec, t: int, f: int, p: int) -> Node:
    return Node(
        id=NodeId(f"pole-{t + 1}-{f + 1}-{p + 1}"),
        parent=NodeId(f"feeder-{t + 1}-{f + 1}"),
        kind=NodeKind.POLE,
        limits=(Limit(kind=LimitKind.FUSE, value=spec.pole_fuse_a),),
    )


def _is_under(nodes: list[Node]) -> BoolArray:
    index = {node.id: i for i, node in enumerate(nodes)}
    under = np.eye(len(nodes), dtype=np.bool_)
    for i, node in enumerate(nodes):
        above = node.parent
        while above is not None:
            under[index[above], i] = True
            above = nodes[index[above]].parent
    return under
