"""The frame of every page: the bar on top with the time, the language switch and the way out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files

from nicegui import ui

from controller.console.feed import Feed
from controller.console.live import Live, text
from controller.runtime.door import Principal, StateView
from controller.texts import Translator

PERIOD_S = 1.0
"""How often a page looks."""

_MARK = (
    '<svg viewBox="0 0 32 32" width="30" height="30" aria-hidden="true">'
    '<rect width="32" height="32" rx="9" fill="#0b6e4f"/>'
    '<path d="M7 21 16 10l9 11" fill="none" stroke="#fff" stroke-width="2.4" stroke-linejoin="round" '
    'stroke-linecap="round"/><path d="M17 14l-4 5h5l-3 5" fill="none" stroke="#ffd166" stroke-width="2.4" '
    'stroke-linejoin="round" stroke-linecap="round"/></svg>'
)
FAVICON = _MARK.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ')


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One open page: whose, in which language, looking at what."""

    who: Principal
    words: Translator
    feed: Feed
    place: Mapping[str, str] = field(default_factory=dict)
    """What the address names, as the charger whose page it is."""
    own_token: str = ""
    """The hash of the token with which it was opened."""
    asked_at: str = ""
    """Where the site was reached, as the browser named it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What the frame shows live."""

    clock: Live

    def show(self, state: StateView, words: Translator) -> None:
        """Renews the bar."""
        self.clock.show(clock_html(state, words))


def clock_html(state: StateView, words: Translator) -> str:
    """The site's name and its time."""
    speed = "" if state.speed == 1.0 else f" · {words.number(state.speed)}×"
    return (
        f'<span class="w-site">{text(state.site)}</span>'
        f'<span class="w-now"><time>{text(words.moment(state.now))}</time>{text(speed)}</span>'
    )


def head(words: Translator, title: str) -> None:
    """The style sheet, the language and the title of a page."""
    style = (files("controller.console") / "style.css").read_text(encoding="utf-8")
    ui.add_css(style)
    ui.page_title(f"{words.say(title)} · Wijkstroom")
    ui.add_head_html(f'<script>document.documentElement.lang="{words.language.value}"</script>')
    ui.colors(primary="#0b6e4f", positive="#0b6e4f", negative="#a3261c", warning="#8a5a00")


def frame(
    words: Translator, title: str, role_label: str, pages: Sequence[tuple[str, str]] = (), *, here: str = ""
) -> Frame:
    """Builds the bar on top of the page that is being made.

    Args:
        words: The language.
        title: Source string of the page's name.
        role_label: Who is signed in; empty where nobody is.
        pages: Address and name of the role's pages, where it has several.
        here: The address of the one that is open.
    """
    head(words, title)
    with ui.element("header").classes("w-bar"):
        ui.html(f'<span class="w-brand">{_MARK}<b>Wijkstroom</b></span>', sanitize=False)
        if pages:
            ui.html(_pages_html(words, pages, here), sanitize=False)
        clock = Live(label=words.say("Place and time")).classes("w-clock")
        ui.html(_corner(words, role_label), sanitize=False).classes("w-corner")
    return Frame(clock=clock)


def _pages_html(words: Translator, pages: Sequence[tuple[str, str]], here: str) -> str:
    links = "".join(
        f'<a href="{text(address)}"{" aria-current='page'" if address == here else ""}>{text(name)}</a>'
        for address, name in pages
    )
    return f'<nav class="w-nav" aria-label="{text(words.say("Pages of the operator"))}">{links}</nav>'


def _corner(words: Translator, role_label: str) -> str:
    """The language switch and the way out."""
    links = []
    for code, name in (("nl", "Nederlands"), ("en", "English")):
        current = ' aria-current="true"' if words.language.value == code else ""
        links.append(
            f'<a href="?lang={code}" lang="{code}" hreflang="{code}" title="{name}"{current}>'
            f"{code.upper()}</a>"
        )
    out = ""
    if role_label:
        out = (
            f'<form method="post" action="/sign-out"><span class="w-who">{text(role_label)}</span>'
            f'<button class="w-link" type="submit">{text(words.say("Sign out"))}</button></form>'
        )
    label = text(words.say("Language"))
    return f'<nav class="w-lang" aria-label="{label}">{"".join(links)}</nav>{out}'


def card(title: str, *, classes: str = "") -> ui.element:
    """A section with a heading, as a context for what stands in it."""
    section = ui.element("section").classes(f"w-card {classes}".strip())
    with section:
        ui.html(f"<h2>{text(title)}</h2>", sanitize=False)
    return section
