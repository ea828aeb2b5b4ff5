"""The line under a table with its page number, and the buttons to the pages before and after."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from nicegui import ui

from controller.texts import Translator


class Pager:
    """The buttons and the line between them.

    Args:
        words: The language.
        turn: Called with -1 or 1.
    """

    def __init__(self, words: Translator, turn: Callable[[int], Awaitable[None]]) -> None:
        say = words.say
        with ui.element("nav").classes("w-pages").props(f'aria-label="{say("Pages")}"'):
            self._back = ui.button("‹", on_click=lambda: turn(-1)).props(
                f'flat dense aria-label="{say("Previous page")}"'
            )
            self._line = ui.label()
            self._on = ui.button("›", on_click=lambda: turn(1)).props(
                f'flat dense aria-label="{say("Next page")}"'
            )

    def show(self, line: str, *, back: bool, on: bool) -> None:
        """Shows a line, and whether there is a page before and one after."""
        self._line.set_text(line)
        self._back.set_enabled(back)
        self._on.set_enabled(on)
