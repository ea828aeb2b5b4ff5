"""What of the steered devices' draw a node meter's reading holds.

A reading is of its own moment: what a device took up by a setpoint that it confirmed then or later is not
in it, and what it took up after the reading was first seen is not either. Where meters are read on the full
ten seconds and cycles begin there too, that is so with every reading.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from controller.domain.assets import Phases
from controller.domain.ids import AssetId, NodeId
from controller.domain.network import Network
from controller.domain.units import FloatArray
from controller.setpoints.base_load import shares
from controller.setpoints.candidate import Candidate

_SHARES = {phases: shares([phases])[0] for phases in Phases}


@dataclass
class TakenUp:
    """Remembers, per node meter, what the steered devices under it drew when it was read."""

    _then: dict[NodeId, tuple[datetime, FloatArray]] = field(default_factory=dict)
    """When each node meter was read, and what they drew then."""
    _draws: dict[AssetId, float] = field(default_factory=dict)
    """What each device drew in the last cycle [kW]."""
    _turns: dict[AssetId, tuple[datetime, float]] = field(default_factory=dict)
    """Since when each device's setpoint is confirmed, and what it drew in the cycle before that was known."""

    def look(self, candidates: Sequence[Candidate], confirmed_at: Mapping[AssetId, datetime]) -> None:
        """Takes in what everybody draws now, and since when its setpoint is confirmed."""
        for each in candidates:
            asset, at = each.asset, confirmed_at.get(each.asset)
            if at is not None and (asset not in self._turns or self._turns[asset][0] != at):
                self._turns[asset] = (at, self._draws.get(asset, each.drawn_kw))
            self._draws[asset] = each.drawn_kw

    def then_kw(self, read_at: Mapping[NodeId, datetime]) -> dict[NodeId, FloatArray]:
        """What they drew when meters were read, shape (4,): for the readings that were seen before."""
        return {node: kw for node, (at, kw) in self._then.items() if read_at.get(node) == at}

    def later_kw(
        self, network: Network, candidates: Sequence[Candidate], read_at: Mapping[NodeId, datetime]
    ) -> dict[NodeId, FloatArray]:
        """What they took up by setpoints confirmed after meters were read, shape (4,), where there is any."""
        found: dict[NodeId, FloatArray] = {}
        oldest = min(read_at.values(), default=None)
        for each in candidates:
            turn = self._turns.get(each.asset)
            if turn is None or oldest is None or turn[0] < oldest:
                continue
            if each.drawn_kw == turn[1]:
                continue
            more_kw = (each.drawn_kw - turn[1]) * _SHARES[each.phases]
            for node in network.paths[each.node]:
                if node not in read_at or read_at[node] > turn[0]:
                    continue
                if node not in found:
                    found[node] = np.zeros(4)
                found[node] += more_kw
        return found

    def note(self, node: NodeId, at: datetime, drawn_kw: FloatArray) -> None:
        """Keeps what they drew when a node's meter was read, shape (4,)."""
        self._then[node] = (at, np.array(drawn_kw))
