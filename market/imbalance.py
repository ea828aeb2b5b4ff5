"""Imbalance: what it costs that others used or made something else than was announced, by who caused it.

The supplier, or whoever is balance responsible for it, announces (nominates) what its customers will take in
each quarter-hour, and pays for what they took beyond it or left. It tells what a kilowatt-hour too much and
one too little cost it beyond the energy itself. The pool's deviation has one direction; its whole cost is
handed out by each member's own deviation: who deviated the same way pays for it, who deviated the other way
made it smaller and is paid as much for each watt-hour. The parts sum to the whole exactly, and nobody pays
for what others did.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from controller.domain.ids import MemberId
from controller.domain.units import IntArray
from market.ledger import PostingReason, member_account, supplier_account
from market.rebooking import Line


@dataclass(frozen=True, slots=True, kw_only=True)
class ImbalanceCost:
    """What imbalance cost in a quarter-hour, beyond the energy itself."""

    short_microeur_per_kwh: int
    """For what was taken beyond what was announced; negative where it earned something."""
    long_microeur_per_kwh: int
    """For what was announced and not taken."""

    def of(self, deviation_wh: int) -> int:
        """What the whole pool's deviation cost [nano-euro]; positive = taken beyond what was announced."""
        if deviation_wh >= 0:
            return deviation_wh * self.short_microeur_per_kwh
        return -deviation_wh * self.long_microeur_per_kwh


def caused_nanoeur(nominated_wh: IntArray, metered_wh: IntArray, cost: ImbalanceCost) -> IntArray:
    """What each member pays for the pool's imbalance.

    Args:
        nominated_wh: What was announced of each [Wh], positive = taken from the grid, shape (N,).
        metered_wh: What the meters say, shape (N,).
        cost: What a kilowatt-hour cost.

    Returns:
        Amounts [nano-euro], shape (N,); they sum to what the pool's deviation cost. Negative: is paid.
    """
    deviation = metered_wh - nominated_wh
    if int(deviation.sum()) >= 0:
        return deviation * cost.short_microeur_per_kwh
    return -deviation * cost.long_microeur_per_kwh


def imbalance_lines(
    start: datetime,
    nominated_wh: Mapping[MemberId, int],
    metered_wh: Mapping[MemberId, int],
    cost: ImbalanceCost,
    supplier: str = "",
) -> list[Line]:
    """What should stand in the ledger for the imbalance of a quarter-hour with one supplier.

    Args:
        start: The quarter-hour.
        nominated_wh: What was announced by member, positive = taken; of others nothing was.
        metered_wh: What all members took by their meters.
        cost: What a kilowatt-hour cost.
        supplier: Whose customers they are; a member may be more than one's.
    """
    members = sorted(nominated_wh.keys() | metered_wh.keys())
    paid = caused_nanoeur(
        np.array([nominated_wh.get(member, 0) for member in members], dtype=np.int64),
        np.array([metered_wh.get(member, 0) for member in members], dtype=np.int64),
        cost,
    )
    return [
        Line(
            payer=member_account(member),
            receiver=supplier_account(supplier),
            amount_nanoeur=amount,
            reason=PostingReason.IMBALANCE,
            interval_start=start,
            ref=_ref(member, supplier),
        )
        for member, amount in zip(members, paid.tolist(), strict=True)
    ]


def _ref(member: MemberId, supplier: str) -> str:
    """One reference for a member and supplier, whatever their names: in them the sign between is escaped."""
    names = [member, supplier] if supplier else [member]
    return "/".join(name.replace("%", "%25").replace("/", "%2F") for name in names)
