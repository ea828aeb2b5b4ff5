"""Which devices count against which limit: the rows of the fit.

Each node with a room gives a row for its total and, where a limit binds per phase, one for each phase.
Devices hardly change from one cycle to the next, so the rows are kept until they do; all of them are then
summed in one pass over flat arrays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from controller.domain.assets import Phases
from controller.domain.ids import NodeId
from controller.domain.network import Network
from controller.domain.units import FloatArray, IntArray

SHARE = {phases: tuple(phases.share(phase) for phase in range(3)) for phases in Phases}
"""How a device counts on each phase."""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """R rows over A devices, children before parents; a node's total comes before its phases."""

    nodes: tuple[NodeId, ...]
    """The nodes that have rows, in the order of the rows."""
    node_of: tuple[NodeId, ...]
    """The node of each row, R."""
    members: tuple[IntArray, ...]
    """Places of the devices under the row's node, R."""
    weights: tuple[FloatArray, ...]
    """How much of each of them counts in the row, R."""
    of_device: tuple[tuple[tuple[int, float], ...], ...]
    """For each device the rows in which it counts, with its weight, A."""
    _flat_members: IntArray
    _flat_weights: FloatArray
    _starts: IntArray

    def sums(self, values: FloatArray) -> FloatArray:
        """What the devices' values, shape (A,), add up to in each row, shape (R,)."""
        if not self.members:
            return np.zeros(0)
        return np.add.reduceat(self._flat_weights * values[self._flat_members], self._starts)

    def least(self, parts: FloatArray) -> FloatArray:
        """For each device the least of its rows' parts, shape (R,), and at most 1; shape (A,)."""
        found = np.ones(len(self.of_device))
        sizes = [places.size for places in self.members]
        counts = self._flat_weights > 0.0
        np.minimum.at(found, self._flat_members[counts], np.repeat(parts, sizes)[counts])
        return found


class RowBook:
    """Gives the rows of a network's devices, made anew when they change."""

    def __init__(self, network: Network) -> None:
        """Knows no devices yet."""
        self._network = network
        self._key: object = None
        self._rows: Rows | None = None

    def rows(self, devices: Sequence[tuple[NodeId, Phases]], limited: Mapping[NodeId, bool]) -> Rows:
        """The rows of devices, given by node and phases, at nodes with a room and whether it is per phase."""
        key = (list(devices), dict(limited))
        if self._rows is None or key != self._key:
            self._key, self._rows = key, _made(self._network, devices, limited)
        return self._rows


def _made(network: Network, devices: Sequence[tuple[NodeId, Phases]], limited: Mapping[NodeId, bool]) -> Rows:
    under: dict[NodeId, list[int]] = {}
    for i, (at, _) in enumerate(devices):
        for node in network.paths[at]:
            if node in limited:
                under.setdefault(node, []).append(i)
    nodes = tuple(node for node in reversed(network.parents_first) if node in under)
    node_of: list[NodeId] = []
    members: list[IntArray] = []
    weights: list[FloatArray] = []
    for node in nodes:
        places = np.array(under[node], dtype=np.int64)
        found = [np.ones(places.size)]
        if limited[node]:
            shares = np.array([SHARE[devices[i][1]] for i in under[node]])
            found += [shares[:, phase] for phase in range(3)]
        node_of += [node] * len(found)
        members += [places] * len(found)
        weights += found
    of_device: list[list[tuple[int, float]]] = [[] for _ in devices]
    for row, (places, weight) in enumerate(zip(members, weights, strict=True)):
        for i, share in zip(places.tolist(), weight.tolist(), strict=True):
            if share > 0.0:
                of_device[i].append((row, share))
    sizes = [places.size for places in members]
    return Rows(
        nodes=nodes,
        node_of=tuple(node_of),
        members=tuple(members),
        weights=tuple(weights),
        of_device=tuple(map(tuple, of_device)),
        _flat_members=np.concatenate(members) if members else np.zeros(0, dtype=np.int64),
        _flat_weights=np.concatenate(weights) if weights else np.zeros(0),
        _starts=np.concatenate([[0], np.cumsum(sizes[:-1])]).astype(np.int64),
    )
