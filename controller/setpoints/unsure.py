"""What others may rely on while a device does not take what it is told.

A refused setpoint changes nothing in the device, and one that was not answered may have been taken or not.
Until it takes one, whatever it may do beyond its decision counts all the same: in a second fit it stands at
that, and the others get what is left. Nobody discharges more for it than in the first one: it may draw less
than it was told, or nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from controller.domain.ids import AssetId, NodeId
from controller.setpoints.candidate import Candidate
from controller.setpoints.safety import Decision, Fitter, Room

SLACK_KW = 1e-3
"""What a device may do beyond its decision by less than this is the decision itself."""


def fit_beside_unsure(
    fitter: Fitter,
    candidates: Sequence[Candidate],
    rooms: Mapping[NodeId, Room],
    unsure: Mapping[AssetId, Sequence[float]],
) -> list[Decision]:
    """Decides every device's power; what the unsure may do is nobody else's room.

    Args:
        fitter: Of the network.
        candidates: One per device.
        rooms: For the nodes that have a limit.
        unsure: Who did not take its last setpoint, and the powers [kW] that it was told and may follow.

    Returns:
        One decision per candidate, in their order; the unsure are told what they would be told anyway.
    """
    decisions = fitter.fit(candidates, rooms)
    if not unsure:
        return decisions
    stuck_kw = [
        _stuck_kw(candidate, decision.power_kw, unsure[candidate.asset])
        if candidate.asset in unsure
        else None
        for candidate, decision in zip(candidates, decisions, strict=True)
    ]
    if all(power_kw is None for power_kw in stuck_kw):
        return decisions
    beside = [
        _besides(candidate, decision.power_kw) if power_kw is None else _standing(candidate, power_kw)
        for candidate, decision, power_kw in zip(candidates, decisions, stuck_kw, strict=True)
    ]
    again = zip(decisions, fitter.fit(beside, rooms), stuck_kw, strict=True)
    return [new if power_kw is None else own for own, new, power_kw in again]


def _stuck_kw(candidate: Candidate, decided_kw: float, told_kw: Iterable[float]) -> float | None:
    """What it may do beyond its decision [kW]; None: nothing."""
    # What a roof was told is a cap: it says nothing of what it makes.
    may_kw = [candidate.drawn_kw, *(() if candidate.production else told_kw)]
    high_kw, low_kw = max(0.0, *may_kw), min(0.0, *may_kw)
    if high_kw > max(decided_kw, 0.0) + SLACK_KW:
        return high_kw
    # Who shall charge keeps its room, although it may still feed in.
    return low_kw if decided_kw <= 0.0 and low_kw < decided_kw - SLACK_KW else None


def _standing(candidate: Candidate, power_kw: float) -> Candidate:
    """Like a roof that cannot be turned down it gives way to nobody."""
    return replace(
        candidate,
        low_kw=power_kw,
        high_kw=power_kw,
        must_kw=power_kw,
        want_kw=power_kw,
        min_kw=0.0,
        production=True,
    )


def _besides(candidate: Candidate, decided_kw: float) -> Candidate:
    if candidate.production:
        return candidate
    low_kw = min(decided_kw, 0.0)
    return replace(candidate, low_kw=low_kw, want_kw=max(candidate.want_kw, low_kw))
