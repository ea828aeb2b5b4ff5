"""Fits what all devices want into every limit of the network at once.

Each node gives up to four rows: its total power, and each phase where a limit binds per phase. A row
has a ceiling (what may still flow down beside the load that nobody steers) and a floor (what may flow
up). The rows are gone through from the leaves to the roots, because what is taken away below only
helps above:

- over the ceiling: first what is above the departure promise gives way, the least urgent first; then
  the promised part; only then, when the load alone is over the limit, stores discharge;
- under the floor: discharge gives way first, then stores charge what they still may, and only then
  roofs are turned down; none of it beyond a ceiling below.

What a device feeds in makes room for others only as far as it does so already: a discharge that is refused
or a sun that is not there must not let anybody draw more. Nor does what a store shall draw: a car that is
told to charge and is full must not let anybody feed in more.

A three-phase charger cannot stand between 0 and about 4.1 kW: who is left in between gets the minimum
if it fits everywhere above, the most urgent first, and 0 otherwise. Urgency follows the time, so the
minimum currents rotate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from controller.domain.ids import AssetId, NodeId
from controller.domain.network import Network
from controller.domain.reasons import Reason, ReasonCode
from controller.domain.units import BoolArray, FloatArray, IntArray
from controller.setpoints.candidate import Candidate
from controller.setpoints.rows import RowBook, Rows

TOLERANCE_KW = 1e-6
"""Rounding of the sums; far below what any meter shows."""
ROUNDS = 3
"""So often all is fitted anew because a discharge that made room for others is too little for its device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What the steered devices under one node may draw together."""

    ceiling_kw: float
    """Most they may draw in all; negative where the load alone is over the limit."""
    floor_kw: float
    """Least they may draw in all (negative: what they may feed in)."""
    phase_ceiling_kw: tuple[float, float, float] | None = None
    phase_floor_kw: tuple[float, float, float] | None = None
    by: ReasonCode = ReasonCode.NETWORK_LIMIT
    """Whose limit the ceiling is."""
    limit_kw: float = float("inf")
    """The import limit itself, for the words."""
    floor_by: ReasonCode = ReasonCode.NETWORK_LIMIT
    """Whose limit the floor is."""
    floor_limit_kw: float = float("inf")
    """The export limit itself, a magnitude, for the words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What one device shall do now."""

    asset: AssetId
    power_kw: float
    reason: Reason


@dataclass(frozen=True)
class _Row:
    node: NodeId
    members: IntArray
    """Places of the devices under the node."""
    weight: FloatArray
    """How much of each counts in this row."""
    ceiling_kw: float
    floor_kw: float
    room: Room


@dataclass
class _Fit:
    """The arrays of one fit; `power_kw` is what is being decided."""

    rows: Rows
    rooms: Mapping[NodeId, Room]
    ceiling_kw: FloatArray
    """Of each row, shape (R,)."""
    floor_kw: FloatArray
    """Of each row, shape (R,)."""
    power_kw: FloatArray
    low_kw: FloatArray
    high_kw: FloatArray
    must_kw: FloatArray
    min_kw: FloatArray
    production: BoolArray
    up_kw: FloatArray
    """Each counts for no less against ceilings, shape (A,)."""
    down_kw: FloatArray
    """Each counts for no more against floors, shape (A,)."""
    order: IntArray
    """Places, the least urgent first."""
    bound_by: dict[int, Reason]

    def row(self, number: int) -> _Row:
        """One of the rows."""
        node = self.rows.node_of[number]
        return _Row(
            node,
            self.rows.members[number],
            self.rows.weights[number],
            float(self.ceiling_kw[number]),
            float(self.floor_kw[number]),
            self.rooms[node],
        )

    def counted_kw(self, row: _Row) -> float:
        """What the row's devices count for against its ceiling [kW]."""
        places = row.members
        return float(row.weight @ np.maximum(self.power_kw[places], self.up_kw[places]))

    def over_kw(self) -> FloatArray:
        """By how much each row is over its ceiling, shape (R,); negative where there is room."""
        return self.rows.sums(np.maximum(self.power_kw, self.up_kw)) - self.ceiling_kw

    def short_kw(self) -> FloatArray:
        """By how much each row is under its floor, shape (R,); negative where there is room."""
        return self.floor_kw - self.rows.sums(np.minimum(self.power_kw, self.down_kw))

    def short_in_kw(self, row: _Row, *, asked: bool) -> float:
        """By how much a row is under its floor [kW]; `asked`: with what devices shall draw but do not."""
        power_kw = self.power_kw if asked else np.minimum(self.power_kw, self.down_kw)
        return row.floor_kw - float(row.weight @ power_kw[row.members])


