"""How a resident comes by the neighbours' energy: orders beforehand, or a word on sharing after the fact."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import uuid4

from nicegui import ui

from controller.console.forms import quarter_choices, told
from controller.console.live import Live
from controller.console.resident import panels
from controller.console.shell import Visit, card
from controller.domain.ids import MemberId, NodeId
from controller.runtime.door import AssetView
from market.orders import Order, OrderSource, Side, validate


def sharing_card(visit: Visit) -> None:
    """The card of a neighbourhood where nobody orders."""
    with card(visit.words.say("Energy of the neighbourhood")):
        ui.html(panels.sharing_html(visit.words), sanitize=False)


class TradingCards:
    """The cards of an auction: a form for an order, own orders and own trades."""

    def __init__(self, visit: Visit, member: MemberId, assets: Sequence[AssetView], now: datetime) -> None:
        self._visit = visit
        self._member = member
        self._words = visit.words
        self._node = _own_node(assets)
        say = self._words.say
        with card(say("Place an order")), ui.element("div").classes("w-form"):
            sides = {Side.BUY.value: say("buy"), Side.SELL.value: say("sell")}
            self._side = ui.select(sides, value=Side.BUY.value, label=say("Buy or sell"))
            quarters = quarter_choices(now, self._words)
            self._quarter = ui.select(quarters, value=next(iter(quarters)), label=say("Quarter-hour"))
            self._quantity = ui.number(label=say("Energy (Wh)"), value=500, min=1, format="%.0f")
            self._limit = ui.number(label=say("Limit price (€/kWh)"), value=0.20, format="%.3f", step=0.01)
            for field in (self._side, self._quarter, self._quantity, self._limit):
                field.props("outlined dense")
            ui.button(say("Place the order"), on_click=self._place).props("unelevated no-caps")
        with card(say("My orders")):
            self._orders = Live(polite=True).classes("w-wide").on_press(self._cancel)
        with card(say("My trades")):
            self._trades = Live().classes("w-wide")

    async def look(self, now: datetime) -> None:
        """Shows orders and trades as they are, and the quarter-hours that can be chosen.

        Args:
            now: The present moment.
        """
        door = self._visit.feed.door
        self._orders.show(panels.orders_html(await door.orders(self._member), self._words))
        self._trades.show(panels.trades_html(await door.trades(self._member), self._words))
        quarters = quarter_choices(now, self._words)
        if list(quarters) != list(self._quarter.options):
            # The choice moves along with the time; what was chosen stays chosen while it can be.
            value = self._quarter.value if self._quarter.value in quarters else next(iter(quarters))
            self._quarter.set_options(quarters, value=value)

    async def _place(self) -> None:
        if self._node is None:
            ui.notify(self._words.say("You have no connection to trade at."), type="warning")
            return
        order = Order(
            order_id=f"{self._member}-{uuid4()}",
            member=self._member,
            node=self._node,
            side=Side(self._side.value),
            quantity_wh=int(self._quantity.value or 0),
            limit_price_microeur_per_kwh=round((self._limit.value or 0.0) * 1_000_000),
            interval_start=datetime.fromisoformat(str(self._quarter.value)),
            source=OrderSource.RESIDENT,
        )
        if problems := validate(order):
            ui.notify("; ".join(map(str, problems)), type="warning", multi_line=True)
            return
        async with told(self._words, "Your order is placed."):
            await self._visit.feed.door.place_order(order, self._member)
        await self._again()

    async def _cancel(self, pressed: dict[str, str]) -> None:
        async with told(self._words, "Your order is cancelled."):
            door, order_id = self._visit.feed.door, pressed.get("order", "")
            await door.cancel_order(order_id=order_id, member=self._member)
        await self._again()

    async def _again(self) -> None:
        await self.look((await self._visit.feed.state()).now)


def _own_node(assets: Sequence[AssetView]) -> NodeId | None:
    """Where a member's orders stand: at home if there is one, else at the first connection."""
    nodes = [view.node for view in assets if view.node is not None]
    homes = [
        view.node for view in assets if view.node is not None and view.kind in {"home", "public_building"}
    ]
    return next(iter(homes or nodes), None)
