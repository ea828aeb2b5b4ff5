"""The mechanism and the prices that a site declares: `clear_by` applies them to a quarter-hour."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from controller.domain.ids import NodeId
from market.clearing.envelope import Envelope
from market.clearing.interval import clear
from market.clearing.mcafee import mcafee
from market.clearing.pricing import Pricing, at_community_price, pay_as_bid
from market.clearing.result import Fill, IntervalResult
from market.orders import Order, sign_of


class Mechanism(StrEnum):
    """How fills and prices are found."""

    UNIFORM = "uniform"
    """The uniform-price auction; with nodal prices where limits bind."""
    PAY_AS_BID = "pay_as_bid"
    MCAFEE = "mcafee"


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketRules:
    """What a site declares of its market."""

    mechanism: Mechanism = Mechanism.UNIFORM
    pricing: Pricing = Pricing.COMMUNITY
    unit_wh: int = 250
    """The size of McAfee's equal units."""

    @property
    def returns_rent(self) -> bool:
        """Whether the congestion rent is returned per connection; the community keeps other surpluses."""
        return self.mechanism is Mechanism.UNIFORM and self.pricing is Pricing.COMMUNITY


def clear_by(
    rules: MarketRules,
    orders: Sequence[Order],
    envelope: Envelope | None = None,
    caps_wh: Mapping[str, int] | None = None,
) -> IntervalResult:
    """Clears one quarter-hour by the declared mechanism.

    McAfee's auction knows no network: where its fills break a limit, the uniform price decides.

    Args:
        rules: The mechanism and what residents pay.
        orders: As for `clear`.
        envelope: As for `clear`.
        caps_wh: As for `clear`.

    Returns:
        A fill for every order; `sum(amount) == congestion_rent >= 0` by every mechanism.

    Raises:
        ValueError: As `clear`.
    """
    result = clear(orders, envelope, caps_wh)
    match rules.mechanism:
        case Mechanism.PAY_AS_BID:
            return pay_as_bid(result, orders)
        case Mechanism.MCAFEE:
            units = mcafee(orders, result, rules.unit_wh, caps_wh)
            return units if envelope is None or envelope.holds(net_import_wh(orders, units.fills)) else result
        case Mechanism.UNIFORM:
            return at_community_price(result, orders) if rules.returns_rent else result


def net_import_wh(orders: Sequence[Order], fills: Sequence[Fill]) -> Counter[NodeId]:
    """What was bought less what was sold at each place [Wh]."""
    filled = {fill.order_id: fill.filled_wh for fill in fills}
    net: Counter[NodeId] = Counter()
    for order in orders:
        net[order.node] += sign_of(order) * filled[order.order_id]
    return net
