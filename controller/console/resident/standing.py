"""What a resident has left standing: a list that can be ended, and forms for the three kinds."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

from nicegui import ui

from controller.console.forms import clock_of, told
from controller.console.live import Live, text
from controller.console.operator.panels import press_html, table_html
from controller.console.shell import Visit, card
from controller.domain.ids import AssetId, MemberId
from controller.domain.instructions import EVERY_DAY, GiveSurplus, Instruction, LeaveAt, SellSurplus, Wanted
from controller.domain.units import MICROEUR_PER_EUR
from controller.runtime.door import AssetView
from controller.texts import Translator


def instruction_sentence(wanted: Wanted, words: Translator) -> str:
    """What is done every quarter-hour, in words."""
    match wanted:
        case SellSurplus(min_price_microeur_per_kwh=price):
            return words.say("Sell my surplus at {price} or more", price=words.price(price))
        case GiveSurplus():
            return words.say("Give my surplus to public buildings")
        case LeaveAt():
            days = words.say("every day")
            if wanted.weekdays != EVERY_DAY:
                days = words.say("on {count} days of the week", count=len(wanted.weekdays))
            return words.say(
                "{car} leaves at {clock} with {percent}, {days}",
                car=wanted.vehicle,
                clock=wanted.at_local.isoformat("minutes"),
                percent=words.percent(wanted.soc_fraction),
                days=days,
            )


def instructions_html(standing: Sequence[Instruction], words: Translator) -> str:
    """The standing instructions, each with a button that ends it."""
    return table_html(
        [words.say("Instruction"), ""],
        [
            [
                text(instruction_sentence(one.wanted, words)),
                press_html("end", "instruction", one.id, words.say("End")),
            ]
            for one in standing
        ],
        empty=words.say("You have left no instructions."),
        caption=words.say("Standing instructions"),
    )


class StandingCard:
    """The card of standing instructions.

    Args:
        visit: Whose page it is.
        member: Whose instructions.
        assets: What the member has.
        can_sell: Whether surplus is sold beforehand at all.
    """

    def __init__(
        self, visit: Visit, member: MemberId, assets: Sequence[AssetView], *, can_sell: bool
    ) -> None:
        self._visit = visit
        self._member = member
        self._words = visit.words
        cars = [str(view.id) for view in assets if view.kind == "vehicle"]
        say = self._words.say
        with card(say("Standing instructions")):
            self._list = Live(polite=True).classes("w-wide").on_press(self._end)
            if can_sell and any(view.kind == "pv" for view in assets):
                self._surplus_form()
            if cars:
                self._leave_form(cars)

    def _surplus_form(self) -> None:
        say = self._words.say
        with ui.element("div").classes("w-form"):
            self._least = ui.number(label=say("At least (€/kWh)"), value=0.10, format="%.3f", step=0.01)
            self._least.props("outlined dense")
            ui.button(say("Sell my surplus"), on_click=self._sell).props("unelevated no-caps")
            ui.button(say("Give it to public buildings"), on_click=self._give).props("unelevated no-caps")

    def _leave_form(self, cars: Sequence[str]) -> None:
        say = self._words.say
        with ui.element("div").classes("w-form"):
            self._car = ui.select(list(cars), value=cars[0], label=say("Car"))
            self._clock = ui.input(label=say("Leaves at"), value="08:00")
            self._percent = ui.number(label=say("With at least (%)"), value=60, min=1, max=100)
            for field in (self._car, self._clock, self._percent):
                field.props("outlined dense")
            ui.button(say("Every day"), on_click=self._leave).props("unelevated no-caps")

    async def look(self) -> None:
        """Shows what stands now."""
        standing = await self._visit.feed.door.instructions(self._member)
        self._list.show(instructions_html(standing, self._words))

    async def _sell(self) -> None:
        price = round((self._least.value or 0.0) * MICROEUR_PER_EUR)
        await self._instruct(SellSurplus(min_price_microeur_per_kwh=price))

    async def _give(self) -> None:
        await self._instruct(GiveSurplus())

    async def _leave(self) -> None:
        clock = clock_of(self._clock.value)
        percent = self._percent.value
        if clock is None or percent is None or not 0 < percent <= 100:
            ui.notify(self._words.say("Enter a time and a percentage."), type="warning")
            return
        vehicle = AssetId(str(self._car.value))
        await self._instruct(LeaveAt(vehicle=vehicle, at_local=clock, soc_fraction=percent / 100))

    async def _instruct(self, wanted: Wanted) -> None:
        now = (await self._visit.feed.state()).now
        instruction = Instruction(id=str(uuid4()), member=self._member, wanted=wanted, created_at=now)
        async with told(self._words, "Your instruction stands."):
            await self._visit.feed.door.instruct(instruction)
        await self.look()

    async def _end(self, pressed: dict[str, str]) -> None:
        async with told(self._words, "Your instruction has ended."):
            await self._visit.feed.door.end_instruction(
                instruction_id=pressed.get("instruction", ""), member=self._member
            )
        await self.look()
