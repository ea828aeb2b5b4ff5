"""Which language a reader gets: what they chose, else what their browser asks for, else Dutch."""

from __future__ import annotations

from enum import StrEnum


class Language(StrEnum):
    """The languages that every text exists in."""

    DUTCH = "nl"
    ENGLISH = "en"


DEFAULT = Language.DUTCH


def known_language(text: str | None) -> Language | None:
    """The language that a tag like `en`, `en-GB` or `nl_NL` names; None where we do not speak it."""
    if not text:
        return None
    primary = text.strip().lower().replace("_", "-").split("-", 1)[0]
    return next((language for language in Language if language.value == primary), None)


def negotiate(*, chosen: str | None = None, accept_language: str | None = None) -> Language:
    """Picks the language of an answer.

    Args:
        chosen: What the reader chose (`?lang=en`, or kept in the session); wins where we speak it.
        accept_language: The HTTP header, with its quality values.

    Returns:
        The language; Dutch where nothing that we speak is asked for.

    Source: RFC 9110, section 12.5.4.
    """
    if (language := known_language(chosen)) is not None:
        return language
    wanted: list[tuple[float, int, Language]] = []
    for place, entry in enumerate((accept_language or "").split(",")):
        tag, *parameters = entry.split(";")
        language = known_language(tag)
        quality = _quality(parameters)
        if language is not None and quality > 0.0:
            wanted.append((-quality, place, language))
    return min(wanted)[2] if wanted else DEFAULT


def _quality(parameters: list[str]) -> float:
    """The `q` of an entry; 1 where there is none, 0 where it cannot be read (then it asks for nothing)."""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
