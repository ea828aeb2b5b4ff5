"""The load that nobody steers, at each node, and the room that it leaves for what is steered.

A live node meter less what the steered devices under it draw is the best there is; what they took up after
it was read is not in it yet, and is not taken off it. Without one the
sum of what lies below stands in: live meters as they are, stale or missing ones at the high (for
import) or low (for export) end of their forecast, and never below what the node's own meter said last.
A silent device's reservation comes on top (what it may feed in: only where no live meter says). Nobody
has to give back for it while a live meter shows that there is room: it may draw nothing at all, and if
it draws, the meter shows it by the next cycle. Nor does anybody discharge for a stale or missing meter's
high end: what live meters show has to be over the limit for that. What is measured is smoothed one way
only: the larger of now and the recent mean counts against import, the smaller against export.

Every power here is a row of four: the total, and phases L1, L2 and L3 [kW].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from controller.domain.assets import Phases
from controller.domain.ids import NodeId
from controller.domain.network import Network
from controller.domain.reasons import ReasonCode
from controller.domain.units import BoolArray, FloatArray, IntArray
from controller.setpoints.rows import SHARE
from controller.setpoints.safety import Room

_SHARES = {phases: (1.0, *share) for phases, share in SHARE.items()}


def shares(phases: Sequence[Phases]) -> FloatArray:
    """How a device's power counts in the total and on each phase, shape (A, 4)."""
    return np.array([_SHARES[one] for one in phases]).reshape(-1, 4)


@dataclass(frozen=True, kw_only=True)
class Group:
    """Devices with their powers now: loads, or what is steered. A devices in a network of N nodes."""

    nodes: int
    """N."""
    node: IntArray
    """The place of each device's node in `network.nodes`, shape (A,)."""
    share: FloatArray
    """From `shares`, shape (A, 4)."""
    high_kw: FloatArray
    """What counts against import, shape (A,)."""
    low_kw: FloatArray
    """What counts against export, shape (A,)."""
    live: BoolArray
    """Whether a live meter says so, shape (A,)."""

    @cached_property
    def at_nodes(self) -> FloatArray:
        """What hangs directly under each node, shape (N, 14).

        Columns: the high end (4), the low end (4), how much there is of them and how much of that is live,
        and what is live of the high end (4).
        """
        extent = np.maximum(np.abs(self.high_kw), np.abs(self.low_kw))
        high, low = self.high_kw[:, None] * self.share, self.low_kw[:, None] * self.share
        total = np.zeros((self.nodes, 14))
        seen = high * self.live[:, None]
        np.add.at(total, self.node, np.column_stack([high, low, extent, extent * self.live, seen]))
        return total


@dataclass(frozen=True, kw_only=True)
class BaseLoad:
    """The unsteered load under each node. N nodes in the order of `network.nodes`."""

    high_kw: FloatArray
    """Against import, shape (N, 4)."""
    low_kw: FloatArray
    """Against export, shape (N, 4)."""
    observed_fraction: FloatArray
    """How much of it is measured and live, 0 to 1, shape (N,)."""
    reserved_kw: FloatArray
    """The part of `high_kw` that is kept free for silent devices and measured by nobody, shape (N, 4)."""
    seen_kw: FloatArray
    """The part of `high_kw` that live meters show, the node's own or those below it, shape (N, 4)."""
    drawn_kw: FloatArray
    """What the steered devices under each node draw, shape (N, 4)."""

    def smoothed(self, mean: BaseLoad) -> BaseLoad:
        """The larger (against export: the smaller) of now and the recent mean."""
        return BaseLoad(
            high_kw=np.maximum(self.high_kw, mean.high_kw),
            low_kw=np.minimum(self.low_kw, mean.low_kw),
            observed_fraction=self.observed_fraction,
            reserved_kw=self.reserved_kw,
            seen_kw=np.maximum(self.seen_kw, mean.seen_kw),
            drawn_kw=self.drawn_kw,
        )

    def mean_with(self, before: BaseLoad | None, weight: float) -> BaseLoad:
        """The recent mean, in which this counts with `weight`."""
        if before is None:
            return self
        return BaseLoad(
            high_kw=weight * self.high_kw + (1.0 - weight) * before.high_kw,
            low_kw=weight * self.low_kw + (1.0 - weight) * before.low_kw,
            observed_fraction=self.observed_fraction,
            reserved_kw=self.reserved_kw,
            seen_kw=weight * self.seen_kw + (1.0 - weight) * before.seen_kw,
            drawn_kw=self.drawn_kw,
        )


