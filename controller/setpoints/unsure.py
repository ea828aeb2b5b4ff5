"""What others may rely on while a device does not take what it is told.

A refused setpoint changes nothing in the device, and one that was not answered may have been taken or not.
Until it takes one, whatever it may do beyond its decision counts all the same, the most of it against
ceilings and the least against floors: the others get what is left in a second fit. Nobody discharges more
for it than in the first one: it may draw less than it was told, or nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    told = {
        place: (candidate.drawn_kw, *unsure[candidate.asset])
        for place, candidate in enumerate(candidates)
        if candidate.asset in unsure
    }
    standing: dict[int, Candidate] = {}
    for turn in range(ROUNDS if told else 0):
        stuck = {
            place: _standing(candidates[place], decisions[place].power_kw, kw)
            for place, kw in told.items()
            if place not in standing
            and (
                turn == ROUNDS - 1
                or _most_kw(decisions[place].power_kw, kw) > decisions[place].power_kw + SLACK_KW
            )
        }
        if turn and not stuck:
            break
        standing |= stuck
        beside = [
            standing[place] if place in standing else _besides(candidate, decisions[place], told.get(place))
            for place, candidate in enumerate(candidates)
        ]
        decisions = [
            own if place in standing else new
            for place, (own, new) in enumerate(zip(decisions, fitter.fit(beside, rooms), strict=True))
        ]
    return decisions


def _most_kw(decided_kw: float, told_kw: Sequence[float]) -> float:
    """The most that it may draw [kW]; what a roof was told is a cap, once it has taken it."""
    return max(decided_kw, *told_kw)


def _least_kw(candidate: Candidate, told_kw: Sequence[float]) -> float:
    """The least that it may draw [kW]; a roof makes no more than it did, whatever it may."""
    return candidate.drawn_kw if candidate.production else min(told_kw)


def _standing(candidate: Candidate, decided_kw: float, told_kw: Sequence[float]) -> Candidate:
    """Like a roof that cannot be turned down it gives way to nobody, and counts with all that it may do."""
    return replace(
        candidate,
        low_kw=decided_kw,
        high_kw=decided_kw,
        must_kw=decided_kw,
        want_kw=decided_kw,
        min_kw=0.0,
        production=True,
        may_kw=(_least_kw(candidate, told_kw), _most_kw(decided_kw, told_kw)),
    )


def _besides(candidate: Candidate, decision: Decision, told_kw: Sequence[float] | None) -> Candidate:
    """It begins where the fit before it ended: nobody gets or discharges more for what another may do.

    One that is itself unsure (`told_kw`) makes no more room for feed-in than by what it may draw anyway.
    """
    if told_kw is not None:
        candidate = replace(candidate, may_kw=(_least_kw(candidate, told_kw), min(candidate.drawn_kw, 0.0)))
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
