"""Why the plan lets a car charge, wait or give back, in one plain sentence with its figures."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from controller.domain.plan_reasons import PlanReason, PlanReasonCode
from controller.texts.translator import Translator, mark

PLAN_SENTENCES: Mapping[PlanReasonCode, str] = MappingProxyType(
    {
        PlanReasonCode.AWAY: mark("It is not plugged in then."),
        PlanReasonCode.NOT_ALLOWED: mark("It is paused, or may neither charge nor give back."),
        PlanReasonCode.FULL: mark("The battery is full with {energy}."),
        PlanReasonCode.EMPTY: mark("It gives nothing back below its minimum of {energy}."),
        PlanReasonCode.BELOW_MINIMUM: mark("It charges up to its minimum of {energy}."),
        PlanReasonCode.DEPARTURE: mark("It charges all the time until departure, to leave with {energy}."),
        PlanReasonCode.OFTEN_EARLY: mark("Its driver often leaves earlier than said; it is ready by {time}."),
        PlanReasonCode.CHEAP: mark("It charges at {price}; other hours of its stay cost up to {other}."),
        PlanReasonCode.DEAR: mark(
            "It gives back at {price}; charging back costs {other} with losses and wear."
        ),
        PlanReasonCode.NODE_LIMIT: mark("{node} has no more room than {limit}."),
        PlanReasonCode.RELIEF: mark("It gives back to keep {node} within {limit}."),
        PlanReasonCode.MIN_POWER: mark("Its share is less than it can charge with; its turn comes."),
        PlanReasonCode.WAITS_CHEAPER: mark("It waits: {price}, against {other} from {time}."),
        PlanReasonCode.WAITS_DEARER: mark("It keeps its energy: {price}, against {other} from {time}."),
        PlanReasonCode.NO_GAIN: mark("It has what it needs; at {price} no trade pays."),
        PlanReasonCode.RULES: mark("Simple rules choose who charges first until there is a better plan."),
        PlanReasonCode.WHOLE: mark("The plan as a whole is best so; no price of this car alone explains it."),
    }
)
"""The sentence of each code."""
_WORTH = mark("It charges at {price}; in the battery that is worth {other}.")


def plan_sentence(reason: PlanReason, compare_at: datetime | None, words: Translator) -> str:
    """One sentence that says why.

    Args:
        reason: The code and its figures.
        compare_at: When the other price holds; None where there is none.
        words: The language.
    """
    text = PLAN_SENTENCES[reason.code]
    if reason.code is PlanReasonCode.CHEAP and compare_at is None:
        text = _WORTH
    return words.say(
        text,
        price=words.price_eur(reason.price_eur_per_kwh),
        other=words.price_eur(reason.compare_eur_per_kwh),
        time=words.moment(compare_at),
        node=reason.node or "",
        limit=words.power(reason.limit_kw),
        energy=words.energy(reason.energy_kwh),
    )