@dataclass(frozen=True, kw_only=True)
class Reserved:
    """What silent devices may do under each node, while nobody measures it."""

    high_kw: FloatArray
    """Against import, shape (N, 4)."""
    low_kw: FloatArray
    """Against export, not positive, shape (N, 4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitNow:
    """What one node may carry now."""

    import_kw: float
    export_kw: float
    phase_kw: float
    """Of one phase, either way; infinity where nothing binds per phase."""
    by: ReasonCode
    """Whose limit import is."""
    export_by: ReasonCode = ReasonCode.NETWORK_LIMIT
    """Whose limit export is."""


def base_load(
    network: Network,
    loads: Group,
    steered: Group,
    meters: Mapping[NodeId, Sequence[float]],
    reserved: Reserved,
    at_least_kw: Mapping[NodeId, FloatArray],
    drawn_then_kw: Mapping[NodeId, FloatArray],
    taken_up_kw: Mapping[NodeId, FloatArray],
) -> BaseLoad:
    """The unsteered load under every node.

    Args:
        network: The tree.
        loads: Every load that hangs directly under a node.
        steered: What the steered devices draw (`high_kw` is used), to be taken off the node meters.
        meters: The live node meters: total [kW], or total and three phases [kW].
        reserved: What devices that do not answer may draw and feed in.
        at_least_kw: The unsteered load that a node's own meter showed last, shape (4,): without a live
            meter the node counts for no less.
        drawn_then_kw: What the steered devices under a node drew when its meter was read, shape (4,), where
            that was before now.
        taken_up_kw: For other meters: how much of it is by setpoints confirmed after it was read, shape (4,).
    """
    place = {node.id: i for i, node in enumerate(network.nodes)}
    # Side by side, so that a node is added to its parent in one go.
    total = np.hstack([loads.at_nodes, steered.at_nodes[:, :4], reserved.high_kw])
    high, low, size, live, seen = total[:, :4], total[:, 4:8], total[:, 8], total[:, 9], total[:, 10:14]
    drawn, kept = total[:, 14:18], total[:, 18:]
    low += reserved.low_kw
    for node_id in reversed(network.parents_first):
        i = place[node_id]
        meter = meters.get(node_id)
        if meter is not None:
            # A live meter overrides the sum of what lies below.
            rows = slice(0, len(meter))
            then = drawn_then_kw.get(node_id, drawn[i] - taken_up_kw.get(node_id, 0.0))
            high[i, rows] = seen[i, rows] = meter - np.minimum(drawn[i], then)[rows]
            low[i, rows] = meter - np.maximum(drawn[i], then)[rows]
            live[i] = size[i]
        elif node_id in at_least_kw:
            high[i] = np.maximum(high[i], at_least_kw[node_id])
        parent = network.by_id[node_id].parent
        if parent is not None:
            total[place[parent]] += total[i]
    observed = np.where(size > 0.0, live / np.where(size > 0.0, size, 1.0), 1.0)
    return BaseLoad(
        high_kw=high + kept,
        low_kw=low,
        observed_fraction=np.minimum(observed, 1.0),
        reserved_kw=kept,
        seen_kw=seen,
        drawn_kw=drawn,
    )


def rooms(
    network: Network, base: BaseLoad, limits: Mapping[NodeId, LimitNow], margin_fraction: float
) -> dict[NodeId, Room]:
    """The room each limit leaves, with `margin_fraction` of the limit kept free."""
    keep = 1.0 - margin_fraction
    found: dict[NodeId, Room] = {}
    most = np.array([_most_kw(limits.get(node.id), keep) for node in network.nodes])
    ceiling = most - base.high_kw
    ceiling = np.maximum(ceiling, np.minimum(0.0, most - base.seen_kw))
    rows = zip(network.nodes, ceiling.tolist(), base.low_kw.tolist(), strict=True)
    for node, (free, *free_phase), (low, *low_phase) in rows:
        limit = limits.get(node.id)
        if limit is None:
            continue
        phase = limit.phase_kw * keep
        by_phase = limit.phase_kw != float("inf")
        a, b, c = free_phase
        d, e, f = low_phase
        found[node.id] = Room(
            ceiling_kw=free,
            floor_kw=-limit.export_kw * keep - low,
            phase_ceiling_kw=(a, b, c) if by_phase else None,
            phase_floor_kw=(-phase - d, -phase - e, -phase - f) if by_phase else None,
            by=limit.by,
            limit_kw=limit.import_kw,
            floor_by=limit.export_by,
            floor_limit_kw=limit.export_kw,
        )
    return found


def _most_kw(limit: LimitNow | None, keep: float) -> tuple[float, float, float, float]:
    """The most that may flow in, in all and on each phase [kW]."""
    if limit is None:
        return (np.inf,) * 4
    return (limit.import_kw * keep, *(limit.phase_kw * keep,) * 3)
