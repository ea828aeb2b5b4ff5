"""Caps: how much of an order may be filled at most, beside what its member asked.

*Share*: no member shall be the market. Of all that is asked in a quarter-hour one member may stand for a
declared share, of all that is offered too; the supplier, who is there as a backstop, does not count. It is
measured by what the others ask: what a member asks itself, at a price perhaps at which nothing is to be had,
makes its share of the market no larger. What a member has beyond it is left out from the worst price on. What
is expected of homes and what the plan wants of devices counts, so that nobody is cut off from what they use
because others ask little: only orders that people or their instructions made are capped.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from controller.domain.ids import MemberId
from market.orders import PPM, SUPPLIER, Order, OrderSource, Side

OWN_SOURCES = frozenset({OrderSource.RESIDENT, OrderSource.INSTRUCTION})
"""Orders that a member answers for: made by hand, by a program, or by a standing instruction."""


def handed_out(orders: Iterable[Order], total_wh: int) -> dict[str, int]:
    """Gives orders of one side a total, the best price first, equal ones by the SHA-256 of their ids.

    Args:
        orders: Orders of one side.
        total_wh: What there is for them together [Wh].

    Returns:
        How much of each may be filled [Wh], by order id.
    """
    left = max(total_wh, 0)
    caps: dict[str, int] = {}
    for order in sorted(orders, key=_best_first):
        caps[order.order_id] = min(order.quantity_wh, left)
        left -= caps[order.order_id]
    return caps


def _best_first(order: Order) -> tuple[int, bytes]:
    sign = -1 if order.side is Side.BUY else 1
    return sign * order.limit_price_microeur_per_kwh, hashlib.sha256(order.order_id.encode()).digest()


def tightest(*groups: Mapping[str, int]) -> dict[str, int]:
    """For each order the smallest of its caps [Wh]."""
    caps: dict[str, int] = {}
    for group in groups:
        for order_id, cap_wh in group.items():
            caps[order_id] = min(cap_wh, caps.get(order_id, cap_wh))
    return caps


def share_caps_wh(orders: Sequence[Order], share_ppm: int) -> dict[str, int]:
    """How much of members' own orders is in, where nobody may have more than a share of either side.

    Beside others who ask Q together, a share of s comes to Q s / (1 - s).

    Args:
        orders: All orders of the quarter-hour that can be filled at all.
        share_ppm: The share in millionths of what is asked, and of what is offered.

    Returns:
        By order id [Wh], for the own orders of members above their share only.
    """
    whole: defaultdict[Side, int] = defaultdict(int)
    asked: defaultdict[tuple[Side, MemberId], int] = defaultdict(int)
    own: defaultdict[tuple[Side, MemberId], list[Order]] = defaultdict(list)
    for order in orders:
        if order.member == SUPPLIER:
            continue
        whole[order.side] += order.quantity_wh
        asked[order.side, order.member] += order.quantity_wh
        if order.source in OWN_SOURCES:
            own[order.side, order.member].append(order)
    caps: dict[str, int] = {}
    for (side, member), group in own.items() if share_ppm < PPM else ():
        others_wh = whole[side] - asked[side, member]
        share_wh = others_wh * share_ppm // (PPM - share_ppm)
        over_wh = asked[side, member] - share_wh
        if over_wh > 0:
            caps |= handed_out(group, sum(order.quantity_wh for order in group) - over_wh)
    return caps
