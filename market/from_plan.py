"""Orders that nobody types: from the plan, from the forecast, and the supplier's standing prices.

A controlled asset buys what the plan wants it to charge, at what that energy is worth to it, and sells
what the plan wants it to give, at what that energy costs it. Homes and buildings buy what they are
expected to use and pay whatever it takes, up to the supplier's price; roofs sell what they are expected to
make, down to the supplier's. Where it is known how surely it comes, all of it is ordered in slices, none at a
price at which it costs more on average than not to trade (`market.expectation`). The supplier stands behind
all of it at the grid outside, so that whatever the neighbours cannot trade among themselves is bought or sold
there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from controller.domain.ids import AssetId, MemberId, NodeId
from controller.domain.time import utc_text
from market.expectation import Chances, least_to_get, most_to_pay, slices
from market.orders import OUTSIDE, SUPPLIER, Label, Order, OrderSource, Side
from market.prices import price_from_eur

PLAN_MARGIN_MICROEUR_PER_KWH = 1000
"""A tenth of a cent: a plan is cheapest to 0.1%, and its values carry the solver's rounding. Without a
margin an order whose value equals the price, as at every optimum, would miss it by a micro-euro."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedEnergy:
    """What the plan wants of one asset in the quarter-hour."""

    asset: AssetId
    member: MemberId
    node: NodeId
    energy_wh: int
    """Positive = charge, negative = discharge or produce."""
    value_eur_per_kwh: float | None = None
    """What a kWh is worth to it (water value or node price); None: the supplier's price."""
    chances: Chances | None = None
    """How surely it does what is planned; None: certainly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastEnergy:
    """What an asset that is not steered is expected to use or make."""

    asset: AssetId
    member: MemberId
    node: NodeId
    energy_wh: int
    """Positive = use, negative = production."""
    chances: Chances | None = None
    """How surely it comes; None: certainly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarterPrices:
    """The quarter-hour that orders are made for, and the supplier's prices in it."""

    interval_start: datetime
    import_microeur_per_kwh: int
    export_microeur_per_kwh: int
    placed_at: datetime | None = None
    vat_fraction: float = 0.0
    """The VAT on what the supplier sells, which is not in its price."""

    def __post_init__(self) -> None:
        if self.export_microeur_per_kwh > self.import_microeur_per_kwh:
            raise ValueError(
                f"the supplier pays {self.export_microeur_per_kwh} and asks {self.import_microeur_per_kwh}: "
                "nobody sells dear and buys cheap without end"
            )


def orders_from_plan(
    quarter: QuarterPrices,
    planned: Iterable[PlannedEnergy],
    forecast: Iterable[ForecastEnergy] = (),
    *,
    margin_microeur_per_kwh: int = PLAN_MARGIN_MICROEUR_PER_KWH,
) -> list[Order]:
    """The orders of controlled assets and of what is only forecast.

    Args:
        quarter: The quarter-hour and the supplier's prices.
        planned: Controlled assets; an energy of 0 makes no order.
        forecast: Loads and roofs that are not steered; an energy of 0 makes no order.
        margin_microeur_per_kwh: What a planned buyer offers above its value and a planned seller
            takes below it; never beyond the supplier's prices where the value itself lies within them.

    Returns:
        Orders with ids that follow from source, asset and quarter-hour: made twice, they are the same.
    """
    orders: list[Order] = []
    for wanted in planned:
        limit = _planned_limit(quarter, wanted, margin_microeur_per_kwh)
        orders += _orders(quarter, source=OrderSource.PLAN, who=wanted, limit=limit)
    for one in forecast:
        limit = quarter.import_microeur_per_kwh if one.energy_wh > 0 else quarter.export_microeur_per_kwh
        orders += _orders(quarter, source=OrderSource.FORECAST, who=one, limit=limit)
    return orders


@dataclass(frozen=True, slots=True, kw_only=True)
class SurplusRule:
    """What a member's standing instruction says of what their roofs make beyond what they use."""

    id: str
    """The instruction's."""
    min_price_microeur_per_kwh: int | None
    """The least they take; None: whatever the supplier would pay."""
    label: Label


def surplus_orders(
    quarter: QuarterPrices, forecast: Sequence[ForecastEnergy], rules: Mapping[MemberId, SurplusRule]
) -> tuple[list[Order], list[ForecastEnergy]]:
    """The orders of standing instructions, and what is left of the forecast.

    What a member is expected to use themselves is no surplus. Roofs sell theirs in the order of their ids, so
    that the last ones cover the own use. What is sold here is no longer ordered as forecast.

    Args:
        quarter: The quarter-hour and the supplier's prices.
        forecast: Loads and roofs that are not steered.
        rules: By member.

    Returns:
        Sales with ids that follow from instruction, asset and quarter-hour, and the rest of the forecast.
    """
    surplus_wh: Counter[MemberId] = Counter()
    for one in forecast:
        surplus_wh[one.member] -= one.energy_wh
    orders: list[Order] = []
    rest: list[ForecastEnergy] = []
    for one in sorted(forecast, key=lambda each: each.asset):
        rule = rules.get(one.member)
        sold_wh = min(max(surplus_wh[one.member], 0), -one.energy_wh) if rule is not None else 0
        if rule is None or sold_wh <= 0:
            rest.append(one)
            continue
        surplus_wh[one.member] -= sold_wh
        least = rule.min_price_microeur_per_kwh
        orders += _orders(
            quarter,
            source=OrderSource.INSTRUCTION,
            who=replace(one, energy_wh=-sold_wh),
            limit=quarter.export_microeur_per_kwh if least is None else least,
            rule=rule,
        )
        if sold_wh < -one.energy_wh:
            rest.append(replace(one, energy_wh=one.energy_wh + sold_wh))
    return orders, rest