class Fitter:
    """Fits the devices of one network, cycle after cycle."""

    def __init__(self, network: Network) -> None:
        """Takes the tree."""
        self._book = RowBook(network)

    def fit(self, candidates: Sequence[Candidate], rooms: Mapping[NodeId, Room]) -> list[Decision]:
        """Decides every device's power inside every room.

        Args:
            candidates: One per device; their windows are never left.
            rooms: For the nodes that have a limit.

        Returns:
            One decision per candidate, in their order. A room that even the windows' edges cannot keep
            (fixed load over the limit) is used as little as the windows allow.
        """
        if not candidates:
            return []
        rows = self._book.rows(
            [(c.node, c.phases) for c in candidates],
            {node: room.phase_ceiling_kw is not None for node, room in rooms.items()},
        )
        state = _arrays(candidates, rows, rooms)
        for _ in range(ROUNDS):
            _inside(state, ceilings=True)
            ended = _whole_minimums(state, candidates)
            _over_floors(state)
            if not ended:
                break
        _nobody_over(state)
        return [
            Decision(asset=candidate.asset, power_kw=power, reason=state.bound_by.get(i, candidate.reason))
            for i, (candidate, power) in enumerate(zip(candidates, state.power_kw.tolist(), strict=True))
        ]


def _arrays(candidates: Sequence[Candidate], rows: Rows, rooms: Mapping[NodeId, Room]) -> _Fit:
    ceiling: list[float] = []
    floor: list[float] = []
    for node in rows.nodes:
        room = rooms[node]
        ceiling += (room.ceiling_kw, *(room.phase_ceiling_kw or ()))
        floor += (room.floor_kw, *(room.phase_floor_kw or ()))
    want, low, high, must, least, urgency = np.array(
        [(c.want_kw, c.low_kw, c.high_kw, c.must_kw, c.min_kw, c.urgency) for c in candidates]
    ).T.copy()
    down, up = np.array([c.counts_kw() for c in candidates]).T.copy()
    return _Fit(
        rows=rows,
        rooms=rooms,
        ceiling_kw=np.array(ceiling),
        floor_kw=np.array(floor),
        power_kw=want,
        low_kw=low,
        high_kw=high,
        must_kw=must,
        min_kw=least,
        production=np.array([c.production for c in candidates]),
        up_kw=up,
        down_kw=down,
        order=np.argsort(urgency, kind="stable"),
        bound_by={},
    )


def _inside(state: _Fit, *, ceilings: bool) -> None:
    """Goes through the rows, children before parents, and brings each inside that is not.

    All rows are summed at once, and again only after one of them changed something: nearly always none does.

    Args:
        state: Of the fit.
        ceilings: Whether ceilings count as well as floors.
    """
    # Sums in another order differ by less than that; each row is looked at exactly before it is touched.
    about_kw = 0.99 * TOLERANCE_KW
    begin, end = 0, len(state.rows.members)
    while begin < end:
        outside = state.short_kw()[begin:] > about_kw
        if ceilings:
            outside |= state.over_kw()[begin:] > about_kw
        if not outside.any():
            return
        number = begin + int(np.argmax(outside))
        row = state.row(number)
        if ceilings:
            _under_ceiling(state, row)
        # The ceilings further up come later, and then take away what this is too much for them.
        _over_floor(state, row, number + 1 if ceilings else end, whole=not ceilings)
        begin = number + 1


