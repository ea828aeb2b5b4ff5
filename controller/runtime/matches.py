"""Who dealt with whom in a quarter-hour, by what the site file says of roofs and public buildings."""

from __future__ import annotations

from collections.abc import Sequence

from controller.domain.site import Site
from market.clearing import IntervalResult
from market.matching import Match, match_fills
from market.orders import Order


def match_book(orders: Sequence[Order], result: IntervalResult, site: Site) -> tuple[Match, ...]:
    """The matches of a cleared quarter-hour.

    Args:
        orders: The orders that were cleared.
        result: What they got.
        site: Whose roofs and public buildings there are, and the network.
    """
    filled_wh = {fill.order_id: fill.filled_wh for fill in result.fills}
    return match_fills(
        orders, filled_wh, site.network, sun=sun_orders(orders, site), social=site.public_members
    )


def sun_orders(orders: Sequence[Order], site: Site) -> frozenset[str]:
    """The orders that sell what roofs make."""
    roofs = {roof.id for roof in site.pv}
    return frozenset(order.order_id for order in orders if order.asset in roofs)