def _planned_limit(quarter: QuarterPrices, one: PlannedEnergy, margin: int) -> int:
    buys = one.energy_wh > 0
    backstop = quarter.import_microeur_per_kwh if buys else quarter.export_microeur_per_kwh
    if one.value_eur_per_kwh is None:
        return backstop
    value = price_from_eur(one.value_eur_per_kwh)
    # The margin may lift an order up to the supplier's price, which always deals, never past it.
    return max(value, min(value + margin, backstop)) if buys else min(value, max(value - margin, backstop))


def _orders(
    quarter: QuarterPrices,
    *,
    source: OrderSource,
    who: PlannedEnergy | ForecastEnergy,
    limit: int,
    rule: SurplusRule | None = None,
) -> list[Order]:
    """The orders of an asset, one a slice: at the limit, or at what the slice is worth where that is less."""
    buys = who.energy_wh > 0
    by = source.value if rule is None else f"{source.value}/{rule.id}"
    name = f"{by}/{who.asset}/{utc_text(quarter.interval_start)}"
    made = []
    for number, part in enumerate(slices(abs(who.energy_wh), who.chances)):
        odds = (
            part.chance,
            quarter.import_microeur_per_kwh,
            quarter.export_microeur_per_kwh,
            quarter.vat_fraction,
        )
        if who.chances is None:
            price = limit
        else:
            price = min(limit, most_to_pay(*odds)) if buys else max(limit, least_to_get(*odds))
        made.append(
            Order(
                order_id=name if who.chances is None else f"{name}/{number}",
                member=who.member,
                node=who.node,
                side=Side.BUY if buys else Side.SELL,
                quantity_wh=part.energy_wh,
                limit_price_microeur_per_kwh=price,
                interval_start=quarter.interval_start,
                source=source,
                asset=who.asset,
                placed_at=quarter.placed_at,
                label=Label.ANY if rule is None else rule.label,
            )
        )
    return made


def as_cleared(quarter: QuarterPrices, orders: Iterable[Order]) -> QuarterPrices:
    """The prices of a quarter-hour as the supplier's orders in its book say; where it had none, as given.

    Args:
        quarter: The prices as they are held to be now.
        orders: The cleared book.
    """
    told = {
        order.side: order.limit_price_microeur_per_kwh
        for order in orders
        if order.source is OrderSource.BACKSTOP
    }
    paid = told.get(Side.BUY, quarter.export_microeur_per_kwh)
    asked = told.get(Side.SELL, max(quarter.import_microeur_per_kwh, paid))
    return replace(quarter, import_microeur_per_kwh=asked, export_microeur_per_kwh=min(paid, asked))


def backstop_orders(quarter: QuarterPrices, orders: Sequence[Order]) -> list[Order]:
    """The supplier's two orders at the grid outside: enough for everyone and a watt-hour more, at its prices.

    The watt-hour more keeps the supplier from ever being sold out: what it sells in part sets its own price.
    Sold out, it would get half of what a buyer offered above that.

    Where both prices are equal the two may meet each other: worth nothing, costing nothing.

    Args:
        quarter: The quarter-hour and the supplier's prices.
        orders: Everybody else's orders; their totals are as much as could ever be asked of the supplier.

    Returns:
        A sale at the import price of all that is asked for, a purchase at the export price of all that
        is offered; none for a side that nobody is on.
    """
    sides = (
        (Side.SELL, Side.BUY, quarter.import_microeur_per_kwh),
        (Side.BUY, Side.SELL, quarter.export_microeur_per_kwh),
    )
    made = []
    for side, opposite, price in sides:
        quantity_wh = sum(order.quantity_wh for order in orders if order.side is opposite)
        if quantity_wh:
            made.append(
                Order(
                    order_id=f"{OrderSource.BACKSTOP.value}/{side.value}/{utc_text(quarter.interval_start)}",
                    member=SUPPLIER,
                    node=OUTSIDE,
                    side=side,
                    quantity_wh=quantity_wh + 1,
                    limit_price_microeur_per_kwh=price,
                    interval_start=quarter.interval_start,
                    source=OrderSource.BACKSTOP,
                    placed_at=quarter.placed_at,
                )
            )
    return made