def _nobody_over(state: _Fit) -> None:
    """Whoever still charges over a ceiling gives way: the last round may have ended a discharge."""
    over = np.flatnonzero(state.over_kw() > 0.99 * TOLERANCE_KW)
    for number in over.tolist():
        row = state.row(number)
        over_kw = state.counted_kw(row) - row.ceiling_kw
        if over_kw > TOLERANCE_KW:
            _lower(state, row, np.minimum(state.power_kw, 0.0), over_kw)
    if over.size:
        between = (state.power_kw > 0.0) & (state.power_kw < state.min_kw - TOLERANCE_KW)
        state.power_kw[between] = 0.0


def _over_floors(state: _Fit) -> None:
    """Brings every row over its floor, as far as ceilings allow it: what one row takes may free another."""
    for _ in range(ROUNDS):
        before_kw = state.power_kw.copy()
        _inside(state, ceilings=False)
        if np.allclose(state.power_kw, before_kw, rtol=0.0, atol=TOLERANCE_KW):
            return


def _under_ceiling(state: _Fit, row: _Row) -> None:
    over_kw = state.counted_kw(row) - row.ceiling_kw
    if over_kw <= TOLERANCE_KW:
        return
    soft_floor = np.maximum(state.must_kw, np.minimum(state.power_kw, 0.0))
    stop_floor = np.minimum(state.power_kw, 0.0)
    for floor in (soft_floor, stop_floor):
        over_kw = _lower(state, row, floor, over_kw)
        if over_kw <= TOLERANCE_KW:
            return
    # Discharge that another row has asked for already makes no room, but is not asked for twice either.
    asked_kw = np.where(state.production, np.maximum(state.power_kw, state.up_kw), state.power_kw)
    over_kw = min(over_kw, float(row.weight @ asked_kw[row.members]) - row.ceiling_kw)
    if over_kw > TOLERANCE_KW:
        _lower(state, row, state.low_kw, over_kw)


def _lower(state: _Fit, row: _Row, floor_kw: FloatArray, over_kw: float) -> float:
    """Takes `over_kw` away down to `floor_kw`, the least urgent first; gives what is left over."""
    inside = np.zeros(state.power_kw.size)
    inside[row.members] = row.weight
    order = state.order[(inside[state.order] > 0.0) & ~state.production[state.order]]
    give = np.maximum(state.power_kw[order] - floor_kw[order], 0.0)
    before = np.concatenate([[0.0], np.cumsum(give * inside[order])[:-1]])
    take = np.minimum(give, np.maximum(over_kw - before, 0.0) / inside[order])
    room = row.room
    _change(state, order, -take, Reason(code=room.by, subject=row.node, value=room.limit_kw, unit="kW"))
    return over_kw - float(take @ inside[order])


def _over_floor(state: _Fit, row: _Row, ceilings: int, *, whole: bool) -> None:
    """Brings a row over its floor.

    Args:
        state: Of the fit.
        row: Which one.
        ceilings: So many rows, from the first on, keep their ceilings.
        whole: Whether nobody may be left below the minimum.
    """
    if state.short_in_kw(row, asked=False) <= TOLERANCE_KW:
        return
    stores = ~state.production
    may_charge = stores & (state.power_kw >= state.min_kw) if whole else stores
    for ceiling, chosen, charging in (
        (np.maximum(state.power_kw, 0.0), stores, False),
        (state.high_kw, may_charge, True),
        (state.high_kw, state.production, False),
    ):
        short_kw = state.short_in_kw(row, asked=charging)
        if short_kw <= TOLERANCE_KW:
            continue
        weight = np.zeros(state.power_kw.size)
        weight[row.members] = row.weight
        more_kw = np.where((weight > 0.0) & chosen, np.maximum(ceiling - state.power_kw, 0.0), 0.0)
        more_kw = _under_ceilings(state, more_kw, ceilings, charging=charging)
        down_kw = np.full(more_kw.size, np.inf) if charging else state.down_kw
        gain_kw = np.minimum(state.power_kw + more_kw, down_kw) - np.minimum(state.power_kw, down_kw)
        total_kw = float(weight @ gain_kw)
        if total_kw <= 0.0:
            continue
        share = min(1.0, short_kw / total_kw)
        limit = Reason(code=row.room.floor_by, subject=row.node, value=row.room.floor_limit_kw, unit="kW")
        order = np.flatnonzero(more_kw > 0.0)
        _change(state, order, share * more_kw[order], limit)
        if whole:
            _whole_discharge(state)


