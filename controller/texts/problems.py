"""What was wrong with a request, in words: the titles of problem documents and the rules of a form."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType

from controller.texts.translator import Translator, mark

TITLES: Mapping[int, str] = MappingProxyType(
    {
        HTTPStatus.BAD_REQUEST: mark("The request cannot be read"),
        HTTPStatus.UNAUTHORIZED: mark("No known token was sent"),
        HTTPStatus.FORBIDDEN: mark("This is not yours to see or do"),
        HTTPStatus.NOT_FOUND: mark("It is not here"),
        HTTPStatus.METHOD_NOT_ALLOWED: mark("This cannot be done with it"),
        HTTPStatus.REQUEST_TIMEOUT: mark("The request did not come in time"),
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: mark("The request is too large"),
        HTTPStatus.CONFLICT: mark("It does not fit the state of things"),
        HTTPStatus.UNPROCESSABLE_ENTITY: mark("The request has mistakes in it"),
        HTTPStatus.TOO_MANY_REQUESTS: mark("Too many requests"),
        HTTPStatus.INTERNAL_SERVER_ERROR: mark("Something went wrong on our side"),
    }
)
"""The title by HTTP status."""

RULES: Mapping[str, str] = MappingProxyType(
    {
        "missing": mark("is missing"),
        "extra_forbidden": mark("is not a known field"),
        "int_type": mark("must be a whole number"),
        "int_from_float": mark("must be a whole number"),
        "int_parsing": mark("must be a whole number"),
        "float_type": mark("must be a number"),
        "finite_number": mark("must be a finite number"),
        "string_type": mark("must be text"),
        "bool_type": mark("must be true or false"),
        "literal_error": mark("must be one of {expected}"),
        "greater_than": mark("must be greater than {gt}"),
        "greater_than_equal": mark("must be at least {ge}"),
        "less_than_equal": mark("must be at most {le}"),
        "string_empty": mark("must not be empty"),
        "string_too_short": mark("must have at least {min_length} characters"),
        "string_too_long": mark("must have at most {max_length} characters"),
        "string_pattern_mismatch": mark("does not have the right form"),
        "string_unicode": mark("has signs that are none"),
        "too_short": mark("must have at least {min_length} entries"),
        "too_long": mark("must have at most {max_length} entries"),
        "list_type": mark("must be a list"),
        "date_from_datetime_parsing": mark("must be a day like 2026-01-31"),
        "date_from_datetime_inexact": mark("must be a day like 2026-01-31"),
        "date_parsing": mark("must be a day like 2026-01-31"),
        "int_parsing_size": mark("must be a whole number"),
        "float_parsing": mark("must be a number"),
        "bool_parsing": mark("must be true or false"),
        "enum": mark("must be one of {expected}"),
        "model_attributes_type": mark("must be a JSON object"),
        "dict_type": mark("must be a JSON object"),
        "json_invalid": mark("is not valid JSON"),
        "json_unreadable": mark("is no JSON in UTF-8, or is nested too deeply"),
        "instant_form": mark("must be a time like 2026-01-31T16:15:00Z"),
        "instant_zone": mark("names no time zone: write Z for UTC"),
        "quarter_start": mark("must be the start of a quarter-hour"),
        "clock_form": mark("must be a local time like 07:30"),
        "one_of_two": mark("give exactly one of {first} and {second}"),
        "one_of_three": mark("give exactly one of {first}, {second} and {third}"),
        "one_at_least": mark("give at least one of {first} and {second}"),
        "order_of_times": mark("{later} must be after {earlier}"),
        "not_above": mark("must not be more than {other}"),
        "member_needed": mark("a resident's token needs a member"),
    }
)
"""The rule by pydantic's type of error, our own types among them."""

PATTERNS: Mapping[str, str] = MappingProxyType(
    {
        r"^[\x21-\x7e]+$": mark("must be letters without accents, digits and signs, without blanks"),
        r"^[A-Za-z0-9._-]+$": mark("must be letters without accents, digits, points, underscores and dashes"),
        "^[0-9a-f]+$": mark("must be the start of a hash, as the list shows it"),
        r"^[^\x00-\x1f\x7f]*$": mark("must be text without control characters"),
    }
)
"""The rule by the pattern that a text has to fit."""

_OTHER_TITLE = mark("The request failed")
_OTHER_RULE = mark("is not valid")


def status_title(status: int, words: Translator) -> str:
    """The title of a problem with that HTTP status."""
    return words.say(TITLES.get(status, _OTHER_TITLE))


def rule_text(kind: str, figures: Mapping[str, object], words: Translator) -> str:
    """The broken rule as a sentence without a full stop.

    Args:
        kind: Pydantic's type of the error.
        figures: Its context (`gt`, `expected`, ...).
        words: The language.
    """
    if kind == "string_too_short" and figures.get("min_length") == 1:
        kind = "string_empty"
    form = PATTERNS.get(str(figures.get("pattern")), RULES.get(kind, _OTHER_RULE))
    return words.say(form, **figures)
