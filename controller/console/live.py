"""A region of a page whose HTML is renewed in place, and only when it has changed."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from nicegui.element import Element
from nicegui.events import GenericEventArguments


def text(value: object) -> str:
    """Anything as HTML text: whatever a device or a person wrote shows as it is and does nothing."""
    return escape(str(value), quote=True)


class Live(Element, component="live.js"):
    """One region.

    Args:
        label: What a screen reader calls it.
        polite: Whether a screen reader says changes aloud.
    """

    def __init__(self, *, label: str = "", polite: bool = False) -> None:
        super().__init__()
        self._props["html"] = ""
        self._html = ""
        if label:
            self._props["role"] = "region"
            self._props["aria-label"] = label
        if polite:
            self._props["aria-live"] = "polite"

    def show(self, html: str) -> None:
        """Shows the HTML; nothing is sent where it is what stands there."""
        if html == self._html:
            return
        self._html = html
        # The property is for a browser that (re)connects later; the method is for the one that is here.
        self._props["html"] = html
        self.run_method("show", html)

    def on_press(self, handler: Callable[[dict[str, str]], object]) -> Live:
        """Calls `handler` with the `data-...` values of what was pressed."""

        def pressed(event: GenericEventArguments) -> object:
            return handler(dict(event.args))

        self.on("act", pressed)
        return self
