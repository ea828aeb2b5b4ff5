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
ROUNDS = 4
"""So often the others are fitted anew because one that had to give way may not do so either."""


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
    may_kw = {
        # What a roof was told is a cap: it says nothing of what it makes.
        place: (candidate.drawn_kw, *(() if candidate.production else unsure[candidate.asset]))
        for place, candidate in enumerate(candidates)
        if candidate.asset in unsure
    }
    standing_kw: dict[int, float] = {}
    for turn in range(ROUNDS):
        last = turn == ROUNDS - 1
        stuck_kw = {
            place: power_kw
            for place, kw in may_kw.items()
            if place not in standing_kw
            and (power_kw := _stuck_kw(kw, decisions[place].power_kw, whatever=last)) is not None
        }
        if not stuck_kw:
            break
        standing_kw |= stuck_kw
        beside = [
            _standing(candidate, standing_kw[place])
            if place in standing_kw
            else _besides(candidate, decisions[place])
            for place, candidate in enumerate(candidates)
        ]
        decisions = [
            own if place in standing_kw else new
            for place, (own, new) in enumerate(zip(decisions, fitter.fit(beside, rooms), strict=True))
        ]
    return decisions


def _stuck_kw(may_kw: Iterable[float], decided_kw: float, *, whatever: bool) -> float | None:
    """What it may do beyond its decision [kW]; None: nothing.

    Args:
        may_kw: The powers it was told and draws.
        decided_kw: What it is told now.
        whatever: Whether it stands at the most of all these also where that is its decision.
    """
    high_kw, low_kw = max(0.0, *may_kw), min(0.0, *may_kw)
    if high_kw > max(decided_kw, 0.0) + SLACK_KW:
        return high_kw
    # Who shall charge keeps its room, although it may still feed in.
    if decided_kw <= 0.0 and low_kw < decided_kw - SLACK_KW:
        return low_kw
    return decided_kw if whatever else None


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


def _besides(candidate: Candidate, decision: Decision) -> Candidate:
    """It begins where the fit before it ended: nobody gets or discharges more for what another may do."""
    if candidate.production:
        return candidate
    power_kw = decision.power_kw
    return replace(
        candidate,
        low_kw=min(power_kw, 0.0),
        want_kw=power_kw,
        must_kw=min(candidate.must_kw, max(power_kw, 0.0)),
        reason=decision.reason,
    )
