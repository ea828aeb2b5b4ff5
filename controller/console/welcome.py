"""The page for who is not signed in: one field for a token."""

from __future__ import annotations

from nicegui import ui

from controller.console.live import text
from controller.console.shell import frame
from controller.texts import Translator


def welcome_page(words: Translator, *, unknown: bool) -> None:
    """Builds the page.

    Args:
        words: The language.
        unknown: Whether somebody has just come with a token that nobody gave out.
    """
    frame(words, "Welcome", "")
    warning = ""
    if unknown:
        warning = f'<p class="w-warn" role="alert">{text(words.say("This token is not known here."))}</p>'
    ui.html(
        '<main class="w-welcome w-card">'
        f"<h1>{text(words.say('The electricity of your neighbourhood'))}</h1>{warning}"
        f"<p>{text(words.say('Open the ready link that you were given, or enter your token.'))}</p>"
        '<form method="post" action="/sign-in">'
        f'<label for="token">{text(words.say("Token"))}</label>'
        '<input id="token" name="token" type="password" autocomplete="current-password" required>'
        f'<button class="w-button" type="submit">{text(words.say("Sign in"))}</button></form></main>',
        sanitize=False,
    )
