"""Why something is as it is, in one plain sentence: every value carries a `Reason`, this says it aloud."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from controller.domain.reasons import Reason, ReasonCode
from controller.texts.language import Language
from controller.texts.translator import Translator, mark, translator

SENTENCES: Mapping[ReasonCode, str] = MappingProxyType(
    {
        ReasonCode.PERSON_STOP: mark("Somebody paused this"),
        ReasonCode.DEVICE_LIMIT: mark("The car, battery or device itself allows no more"),
        ReasonCode.NETWORK_LIMIT: mark("The cable, fuse or transformer is full"),
        ReasonCode.GRID_OPERATOR_LIMIT: mark("The grid operator has set a limit"),
        ReasonCode.DISCHARGE_LOCKOUT: mark("The grid operator does not allow giving back power here"),
        ReasonCode.NO_OPT_IN: mark("The owner has not agreed to giving back power"),
        ReasonCode.DEPARTURE: mark("Charging now, to leave on time with enough energy"),
        ReasonCode.CHARGE_NOW: mark("The driver asked to charge now"),
        ReasonCode.PLAN: mark("It follows the plan that is cheapest for all of us"),
        ReasonCode.FALLBACK: mark("Simple rules are in use until there is a new plan"),
        ReasonCode.NO_DATA: mark("A measurement is missing, so we keep to the safe side"),
        ReasonCode.NOT_CONNECTED: mark("Nothing is connected, or the device is silent"),
        ReasonCode.IGNORES_PROFILE: mark("The charger does not follow what it is told"),
        ReasonCode.RAMP: mark("It has just come back; power returns step by step"),
        ReasonCode.FULL: mark("The battery has what was asked for"),
        ReasonCode.MIN_POWER: mark("What is left is less than the car can charge with; its turn comes"),
    }
)
"""The sentence of each code, without its figures and without a full stop."""


@lru_cache(maxsize=8192)
def sentence(reason: Reason, language: Language) -> str:
    """One sentence that says why, with the subject, the figure and until when, as far as they are known."""
    words = translator(language)
    text = words.say(SENTENCES[reason.code])
    extras = [
        part
        for part in (
            reason.subject,
            "" if reason.value is None else _figure(words, reason.value, reason.unit),
            words.say("until {until}", until=reason.until) if reason.until else "",
        )
        if part
    ]
    return f"{text} ({', '.join(extras)})." if extras else f"{text}."


def _figure(words: Translator, value: float, unit: str) -> str:
    """The binding figure with its unit."""
    if unit in {"fraction", ""}:
        return words.percent(value) if unit else words.number(value, digits=1)
    return words.quantity(value, unit)
