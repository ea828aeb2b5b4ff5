"""The resident's page: own things with their buttons, reasons, orders, trades and balance."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import uuid4

from nicegui import ui

from controller.console.forms import clock_of, quarter_choices, told
from controller.console.live import Live, text
from controller.console.operator.panels import strip_tile_html
from controller.console.resident import panels
from controller.console.resident.standing import StandingCard
from controller.console.resident.statements import months_html
from controller.console.shell import PERIOD_S, Visit, card, frame
from controller.domain.assets import WishKind
from controller.domain.ids import AssetId, MemberId, NodeId
from controller.runtime.door import AssetView, StateView
from controller.texts.clocks import next_local
from market.orders import Order, OrderSource, Side, validate

_SLOW_LOOKS = 5
"""Trades and the balance change by the quarter-hour: every so many looks are enough."""


class AssetCard:
    """One thing on the page, with its buttons where it is a car."""

    def __init__(self, page: ResidentPage, view: AssetView) -> None:
        self._page = page
        self._words = page.visit.words
        self._asset = view.id
        with ui.element("section").classes("w-card w-asset"):
            self._body = Live()
            self._buttons: Live | None = None
            if view.kind == "vehicle":
                self._buttons = Live(label=self._words.say("What this car should do")).on_press(self._press)
                self._departure_form(view)
        self.show(view)

    def show(self, view: AssetView) -> None:
        """Renews what has changed."""
        self._body.show(panels.asset_html(view, self._words))
        self._never = view.wishes.never_discharge
        if self._buttons is not None:
            self._buttons.show(panels.mode_html(view, self._words))

    def _departure_form(self, view: AssetView) -> None:
        say = self._words.say
        asked = view.wishes.departure
        with ui.element("div").classes("w-form w-departure"):
            promised = view.charger.departure_kwh if view.charger is not None else None
            energy = asked.energy_kwh if asked else promised
            shown = self._words.clock(asked.at_utc) if asked else "07:30"
            self._clock = ui.input(label=say("Leaves at"), value=shown).props(
                'outlined dense mask="##:##" inputmode=numeric'
            )
            self._energy = ui.number(label=say("With at least (kWh)"), value=energy, min=0).props(
                "outlined dense"
            )
            ui.button(say("Keep this departure"), on_click=self._set_departure).props(
                "unelevated no-caps color=primary"
            )

    async def _press(self, pressed: dict[str, str]) -> None:
        door, who = self._page.visit.feed.door, self._page.visit.who
        if pressed.get("act") == "never":
            async with told(self._words, "Done: your choice holds from now on."):
                await door.set_never_discharge(asset=self._asset, never=not self._never, who=who)
        else:
            async with told(self._words, "Done: your choice holds from now on."):
                await door.set_mode(
                    asset=self._asset, mode=WishKind(pressed.get("mode", WishKind.NONE)), who=who
                )
        await self._page.again()

    async def _set_departure(self) -> None:
        clock = clock_of(self._clock.value)
        if clock is None or self._energy.value is None:
            ui.notify(self._words.say("Enter a time and an energy."), type="warning")
            return
        now = (await self._page.visit.feed.state()).now
        async with told(self._words, "Your departure is kept."):
            await self._page.visit.feed.door.set_departure(
                asset=self._asset,
                at_utc=next_local(clock, now),
                energy_kwh=float(self._energy.value),
                soc_fraction=None,
                who=self._page.visit.who,
            )
        await self._page.again()


class ResidentPage:
    """One open page of a resident."""

    def __init__(self, visit: Visit, member: MemberId) -> None:
        self.visit = visit
        """Whose page it is."""
        self._member = member
        self._words = visit.words
        self._cards: dict[AssetId, AssetCard] = {}
        self._looks = 0

    async def build(self) -> None:
        """Makes the page and starts to look."""
        say = self._words.say
        state = await self.visit.feed.state()
        self._frame = frame(self._words, "My energy", self.visit.who.label)
        with ui.element("main").classes("w-page"):
            ui.html(f'<h1 class="w-sr">{text(say("My energy"))}</h1>', sanitize=False)
            with ui.element("div").classes("w-columns"):
                with ui.element("div").classes("w-column"):
                    ui.html(f"<h2>{text(say('My things'))}</h2>", sanitize=False)
                    self._assets = ui.element("div").classes("w-assets")
                with ui.element("div").classes("w-column"):
                    with card(say("My balance")):
                        self._balance = Live()
                        self._price = Live()
                    with card(say("My statements")):
                        ui.html(months_html(state.now, self._words), sanitize=False)
                    self._trading(state)
                    own = await self.visit.feed.door.assets(self._member)
                    self._standing = StandingCard(self.visit, self._member, own)
        await self._look()
        ui.timer(PERIOD_S, self._look)

    def _trading(self, state: StateView) -> None:
        say = self._words.say
        with card(say("Place an order")), ui.element("div").classes("w-form"):
            sides = {Side.BUY.value: say("buy"), Side.SELL.value: say("sell")}
            self._side = ui.select(sides, value=Side.BUY.value, label=say("Buy or sell"))
            quarters = quarter_choices(state.now, self._words)
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

    async def _look(self) -> None:
        door, words = self.visit.feed.door, self._words
        state = await self.visit.feed.state()
        self._frame.show(state, words)
        self._show_assets(await door.assets(self._member))
        self._price.show(strip_tile_html(state, words))
        if self._looks % _SLOW_LOOKS == 0:
            self._balance.show(panels.balance_html(await door.balance_nanoeur(self._member), words))
            self._orders.show(panels.orders_html(await door.orders(self._member), words))
            self._trades.show(panels.trades_html(await door.trades(self._member), words))
            await self._standing.look()
            self._renew_quarters(state.now)
        self._looks += 1

    def _show_assets(self, views: Sequence[AssetView]) -> None:
        for view in views:
            if view.id in self._cards:
                self._cards[view.id].show(view)
            else:
                with self._assets:
                    self._cards[view.id] = AssetCard(self, view)

    def _renew_quarters(self, now: datetime) -> None:
        """The choice of quarter-hours moves along; what was chosen stays chosen while it can be."""
        quarters = quarter_choices(now, self._words)
        if list(quarters) != list(self._quarter.options):
            value = self._quarter.value if self._quarter.value in quarters else next(iter(quarters))
            self._quarter.set_options(quarters, value=value)

    async def _place(self) -> None:
        door = self.visit.feed.door
        nodes = [view.node for view in await door.assets(self._member) if view.node is not None]
        homes = [
            view.node
            for view in await door.assets(self._member)
            if view.node is not None and view.kind in {"home", "public_building"}
        ]
        if not nodes:
            ui.notify(self._words.say("You have no connection to trade at."), type="warning")
            return
        order = Order(
            order_id=f"{self._member}-{uuid4()}",
            member=self._member,
            node=NodeId((homes or nodes)[0]),
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
            await door.place_order(order, self._member)
        await self.again()

    async def _cancel(self, pressed: dict[str, str]) -> None:
        async with told(self._words, "Your order is cancelled."):
            door, order_id = self.visit.feed.door, pressed.get("order", "")
            await door.cancel_order(order_id=order_id, member=self._member)
        await self.again()

    async def again(self) -> None:
        """Looks at once, after a press."""
        self._looks = 0
        await self._look()


async def resident_page(visit: Visit) -> None:
    """Builds the page of a member: a resident, a public building or a fleet."""
    if visit.who.member is None:
        frame(visit.words, "My energy", visit.who.label)
        line = text(visit.words.say("This token belongs to no member."))
        ui.html(f'<main class="w-page"><p class="w-warn">{line}</p></main>', sanitize=False)
        return
    await ResidentPage(visit, visit.who.member).build()
