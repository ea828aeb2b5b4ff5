"""What a safety cycle knows of those before it that nobody can tell it anew.

Readings, outcomes and what people set are told to whoever decides next; this is what decided cycles leave
behind. A process that takes over from another goes on with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from controller.domain.ids import NodeId
from controller.domain.units import FloatArray
from controller.runtime.silence import Heard
from controller.runtime.taken_up import TakenUp
from controller.setpoints.base_load import BaseLoad


@dataclass(kw_only=True)
class CycleMemory:
    """It is changed by each cycle, and crosses to another process as it is."""

    last_kw: dict[NodeId, FloatArray] = field(default_factory=dict)
    """The unsteered load that each node's own meter showed last, shape (4,)."""
    mean: BaseLoad | None = None
    """The recent mean of the unsteered load."""
    taken_up: TakenUp = field(default_factory=TakenUp)
    heard: Heard = field(default_factory=Heard)
