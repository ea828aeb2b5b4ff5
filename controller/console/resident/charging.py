"""A resident's cards and app tokens: what may charge in their name, and the button for a lost one."""

from __future__ import annotations

from collections.abc import Sequence

from nicegui import ui

from controller.console.forms import told
from controller.console.live import Live, text
from controller.console.operator.panels import press_html, table_html
from controller.console.shell import Visit, card
from controller.domain.charging_tokens import ChargingToken, TokenKind
from controller.domain.ids import AssetId, MemberId
from controller.runtime.charging_tokens import ChargingTokens, NewToken
from controller.texts import Translator, mark

SHOWN_MAX = 50
"""A fleet has a car's token for each of its cars: so many are shown."""
KINDS = {
    TokenKind.CARD: mark("card"),
    TokenKind.APP: mark("app"),
    TokenKind.CAR: mark("car"),
}


def tokens_html(tokens: Sequence[ChargingToken], words: Translator) -> str:
    """Each token by its own name and its end, with a button that blocks it or allows it again."""
    say = words.say
    hidden = len(tokens) - SHOWN_MAX
    more = f"<p>{text(say('{count} more are not shown here.', count=hidden))}</p>" if hidden > 0 else ""
    table = table_html(
        [say("Name"), say("Kind"), say("Ends with"), say("State"), ""],
        [
            [
                text(one.label),
                text(say(KINDS[one.kind])),
                text(one.masked),
                f'<span class="w-state w-state-silent">{text(say("blocked"))}</span>'
                if one.blocked_at is not None
                else f'<span class="w-state w-state-charging">{text(say("may charge"))}</span>',
                press_html("allow", "token", one.handle, say("Allow again"))
                if one.blocked_at is not None
                else press_html("block", "token", one.handle, say("Block: it is lost")),
            ]
            for one in tokens[:SHOWN_MAX]
        ],
        empty=say("You have no cards."),
        caption=say("Cards and tokens"),
    )
    return table + more


class TokensCard:
    """The card of what may charge in a member's name.

    Args:
        visit: Whose page it is.
        member: Whose tokens.
        cars: The member's cars, of which a token may be one's.
        tokens: The charging tokens.
    """

    def __init__(
        self, visit: Visit, member: MemberId, cars: Sequence[AssetId], tokens: ChargingTokens
    ) -> None:
        self._visit, self._member, self._tokens = visit, member, tokens
        self._words = visit.words
        say = self._words.say
        with card(say("Cards and tokens")):
            self._list = Live(polite=True).classes("w-wide").on_press(self._press)
            with ui.element("div").classes("w-form"):
                self._number = ui.input(label=say("Number of the card"))
                self._label = ui.input(label=say("Your name for it"))
                fields = [self._number, self._label]
                self._car: ui.select | None = None
                if cars:
                    choices = {"": say("no car in particular")} | {str(car): str(car) for car in cars}
                    self._car = ui.select(choices, value=str(cars[0]), label=say("Car"))
                    self._car.props("outlined dense")
                for field in fields:
                    field.props("outlined dense")
                ui.button(say("Register"), on_click=self._register).props("unelevated no-caps")

    async def look(self) -> None:
        """Shows what there is now."""
        self._list.show(tokens_html(await self._tokens.tokens(self._member), self._words))

    async def _register(self) -> None:
        chosen = "" if self._car is None else str(self._car.value or "")
        new = NewToken(
            token=str(self._number.value or ""),
            kind=TokenKind.CARD,
            label=str(self._label.value or "").strip()[:64] or self._words.say("card"),
            vehicle=AssetId(chosen) if chosen else None,
        )
        async with told(self._words, "Your card may charge from now on."):
            await self._tokens.register(new, self._member, self._visit.who)
            self._number.value = self._label.value = ""
        await self.look()

    async def _press(self, pressed: dict[str, str]) -> None:
        blocked = pressed.get("act") == "block"
        async with told(self._words, "Done: your choice holds from now on."):
            await self._tokens.set_blocked(
                pressed.get("token", ""), blocked=blocked, member=self._member, who=self._visit.who
            )
        await self.look()