def _under_ceilings(state: _Fit, more_kw: FloatArray, ceilings: int, *, charging: bool) -> FloatArray:
    """What devices may take more, shape (A,), as far as the first rows' ceilings allow it to all of them.

    A ceiling that is broken already is no reason to feed in beyond a floor, but no store charges under it.
    """
    counted_kw = np.maximum(state.power_kw, state.up_kw)
    spare_kw = state.ceiling_kw - state.rows.sums(counted_kw)
    for _ in range(ROUNDS):
        need_kw = state.rows.sums(np.maximum(state.power_kw + more_kw, state.up_kw) - counted_kw)
        part = np.minimum(np.maximum(spare_kw, 0.0) / np.maximum(need_kw, TOLERANCE_KW), 1.0)
        part[need_kw <= TOLERANCE_KW] = 1.0
        part[ceilings:] = 1.0
        if not charging:
            part[spare_kw < -TOLERANCE_KW] = 1.0
        least = state.rows.least(part)
        # Who may take nothing at all takes no share from the others either.
        blocked = (least < TOLERANCE_KW) & (more_kw > 0.0)
        if not blocked.any():
            break
        more_kw = np.where(blocked, 0.0, more_kw)
    return more_kw * least


def _whole_discharge(state: _Fit) -> None:
    """Who is left to discharge less than the minimum rests, or gives the minimum where a ceiling needs it."""
    between = (state.power_kw < 0.0) & (state.power_kw > -state.min_kw)
    if not between.any():
        return
    over_kw = np.maximum(state.over_kw(), 0.0)
    state.power_kw[between] = 0.0
    if (state.over_kw() > over_kw + TOLERANCE_KW).any():
        state.power_kw[between] = -state.min_kw[between]


def _change(state: _Fit, places: IntArray, by_kw: FloatArray, reason: Reason) -> None:
    state.power_kw[places] += by_kw
    for place in places[np.abs(by_kw) > TOLERANCE_KW].tolist():
        state.bound_by[place] = reason


def _whole_minimums(state: _Fit, candidates: Sequence[Candidate]) -> bool:
    """Nobody is left between 0 and the minimum: the most urgent get the minimum where it fits.

    Returns:
        Whether a discharge ended that others may have charged by.
    """
    magnitude = np.abs(state.power_kw)
    between = np.flatnonzero((magnitude > TOLERANCE_KW) & (magnitude < state.min_kw - TOLERANCE_KW))
    if not between.size:
        return False
    ended = False
    wanted = dict(
        zip(
            between.tolist(),
            (np.sign(state.power_kw[between]) * state.min_kw[between]).tolist(),
            strict=True,
        )
    )
    state.power_kw[between] = 0.0
    free, spare = (-state.over_kw()).tolist(), (-state.short_kw()).tolist()
    for place in reversed(state.order.tolist()):
        if place not in wanted:
            continue
        power = wanted[place]
        rows = state.rows.of_device[place]
        inside = state.low_kw[place] - TOLERANCE_KW <= power <= state.high_kw[place] + TOLERANCE_KW
        # Charging can only break a ceiling and discharge only a floor: where a ceiling is broken already,
        # discharge that does not mend all of it still mends some.
        if inside and all(
            weight * power <= free[r] + TOLERANCE_KW
            if power > 0.0
            else spare[r] + weight * power >= -TOLERANCE_KW
            for r, weight in rows
        ):
            state.power_kw[place] = power
            for r, weight in rows:
                spare[r] += weight * min(power, state.down_kw[place])
                free[r] -= weight * max(power, state.up_kw[place])
        else:
            ended |= power < 0.0
            bound = state.bound_by.get(place, candidates[place].reason)
            state.bound_by[place] = Reason(
                code=ReasonCode.MIN_POWER, subject=bound.subject, value=float(state.min_kw[place]), unit="kW"
            )
    return ended
