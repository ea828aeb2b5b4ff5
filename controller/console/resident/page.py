"""The resident's page: own things with their buttons and reasons, the balance, and orders in an auction."""

from __future__ import annotations

from collections.abc import Sequence

from nicegui import ui

from controller.console.forms import clock_of, told
from controller.console.live import Live, text
from controller.console.operator.panels import strip_tile_html
from controller.console.resident import panels
from controller.console.resident.charging import TokensCard
from controller.console.resident.standing import StandingCard
from controller.console.resident.statements import months_html
from controller.console.resident.trading import TradingCards, sharing_card
from controller.console.shell import PERIOD_S, Visit, card, frame
from controller.domain.assets import WishKind
from controller.domain.ids import AssetId, MemberId
from controller.runtime.door import AssetView
from controller.sharing_settings import MarketMode
from controller.texts.clocks import next_local

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
        self._tokens: TokensCard | None = None
        """None where nobody registers cards."""
        self._trading: TradingCards | None = None
        """None where nobody orders."""

    async def build(self) -> None:
        """Makes the page and starts to look."""
        say = self._words.say
        state = await self.visit.feed.state()
        mode = self.visit.feed.door.market_mode()
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
                    own = await self.visit.feed.door.assets(self._member)
                    if mode is MarketMode.AUCTION:
                        self._trading = TradingCards(self.visit, self._member, own, state.now)
                    elif mode is MarketMode.SHARING:
                        sharing_card(self.visit)
                    can_sell = self._trading is not None
                    self._standing = StandingCard(self.visit, self._member, own, can_sell=can_sell)
                    if (tokens := self.visit.feed.charging_tokens) is not None:
                        cars = [view.id for view in own if view.kind == "vehicle"]
                        self._tokens = TokensCard(self.visit, self._member, cars, tokens)
        await self._look()
        ui.timer(PERIOD_S, self._look)

    async def _look(self) -> None:
        door, words = self.visit.feed.door, self._words
        state = await self.visit.feed.state()
        self._frame.show(state, words)
        self._show_assets(await door.assets(self._member))
        if self._trading is not None:
            self._price.show(strip_tile_html(state, words))
        if self._looks % _SLOW_LOOKS == 0:
            self._balance.show(panels.balance_html(await door.balance_nanoeur(self._member), words))
            if self._trading is not None:
                await self._trading.look(state.now)
            await self._standing.look()
            if self._tokens is not None:
                await self._tokens.look()
        self._looks += 1

    def _show_assets(self, views: Sequence[AssetView]) -> None:
        for view in views:
            if view.id in self._cards:
                self._cards[view.id].show(view)
            else:
                with self._assets:
                    self._cards[view.id] = AssetCard(self, view)

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
